"""RoI pooling and RoIAlign: as torchvision's, to the bit where it rounds; by hand; and on edges."""

import numpy as np
import pytest
import torch
from torchvision import ops

from course_lib.numpy_layers import (
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)

PRECISIONS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SIZES = [7, (2, 3), 1, (5, 8)]


def data(rng, dtype, boxes=30, spread=1.4):
    """Features of two images, and boxes of all sizes, some of them beyond the image of 80 x 72."""
    x = rng.standard_normal((2, 3, 9, 10)).astype(dtype)
    centre, size = rng.uniform(0, [80, 72], (boxes, 2)), rng.exponential(20, (boxes, 2))
    corners = np.hstack([centre - spread * size / 2, centre + spread * size / 2]).astype(dtype)
    corners[::3] = np.round(corners[::3] / 4) * 4  # corners at halves of a cell
    return x, corners, rng.integers(0, 2, boxes)


def peer(operation, x, boxes, image_index, *args):
    """Return torchvision's output, and a function for its gradient."""
    x = torch.tensor(x, requires_grad=True)
    rois = torch.tensor(np.hstack([image_index[:, None].astype(boxes.dtype), boxes]))
    y = operation(x, rois, *args)
    return y.detach().numpy(), lambda dy: torch.autograd.grad(y, x, torch.tensor(dy))[0].numpy()


@PRECISIONS
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pooling_is_torchvisions_to_the_bit(rng, dtype, size):
    x, boxes, image_index = data(rng, dtype)
    y, cache = roi_pool_forward(x, boxes, image_index, size, spatial_scale=1 / 8)
    expected, gradient = peer(ops.roi_pool, x, boxes, image_index, size, 1 / 8)
    np.testing.assert_array_equal(y, expected)
    dy = rng.integers(-9, 10, y.shape).astype(dtype)  # whole numbers: no sum is rounded
    np.testing.assert_array_equal(roi_pool_backward(dy, cache), gradient(dy))


@PRECISIONS
def test_the_first_of_equal_maxima_gets_the_gradient(rng, dtype):
    x, boxes, image_index = data(rng, dtype)
    x = rng.choice([-1, -0.0, 0, 1], x.shape).astype(dtype)
    y, cache = roi_pool_forward(x, boxes, image_index, 3, spatial_scale=1 / 8)
    expected, gradient = peer(ops.roi_pool, x, boxes, image_index, 3, 1 / 8)
    np.testing.assert_array_equal(y, expected)
    dy = rng.integers(-9, 10, y.shape).astype(dtype)
    np.testing.assert_array_equal(roi_pool_backward(dy, cache), gradient(dy))


