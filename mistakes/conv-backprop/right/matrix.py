"""The whole layer as one matrix, and its transpose backward; classes as caches."""

import numpy as np


# %% conv2d-forward
class ConvCache:
    def __init__(self, x, weight, stride, padding):
        H, W = x.shape[2:]
        self.x, self.weight = x, weight
        index = np.pad(np.arange(1, H * W + 1).reshape(H, W), padding)  # 0 is the padding
        KH, KW = weight.shape[2:]
        self.size = (
            (H + 2 * padding - KH) // stride + 1,
            (W + 2 * padding - KW) // stride + 1,
        )
        self.select = np.zeros((KH, KW, *self.size, H * W + 1))
        for u, v, i, j in np.ndindex(KH, KW, *self.size):
            self.select[u, v, i, j, index[stride * i + u, stride * j + v]] = 1
        self.select = self.select[..., 1:]


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    cache = ConvCache(x, weight, stride, padding)
    pixels = x.reshape(*x.shape[:2], -1)
    seen = np.tensordot(pixels, cache.select, axes=(2, 4))  # N, C, KH, KW, HO, WO
    y = np.tensordot(seen, weight, axes=([1, 2, 3], [1, 2, 3]))  # N, HO, WO, F
    return np.moveaxis(y + bias, 3, 1), cache


# %% conv2d-backward
def conv2d_backward(dy, cache):
    x, weight, select = cache.x, cache.weight, cache.select
    pulled = np.tensordot(dy, weight, axes=(1, 0))  # N, HO, WO, C, KH, KW
    dx = np.tensordot(pulled, select, axes=([4, 5, 1, 2], [0, 1, 2, 3])).reshape(x.shape)
    seen = np.tensordot(x.reshape(*x.shape[:2], -1), select, axes=(2, 4))
    dweight = np.tensordot(dy, seen, axes=([0, 2, 3], [0, 4, 5]))
    return dx, dweight, [float(dy[:, f].sum()) for f in range(len(weight))]


# %% max-pool2d-forward
def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    N, C, H, W = x.shape
    rows = [slice(max(r, 0), r + kernel_size[0]) for r in range(-padding, H, stride)]
    columns = [slice(max(c, 0), c + kernel_size[1]) for c in range(-padding, W, stride)]
    rows = rows[: (H + 2 * padding - kernel_size[0]) // stride + 1]
    columns = columns[: (W + 2 * padding - kernel_size[1]) // stride + 1]
    y = [[x[:, :, r, c].reshape(N, C, -1).max(axis=2) for c in columns] for r in rows]
    return np.array(y).transpose(2, 3, 0, 1), (x, rows, columns)


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    x, rows, columns = cache
    N, C, _, _ = x.shape
    dx = np.zeros_like(x)
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            window = x[:, :, r, c]
            flat = window.reshape(N, C, -1)
            one = np.arange(flat.shape[2]) == flat.argmax(axis=2)[..., None]
            dx[:, :, r, c] += one.reshape(window.shape) * dy[:, :, i, j, None, None]
    return dx
