"""Recurrent layers and embeddings in PyTorch. The twin is :mod:`course_lib.numpy_layers.recurrent`.

The loop over time is the same; autograd goes back through it, which is backpropagation through
time.
"""

import torch
from torch import nn

from course_lib.shapes import check_gru, check_rnn, check_tokens
from course_lib.torch_layers.initializers import normal, xavier_normal


def embedding(tokens, weight):
    """As :func:`course_lib.numpy_layers.embedding_forward`; autograd supplies the backward."""
    check_tokens("embedding", tokens, weight)
    return nn.functional.embedding(tokens, weight)  # weight[tokens], with a faster backward


def rnn_step(x, h, weight_x, weight_h, bias):
    """As :func:`course_lib.numpy_layers.rnn_step_forward`; autograd supplies the backward."""
    check_rnn("rnn_step", x, h, weight_x, weight_h, bias, axes="N D")
    return torch.tanh(x @ weight_x.T + h @ weight_h.T + bias)


def rnn(x, h0, weight_x, weight_h, bias):
    """As :func:`course_lib.numpy_layers.rnn_forward`; autograd supplies the backward."""
    check_rnn("rnn", x, h0, weight_x, weight_h, bias, axes="N T D")
    from_x = x @ weight_x.T + bias  # all steps at once
    state, h = h0, []
    for t in range(x.shape[1]):
        state = torch.tanh(from_x[:, t] + state @ weight_h.T)
        h.append(state)
    return torch.stack(h, dim=1) if h else from_x


def gru_step(x, h, weight_x, weight_h, bias_x, bias_h):
    """As :func:`course_lib.numpy_layers.gru_step_forward`; autograd supplies the backward."""
    check_gru("gru_step", x, h, weight_x, weight_h, bias_x, bias_h, axes="N D")
    return gated(x @ weight_x.T + bias_x, h, weight_h, bias_h)


def gru(x, h0, weight_x, weight_h, bias_x, bias_h):
    """As :func:`course_lib.numpy_layers.gru_forward`; autograd supplies the backward."""
    check_gru("gru", x, h0, weight_x, weight_h, bias_x, bias_h, axes="N T D")
    from_x = x @ weight_x.T + bias_x  # all steps at once
    state, h = h0, []
    for t in range(x.shape[1]):
        state = gated(from_x[:, t], state, weight_h, bias_h)
        h.append(state)
    return torch.stack(h, dim=1) if h else from_x[..., : h0.shape[1]]


class Embedding(nn.Module):
    """As :class:`course_lib.numpy_layers.Embedding`; `rng` is a :class:`torch.Generator`."""

    def __init__(self, num_words, features, *, initializer=None, rng, dtype=torch.float32):
        super().__init__()
        options = {"std": 1.0} if initializer is None else {}
        weight = (initializer or normal)((num_words, features), **options, rng=rng, dtype=dtype)
        self.weight = nn.Parameter(weight)

    def forward(self, tokens):
        return embedding(tokens, self.weight)


class RNN(nn.Module):
    """As :class:`course_lib.numpy_layers.RNN`; `rng` is a :class:`torch.Generator`."""

    def __init__(
        self, in_features, hidden_features, *, initializer=xavier_normal, rng, dtype=torch.float32
    ):
        super().__init__()
        D, H = in_features, hidden_features
        self.weight_x = nn.Parameter(initializer((H, D), rng=rng, dtype=dtype))
        self.weight_h = nn.Parameter(initializer((H, H), rng=rng, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(H, device=rng.device, dtype=dtype))

    def forward(self, x, h0=None):
        h0 = x.new_zeros((len(x), len(self.bias))) if h0 is None else h0
        return rnn(x, h0, self.weight_x, self.weight_h, self.bias)


class GRU(nn.Module):
    """As :class:`course_lib.numpy_layers.GRU`; `rng` is a :class:`torch.Generator`."""

    def __init__(
        self, in_features, hidden_features, *, initializer=xavier_normal, rng, dtype=torch.float32
    ):
        super().__init__()
        D, H = in_features, hidden_features
        x, h = (
            torch.cat([initializer((H, size), rng=rng, dtype=dtype) for _ in range(3)])
            for size in (D, H)
        )
        bias_x, bias_h = torch.zeros(2, 3 * H, device=rng.device, dtype=dtype)
        self.weight_x, self.weight_h = nn.Parameter(x), nn.Parameter(h)
        self.bias_x, self.bias_h = nn.Parameter(bias_x), nn.Parameter(bias_h)

    def forward(self, x, h0=None):
        h0 = x.new_zeros((len(x), self.weight_h.shape[1])) if h0 is None else h0
        return gru(x, h0, self.weight_x, self.weight_h, self.bias_x, self.bias_h)

    def step(self, x, h):
        """Take one step: from ``(N, D)`` and the state ``(N, H)`` to the next state."""
        return gru_step(x, h, self.weight_x, self.weight_h, self.bias_x, self.bias_h)


def gated(from_x, h, weight_h, bias_h):
    """As :func:`course_lib.numpy_layers.recurrent.gated`; returns the next state only."""
    from_h = h @ weight_h.T + bias_h
    H = h.shape[1]
    r, z = (from_x[:, : 2 * H] + from_h[:, : 2 * H]).sigmoid().chunk(2, dim=1)
    candidate = torch.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
    return (1 - z) * candidate + z * h
