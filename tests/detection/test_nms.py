"""Non-maximum suppression, against a slow reference, torchvision's and cases worked by hand."""

import numpy as np
import pytest
import torch
import torchvision

from course_lib.detection import batched_nms, box_iou, nms
from course_lib.detection.nms import overlapping

KINDS = {"numpy": np.asarray, "torch": torch.tensor}
SEVERAL = 1000  # boxes, more than are settled at a time


@pytest.fixture(params=KINDS)
def made(request):
    """Make an array of a list, or another array, in either kind."""
    return KINDS[request.param]


def slow_nms(boxes, scores, threshold):
    """Follow the definition, one pair after another."""
    iou, kept = box_iou(boxes, boxes), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if not kept or iou[kept, i].max() <= threshold:
            kept.append(i)
    return kept


def scattered(rng, count, size=300):
    corner, extent = rng.uniform(0, size, (count, 2)), rng.uniform(size / 60, size / 4, (count, 2))
    return np.concatenate([corner, corner + extent], 1)


def clustered(rng, count):
    return scattered(rng, count // 25)[rng.integers(0, count // 25, count)] + rng.uniform(
        [0, 0, 8, 8], [4, 4, 12, 12], (count, 4)
    )


LAYOUTS = {"scattered": scattered, "clustered": clustered}


def row(*lefts, width=10.0):
    """Return boxes of one row, 10 high, from their left edges."""
    return [[x, 0.0, x + width, 10] for x in lefts]


@pytest.mark.parametrize("threshold", [0, 0.1, 0.5, 0.7, 1])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_it_is_the_slow_one(rng, made, layout, threshold):
    boxes, scores = layout(rng, SEVERAL), rng.random(SEVERAL)
    kept = nms(made(boxes), made(scores), threshold)
    assert type(kept) is type(made(scores))
    assert kept.tolist() == slow_nms(boxes, scores, threshold)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_it_is_torchvision_s(rng, layout, dtype):
    boxes, scores = layout(rng, SEVERAL).astype(dtype), rng.random(SEVERAL).astype(dtype)
    tensors = torch.tensor(boxes), torch.tensor(scores)
    for threshold in (0.3, 0.5, 0.9):
        expected = torchvision.ops.nms(*tensors, threshold).tolist()
        assert nms(boxes, scores, threshold).tolist() == expected
        assert nms(*tensors, threshold).tolist() == expected


def test_far_from_the_origin_and_very_small_boxes(rng):
    """Coordinates in which float32 has steps of 1/128, and boxes of a few steps."""
    boxes = (65_536 + np.round(scattered(rng, SEVERAL, size=2) * 128) / 128).astype(np.float32)
    scores = rng.random(SEVERAL)
    for threshold in (0.2, 0.5, 0.8):
        assert nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_no_pair_is_passed_over_for_being_far_apart(threshold):
    """Boxes that share three edges, the fourth as far apart as the threshold just allows."""
    inner = 10 * threshold + 1e-3  # pixels wide, of the 10 of the outer box
    outer, right = np.array([[0.0, 0, 10, 1]]), np.array([[10 - inner, 0, 10, 1]])
    for pair in ((outer, right), (right, outer)):
        assert [k.tolist() for k in overlapping(*pair, threshold)] == [[0], [0]]
        assert [k.tolist() for k in overlapping(*pair, threshold + 1e-3)] == [[], []]


def test_a_box_that_was_dropped_drops_none(made):
    """A overlaps B, and B overlaps C, by 2/3 each; A and C by 3/7."""
    chain, scores = row(0.0, 2, 4), [0.9, 0.8, 0.7]
    assert nms(made(chain), made(scores), 0.5).tolist() == [0, 2]
    assert nms(made(chain), made(scores), 0.4).tolist() == [0]


def test_a_long_chain_keeps_every_second():
    boxes, scores = np.array(row(*np.arange(0.0, 1200, 3))), np.arange(400)[::-1]
    assert nms(boxes, scores, 0.5).tolist() == list(range(0, 400, 2))


def test_indices_come_best_first(made):
    apart = row(0.0, 20, 40, 60)
    assert nms(made(apart), made([0.2, 0.9, 0.1, 0.5]), 0.5).tolist() == [1, 3, 0, 2]
    assert nms(made(apart), made([2, 9, 1, 5]), 0.5).tolist() == [1, 3, 0, 2]  # whole numbers


