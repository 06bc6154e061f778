"""One number after the other, in plain loops; of equal maxima the last one counts."""

import numpy as np

from course_lib.numpy_layers import SGD, cross_entropy_backward, cross_entropy_forward


# %% conv2d-forward
def conv_geometry(x, weight, stride, padding):
    """Yield every place where a pixel meets a weight: n, f, c, i, j, u, v, row and column."""
    (N, C, H, W), (F, _, KH, KW) = x.shape, weight.shape
    for i in range((H + 2 * padding - KH) // stride + 1):
        for j in range((W + 2 * padding - KW) // stride + 1):
            for u in range(KH):
                for v in range(KW):
                    row, column = i * stride + u - padding, j * stride + v - padding
                    if not (0 <= row < H and 0 <= column < W):
                        continue
                    for n in range(N):
                        for f in range(F):
                            for c in range(C):
                                yield n, f, c, i, j, u, v, row, column


def conv2d_forward(x, weight, bias, *, stride=1, padding=0):
    (N, _, H, W), (F, _, KH, KW) = x.shape, weight.shape
    HO = (H + 2 * padding - KH) // stride + 1
    WO = (W + 2 * padding - KW) // stride + 1
    y = np.zeros((N, F, HO, WO))
    for f in range(F):
        y[:, f] = bias[f]
    for n, f, c, i, j, u, v, row, column in conv_geometry(x, weight, stride, padding):
        y[n, f, i, j] += weight[f, c, u, v] * x[n, c, row, column]
    return y, {"x": x, "weight": weight, "stride": stride, "padding": padding}


# %% conv2d-backward
def conv2d_backward(dy, cache):
    x, weight = cache["x"], cache["weight"]
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(len(weight))
    for n, f, c, i, j, u, v, row, column in conv_geometry(**cache):
        dx[n, c, row, column] += weight[f, c, u, v] * dy[n, f, i, j]
        dweight[f, c, u, v] += x[n, c, row, column] * dy[n, f, i, j]
    for n, f, i, j in np.ndindex(dy.shape):
        dbias[f] += dy[n, f, i, j]
    return dx, dweight, dbias


# %% max-pool2d-forward
def max_pool2d_forward(x, kernel_size, *, stride, padding=0):
    (N, C, H, W), (KH, KW) = x.shape, kernel_size
    HO = (H + 2 * padding - KH) // stride + 1
    WO = (W + 2 * padding - KW) // stride + 1
    y, winners = np.zeros((N, C, HO, WO)), {}
    for n, c, i, j in np.ndindex(y.shape):
        top, left = i * stride - padding, j * stride - padding
        best = None
        for row in range(max(top, 0), min(top + KH, H)):
            for column in range(max(left, 0), min(left + KW, W)):
                if best is None or x[n, c, row, column] >= x[n, c, best[0], best[1]]:
                    best = row, column
        y[n, c, i, j] = x[n, c, best[0], best[1]]
        winners[n, c, i, j] = best
    return y, (winners, x.shape)


# %% max-pool2d-backward
def max_pool2d_backward(dy, cache):
    winners, shape = cache
    dx = np.zeros(shape)
    for (n, c, i, j), (row, column) in winners.items():
        dx[n, c, row, column] += dy[n, c, i, j]
    return dx


# %% train
def train(model, images, labels, *, epochs, batch_size, lr, rng):
    sgd, losses = SGD(model, lr=lr), []
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        of_batches = []
        while len(order):
            batch, order = order[:batch_size], order[batch_size:]
            loss, cache = cross_entropy_forward(model.forward(images[batch]), labels[batch])
            model.backward(cross_entropy_backward(1.0, cache))
            sgd.step()
            of_batches.append(loss)
        losses.append(np.mean(of_batches))
    return np.array(losses)
