"""Recurrent layers: as PyTorch's own, by hand, and on edges; and what each must not forget."""

import numpy as np
import pytest
import torch
from torch_reference import CLOSE, assert_matches_torch

from course_lib.autodiff import check_gradients, grad, hvp, jvp, vjp
from course_lib.numpy_layers import (
    GRU,
    RNN,
    Embedding,
    embedding,
    embedding_backward,
    embedding_forward,
    gru,
    gru_backward,
    gru_forward,
    gru_step,
    gru_step_backward,
    gru_step_forward,
    normal,
    rnn,
    rnn_backward,
    rnn_forward,
    rnn_step,
    rnn_step_backward,
    rnn_step_forward,
)

N, T, D, H = 3, 4, 5, 2
SIZES = [(3, 4, 5, 2), (1, 1, 1, 1), (2, 6, 1, 3), (2, 1, 4, 2)]


def rnn_arrays(rng, *axes, D=D, H=H):
    return [rng.normal(size=s) for s in [(*axes, D), (axes[0], H), (H, D), (H, H), (H,)]]


def gru_arrays(rng, *axes, D=D, H=H):
    shapes = [(*axes, D), (axes[0], H), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,)]
    return [rng.normal(size=s) for s in shapes]


def torch_rnn(x, h0, weight_x, weight_h, bias):
    weights = [weight_x, weight_h, bias, torch.zeros_like(bias)]
    return torch.rnn_tanh(x, h0[None], weights, True, 1, 0.0, False, False, True)[0]


def torch_gru(x, h0, *weights):
    return torch.gru(x, h0[None], list(weights), True, 1, 0.0, False, False, True)[0]


def torch_rnn_cell(x, h, weight_x, weight_h, bias):
    return torch.rnn_tanh_cell(x, h, weight_x, weight_h, bias, torch.zeros_like(bias))


@pytest.mark.parametrize("N, T, D, H", SIZES)
def test_matches_torch(rng, N, T, D, H):
    sizes = {"D": D, "H": H}
    cell, cells = rnn_arrays(rng, N, **sizes), rnn_arrays(rng, N, T, **sizes)
    assert_matches_torch(rnn_step_forward, rnn_step_backward, torch_rnn_cell, *cell, rng=rng)
    assert_matches_torch(rnn_forward, rnn_backward, torch_rnn, *cells, rng=rng)
    cell, cells = gru_arrays(rng, N, **sizes), gru_arrays(rng, N, T, **sizes)
    assert_matches_torch(gru_step_forward, gru_step_backward, torch.gru_cell, *cell, rng=rng)
    assert_matches_torch(gru_forward, gru_backward, torch_gru, *cells, rng=rng)


def test_the_modules_of_torch_have_the_same_weights(rng):
    """Rows of weights in the order of torch.nn.GRUCell and torch.nn.RNNCell, by their names."""
    for module, forward, arrays in (
        (torch.nn.GRUCell(D, H), gru_step_forward, gru_arrays(rng, N)),
        (torch.nn.RNNCell(D, H), rnn_step_forward, rnn_arrays(rng, N)),
    ):
        x, h, weight_x, weight_h, *biases = map(torch.tensor, arrays)
        biases = biases if len(biases) == 2 else [*biases, torch.zeros_like(biases[0])]
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        module.double().load_state_dict(
            dict(zip(names, [weight_x, weight_h, *biases], strict=True))
        )
        np.testing.assert_allclose(forward(*arrays)[0], module(x, h).detach(), **CLOSE)


def test_two_steps_by_hand():
    """One unit, weights 1/2 and 2: h1 = tanh(1/2), h2 = tanh(2 h1); the loss is h2."""
    x, h0 = np.array([[[1.0], [0.0]]]), np.zeros((1, 1))
    weights = np.array([[0.5]]), np.array([[2.0]]), np.zeros(1)
    h, cache = rnn_forward(x, h0, *weights)
    h1 = np.tanh(0.5)
    h2 = np.tanh(2 * h1)
    np.testing.assert_allclose(h, [[[h1], [h2]]], rtol=1e-15)
    dx, dh0, dweight_x, dweight_h, dbias = rnn_backward(np.array([[[0.0], [1.0]]]), cache)
    a2 = 1 - h2**2
    a1 = 2 * a2 * (1 - h1**2)
    np.testing.assert_allclose(dx, [[[0.5 * a1], [0.5 * a2]]], rtol=1e-14)
    np.testing.assert_allclose(dh0, [[2 * a1]], rtol=1e-14)
    np.testing.assert_allclose(dweight_x, [[a1]], rtol=1e-14)  # x is 1, then 0
    np.testing.assert_allclose(dweight_h, [[a2 * h1]], rtol=1e-14)  # the state before was 0, h1
    np.testing.assert_allclose(dbias, [a1 + a2], rtol=1e-14)


