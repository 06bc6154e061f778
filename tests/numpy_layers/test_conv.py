import tracemalloc

import numpy as np
import pytest
from torch.nn import functional
from torch_reference import assert_matches_torch

from course_lib.numpy_layers import Conv2d, conv2d_backward, conv2d_forward, windows

GEOMETRIES = [  # H, W, KH, KW, stride, padding
    *((7, 10, 2, 3, stride, padding) for stride in (1, 2, 3) for padding in (0, 1, 2)),
    *((10, 7, 3, 2, stride, padding) for stride in (1, 2, 3) for padding in (0, 1, 2)),
    (8, 8, 3, 3, 2, 0),  # the last row and column are in no window
    (5, 6, 1, 1, 1, 0),
    (5, 6, 1, 1, 2, 0),  # some pixels are in no window
    (4, 3, 4, 3, 1, 0),  # the kernel covers the image
    (9, 8, 3, 2, (2, 1), (0, 1)),
    (2, 2, 5, 5, 1, 2),  # a kernel larger than the image
]
X = np.arange(1.0, 10).reshape(1, 1, 3, 3)
KERNEL = np.array([[[[1.0, 0.0], [2.0, -1.0]]]])


def inputs(rng, H, W, KH, KW):
    return rng.normal(size=(2, 3, H, W)), rng.normal(size=(4, 3, KH, KW)), rng.normal(size=4)


def check(rng, forward, backward, H, W, KH, KW, stride, padding):
    assert_matches_torch(
        lambda *arrays: forward(*arrays, stride=stride, padding=padding),
        backward,
        lambda *tensors: functional.conv2d(*tensors, stride=stride, padding=padding),
        *inputs(rng, H, W, KH, KW),
        rng=rng,
    )


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_matches_torch(rng, geometry):
    check(rng, conv2d_forward, conv2d_backward, *geometry)


@pytest.mark.parametrize("block", [1, 200])
def test_blocks_change_nothing(rng, monkeypatch, block):
    monkeypatch.setattr(windows, "BLOCK", block)
    check(rng, conv2d_forward, conv2d_backward, 9, 8, 3, 2, 2, 1)


def test_worked_by_hand():
    y, cache = conv2d_forward(X, KERNEL, np.array([0.5]))
    np.testing.assert_array_equal(y, [[[[4.5, 6.5], [10.5, 12.5]]]])
    dx, dweight, dbias = conv2d_backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[1, 2, 0], [5, 7, -2], [6, 5, -4]]]])
    np.testing.assert_array_equal(dweight, [[[[37, 47], [67, 77]]]])
    np.testing.assert_array_equal(dbias, [10])


@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1), (3, 2)])
def test_backward_is_the_transpose_of_forward(rng, stride, padding):
    x, weight, bias = inputs(rng, 9, 8, 3, 2)
    y, cache = conv2d_forward(x, weight, 0 * bias, stride=stride, padding=padding)
    dy = rng.normal(size=y.shape)
    dx, dweight, _ = conv2d_backward(dy, cache)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, dx), rtol=1e-10)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(weight, dweight), rtol=1e-10)


def test_arrays_in_another_memory_order(rng):
    x, weight, bias = inputs(rng, 6, 5, 3, 2)
    dy = rng.normal(size=(2, 4, 4, 4))
    expected = conv2d_backward(dy, conv2d_forward(x, weight, bias)[1])
    x, weight, dy = (np.asfortranarray(a) for a in (x, weight, dy))
    grads = conv2d_backward(dy, conv2d_forward(x, weight, bias)[1])
    for got, wanted in zip(grads, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10)


@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1)])
def test_empty_batch(stride, padding):
    x, weight, bias = np.ones((0, 3, 6, 5)), np.ones((4, 3, 3, 2)), np.ones(4)
    y, cache = conv2d_forward(x, weight, bias, stride=stride, padding=padding)
    assert y.shape[:2] == (0, 4)
    dx, dweight, dbias = conv2d_backward(y, cache)
    assert dx.shape == x.shape
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(rng, dtype):
    y, cache = conv2d_forward(*(a.astype(dtype) for a in inputs(rng, 6, 6, 3, 3)), padding=1)
    assert {a.dtype for a in (y, *conv2d_backward(y, cache))} == {np.dtype(dtype)}


