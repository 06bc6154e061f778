"""Max and average pooling in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.pool`."""

import math

import torch
from torch import nn

from course_lib.shapes import check_floats, check_shapes, pool_geometry
from course_lib.torch_layers.windows import pad, taps


def max_pool2d(x, kernel_size, *, stride=None, padding=0):
    """As :func:`course_lib.numpy_layers.max_pool2d_forward`; autograd supplies the backward."""
    check_shapes("max_pool2d", x=(x, "N C H W"))
    check_floats("max_pool2d", x=x)
    geometry = pool_geometry("max_pool2d", x, kernel_size, stride, padding)

    x_pad = pad(x, geometry.padding, -math.inf)
    row = first_max(taps(x_pad, geometry, -1))
    return first_max(taps(row, geometry, -2))


def avg_pool2d(x, kernel_size, *, stride=None, padding=0):
    """As :func:`course_lib.numpy_layers.avg_pool2d_forward`; autograd supplies the backward."""
    check_shapes("avg_pool2d", x=(x, "N C H W"))
    check_floats("avg_pool2d", x=x)
    geometry = pool_geometry("avg_pool2d", x, kernel_size, stride, padding)
    KH, KW = geometry.kernel

    row = sum(taps(pad(x, geometry.padding), geometry, -1))
    return sum(taps(row, geometry, -2)) / (KH * KW)


def first_max(values):
    """Return the elementwise maximum; the first that attains it gets the gradient."""
    best = values[0]
    for value in values[1:]:
        best = torch.where((value > best) | value.isnan(), value, best)
    return best


class MaxPool2d(nn.Module):
    """As :class:`course_lib.numpy_layers.MaxPool2d`."""

    def __init__(self, kernel_size, *, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        return max_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(nn.Module):
    """As :class:`course_lib.numpy_layers.AvgPool2d`."""

    def __init__(self, kernel_size, *, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        return avg_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)
