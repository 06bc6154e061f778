"""Additive attention in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.attention`."""

import torch
from torch import nn

from course_lib.shapes import check_attention
from course_lib.torch_layers.initializers import xavier_normal


def attention(query, keys, values, weight_query, weight_keys, score):
    """As :func:`course_lib.numpy_layers.attention_forward`; returns the context and the weights."""
    check_attention("attention", query, keys, values, weight_query, weight_keys, score)
    return attend(query @ weight_query.T, keys @ weight_keys.T, values, score)


class Attention(nn.Module):
    """As :class:`course_lib.numpy_layers.Attention`; `rng` is a :class:`torch.Generator`.

    It returns the context and the weights.
    """

    def __init__(
        self,
        query_features,
        key_features,
        hidden_features,
        *,
        initializer=xavier_normal,
        rng,
        dtype=torch.float32,
    ):
        super().__init__()
        A, options = hidden_features, {"rng": rng, "dtype": dtype}
        self.weight_query = nn.Parameter(initializer((A, query_features), **options))
        self.weight_keys = nn.Parameter(initializer((A, key_features), **options))
        self.score = nn.Parameter(initializer((1, A), **options)[0])

    def forward(self, query, keys, values):
        return attention(query, keys, values, self.weight_query, self.weight_keys, self.score)

    def ready(self, keys):
        """Return what the keys ``(N, L, K)`` add to every query: ``(N, L, A)``, computed once."""
        return keys @ self.weight_keys.T

    def look(self, query, ready, values):
        """As :meth:`forward`, with keys that are :meth:`ready`: for many queries of one image."""
        return attend(query @ self.weight_query.T, ready, values, self.score)


def attend(query, keys, values, score):
    """Return the context, and the weights, for `query` ``(N, A)`` and `keys` ``(N, L, A)``."""
    hidden = torch.tanh(query[:, None] + keys)
    weights = torch.softmax(hidden @ score, dim=1)
    return (weights[:, None] @ values)[:, 0], weights
