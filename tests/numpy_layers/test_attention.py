"""Additive attention: as written in plain loops, by hand, and as PyTorch's gradients say."""

import math

import numpy as np
import pytest
import torch
from torch_reference import CLOSE

from course_lib.autodiff import check_gradients, grad, vjp
from course_lib.numpy_layers import Attention, attention, attention_backward, attention_forward

SHAPES = [(2, 3), (2, 5, 4), (2, 5, 6), (7, 3), (7, 4), (7,)]  # query keys values W_q W_k score


def arrays(rng, shapes=SHAPES):
    return [rng.normal(size=shape) for shape in shapes]


def peer(query, keys, values, weight_query, weight_keys, score):
    """The same by einsum, another order of operations."""
    hidden = torch.einsum("aq,nq->na", weight_query, query)[:, None, :]
    hidden = torch.tanh(hidden + torch.einsum("ak,nlk->nla", weight_keys, keys))
    weights = torch.softmax(torch.einsum("a,nla->nl", score, hidden), 1)
    return torch.einsum("nl,nlv->nv", weights, values)


def test_matches_torch(rng):
    inputs = arrays(rng)
    for array in inputs:
        array.setflags(write=False)
    context, weights, cache = attention_forward(*inputs)
    dcontext = rng.normal(size=context.shape)
    tensors = [torch.tensor(a, requires_grad=True) for a in inputs]
    expected = peer(*tensors)
    np.testing.assert_allclose(context, expected.detach(), **CLOSE)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-14)
    grads = torch.autograd.grad(expected, tensors, torch.tensor(dcontext))
    for got, wanted in zip(attention_backward(dcontext, cache), grads, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_matches_loops(rng):
    query, keys, values, weight_query, weight_keys, score = inputs = arrays(rng)
    context, weights, _ = attention_forward(*inputs)
    for n in range(2):
        scores = [
            sum(
                s * math.tanh(wq @ query[n] + wk @ keys[n, place])
                for s, wq, wk in zip(score, weight_query, weight_keys, strict=True)
            )
            for place in range(5)
        ]
        e = [math.exp(s) for s in scores]
        expected = [x / sum(e) for x in e]
        np.testing.assert_allclose(weights[n], expected, rtol=1e-12)
        mean = sum(w * v for w, v in zip(expected, values[n], strict=True))
        np.testing.assert_allclose(context[n], mean, rtol=1e-12)


def test_by_hand():
    """Two places; the score of the first is log 3 higher, so that it gets 3/4."""
    keys = np.array([[[math.atanh(0.5)], [math.atanh(-0.5)]]])
    values = np.array([[[8.0, 0.0], [0.0, 4.0]]])
    one = np.ones((1, 1))
    context, weights, cache = attention_forward(
        np.zeros((1, 1)), keys, values, one, one, np.array([math.log(3)])
    )
    np.testing.assert_allclose(weights, [[0.75, 0.25]], rtol=1e-14)
    np.testing.assert_allclose(context, [[6, 1]], rtol=1e-14)
    _, dkeys, dvalues, *_ = attention_backward(np.array([[1.0, 0.0]]), cache)
    np.testing.assert_allclose(dvalues, [[[0.75, 0], [0.25, 0]]], rtol=1e-14)
    # d context / d score of the first place: 3/4 (8 - 6); the slope of tanh there is 3/4
    slope = 0.75 * 2 * math.log(3) * 0.75
    np.testing.assert_allclose(dkeys, [[[slope], [-slope]]], rtol=1e-13)


def test_places_have_no_order(rng):
    query, keys, values, *parameters = arrays(rng)
    context, weights, _ = attention_forward(query, keys, values, *parameters)
    order = rng.permutation(5)
    again, moved, _ = attention_forward(query, keys[:, order], values[:, order], *parameters)
    np.testing.assert_allclose(again, context, rtol=1e-12)
    np.testing.assert_allclose(moved, weights[:, order], rtol=1e-12)


def test_alike_places_share_alike(rng):
    query, keys, values, *parameters = arrays(rng)
    context, weights, _ = attention_forward(query, keys[:, :1].repeat(5, 1), values, *parameters)
    np.testing.assert_allclose(weights, 0.2, rtol=1e-13)
    np.testing.assert_allclose(context, values.mean(1), rtol=1e-12)


def test_one_place_gets_it_all_and_large_scores_do_not_overflow(rng):
    query, keys, values, weight_query, weight_keys, score = arrays(rng)
    context, weights, _ = attention_forward(
        query, keys[:, :1], values[:, :1], weight_query, weight_keys, score
    )
    np.testing.assert_array_equal(weights, np.ones((2, 1)))
    np.testing.assert_array_equal(context, values[:, 0])
    _, weights, cache = attention_forward(
        query, keys, values, weight_query, weight_keys, 1e4 * score
    )
    assert np.isfinite(weights).all()
    assert all(np.isfinite(g).all() for g in attention_backward(np.ones((2, 6)), cache))


def test_empty_batch(rng):
    shapes = [(0, *shape[1:]) for shape in SHAPES[:3]] + SHAPES[3:]
    inputs = arrays(rng, shapes)
    context, weights, cache = attention_forward(*inputs)
    assert (context.shape, weights.shape) == ((0, 6), (0, 5))
    assert [g.shape for g in attention_backward(context, cache)] == shapes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(rng, dtype):
    context, weights, cache = attention_forward(*(a.astype(dtype) for a in arrays(rng)))
    grads = attention_backward(context, cache)
    assert {a.dtype for a in (context, weights, *grads)} == {np.dtype(dtype)}


def test_can_be_differentiated_to_any_order(rng):
    inputs = arrays(rng)
    context, _, cache = attention_forward(*inputs)
    dcontext = rng.normal(size=context.shape)
    y, pullback = vjp(attention, *inputs)
    np.testing.assert_allclose(y, context, rtol=1e-12)
    expected = attention_backward(dcontext, cache)
    for got, wanted in zip(pullback(dcontext), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    check_gradients(attention, *inputs)
    check_gradients(grad(lambda xs: np.sum(dcontext * np.sin(attention(*xs)))), inputs)


def test_layer(rng):
    layer = Attention(3, 4, 7, rng=rng, dtype=np.float64)
    assert {name: p.shape for name, p in layer.params.items()} == {
        "weight_query": (7, 3),
        "weight_keys": (7, 4),
        "score": (7,),
    }
    inputs = arrays(rng)[:3]
    context, weights, cache = attention_forward(*inputs, **layer.params)
    np.testing.assert_array_equal(layer.forward(*inputs), context)
    np.testing.assert_array_equal(layer.weights, weights)
    dcontext = rng.normal(size=context.shape)
    expected = attention_backward(dcontext, cache)
    for got, wanted in zip(
        [*layer.backward(dcontext), *layer.grads.values()], expected, strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_says_what_is_wrong(rng):
    query, keys, values, *parameters = arrays(rng)
    with pytest.raises(ValueError, match=r"attention: `values` has shape .* L = 4 as in `keys`"):
        attention_forward(query, keys[:, :4], values, *parameters)
    with pytest.raises(ValueError, match=r"attention: `keys` .* L = 0 there is no place to look"):
        attention(query, keys[:, :0], values[:, :0], *parameters)
    with pytest.raises(ValueError, match=r"attention: `score` has shape \(6,\).* A = 7 as in"):
        attention_forward(query, keys, values, *parameters[:2], parameters[2][:6])
    with pytest.raises(TypeError, match="attention: `keys` is float32, expected float64"):
        attention_forward(query, keys.astype(np.float32), values, *parameters)
    _, _, cache = attention_forward(query, keys, values, *parameters)
    with pytest.raises(ValueError, match=r"attention_backward: `dy` has shape \(2, 4\)"):
        attention_backward(np.ones((2, 4)), cache)
