"""Sliding windows and their adjoint: the one idea under convolution and pooling."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x, kernel, stride):
    """Return a read-only view of all windows of the last two axes, ``(N, C, KH, KW, HO, WO)``."""
    SH, SW = stride
    view = sliding_window_view(x, kernel, axis=(-2, -1))[:, :, ::SH, ::SW]
    return view.transpose(0, 1, 4, 5, 2, 3)


def windows_adjoint(g, shape, stride):
    """Add windows `g` ``(N, C, KH, KW, HO, WO)`` back to where they were read from.

    The transpose of :func:`windows`: ``<windows(x), g> == <x, windows_adjoint(g)>`` for all x, g.
    """
    *_, KH, KW, HO, WO = g.shape
    SH, SW = stride
    x = np.zeros(shape, dtype=g.dtype)
    for u in range(KH):
        for v in range(KW):
            x[:, :, u : u + SH * HO : SH, v : v + SW * WO : SW] += g[:, :, u, v]
    return x
