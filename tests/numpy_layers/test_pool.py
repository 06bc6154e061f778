import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_reference import assert_matches_torch

from course_lib.numpy_layers import (
    AvgPool2d,
    MaxPool2d,
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    windows,
)

MAX = max_pool2d_forward, max_pool2d_backward, functional.max_pool2d
AVG = avg_pool2d_forward, avg_pool2d_backward, functional.avg_pool2d
BOTH = pytest.mark.parametrize("pool", [MAX, AVG], ids=["max", "avg"])
GEOMETRIES = [  # H, W, kernel, stride, padding
    (8, 6, 2, None, 0),
    (9, 7, 3, 2, 0),  # windows overlap
    (9, 7, 3, 2, 1),
    (8, 8, 3, 2, 0),  # the last row and column are in no window
    (7, 10, (2, 3), None, 0),
    (7, 10, (2, 3), (1, 2), (1, 0)),
    (10, 7, (3, 2), 1, 1),
    (7, 8, 2, 3, 1),  # gaps between the windows
    (5, 6, 1, 1, 0),
    (4, 3, (4, 3), 1, 0),
]


def check(rng, forward, backward, peer, x, kernel, stride, padding):
    assert_matches_torch(
        lambda x: forward(x, kernel, stride=stride, padding=padding),
        backward,
        lambda x: peer(x, kernel, stride, padding),
        x,
        rng=rng,
    )


@BOTH
@pytest.mark.parametrize("H, W, kernel, stride, padding", GEOMETRIES)
def test_matches_torch(rng, pool, H, W, kernel, stride, padding):
    check(rng, *pool, rng.normal(size=(2, 3, H, W)), kernel, stride, padding)


@BOTH
@pytest.mark.parametrize("block", [1, 100])
def test_blocks_change_nothing(rng, monkeypatch, pool, block):
    monkeypatch.setattr(windows, "BLOCK", block)
    check(rng, *pool, rng.normal(size=(2, 3, 9, 7)), 3, 2, 1)


@pytest.mark.parametrize("H, W, kernel, stride, padding", GEOMETRIES)
def test_the_first_of_equal_maxima_gets_the_gradient(rng, H, W, kernel, stride, padding):
    x = rng.integers(0, 2, size=(2, 3, H, W)).astype(float)
    check(rng, *MAX, x, kernel, stride, padding)


def test_max_pooling_worked_by_hand():
    x = np.array([[[[1.0, 3, 2], [4, 5, 6], [9, 8, 7]]]])
    y, cache = max_pool2d_forward(x, 2, stride=1)
    np.testing.assert_array_equal(y, [[[[5, 6], [9, 8]]]])
    dx = max_pool2d_backward(np.array([[[[1.0, 2], [3, 4]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[0, 0, 0], [0, 1, 2], [3, 4, 0]]]])


def test_a_pixel_that_wins_twice_gets_both_gradients():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    _, cache = max_pool2d_forward(x, 2, stride=1)
    dx = max_pool2d_backward(np.array([[[[1.0, 2], [3, 4]]]]), cache)
    np.testing.assert_array_equal(dx, 10 * x)


def test_average_pooling_worked_by_hand():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    y, cache = avg_pool2d_forward(x, 2, stride=1)
    np.testing.assert_array_equal(y, [[[[3, 4], [6, 7]]]])
    dx = avg_pool2d_backward(np.array([[[[4.0, 8], [12, 16]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]])


def test_average_pooling_counts_the_padding():
    y, _ = avg_pool2d_forward(np.ones((1, 1, 2, 2)), 2, stride=2, padding=1)
    np.testing.assert_array_equal(y, np.full((1, 1, 2, 2), 0.25))


def test_maximum_of_negative_numbers_ignores_the_padding():
    y, _ = max_pool2d_forward(np.full((1, 1, 2, 2), -3.0), 3, stride=1, padding=1)
    np.testing.assert_array_equal(y, np.full((1, 1, 2, 2), -3.0))


def test_nan_is_not_hidden():
    for at in np.ndindex(2, 2):
        x = np.zeros((1, 1, 2, 2))
        x[0, 0, *at] = np.nan
        assert np.isnan(max_pool2d_forward(x, 2)[0]).all()


def test_images_of_more_pixels_than_a_small_integer_counts(rng):
    x = rng.normal(size=(1, 2, 300, 256))
    check(rng, *MAX, x, 3, 2, 1)


@BOTH
def test_backward_is_the_transpose_of_forward(rng, pool):
    forward, backward, _ = pool
    x = rng.normal(size=(2, 3, 9, 8))
    y, cache = forward(x, 3, stride=2, padding=1)
    dy = rng.normal(size=y.shape)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, backward(dy, cache)), rtol=1e-10)


@BOTH
def test_arrays_in_another_memory_order(rng, pool):
    forward, backward, _ = pool
    x, dy = rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(2, 3, 4, 3))
    expected = backward(dy, forward(x, 3, stride=2)[1])
    got = backward(np.asfortranarray(dy), forward(np.asfortranarray(x), 3, stride=2)[1])
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@BOTH
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_empty_batch(pool, shape):
    forward, backward, _ = pool
    y, cache = forward(np.ones(shape), 2)
    assert y.shape == (*shape[:2], 2, 2)
    assert backward(y, cache).shape == shape


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [0, 1])
def test_keeps_the_precision(pool, dtype, padding):
    forward, backward, _ = pool
    y, cache = forward(np.ones((2, 3, 6, 6), dtype), 2, padding=padding)
    assert y.dtype == backward(y, cache).dtype == dtype


