"""Activation functions in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.activation`.

Each works elementwise on tensors of any shape; autograd supplies the backward.
"""

import torch
from torch import nn

from course_lib.shapes import check_floats


def relu(x):
    """As :func:`course_lib.numpy_layers.relu_forward`."""
    check_floats("relu", x=x)
    return torch.relu(x)


def sigmoid(x):
    """As :func:`course_lib.numpy_layers.sigmoid_forward`."""
    check_floats("sigmoid", x=x)
    return torch.sigmoid(x)


def tanh(x):
    """As :func:`course_lib.numpy_layers.tanh_forward`."""
    check_floats("tanh", x=x)
    return torch.tanh(x)


class ReLU(nn.Module):
    """As :class:`course_lib.numpy_layers.ReLU`."""

    def forward(self, x):
        return relu(x)


class Sigmoid(nn.Module):
    """As :class:`course_lib.numpy_layers.Sigmoid`."""

    def forward(self, x):
        return sigmoid(x)


class Tanh(nn.Module):
    """As :class:`course_lib.numpy_layers.Tanh`."""

    def forward(self, x):
        return tanh(x)
