"""Sliding windows and their adjoint: the one idea under convolution and pooling.

A window sees ``KH * KW`` pixels. Looked at from the other side, one place ``(a, b)`` of the window
sees, over all windows at once, a strided slice of the image. All functions here are slices of that
kind, read from the image or added back into it. They take big batches apart, so that a block of
columns stays in the processor's cache and never fills the memory.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCK = 2**18  # numbers: 1 MB in float32, about the size of the cache that a core has for itself


def windows(x_pad, geometry):
    """Return a read-only view of all windows of padded images, ``(N, C, KH, KW, HO, WO)``."""
    SH, SW = geometry.stride
    view = sliding_window_view(x_pad, geometry.kernel, axis=(2, 3))[:, :, ::SH, ::SW]
    return view.transpose(0, 1, 4, 5, 2, 3)


def windows_adjoint(g, x_pad, geometry):
    """Add windows `g` ``(N, C, KH, KW, HO, WO)`` into `x_pad`, where they were read from.

    The transpose of :func:`windows`: ``<windows(x), g> == <x, windows_adjoint(g)>`` for all x, g,
    started from zeros.
    """
    SH, SW = geometry.stride
    *_, KH, KW, HO, WO = g.shape
    for a in range(KH):
        for b in range(KW):
            x_pad[:, :, a : a + SH * HO : SH, b : b + SW * WO : SW] += g[:, :, a, b]


def columns(x, geometry):
    """Yield the windows of images `x` as the columns of matrices ("im2col"), block by block.

    Yields
    ------
    images, places : slice
        Of the batch, and of the ``HO * WO`` places of a window in an image, row by row.
    cols : ndarray, shape (images, C * KH * KW, places)
    """
    (KH, KW), _, padding, (HO, WO) = geometry
    K = x.shape[1] * KH * KW
    for images in blocks(len(x), K * HO * WO):
        view = windows(pad(x[images], padding), geometry)
        for rows in blocks(HO, K * WO):
            places = slice(rows.start * WO, rows.stop * WO)
            cols = view[..., rows, :].reshape(len(view), K, places.stop - places.start)
            yield images, places, cols


def columns_adjoint(dcols, x, geometry):
    """Add columns back to where :func:`columns` read them ("col2im").

    Parameters
    ----------
    dcols : callable
        ``dcols(images, places)`` gives the columns of a block, shaped as `cols` above.
    x : ndarray, shape (N, C, H, W)
        The images; only their shape and dtype matter.
    geometry : Geometry

    Returns
    -------
    dx : ndarray, shape (N, C, H, W)
    """
    (KH, KW), (SH, _), padding, (HO, WO) = geometry
    C = x.shape[1]
    dx = np.empty(x.shape, x.dtype)
    for images in blocks(len(x), C * KH * KW * HO * WO):
        dx_pad = np.zeros(padded(x[images].shape, padding), x.dtype)
        for rows in blocks(HO, C * KH * KW * WO):
            g = dcols(images, slice(rows.start * WO, rows.stop * WO))
            g = g.reshape(len(dx_pad), C, KH, KW, rows.stop - rows.start, WO)
            windows_adjoint(g, dx_pad[:, :, rows.start * SH :], geometry)
        dx[images] = crop(dx_pad, padding)
    return dx


def taps(x, geometry, axis):
    """Return what each place of a window sees along one axis, -2 or -1: strided slices of `x`.

    Entry k holds the pixel k of all windows, ``KH`` or ``KW`` views in all.
    """
    step, count = geometry.stride[axis], geometry.output[axis]
    pixels = [slice(k, k + step * count, step) for k in range(geometry.kernel[axis])]
    return [x[..., p, :] if axis == -2 else x[..., p] for p in pixels]


def pad(x, padding, value=0):
    """Surround images with `value`; without padding, return `x` itself."""
    if not any(padding):
        return x
    x_pad = np.full(padded(x.shape, padding), value, x.dtype)
    crop(x_pad, padding)[...] = x
    return x_pad


def padded(shape, padding):
    """Return the shape that images of `shape` have with padding."""
    (N, C, H, W), (PH, PW) = shape, padding
    return N, C, H + 2 * PH, W + 2 * PW


def crop(x_pad, padding):
    """Return the view of padded images without their padding."""
    PH, PW = padding
    return x_pad[:, :, PH : x_pad.shape[2] - PH, PW : x_pad.shape[3] - PW]


def blocks(count, size):
    """Yield even slices over `count` items of `size` numbers, each of about `BLOCK` at most."""
    most = max(1, BLOCK // max(1, size))
    parts = -(-count // most)  # rounded up
    for k in range(parts):
        yield slice(k * count // parts, (k + 1) * count // parts)
