"""Non-maximum suppression: of boxes that overlap much, keep the one with the best score.

Boxes are settled a block at a time, best first. What a block keeps is compared with all that is
left: a comparison without a division finds the few pairs that may overlap too much, and only of
those the overlap is computed, as :func:`course_lib.detection.box_iou` does.
"""

import numpy as np

from course_lib.detection.boxes import (
    area,
    check_boxes,
    check_one_kind,
    check_scores,
    is_tensor,
    namespace,
    paired_area,
)
from course_lib.shapes import check_shapes

__all__ = ["batched_nms", "nms"]

FIRST, LARGEST = 128, 256  # boxes that are settled at a time: few at first, which drop most
PAIRS = 1 << 15  # pairs compared at a time, which stay in a core's cache
SLACK = 1e-3  # of an overlap, or of a width: far more than rounding in float32 can be
TINY = 1e-20  # an overlap of 0, as far as a quotient is concerned


def nms(boxes, scores, iou_threshold):
    """Keep the best box, drop what overlaps it too much, and go on with the best of the rest.

    A box that was dropped drops no other: of a chain A, B, C in which each overlaps the next, A and
    C stay. The work is done by NumPy, on the CPU, for tensors too.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    scores : array or tensor, shape (R,)
        Larger is better; of equal scores the first counts as better.
    iou_threshold : float
        0 to 1. A box is dropped if its overlap with a kept one is *larger* than this, in the
        precision of the boxes.

    Returns
    -------
    array or tensor of int, shape (K,)
        Indices of the boxes that are kept, best first; a tensor's, on its device.

    Raises
    ------
    TypeError
        If one is no array, or they are of two kinds.
    ValueError
        If shapes disagree, a box is inside out or not finite, a score is NaN, or the threshold is
        not between 0 and 1.

    References
    ----------
    Felzenszwalb et al. (2010), "Object Detection with Discriminatively Trained Part-Based Models",
    greedily by score; with the overlap as IoU as in R-CNN (Girshick et al., 2014, section 2.2).
    """
    check_shapes("nms", boxes=(boxes, "R 4"), scores=(scores, "R"))
    check_one_kind("nms", boxes=boxes, scores=scores)
    check_boxes("nms", boxes=boxes)
    check_scores("nms", scores)
    check_threshold("nms", iou_threshold)
    if not is_tensor(boxes):
        return suppressed(boxes, scores, iou_threshold)
    kept = suppressed(as_array(boxes), as_array(scores), iou_threshold)
    return namespace(boxes).from_numpy(kept).to(boxes.device)


