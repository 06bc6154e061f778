"""The figure of a box dragged over a true one: how overlap and distance disagree."""

from html import escape

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.scene import checked_boxes, checked_picture, encoded_picture
from course_lib.web.tables import number, table

__all__ = ["default_presets", "measures", "overlap_and_distance", "overlaps"]

PARTS = ("figure", "pixels", "labels", "scene", "table", "chart", "overlap", "handles")
PARTS += ("overlap-and-distance",)
MARGIN = 0.12  # of the longer side: how far a box may leave the picture
FINE = 100  # pixels of the shorter side, below which a step is half a pixel
SIZE, TRUTH = (200, 320), (100, 60, 190, 140)  # where nothing is given
HEADERS = ("box", "IoU", "L2", "smooth L1", "distance of the centres")


def overlap_and_distance(
    picture=None, truth=None, *, size=None, predicted=None, presets=None, beta=1.0, threshold=0.5
):
    """Drag a predicted box over the true one, and see IoU and the distances side by side.

    Drag the box, or one of its corners; move it with the arrow keys, size it with Shift, or type
    its coordinates. Each place where it came to rest stays as a dot over L2 distance and IoU.

    One can find out

    - that boxes at the same L2 distance may overlap by any amount: a box with one side too far
      out is found by ImageNet's threshold, one moved or too small is not;
    - that the IoU of boxes that do not meet is 0 wherever they are, so that it does not say in
      which direction to go; the distances do;
    - that the same distance is a small error of a large box, and a large one of a small box.

    Parameters
    ----------
    picture : array_like, shape (H, W), (1, H, W), (H, W, 3) or (3, H, W), optional
        What lies below: ink on paper as floats in 0..1, 1 the ink; or a photograph, uint8, or
        with three channels. Shown with at most 480 pixels on a side.
    truth : four numbers, optional
        The true box, ``x1 y1 x2 y2`` in pixels, inside the picture. Without a picture one in the
        middle.
    size : (int, int), optional
        H and W in pixels, where there is no picture.
    predicted : four numbers, optional
        Where the predicted box starts; the true one, moved, where it is not given.
    presets : dict from str to four numbers, optional
        Boxes to choose, by their names. Without them: four at one L2 distance from the true box,
        and two that do not meet it.
    beta : float
        Where smooth L1 turns from a parabola into a line, in pixels.
    threshold : float
        The IoU from which a box counts as right.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a box has no area or lies too far outside, or a shape or number is out of its range.

    References
    ----------
    Girshick (2015), "Fast R-CNN", eq. 3, for smooth L1.
    Russakovsky et al. (2015), section 4.2, for the threshold.
    """
    where = "overlap_and_distance"
    if picture is None and size is None:
        size = SIZE
    picture, size = checked_picture(where, picture, size)
    if truth is None:
        truth = np.rint(np.multiply(TRUTH, [size[1] / SIZE[1], size[0] / SIZE[0]] * 2))
    truth = _one_box("`truth`", truth, size)
    step = 1.0 if min(size) >= FINE else 0.5
    margin = float(step * np.ceil(MARGIN * max(size) / step))
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"{where}: `beta` is {beta!r}, expected pixels above 0")
    if not 0 < threshold < 1:
        raise ValueError(f"{where}: `threshold` is {threshold!r}, expected an IoU between 0 and 1")
    if presets is None:
        groups = default_presets(truth, size, margin, step)
    else:
        groups = [
            ("boxes", {str(k): _one_box("`presets`", v, size, margin) for k, v in presets.items()})
        ]
    boxes = {name: box for _, group in groups for name, box in group.items()}
    start = _one_box("`predicted`", predicted, size, margin) if predicted is not None else None
    if start is None:
        start = next(iter(boxes.values())) if boxes else truth
    rows = [_row(name, truth, box, beta) for name, box in ({"start": start} | boxes).items()]
    title = "A predicted box and the true one: overlap and distances in pixels"
    caption = f"The true box is {_written(truth)}"
    return Figure(
        tag="course-overlap-and-distance",
        parts=PARTS,
        data={
            "scene": encoded_picture(picture, size),
            "truth": truth.tolist(),
            "start": start.tolist(),
            "groups": [
                {"legend": legend, "boxes": {name: box.tolist() for name, box in group.items()}}
                for legend, group in groups
                if group
            ],
            "beta": float(beta),
            "threshold": float(threshold),
            "margin": margin,
            "step": step,
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table(caption, HEADERS, [(escape(first), *rest) for first, *rest in rows])
        + "\n</div>",
        text="\n".join([f"{title}. {caption}.", *(" | ".join(row) for row in (HEADERS, *rows))]),
    )


def measures(truth, box, beta=1.0):
    """Return IoU, and in pixels L2 and smooth L1 of the coordinates, and that of the centres."""
    truth, box = np.asarray(truth, float), np.asarray(box, float)
    sides = np.minimum(truth[2:], box[2:]) - np.maximum(truth[:2], box[:2])
    common = np.prod(np.maximum(sides, 0))
    union = np.prod(truth[2:] - truth[:2]) + np.prod(box[2:] - box[:2]) - common
    apart = np.abs(box - truth)
    smooth = np.where(apart < beta, apart**2 / (2 * beta), apart - beta / 2).sum()
    centres = np.linalg.norm((box - truth).reshape(2, 2).mean(0))
    return common / union, np.linalg.norm(apart), smooth, centres


def overlaps(a, b):
    """Return the IoU of every box of `a`, (R, 4), with every box of `b`, (S, 4): (R, S)."""
    a, b = np.asarray(a, float)[:, None], np.asarray(b, float)
    sides = np.minimum(a[..., 2:], b[:, 2:]) - np.maximum(a[..., :2], b[:, :2])
    common = sides.clip(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - common
    return common / np.where(union > 0, union, 1)


def default_presets(truth, size, margin, step):
    """Return pairs of a legend and boxes by name: at one L2 distance, and without overlap.

    All lie inside the picture and its margin, their coordinates in whole steps from the truth.
    """
    low, high = np.full(2, -margin), np.array([size[1], size[0]]) + margin
    before, behind = truth[:2] - low, high - truth[2:]
    width, height = truth[2:] - truth[:2]
    right, down = behind >= before
    most = min(0.35 * width, 0.35 * height, *before, *behind, max(before[0], behind[0]) / 2)
    a = max(step * np.floor(most / step), step)
    along, across = (1 if right else -1), (1 if down else -1)
    out = [0, 0, 2 * a, 0] if right else [-2 * a, 0, 0, 0]
    changes = {
        "moved": np.tile([along * a, across * a], 2),
        "too large": np.array([-a, -a, a, a]),
        "too small": np.array([a, a, -a, -a]),
        "one side out": np.array(out),
    }
    same = {name: truth + change for name, change in changes.items()}
    groups = [(f"L2 {number(2 * a)} px", same)]

    axis, after = max(
        ((k, bool(n)) for k in (0, 1) for n in (0, 1)),
        key=lambda at: (behind if at[1] else before)[at[0]],
    )
    room = (behind if after else before)[axis]
    side = step * np.floor(min((width, height)[axis], 0.4 * room) / step)
    gap = 2 * step
    if side < gap:
        return groups
    apart = {}
    for name, distance in {"near": gap, "far": room - side}.items():
        box = truth.copy()
        start = truth[2 + axis] + distance if after else truth[axis] - distance - side
        box[axis], box[2 + axis] = start, start + side
        apart[name] = box
    return [*groups, ("IoU 0", apart)]


def _one_box(what, box, size, margin=0.0):
    boxes = checked_boxes("overlap_and_distance", what, box, size, margin=margin)
    if len(boxes) != 1:
        raise ValueError(
            f"overlap_and_distance: {what} has {len(boxes)} boxes, expected one: x1 y1 x2 y2"
        )
    return boxes[0]


def _row(name, truth, box, beta):
    iou, *distances = measures(truth, box, beta)
    return (f"{name}: {_written(box)}", f"{iou:.3f}", *(f"{d:.1f}" for d in distances))


def _written(box):
    return ", ".join(number(round(float(value), 1)) for value in box)