def test_gates_by_hand():
    """z = 1 keeps the state; z = 0 and r = 0 forget it; z = 0 and r = 1 are a plain network."""
    x, h = np.array([[0.3]]), np.array([[0.7]])
    weight_x, weight_h = np.array([[0.0], [0], [0.5]]), np.array([[0.0], [0], [2.0]])
    for r, z, expected in (
        (-99, 99, 0.7),
        (-99, -99, np.tanh(0.15)),
        (99, -99, np.tanh(0.15 + 1.4)),
    ):
        bias = np.array([r, z, 0.0])
        h_next, _ = gru_step_forward(x, h, weight_x, weight_h, bias, np.zeros(3))
        np.testing.assert_allclose(h_next, [[expected]], rtol=1e-12)


def test_a_sequence_is_its_steps(rng):
    for step, whole, arrays in (
        (rnn_step_forward, rnn_forward, rnn_arrays(rng, N, T)),
        (gru_step_forward, gru_forward, gru_arrays(rng, N, T)),
    ):
        x, state, *weights = arrays
        h, _ = whole(*arrays)
        for t in range(T):
            state, _ = step(x[:, t], state, *weights)
            np.testing.assert_allclose(h[:, t], state, rtol=1e-14, atol=1e-15)


def test_backward_is_the_steps_backwards(rng):
    """Backpropagation through time, spelled out with the backward of one step."""
    for forward, backward, whole, whole_backward, arrays in (
        (rnn_step_forward, rnn_step_backward, rnn_forward, rnn_backward, rnn_arrays(rng, N, T)),
        (gru_step_forward, gru_step_backward, gru_forward, gru_backward, gru_arrays(rng, N, T)),
    ):
        x, state, *weights = arrays
        h, cache = whole(*arrays)
        dh = rng.normal(size=h.shape)
        caches = []
        for t in range(T):
            state, step_cache = forward(x[:, t], state, *weights)
            caches.append(step_cache)
        future, totals, dx = 0, [0] * len(weights), np.empty_like(x)
        for t in reversed(range(T)):
            dx[:, t], future, *grads = backward(dh[:, t] + future, caches[t])
            totals = [total + g for total, g in zip(totals, grads, strict=True)]
        for got, expected in zip(whole_backward(dh, cache), [dx, future, *totals], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_the_past_does_not_see_the_future(rng):
    x, h0, *weights = gru_arrays(rng, N, T)
    h, _ = gru_forward(x, h0, *weights)
    x[:, 2:] += 1
    again, _ = gru_forward(x, h0, *weights)
    np.testing.assert_array_equal(h[:, :2], again[:, :2])
    assert (h[:, 2:] != again[:, 2:]).all()


@pytest.mark.parametrize("weight, grows", [(0.5, False), (1.5, True)])
def test_gradients_vanish_or_explode(weight, grows):
    """At the state 0 the slope of tanh is 1: each step back multiplies by the weight."""
    x, h0 = np.zeros((1, 20, 1)), np.zeros((1, 1))
    h, cache = rnn_forward(x, h0, np.ones((1, 1)), np.full((1, 1), weight), np.zeros(1))
    dh = np.zeros_like(h)
    dh[:, -1] = 1
    dx, dh0, *_ = rnn_backward(dh, cache)
    np.testing.assert_allclose(dx[0, :, 0], weight ** np.arange(19, -1, -1.0), rtol=1e-12)
    np.testing.assert_allclose(dh0, weight**20, rtol=1e-12)
    assert (abs(dx[0, 0, 0]) > 1) == grows


@pytest.mark.parametrize("N, T", [(0, 4), (3, 0), (0, 0)])
def test_no_sequence_and_no_step(rng, N, T):
    for forward, backward, arrays in (
        (rnn_forward, rnn_backward, rnn_arrays(rng, N, T)),
        (gru_forward, gru_backward, gru_arrays(rng, N, T)),
    ):
        h, cache = forward(*arrays)
        assert h.shape == (N, T, H)
        grads = backward(h, cache)
        assert [g.shape for g in grads] == [a.shape for a in arrays]
        assert not any(g.any() for g in grads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(rng, dtype):
    for forward, backward, arrays in (
        (rnn_step_forward, rnn_step_backward, rnn_arrays(rng, N)),
        (rnn_forward, rnn_backward, rnn_arrays(rng, N, T)),
        (gru_step_forward, gru_step_backward, gru_arrays(rng, N)),
        (gru_forward, gru_backward, gru_arrays(rng, N, T)),
    ):
        h, cache = forward(*(a.astype(dtype) for a in arrays))
        assert {a.dtype for a in (h, *backward(h, cache))} == {np.dtype(dtype)}
    y, cache = embedding_forward(np.zeros((2, 3), int), np.ones((4, 2), dtype))
    assert {y.dtype, embedding_backward(y, cache).dtype} == {np.dtype(dtype)}


PRIMITIVES = {
    "rnn_step": (rnn_step, rnn_step_forward, rnn_step_backward, rnn_arrays, (N,)),
    "rnn": (rnn, rnn_forward, rnn_backward, rnn_arrays, (N, T)),
    "gru_step": (gru_step, gru_step_forward, gru_step_backward, gru_arrays, (N,)),
    "gru": (gru, gru_forward, gru_backward, gru_arrays, (N, T)),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_can_be_differentiated_to_any_order(rng, name):
    function, forward, backward, arrays, axes = PRIMITIVES[name]
    arrays = arrays(rng, *axes)
    h, cache = forward(*arrays)
    dh = rng.normal(size=h.shape)
    y, pullback = vjp(function, *arrays)
    np.testing.assert_allclose(y, h, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(function(*arrays), h, rtol=1e-12, atol=1e-14)
    for got, expected in zip(pullback(dh), backward(dh, cache), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    check_gradients(function, *arrays)
    v = [rng.normal(size=a.shape) for a in arrays]
    _, change = jvp(function, arrays, v)
    np.testing.assert_allclose(
        np.vdot(change, dh),
        sum(np.vdot(g, d) for g, d in zip(backward(dh, cache), v, strict=True)),
        rtol=1e-9,
    )
    weight = rng.normal(size=h.shape)
    check_gradients(grad(lambda xs: np.sum(weight * function(*xs))), arrays)


def test_no_steps_can_be_differentiated(rng):
    y, pullback = vjp(rnn, *(arrays := rnn_arrays(rng, N, 0)))
    assert y.shape == (N, 0, H)
    assert [np.shape(g) for g in pullback(y)] == [a.shape for a in arrays]


def test_embedding_matches_torch(rng):
    tokens = rng.integers(0, 6, (3, 5))
    weight = rng.normal(size=(7, 2))
    assert_matches_torch(
        lambda w: embedding_forward(tokens, w),
        embedding_backward,
        lambda w: torch.nn.functional.embedding(torch.tensor(tokens), w),
        weight,
        rng=rng,
    )
    check_gradients(lambda w: embedding(tokens, w), weight)
    hvp(lambda w: np.sum(embedding(tokens, w) ** 3), weight, weight)


def test_a_word_that_stands_twice_gets_both_gradients():
    y, cache = embedding_forward(np.array([[1, 3, 1]]), np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(y, [[[2, 3], [6, 7], [2, 3]]])
    dweight = embedding_backward(np.array([[[1.0, 2], [3, 4], [10, 20]]]), cache)
    np.testing.assert_array_equal(dweight, [[0, 0], [11, 22], [0, 0], [3, 4]])


def test_embedding_is_a_product_with_one_hot_rows(rng):
    tokens, weight = rng.integers(0, 7, (3, 5)), rng.normal(size=(7, 2))
    y, _ = embedding_forward(tokens, weight)
    np.testing.assert_array_equal(y, np.eye(7)[tokens] @ weight)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_words(shape):
    y, cache = embedding_forward(np.zeros(shape, int), np.ones((4, 2)))
    assert y.shape == (*shape, 2)
    assert not embedding_backward(y, cache).any()


def test_layers(rng):
    for layer, forward, backward in (
        (RNN(D, H, rng=rng, dtype=np.float64), rnn_forward, rnn_backward),
        (GRU(D, H, rng=rng, dtype=np.float64), gru_forward, gru_backward),
    ):
        x, h0 = rng.normal(size=(N, T, D)), rng.normal(size=(N, H))
        for first in (None, h0):
            start = np.zeros((N, H)) if first is None else first
            h, cache = forward(x, start, **layer.params)
            np.testing.assert_array_equal(layer.forward(x, first), h)
            dh = rng.normal(size=h.shape)
            dx, dh0, *grads = backward(dh, cache)
            np.testing.assert_array_equal(layer.backward(dh), dx)
            np.testing.assert_array_equal(layer.dh0, dh0)
            for name, expected in zip(layer.params, grads, strict=True):
                np.testing.assert_array_equal(layer.grads[name], expected)


def test_first_weights(rng):
    layer = GRU(300, 200, rng=rng)
    assert layer.params["weight_x"].shape == (600, 300)
    assert np.var(layer.params["weight_x"]) == pytest.approx(2 / 500, rel=0.05)
    assert np.var(layer.params["weight_h"]) == pytest.approx(2 / 400, rel=0.05)
    assert not layer.params["bias_x"].any()
    assert np.var(Embedding(300, 200, rng=rng).params["weight"]) == pytest.approx(1, rel=0.05)
    small = Embedding(300, 200, initializer=normal, rng=rng)
    assert np.std(small.params["weight"]) == pytest.approx(0.01, rel=0.05)


def test_says_what_is_wrong(rng):
    x, h, weight_x, weight_h, bias = rnn_arrays(rng, N)
    with pytest.raises(
        ValueError, match=r"rnn_step: `weight_x` has shape \(2, 4\).* D = 5 as in `x`"
    ):
        rnn_step_forward(x, h, weight_x[:, :4], weight_h, bias)
    with pytest.raises(ValueError, match=r"rnn_step: `h` has shape \(2, 2\).* N = 3 as in `x`"):
        rnn_step_forward(x, h[:2], weight_x, weight_h, bias)
    with pytest.raises(ValueError, match=r"rnn: `x` has shape \(3, 5\), expected \(N, T, D\)"):
        rnn_forward(x, h, weight_x, weight_h, bias)
    with pytest.raises(TypeError, match="rnn_step: `h` is float32, expected float64 as `x`"):
        rnn_step(x, h.astype(np.float32), weight_x, weight_h, bias)
    _, cache = rnn_step_forward(x, h, weight_x, weight_h, bias)
    with pytest.raises(ValueError, match=r"rnn_step_backward: `dy` has shape \(2, 2\)"):
        rnn_step_backward(h[:2], cache)
    x, h, weight_x, weight_h, *biases = gru_arrays(rng, N, T)
    with pytest.raises(ValueError, match=r"gru: `weight_h` has shape \(4, 2\), expected \(6, H\)"):
        gru_forward(x, h, weight_x, weight_h[:4], *biases)
    with pytest.raises(ValueError, match=r"gru_step: `bias_h` has shape \(2,\), expected \(6,\)"):
        gru_step_forward(x[:, 0], h, weight_x, weight_h, biases[0], biases[1][:2])
    _, cache = gru_forward(x, h, weight_x, weight_h, *biases)
    with pytest.raises(TypeError, match="gru_backward: `dy` is float32, expected float64"):
        gru_backward(np.zeros((N, T, H), np.float32), cache)


def test_embedding_says_what_is_wrong():
    weight = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"embedding: `tokens` go from -1 to 4, expected 0 \.\. 3"):
        embedding_forward(np.array([[4, -1]]), weight)
    with pytest.raises(TypeError, match="embedding: `tokens` holds float64, expected integers"):
        embedding_forward(np.ones((1, 2)), weight)
    with pytest.raises(TypeError, match="embedding: `weight` holds int64, expected floating"):
        embedding_forward(np.ones((1, 2), int), weight.astype(int))
    with pytest.raises(ValueError, match=r"embedding: `tokens` has shape \(2,\), expected \(N, T"):
        embedding_forward(np.ones(2, int), weight)
    _, cache = embedding_forward(np.ones((1, 2), int), weight)
    with pytest.raises(ValueError, match=r"embedding_backward: `dy` has shape \(1, 2\)"):
        embedding_backward(np.ones((1, 2)), cache)
