"""The figure of RoI pooling: a region rounded to cells, its bins, and the way of the gradient."""

from numbers import Integral, Real

import numpy as np

from course_lib.numpy_layers import (
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)
from course_lib.web.figure import Figure
from course_lib.web.scene import checked_boxes
from course_lib.web.tables import array_table, nested, number

__all__ = ["roi_bins"]

WHERE = "roi_bins"
PARTS = ("figure", "pixels", "labels", "choices", "scene", "grid", "overlap", "handles")
PARTS += ("regions", "roi-bins")
CELLS, BINS, RATIO = 12, 7, 4  # the most on a side: of the map, of the output, of a bin's points
USUAL = 4  # rows and columns of the output that the sliders offer in any case
STEPS = 8  # to a cell


def roi_bins(
    feature_map,
    boxes,
    output_size=(2, 2),
    *,
    spatial_scale,
    layer="pool",
    sampling_ratio=2,
    dy=None,
):
    """Move regions over a map of features, and see what becomes of them, forward and backward.

    RoIPool rounds a region to whole cells, divides these into bins, and takes the largest of each;
    its gradient goes to that cell alone. RoIAlign rounds nothing: it takes the mean of a few points
    of each bin, each weighed between four cells, to which the gradient goes by the same weights.
    What bins and regions send to the same cell adds up.

    One can find out

    - how far the rounded region is from the true one, and that a shift of a fraction of a cell
      changes nothing, until it changes a whole row; RoIAlign follows at once;
    - that neighbouring bins share cells where the rows do not divide, so that one cell may win
      twice, and gets both gradients: the sum needs ``+=``;
    - that most cells of a region get no gradient from RoIPool, and all around the points get some
      from RoIAlign.

    Parameters
    ----------
    feature_map : array_like, shape (H, W), (1, H, W) or (1, 1, H, W)
        One channel, of 2 to 12 cells along each side. The page keeps thousandths.
    boxes : array_like, shape (4,), (1, 4) or (2, 4)
        One region or two, ``x1 y1 x2 y2`` in pixels of the image, at most a cell outside.
    output_size : int or (int, int)
        PH and PW: rows and columns of the output at first, 1 to 7.
    spatial_scale : float
        Cells in a pixel: 1/16 for features of stride 16.
    layer : {"pool", "align"}
        What is shown at first.
    sampling_ratio : int
        Points of RoIAlign in a bin along each axis, 1 to 4.
    dy : array_like, shape (R, PH, PW), optional
        The gradient of the output for `output_size`. Without it, and for other sizes, that of the
        first region is 1, 2, 3 ..., row by row, and that of the second 10, 20, 30 ...

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a shape or a number is out of its range, or a box is inside out or too far outside.

    References
    ----------
    Girshick (2015), "Fast R-CNN", section 2.1 and eq. 4. He et al. (2017), "Mask R-CNN", section 3.
    """
    x = _map(feature_map)
    H, W = x.shape
    if not (isinstance(spatial_scale, Real) and 0 < spatial_scale < np.inf):
        raise ValueError(
            f"{WHERE}: `spatial_scale` is {spatial_scale!r}, expected a number above 0"
        )
    scale = float(spatial_scale)
    boxes = checked_boxes(WHERE, "`boxes`", boxes, (H / scale, W / scale), margin=1 / scale)
    if len(boxes) not in (1, 2):
        raise ValueError(f"{WHERE}: `boxes` has {len(boxes)} boxes, expected one or two")
    size = _size(output_size)
    if layer not in ("pool", "align"):
        raise ValueError(f"{WHERE}: `layer` is {layer!r}, expected 'pool' or 'align'")
    if not (isinstance(sampling_ratio, Integral) and 1 <= sampling_ratio <= RATIO):
        raise ValueError(f"{WHERE}: `sampling_ratio` is {sampling_ratio!r}, expected 1 to {RATIO}")
    gradient = _gradient(dy, (len(boxes), *size))

    y, dx = _layer(layer, x, boxes, size, scale, sampling_ratio, gradient)
    name = {"pool": "RoIPool", "align": "RoIAlign"}[layer]
    title = f"{name} of {'a region' if len(boxes) == 1 else 'two regions'}, forward and backward"
    lines = [f"{title}."]
    tables = [array_table("x, features", x)]
    for letter, box, out, back in zip("AB", boxes, y, gradient, strict=False):
        lines.append(
            f"Region {letter}, {', '.join(number(v) for v in box)} in pixels: "
            f"y = {nested(out)}, dy = {nested(back)}"
        )
        tables.append(array_table(f"y of region {letter}", out))
        tables.append(array_table(f"dy of region {letter}", back))
    tables.append(array_table("dx, the sum of all regions", dx))
    said = "".join(f"<p>{line}</p>\n" for line in lines)
    return Figure(
        tag="course-roi-bins",
        parts=PARTS,
        data={
            "map": x.tolist(),
            "boxes": boxes.tolist(),
            "size": list(size),
            "most": max(USUAL, *size),
            "scale": scale,
            "step": 1 / (STEPS * scale),
            "layer": layer,
            "ratio": int(sampling_ratio),
            "dy": None if dy is None else gradient.tolist(),
        },
        fallback=said + '<div class="course-static">\n' + "\n".join(tables) + "\n</div>",
        text="\n".join([*lines, f"dx = {nested(dx)}"]),
    )


def _map(feature_map):
    array = np.asarray(feature_map, float)
    x = array
    while x.ndim > 2 and len(x) == 1:
        x = x[0]
    if x.ndim != 2 or not all(2 <= side <= CELLS for side in x.shape):
        raise ValueError(
            f"{WHERE}: `feature_map` has shape {array.shape}, expected (H, W), 2 to {CELLS} cells "
            f"each, of one channel"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{WHERE}: `feature_map` has numbers that are not finite")
    return x.round(3) + 0.0


def _size(output_size):
    size = output_size
    if isinstance(size, Integral):
        size = (size, size)
    try:
        size = tuple(size)
    except TypeError:
        size = ()
    if len(size) != 2 or not all(isinstance(n, Integral) and 1 <= n <= BINS for n in size):
        raise ValueError(
            f"{WHERE}: `output_size` is {output_size!r}, expected one or two ints, 1 to {BINS}"
        )
    return int(size[0]), int(size[1])


def _gradient(dy, shape):
    if dy is None:
        R, PH, PW = shape
        each = np.arange(1.0, PH * PW + 1).reshape(PH, PW)
        return np.stack([10.0**r * each for r in range(R)])
    dy = np.asarray(dy, float)
    if dy.shape != shape:
        raise ValueError(f"{WHERE}: `dy` has shape {dy.shape}, expected {shape}, as the output")
    if not np.isfinite(dy).all():
        raise ValueError(f"{WHERE}: `dy` has numbers that are not finite")
    return dy.round(3) + 0.0


def _layer(layer, x, boxes, size, scale, ratio, dy):
    """y of each region, (R, PH, PW), and dx, (H, W), by the library."""
    given = x[None, None], boxes, np.zeros(len(boxes), int), size
    if layer == "pool":
        y, cache = roi_pool_forward(*given, spatial_scale=scale)
        return y[:, 0], roi_pool_backward(dy[:, None], cache)[0, 0]
    y, cache = roi_align_forward(*given, spatial_scale=scale, sampling_ratio=ratio)
    return y[:, 0], roi_align_backward(dy[:, None], cache)[0, 0]
