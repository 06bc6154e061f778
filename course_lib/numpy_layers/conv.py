"""2-D convolution in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.conv`."""

import math

import numpy as np

from course_lib.numpy_layers.windows import columns, columns_adjoint
from course_lib.shapes import check_floats, check_gradient, check_shapes, conv_geometry, pair


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    r"""Cross-correlate a batch of images with a bank of filters.

    .. math:: y_{n f i j} = b_f + \sum_{c u v} w_{f c u v}\, x_{n, c, s i + u, s j + v}

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
        \bar w_{f c u v} &= \sum_{n i j} \bar y_{n f i j}\, x_{n, c, s i + u, s j + v} \\
        \bar x_{n c r q} &= \sum_{f i j u v} \bar y_{n f i j}\, w_{f c u v}
            \quad\text{over } s i + u = r,\ s j + v = q \\
        \bar b_f &= \sum_{n i j} \bar y_{n f i j}

    with the pixels r, q counted in the padded image. In matrices: the gradient of the kernels is
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


class Conv2d:
    """Convolution layer: parameters, and the two functions above.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int or (int, int)
        In pixels; a pair means (rows, columns).
    rng : numpy.random.Generator
        Draws the weights from a normal distribution of variance ``2 / (C * KH * KW)``
        (He et al., 2015, "Delving Deep into Rectifiers", eq. 10); the biases are 0.
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
        rng,
        dtype=np.float32,
    ):
        KH, KW = pair("Conv2d", "kernel_size", kernel_size, least=1)
        std = (2 / (in_channels * KH * KW)) ** 0.5
        weight = std * rng.standard_normal((out_channels, in_channels, KH, KW))
        self.params = {"weight": weight.astype(dtype), "bias": np.zeros(out_channels, dtype)}
        self.grads = {}
        self.stride, self.padding = stride, padding

    def forward(self, x):
        y, self._cache = conv2d_forward(x, **self.params, stride=self.stride, padding=self.padding)
        return y

    def backward(self, dy):
        dx, self.grads["weight"], self.grads["bias"] = conv2d_backward(dy, self._cache)
        return dx