@BOTH
@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((3, 8, 8), {"kernel_size": 2}, r"`x` has shape \(3, 8, 8\), expected \(N, C, H, W\)"),
        ((1, 1, 2, 8), {"kernel_size": 3}, "a window of 3 does not fit an axis of 2"),
        ((1, 1, 8, 8), {"kernel_size": 2, "stride": 0}, "`stride` is 0, expected at least 1"),
        ((1, 1, 8, 8), {"kernel_size": 2, "padding": 2}, "`padding` is 2, expected at most half"),
        ((1, 1, 8, 8), {"kernel_size": 0}, "`kernel_size` is 0, expected at least 1"),
    ],
)
def test_says_what_is_wrong(pool, shape, options, message):
    forward, _, peer = pool
    with pytest.raises(ValueError, match=f"{peer.__name__.lstrip('_')}: {message}"):
        forward(np.ones(shape), **options)


@BOTH
def test_says_that_types_or_dy_are_wrong(pool):
    forward, backward, _ = pool
    with pytest.raises(TypeError, match="pool2d: `x` holds int64, expected floating-point numbers"):
        forward(np.ones((1, 1, 4, 4), int), 2)
    with pytest.raises(TypeError, match=r"pool2d: `kernel_size` is 2\.5, expected an int"):
        forward(np.ones((1, 1, 4, 4)), 2.5)
    y, cache = forward(np.ones((1, 1, 4, 4)), 2)
    with pytest.raises(
        ValueError, match=r"_backward: `dy` has shape \(1, 1, 4, 4\), expected \(1, 1"
    ):
        backward(np.ones((1, 1, 4, 4)), cache)
    with pytest.raises(TypeError, match="_backward: `dy` is float32, expected float64 as `y`"):
        backward(y.astype(np.float32), cache)


@pytest.mark.parametrize("layer, pool", [(MaxPool2d, MAX), (AvgPool2d, AVG)])
def test_layers(rng, layer, pool):
    forward, backward, _ = pool
    x = rng.normal(size=(2, 3, 9, 8))
    layer = layer(3, stride=2, padding=1)
    y, cache = forward(x, 3, stride=2, padding=1)
    np.testing.assert_array_equal(layer.forward(x), y)
    np.testing.assert_array_equal(layer.backward(y), backward(y, cache))
    assert layer.params == layer.grads == {}


def test_agrees_with_torch_on_the_winning_pixel(rng):
    x = rng.integers(0, 3, size=(2, 3, 9, 8)).astype(float)
    _, (source, *_) = max_pool2d_forward(x, 3, stride=2)
    _, expected = functional.max_pool2d(torch.tensor(x), 3, 2, return_indices=True)
    np.testing.assert_array_equal(source % (9 * 8), expected)
