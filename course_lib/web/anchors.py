"""The figure of anchors: boxes at every cell of a map, and the labels that training gives them."""

from html import escape
from numbers import Integral, Real

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.overlap import overlaps
from course_lib.web.scene import checked_boxes, checked_picture, encoded_picture
from course_lib.web.tables import table

__all__ = ["anchors_and_labels", "labelled"]

WHERE = "anchors_and_labels"
PARTS = ("figure", "pixels", "labels", "scene", "table", "chart", "overlap", "anchors")
PARTS += ("anchors-and-labels",)
STOPS = 20  # of a threshold, from 0 to 1
MAX_ANCHORS, MAX_SHAPES, MAX_OBJECTS = 9000, 12, 12


def anchors_and_labels(
    image,
    truth,
    *,
    stride,
    sizes,
    ratios,
    positive=0.7,
    negative=0.3,
    best=True,
    border=False,
    map_size=None,
    names=None,
    cell=None,
):
    """Choose a cell of a map and two thresholds, and see what the anchors are to learn.

    Every cell of the map has the same few anchors about its centre. One stands for an object if it
    overlaps it more than `positive`, or is the best for it; for background if it overlaps all of
    them less than `negative`; what is between is left out of the loss.

    One can find out

    - how few anchors stand for an object, and how many for background;
    - that at .7 some objects have no anchor but by the rule of the best ones;
    - that the anchors of one cell can be all three at a time, by their shapes;
    - what leaving out those across the border does to an object near it.

    Parameters
    ----------
    image : array_like, shape (H, W), (1, H, W), (H, W, 3) or (3, H, W)
        The scene: ink on paper as floats in 0..1, 1 the ink; or a photograph, uint8, or with three
        channels.
    truth : array_like, shape (G, 4)
        The objects, none to twelve, ``x1 y1 x2 y2`` in pixels.
    stride : int or (int, int)
        Pixels from one cell of the map to the next, down and to the right; the first centre lies at
        half of it.
    sizes : sequence of float
        Square roots of the areas of the anchors, in pixels.
    ratios : sequence of float
        Height by width; each size comes in each of them, at most 12 in all.
    positive, negative : float
        Where the thresholds stand at first, multiples of 0.05 with 0 <= negative <= positive <= 1.
    best : bool
        Whether the best anchors of each object stand for it at first, whatever their overlap.
    border : bool
        Whether anchors across the border are left out at first.
    map_size : int or (int, int), optional
        Rows and columns of the map; without it as many as fit into the image.
    names : sequence of str, optional
        What the objects are called.
    cell : (int, int), optional
        Row and column of the cell that is chosen at first; that with the largest overlap, if none.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a shape or a number is out of its range, there are more than 9,000 anchors, or names and
        objects do not pair up.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN", sections 3.1.1, 3.1.2 and 3.3.
    """
    picture, size = checked_picture(WHERE, image)
    truth = np.asarray(truth, float)
    truth = checked_boxes(WHERE, "`truth`", truth, size) if truth.size else np.empty((0, 4))
    if len(truth) > MAX_OBJECTS:
        raise ValueError(f"{WHERE}: `truth` has {len(truth)} boxes, expected at most {MAX_OBJECTS}")
    names = [f"object {n + 1}" for n in range(len(truth))] if names is None else list(names)
    if len(names) != len(truth):
        raise ValueError(f"{WHERE}: {len(names)} `names` for {len(truth)} boxes of `truth`")
    stride = _pair("stride", stride)
    cells = tuple(side // step for side, step in zip(size, stride, strict=True))
    cells = _pair("map_size", cells if map_size is None else map_size)
    shapes = _shapes(sizes, ratios)
    count = cells[0] * cells[1] * len(shapes)
    if count > MAX_ANCHORS:
        raise ValueError(
            f"{WHERE}: {cells[0]} x {cells[1]} cells of {len(shapes)} anchors are {count:,}, "
            f"expected at most {MAX_ANCHORS:,}; take a larger stride, or fewer sizes"
        )
    stops = [
        _stop("positive", positive),
        _stop("negative", negative),
    ]
    if stops[1] > stops[0]:
        raise ValueError(
            f"{WHERE}: `negative` is {negative} and `positive` {positive}, expected "
            f"negative <= positive"
        )

    y, x = ((np.arange(n) + 0.5) * step for n, step in zip(cells, stride, strict=True))
    x, y = np.meshgrid(x, y)
    anchors = (np.stack([x, y, x, y], -1)[:, :, None] + shapes).reshape(-1, 4)
    iou = overlaps(anchors, truth)
    if cell is None:
        top = int(iou.max(1).argmax()) if len(truth) else 0
        cell = divmod(top // len(shapes), cells[1])
    elif len(cell) != 2 or not all(n in range(m) for n, m in zip(cell, cells, strict=True)):
        raise ValueError(f"{WHERE}: `cell` is {cell!r}, expected row and column of {cells} cells")

    H, W = size
    inside = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2:] <= [W, H]).all(1)
    ways = {
        "as given": (stops, best, border),
        "without the rule of the best" if best else "with the rule of the best": (
            stops,
            not best,
            border,
        ),
        "with all anchors" if border else "without those across the border": (
            stops,
            best,
            not border,
        ),
    }
    headers = ["", "object", "ignored", "background", "across the border", "objects without any"]
    rows = [
        (name, *_row(iou, [stop / STOPS for stop in two], rule, inside | (not out)))
        for name, (two, rule, out) in ways.items()
    ]
    title = f"{count:,} anchors: objects above {stops[0] / STOPS:g}, background below "
    title += f"{stops[1] / STOPS:g}"
    return Figure(
        tag="course-anchors-and-labels",
        parts=PARTS,
        data={
            "scene": encoded_picture(picture, size),
            "truth": truth.tolist(),
            "names": [str(name) for name in names],
            "stride": list(stride),
            "cells": list(cells),
            "shapes": shapes.tolist(),
            "positive": stops[0],
            "negative": stops[1],
            "best": bool(best),
            "border": bool(border),
            "cell": [int(n) for n in cell],
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table(title, headers, [(escape(first), *rest) for first, *rest in rows])
        + "\n</div>",
        text="\n".join([f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )


def labelled(iou, positive, negative, best, mine):
    """Say what anchors stand for: 1 an object, 0 background, -1 neither.

    Parameters
    ----------
    iou : array, shape (R, G)
        Of each anchor with each object.
    positive, negative : float
    best : bool
    mine : array of bool, shape (R,)
        Which anchors count; the others are neither, and no object's best.

    Returns
    -------
    array of int, shape (R,)
    """
    if not iou.shape[1]:
        return np.where(mine, 0, -1)
    top = iou.max(1)
    labels = np.where(top > positive, 1, np.where(top < negative, 0, -1))
    if best and mine.any():
        largest = np.where(mine[:, None], iou, 0).max(0)
        labels[((iou == largest) & (iou > 0)).any(1)] = 1
    return np.where(mine, labels, -1)


def _row(iou, thresholds, best, mine):
    labels = labelled(iou, *thresholds, best, mine)
    nearest = iou.argmax(1) if iou.shape[1] else np.zeros(len(iou), int)
    reached = len(np.unique(nearest[labels == 1]))
    counts = (labels == 1).sum(), ((labels == -1) & mine).sum(), (labels == 0).sum(), (~mine).sum()
    return (*map(str, counts), str(iou.shape[1] - reached))


def _shapes(sizes, ratios):
    """Anchors about the origin, (A, 4)."""
    both = []
    for name, values in (("sizes", sizes), ("ratios", ratios)):
        values = list(values) if np.iterable(values) else [values]
        if not values or not all(isinstance(v, Real) and 0 < v < np.inf for v in values):
            raise ValueError(f"{WHERE}: `{name}` is {values}, expected positive numbers")
        both.append(np.array(values, float))
    sizes, ratios = both[0][:, None], np.sqrt(both[1])
    if sizes.size * ratios.size > MAX_SHAPES:
        raise ValueError(
            f"{WHERE}: {sizes.size} `sizes` in {ratios.size} `ratios` are "
            f"{sizes.size * ratios.size} anchors a cell, expected at most {MAX_SHAPES}"
        )
    w, h = sizes / ratios, sizes * ratios
    return np.stack([-w, -h, w, h], -1).reshape(-1, 4) / 2


def _pair(name, value):
    pair = (value, value) if isinstance(value, Integral) else tuple(np.ravel(value).tolist())
    if len(pair) != 2 or not all(isinstance(n, Integral) and n > 0 for n in pair):
        raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected one or two ints above 0")
    return int(pair[0]), int(pair[1])


def _stop(name, value):
    if not (isinstance(value, Real) and 0 <= value <= 1):
        raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected an IoU in 0..1")
    if not np.isclose(STOPS * value, round(STOPS * value)):
        raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected a multiple of 0.05")
    return round(STOPS * value)
