"""Boxes, from NumPy and PyTorch, against torchvision's and against hand-worked cases."""

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models.detection._utils import BoxCoder

from course_lib.detection import box_area, box_decode, box_encode, box_iou, clip_boxes

KINDS = {"numpy": np.asarray, "torch": torch.tensor}
UNIT = [[0.0, 0, 2, 2]]


@pytest.fixture(params=KINDS)
def made(request):
    """Make boxes of a list, in either kind of array."""
    return KINDS[request.param]


def random_boxes(rng, count, size=100):
    corner, extent = rng.uniform(0, size, (count, 2)), rng.uniform(1, size / 2, (count, 2))
    return np.concatenate([corner, corner + extent], 1)


def as_numpy(result):
    return np.asarray(result)


OVERLAPS = {  # a box beside UNIT, and their IoU
    "itself": ([0, 0, 2, 2], 1),
    "a quarter": ([1, 1, 3, 3], 1 / 7),
    "inside": ([0, 0, 1, 1], 1 / 4),
    "touching": ([2, 0, 4, 2], 0),
    "apart on one axis": ([5, 0, 6, 2], 0),
    "apart on both axes": ([5, 7, 6, 9], 0),  # two negative sides have a positive product
    "a line through it": ([1, 0, 1, 2], 0),
    "wide, and negative": ([-2, 0, 2, 2], 1 / 2),
}


@pytest.mark.parametrize("box, overlap", OVERLAPS.values(), ids=OVERLAPS)
def test_overlaps_by_hand(made, box, overlap):
    iou = as_numpy(box_iou(made(UNIT), made([[float(v) for v in box]])))
    assert iou.shape == (1, 1)
    assert iou[0, 0] == pytest.approx(overlap)


def test_two_points_have_no_overlap(made):
    assert as_numpy(box_iou(made([[1.0, 1, 1, 1]]), made([[1.0, 1, 1, 1]])))[0, 0] == 0


def test_overlaps_are_torchvision_s(rng, made):
    a, b = random_boxes(rng, 300), random_boxes(rng, 200)
    expected = torchvision.ops.box_iou(torch.tensor(a), torch.tensor(b))
    np.testing.assert_allclose(as_numpy(box_iou(made(a), made(b))), expected, rtol=1e-12)
    np.testing.assert_allclose(
        as_numpy(box_area(made(a))), torchvision.ops.box_area(torch.tensor(a)), rtol=1e-12
    )


def test_overlap_is_symmetric_and_survives_a_move_and_a_scaling(rng):
    a, b = random_boxes(rng, 20), random_boxes(rng, 30)
    iou = box_iou(a, b)
    np.testing.assert_allclose(box_iou(b, a).T, iou, rtol=1e-12)
    np.testing.assert_allclose(box_iou(3 * a + 7, 3 * b + 7), iou, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (0, 0)])
def test_no_boxes(rng, made, counts):
    a, b = (made(random_boxes(rng, count)) for count in counts)
    assert tuple(box_iou(a, b).shape) == counts
    assert tuple(box_area(a).shape) == counts[:1]
    assert tuple(clip_boxes(a, (5, 5)).shape) == (counts[0], 4)


def test_float32_stays_float32(rng):
    a = random_boxes(rng, 3).astype(np.float32)
    assert box_iou(a, a).dtype == box_encode(a, a).dtype == np.float32
    assert clip_boxes(a, (9, 9)).dtype == box_decode(a, a).dtype == np.float32
    assert box_iou(*(torch.tensor(a),) * 2).dtype == torch.float32


def test_offsets_by_hand(made):
    """A box twice as wide as its anchor, as high, its centre 5 to the right and 10 higher."""
    anchor, box = [[0.0, 20, 10, 40]], [[0.0, 10, 20, 30]]
    expected = [[0.5, -0.5, np.log(2), 0]]
    np.testing.assert_allclose(as_numpy(box_encode(made(box), made(anchor))), expected, atol=1e-12)
    decoded = as_numpy(box_decode(made(expected), made(anchor)))
    np.testing.assert_allclose(decoded, box, atol=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 1, 1, 1), (10.0, 10, 5, 5)])
