import numpy as np
import pytest
import torch
from torch_reference import CLOSE, assert_matches_torch

from course_lib.numpy_layers import (
    ReLU,
    Sigmoid,
    Tanh,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)

ACTIVATIONS = pytest.mark.parametrize(
    "forward, backward, peer, layer",
    [
        (relu_forward, relu_backward, torch.relu, ReLU),
        (sigmoid_forward, sigmoid_backward, torch.sigmoid, Sigmoid),
        (tanh_forward, tanh_backward, torch.tanh, Tanh),
    ],
    ids=["relu", "sigmoid", "tanh"],
)


@ACTIVATIONS
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5), (7,), (), (0, 3)])
def test_matches_torch(rng, forward, backward, peer, layer, shape):
    x = np.array(rng.normal(scale=3, size=shape))
    assert_matches_torch(forward, backward, peer, x, rng=rng)


@ACTIVATIONS
def test_matches_torch_at_and_far_from_zero(rng, forward, backward, peer, layer):
    x = np.array([0.0, -0.0, 30, -30, 800, -800, np.inf, -np.inf])
    assert_matches_torch(forward, backward, peer, x, rng=rng)


def test_small_probabilities_keep_their_digits():
    y, _ = sigmoid_forward(np.array([-50.0, -700.0]))
    np.testing.assert_allclose(y, np.exp([-50.0, -700.0]), rtol=1e-12)


@ACTIVATIONS
def test_slope_by_differences(rng, forward, backward, peer, layer):
    x, step = rng.uniform(0.5, 2, size=9) * rng.choice([-1, 1], size=9), 1e-6
    slope = (forward(x + step)[0] - forward(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(backward(np.ones(9), forward(x)[1]), slope, rtol=1e-8, atol=1e-10)


@ACTIVATIONS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(forward, backward, peer, layer, dtype):
    y, cache = forward(np.ones((2, 3), dtype))
    assert y.dtype == backward(y, cache).dtype == dtype


@ACTIVATIONS
def test_says_what_is_wrong(forward, backward, peer, layer):
    with pytest.raises(TypeError, match=f"{peer.__name__}: `x` holds int64, expected floating"):
        forward(np.ones(3, int))
    with pytest.raises(TypeError, match=f"{peer.__name__}: `x` is a list, expected an array"):
        forward([1.0])
    _, cache = forward(np.ones(3))
    message = rf"{peer.__name__}_backward: `dy` has shape \(2,\), expected \(3,\), the shape of `y`"
    with pytest.raises(ValueError, match=message):
        backward(np.ones(2), cache)


@ACTIVATIONS
def test_layer(rng, forward, backward, peer, layer):
    x, dy, layer = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), layer()
    y, cache = forward(x)
    np.testing.assert_array_equal(layer.forward(x), y)
    np.testing.assert_allclose(layer.backward(dy), backward(dy, cache), **CLOSE)
    assert layer.params == layer.grads == {}
