"""How good proposals are, by recall and overlap; and a grid of boxes, which they are to beat."""

import math
from numbers import Integral

import numpy as np

from course_lib.detection.boxes import box_iou, check_boxes, is_tensor
from course_lib.shapes import check_shapes

__all__ = ["grid_boxes", "mean_best_overlap", "proposal_recall"]


def grid_boxes(size, *, sides, ratios=(1.0,), step=0.25, seed=0):
    """Lay boxes of several sizes and shapes over an image, all of it: what proposals are to beat.

    Parameters
    ----------
    size : (int, int)
        H and W of the image, in pixels.
    sides : sequence of float
        Square roots of the boxes' areas, in pixels.
    ratios : sequence of float
        Heights over widths.
    step : float
        How far apart boxes are, in parts of their own width and height.
    seed : int, optional
        Of the order, which is random, since no box is more promising than another; None lays them
        out by `sides`, `ratios`, rows and columns.

    Returns
    -------
    array of float32, shape (R, 4)
        All inside the image, spread evenly from edge to edge; a size and shape that does not fit
        has none.

    Raises
    ------
    ValueError
        If a number is not positive, or `size` is not two.

    Examples
    --------
    >>> grid_boxes((20, 30), sides=(20,), step=0.25, seed=None).tolist()
    [[0.0, 0.0, 20.0, 20.0], [5.0, 0.0, 25.0, 20.0], [10.0, 0.0, 30.0, 20.0]]
    """
    if len(size) != 2 or min(size) <= 0:
        raise ValueError(f"grid_boxes: `size` is {tuple(size)}, expected (H, W), both positive")
    for name, values in {"sides": sides, "ratios": ratios, "step": (step,)}.items():
        if not all(0 < value < math.inf for value in values):
            raise ValueError(f"grid_boxes: `{name}` has {values}, expected positive numbers")
    H, W = size
    grids = [np.zeros((0, 4))]
    for side in sides:
        for ratio in ratios:
            h, w = side * math.sqrt(ratio), side / math.sqrt(ratio)
            if h > H or w > W:
                continue
            y, x = (
                np.linspace(0, room, 1 + math.ceil(room / (step * own) - 1e-9))
                for room, own in ((H - h, h), (W - w, w))
            )
            x, y = (part.ravel() for part in np.meshgrid(x, y))
            grids.append(np.stack([x, y, x + w, y + h], 1))
    boxes = np.concatenate(grids).astype(np.float32)
    return boxes if seed is None else boxes[np.random.default_rng(seed).permutation(len(boxes))]


def proposal_recall(proposals, targets, *, iou_threshold=0.5, limit=None):
    """Return the share of objects that some proposal covers.

    Parameters
    ----------
    proposals : sequence of N arrays or tensors, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels, of each image; R may be 0.
    targets : sequence of N dicts
        ``boxes`` ``(n, 4)``, and perhaps ``ignore`` ``(n,)`` of bool: objects that do not count.
    iou_threshold : float
        The overlap from which on an object is covered; more than 0.
    limit : int, optional
        Only so many of the first proposals of an image.

    Returns
    -------
    float
        0 to 1; NaN if there is no object.

    Raises
    ------
    ValueError
        If the images do not pair up, a box is inside out or not finite, or an option has no
        meaning.

    References
    ----------
    Uijlings et al. (2013), section 5.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(
            f"proposal_recall: `iou_threshold` is {iou_threshold!r}, expected more than 0, up to 1"
        )
    overlaps, _ = best_overlaps("proposal_recall", proposals, targets, limit)
    return float((overlaps >= iou_threshold).mean()) if len(overlaps) else math.nan


def mean_best_overlap(proposals, targets, *, limit=None):
    """Return the mean overlap of an object with its best proposal, averaged over classes: MABO.

    Parameters
    ----------
    proposals : sequence of N arrays or tensors, shape (R, 4)
        As for :func:`proposal_recall`.
    targets : sequence of N dicts
        ``boxes`` ``(n, 4)``, ``labels`` ``(n,)``, and perhaps ``ignore`` ``(n,)`` of bool.
    limit : int, optional
        Only so many of the first proposals of an image.

    Returns
    -------
    float
        0 to 1; NaN if there is no object. A class counts as much as any other, however few objects
        it has.

    Raises
    ------
    ValueError
        As :func:`proposal_recall`; and if labels are missing.

    References
    ----------
    Uijlings et al. (2013), section 5.
    """
    overlaps, labels = best_overlaps("mean_best_overlap", proposals, targets, limit, labelled=True)
    classes = np.unique(labels)
    means = [overlaps[labels == label].mean() for label in classes]
    return float(np.mean(means)) if len(classes) else math.nan


def best_overlaps(where, proposals, targets, limit, labelled=False):
    """Return the overlap of each object with its best proposal, and its label, ``(G,)`` each."""
    if len(proposals) != len(targets):
        raise ValueError(
            f"{where}: {len(proposals)} proposals and {len(targets)} targets, expected one of each "
            f"for every image; an empty array where nothing was proposed"
        )
    if limit is not None and (not isinstance(limit, Integral) or limit < 0):
        raise ValueError(f"{where}: `limit` is {limit!r}, expected a number of boxes, or None")
    overlaps, labels = [np.zeros(0)], [np.zeros(0, int)]
    for index, (boxes, target) in enumerate(zip(proposals, targets, strict=True)):
        here = f"{where}: image {index}"
        for key in ("boxes", "labels") if labelled else ("boxes",):
            if key not in target:
                raise ValueError(f"{here}: {key!r} is missing in its targets")
        boxes, truth = as_boxes(boxes)[:limit], as_boxes(target["boxes"])
        check_boxes(here, proposals=boxes, targets=truth)
        counted = ~np.asarray(target.get("ignore", np.zeros(len(truth), bool)), bool)
        own = np.asarray(target["labels"] if labelled else np.zeros(len(truth), int))
        check_shapes(here, boxes=(truth, "R 4"), labels=(own, "R"), ignore=(counted, "R"))
        overlaps.append(box_iou(truth[counted], boxes).max(1, initial=0))
        labels.append(own[counted])
    return np.concatenate(overlaps), np.concatenate(labels)


def as_boxes(boxes):
    """Return boxes as an array; of an empty list, ``(0, 4)``."""
    boxes = boxes.detach().cpu().numpy() if is_tensor(boxes) else np.asarray(boxes, float)
    return boxes if boxes.size else boxes.reshape(-1, 4)
