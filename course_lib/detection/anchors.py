"""Anchors: boxes of a few sizes and shapes at every cell of a map, and the objects they stand for.

As the boxes of :mod:`course_lib.detection.boxes`, they are arrays of NumPy or tensors; what is
made of the one is of that kind.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from course_lib.detection.boxes import box_iou, check_boxes, check_one_kind, is_tensor, namespace
from course_lib.shapes import pair

__all__ = ["Matches", "anchor_grid", "anchor_shapes", "anchors_inside", "match_anchors"]


class Matches(NamedTuple):
    """What each of R anchors is to learn.

    labels : ``(R,)`` int64, 1 an object, 0 background, -1 neither: not in the loss
    index  : ``(R,)`` int64, the object that it overlaps most, the first of equal ones; -1 if none
    iou    : ``(R,)``, that overlap
    """

    labels: Any
    index: Any
    iou: Any


def anchor_shapes(sizes=(128, 256, 512), ratios=(0.5, 1.0, 2.0)):
    r"""Return the anchors of one cell, about the origin: each size in each of the ratios.

    .. math:: w = s / \sqrt{r} \qquad h = s \sqrt{r}

    so that all anchors of a size s have the area :math:`s^2`, and are r times as high as wide.

    Parameters
    ----------
    sizes : sequence of float
        Square roots of the areas, in pixels.
    ratios : sequence of float
        Height by width.

    Returns
    -------
    array, shape (A, 4)
        ``x1 y1 x2 y2`` in pixels, float64, the ratios of the first size first.

    Raises
    ------
    ValueError
        If there is no size or no ratio, or one is not a positive number.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN", section 3.1.1, from which the defaults are; its "2:1" is
    width by height, a ratio of 0.5 here.

    Examples
    --------
    >>> anchor_shapes((16,), (1, 4))
    array([[ -8.,  -8.,   8.,   8.],
           [ -4., -16.,   4.,  16.]])
    """
    sizes, ratios = positive_numbers("sizes", sizes), positive_numbers("ratios", ratios)
    w, h = sizes[:, None] / np.sqrt(ratios), sizes[:, None] * np.sqrt(ratios)
    return np.stack([-w, -h, w, h], -1).reshape(-1, 4) / 2


def anchor_grid(map_size, stride, shapes):
    r"""Return the anchors of all cells of a map: in each cell a copy of every shape.

    The centre of the cell in row i and column j is at :math:`x = (j + \frac12) s` and
    :math:`y = (i + \frac12) s` for a stride s: the middle of the s by s pixels that are the cell's.

    Parameters
    ----------
    map_size : int or (int, int)
        Rows h and columns w of the map, in cells.
    stride : int or (int, int)
        Pixels from one cell to the next, down and to the right.
    shapes : array or tensor, shape (A, 4)
        Anchors about the origin, as :func:`anchor_shapes` returns them.

    Returns
    -------
    array or tensor, shape (h * w * A, 4)
        Row by row, in a row cell by cell, in a cell shape by shape; as `shapes` in kind, precision
        and device.

    Raises
    ------
    TypeError, ValueError
        If a size is no int or negative, the stride less than 1, or `shapes` do not hold boxes.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN", section 3.1.1, says that anchors are centred at the
    window; implementations differ by up to half a cell in where that is.
    """
    h, w = pair("anchor_grid", "map_size", map_size, least=0)
    down, right = pair("anchor_grid", "stride", stride, least=1)
    check_boxes("anchor_grid", shapes=shapes)
    xp = namespace(shapes)
    kind = {"dtype": shapes.dtype} | ({"device": shapes.device} if is_tensor(shapes) else {})
    y = (xp.arange(h, **kind) + 0.5) * down
    x = (xp.arange(w, **kind) + 0.5) * right
    y, x = y[:, None] + 0 * x, 0 * y[:, None] + x  # (h, w)
    centres = xp.stack([x, y, x, y], -1)
    return (centres[:, :, None] + shapes).reshape(-1, 4)


def anchors_inside(anchors, size):
    """Return which anchors do not cross the border of an image.

    Parameters
    ----------
    anchors : array or tensor, shape (R, 4)
    size : (int, int)
        H and W of the image, in pixels.

    Returns
    -------
    array or tensor of bool, shape (R,)
        An anchor that ends at the border is inside.

    Raises
    ------
    TypeError, ValueError
        If `anchors` do not hold boxes.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN", section 3.3: the others are left out of training, which
    does not converge with them.
    """
    check_boxes("anchors_inside", anchors=anchors)
    H, W = size
    x1, y1, x2, y2 = anchors.T
    return (x1 >= 0) & (y1 >= 0) & (x2 <= W) & (y2 <= H)


def match_anchors(anchors, truth, *, positive=0.7, negative=0.3, best=True):
    """Say of each anchor whether it stands for an object, for background, or for neither.

    An anchor stands for an object if its overlap with one is *larger* than `positive`; or, however
    small that is, if no other anchor overlaps that object more. It stands for background if its
    overlap with all of them is *smaller* than `negative`. What is left is neither: it overlaps too
    much to be called background, and too little to be called the object.

    Parameters
    ----------
    anchors : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    truth : array or tensor, shape (n, 4)
        The objects of the image, of the same kind. With n = 0 all anchors are background.
    positive, negative : float
        Overlaps, IoU.
    best : bool
        Whether each object gets its best anchors: all those with the same largest overlap, if they
        meet it at all. Without, an object between two cells, or of an unusual shape, may get none.

    Returns
    -------
    Matches
        An anchor that is the best for one object but overlaps another more stands for the latter.

    Raises
    ------
    TypeError, ValueError
        If one does not hold boxes, they are of two kinds, or not 0 <= negative <= positive <= 1.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN", section 3.1.2. Its text has both limits strict, as here;
    its code calls an overlap of exactly 0.7 an object.
    """
    if not 0 <= negative <= positive <= 1:
        raise ValueError(
            f"match_anchors: `negative` is {negative} and `positive` {positive}, expected "
            f"0 <= negative <= positive <= 1"
        )
    check_one_kind("match_anchors", anchors=anchors, truth=truth)
    check_boxes("match_anchors", anchors=anchors)
    check_boxes("match_anchors", truth=truth)
    xp = namespace(anchors)
    if len(truth) == 0:
        none = xp.zeros_like(anchors[:, 0])
        nobody = xp.where(none == 0, 0, 0)
        return Matches(nobody, nobody - 1, none)
    iou = box_iou(anchors, truth)
    overlap = xp.amax(iou, 1)
    labels = xp.where(overlap > positive, 1, -1)
    labels = xp.where(overlap < negative, 0, labels)
    if best and len(anchors):
        labels = xp.where(((iou == xp.amax(iou, 0)) & (iou > 0)).any(1), 1, labels)
    return Matches(labels, xp.where(overlap > 0, iou.argmax(1), -1), overlap)


def positive_numbers(name, values):
    """Return positive numbers as an array, or say which are not."""
    values = list(values) if np.iterable(values) else [values]
    good = [isinstance(v, Real) and 0 < v < np.inf for v in values]
    if not values or not all(good):
        raise ValueError(
            f"anchor_shapes: `{name}` is {values}, expected at least one number, all positive"
        )
    return np.array(values, float)
