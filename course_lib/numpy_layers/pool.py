"""Max and average pooling in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.pool`."""

import numpy as np

from course_lib.numpy_layers.windows import windows, windows_adjoint
from course_lib.shapes import check_floats, check_gradient, check_shapes, output_size, pair


def max_pool2d_forward(x, kernel_size, *, stride=None, padding=0):
    r"""Take the maximum over each window.

    .. math:: y_{n c i j} = \max_{u v} x_{n, c, s i + u, s j + v}

    with `x` padded by ``-inf``, so that the padding never wins. Of equal maxima in a window the
    first one counts, row by row, as in PyTorch: it alone gets the gradient.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    kernel_size, padding : int or (int, int)
        In pixels; a pair means (rows, columns). The padding is at most half the kernel.
    stride : int or (int, int), optional
        In pixels; by default as the kernel, so that the windows tile the image.

    Returns
    -------
    y : ndarray, shape (N, C, HO, WO)
        ``HO = (H + 2 padding - KH) // stride + 1``, and `WO` likewise.
    cache : tuple
        What :func:`max_pool2d_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If `x` does not hold floats.
    ValueError
        If `x` has not four axes, a window does not fit, or would see nothing but padding.
    """
    geometry = pool_geometry("max_pool2d", x, kernel_size, stride, padding)
    (KH, KW), (SH, SW), (PH, PW), (HO, WO) = geometry
    N, C, _, _ = x.shape

    x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
    cols = windows(x_pad, (KH, KW), (SH, SW)).reshape(N, C, KH * KW, HO, WO)
    source = cols.argmax(axis=2)  # place of the maximum in its window, 0 .. KH*KW - 1
    y = np.take_along_axis(cols, source[:, :, None], axis=2)[:, :, 0]
    return y, (source, x.shape, x.dtype, geometry)


def max_pool2d_backward(dy, cache):
    """Send the gradient of each window to the pixel that was its maximum.

    Where windows overlap, a pixel gets the sum of what its windows send.

    Parameters
    ----------
    dy : ndarray, shape (N, C, HO, WO)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`max_pool2d_forward`.

    Returns
    -------
    dx : ndarray, shape (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    source, (N, C, H, W), dtype, ((KH, KW), stride, (PH, PW), (HO, WO)) = cache
    check_gradient("max_pool2d_backward", dy, (N, C, HO, WO), dtype)

    place = np.arange(KH * KW)[:, None, None]
    dcols = np.where(source[:, :, None] == place, dy[:, :, None], dy.dtype.type(0))
    shape = N, C, H + 2 * PH, W + 2 * PW
    dx_pad = windows_adjoint(dcols.reshape(N, C, KH, KW, HO, WO), shape, stride)
    return dx_pad[:, :, PH : PH + H, PW : PW + W]


def avg_pool2d_forward(x, kernel_size, *, stride=None, padding=0):
    r"""Take the mean over each window.

    .. math:: y_{n c i j} = \frac{1}{KH\,KW} \sum_{u v} x_{n, c, s i + u, s j + v}

    with `x` zero-padded. The padding counts: every window is divided by ``KH * KW``, as in
    PyTorch with its default ``count_include_pad=True``.

    Parameters, results and errors as :func:`max_pool2d_forward`.
    """
    geometry = pool_geometry("avg_pool2d", x, kernel_size, stride, padding)
    kernel, stride, (PH, PW), _ = geometry

    x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    y = windows(x_pad, kernel, stride).mean(axis=(2, 3))
    return y, (x.shape, x.dtype, geometry)


def avg_pool2d_backward(dy, cache):
    """Share the gradient of each window equally among its pixels.

    Parameters, results and errors as :func:`max_pool2d_backward`.
    """
    (N, C, H, W), dtype, ((KH, KW), stride, (PH, PW), (HO, WO)) = cache
    check_gradient("avg_pool2d_backward", dy, (N, C, HO, WO), dtype)

    share = (dy / (KH * KW))[:, :, None, None]
    dcols = np.broadcast_to(share, (N, C, KH, KW, HO, WO))
    dx_pad = windows_adjoint(dcols, (N, C, H + 2 * PH, W + 2 * PW), stride)
    return dx_pad[:, :, PH : PH + H, PW : PW + W]


def pool_geometry(where, x, kernel_size, stride, padding):
    """Check the arguments of a pooling; return its kernel, stride, padding and output size."""
    check_shapes(where, x=(x, "N C H W"))
    check_floats(where, x=x)
    kernel = pair(where, "kernel_size", kernel_size, least=1)
    stride = kernel if stride is None else pair(where, "stride", stride, least=1)
    padding = pair(where, "padding", padding, least=0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(
            f"{where}: `padding` is {padding}, expected at most half of `kernel_size` {kernel}, "
            f"so that every window sees a pixel"
        )
    output = tuple(
        output_size(where, *axis) for axis in zip(x.shape[2:], kernel, stride, padding, strict=True)
    )
    return kernel, stride, padding, output


class MaxPool2d:
    """Max pooling layer; see :func:`max_pool2d_forward`."""

    def __init__(self, kernel_size, *, stride=None, padding=0):
        self.params, self.grads = {}, {}
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        y, self._cache = max_pool2d_forward(
            x, self.kernel_size, stride=self.stride, padding=self.padding
        )
        return y

    def backward(self, dy):
        return max_pool2d_backward(dy, self._cache)


class AvgPool2d:
    """Average pooling layer; see :func:`avg_pool2d_forward`."""

    def __init__(self, kernel_size, *, stride=None, padding=0):
        self.params, self.grads = {}, {}
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        y, self._cache = avg_pool2d_forward(
            x, self.kernel_size, stride=self.stride, padding=self.padding
        )
        return y

    def backward(self, dy):
        return avg_pool2d_backward(dy, self._cache)
