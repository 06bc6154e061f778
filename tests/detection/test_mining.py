import numpy as np
import pytest
from sklearn.svm import LinearSVC

from course_lib.detection import mine_hard_negatives


def clouds(rng, positives=60, negatives=4000, apart=2.0, values=6):
    """Two clouds of points that overlap somewhat."""
    centre = np.zeros(values)
    centre[:2] = apart
    here, there = rng.standard_normal((positives, values)), rng.standard_normal((negatives, values))
    return here + centre, there


def objective(weight, bias, positives, negatives, C):
    """What the SVM makes small; the bias is shrunk, though a hundred times less."""
    outside = np.maximum(0, 1 - (positives @ weight + bias))
    inside = np.maximum(0, 1 + (negatives @ weight + bias))
    shrunk = weight @ weight + (bias / 10) ** 2
    return shrunk / 2 + C * ((outside**2).sum() + (inside**2).sum())


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_mining_ends_with_the_svm_of_all_negatives(rng, C):
    positives, negatives = clouds(rng)
    mined = mine_hard_negatives(positives, negatives, C=C, start=50, rounds=30)
    assert mined.rounds[-1].found == 0
    x = np.concatenate([positives, negatives])
    y = np.repeat([1, 0], [len(positives), len(negatives)])
    whole = LinearSVC(C=C, dual=False, tol=1e-8, intercept_scaling=10, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(mined.weight, whole.coef_[0], atol=2e-3)
    assert mined.bias == pytest.approx(whole.intercept_[0], abs=2e-3)
    least = objective(whole.coef_[0], whole.intercept_[0], positives, negatives, C)
    assert objective(mined.weight, mined.bias, positives, negatives, C) < least * 1.0001


def test_it_keeps_what_is_inside_the_margin_and_no_more(rng):
    positives, negatives = clouds(rng, apart=3.0)
    mined = mine_hard_negatives(positives, negatives, C=1.0, start=50, rounds=30)
    scores = negatives @ mined.weight + mined.bias
    assert set(np.flatnonzero(scores > -1 + 1e-3)) <= set(mined.hard.tolist())
    assert len(mined.hard) < 0.4 * len(negatives)
    assert len(np.unique(mined.hard)) == len(mined.hard)


def test_a_line_by_hand():
    """Positives at 1, negatives at -1 and, rare, at 0: only with these is the border at 1/2."""
    positives = np.ones((1, 1))
    negatives = np.full((1000, 1), -1.0)
    negatives[-1] = 0.0
    first = mine_hard_negatives(positives, negatives, C=1e4, start=1, rounds=0, seed=1)
    assert first.rounds == []
    assert len(first.hard) == 1
    assert first.weight[0] == pytest.approx(1, abs=1e-2)  # the border in the middle, at 0
    assert first.bias == pytest.approx(0, abs=1e-2)
    mined = mine_hard_negatives(positives, negatives, C=1e4, start=1, seed=1)
    assert mined.weight[0] == pytest.approx(2, rel=0.01)
    assert mined.bias == pytest.approx(-1, rel=0.01)
    assert mined.hard.tolist() == [*first.hard, 999]
    assert mined.rounds == [(1, 1, 0), (2, 0, 0)]


def test_easy_ones_are_dropped():
    """With the border at 0 those at -1 lie on the margin, those at -3 far beyond it."""
    negatives = np.repeat([-3.0, -1.0, 0.0], [500, 300, 1])[:, None]
    draws = (np.random.default_rng(seed).permutation(801)[:400] for seed in range(9))
    seed, first = next((s, draw) for s, draw in enumerate(draws) if 800 not in draw)
    mined = mine_hard_negatives(np.ones((1, 1)), negatives, C=1e4, start=400, seed=seed)
    easy = (first < 500).sum()
    assert mined.rounds == [(400, 1, easy), (401 - easy, 0, 0)]
    assert mined.hard.tolist() == [*sorted(first[first >= 500]), 800]


def test_rounds_and_limit(rng):
    positives, negatives = clouds(rng, apart=1.0)
    mined = mine_hard_negatives(positives, negatives, C=1.0, start=20, rounds=2, limit=30)
    assert len(mined.rounds) == 2
    assert [r.found for r in mined.rounds] == [30, 30]
    assert mined.rounds[0].kept == 20
    assert len(mined.hard) <= 20 + 60


def test_the_hardest_come_first():
    """Two are inside the margin, at .5 and at .9; only one may be added."""
    negatives = np.array([[-1.0], [0.5], [0.9], [-1.0]])
    for seed in range(8):
        mined = mine_hard_negatives(
            np.ones((1, 1)), negatives, C=1.0, start=1, rounds=1, limit=1, seed=seed
        )
        first = np.random.default_rng(seed).permutation(4)[0]
        if first in (0, 3):
            assert 2 in mined.hard
            assert 1 not in mined.hard


class Windows:
    """Negatives that are made only when asked for; counts what was."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __len__(self):
        return len(self.rows)

    def __matmul__(self, weight):
        return self.rows @ weight

    def __getitem__(self, indices):
        self.asked.append(len(indices))
        return self.rows[indices]


def test_negatives_need_not_be_an_array(rng):
    positives, negatives = clouds(rng, apart=3.0)
    windows = Windows(negatives.astype(np.float32))
    mined = mine_hard_negatives(positives, windows, start=50, C=1.0)
    expected = mine_hard_negatives(positives, negatives.astype(np.float32), start=50, C=1.0)
    assert np.array_equal(mined.weight, expected.weight)
    assert max(windows.asked) < len(negatives) / 4


def test_the_same_seed_gives_the_same_svm(rng):
    positives, negatives = clouds(rng)
    how = {"rounds": 0, "start": 9, "C": 1.0}
    one, same = (mine_hard_negatives(positives, negatives, **how) for _ in range(2))
    assert np.array_equal(one.weight, same.weight)
    other = mine_hard_negatives(positives, negatives, **how, seed=1)
    assert not np.array_equal(one.weight, other.weight)


ROWS = np.zeros((2, 3))


@pytest.mark.parametrize(
    "positives, negatives, options, error, message",
    [
        (ROWS[:0], ROWS, {}, ValueError, "`positives` is empty, and a border needs two sides"),
        (ROWS, ROWS[:0], {}, ValueError, "`negatives` is empty"),
        (ROWS, np.zeros((2, 4)), {}, ValueError, r"`negatives` has shape \(2, 4\), .* D = 3"),
        (ROWS[0], ROWS, {}, ValueError, r"`positives` has shape \(3,\), expected \(P, D\)"),
        ([[1.0]], ROWS, {}, TypeError, "`positives` is a list, expected an array"),
        (ROWS * np.nan, ROWS, {}, ValueError, "`positives` holds values that are not finite"),
        (ROWS, ROWS * np.nan, {}, ValueError, "`negatives` holds values that are not finite"),
        (ROWS, ROWS, {"rounds": -1}, ValueError, "`rounds` is -1, expected an int of 0 or more"),
        (ROWS, ROWS, {"start": 0}, ValueError, "`start` is 0, expected an int of 1 or more"),
        (ROWS, ROWS, {"limit": 1.5}, ValueError, "`limit` is 1.5, expected an int of 1 or more"),
        (ROWS, ROWS, {"C": 0}, ValueError, "`C` is 0, expected a positive number"),
        (ROWS, ROWS, {"C": np.nan}, ValueError, "`C` is nan"),
    ],
)
def test_bad_input(positives, negatives, options, error, message):
    with pytest.raises(error, match="mine_hard_negatives: " + message):
        mine_hard_negatives(positives, negatives, **options)


def test_scores_that_are_none(rng):
    class Wrong(Windows):
        def __matmul__(self, weight):
            return np.full(3, np.nan)

    positives, negatives = clouds(rng)
    with pytest.raises(ValueError, match=r"gives scores of shape \(3,\), expected \(4000,\), all"):
        mine_hard_negatives(positives, Wrong(negatives))
