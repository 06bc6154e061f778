"""How good detections are: precision, recall, and average precision after three protocols.

Detections are judged best first. One that overlaps an object enough, which no better one has found,
is a hit; all others are false alarms, a second box on the same object too. What `enough` means, and
what becomes of the second box, is where the protocols differ: :data:`PROTOCOLS`.
"""

from typing import NamedTuple

import numpy as np

from course_lib.detection.boxes import area, check_boxes, common_area, iou_block, is_tensor
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
    images = [
        Image(*_checked(index, found, true))
        for index, (found, true) in enumerate(zip(predictions, targets, strict=True))
    ]
    wanted = [image.labels[~image.ignore] for image in images]
    classes, counts = np.unique(np.concatenate([*wanted, np.empty(0, int)]), return_counts=True)
    by_class, curves = {}, {}
    for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
        judged = [_judge(image, label, thresholds, protocol) for image in images]
        scores, hits, counted = (np.concatenate(parts, -1) for parts in zip(*judged, strict=True))
        lines = [
            precision_recall(scores[kept], hit[kept], count)
            for hit, kept in zip(hits, counted, strict=True)
        ]
        by_class[label] = float(
            np.mean([average_precision(line.precision, line.recall, protocol) for line in lines])
        )
        curves[label] = lines[int(np.argmin(thresholds))]
    mean = float(np.mean(list(by_class.values()))) if by_class else float("nan")
    return DetectionScore(mean, by_class, curves)


class Image(NamedTuple):
    """The detections in an image, best first, and its objects, all arrays of NumPy."""

    boxes: np.ndarray
    guesses: np.ndarray
    scores: np.ndarray
    objects: np.ndarray
    labels: np.ndarray
    ignore: np.ndarray


def _checked(index, found, true):
    """The fields of :class:`Image`, from the two dictionaries of image `index`."""
    where = f"evaluate_detections: image {index}"
    for name, given, wanted in (
        ("predictions", found, ("boxes", "labels", "scores")),
        ("targets", true, ("boxes", "labels")),
    ):
        if missing := [key for key in wanted if key not in given]:
            raise ValueError(f"{where}: {missing[0]!r} is missing in its {name}")
    boxes, guesses, scores = (
        _boxes(found["boxes"]),
        _array(found["labels"]),
        _array(found["scores"]),
    )
    objects, labels = _boxes(true["boxes"]), _array(true["labels"])
    ignore = _array(true.get("ignore", np.zeros(len(labels), bool))).astype(bool)
    check_boxes(where, boxes=boxes)
    check_boxes(where, objects=objects)
    check_shapes(where, boxes=(boxes, "R 4"), labels=(guesses, "R"), scores=(scores, "R"))
    check_shapes(where, objects=(objects, "G 4"), labels=(labels, "G"), ignore=(ignore, "G"))
    check_scores(where, scores)
    order = np.argsort(-scores, kind="stable")
    return boxes[order], guesses[order], scores[order], objects, labels, ignore


def _array(values):
    """Values as an array of NumPy, on the CPU, without gradients."""
    return values.detach().cpu().numpy() if is_tensor(values) else np.asarray(values)


def _boxes(values):
    """Boxes as an array of NumPy; an empty list is no boxes."""
    values = _array(values)
    return values if values.size else values.reshape(-1, 4)


def _judge(image, label, thresholds, protocol):
    """Scores ``(R,)``, hits and what counts at all ``(T, R)``, of one class in one image."""
    mine, true = image.guesses == label, image.labels == label
    if protocol == "coco":
        mine = mine & (np.cumsum(mine) <= COCO_DETECTIONS)
    boxes, objects, ignore = image.boxes[mine], image.objects[true], image.ignore[true]
    match = _match_free if protocol == "coco" else _match_nearest
    hits = np.zeros((len(thresholds), len(boxes)), bool)
    spared = np.zeros_like(hits)
    if len(boxes) and len(objects):
        match(boxes, objects, ignore, thresholds, hits, spared)
    return image.scores[mine], hits, ~spared


def _match_nearest(boxes, objects, ignore, thresholds, hits, spared):
    """Compare each box with the object that it overlaps most; fills `hits` and `spared`."""
    iou = iou_block(boxes, objects, np)
    nearest = iou.argmax(1)
    near = iou[np.arange(len(boxes)), nearest] >= thresholds[:, None]
    spared |= near & ignore[nearest]
    for hit, close in zip(hits, near & ~ignore[nearest], strict=True):
        rows = np.flatnonzero(close)
        _, first = np.unique(nearest[rows], return_index=True)
        hit[rows[first]] = True


def _match_free(boxes, objects, ignore, thresholds, hits, spared):
    """Give each box the free object that it overlaps most; fills `hits` and `spared`.

    Of equal overlaps the last object is taken, as COCO's code does.
    """
    iou, crowd = iou_block(boxes, objects[~ignore], np)[:, ::-1], share(boxes, objects[ignore])
    free, each = np.ones((len(thresholds), iou.shape[1]), bool), np.arange(len(thresholds))
    for row in np.flatnonzero(iou.max(1, initial=0) >= thresholds.min()):
        overlap = np.where(free, iou[row], -1)
        best = overlap.argmax(1)
        hit = overlap[each, best] >= thresholds
        hits[hit, row] = True
        free[each[hit], best[hit]] = False
    if crowd.size:
        spared |= (crowd.max(1) >= thresholds[:, None]) & ~hits


def share(boxes, regions):
    """Return which part of each box lies in each region, ``(R, S)``; 0 for a box without area."""
    common = common_area(boxes, regions, np)
    whole = area(boxes)[:, None]
    return common / np.where(whole > 0, whole, 1)


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


def check_scores(where, scores):
    """Raise if a score is NaN: it is neither better nor worse than another."""
    if np.isnan(scores).any():
        row = int(np.flatnonzero(np.isnan(scores))[0])
        raise ValueError(
            f"{where}: score {row} is NaN; drop such boxes first, or mend what made them"
        )
