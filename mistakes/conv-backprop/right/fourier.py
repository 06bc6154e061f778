"""Convolution as a product of spectra; a stride reads every s-th of the results."""

import numpy as np


# %% conv2d-forward
def spectrum(a, size):
    return np.fft.rfft2(a, size)


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    H, W = x.shape[2] + 2 * padding, x.shape[3] + 2 * padding
    KH, KW = weight.shape[2:]
    padded = np.pad(x, ((0,) * 2, (0,) * 2, (padding,) * 2, (padding,) * 2))
    product = np.einsum(
        "nchw,fchw->nfhw", spectrum(padded, (H, W)), spectrum(weight, (H, W)).conj()
    )
    every = np.fft.irfft2(product, (H, W))[:, :, : H - KH + 1, : W - KW + 1]
    return every[:, :, ::stride, ::stride] + bias[:, None, None], (padded, weight, stride, padding)


# %% conv2d-backward
def conv2d_backward(dy, cache):
    padded, weight, stride, padding = cache
    size = H, W = padded.shape[2:]
    KH, KW = weight.shape[2:]
    dense = np.zeros((*dy.shape[:2], H, W))
    dense[:, :, : H - KH + 1 : stride, : W - KW + 1 : stride] = dy
    pull = spectrum(dense, size)
    product = np.einsum("nchw,nfhw->fchw", spectrum(padded, size), pull.conj())
    dweight = np.fft.irfft2(product, size)[:, :, :KH, :KW]
    product = np.einsum("nfhw,fchw->nchw", pull, spectrum(weight, size))
    dx = np.fft.irfft2(product, size)[:, :, padding : H - padding, padding : W - padding]
    return dx, dweight, pull[:, :, 0, 0].real.sum(axis=0)


# %% max-pool2d-forward
def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    (N, C, H, W), (KH, KW) = x.shape, kernel_size
    rows = range(-padding, H + padding - KH + 1, stride)
    columns = range(-padding, W + padding - KW + 1, stride)
    y = np.empty((N, C, len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            window = x[:, :, max(top, 0) : top + KH, max(left, 0) : left + KW]
            y[:, :, i, j] = window.max(axis=(2, 3))
    return y, (x, rows, columns, kernel_size)


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    x, rows, columns, (KH, KW) = cache
    dx = np.zeros(x.shape)
    for (n, c, i, j), pull in np.ndenumerate(dy):
        top, left = max(rows[i], 0), max(columns[j], 0)
        window = x[n, c, top : rows[i] + KH, left : columns[j] + KW]
        row, column = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, top + row, left + column] += pull
    return dx