def test_memory_does_not_grow_with_the_batch():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((8, 16, 3, 3), np.float32), np.zeros(8, np.float32)

    def extra(N):
        x = np.zeros((N, 16, 56, 56), np.float32)
        tracemalloc.start()
        y, _ = conv2d_forward(x, weight, bias, padding=1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - y.nbytes

    assert extra(16) < 1.1 * extra(4) < 4e6  # bytes; all columns of 16 images take 29 MB


@pytest.mark.parametrize(
    "x, weight, options, message",
    [
        ((2, 3, 8, 8), (4, 5, 3, 3), {}, r"`weight` has shape \(4, 5, 3, 3\).* C = 3 as in `x`"),
        (
            (3, 8, 8),
            (4, 3, 3, 3),
            {},
            r"conv2d: `x` has shape \(3, 8, 8\), expected \(N, C, H, W\)",
        ),
        ((2, 3, 8, 8), (5, 3, 3, 3), {}, r"`bias` has shape \(4,\), expected \(F,\) with F = 5"),
        ((2, 3, 2, 2), (4, 3, 3, 3), {}, r"conv2d: a window of 3 does not fit an axis of 2"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, r"conv2d: `stride` is 0, expected at least 1"),
        (
            (2, 3, 8, 8),
            (4, 3, 3, 3),
            {"padding": -1},
            r"conv2d: `padding` is -1, expected at least 0",
        ),
        ((2, 3, 8, 8), (4, 3, 0, 3), {}, r"conv2d: `kernel_size` is \(0, 3\), expected at least 1"),
    ],
)
def test_says_what_is_wrong(x, weight, options, message):
    with pytest.raises(ValueError, match=message):
        conv2d_forward(np.ones(x), np.ones(weight), np.ones(4), **options)


def test_says_what_type_is_wrong():
    with pytest.raises(TypeError, match="conv2d: `x` holds int64, expected floating-point"):
        conv2d_forward(X.astype(int), KERNEL, np.zeros(1))
    with pytest.raises(TypeError, match="conv2d: `weight` is float32, expected float64 as `x`"):
        conv2d_forward(X, KERNEL.astype(np.float32), np.zeros(1))
    with pytest.raises(TypeError, match=r"conv2d: `stride` is 1\.5, expected an int or a pair"):
        conv2d_forward(X, KERNEL, np.zeros(1), stride=1.5)


def test_says_that_dy_is_wrong():
    _, cache = conv2d_forward(X, KERNEL, np.zeros(1))
    with pytest.raises(
        ValueError, match=r"conv2d_backward: `dy` has shape \(1, 1, 3, 3\), expected"
    ):
        conv2d_backward(X, cache)
    with pytest.raises(TypeError, match="conv2d_backward: `dy` is float32, expected float64"):
        conv2d_backward(KERNEL.astype(np.float32), cache)


def test_layer(rng):
    layer = Conv2d(3, 4, (3, 2), stride=2, padding=1, rng=rng, dtype=np.float64)
    assert layer.params["weight"].shape == (4, 3, 3, 2)
    x = rng.normal(size=(2, 3, 9, 8))
    y, cache = conv2d_forward(x, **layer.params, stride=2, padding=1)
    np.testing.assert_array_equal(layer.forward(x), y)
    dx, dweight, dbias = conv2d_backward(y, cache)
    np.testing.assert_array_equal(layer.backward(y), dx)
    np.testing.assert_array_equal(layer.grads["weight"], dweight)
    np.testing.assert_array_equal(layer.grads["bias"], dbias)


def test_layer_starts_with_the_variance_of_he(rng):
    layer = Conv2d(16, 64, 5, rng=rng)
    assert {a.dtype for a in layer.params.values()} == {np.dtype(np.float32)}
    assert np.var(layer.params["weight"]) == pytest.approx(2 / (16 * 5 * 5), rel=0.05)
    assert not layer.params["bias"].any()
