import numpy as np
import pytest
import torch

from course_lib.detection import match_score, merge_boxes

SQUARE = [0.0, 0.0, 10.0, 10.0]


def arr(*boxes):
    return np.array(boxes, float)


def random_boxes(rng, count):
    corners = rng.uniform(0, 40, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(8, 20, (count, 2))], 1)


@pytest.mark.parametrize(
    "other, score",
    [
        (SQUARE, 0.0),
        ([2, 0, 12, 10], 0.2 + 0.2),  # a fifth of the side away, a fifth of the area not shared
        ([3, 4, 13, 14], 0.5 + 1 - 0.42),
        ([2.5, 2.5, 7.5, 7.5], 1 - 25 / 62.5),  # the same centre, a quarter of the area
        ([10, 0, 20, 10], 1.0 + 1),  # they touch
        ([30, 40, 40, 50], 5.0 + 1),
        ([5, 5, 5, 5], 1.0),  # no area
    ],
)
def test_by_hand(other, score):
    np.testing.assert_allclose(match_score(arr(SQUARE), arr(other)), [[score]], atol=1e-12)


def test_no_unit_and_no_order():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 7), random_boxes(rng, 5)
    np.testing.assert_allclose(match_score(7 * a, 7 * b), match_score(a, b))
    np.testing.assert_allclose(match_score(b, a), match_score(a, b).T)
    tensors = match_score(torch.tensor(a), torch.tensor(b))
    np.testing.assert_allclose(tensors.numpy(), match_score(a, b))
    points = arr([1, 1, 1, 1])
    assert match_score(points, points) == 1


def obvious(boxes, scores, threshold, weights):
    """Merge with lists, all pairs anew in every step."""
    rest = [
        (box, score, float(score.max()) if weights == "confidence" else 1, [row])
        for row, (box, score) in enumerate(zip(boxes, scores, strict=True))
    ]
    while len(rest) > 1:
        pairs = [
            (match_score(a[0][None], b[0][None])[0, 0], i, j)
            for i, a in enumerate(rest)
            for j, b in enumerate(rest)
            if i < j
        ]
        best, i, j = min(pairs)
        if best > threshold:
            break
        (one, s1, w1, rows1), (two, s2, w2, rows2) = rest[i], rest[j]
        box = (w1 * one + w2 * two) / (w1 + w2)
        weight = 1 if weights == "pair" else w1 + w2
        rest = [part for k, part in enumerate(rest) if k not in (i, j)]
        rest.append((box, s1 + s2, weight, rows1 + rows2))
    return sorted(rest, key=lambda part: -part[1].max())


@pytest.mark.parametrize("weights", ["confidence", "members", "pair"])
@pytest.mark.parametrize("count", [1, 2, 9, 30])
def test_against_the_obvious(count, weights):
    rng = np.random.default_rng(count)
    boxes, scores = random_boxes(rng, count), rng.random((count, 3))
    merged = merge_boxes(boxes, scores, threshold=0.6, weights=weights)
    expected = obvious(boxes, scores, 0.6, weights)
    np.testing.assert_allclose(merged.boxes, [part[0] for part in expected])
    np.testing.assert_allclose(merged.scores, [part[1] for part in expected])
    for m, (*_, rows) in enumerate(expected):
        assert sorted(rows) == np.flatnonzero(merged.groups == m).tolist()


def test_agreement_makes_confidence():
    """Three that agree beat the one that is surest, which suppression would keep."""
    boxes = arr(SQUARE, [1, 0, 11, 10], [0, 1, 10, 11], [40, 40, 50, 50])
    merged = merge_boxes(boxes, np.array([0.5, 0.25, 0.25, 0.9]))
    np.testing.assert_allclose(merged.scores, [1.0, 0.9])
    np.testing.assert_allclose(merged.boxes[0], [0.25, 0.25, 10.25, 10.25])
    assert merged.groups.tolist() == [0, 0, 0, 1]


def test_classes_are_added_up_before_one_is_chosen():
    boxes = arr(SQUARE, SQUARE, SQUARE)
    scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
    np.testing.assert_allclose(merge_boxes(boxes, scores).scores, [[1.5, 1.5]])


def test_what_a_box_weighs():
    boxes, scores = arr(SQUARE, SQUARE, [1, 1, 11, 11]), np.array([0.2, 0.2, 0.6])
    starts = {w: merge_boxes(boxes, scores, weights=w).boxes[0, 0] for w in WEIGHTS}
    assert starts == pytest.approx({"confidence": 0.6, "members": 1 / 3, "pair": 0.5})


WEIGHTS = ("confidence", "members", "pair")


def test_thresholds():
    boxes, scores = arr(SQUARE, [2, 0, 12, 10]), np.ones(2)  # they match at 0.4
    assert len(merge_boxes(boxes, scores, threshold=0.41).boxes) == 1
    assert len(merge_boxes(boxes, scores, threshold=0.39).boxes) == 2
    assert len(merge_boxes(boxes, scores, threshold=0.0).boxes) == 2


@pytest.mark.parametrize("scores", [np.zeros(0), np.zeros((0, 4))])
def test_nothing(scores):
    merged = merge_boxes(np.zeros((0, 4)), scores)
    assert merged.boxes.shape == (0, 4)
    assert merged.scores.shape == scores.shape
    assert merged.groups.shape == (0,)


def test_scores_of_zero():
    merged = merge_boxes(arr(SQUARE, SQUARE), np.zeros(2))
    np.testing.assert_allclose(merged.boxes, [SQUARE])


def test_tensors():
    rng = np.random.default_rng(3)
    boxes, scores = random_boxes(rng, 20).astype(np.float32), rng.random(20, np.float32)
    arrays = merge_boxes(boxes, scores)
    tensors = merge_boxes(torch.tensor(boxes), torch.tensor(scores))
    for array, tensor in zip(arrays, tensors, strict=True):
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert arrays.boxes.dtype == np.float32
    assert tensors.scores.dtype == torch.float32


def test_what_came_in_stays():
    boxes, scores = arr(SQUARE, [1, 0, 11, 10]), np.ones(2)
    merge_boxes(boxes, scores)
    np.testing.assert_array_equal(boxes, arr(SQUARE, [1, 0, 11, 10]))
    np.testing.assert_array_equal(scores, np.ones(2))


def test_wrong_arguments():
    boxes = arr(SQUARE, SQUARE)
    with pytest.raises(ValueError, match=r"`scores` has shape \(3,\), expected \(R,\) or \(R, K\)"):
        merge_boxes(boxes, np.ones(3))
    with pytest.raises(ValueError, match="`weights` is 'mean', expected 'confidence', 'members'"):
        merge_boxes(boxes, np.ones(2), weights="mean")
    with pytest.raises(ValueError, match="`threshold` is -1, expected 0 or more"):
        merge_boxes(boxes, np.ones(2), threshold=-1)
    with pytest.raises(ValueError, match="`scores` has negative or infinite entries; use softmax"):
        merge_boxes(boxes, np.array([0.5, -1.0]))
    with pytest.raises(ValueError, match=r"match_score: box 0 of `b` is .* expected finite"):
        match_score(boxes, arr([3, 0, 1, 1]))
