"""Hard negatives: of far more windows without an object than fit into memory, those that matter.

A linear SVM is decided by the examples on its margin and beyond. Of a million windows of background
these are a few hundred; the rest might as well not be there, if only one knew which. So one trains
with some, looks for those of the others that come out wrong, and trains again.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from course_lib.shapes import check_array, check_shapes

__all__ = ["LinearClassifier", "MiningRound", "mine_hard_negatives"]

MARGIN = -1.0  # a negative with a lower score leaves the SVM as it is
FOUND = 1e-3  # how far inside the margin it must be, so that the solver's rounding adds nothing
SCALE = 10.0  # of the constant that carries the bias: large, so that it is hardly shrunk


class MiningRound(NamedTuple):
    """One round: negatives trained with, found hard for the first time, and dropped as easy."""

    kept: int
    found: int
    dropped: int


class LinearClassifier(NamedTuple):
    """A linear SVM that :func:`mine_hard_negatives` trained: ``score = x @ weight + bias``.

    weight : ``(D,)`` float64
    bias   : float
    hard   : ``(S,)`` int, the negatives that it was trained with last
    rounds : list of MiningRound
    """

    weight: np.ndarray
    bias: float
    hard: np.ndarray
    rounds: list[MiningRound]


def mine_hard_negatives(positives, negatives, *, C=0.01, rounds=10, start=1000, limit=5000, seed=0):
    r"""Train a linear SVM on positives and on those negatives that it needs.

    Begin with some negatives; then, round by round, drop those that are easy, with a score below
    -1, add those that are hard, the highest scores first, and train anew, until none is new. With
    the loss

    .. math:: \tfrac12 |w|^2 + C \sum_i \max(0, 1 - y_i (w^\top x_i + b))^2

    an easy example contributes nothing. So where mining ends of itself the SVM is the one that all
    negatives would have given.

    Parameters
    ----------
    positives : array, shape (P, D)
    negatives : array, shape (M, D), or what behaves like one
        It is asked for ``len(negatives)``, the scores ``negatives @ weight``, ``(M,)``, and the
        rows ``negatives[indices]``: the windows of many images need never lie in memory at once.
    C : float
        The larger, the less an example may be wrong, and the larger the weights.
    rounds : int
        The most rounds; 0 trains on the first negatives only.
    start : int
        Negatives to begin with, drawn at random.
    limit : int
        The most negatives that a round adds.
    seed : int
        Of that draw.

    Returns
    -------
    LinearClassifier

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, there is no positive or no negative, a number is not finite, or
        an option has no meaning.

    References
    ----------
    N. Dalal & B. Triggs (2005), "Histograms of Oriented Gradients for Human Detection", section 4,
    where there is one round; P. Felzenszwalb et al. (2010), "Object Detection with
    Discriminatively Trained Part-Based Models", section 4.4, where it is proved to end.
    """
    positives = checked(positives, negatives)
    for name, value, least in (("rounds", rounds, 0), ("start", start, 1), ("limit", limit, 1)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(
                f"mine_hard_negatives: `{name}` is {value!r}, expected an int of {least} or more"
            )
    if not 0 < C < np.inf:
        raise ValueError(f"mine_hard_negatives: `C` is {C!r}, expected a positive number")
    rng = np.random.default_rng(seed)
    cache = np.sort(rng.permutation(len(negatives))[:start])
    history = []
    while True:
        weight, bias = svm(positives, negatives[cache], C)
        if len(history) == rounds:
            break
        scores = finite_scores(negatives, weight, bias)
        hard = np.flatnonzero(scores > MARGIN + FOUND)
        new = np.setdiff1d(hard, cache)
        new = new[np.argsort(-scores[new], kind="stable")][:limit]
        easy = scores[cache] < MARGIN - FOUND
        history.append(MiningRound(len(cache), len(new), int(easy.sum()) if len(new) else 0))
        if not len(new):
            break
        cache = np.sort(np.concatenate([cache[~easy], new]))
    return LinearClassifier(weight, bias, cache, history)


def svm(positives, negatives, C):
    """Return weight ``(D,)`` and bias of a linear SVM with squared hinge losses."""
    from sklearn.svm import LinearSVC  # here, since it takes its time to import

    x = np.concatenate([positives, np.asarray(negatives, float)])
    y = np.repeat([1, 0], [len(positives), len(negatives)])
    # The primal solver draws no random numbers, and ends at the optimum rather than at a count.
    solver = LinearSVC(C=C, dual=False, tol=1e-5, intercept_scaling=SCALE, max_iter=10_000)
    solver.fit(x, y)
    return solver.coef_[0], float(solver.intercept_[0])


def finite_scores(negatives, weight, bias):
    """Return the scores ``(M,)`` of all negatives."""
    scores = np.asarray(negatives @ weight, float) + bias
    if scores.shape != (len(negatives),) or not np.isfinite(scores).all():
        raise ValueError(
            f"mine_hard_negatives: `negatives` gives scores of shape {scores.shape}, expected "
            f"({len(negatives)},), all finite; drop windows with NaN first"
        )
    return scores


def checked(positives, negatives):
    """Return the positives as an array of float64, or say what is wrong with either."""
    check_array("mine_hard_negatives", "positives", positives)
    named = {"positives": (positives, "P D")}
    if isinstance(negatives, np.ndarray):
        named["negatives"] = (negatives, "M D")
    check_shapes("mine_hard_negatives", **named)
    for name, rows in {"positives": positives, "negatives": negatives}.items():
        if not len(rows):
            raise ValueError(
                f"mine_hard_negatives: `{name}` is empty, and a border needs two sides; give at "
                f"least one"
            )
    for name, (rows, _) in named.items():
        if not np.isfinite(rows).all():
            raise ValueError(f"mine_hard_negatives: `{name}` holds values that are not finite")
    return np.asarray(positives, float)