def test_of_equal_scores_the_first_is_better(made):
    same = row(0.0, 1, 30, 31)
    assert nms(made(same), made([0.5] * 4), 0.5).tolist() == [0, 2]
    assert nms(made(same), made([0.5, 0.5, 0.1, 0.5]), 0.5).tolist() == [0, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("common", range(1, 10))
def test_an_overlap_of_exactly_the_threshold_is_kept(common, dtype):
    """Two boxes of area 10 in all, of which `common` lie in both, at the threshold common / 10."""
    boxes = np.array([[0, 0, 10, 1], [0, 0, common, 1]], dtype)
    scores = np.array([1, 0.5])
    assert nms(boxes, scores, common / 10).tolist() == [0, 1]
    assert nms(boxes, scores, common / 10 - 0.01).tolist() == [0]


def test_thresholds_of_none_and_all(made):
    boxes, scores = made(row(0.0, 0, 9.5, 10, 30)), made([0.5, 0.4, 0.3, 0.2, 0.1])
    assert nms(boxes, scores, 1).tolist() == [0, 1, 2, 3, 4]
    assert nms(boxes, scores, 0).tolist() == [0, 3, 4]  # touching is no overlap


def test_boxes_without_area_neither_drop_nor_are_dropped(made):
    boxes = [[0.0, 0, 10, 10], [5, 5, 5, 5], [5, 5, 5, 5], [5, 0, 5, 10]]
    for threshold in (0, 0.5):
        assert nms(made(boxes), made([4.0, 3, 2, 1]), threshold).tolist() == [0, 1, 2, 3]


def test_infinite_scores_have_an_order(made):
    assert nms(made(row(0.0, 1, 30)), made([-np.inf, np.inf, 0]), 0.5).tolist() == [1, 2]


def test_no_boxes(made):
    kept = nms(made(np.zeros((0, 4))), made(np.zeros(0)), 0.5)
    assert kept.tolist() == []
    assert "int" in str(kept.dtype)
    none = batched_nms(made(np.zeros((0, 4))), made(np.zeros(0)), made(np.zeros(0, int)), 0.5)
    assert none.tolist() == []


def test_arguments_stay_as_they_are(rng):
    boxes, scores = scattered(rng, 50), rng.random(50)
    copies = boxes.copy(), scores.copy()
    nms(boxes, scores, 0.5)
    np.testing.assert_array_equal(boxes, copies[0])
    np.testing.assert_array_equal(scores, copies[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64])
def test_tensors_of_other_kinds_and_with_gradients(dtype):
    boxes = torch.tensor(row(0.0, 2, 4)).to(dtype)
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7], requires_grad=True), 0.5).tolist() == [0, 2]


def test_groups_do_not_compete(rng, made):
    boxes, scores = scattered(rng, 300), rng.random(300)
    groups = rng.integers(0, 4, 300)
    kept = batched_nms(made(boxes), made(scores), made(groups), 0.3)
    tensors = (torch.tensor(x) for x in (boxes, scores, groups))
    assert kept.tolist() == torchvision.ops.batched_nms(*tensors, 0.3).tolist()
    alone = batched_nms(made(boxes), made(scores), made(groups * 0), 0.3)
    assert alone.tolist() == nms(made(boxes), made(scores), 0.3).tolist()


WRONG = {
    "a score too few": (lambda m: nms(m(row(0.0, 1)), m([1.0]), 0.5), "R = 2 as in `boxes`"),
    "nan": (lambda m: nms(m(row(0.0, 1)), m([1.0, np.nan]), 0.5), "score 1 of `scores` is NaN"),
    "threshold": (lambda m: nms(m(row(0.0)), m([1.0]), 1.5), "`iou_threshold` is 1.5, expected 0"),
    "no threshold": (lambda m: nms(m(row(0.0)), m([1.0]), np.nan), "`iou_threshold` is nan"),
    "inside out": (lambda m: nms(m([[3.0, 0, 2, 1]]), m([1.0]), 0.5), "nms: box 0 of `boxes` is"),
    "groups": (
        lambda m: batched_nms(m(row(0.0)), m([1.0]), m([1, 2]), 0.5),
        r"batched_nms: `groups` has shape \(2,\)",
    ),
    "nan in a group": (
        lambda m: batched_nms(m(row(0.0, 1)), m([0, np.nan]), m([1, 2]), 0.5),
        "batched_nms: score 1 of `scores` is NaN",
    ),
}


@pytest.mark.parametrize("call, message", WRONG.values(), ids=WRONG)
def test_bad_arguments_are_refused(made, call, message):
    with pytest.raises(ValueError, match=message):
        call(made)


def test_arrays_and_tensors_do_not_mix():
    with pytest.raises(TypeError, match="nms: `boxes` is a ndarray, `scores` is a Tensor"):
        nms(np.array(row(0.0)), torch.ones(1), 0.5)
    with pytest.raises(TypeError, match="nms: `boxes` is a list, expected an array"):
        nms(row(0.0), [1.0], 0.5)
