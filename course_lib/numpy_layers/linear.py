"""Fully connected layer in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.linear`."""

import numpy as np

from course_lib.numpy_layers.initializers import he_normal
from course_lib.shapes import check_floats, check_gradient, check_shapes


def linear_forward(x, weight, bias):
    r"""Multiply each row of `x` by a matrix, and add a bias.

    .. math:: y_{n k} = b_k + \sum_d w_{k d}\, x_{n d}

    Parameters
    ----------
    x : ndarray, shape (N, D)
    weight : ndarray, shape (K, D)
    bias : ndarray, shape (K,)

    Returns
    -------
    y : ndarray, shape (N, K)
    cache : tuple
        What :func:`linear_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree.
    """
    check_shapes("linear", x=(x, "N D"), weight=(weight, "K D"), bias=(bias, "K"))
    check_floats("linear", x=x, weight=weight, bias=bias)
    return x @ weight.T + bias, (x, weight)


def linear_backward(dy, cache):
    r"""Pull the gradient of the loss back through :func:`linear_forward`.

    .. math::
        \bar x_{n d} = \sum_k \bar y_{n k}\, w_{k d} \qquad
        \bar w_{k d} = \sum_n \bar y_{n k}\, x_{n d} \qquad
        \bar b_k = \sum_n \bar y_{n k}

    Parameters
    ----------
    dy : ndarray, shape (N, K)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`linear_forward`.

    Returns
    -------
    dx, dweight, dbias : ndarray
        Gradients with the shapes of `x`, `weight` and `bias`.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    x, weight = cache
    check_gradient("linear_backward", dy, (len(x), len(weight)), x.dtype)
    return dy @ weight, dy.T @ x, dy.sum(axis=0)


class Linear:
    """Fully connected layer: parameters, and the two functions above.

    Parameters
    ----------
    in_features, out_features : int
    initializer : callable
        Makes the weights from their shape, `rng` and `dtype`, as :func:`he_normal`; biases are 0.
    rng : numpy.random.Generator
    dtype : dtype
    """

    def __init__(self, in_features, out_features, *, initializer=he_normal, rng, dtype=np.float32):
        weight = initializer((out_features, in_features), rng=rng, dtype=dtype)
        self.params = {"weight": weight, "bias": np.zeros(out_features, dtype)}
        self.grads = {}

    def forward(self, x):
        y, self._cache = linear_forward(x, **self.params)
        return y

    def backward(self, dy):
        dx, self.grads["weight"], self.grads["bias"] = linear_backward(dy, self._cache)
        return dx


class Flatten:
    """Lay all axes of an image but the first in one row: ``(N, C, H, W)`` to ``(N, C*H*W)``."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        self._shape = N, *axes = x.shape
        return x.reshape(N, int(np.prod(axes)))

    def backward(self, dy):
        return dy.reshape(self._shape)
