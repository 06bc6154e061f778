"""How good detections are: precision, recall, and average precision after three protocols.

Detections are judged best first. One that overlaps an object enough, which no better one has found,
is a hit; all others are false alarms, a second box on the same object too. What `enough` means, and
what becomes of the second box, is where the protocols differ: :data:`PROTOCOLS`.
"""

from typing import NamedTuple

import numpy as np

from course_lib.detection.boxes import area, check_boxes, check_scores, is_tensor, paired_area
from course_lib.shapes import check_shapes

__all__ = [
    "PROTOCOLS",
    "DetectionScore",
    "PrecisionRecall",
    "average_precision",
    "evaluate_detections",
    "precision_recall",
]

PROTOCOLS = {
    "voc07": "at 11 recalls, 0 to 1, the best precision from there on; PASCAL VOC until 2009",
    "area": "the area under the envelope of the curve; PASCAL VOC since 2010",
    "coco": "at 101 recalls, the mean of the envelope, averaged over IoU .5, .55 .. .95",
}
RECALLS = {"voc07": np.arange(11) / 10, "coco": np.linspace(0, 1, 101)}
COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
COCO_DETECTIONS = 100  # of one class in one image


class PrecisionRecall(NamedTuple):
    """The curve of one class: point i counts the i + 1 best detections of the whole data.

    Attributes
    ----------
    precision, recall : array, shape (R,)
        Share of hits among the detections so far; share of the objects found so far.
    scores : array, shape (R,)
        The score down to which one goes, falling.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray


class DetectionScore(NamedTuple):
    """What :func:`evaluate_detections` found.

    Attributes
    ----------
    mean : float
        Mean average precision over the classes that have objects; NaN if none has.
    by_class : dict of int to float
        Average precision of each of them.
    curves : dict of int to PrecisionRecall
        At the (smallest) threshold of the overlap.
    """

    mean: float
    by_class: dict[int, float]
    curves: dict[int, PrecisionRecall]


def precision_recall(scores, hits, num_objects):
    """Return precision and recall as the threshold on the score goes down.

    Parameters
    ----------
    scores : array, shape (R,)
        Larger is better; of equal scores the first counts as better.
    hits : array of bool, shape (R,)
        Whether a detection found an object that no better one had found.
    num_objects : int
        All objects there are, found or not; at least 1.

    Returns
    -------
    PrecisionRecall

    Raises
    ------
    ValueError
        If the shapes disagree, a score is NaN, or there are more hits than objects.

    Examples
    --------
    >>> curve = precision_recall([0.9, 0.8, 0.7], [True, False, True], num_objects=2)
    >>> curve.precision.round(2), curve.recall
    (array([1.  , 0.5 , 0.67]), array([0.5, 0.5, 1. ]))
    """
    scores, hits = np.asarray(scores, float), np.asarray(hits, bool)
    check_shapes("precision_recall", scores=(scores, "R"), hits=(hits, "R"))
    if num_objects < max(1, hits.sum()):
        raise ValueError(
            f"precision_recall: {hits.sum()} hits among {num_objects} objects; "
            "expected 1 object or more, and one hit for each at the most"
        )
    check_scores("precision_recall", scores)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    return PrecisionRecall(found / np.arange(1, len(found) + 1), found / num_objects, scores[order])


def average_precision(precision, recall, protocol="area"):
    """Return the average precision of a curve: one number for all thresholds on the score.

    A curve has teeth: precision falls with each false alarm and rises with the next hit. All
    protocols smooth it first by its envelope, the best precision at this recall or a larger one.

    Parameters
    ----------
    precision, recall : array, shape (R,)
        From :func:`precision_recall`; recall does not fall. Empty, if nothing was detected.
    protocol : {"area", "voc07", "coco"}
        :data:`PROTOCOLS`; of "coco" this is the part at one threshold of the overlap.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If the shapes disagree, recall falls, or the protocol is unknown.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", section 4.2, for
    the 11 points.
    """
    check_protocol("average_precision", protocol)
    precision, recall = np.asarray(precision, float), np.asarray(recall, float)
    check_shapes("average_precision", precision=(precision, "R"), recall=(recall, "R"))
    if (np.diff(recall) < 0).any():
        raise ValueError("average_precision: `recall` falls; sort the detections by score first")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if protocol == "area":
        return float(np.diff(recall, prepend=0) @ envelope)
    reached = np.searchsorted(recall, RECALLS[protocol], side="left")
    return float(np.append(envelope, 0)[reached].mean())  # 0 at a recall that is never reached


def evaluate_detections(predictions, targets, iou_threshold=None, protocol="area"):
    """Return the mean average precision of detections in many images.

    Parameters
    ----------
    predictions : list of dict
        Of each image ``boxes`` (R, 4), ``x1 y1 x2 y2`` in pixels, ``labels`` (R,) and ``scores``
        (R,), arrays or tensors; R may be 0.
    targets : list of dict
        Of each image ``boxes`` (G, 4) and ``labels`` (G,), and perhaps ``ignore`` (G,) of bool:
        objects that need not be found ("difficult" in VOC, "crowd" in COCO). Who finds them gains
        nothing and loses nothing.
    iou_threshold : float or sequence of float, optional
        The overlap from which on an object is found; by default .5, and for "coco" .5, .55 .. .95,
        over which the average precision is averaged.
    protocol : {"area", "voc07", "coco"}
        :data:`PROTOCOLS`. Those of VOC compare a detection with the object it overlaps most: if
        that was found before, it is a false alarm. COCO's takes the best of those still free, keeps
        the 100 best detections of a class in an image, and measures the overlap with a crowd by the
        share of the detection that lies in it.

    Returns
    -------
    DetectionScore

    Raises
    ------
    ValueError
        If the images do not pair up, shapes disagree, a box is inside out or not finite, a score is
        NaN, a threshold is not in (0, 1], or the protocol is unknown.

    References
    ----------
    Everingham et al. (2010), section 4.2; Lin et al. (2014), "Microsoft COCO", and the evaluation
    code of its authors, which this equals. VOC's adds 1 to the sides of a box; here no pixel is
    added.
    """
    check_protocol("evaluate_detections", protocol)
    thresholds = checked_thresholds(iou_threshold, protocol)
    if len(predictions) != len(targets):
        raise ValueError(
            f"evaluate_detections: {len(predictions)} predictions and {len(targets)} targets, "
            "expected one of each for every image; empty arrays where nothing was detected"
        )
    found, true = gather(predictions, targets)
    keep = best_first(found, COCO_DETECTIONS if protocol == "coco" else None)
    found = Gathered(*(array[keep] for array in found))
    hits, spared = judge(found, true, thresholds, protocol)

    by_class, curves = {}, {}
    for label in np.unique(true.labels[~true.extra]).tolist():
        count = int(((true.labels == label) & ~true.extra).sum())
        mine = found.labels == label
        lines = [
            precision_recall(found.extra[mine & ~spare], hit[mine & ~spare], count)
            for hit, spare in zip(hits, spared, strict=True)
        ]
        values = [average_precision(line.precision, line.recall, protocol) for line in lines]
        by_class[label] = float(np.mean(values))
        curves[label] = lines[int(np.argmin(thresholds))]
    mean = float(np.mean(list(by_class.values()))) if by_class else float("nan")
    return DetectionScore(mean, by_class, curves)


class Gathered(NamedTuple):
    """The boxes of all images, with the image of each; extra are the scores, or what to ignore."""

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    extra: np.ndarray


def gather(predictions, targets):
    """Return the detections and the objects of all images as arrays of NumPy, once checked."""
    found, true = [], []
    for index, (guess, target) in enumerate(zip(predictions, targets, strict=True)):
        where = f"evaluate_detections: image {index}"
        for name, given, keys in (
            ("predictions", guess, ("boxes", "labels", "scores")),
            ("targets", target, ("boxes", "labels")),
        ):
            if missing := [key for key in keys if key not in given]:
                raise ValueError(f"{where}: {missing[0]!r} is missing in its {name}")
        found.append(_arrays(where, "scores", guess["boxes"], guess["labels"], guess["scores"]))
        labels = target["labels"]
        ignore = target.get("ignore", np.zeros(len(labels), bool))
        true.append(_arrays(where, "ignore", target["boxes"], labels, ignore))
    found, true = _joined(found, float), _joined(true, bool)
    for boxes, parts in (("boxes", found), ("objects", true)):
        _check_each(boxes, parts)
    return found, true


def _arrays(where, extra, *values):
    """Boxes, labels and scores (or `ignore`) of one image as arrays, of shapes that agree."""
    boxes, labels, rest = (
        v.detach().cpu().numpy() if is_tensor(v) else np.asarray(v) for v in values
    )
    if not boxes.size:  # an empty list has floats, and one axis
        boxes, labels = boxes.reshape(-1, 4), labels.astype(int) if not labels.size else labels
    R = len(boxes)
    if boxes.shape != (R, 4) or labels.shape != (R,) or rest.shape != (R,):
        names = {"boxes": (boxes, "R 4"), "labels": (labels, "R"), extra: (rest, "R")}
        check_shapes(where, **names)
    return boxes, labels, rest


def _joined(images, dtype):
    """Join the arrays of all images."""
    counts = [len(boxes) for boxes, *_ in images]
    nothing = np.empty((0, 4)), np.empty(0, int), np.empty(0, dtype)
    boxes, labels, extra = map(np.concatenate, zip(nothing, *images, strict=True))
    return Gathered(np.repeat(np.arange(len(counts)), counts), boxes, labels, extra.astype(dtype))


def _check_each(name, gathered):
    """Raise if a box is inside out or a score NaN; the message counts within the image."""
    image, boxes, _, extra = gathered
    fine = (boxes[:, 2:] >= boxes[:, :2]).all(1) & np.isfinite(boxes).all(1) & (extra == extra)
    if not fine.all():
        index = image[fine.argmin()]
        where, mine = f"evaluate_detections: image {index}", image == index
        check_boxes(where, **{name: boxes[mine]})
        check_scores(where, extra[mine])


def best_first(found, most=None):
    """Return the detections by image and class, in these the best first, `most` of them at most."""
    order = np.lexsort((-found.extra, found.labels, found.image))  # the last key sorts first
    rank = rank_in_group(found.image[order], found.labels[order])
    return order if most is None else order[rank < most]


def rank_in_group(image, labels):
    """Return the place of each sorted detection among those of its image and class, from 0."""
    new = np.ones(len(image), bool)
    new[1:] = (image[1:] != image[:-1]) | (labels[1:] != labels[:-1])
    each = np.arange(len(image))
    return each - np.maximum.accumulate(np.where(new, each, 0))


def judge(found, true, thresholds, protocol):
    """Return hits and detections to be left out, ``(T, R)`` each, of sorted detections."""
    shape = len(thresholds), len(found.boxes)
    hits, spared = np.zeros(shape, bool), np.zeros(shape, bool)
    row, column = pairs(found, true)
    if len(row) == 0:
        return hits, spared
    boxes, objects, ignored = found.boxes[row], true.boxes[column], true.extra[column]
    common, area_of_box = paired_area(boxes, objects, np), area(boxes)
    either = area_of_box + area(objects) - common
    overlap = common / np.where(either > 0, either, 1)
    if protocol != "coco":
        match_nearest(row, column, overlap, true.extra, thresholds, hits, spared)
        return hits, spared
    rank = rank_in_group(found.image, found.labels)
    plain = ~ignored
    match_free(row[plain], column[plain], overlap[plain], rank, len(true.boxes), thresholds, hits)
    inside = common[ignored] / np.where(area_of_box > 0, area_of_box, 1)[ignored]
    np.logical_or.at(spared, (slice(None), row[ignored]), inside >= thresholds[:, None])
    return hits, spared & ~hits


def pairs(found, true):
    """Return each detection with each object of its image and class: two arrays of indices.

    Sorted by detection, and for each of them by object.
    """
    _, label = np.unique(np.concatenate([found.labels, true.labels]), return_inverse=True)
    group = np.concatenate([found.image, true.image]) * len(label) + label
    mine, theirs = group[: len(found.labels)], group[len(found.labels) :]
    order = np.argsort(theirs, kind="stable")
    first, after = (np.searchsorted(theirs[order], mine, side) for side in ("left", "right"))
    count = after - first
    row = np.repeat(np.arange(len(mine)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, order[np.repeat(first, count) + within]


def match_nearest(row, column, overlap, ignore, thresholds, hits, spared):
    """Compare each detection with the object that it overlaps most; fills `hits` and `spared`."""
    start = np.flatnonzero(np.diff(row, prepend=-1))
    # The largest overlap comes first, and of equal ones the first object.
    nearest = np.lexsort((column, -overlap, row))[start]
    row, column, overlap = row[nearest], column[nearest], overlap[nearest]
    for threshold, hit, spare in zip(thresholds, hits, spared, strict=True):
        near = overlap >= threshold
        spare[row[near & ignore[column]]] = True
        finds = np.flatnonzero(near)  # of those to be left out it does not matter
        _, first = np.unique(column[finds], return_index=True)
        hit[row[finds[first]]] = True


def match_free(row, column, overlap, rank, num_objects, thresholds, hits):
    """Give each detection the free object that it overlaps most; fills `hits`.

    All groups take turns: first the best detection of each, then the second. Of equal overlaps the
    last object is taken, as COCO's code does.
    """
    free = np.ones((len(thresholds), num_objects), bool)
    turn = rank[row]
    order = np.argsort(turn, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(turn[order])) + 1):
        if len(some) == 0:
            continue
        start = np.flatnonzero(np.diff(row[some], prepend=-1))
        left = np.where(free[:, column[some]], overlap[some], -1.0)
        best = np.maximum.reduceat(left, start, axis=1)
        length = np.diff(start, append=len(some))
        place = np.where(left == np.repeat(best, length, axis=1), np.arange(len(some)), -1)
        last = np.maximum.reduceat(place, start, axis=1)
        t, n = np.nonzero(best >= thresholds[:, None])
        taken = some[last[t, n]]
        hits[t, row[taken]] = True
        free[t, column[taken]] = False


def checked_thresholds(iou_threshold, protocol):
    """Return the thresholds on the overlap as an array, ``(T,)``."""
    if iou_threshold is None:
        return COCO_THRESHOLDS if protocol == "coco" else np.array([0.5])
    thresholds = np.atleast_1d(np.asarray(iou_threshold, float))
    if (
        thresholds.ndim > 1
        or not len(thresholds)
        or not ((thresholds > 0) & (thresholds <= 1)).all()
    ):
        raise ValueError(
            f"evaluate_detections: `iou_threshold` is {iou_threshold}, expected one or several "
            "numbers, larger than 0 and up to 1"
        )
    return thresholds


def check_protocol(where, protocol):
    """Raise unless it is one of :data:`PROTOCOLS`."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"{where}: `protocol` is {protocol!r}, expected one of {list(PROTOCOLS)}")
