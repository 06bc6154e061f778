"""Boxes: their areas, overlaps, and offsets from one to another, for NumPy and PyTorch alike.

A box is ``x1 y1 x2 y2`` in pixels, with the width ``x2 - x1`` (no pixel is added): the left edge of
the first pixel is 0, its right edge 1. What comes in as an array goes out as one, and a tensor as a
tensor, on its device, with its gradients.
"""

import math
import sys

import numpy as np

from course_lib.shapes import check_shapes

__all__ = ["box_area", "box_decode", "box_encode", "box_iou", "clip_boxes", "paired_iou"]

LARGEST_GROWTH = math.log(1000 / 16)  # of a side in one decoding, as a logarithm: 62.5 times
BLOCK = 1 << 15  # overlaps computed at a time, which stay in a core's cache


def box_area(boxes):
    """Return the area of each box.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.

    Returns
    -------
    array or tensor, shape (R,)
        In square pixels; 0 for a box without width or height.

    Raises
    ------
    TypeError
        If `boxes` is no array.
    ValueError
        If it has another shape, or a box is inside out or not finite.
    """
    check_boxes("box_area", boxes=boxes)
    return area(boxes)


def box_iou(a, b):
    r"""Return the overlap of every box of `a` with every box of `b`.

    .. math:: \text{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|}

    Parameters
    ----------
    a : array or tensor, shape (R, 4)
    b : array or tensor, shape (S, 4)
        ``x1 y1 x2 y2`` in pixels; both arrays, or both tensors on one device.

    Returns
    -------
    array or tensor, shape (R, S)
        0 for boxes that do not meet or only touch, and for boxes without area; 1 for equal ones.

    Raises
    ------
    TypeError
        If one is no array, or they are of two kinds.
    ValueError
        If one has another shape, or a box is inside out or not finite.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", eq. 3.
    """
    check_boxes("box_iou", a=a, b=b)
    if is_tensor(a) or min(len(a), len(b)) == 0:
        return iou_block(a, b, namespace(a))
    iou = np.empty((len(a), len(b)), np.result_type(a, b, np.float32))
    rows = max(1, BLOCK // len(b))
    for start in range(0, len(a), rows):
        some = slice(start, start + rows)
        iou[some] = iou_block(a[some], b, np)
    return iou


def paired_iou(boxes, truth):
    """Return the overlap of each box with its own true one.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` as a regressor gives them: one inside out has no area, and overlaps nothing.
    truth : array or tensor, shape (R, 4)
        In the same unit.

    Returns
    -------
    array or tensor, shape (R,)

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or one is an array and the other a tensor.
    """
    check_shapes("paired_iou", boxes=(boxes, "R 4"), truth=(truth, "R 4"))
    check_one_kind("paired_iou", boxes=boxes, truth=truth)
    xp = namespace(boxes)
    common = paired_area(boxes, truth, xp)
    own = (boxes[:, 2:] - boxes[:, :2]).clip(min=0)
    either = own[:, 0] * own[:, 1] + area(truth) - common
    return common / xp.where(either > 0, either, 1)


def box_encode(boxes, anchors, *, weights=(1.0, 1.0, 1.0, 1.0)):
    r"""Return the offsets that turn each anchor into its box: what a regressor is to predict.

    With centre :math:`x, y` and size :math:`w, h` of a box, and :math:`x_a, \ldots` of its anchor,

    .. math::
        t_x = (x - x_a) / w_a \quad t_y = (y - y_a) / h_a \quad
        t_w = \log(w / w_a) \quad t_h = \log(h / h_a)

    so that a box and its anchor, both moved or both scaled, have the same offsets.

    Parameters
    ----------
    boxes, anchors : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels; row i of one belongs to row i of the other.
    weights : four floats
        What the four offsets are multiplied with, to bring them to one scale.

    Returns
    -------
    array or tensor, shape (R, 4)
        Without a unit.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`; and if a box or an anchor has no area.

    References
    ----------
    Girshick et al. (2014), "Rich Feature Hierarchies", appendix C, eqs. 6 to 9.
    """
    check_boxes("box_encode", boxes=boxes, anchors=anchors)
    check_paired("box_encode", boxes=boxes, anchors=anchors)
    check_sized("box_encode", boxes=boxes, anchors=anchors)
    xp = namespace(boxes)
    x, y, w, h = centre_and_size(boxes)
    xa, ya, wa, ha = centre_and_size(anchors)
    offsets = (x - xa) / wa, (y - ya) / ha, xp.log(w / wa), xp.log(h / ha)
    return xp.stack([k * t for k, t in zip(weights, offsets, strict=True)], -1)


def box_decode(deltas, anchors, *, weights=(1.0, 1.0, 1.0, 1.0)):
    """Move and scale each anchor by its offsets: the inverse of :func:`box_encode`.

    A side grows 62.5 times at the most: offsets beyond that, which an untrained regressor may
    give, would end as infinite boxes.

    Parameters
    ----------
    deltas : array or tensor, shape (R, 4)
        ``tx ty tw th``, without a unit.
    anchors : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    weights : four floats
        What the offsets were multiplied with.

    Returns
    -------
    array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_encode`, of the anchors; the deltas need only be of the same shape.
    """
    check_shapes("box_decode", deltas=(deltas, "R 4"), anchors=(anchors, "R 4"))
    check_boxes("box_decode", anchors=anchors)
    check_paired("box_decode", deltas=deltas, anchors=anchors)
    check_sized("box_decode", anchors=anchors)
    xp = namespace(deltas)
    xa, ya, wa, ha = centre_and_size(anchors)
    tx, ty, tw, th = (deltas[:, i] / k for i, k in enumerate(weights))
    x, y = xa + tx * wa, ya + ty * ha
    w, h = (size * xp.exp(t.clip(max=LARGEST_GROWTH)) for size, t in ((wa, tw), (ha, th)))
    return xp.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def clip_boxes(boxes, size):
    """Cut boxes at the border of an image.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    size : (int, int)
        H and W of the image, in pixels.

    Returns
    -------
    array or tensor, shape (R, 4)
        A box outside of the image becomes one without area at its border.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_area`; and if `size` is not two positive numbers.
    """
    check_boxes("clip_boxes", boxes=boxes)
    if len(size) != 2 or min(size) <= 0:
        raise ValueError(f"clip_boxes: `size` is {tuple(size)}, expected (H, W), both positive")
    H, W = size
    ends = [boxes[:, i].clip(0, end) for i, end in enumerate((W, H, W, H))]
    return namespace(boxes).stack(ends, -1)


def is_tensor(array):
    """Return whether an array is PyTorch's, without importing PyTorch."""
    torch = sys.modules.get("torch")  # a tensor can only be there if PyTorch is
    return torch is not None and isinstance(array, torch.Tensor)


def namespace(array):
    """Return the module whose functions take this array: torch for a tensor, else NumPy."""
    return sys.modules["torch"] if is_tensor(array) else np


def area(boxes):
    """Return the area of each box, ``(R,)``, without a check."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def iou_block(a, b, xp):
    """Return the overlaps ``(R, S)``; about seven passes over them."""
    common = common_area(a, b, xp)
    either = area(a)[:, None] + area(b) - common
    # Where there is no union, nothing is common either: 0, and no division by 0.
    return common / xp.where(either > 0, either, 1)


def common_area(a, b, xp):
    """Return the area that every box of `a` has in common with every box of `b`, ``(R, S)``."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T[..., None], b.T
    width = (xp.minimum(ax2, bx2) - xp.maximum(ax1, bx1)).clip(min=0)
    return width * (xp.minimum(ay2, by2) - xp.maximum(ay1, by1)).clip(min=0)


def paired_area(a, b, xp):
    """Return the area that box i of `a` has in common with box i of `b`, ``(R,)``."""
    sides = (xp.minimum(a, b)[:, 2:] - xp.maximum(a, b)[:, :2]).clip(min=0)
    return sides[:, 0] * sides[:, 1]


def centre_and_size(boxes):
    """Return x, y, w and h of each box, in pixels."""
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes[:, 0] + w / 2, boxes[:, 1] + h / 2, w, h


def check_boxes(where, **named):
    """Raise unless each of the arguments holds boxes, and all of them in one kind of array."""
    for name, boxes in named.items():
        check_shapes(where, **{name: (boxes, "R 4")})
        good = (boxes[:, 2:] >= boxes[:, :2]).all(1)  # a NaN is not, whatever it meets
        good = good & (abs(boxes) < math.inf).all(1)
        if not good.all():
            row = [bool(g) for g in good].index(False)
            raise ValueError(
                f"{where}: box {row} of `{name}` is {[round(float(v), 4) for v in boxes[row]]}, "
                f"expected finite x1 y1 x2 y2 with x1 <= x2 and y1 <= y2"
            )
    check_one_kind(where, **named)


def check_paired(where, **named):
    """Raise unless two arguments have one row for one."""
    check_shapes(where, **{name: (array, "R 4") for name, array in named.items()})
    check_one_kind(where, **named)


def check_one_kind(where, **named):
    """Raise unless the arguments are all arrays of NumPy, or all tensors."""
    if len({is_tensor(array) for array in named.values()}) > 1:
        kinds = ", ".join(f"`{name}` is a {type(a).__name__}" for name, a in named.items())
        raise TypeError(f"{where}: {kinds}; expected all arrays of NumPy, or all tensors")


def check_sized(where, **named):
    """Raise unless all boxes have an area: an offset in units of nothing has no meaning."""
    for name, boxes in named.items():
        flat = area(boxes) <= 0
        if flat.any():
            row = [bool(f) for f in flat].index(True)
            raise ValueError(
                f"{where}: box {row} of `{name}` has no area: "
                f"{[round(float(v), 4) for v in boxes[row]]}; drop such boxes first"
            )


def check_scores(where, scores):
    """Raise if a score is NaN."""
    unknown = scores != scores
    if unknown.any():
        row = [bool(u) for u in unknown].index(True)
        raise ValueError(
            f"{where}: score {row} of `scores` is NaN, which is neither better nor worse than "
            f"another; drop such boxes first, or mend what made them"
        )
