import numpy as np
import pytest
from torch.nn import functional
from torch_reference import assert_matches_torch

from course_lib.numpy_layers import Flatten, Linear, linear_backward, linear_forward


@pytest.mark.parametrize("N, D, K", [(4, 3, 5), (1, 7, 2), (6, 1, 1)])
def test_matches_torch(rng, N, D, K):
    arrays = rng.normal(size=(N, D)), rng.normal(size=(K, D)), rng.normal(size=K)
    assert_matches_torch(linear_forward, linear_backward, functional.linear, *arrays, rng=rng)


def test_worked_by_hand():
    x, weight, bias = np.array([[1.0, 2]]), np.array([[3.0, 4], [5, 6]]), np.array([7.0, 8])
    y, cache = linear_forward(x, weight, bias)
    np.testing.assert_array_equal(y, [[18, 25]])
    dx, dweight, dbias = linear_backward(np.array([[1.0, 10]]), cache)
    np.testing.assert_array_equal(dx, [[53, 64]])
    np.testing.assert_array_equal(dweight, [[1, 2], [10, 20]])
    np.testing.assert_array_equal(dbias, [1, 10])


def test_backward_is_the_transpose_of_forward(rng):
    x, weight, dy = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(4, 5))
    y, cache = linear_forward(x, weight, np.zeros(5))
    dx, dweight, _ = linear_backward(dy, cache)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, dx), rtol=1e-10)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(weight, dweight), rtol=1e-10)


def test_empty_batch():
    y, cache = linear_forward(np.ones((0, 3)), np.ones((5, 3)), np.ones(5))
    dx, dweight, dbias = linear_backward(y, cache)
    assert y.shape == (0, 5)
    assert dx.shape == (0, 3)
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(dtype):
    y, cache = linear_forward(*(np.ones(s, dtype) for s in [(4, 3), (5, 3), (5,)]))
    assert {a.dtype for a in (y, *linear_backward(y, cache))} == {np.dtype(dtype)}


def test_says_what_is_wrong():
    x, weight, bias = np.ones((4, 3)), np.ones((5, 3)), np.ones(5)
    with pytest.raises(ValueError, match=r"linear: `weight` has shape \(5, 2\).* D = 3 as in `x`"):
        linear_forward(x, weight[:, :2], bias)
    with pytest.raises(ValueError, match=r"linear: `x` has shape \(4, 3, 1\), expected \(N, D\)"):
        linear_forward(x[..., None], weight, bias)
    with pytest.raises(TypeError, match="linear: `x` holds int64, expected floating-point"):
        linear_forward(x.astype(int), weight, bias)
    _, cache = linear_forward(x, weight, bias)
    with pytest.raises(
        ValueError, match=r"linear_backward: `dy` has shape \(4, 3\), expected \(4, 5"
    ):
        linear_backward(x, cache)


def test_layer(rng):
    layer = Linear(300, 200, rng=rng, dtype=np.float64)
    assert np.var(layer.params["weight"]) == pytest.approx(2 / 300, rel=0.05)
    assert not layer.params["bias"].any()
    x, dy = rng.normal(size=(4, 300)), rng.normal(size=(4, 200))
    y, cache = linear_forward(x, **layer.params)
    np.testing.assert_array_equal(layer.forward(x), y)
    dx, dweight, dbias = linear_backward(dy, cache)
    np.testing.assert_array_equal(layer.backward(dy), dx)
    np.testing.assert_array_equal(layer.grads["weight"], dweight)
    np.testing.assert_array_equal(layer.grads["bias"], dbias)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (0, 3, 4, 5)])
def test_flatten_and_back(rng, shape):
    x, layer = rng.normal(size=shape), Flatten()
    y = layer.forward(x)
    assert y.shape == (shape[0], int(np.prod(shape[1:])))
    np.testing.assert_array_equal(layer.backward(y), x)
