"""The figure of a window that moves over a scene while its regressed box stays on the object."""

from numbers import Real

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.overlap import measures
from course_lib.web.scene import checked_boxes, checked_picture, encoded_picture
from course_lib.web.tables import number, table

__all__ = ["mean_box", "spread", "window_and_box"]

STOPS = np.arange(1, 20) / 20  # where the threshold can stand
MAX_CELLS = 900
SHOWN = (0.1, 0.3, 0.5, 0.7, 0.9)  # thresholds of the static form
WHERE = "window_and_box"


def window_and_box(
    picture, scores, boxes, *, window, stride, origin=(0, 0), truth=None, threshold=0.5, merge=None
):
    """Move the window of a dense evaluation over a scene, and watch its box stay on the object.

    Drag the window, use the arrow keys or the sliders, or choose a cell in the map of scores. The
    windows and boxes of all cells above a threshold can be shown at once, the boxes by their
    scores, with the box that they are merged to.

    One can find out

    - that the scores tile the scene, one for each window, while the boxes of all windows that see
      the object nearly coincide: a window answers where the object is, not where it is itself;
    - how far that goes: a window that sees but a part of the object puts the box where it guesses
      the rest, and one that sees nothing puts it anywhere, with a low score;
    - that the merged box fits better than most of those that it is made of.

    Parameters
    ----------
    picture : array_like, shape (H, W), (1, H, W), (H, W, 3) or (3, H, W)
        The scene: ink on paper as floats in 0..1, 1 the ink; or a photograph, uint8, or with three
        channels.
    scores : array_like, shape (h, w)
        In 0..1: how sure the network is of its class in each window; at most 900 in all.
    boxes : array_like, shape (h, w, 4)
        ``x1 y1 x2 y2`` in pixels of the scene; shown to a tenth of a pixel.
    window, stride : number or (number, number)
        Side of the window, or its rows and columns; and its steps down and right; in pixels.
    origin : (number, number)
        x and y of the first window's upper left corner, in pixels.
    truth : array_like, shape (4,) or (R, 4), optional
        The true boxes, ``x1 y1 x2 y2`` in pixels.
    threshold : float
        Where the threshold stands at first: a multiple of 0.05.
    merge : function (boxes, scores) -> boxes, optional
        Makes of the boxes (R, 4) that reach the threshold, and their scores (R,), the merged ones,
        (M, 4) or a tuple that begins with them. It is called now, for each threshold. Without it:
        the mean of the boxes, weighted by their scores.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If shapes do not fit, the windows leave the scene, or a number is out of its range.

    References
    ----------
    Sermanet et al. (2014), "OverFeat", section 4.
    """
    picture, size = checked_picture(WHERE, picture)
    scores, boxes = np.array(scores, float), np.array(boxes, float)
    if scores.ndim != 2 or not 1 <= scores.size <= MAX_CELLS:
        raise ValueError(
            f"{WHERE}: `scores` has shape {scores.shape}, expected (h, w) with 1 to {MAX_CELLS} "
            f"cells"
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(f"{WHERE}: `scores` has numbers outside 0..1; take the softmax of them")
    if boxes.shape != (*scores.shape, 4):
        raise ValueError(
            f"{WHERE}: `boxes` has shape {boxes.shape}, expected {(*scores.shape, 4)}, x1 y1 x2 y2 "
            f"for each cell of `scores`"
        )
    scores, boxes = scores.round(3), boxes.round(1)
    checked_boxes(WHERE, "`boxes`", boxes.reshape(-1, 4))
    window, stride = _pair("window", window), _pair("stride", stride)
    origin = tuple(float(value) for value in origin)
    _check_inside(size, scores.shape, window, stride, origin)
    truth = np.empty((0, 4)) if truth is None else checked_boxes(WHERE, "`truth`", truth, size)
    at = np.flatnonzero(np.isclose(STOPS, threshold))
    if not at.size:
        raise ValueError(
            f"{WHERE}: `threshold` is {threshold!r}, expected a multiple of 0.05 between 0 and 1"
        )

    flat, s = boxes.reshape(-1, 4), scores.ravel()
    merged = [_merged(merge or mean_box, flat[s >= t], s[s >= t]) for t in STOPS]
    windows = _windows(scores.shape, window, stride, origin)
    title = "Windows and their boxes, by the threshold of the score"
    rows = [
        _row(t, s >= t, windows, flat, merged[i], truth)
        for i, t in enumerate(STOPS)
        if any(np.isclose(t, SHOWN))
    ]
    headers = ["score at least", "windows", "their centres spread over", "those of the boxes"]
    headers += ["merged to"] + (["IoU with the truth"] if len(truth) else [])
    return Figure(
        tag="course-window-and-box",
        parts=("figure", "pixels", "labels", "scene", "overlap", "window-and-box"),
        data={
            "scene": encoded_picture(picture, size),
            "shape": list(scores.shape),
            "scores": np.rint(1000 * s).astype(int).tolist(),
            "boxes": np.rint(10 * flat).astype(int).ravel().tolist(),
            "window": window,
            "stride": stride,
            "origin": origin,
            "truth": truth.tolist(),
            "stops": STOPS.tolist(),
            "stop": int(at[0]),
            "merged": [m.tolist() for m in merged],
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table(title, headers, rows)
        + "\n</div>",
        text="\n".join([f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )


def mean_box(boxes, scores):
    """Return the mean of boxes (R, 4), weighted by their scores (R,), as one box, (1, 4)."""
    return (scores @ boxes / scores.sum())[None]


def spread(boxes, merged):
    """Return how far centres of boxes (R, 4) lie from the mean of their group, in pixels.

    As the root of the mean square. A box belongs to the merged one whose centre is nearest.
    """
    return _spread(_centres(boxes), _nearest(boxes, merged))


def _merged(merge, boxes, scores):
    if not len(boxes):
        return np.empty((0, 4))
    found = merge(boxes, scores)
    found = found[0] if isinstance(found, tuple) else found
    return checked_boxes(WHERE, "what `merge` returns", np.asarray(found, float)).round(1)


def _windows(shape, window, stride, origin):
    """The windows of all cells, row by row: (h * w, 4)."""
    rows, columns = np.indices(shape).reshape(2, -1)
    corner = np.stack([origin[0] + stride[1] * columns, origin[1] + stride[0] * rows], 1)
    return np.concatenate([corner, corner + window[::-1]], 1)


def _row(threshold, over, windows, boxes, merged, truth):
    name, count = number(round(float(threshold), 2)), str(over.sum())
    if not over.any():
        return (name, count, *[""] * (4 if len(truth) else 3))
    groups = _nearest(boxes[over], merged)
    spreads = (f"{_spread(_centres(b[over]), groups):.1f} px" for b in (windows, boxes))
    texts = [", ".join(number(float(value)) for value in box.round()) for box in merged]
    fits = [f"{max(measures(t, box)[0] for t in truth):.2f}" for box in merged if len(truth)]
    return (name, count, *spreads, "; ".join(texts), *(["; ".join(fits)] if fits else []))


def _centres(boxes):
    return boxes.reshape(-1, 2, 2).mean(1)


def _nearest(boxes, merged):
    far = np.linalg.norm(_centres(boxes)[:, None] - _centres(merged), axis=2)
    return far.argmin(1)


def _spread(centres, groups):
    apart = [centres[groups == g] - centres[groups == g].mean(0) for g in np.unique(groups)]
    return np.sqrt((np.concatenate(apart) ** 2).sum(1).mean())


def _pair(name, value):
    pair = (value, value) if isinstance(value, Real) else tuple(value)
    if len(pair) != 2 or not all(np.isfinite(side) and side > 0 for side in pair):
        raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected one or two positive numbers")
    return tuple(float(side) for side in pair)


def _check_inside(size, shape, window, stride, origin):
    """Raise if the windows leave the scene by more than a step."""
    for axis, name in enumerate(("rows", "columns")):
        start = origin[1 - axis]
        end = start + (shape[axis] - 1) * stride[axis] + window[axis]
        if start < -stride[axis] or end > size[axis] + stride[axis]:
            raise ValueError(
                f"{WHERE}: the windows go from {start:g} to {end:g} along the {size[axis]} {name} "
                f"of the scene; `window`, `stride` and `origin` are to be in its pixels"
            )
