"""2-D convolution and its transpose in NumPy.

The PyTorch twin is :mod:`course_lib.torch_layers.conv`.
"""

import math

import numpy as np

from course_lib.numpy_layers.initializers import he_normal
from course_lib.numpy_layers.windows import columns, columns_adjoint
from course_lib.shapes import (
    check_floats,
    check_gradient,
    check_shapes,
    conv_geometry,
    pair,
    transposed_geometry,
)


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    r"""Cross-correlate a batch of images with a bank of filters.

    .. math:: y_{n f i j} = b_f + \sum_{d a b} w_{f d a b}\, x_{n, d, s i + a, s j + b}

    with `x` zero-padded by `padding` pixels on each side. The windows are the columns of a matrix
    and the kernels the rows of another ("im2col"), and their product is the output, block by block.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (F, C, KH, KW)
    bias : ndarray, shape (F,)
    stride, padding : int or (int, int)
        In pixels; a pair means (rows, columns).

    Returns
    -------
    y : ndarray, shape (N, F, HO, WO)
        ``HO = (H + 2 padding - KH) // stride + 1``, and `WO` likewise.
    cache : tuple
        What :func:`conv2d_backward` needs; treat as opaque. It refers to `x` and `weight`: leave
        them as they are until then.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, or the kernel is larger than the padded image.

    References
    ----------
    Chellapilla, Puri & Simard (2006), "High Performance Convolutional Neural Networks for
    Document Processing", which calls it unrolled convolution.
    """
    check_shapes("conv2d", x=(x, "N C H W"), weight=(weight, "F C KH KW"), bias=(bias, "F"))
    check_floats("conv2d", x=x, weight=weight, bias=bias)
    (N, C, _, _), (F, _, KH, KW) = x.shape, weight.shape
    geometry = conv_geometry("conv2d", x, (KH, KW), stride, padding)
    HO, WO = geometry.output

    kernels = weight.reshape(F, C * KH * KW)
    y = np.empty((N, F, HO * WO), x.dtype)
    for images, places, cols in columns(x, geometry):
        y[images, :, places] = kernels @ cols + bias[:, None]
    return y.reshape(N, F, HO, WO), (x, weight, geometry)


def conv2d_backward(dy, cache):
    r"""Pull the gradient of the loss back through :func:`conv2d_forward`.

    .. math::
        \bar w_{f d a b} &= \sum_{n i j} \bar y_{n f i j}\, x_{n, d, s i + a, s j + b} \\
        \bar x_{n d r c} &= \sum_{f i j a b} \bar y_{n f i j}\, w_{f d a b}
            \quad\text{over } s i + a = r,\ s j + b = c \\
        \bar b_f &= \sum_{n i j} \bar y_{n f i j}

    with the pixels r, c counted in the padded image. In matrices: the gradient of the kernels is
    `dy` times the transposed columns; that of the columns is the transposed kernels times `dy`,
    and each of its numbers is added to the pixel that it was read from.

    Parameters
    ----------
    dy : ndarray, shape (N, F, HO, WO)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`conv2d_forward`.

    Returns
    -------
    dx, dweight, dbias : ndarray
        Gradients with the shapes of `x`, `weight` and `bias`.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    x, weight, geometry = cache
    N, F = len(x), len(weight)
    HO, WO = geometry.output
    check_gradient("conv2d_backward", dy, (N, F, HO, WO), x.dtype)

    dy = dy.reshape(N, F, HO * WO)
    dx = gradient_of_images(dy, weight, x, geometry)
    return dx, gradient_of_kernels(dy, x, weight, geometry), dy.sum(axis=(0, 2))


def gradient_of_images(dy, weight, x, geometry):
    """Return ``dx`` from `dy` ``(N, F, HO * WO)``; of `x` only the shape and dtype matter."""
    kernels = weight.reshape(len(weight), math.prod(weight.shape[1:]))
    return columns_adjoint(lambda images, places: kernels.T @ dy[images, :, places], x, geometry)


def gradient_of_kernels(dy, x, weight, geometry):
    """Return ``dweight`` from `dy` ``(N, F, HO * WO)``; of `weight` only the shape matters."""
    F, *kernel = weight.shape
    dkernels = np.zeros((F, math.prod(kernel)), x.dtype)
    for images, places, cols in columns(x, geometry):
        dkernels += (dy[images, :, places] @ cols.swapaxes(1, 2)).sum(axis=0)
    return dkernels.reshape(weight.shape)


def conv_transpose2d_forward(x, weight, bias, *, stride=1, padding=0, output_padding=0):
    r"""Go through a convolution backwards: every pixel of `x` adds its kernel to the output.

    .. math:: y_{n f r c} = b_f + \sum_{d i j a b} x_{n d i j}\, w_{d f a b}
        \quad\text{over } s i + a = r,\ s j + b = c

    with r, c counted before `padding` pixels are cut off each side. Without a bias it is the ``dx``
    of :func:`conv2d_backward` for the pulls `x`. It is the transpose of a convolution as a matrix,
    not its inverse; the name "deconvolution" promises too much.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (C, F, KH, KW)
        The kernels of the convolution that goes from `y` to `x`: channels of `x` come first.
    bias : ndarray, shape (F,)
    stride, padding, output_padding : int or (int, int)
        In pixels; a pair means (rows, columns). `output_padding` adds rows below and columns on
        the right, which get whatever kernels reach them.

    Returns
    -------
    y : ndarray, shape (N, F, HO, WO)
        ``HO = (H - 1) stride - 2 padding + KH + output_padding``, and `WO` likewise.
    cache : tuple
        What :func:`conv_transpose2d_backward` needs; as that of :func:`conv2d_forward`.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, nothing would be left of the output, or `output_padding` is not
        less than `stride`.

    References
    ----------
    Dumoulin & Visin (2016), "A Guide to Convolution Arithmetic for Deep Learning", section 4.
    """
    check_shapes(
        "conv_transpose2d", x=(x, "N C H W"), weight=(weight, "C F KH KW"), bias=(bias, "F")
    )
    check_floats("conv_transpose2d", x=x, weight=weight, bias=bias)
    (N, C, H, W), (_, F, KH, KW) = x.shape, weight.shape
    geometry, (HO, WO) = transposed_geometry(
        "conv_transpose2d", x, (KH, KW), stride, padding, output_padding
    )
    y = np.broadcast_to(np.zeros((), x.dtype), (N, F, HO, WO))  # only its shape matters
    y = gradient_of_images(x.reshape(N, C, H * W), weight, y, geometry)
    return y + bias[:, None, None], (x, weight, geometry, y.shape)


def conv_transpose2d_backward(dy, cache):
    """Pull the gradient of the loss back through :func:`conv_transpose2d_forward`.

    The transpose of a transpose is the thing itself: ``dx`` is the convolution of `dy`. The
    gradient of the kernels is that of the convolution, with `x` for the pulls and `dy` for the
    images.

    Parameters
    ----------
    dy : ndarray, shape (N, F, HO, WO)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`conv_transpose2d_forward`.

    Returns
    -------
    dx, dweight, dbias : ndarray
        Gradients with the shapes of `x`, `weight` and `bias`.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    x, weight, geometry, shape = cache
    check_gradient("conv_transpose2d_backward", dy, shape, x.dtype)

    N, C, H, W = x.shape
    _, stride, padding, _ = geometry
    dx, _ = conv2d_forward(dy, weight, np.zeros(C, x.dtype), stride=stride, padding=padding)
    dweight = gradient_of_kernels(x.reshape(N, C, H * W), dy, weight, geometry)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


