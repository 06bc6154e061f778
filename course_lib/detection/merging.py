"""Boxes merged, not suppressed: what many windows say of one object is averaged and added up."""

from typing import NamedTuple

import numpy as np

from course_lib.detection.boxes import area, check_boxes, common_area, is_tensor, namespace
from course_lib.shapes import check_array

__all__ = ["Merged", "match_score", "merge_boxes"]

WEIGHTS = ("confidence", "members", "pair")


class Merged(NamedTuple):
    """What :func:`merge_boxes` leaves of R boxes: M, the one with the largest score first.

    boxes  : ``(M, 4)``, ``x1 y1 x2 y2`` in pixels
    scores : ``(M,)`` or ``(M, K)``, the sums over the members
    groups : ``(R,)``, for each box that came in the row into which it went
    """

    boxes: np.ndarray
    scores: np.ndarray
    groups: np.ndarray


def match_score(a, b):
    r"""Return how badly every box of `a` matches every box of `b`: 0 if they are equal.

    .. math::
        \frac{2\,\|c_A - c_B\|}{\sqrt{|A|} + \sqrt{|B|}}
        + 1 - \frac{2\,|A \cap B|}{|A| + |B|}

    The paper uses "the sum of the distance between centers of the two bounding boxes and the
    intersection area of the boxes", and merges the two whose sum is the least. Taken at its word
    this would favour boxes that do not meet, and add pixels to square pixels. Here the distance is
    in units of the mean side, and the intersection, as a share of the mean area, is what is missing
    of 1: a number that does not change when the image is enlarged. Boxes that do not meet have more
    than 1.

    Parameters
    ----------
    a : array or tensor, shape (R, 4)
    b : array or tensor, shape (S, 4)
        ``x1 y1 x2 y2`` in pixels; both arrays, or both tensors on one device.

    Returns
    -------
    array or tensor, shape (R, S)

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`.

    References
    ----------
    P. Sermanet et al. (2014), "OverFeat", section 4.3.

    Examples
    --------
    >>> a = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> match_score(a, a + [2.0, 0.0, 2.0, 0.0])  # a fifth of the side, and a fifth of the area
    array([[0.4]])
    """
    check_boxes("match_score", a=a, b=b)
    return matches(a, b, namespace(a))


def matches(a, b, xp):
    """Return the scores ``(R, S)``, without a check."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T[..., None], b.T
    across, down = ((ax1 + ax2) - (bx1 + bx2)) / 2, ((ay1 + ay2) - (by1 + by2)) / 2
    mine, theirs = area(a)[:, None], area(b)
    side, both = (mine**0.5 + theirs**0.5) / 2, (mine + theirs) / 2
    side, both = (xp.where(size > 0, size, 1) for size in (side, both))
    return xp.sqrt(across**2 + down**2) / side + 1 - common_area(a, b, xp) / both


def merge_boxes(boxes, scores, *, threshold=0.5, weights="confidence"):
    """Merge the two boxes that match best, again and again, until the best is not good enough.

    A merged box is an average of the two, and its score the sum of theirs: agreement makes
    confidence, where suppression would throw it away.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    scores : array or tensor, shape (R,) or (R, K)
        Positive: of the object, or of each of K classes. The class of a merged box is then that of
        the largest sum.
    threshold : float
        The largest :func:`match_score` at which two boxes are merged; 0.5 is a shift by a quarter
        of the side.
    weights : {"confidence", "members", "pair"}
        What a box weighs in an average: its score (its largest, of K); how many boxes it has been
        merged from, so that all count alike; or as much as the other, as the paper says, so that
        those that come last count most.

    Returns
    -------
    Merged
        In arrays or tensors, as what came in.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`; and if the scores do not belong to the boxes or are negative, or a
        setting has no meaning.

    References
    ----------
    Sermanet et al. (2014), section 4.3, steps (d) to (g).
    """
    check_boxes("merge_boxes", boxes=boxes)
    check_array("merge_boxes", "scores", scores)
    if scores.ndim not in (1, 2) or len(scores) != len(boxes):
        raise ValueError(
            f"merge_boxes: `scores` has shape {tuple(scores.shape)}, expected (R,) or (R, K) with "
            f"R = {len(boxes)} as in `boxes`"
        )
    if weights not in WEIGHTS:
        raise ValueError(
            f"merge_boxes: `weights` is {weights!r}, expected {', '.join(map(repr, WEIGHTS))}"
        )
    if not threshold >= 0:
        raise ValueError(f"merge_boxes: `threshold` is {threshold!r}, expected 0 or more")
    kept = [
        array.detach().cpu().numpy() if is_tensor(array) else array for array in (boxes, scores)
    ]
    merged = _merged(*(array.astype(np.float64) for array in kept), threshold, weights)
    if not is_tensor(boxes):
        return Merged(merged[0].astype(boxes.dtype), merged[1].astype(scores.dtype), merged[2])
    torch = namespace(boxes)
    return Merged(
        torch.as_tensor(merged[0]).to(boxes),
        torch.as_tensor(merged[1]).to(scores),
        torch.as_tensor(merged[2], device=boxes.device),
    )


def _merged(boxes, scores, threshold, weights):
    """The merging itself, in float64; the rows of boxes that went into others are skipped."""
    R = len(boxes)
    table = scores.reshape(R, *scores.shape[1:] or (1,)).copy()
    if (table < 0).any() or not np.isfinite(table).all():
        raise ValueError("merge_boxes: `scores` has negative or infinite entries; use softmax")
    weight = table.max(1, initial=0) if weights == "confidence" else np.ones(R)
    boxes, groups, alive = boxes.copy(), np.arange(R), np.ones(R, bool)
    match = matches(boxes, boxes, np)
    np.fill_diagonal(match, np.inf)
    least = match.min(1, initial=np.inf)  # of each row, so that a step costs few rows of the table
    while R and least.min() <= threshold:
        i = int(least.argmin())
        j = int(match[i].argmin())
        pair = [i, j]
        total = weight[pair].sum()
        boxes[i] = (weight[pair] / total if total > 0 else np.full(2, 0.5)) @ boxes[pair]
        table[i] += table[j]
        weight[i] = 1 if weights == "pair" else total
        groups[groups == j] = i
        alive[j] = False
        stale = alive & (match[:, pair] == least[:, None]).any(1)  # they matched i or j best
        row = np.where(alive, matches(boxes[i : i + 1], boxes, np)[0], np.inf)
        row[i] = np.inf
        match[j] = match[:, j] = np.inf
        match[i] = match[:, i] = row
        least = np.where(alive, np.minimum(least, row), np.inf)
        least[stale] = match[stale].min(1)
        least[i] = row.min()
    rows = np.unique(groups)
    order = rows[np.argsort(-table[rows].max(1, initial=0), kind="stable")]
    place = np.empty(R, np.int64)
    place[order] = np.arange(len(order))
    return boxes[order], table[order].reshape(len(order), *scores.shape[1:]), place[groups]
