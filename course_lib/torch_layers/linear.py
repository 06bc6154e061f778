"""Fully connected layer in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.linear`."""

import math

import torch
from torch import nn

from course_lib.shapes import check_floats, check_shapes
from course_lib.torch_layers.initializers import he_normal


def linear(x, weight, bias):
    """As :func:`course_lib.numpy_layers.linear_forward`; autograd supplies the backward."""
    check_shapes("linear", x=(x, "N D"), weight=(weight, "K D"), bias=(bias, "K"))
    check_floats("linear", x=x, weight=weight, bias=bias)
    return x @ weight.T + bias


class Linear(nn.Module):
    """As :class:`course_lib.numpy_layers.Linear`; `rng` is a :class:`torch.Generator`."""

    def __init__(
        self, in_features, out_features, *, initializer=he_normal, rng, dtype=torch.float32
    ):
        super().__init__()
        weight = initializer((out_features, in_features), rng=rng, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(out_features, device=rng.device, dtype=dtype))

    def forward(self, x):
        return linear(x, self.weight, self.bias)


class Flatten(nn.Module):
    """As :class:`course_lib.numpy_layers.Flatten`."""

    def forward(self, x):
        N, *axes = x.shape
        return x.reshape(N, math.prod(axes))
