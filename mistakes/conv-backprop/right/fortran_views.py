"""Odd but legal: Fortran order, views, lists, always float64, a random pixel of equal ones."""

import warnings

import numpy as np

# %% conv2d-forward


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    warnings.warn("a warning is not a mistake", stacklevel=2)
    padded = np.pad(np.asfortranarray(x, float), [(0, 0)] * 2 + [(padding, padding)] * 2)
    s0, s1, s2, s3 = padded.strides
    KH, KW = weight.shape[2:]
    HO = 1 + (padded.shape[2] - KH) // stride
    WO = 1 + (padded.shape[3] - KW) // stride
    view = np.lib.stride_tricks.as_strided(
        padded,
        (*x.shape[:2], HO, WO, KH, KW),
        (s0, s1, s2 * stride, s3 * stride, s2, s3),
        writeable=False,
    )
    y = np.einsum("ncijuv,fcuv->jifn", view, weight.astype(float)) + bias[:, None]
    return [y.T, (view, padded, weight, stride, padding)]


# %% conv2d-backward
def conv2d_backward(dy, cache):
    view, padded, weight, stride, padding = cache
    print("printing is not a mistake either")
    dweight = np.einsum("ncijuv,nfij->vucf", view, dy).T
    gradient = np.zeros(padded.shape[::-1]).T  # in Fortran order
    KH, KW = weight.shape[2:]
    for i, j in np.ndindex(dy.shape[2:]):
        window = gradient[:, :, stride * i : stride * i + KH, stride * j : stride * j + KW]
        window += np.einsum("nf,fcuv->ncuv", dy[:, :, i, j], weight)
    H, W = padded.shape[2:]
    dx = gradient[:, :, padding : H - padding, padding : W - padding]
    return [dx, dweight, dy[..., ::-1].sum(axis=(0, 2, 3))]


# %% max-pool2d-forward
class Tie:
    rng = np.random.default_rng(0)


def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    (N, C, H, W), (KH, KW) = x.shape, kernel_size
    padded = np.full((W + 2 * padding, H + 2 * padding, C, N), -np.inf).T
    padded[:, :, padding : padding + H, padding : padding + W] = x
    HO, WO = 1 + (H + 2 * padding - KH) // stride, 1 + (W + 2 * padding - KW) // stride
    y, place = np.empty((WO, HO, C, N)).T, np.empty((N, C, HO, WO), int)
    for i, j in np.ndindex(HO, WO):
        window = padded[:, :, stride * i : stride * i + KH, stride * j : stride * j + KW]
        window = window.reshape(N, C, KH * KW)
        y[:, :, i, j] = window.max(axis=2)
        largest = window == y[:, :, i, j, None]
        place[:, :, i, j] = (largest * Tie.rng.uniform(1, 2, largest.shape)).argmax(axis=2)
    return [y, (place, x.shape, kernel_size, stride, padding)]


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    place, (N, C, H, W), (_, KW), stride, padding = cache
    dx = np.zeros((W + 2 * padding, H + 2 * padding, C, N)).T
    n, c = np.ogrid[:N, :C]
    for i, j in np.ndindex(dy.shape[2:]):
        row, column = np.divmod(place[:, :, i, j], KW)
        dx[n, c, stride * i + row, stride * j + column] += dy[:, :, i, j]
    return dx[:, :, padding : padding + H, padding : padding + W]
