"""The windows as columns of a matrix, gathered by index and added back by index."""

import numpy as np


# %% conv2d-forward
def window_index(H, W, KH, KW, stride):
    """Rows and columns of all pixels of all windows, each ``(KH*KW, HO*WO)``."""
    HO, WO = (H - KH) // stride + 1, (W - KW) // stride + 1
    u, v = np.divmod(np.arange(KH * KW), KW)
    i, j = np.divmod(np.arange(HO * WO), WO)
    return u[:, None] + stride * i, v[:, None] + stride * j, HO, WO


def pad_image(x, padding, value=0.0):
    N, C, H, W = x.shape
    padded = np.full((N, C, H + 2 * padding, W + 2 * padding), value, dtype=x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    return padded


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    padded = pad_image(x, padding)
    F, C, KH, KW = weight.shape
    rows, columns, HO, WO = window_index(*padded.shape[2:], KH, KW, stride)
    cols = padded[:, :, rows, columns].reshape(len(x), C * KH * KW, HO * WO)
    y = weight.reshape(F, -1) @ cols + bias.reshape(F, 1)
    return y.reshape(len(x), F, HO, WO), [cols, weight, rows, columns, padded.shape, padding]


# %% conv2d-backward
def conv2d_backward(dy, cache):
    cols, weight, rows, columns, padded_shape, padding = cache
    N, F = dy.shape[:2]
    dy = dy.reshape(N, F, -1)
    dweight = np.matmul(dy, cols.transpose(0, 2, 1)).sum(axis=0).reshape(weight.shape)
    dcols = np.matmul(weight.reshape(F, -1).T, dy)
    padded = np.zeros(padded_shape, dy.dtype)
    C, (H, W) = padded_shape[1], padded_shape[2:]
    every = np.ix_(range(N), range(C))
    image, channel = (index[..., None, None] for index in every)
    np.add.at(padded, (image, channel, rows, columns), dcols.reshape(N, C, *rows.shape))
    dx = padded[:, :, padding : H - padding, padding : W - padding]
    return [dx, dweight, dy.sum(axis=2).sum(axis=0)]


# %% max-pool2d-forward
def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    N, C = x.shape[:2]
    padded = pad_image(x, padding, value=np.finfo(x.dtype).min)
    H, W = padded.shape[2:]
    rows, columns, HO, WO = window_index(H, W, *kernel_size, stride)
    cols = padded[:, :, rows, columns]
    chosen = cols.argmax(axis=2)
    every = np.arange(HO * WO)
    flat = rows[chosen, every] * W + columns[chosen, every]
    return cols.max(axis=2).reshape(N, C, HO, WO), (flat, (N, C, H, W), padding)


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    flat, (N, C, H, W), padding = cache
    start = H * W * np.arange(N * C).reshape(N, C, 1)
    dx = np.bincount((start + flat).ravel(), dy.ravel(), minlength=N * C * H * W)
    dx = dx.reshape(N, C, H, W)
    return dx[:, :, padding : H - padding, padding : W - padding]
