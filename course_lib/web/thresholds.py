"""The figure of a detector's thresholds: its boxes, its precision and recall, and the average."""

from html import escape
from numbers import Real

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.overlap import overlaps
from course_lib.web.scene import checked_boxes, checked_picture, encoded_picture
from course_lib.web.tables import table

__all__ = ["judged", "thresholds_and_curve"]

WHERE = "thresholds_and_curve"
MAX_SCENES, MAX_BOXES = 12, 3000
STEPS = 100  # of the slider of the scores
FINE, EXACT = 100, 1_000_000  # parts of a pixel, and of a score, that the page keeps
PARTS = ("figure", "pixels", "labels", "choices", "scene", "table", "chart", "overlap")
PARTS += ("detections", "thresholds-and-curve")
PRESETS = {
    "no NMS": {"nms_threshold": 1.0},
    "NMS 0.3": {"nms_threshold": 0.3},
    "NMS 0": {"nms_threshold": 0.0},
}


def thresholds_and_curve(
    images,
    predictions,
    targets,
    *,
    names=None,
    nms_threshold=0.5,
    score_threshold=None,
    iou_threshold=0.5,
    picture=0,
    presets=None,
):
    """Move the thresholds of a detector, and watch its boxes and its precision-recall curve.

    The boxes of one scene are drawn as what they are: hits, doubles, false alarms; and the objects
    that were missed. The curve is that of all scenes, with the point of the score threshold on it,
    its envelope, and its average precision. A class can be chosen, where there are several;
    without one the curve counts the boxes of all, each matched within its class.

    One can find out

    - that the score threshold moves a point along the curve, and changes the average precision
      only by cutting the curve off, which never makes it larger;
    - that without suppression the doubles, which are false alarms, pull the curve down; and that
      a suppression that is too strict drops objects that stand close together;
    - that boxes that are good enough at an IoU of .5 may not be at .75, and that what was a hit
      then counts twice: as a false alarm, and as a missed object.

    Parameters
    ----------
    images : sequence of array_like, shape (H, W), (1, H, W), (H, W, 3) or (3, H, W)
        The first scenes, one to twelve, which are drawn: ink on paper as floats in 0..1, 1 the ink;
        or photographs, uint8, or with three channels.
    predictions : sequence of dict
        Of each scene, also of those that are not drawn, ``boxes`` (R, 4), ``x1 y1 x2 y2`` in
        pixels, ``scores`` (R,), and ``labels`` (R,) of int, before suppression; at most 3,000 boxes
        in all. Arrays or tensors. The page keeps hundredths of pixels, and millionths of scores.
    targets : sequence of dict
        Of each scene ``boxes`` (G, 4) and ``labels`` (G,). Without labels, here and in
        `predictions`, there is one class.
    names : sequence of str, optional
        What the classes 0, 1, ... are called; their numbers, where it is not given.
    nms_threshold : float
        Where the threshold of the suppression stands at first, a multiple of 0.05 in 0..1: within a
        class, a box whose IoU with a better one is larger goes.
    score_threshold : float, optional
        Where the score threshold stands at first; .5 for scores in 0..1, else 0.
    iou_threshold : {0.5, 0.75}
        The IoU with an object from which a box finds it.
    picture : int
        The scene that is shown at first, from 0.
    presets : dict of str to dict, optional
        Settings to choose by name, each with some of ``nms_threshold``, ``score_threshold``,
        ``iou_threshold`` and ``picture``. Without them: three suppressions.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the scenes do not pair up, shapes disagree, there is no object, a box has no area, a
        score is not finite, or a number is out of its range.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", section 4.2.
    """
    pictures = [checked_picture(WHERE, image) for image in images]
    if not 1 <= len(pictures) <= MAX_SCENES:
        raise ValueError(f"{WHERE}: {len(pictures)} `images`, expected 1 to {MAX_SCENES}")
    if not len(predictions) == len(targets) >= len(pictures):
        raise ValueError(
            f"{WHERE}: {len(pictures)} `images`, {len(predictions)} `predictions` and "
            f"{len(targets)} `targets`, expected as many predictions as targets, and no more images"
        )
    found = [_found(n, p) for n, p in enumerate(predictions)]
    truth = [_objects(f"target {n}", target) for n, target in enumerate(targets)]
    if sum(map(len, found)) > MAX_BOXES:
        raise ValueError(
            f"{WHERE}: {sum(map(len, found)):,} boxes in `predictions`, expected at most "
            f"{MAX_BOXES:,}; leave out those with the lowest scores"
        )
    if not sum(map(len, truth)):
        raise ValueError(f"{WHERE}: there is no object in `targets`, so that there is no recall")
    labels = np.concatenate([part[:, -5] for part in (*found, *truth)]).astype(int)
    if labels.min() < 0 or (names is not None and labels.max() >= len(names)):
        raise ValueError(
            f"{WHERE}: the labels go from {labels.min()} to {labels.max()}, expected 0 to "
            f"{'...' if names is None else len(names) - 1}, one for each of `names`"
        )
    names = [str(n) for n in (range(labels.max() + 1) if names is None else names)]

    scores = np.concatenate([part[:, 0] for part in found]) / EXACT
    stops = _stops(scores)
    if score_threshold is None:
        score_threshold = 0.5 if stops[0] == 0 and stops[-1] == EXACT else 0.0
        score_threshold = min(max(score_threshold, stops[0] / EXACT), stops[-1] / EXACT)
    settings = {
        "nms_threshold": nms_threshold,
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "picture": picture,
    }
    start = _settings("", settings, stops, len(pictures))
    chosen = PRESETS if presets is None else presets
    buttons = {
        str(name): _settings(f" of the preset {name!r}", change, stops, len(pictures))
        for name, change in chosen.items()
    }
    title = f"Boxes of {len(truth)} scenes, by the thresholds"
    headers = ["", "hits", "doubles", "false alarms", "missed objects", "precision", "recall"]
    headers += ["AP, area", "AP, 11 points"]
    ways = {"at first": start} | {name: start | change for name, change in buttons.items()}
    rows = [(name, *_row(found, truth, way, stops)) for name, way in ways.items()]
    return Figure(
        tag="course-thresholds-and-curve",
        parts=PARTS,
        data={
            "scenes": [encoded_picture(*one) for one in pictures],
            "names": names,
            "found": [part.astype(int).ravel().tolist() for part in found],
            "truth": [part.astype(int).ravel().tolist() for part in truth],
            "stops": stops,
            "start": start,
            "presets": list(buttons.items()),
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table(title, headers, [(escape(first), *rest) for first, *rest in rows])
        + "\n</div>",
        text="\n".join([f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )


def judged(found, truth, nms_threshold, iou_threshold):
    """Judge the boxes of one image and one class.

    Parameters
    ----------
    found : array, shape (R, 5)
        Score and ``x1 y1 x2 y2``.
    truth : array, shape (G, 4)
        The objects.
    nms_threshold, iou_threshold : float

    Returns
    -------
    scores : array, shape (K,)
        Of the boxes that suppression leaves, falling.
    kinds : list of str
        ``"hit"``, ``"double"`` or ``"alarm"`` of each.
    """
    found = found[np.argsort(-found[:, 0], kind="stable")]
    iou = overlaps(found[:, 1:], found[:, 1:])
    kept = []
    for n in range(len(found)):
        if not (iou[n, kept] > nms_threshold).any():
            kept.append(n)
    near = overlaps(found[kept, 1:], truth)
    kinds, taken = [], set()
    for row in near:
        nearest = int(row.argmax()) if len(truth) else -1
        enough = nearest >= 0 and row[nearest] >= iou_threshold
        kinds.append(("double" if nearest in taken else "hit") if enough else "alarm")
        if enough:
            taken.add(nearest)
    return found[kept, 0], kinds


def _found(n, prediction):
    """Scores in millionths, labels, and boxes in hundredths of pixels, as whole numbers: (R, 6)."""
    if "scores" not in prediction:
        raise ValueError(f"{WHERE}: prediction {n} has no 'scores'")
    boxes = _objects(f"prediction {n}", prediction)
    scores = np.asarray(prediction["scores"], float)
    if scores.shape != (len(boxes),):
        raise ValueError(
            f"{WHERE}: prediction {n} has scores of shape {scores.shape}, expected "
            f"{(len(boxes),)}, one for each box"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"{WHERE}: prediction {n} has scores that are not finite; drop them first")
    return np.concatenate([np.rint(EXACT * scores)[:, None], boxes], 1)


def _objects(which, given):
    """Labels and boxes of a scene, in hundredths of pixels: (G, 5)."""
    if "boxes" not in given:
        raise ValueError(f"{WHERE}: {which} has no 'boxes'")
    if np.any(np.asarray(given.get("ignore", False))):
        raise ValueError(f"{WHERE}: {which} has objects to 'ignore'; leave such scenes out")
    boxes = np.asarray(given["boxes"], float)
    boxes = checked_boxes(WHERE, which, boxes) if boxes.size else np.empty((0, 4))
    labels = np.asarray(given.get("labels", np.zeros(len(boxes), int)))
    if labels.shape != (len(boxes),):
        raise ValueError(
            f"{WHERE}: {which} has labels of shape {labels.shape}, expected {(len(boxes),)}, "
            f"one for each box"
        )
    return np.concatenate([labels.astype(int)[:, None], np.rint(FINE * boxes)], 1)


def _stops(scores):
    """Where the score threshold can stand, in millionths, rising."""
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        low, high = 0.0, 1.0
    else:
        low, high = np.floor(10 * scores.min()) / 10, np.ceil(10 * scores.max()) / 10
        high = max(high, low + 0.1)
    return np.rint(EXACT * np.linspace(low, high, STEPS + 1)).astype(int).tolist()


def _settings(which, given, stops, pictures):
    """The state of the figure that some settings ask for."""
    state = {}
    for name, value in given.items():
        if not isinstance(value, Real):
            raise ValueError(f"{WHERE}: `{name}`{which} is {value!r}, expected a number")
        if name == "nms_threshold":
            if not (0 <= value <= 1 and np.isclose(20 * value, round(20 * value))):
                raise ValueError(
                    f"{WHERE}: `{name}`{which} is {value!r}, expected a multiple of 0.05 in 0..1"
                )
            state["nms"] = round(20 * value)
        elif name == "score_threshold":
            if not stops[0] <= EXACT * value <= stops[-1]:
                raise ValueError(
                    f"{WHERE}: `{name}`{which} is {value!r}, expected {stops[0] / EXACT:g} to "
                    f"{stops[-1] / EXACT:g}, as the scores"
                )
            state["score"] = int(abs(np.array(stops) - EXACT * value).argmin())
        elif name == "iou_threshold":
            if value not in (0.5, 0.75):
                raise ValueError(f"{WHERE}: `{name}`{which} is {value!r}, expected 0.5 or 0.75")
            state["iou"] = float(value)
        elif name == "picture":
            if value not in range(pictures):
                raise ValueError(
                    f"{WHERE}: `{name}`{which} is {value!r}, expected 0 to {pictures - 1}"
                )
            state["image"] = int(value)
        else:
            raise ValueError(
                f"{WHERE}: there is no setting `{name}`{which}; expected nms_threshold, "
                f"score_threshold, iou_threshold or picture"
            )
    return state


def _row(found, truth, way, stops):
    """What the static form says of a state: of all scenes and classes."""
    scores, kinds = [np.empty(0)], []
    for f, t in zip(found, truth, strict=True):
        for label in np.unique(f[:, 1]):
            mine = f[f[:, 1] == label]
            objects = t[t[:, 0] == label, 1:]
            boxes = np.concatenate([mine[:, :1], mine[:, 2:] / FINE], 1)
            some, what = judged(boxes, objects / FINE, way["nms"] / 20, way["iou"])
            scores.append(some)
            kinds += what
    scores, kinds = np.concatenate(scores), np.array(kinds, str)
    order = np.argsort(-scores, kind="stable")
    objects = sum(map(len, truth))
    hits = np.cumsum(kinds[order] == "hit")
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / objects
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    area = np.diff(recall, prepend=0) @ envelope
    reached = np.searchsorted(recall, np.arange(11) / 10)
    eleven = np.append(envelope, 0)[reached].mean()
    over = kinds[scores >= stops[way["score"]]]
    counts = {kind: int((over == kind).sum()) for kind in ("hit", "double", "alarm")}
    hit = counts["hit"]
    return (
        *map(str, counts.values()),
        str(objects - hit),
        f"{hit / len(over):.2f}" if len(over) else "",
        f"{hit / objects:.2f}",
        f"{area:.3f}",
        f"{eleven:.3f}",
    )
