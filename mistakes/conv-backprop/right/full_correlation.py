"""The algebra of the chapter: dy with zeros between, all round, under the kernel turned round."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


# %% conv2d-forward
def correlate(x, weight, stride=1):
    """Cross-correlate without padding, ``(N, F, HO, WO)``."""
    view = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.tensordot(view, weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def ring(x, padding):
    return np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    y = correlate(ring(x, padding), weight, stride)
    y += bias[None, :, None, None]
    return y, (x, weight, stride, padding)


# %% conv2d-backward
def conv2d_backward(dy, cache):
    x, weight, stride, padding = cache
    H, W = x.shape[2:]
    KH, KW = weight.shape[2:]
    # as dense as with stride 1: zeros between, and after the last window
    dense = np.zeros((*dy.shape[:2], H + 2 * padding - KH + 1, W + 2 * padding - KW + 1), dy.dtype)
    dense[:, :, ::stride, ::stride] = dy
    dweight = correlate(ring(x, padding).swapaxes(0, 1), dense.swapaxes(0, 1)).swapaxes(0, 1)
    around = np.pad(dense, [(0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)])
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
    dx = correlate(around, turned)[:, :, padding : padding + H, padding : padding + W]
    return dx, dweight, np.einsum("nfij->f", dy)


# %% max-pool2d-forward
def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    rings = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    padded = np.pad(x, rings, constant_values=-np.inf)
    view = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::stride, ::stride]
    return view.max(axis=(4, 5)), (view, padded.shape, kernel_size, stride, padding)


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    view, shape, (KH, KW), stride, padding = cache
    maximum = view.max(axis=(4, 5))
    given = np.zeros(dy.shape, bool)  # windows that have handed out their gradient
    dx = np.zeros(shape)
    HO, WO = dy.shape[2:]
    for u in range(KH):
        for v in range(KW):
            takes = (view[..., u, v] == maximum) & ~given
            given |= takes
            dx[:, :, u : u + stride * HO : stride, v : v + stride * WO : stride] += takes * dy
    return dx[:, :, padding : shape[2] - padding, padding : shape[3] - padding]
