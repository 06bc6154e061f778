"""Anchors and what they stand for, worked by hand, for NumPy and PyTorch alike."""

import numpy as np
import pytest
import torch

from course_lib.detection import (
    anchor_grid,
    anchor_shapes,
    anchors_inside,
    box_iou,
    match_anchors,
)

KINDS = {"numpy": np.asarray, "torch": torch.tensor}
ROW = [[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]]  # three squares side by side


@pytest.fixture(params=KINDS)
def made(request):
    """Make boxes of a list, in either kind of array."""
    return KINDS[request.param]


def listed(matches):
    return [part.tolist() for part in matches]


def test_shapes_have_the_area_of_their_size_and_the_ratio_of_their_sides():
    shapes = anchor_shapes((16, 32), (0.25, 1, 4))
    assert shapes.tolist() == [
        [-16, -4, 16, 4],
        [-8, -8, 8, 8],
        [-4, -16, 4, 16],
        [-32, -8, 32, 8],
        [-16, -16, 16, 16],
        [-8, -32, 8, 32],
    ]
    w, h = (anchor_shapes()[:, 2:] - anchor_shapes()[:, :2]).T
    np.testing.assert_allclose(np.sqrt(w * h), np.repeat([128, 256, 512], 3))
    np.testing.assert_allclose(h / w, np.tile([0.5, 1, 2], 3))


@pytest.mark.parametrize("kind, expected", [(np.asarray, np.ndarray), (torch.tensor, torch.Tensor)])
def test_the_anchors_of_a_map_of_2_by_3_cells(kind, expected):
    """With cells of 4 pixels: centres at x = 2, 6, 10 and y = 2, 6; two shapes in each."""
    anchors = anchor_grid((2, 3), 4, kind([[-1.0, -2, 1, 2], [-3, -3, 3, 3]]))
    assert isinstance(anchors, expected)
    assert anchors.tolist() == [
        *([1, 0, 3, 4], [-1, -1, 5, 5], [5, 0, 7, 4], [3, -1, 9, 5], [9, 0, 11, 4], [7, -1, 13, 5]),
        *([1, 4, 3, 8], [-1, 3, 5, 9], [5, 4, 7, 8], [3, 3, 9, 9], [9, 4, 11, 8], [7, 3, 13, 9]),
    ]


def test_the_stride_may_differ_along_the_axes(made):
    anchors = anchor_grid((2, 1), (4, 10), made([[-1.0, -1, 1, 1]]))
    assert anchors.tolist() == [[4, 1, 6, 3], [4, 5, 6, 7]]


def test_a_map_without_cells_has_no_anchors(made):
    assert tuple(anchor_grid((0, 3), 4, made([[-1.0, -1, 1, 1]])).shape) == (0, 4)


def test_precision_is_that_of_the_shapes(made):
    shapes = made(anchor_shapes((8,), (1,)).astype(np.float32).tolist())
    assert anchor_grid(2, 4, shapes).dtype == shapes.dtype