def batched_nms(boxes, scores, groups, iou_threshold):
    """Suppress within each group only: boxes of two classes, or of two images, do not compete.

    Parameters
    ----------
    boxes, scores, iou_threshold
        As for :func:`nms`.
    groups : array or tensor of int, shape (R,)
        The class, or the image, of each box.

    Returns
    -------
    array or tensor of int, shape (K,)
        Indices of the boxes that are kept, best first, the groups mixed.

    Raises
    ------
    TypeError, ValueError
        As :func:`nms`.
    """
    check_shapes("batched_nms", boxes=(boxes, "R 4"), scores=(scores, "R"), groups=(groups, "R"))
    check_one_kind("batched_nms", boxes=boxes, scores=scores, groups=groups)
    check_scores("batched_nms", scores)
    check_threshold("batched_nms", iou_threshold)
    xp = namespace(boxes)
    kept = groups != groups  # nobody yet
    for group in xp.unique(groups):
        (members,) = xp.where(groups == group)
        kept[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = best_first(scores)
    return order[kept[order]]


def suppressed(boxes, scores, threshold):
    """Return the indices of the boxes that stay, of arrays that were checked."""
    order = best_first(scores)
    boxes = boxes[order].astype(np.result_type(boxes, np.float32), copy=False)
    alive, kept = np.ones(len(order), bool), [np.arange(0)]
    rest = np.argsort(boxes[:, 0], kind="stable")  # from left to right: see `overlapping`
    size = FIRST
    while len(rest):
        block = np.flatnonzero(alive)[:size]
        winners = block[settled(boxes[block], threshold)]
        kept.append(winners)
        alive[block] = False
        rest = rest[alive[rest]]
        alive[rest[overlapping(boxes[winners], boxes[rest], threshold)[1]]] = False
        rest = rest[alive[rest]]
        size = min(2 * size, LARGEST)
    return order[np.concatenate(kept)]


def settled(boxes, threshold):
    """Return which of a few boxes, best first, are kept."""
    kept = [True] * len(boxes)
    i, j = overlapping(boxes, boxes, threshold)
    later = i < j
    # The pairs come by rising i: when one is reached, all is known about its first box.
    for better, worse in zip(i[later].tolist(), j[later].tolist(), strict=True):
        if kept[better]:
            kept[worse] = False
    return np.array(kept, bool)


def overlapping(a, b, threshold):
    r"""Return the pairs i, j of which ``a[i]`` overlaps ``b[j]`` more than the threshold.

    Few pairs are compared if `b` goes from left to right. The overlap of two boxes is no larger
    than that of their extents :math:`w` along one axis, and for this to be more than t

    .. math:: |x_a - x_b| < \frac{1 - t}{t} \min(w_a, w_b)
    """
    reach = (a[:, 2] - a[:, 0]) * ((1 - threshold) / max(threshold, TINY) + SLACK)
    step = max(1, PAIRS // max(1, len(a)))
    i, j = [np.arange(0)], [np.arange(0)]
    for start in range(0, len(b), step):
        some = b[start : start + step]
        x = some[:, 0]
        (rows,) = np.nonzero((a[:, 0] - x.max() < reach) & (x.min() - a[:, 0] < reach))
        row, column = near(a[rows], some, threshold)
        i.append(rows[row])
        j.append(column + start)
    i, j = np.concatenate(i), np.concatenate(j)
    common = paired_area(a[i], b[j], np)
    over = common / (area(a)[i] + area(b)[j] - common) > threshold
    return i[over], j[over]


def near(a, b, threshold):
    r"""Return the pairs i, j that may overlap more than the threshold, few of them wrongly.

    .. math:: \frac{c}{a + b - c} > t \iff c > \frac{t}{1 + t} (a + b)
    """
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T[..., None], b.T.copy()  # not strided
    common, side, other = (np.empty((len(a), len(b)), a.dtype) for _ in range(3))
    np.minimum(ax2, bx2, out=common)
    np.subtract(common, np.maximum(ax1, bx1, out=other), out=common)
    np.minimum(ay2, by2, out=side)
    np.subtract(side, np.maximum(ay1, by1, out=other), out=side)
    np.maximum(common, 0, out=common)  # two negative sides have a positive product; one is enough
    np.multiply(common, side, out=common)
    share = a.dtype.type(threshold / (1 + threshold) * (1 - SLACK))
    np.add((share * area(a))[:, None], share * area(b), out=other)
    return np.divmod(np.flatnonzero(common > other), max(1, len(b)))


def best_first(scores):
    """Return the order of falling scores; equal ones keep theirs."""
    if is_tensor(scores):
        return scores.argsort(descending=True, stable=True)
    return len(scores) - 1 - np.argsort(scores[::-1], kind="stable")[::-1]


def as_array(tensor):
    """Return a tensor's numbers as an array; NumPy has no floats shorter than float16."""
    tensor = tensor.detach().cpu()
    return (
        tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor
    ).numpy()


def check_threshold(where, value):
    """Raise unless an overlap can be as large as this, and as small."""
    if not 0 <= value <= 1:  # NaN is not
        raise ValueError(f"{where}: `iou_threshold` is {value}, expected 0 to 1")
