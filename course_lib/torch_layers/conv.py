"""2-D convolution and its transpose in PyTorch.

The NumPy twin is :mod:`course_lib.numpy_layers.conv`.
"""

import torch
from torch import nn

from course_lib.shapes import (
    check_floats,
    check_shapes,
    conv_geometry,
    pair,
    transposed_geometry,
)
from course_lib.torch_layers.initializers import he_normal
from course_lib.torch_layers.windows import columns, columns_adjoint


def conv2d(x, weight, bias, *, stride=1, padding=0):
    """As :func:`course_lib.numpy_layers.conv2d_forward`; autograd supplies the backward."""
    check_shapes("conv2d", x=(x, "N C H W"), weight=(weight, "F C KH KW"), bias=(bias, "F"))
    check_floats("conv2d", x=x, weight=weight, bias=bias)
    (N, C, _, _), (F, _, KH, KW) = x.shape, weight.shape
    geometry = conv_geometry("conv2d", x, (KH, KW), stride, padding)
    HO, WO = geometry.output

    kernels = weight.reshape(F, C * KH * KW)
    cols = columns(x, geometry)
    y = kernels @ cols + bias[:, None]
    return y.reshape(N, F, HO, WO)


def conv_transpose2d(x, weight, bias, *, stride=1, padding=0, output_padding=0):
    """As :func:`course_lib.numpy_layers.conv_transpose2d_forward`; autograd has the backward."""
    check_shapes(
        "conv_transpose2d", x=(x, "N C H W"), weight=(weight, "C F KH KW"), bias=(bias, "F")
    )
    check_floats("conv_transpose2d", x=x, weight=weight, bias=bias)
    (N, C, H, W), (_, F, KH, KW) = x.shape, weight.shape
    geometry, size = transposed_geometry(
        "conv_transpose2d", x, (KH, KW), stride, padding, output_padding
    )
    kernels = weight.reshape(C, F * KH * KW)
    cols = kernels.T @ x.reshape(N, C, H * W)
    return columns_adjoint(cols, size, geometry) + bias[:, None, None]


class Conv2d(nn.Module):
    """As :class:`course_lib.numpy_layers.Conv2d`; `rng` is a :class:`torch.Generator`."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        *,
        stride=1,
        padding=0,
        initializer=he_normal,
        rng,
        dtype=torch.float32,
    ):
        super().__init__()
        KH, KW = pair("Conv2d", "kernel_size", kernel_size, least=1)
        weight = initializer((out_channels, in_channels, KH, KW), rng=rng, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(out_channels, device=rng.device, dtype=dtype))
        self.stride, self.padding = stride, padding

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)


class ConvTranspose2d(nn.Module):
    """As :class:`course_lib.numpy_layers.ConvTranspose2d`; `rng` is a :class:`torch.Generator`."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        *,
        stride=1,
        padding=0,
        output_padding=0,
        rng,
        dtype=torch.float32,
    ):
        super().__init__()
        KH, KW = pair("ConvTranspose2d", "kernel_size", kernel_size, least=1)
        SH, SW = pair("ConvTranspose2d", "stride", stride, least=1)
        std = (2 * SH * SW / (in_channels * KH * KW)) ** 0.5
        shape = (in_channels, out_channels, KH, KW)
        weight = std * torch.randn(shape, generator=rng, device=rng.device, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(out_channels, device=rng.device, dtype=dtype))
        self.geometry = {"stride": stride, "padding": padding, "output_padding": output_padding}

    def forward(self, x):
        return conv_transpose2d(x, self.weight, self.bias, **self.geometry)
