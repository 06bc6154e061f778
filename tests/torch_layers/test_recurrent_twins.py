"""Embeddings and attention in NumPy, and their twins: layers that give more, or take words."""

import inspect

import numpy as np
import pytest
import torch

from course_lib import numpy_layers, torch_layers

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
ROOMS = (numpy_layers, torch_layers)
ATTENTION = [(2, 3), (2, 5, 4), (2, 5, 6), (7, 3), (7, 4), (7,)]
NOWHERE = [(2, 3), (2, 0, 4), (2, 0, 4), (7, 3), (7, 4), (7,)]


def tensors(arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("name", ["embedding", "attention"])
def test_functions_have_the_same_parameters(name):
    forward, twin = vars(numpy_layers)[f"{name}_forward"], vars(torch_layers)[name]
    assert str(inspect.signature(forward)) == str(inspect.signature(twin))


@pytest.mark.parametrize("name", ["Embedding", "Attention", "RNN", "GRU"])
def test_classes_have_the_same_parameters(name):
    ours, theirs = (list(inspect.signature(vars(m)[name]).parameters) for m in ROOMS)
    assert ours == theirs


def test_attention_agrees(rng):
    arrays = [rng.normal(size=shape) for shape in ATTENTION]
    context, weights, cache = numpy_layers.attention_forward(*arrays)
    theirs = tensors(arrays)
    expected, their_weights = torch_layers.attention(*theirs)
    np.testing.assert_allclose(context, expected.detach(), **CLOSE)
    np.testing.assert_allclose(weights, their_weights.detach(), **CLOSE)
    dcontext = rng.normal(size=context.shape)
    grads = torch.autograd.grad(expected, theirs, torch.tensor(dcontext))
    for got, wanted in zip(numpy_layers.attention_backward(dcontext, cache), grads, strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_embedding_agrees(rng):
    tokens, weight = rng.integers(0, 4, (3, 5)), rng.normal(size=(6, 2))
    y, cache = numpy_layers.embedding_forward(tokens, weight)
    (their_weight,) = tensors([weight])
    expected = torch_layers.embedding(torch.tensor(tokens), their_weight)
    np.testing.assert_array_equal(y, expected.detach())
    dy = rng.normal(size=y.shape)
    (grad,) = torch.autograd.grad(expected, their_weight, torch.tensor(dy))
    np.testing.assert_allclose(numpy_layers.embedding_backward(dy, cache), grad, **CLOSE)


def test_layers_agree(rng):
    """The NumPy layers' own weights, put into the modules."""
    options = {"rng": rng, "dtype": np.float64}
    ours = numpy_layers.Attention(3, 4, 7, **options)
    theirs = torch_layers.Attention(3, 4, 7, rng=torch.Generator(), dtype=torch.float64)
    assert {n: tuple(p.shape) for n, p in theirs.named_parameters()} == {
        n: p.shape for n, p in ours.params.items()
    }
    theirs.load_state_dict({key: torch.tensor(value) for key, value in ours.params.items()})
    arrays = [rng.normal(size=shape) for shape in ATTENTION[:3]]
    context, weights = theirs(*(inputs := tensors(arrays)))
    np.testing.assert_allclose(ours.forward(*arrays), context.detach(), **CLOSE)
    np.testing.assert_allclose(ours.weights, weights.detach(), **CLOSE)
    query, keys, values = inputs
    again, _ = theirs.look(query, theirs.ready(keys), values)
    torch.testing.assert_close(again, context, rtol=0, atol=0)
    dcontext = rng.normal(size=context.shape)
    context.backward(torch.tensor(dcontext))
    for got, tensor in zip(ours.backward(dcontext), inputs, strict=True):
        np.testing.assert_allclose(got, tensor.grad, **CLOSE)
    for name, p in theirs.named_parameters():
        np.testing.assert_allclose(ours.grads[name], p.grad, **CLOSE, err_msg=name)

    ours = numpy_layers.Embedding(6, 2, **options)
    theirs = torch_layers.Embedding(6, 2, rng=torch.Generator(), dtype=torch.float64)
    theirs.load_state_dict({"weight": torch.tensor(ours.params["weight"])})
    tokens = rng.integers(0, 6, (3, 5))
    np.testing.assert_array_equal(ours.forward(tokens), theirs(torch.tensor(tokens)).detach())
    assert ours.backward(np.ones((3, 5, 2))) is None
    assert ours.grads["weight"].sum() == 3 * 5 * 2


def test_a_cell_of_a_module_is_a_step_of_its_sequence(rng):
    layer = torch_layers.GRU(4, 3, rng=torch.Generator().manual_seed(0))
    x, h = torch.tensor(rng.normal(size=(2, 5, 4)).astype(np.float32)), torch.zeros(2, 3)
    states = []
    for t in range(5):
        h = layer.step(x[:, t], h)
        states.append(h)
    torch.testing.assert_close(torch.stack(states, 1), layer(x))


@pytest.mark.parametrize("name", ["rnn", "gru"])
@pytest.mark.parametrize("N, T", [(0, 4), (2, 0), (0, 0)])
def test_no_sequence_and_no_step(name, N, T):
    rows = 3 if name == "rnn" else 9
    biases = [torch.ones(rows)] * (1 if name == "rnn" else 2)
    x = torch.ones(N, T, 4)
    h = vars(torch_layers)[name](
        x, torch.ones(N, 3), torch.ones(rows, 4), torch.ones(rows, 3), *biases
    )
    assert h.shape == (N, T, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_stays_on_any_device_in_any_precision(dtype):
    """The device "meta" computes shapes only, and refuses tensors of another device."""

    def ones(*shape):
        return torch.ones(shape, dtype=dtype, device="meta")

    h = torch_layers.rnn(ones(2, 3, 4), ones(2, 5), ones(5, 4), ones(5, 5), ones(5))
    g = torch_layers.gru(ones(2, 3, 4), ones(2, 5), ones(15, 4), ones(15, 5), ones(15), ones(15))
    c, w = torch_layers.attention(*(ones(*shape) for shape in ATTENTION))
    e = torch_layers.embedding(torch.zeros(2, 3, dtype=torch.int64, device="meta"), ones(6, 2))
    assert [tuple(y.shape) for y in (h, g, c, w, e)] == [
        (2, 3, 5),
        (2, 3, 5),
        (2, 6),
        (2, 5),
        (2, 3, 2),
    ]
    assert {(y.device.type, y.dtype) for y in (h, g, c, w, e)} == {("meta", dtype)}


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda f: f.rnn_step(*map(torch.ones, [(2, 3), (2, 4), (5, 3), (4, 4), (4,)])),
            ValueError,
            r"rnn_step: `weight_x` has shape \(5, 3\).* H = 4 as in `h`",
        ),
        (
            lambda f: f.rnn(*map(torch.ones, [(2, 3), (2, 4), (4, 3), (4, 4), (4,)])),
            ValueError,
            r"rnn: `x` has shape \(2, 3\), expected \(N, T, D\)",
        ),
        (
            lambda f: f.gru(*map(torch.ones, [(2, 1, 3), (2, 4), (4, 3), (4, 4), (4,), (4,)])),
            ValueError,
            r"gru: `weight_x` has shape \(4, 3\), expected \(12, D\)",
        ),
        (
            lambda f: f.attention(*(torch.ones(s) for s in NOWHERE)),
            ValueError,
            "attention: `keys` .* L = 0 there is no place",
        ),
        (
            lambda f: f.embedding(torch.tensor([[0, 6]]), torch.ones(6, 2)),
            ValueError,
            r"embedding: `tokens` go from 0 to 6, expected 0 \.\. 5",
        ),
    ],
)
def test_says_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call(torch_layers)
