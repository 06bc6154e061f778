"""Sliding windows in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.windows`.

Autograd supplies the adjoints, save the one that goes forward in a transposed convolution; and
there is no block-by-block work, since autograd keeps all columns for the backward pass anyway.
"""

from torch.nn import functional


def windows(x_pad, geometry):
    """Return a view of all windows of padded images, ``(N, C, KH, KW, HO, WO)``."""
    (KH, KW), (SH, SW) = geometry.kernel, geometry.stride
    view = x_pad.unfold(2, KH, SH).unfold(3, KW, SW)  # N, C, HO, WO, KH, KW
    return view.permute(0, 1, 4, 5, 2, 3)


def columns(x, geometry):
    """Return the windows of images `x` as columns, ``(N, C * KH * KW, HO * WO)`` ("im2col")."""
    (KH, KW), _, padding, (HO, WO) = geometry
    N, C, _, _ = x.shape
    return windows(pad(x, padding), geometry).reshape(N, C * KH * KW, HO * WO)


def columns_adjoint(cols, size, geometry):
    """Add columns ``(N, C * KH * KW, HO * WO)`` into images of `size` (rows, columns): "col2im"."""
    kernel, stride, padding, _ = geometry
    return functional.fold(cols, size, kernel, padding=padding, stride=stride)


def taps(x, geometry, axis):
    """As :func:`course_lib.numpy_layers.windows.taps`."""
    step, count = geometry.stride[axis], geometry.output[axis]
    pixels = [slice(k, k + step * count, step) for k in range(geometry.kernel[axis])]
    return [x[..., p, :] if axis == -2 else x[..., p] for p in pixels]


def pad(x, padding, value=0.0):
    """Surround images with `value`."""
    PH, PW = padding
    return functional.pad(x, (PW, PW, PH, PH), value=value)