def test_the_image_of_the_paper():
    """A map of 60 x 40 in round numbers: "roughly 20000 anchors" (section 3.3).

    With cells that are whole there are 20,646. The 6,000 that the paper says are inside would be
    fewer than there are; they can be counted shape by shape.
    """
    anchors = anchor_grid((600 // 16, 1000 // 16), 16, anchor_shapes())
    assert len(anchors) == 37 * 62 * 9 == 20_646
    inside = 0
    for x1, y1, x2, y2 in anchor_shapes():
        columns = sum(16 * j + 8 + x1 >= 0 and 16 * j + 8 + x2 <= 1000 for j in range(62))
        rows = sum(16 * i + 8 + y1 >= 0 and 16 * i + 8 + y2 <= 600 for i in range(37))
        inside += columns * rows
    assert anchors_inside(anchors, (600, 1000)).sum() == inside == 8_044


def test_inside_includes_the_border(made):
    boxes = [[0.0, 0, 20, 10], [-0.5, 0, 5, 5], [0, -0.5, 5, 5], [5, 5, 20.5, 9], [5, 5, 9, 10.5]]
    assert anchors_inside(made(boxes), (10, 20)).tolist() == [True, False, False, False, False]


def test_an_image_smaller_than_the_anchors_has_none_inside(made):
    anchors = anchor_grid((2, 2), 16, made(anchor_shapes().tolist()))
    assert not anchors_inside(anchors, (32, 32)).any()


def test_labels_against_overlap(made):
    """The object is the first square; the others overlap it 0.8, 0.5, 0.25 and not at all."""
    anchors = [[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 2.5], [10, 0, 20, 10]]
    matches = match_anchors(made(anchors), made([[0.0, 0, 10, 10]]))
    assert listed(matches)[0] == [1, 1, -1, 0, 0]
    assert listed(matches)[1] == [0, 0, 0, 0, -1]
    assert listed(matches)[2] == pytest.approx([1, 0.8, 0.5, 0.25, 0])


@pytest.mark.parametrize("height, label", [(7.5, -1), (7.625, 1), (2.5, -1), (2.375, 0)])
def test_an_overlap_of_exactly_the_threshold_is_neither(made, height, label):
    """Quarters and eighths are exact in binary; the first anchor is the object's best."""
    anchors = made([[0.0, 0, 10, 10], [0, 0, 10, height]])
    matches = match_anchors(anchors, made([[0.0, 0, 10, 10]]), positive=0.75, negative=0.25)
    assert matches.labels.tolist() == [1, label]


def test_an_object_gets_its_best_anchor_however_small_the_overlap(made):
    """A small object in the second square: 4 of 100 square pixels, far below `negative`."""
    truth = made([[12.0, 2, 14, 4]])
    assert listed(match_anchors(made(ROW), truth))[:2] == [[0, 1, 0], [-1, 0, -1]]
    assert match_anchors(made(ROW), truth, best=False).labels.tolist() == [0, 0, 0]


def test_all_of_the_best_anchors_count_if_they_are_equal(made):
    """An object across the edge of two squares overlaps both 1/3."""
    matches = match_anchors(made(ROW), made([[5.0, 0, 15, 10]]))
    assert matches.labels.tolist() == [1, 1, 0]
    assert matches.iou.tolist() == pytest.approx([1 / 3, 1 / 3, 0])


def test_an_object_that_no_anchor_meets_makes_nothing_positive(made):
    """All anchors overlap it equally, with 0: the best of them would be all of them."""
    assert listed(match_anchors(made(ROW), made([[50.0, 50, 60, 60]])))[:2] == [
        [0, 0, 0],
        [-1, -1, -1],
    ]


def test_an_anchor_stands_for_the_object_that_it_overlaps_most(made):
    """It is the best of both objects, and only one can have it; of equal ones the first."""
    two = [[0.0, 0, 10, 4], [0, 0, 10, 9]]
    assert listed(match_anchors(made(ROW[:1]), made(two)))[:2] == [[1], [1]]
    assert match_anchors(made(ROW[:1]), made([two[1], two[1]])).index.tolist() == [0]


def test_no_objects_make_all_background(made):
    anchors = made(ROW)
    assert listed(match_anchors(anchors, anchors[:0])) == [[0, 0, 0], [-1, -1, -1], [0, 0, 0]]


def test_no_anchors(made):
    anchors = made(ROW)
    assert listed(match_anchors(anchors[:0], anchors)) == [[], [], []]


def test_matches_are_those_of_one_anchor_at_a_time(rng):
    """Loops that say what the rule says."""
    corner = rng.uniform(0, 60, (200, 2))
    anchors = np.concatenate([corner, corner + rng.uniform(5, 40, (200, 2))], 1)
    truth = anchors[:6] + rng.uniform(-2, 2, (6, 4))
    matches = match_anchors(anchors, truth, positive=0.5, negative=0.2)
    twin = match_anchors(torch.tensor(anchors), torch.tensor(truth), positive=0.5, negative=0.2)
    iou = box_iou(anchors, truth)
    for r in range(200):
        best = any(iou[r, n] == iou[:, n].max() for n in range(6))
        most = max(iou[r])
        label = 1 if best or most > 0.5 else 0 if most < 0.2 else -1
        assert matches.labels[r] == twin.labels[r] == label
        assert matches.index[r] == twin.index[r] == (list(iou[r]).index(most) if most else -1)
    assert set(matches.labels) == {-1, 0, 1}


def test_integers_are_int64(made):
    matches = match_anchors(made(ROW), made(ROW))
    for part in (matches.labels, matches.index):
        assert str(part.dtype).removeprefix("torch.") == "int64"


BAD = [
    (lambda: anchor_shapes((), (1,)), ValueError, r"`sizes` is \[\], expected at least one"),
    (lambda: anchor_shapes((8,), (0,)), ValueError, r"`ratios` is \[0\], .* all positive"),
    (lambda: anchor_shapes("ab"), ValueError, "`sizes` is .* all positive"),
    (lambda: anchor_shapes((np.nan,)), ValueError, "`sizes` is .* all positive"),
    (lambda: anchor_grid((2, -1), 4, anchor_shapes()), ValueError, "`map_size` is .* at least 0"),
    (lambda: anchor_grid((2, 2), 0, anchor_shapes()), ValueError, "`stride` is 0, .* at least 1"),
    (lambda: anchor_grid((2, 2), 4.0, anchor_shapes()), TypeError, "`stride` is 4.0, expected an"),
    (lambda: anchor_grid(2, 4, np.ones((3, 2))), ValueError, r"`shapes` has shape \(3, 2\)"),
    (
        lambda: match_anchors(np.array(ROW), np.array([[5.0, 0, 2, 9]])),
        ValueError,
        "match_anchors: box 0 of `truth` is .* with x1 <= x2",
    ),
    (
        lambda: match_anchors(np.array(ROW), torch.tensor(ROW)),
        TypeError,
        "expected all arrays of NumPy, or all tensors",
    ),
    (
        lambda: match_anchors(np.array(ROW), np.array(ROW), positive=0.3, negative=0.5),
        ValueError,
        "`negative` is 0.5 and `positive` 0.3, expected 0 <= negative <= positive <= 1",
    ),
    (
        lambda: match_anchors(np.array(ROW), np.array(ROW), positive=np.nan),
        ValueError,
        "`positive` nan",
    ),
]


@pytest.mark.parametrize("call, error, message", BAD, ids=[m for _, _, m in BAD])
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