@PRECISIONS
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [1, 2, 3, 0])
def test_align_is_torchvisions(rng, dtype, ratio, aligned):
    x, boxes, image_index = data(rng, dtype)
    options = {"spatial_scale": 1 / 8, "sampling_ratio": ratio, "aligned": aligned}
    y, cache = roi_align_forward(x, boxes, image_index, (2, 3), **options)
    expected, gradient = peer(
        ops.roi_align, x, boxes, image_index, (2, 3), 1 / 8, ratio or -1, aligned
    )
    tolerance = {"rtol": 0, "atol": 1e-10 if dtype == np.float64 else 2e-5}
    np.testing.assert_allclose(y, expected, **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    np.testing.assert_allclose(roi_align_backward(dy, cache), gradient(dy), **tolerance)


def test_pooling_worked_by_hand():
    x = np.arange(1.0, 17).reshape(1, 1, 4, 4)
    x[0, 0, 1, 1] = 20
    # Rows 0 to 2 and columns 1 to 3: three cells in two bins, which share the middle.
    y, cache = roi_pool_forward(x, np.array([[1.0, 0, 3, 2]]), np.array([0]), 2)
    np.testing.assert_array_equal(y, [[[[20, 8], [20, 12]]]])
    dx = roi_pool_backward(np.array([[[[1.0, 2], [3, 4]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[0, 0, 0, 0], [0, 4, 0, 2], [0, 0, 0, 4], [0, 0, 0, 0]]]])


def test_halves_are_rounded_away_from_zero():
    x = np.arange(1.0, 7).reshape(1, 1, 1, 6)
    for left, first in ((0.5, 1), (1.5, 2), (2.5, 3)):
        y, _ = roi_pool_forward(x, np.array([[left, 0, 5, 0]]), np.array([0]), (1, 6 - first))
        np.testing.assert_array_equal(y.ravel(), np.arange(first + 1, 7))


def test_align_worked_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)  # x = 4 row + column, which bilinear means keep
    boxes, image = np.array([[1.0, 1, 3, 3]]), np.array([0])
    y, cache = roi_align_forward(x, boxes, image, 1, sampling_ratio=1)
    np.testing.assert_allclose(y, [[[[4 * 1.5 + 1.5]]]])  # centre of the box, in cells' centres
    np.testing.assert_allclose(
        roi_align_backward(np.ones((1, 1, 1, 1)), cache)[0, 0, 1:3, 1:3], np.full((2, 2), 1 / 4)
    )


def test_overlapping_boxes_add_up(rng):
    x, boxes, image = rng.normal(size=(1, 2, 6, 6)), np.array([[0.0, 0, 5, 5]]), np.array([0])
    for forward, backward in (
        (roi_pool_forward, roi_pool_backward),
        (roi_align_forward, roi_align_backward),
    ):
        y, once = forward(x, boxes, image, 2)
        _, twice = forward(x, boxes[[0, 0]], image[[0, 0]], 2)
        dy = rng.normal(size=y.shape)
        both = backward(np.concatenate([dy, dy]), twice)
        np.testing.assert_allclose(both, 2 * backward(dy, once))


@pytest.mark.parametrize("forward", [roi_pool_forward, roi_align_forward])
def test_no_boxes_and_boxes_elsewhere(forward):
    x = np.ones((2, 3, 5, 5))
    y, _ = forward(x, np.zeros((0, 4)), np.zeros(0, int), 2)
    assert y.shape == (0, 3, 2, 2)
    y, _ = forward(x, np.array([[50.0, 50, 60, 60]]), np.array([1]), 2)
    np.testing.assert_array_equal(y, np.zeros((1, 3, 2, 2)))


def test_a_nan_stays_a_nan():
    for dtype in (np.float32, np.float64):
        x = np.zeros((1, 1, 3, 3), dtype)
        x[0, 0, 1, 1] = np.nan
        y, _ = roi_pool_forward(x, np.array([[0, 0, 2, 2]], dtype), np.array([0]), 1)
        assert np.isnan(y).all()


X, BOXES, IMAGES = np.ones((2, 3, 5, 5)), np.array([[0.0, 0, 4, 4]]), np.array([0])


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"x": X[0]}, ValueError, r"`x` has shape \(3, 5, 5\), expected \(N, C, H, W\)"),
        ({"boxes": BOXES[:, :3]}, ValueError, r"`boxes` has shape \(1, 3\), expected \(R, 4\)"),
        ({"boxes": BOXES.astype(np.float32)}, TypeError, r"`boxes` is float32, expected float64"),
        ({"boxes": np.array([[3.0, 0, 1, 4]])}, ValueError, r"box 0 is \[3.0, 0.0, 1.0, 4.0\]"),
        ({"boxes": BOXES * np.nan}, ValueError, r"box 0 is \[nan, nan, nan, nan\]"),
        ({"image_index": np.array([2])}, ValueError, r"in image 2, expected .* one of 2 images"),
        ({"image_index": np.array([-1])}, ValueError, r"in image -1"),
        ({"image_index": np.array([0.0])}, TypeError, r"`image_index` holds float64"),
        ({"image_index": np.array([0, 1])}, ValueError, r"`image_index` has shape \(2,\)"),
        ({"output_size": 0}, ValueError, r"`output_size` is 0, expected at least 1"),
    ],
)
@pytest.mark.parametrize("forward", [roi_pool_forward, roi_align_forward])
def test_bad_input_is_named(forward, changes, error, message):
    good = {"x": X, "boxes": BOXES, "image_index": IMAGES, "output_size": 2}
    with pytest.raises(error, match=message):
        forward(**good | changes)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="`sampling_ratio` is -1, expected a number of points"):
        roi_align_forward(X, BOXES, IMAGES, 2, sampling_ratio=-1)
    for forward, backward in (
        (roi_pool_forward, roi_pool_backward),
        (roi_align_forward, roi_align_backward),
    ):
        _, cache = forward(X, BOXES, IMAGES, 2)
        with pytest.raises(ValueError, match=r"`dy` has shape \(1, 3, 2\)"):
            backward(np.ones((1, 3, 2)), cache)