class Conv2d:
    """Convolution layer: parameters, and the two functions above.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int or (int, int)
        In pixels; a pair means (rows, columns).
    initializer : callable
        Makes the weights from their shape, `rng` and `dtype`, as :func:`he_normal`; biases are 0.
    rng : numpy.random.Generator
    dtype : dtype
    """

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
        dtype=np.float32,
    ):
        KH, KW = pair("Conv2d", "kernel_size", kernel_size, least=1)
        weight = initializer((out_channels, in_channels, KH, KW), rng=rng, dtype=dtype)
        self.params = {"weight": weight, "bias": np.zeros(out_channels, dtype)}
        self.grads = {}
        self.stride, self.padding = stride, padding

    def forward(self, x):
        y, self._cache = conv2d_forward(x, **self.params, stride=self.stride, padding=self.padding)
        return y

    def backward(self, dy):
        dx, self.grads["weight"], self.grads["bias"] = conv2d_backward(dy, self._cache)
        return dx


class ConvTranspose2d:
    """Transposed convolution layer: parameters, and the two functions above.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (int, int)
        In pixels; a pair means (rows, columns).
    rng : numpy.random.Generator
        Draws the weights from a normal distribution of variance ``2 SH SW / (C * KH * KW)``: He's,
        since ``KH * KW / (SH SW)`` weights of each channel reach a pixel. The biases are 0.
    dtype : dtype
    """

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
        dtype=np.float32,
    ):
        KH, KW = pair("ConvTranspose2d", "kernel_size", kernel_size, least=1)
        SH, SW = pair("ConvTranspose2d", "stride", stride, least=1)
        std = (2 * SH * SW / (in_channels * KH * KW)) ** 0.5
        weight = std * rng.standard_normal((in_channels, out_channels, KH, KW))
        self.params = {"weight": weight.astype(dtype), "bias": np.zeros(out_channels, dtype)}
        self.grads = {}
        self.geometry = {"stride": stride, "padding": padding, "output_padding": output_padding}

    def forward(self, x):
        y, self._cache = conv_transpose2d_forward(x, **self.params, **self.geometry)
        return y

    def backward(self, dy):
        dx, *grads = conv_transpose2d_backward(dy, self._cache)
        self.grads["weight"], self.grads["bias"] = grads
        return dx
