"""Max and average pooling in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.pool`."""

import numpy as np

from course_lib.numpy_layers.windows import blocks, crop, pad, padded, taps
from course_lib.shapes import check_floats, check_gradient, check_shapes, pool_geometry


def max_pool2d_forward(x, kernel_size, *, stride=None, padding=0):
    r"""Take the maximum over each window.

    .. math:: y_{n d i j} = \max_{a b} x_{n, d, s i + a, s j + b}

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
    check_shapes("max_pool2d", x=(x, "N C H W"))
    check_floats("max_pool2d", x=x)
    geometry = pool_geometry("max_pool2d", x, kernel_size, stride, padding)
    HO, WO = geometry.output

    x_pad = pad(x, geometry.padding, -np.inf)
    N, C, HP, WP = x_pad.shape
    planes = x_pad.reshape(N * C, HP, WP)
    start = HP * WP * np.arange(N * C)[:, None, None]  # number of pixels before each plane
    pixel = np.arange(HP * WP, dtype=np.min_scalar_type(HP * WP)).reshape(HP, WP)  # within one
    y = np.empty((N * C, HO, WO), x.dtype)
    source = np.empty((N * C, HO, WO), np.intp)  # y == x_pad.ravel()[source]
    for some in blocks(N * C, HP * WP):
        # The maximum along each row of a window, and its pixel; then the same over its rows.
        row, of_row = first_max(taps(planes[some], geometry, -1), taps(pixel, geometry, -1))
        y[some], winner = first_max(taps(row, geometry, -2), taps(of_row, geometry, -2))
        np.add(start[some], winner, out=source[some])
    return y.reshape(N, C, HO, WO), (source.reshape(N, C, HO, WO), x.shape, x.dtype, geometry)


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
    source, shape, dtype, geometry = cache
    check_gradient("max_pool2d_backward", dy, source.shape, dtype)

    dx_pad = np.zeros(padded(shape, geometry.padding), dtype)
    np.add.at(dx_pad.reshape(-1), source.reshape(-1), dy.reshape(-1))  # += place by place
    return crop(dx_pad, geometry.padding)


def avg_pool2d_forward(x, kernel_size, *, stride=None, padding=0):
    r"""Take the mean over each window.

    .. math:: y_{n d i j} = \frac{1}{KH\,KW} \sum_{a b} x_{n, d, s i + a, s j + b}

    with `x` zero-padded. The padding counts: every window is divided by ``KH * KW``, as in
    PyTorch with its default ``count_include_pad=True``.

    Parameters, results and errors as :func:`max_pool2d_forward`.
    """
    check_shapes("avg_pool2d", x=(x, "N C H W"))
    check_floats("avg_pool2d", x=x)
    geometry = pool_geometry("avg_pool2d", x, kernel_size, stride, padding)
    KH, KW = geometry.kernel

    row = sum(taps(pad(x, geometry.padding), geometry, -1))
    y = sum(taps(row, geometry, -2)) / (KH * KW)
    return y, (x.shape, x.dtype, geometry)


def avg_pool2d_backward(dy, cache):
    """Share the gradient of each window equally among its pixels.

    Parameters, results and errors as :func:`max_pool2d_backward`.
    """
    (N, C, H, W), dtype, geometry = cache
    check_gradient("avg_pool2d_backward", dy, (N, C, *geometry.output), dtype)
    (KH, KW), _, padding, (_, WO) = geometry

    dx_pad = np.zeros(padded((N, C, H, W), padding), dtype)
    drow = np.zeros((*dx_pad.shape[:3], WO), dtype)
    for tap in taps(drow, geometry, -2):
        tap += dy / (KH * KW)
    for tap in taps(dx_pad, geometry, -1):
        tap += drow
    return crop(dx_pad, padding)


def first_max(values, pixels):
    """Return the elementwise maximum of some arrays, and the pixel of the first that attains it.

    ``pixels[k]`` numbers the pixels in ``values[k]``, each higher than in ``pixels[k - 1]``: hence
    the newest maximum is the one with the highest number. A NaN stays a NaN.
    """
    # Strided slices are copied first: three passes follow, much faster over neighbours in memory.
    best, at = values[0].copy(), np.ascontiguousarray(pixels[0])
    winner = np.broadcast_to(at, best.shape).copy()
    for value, at in zip(values[1:], pixels[1:], strict=True):
        value, at = np.ascontiguousarray(value), np.ascontiguousarray(at)
        np.maximum(winner, (value > best) * at, out=winner)
        np.maximum(best, value, out=best)
    return best, winner


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