def test_offsets_are_torchvision_s(rng, made, weights):
    boxes, anchors, deltas = random_boxes(rng, 50), random_boxes(rng, 50), rng.normal(size=(50, 4))
    coder = BoxCoder(weights)
    tensors = [torch.tensor(x) for x in (boxes, anchors, deltas)]
    np.testing.assert_allclose(
        as_numpy(box_encode(made(boxes), made(anchors), weights=weights)),
        coder.encode_single(*tensors[:2]),
        rtol=1e-10,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        as_numpy(box_decode(made(20 * deltas), made(anchors), weights=weights)),
        coder.decode_single(20 * tensors[2], tensors[1]),
        rtol=1e-10,
        atol=1e-9,
    )


def test_decoding_undoes_encoding(rng, made):
    boxes, anchors = random_boxes(rng, 50), random_boxes(rng, 50)
    there = box_encode(made(boxes), made(anchors), weights=(10, 10, 5, 5))
    back = box_decode(there, made(anchors), weights=(10, 10, 5, 5))
    np.testing.assert_allclose(as_numpy(back), boxes, rtol=1e-10)


def test_offsets_survive_a_move_and_a_scaling(rng):
    boxes, anchors = random_boxes(rng, 50), random_boxes(rng, 50)
    moved = box_encode(3 * boxes + 7, 3 * anchors + 7)
    np.testing.assert_allclose(moved, box_encode(boxes, anchors), rtol=1e-9, atol=1e-12)


def test_gradients_flow(rng):
    boxes, anchors = (torch.tensor(random_boxes(rng, 4), requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(box_iou, (boxes, anchors))
    assert torch.autograd.gradcheck(box_decode, (box_encode(boxes, anchors).detach(), anchors))


def test_clipping_by_hand(made):
    boxes = [[-5.0, 2, 30, 50], [1, 1, 2, 2], [-9, -9, -3, -2], [25, 5, 28, 8]]
    clipped = as_numpy(clip_boxes(made(boxes), (40, 20)))
    expected = [[0, 2, 20, 40], [1, 1, 2, 2], [0, 0, 0, 0], [20, 5, 20, 8]]
    np.testing.assert_array_equal(clipped, expected)


WRONG = {
    "inside out": (lambda m: box_area(m([[0.0, 0, 1, 1], [3, 0, 2, 1]])), r"box 1 of `boxes` is"),
    "not finite": (lambda m: clip_boxes(m([[0.0, 0, 1, np.inf]]), (4, 4)), "expected finite"),
    "nan": (lambda m: box_iou(m(UNIT), m([[0.0, np.nan, 1, 1]])), r"box 0 of `b` is"),
    "xywh of five": (lambda m: box_iou(m(UNIT), m([[0.0] * 5])), r"`b` has shape \(1, 5\)"),
    "unpaired": (lambda m: box_encode(m(UNIT), m(UNIT * 2)), "R = 1 as in `boxes`"),
    "flat anchor": (lambda m: box_encode(m(UNIT), m([[1.0, 1, 1, 2]])), "`anchors` has no area"),
    "flat box": (lambda m: box_encode(m([[1.0, 1, 1, 2]]), m(UNIT)), "box 0 of `boxes` has no a"),
    "size": (lambda m: clip_boxes(m(UNIT), (0, 4)), r"`size` is \(0, 4\), expected \(H, W\)"),
    "deltas": (lambda m: box_decode(m([[0.0] * 3]), m(UNIT)), r"`deltas` has shape \(1, 3\)"),
}


@pytest.mark.parametrize("call, message", WRONG.values(), ids=WRONG)
def test_bad_boxes_are_refused(made, call, message):
    with pytest.raises(ValueError, match=message):
        call(made)


def test_arrays_and_tensors_do_not_mix(rng):
    with pytest.raises(TypeError, match="`a` is a ndarray, `b` is a Tensor; expected all"):
        box_iou(np.asarray(UNIT), torch.tensor(UNIT))
    with pytest.raises(TypeError, match="box_area: `boxes` is a list"):
        box_area(UNIT)
