import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_reference import CLOSE, assert_matches_torch

from course_lib.numpy_layers import BatchNorm, batch_norm_backward, batch_norm_forward

SHAPES = pytest.mark.parametrize("shape", [(6, 3), (2, 3), (2, 3, 4, 5), (1, 3, 2, 1)], ids=str)


def inputs(rng, shape):
    return rng.normal(2, 3, size=shape), rng.normal(size=shape[1]), rng.normal(size=shape[1])


@SHAPES
def test_training_matches_torch(rng, shape):
    assert_matches_torch(
        batch_norm_forward,
        batch_norm_backward,
        lambda x, gamma, beta: functional.batch_norm(x, None, None, gamma, beta, training=True),
        *inputs(rng, shape),
        rng=rng,
    )


@SHAPES
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_evaluation_matches_torch(rng, shape, eps):
    mean, var = rng.normal(size=shape[1]), rng.uniform(0.5, 2, size=shape[1])
    running = torch.tensor(mean), torch.tensor(var)
    assert_matches_torch(
        lambda *arrays: batch_norm_forward(*arrays, mean=mean, var=var, eps=eps),
        batch_norm_backward,
        lambda x, gamma, beta: functional.batch_norm(x, *running, gamma, beta, eps=eps),
        *inputs(rng, shape),
        rng=rng,
    )


@pytest.mark.parametrize("scale", [0, 1e-3, 1e-2])
def test_channels_that_hardly_vary(rng, scale):
    """Here eps is not small beside the variance, so that its place matters."""
    x, gamma, beta = inputs(rng, (6, 3))
    assert_matches_torch(
        batch_norm_forward,
        batch_norm_backward,
        lambda x, gamma, beta: functional.batch_norm(x, None, None, gamma, beta, training=True),
        scale * x,
        gamma,
        beta,
        rng=rng,
    )


def test_worked_by_hand():
    x, one = np.array([[1.0], [3.0]]), np.ones(1)  # mean 2, variance 1
    y, cache = batch_norm_forward(x, 5 * one, 7 * one, eps=0)
    np.testing.assert_array_equal(y, [[2], [12]])
    dx, dgamma, dbeta = batch_norm_backward(np.array([[1.0], [4.0]]), cache)
    np.testing.assert_array_equal(dgamma, [3])
    np.testing.assert_array_equal(dbeta, [5])
    np.testing.assert_array_equal(dx, [[0], [0]])  # of two values, the output never changes


@SHAPES
def test_moving_or_stretching_a_channel_changes_nothing(rng, shape):
    """Hence the gradient has no component along either of them."""
    x, gamma, beta = inputs(rng, shape)
    y, cache = batch_norm_forward(x, gamma, beta, eps=0)
    np.testing.assert_allclose(batch_norm_forward(2 * x + 3, gamma, beta, eps=0)[0], y, rtol=1e-9)
    dx, *_ = batch_norm_backward(rng.normal(size=shape), cache)
    over = (0, *range(2, len(shape)))
    np.testing.assert_allclose(dx.sum(axis=over), 0, atol=1e-12)
    np.testing.assert_allclose((dx * x).sum(axis=over), 0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("statistics", [{}, {"mean": 0, "var": 1}], ids=["training", "evaluation"])
def test_keeps_the_precision(rng, dtype, statistics):
    statistics = {name: np.full(3, value, dtype) for name, value in statistics.items()}
    arrays = (a.astype(dtype) for a in inputs(rng, (2, 3, 4, 5)))
    y, cache = batch_norm_forward(*arrays, **statistics)
    assert {a.dtype for a in (y, *batch_norm_backward(y, cache))} == {np.dtype(dtype)}


def test_says_what_is_wrong():
    x, three = np.ones((4, 3)), np.ones(3)
    with pytest.raises(ValueError, match=r"batch_norm: `gamma` has shape \(2,\).* C = 3 as in `x`"):
        batch_norm_forward(x, three[:2], three)
    with pytest.raises(
        ValueError, match=r"batch_norm: `x` has shape \(4, 3, 1\), expected \(N, C, H"
    ):
        batch_norm_forward(x[..., None], three, three)
    with pytest.raises(
        ValueError, match=r"batch_norm: `x` has shape \(1, 3\), expected at least 2"
    ):
        batch_norm_forward(x[:1], three, three)
    with pytest.raises(ValueError, match="batch_norm: give both `mean` and `var`, or neither"):
        batch_norm_forward(x, three, three, mean=three)
    with pytest.raises(TypeError, match="batch_norm: `beta` is float32, expected float64 as `x`"):
        batch_norm_forward(x, three, three.astype(np.float32))
    _, cache = batch_norm_forward(x, three, three)
    with pytest.raises(ValueError, match=r"batch_norm_backward: `dy` has shape \(3, 4\), expected"):
        batch_norm_backward(x.T, cache)


@pytest.mark.parametrize(
    "peer, shape", [(torch.nn.BatchNorm1d, (6, 3)), (torch.nn.BatchNorm2d, (4, 3, 2, 5))]
)
def test_layer_keeps_running_averages_as_torch(rng, peer, shape):
    layer = BatchNorm(3, momentum=0.3, dtype=np.float64)
    peer = peer(3, momentum=0.3, dtype=torch.float64)
    for _ in range(3):
        x, dy = rng.normal(2, 3, size=shape), rng.normal(size=shape)
        tensor = torch.tensor(x, requires_grad=True)
        expected = peer(tensor)
        np.testing.assert_allclose(layer.forward(x), expected.detach(), **CLOSE)
        (dx,) = torch.autograd.grad(expected, tensor, torch.tensor(dy))
        np.testing.assert_allclose(layer.backward(dy), dx, **CLOSE)
    np.testing.assert_allclose(layer.running_mean, peer.running_mean, **CLOSE)
    np.testing.assert_allclose(layer.running_var, peer.running_var, **CLOSE)
    layer.training = False
    np.testing.assert_allclose(layer.forward(x), peer.eval()(tensor).detach(), **CLOSE)
    assert layer.grads.keys() == layer.params.keys()
