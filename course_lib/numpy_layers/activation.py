"""Activation functions in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.activation`.

Each works elementwise on arrays of any shape.
"""

import numpy as np

from course_lib.shapes import check_floats, check_gradient


def relu_forward(x):
    """Set what is negative to 0: ``y = max(x, 0)``.

    Returns
    -------
    y : ndarray, the shape of `x`
    cache : tuple
        What :func:`relu_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If `x` is not an array of floats.
    """
    check_floats("relu", x=x)
    y = np.maximum(x, 0)
    return y, (y,)


def relu_backward(dy, cache):
    """Let the gradient through where `y` is positive: ``dx = dy if y > 0 else 0``.

    At x = 0, where the derivative does not exist, it is taken as 0, as in PyTorch.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    (y,) = cache
    check_gradient("relu_backward", dy, y.shape, y.dtype)
    return np.where(y > 0, dy, 0)


def sigmoid_forward(x):
    """Squash to (0, 1): ``y = 1 / (1 + exp(-x))``.

    Where x is negative this is computed as ``exp(x) / (1 + exp(x))``: the exponential of a large
    positive number would overflow.

    Returns and raises as :func:`relu_forward`.
    """
    check_floats("sigmoid", x=x)
    e = np.exp(-np.abs(x))
    y = np.where(x < 0, e, 1) / (1 + e)
    return y, (y,)


def sigmoid_backward(dy, cache):
    """Multiply by the slope ``y (1 - y)``. Raises as :func:`relu_backward`."""
    (y,) = cache
    check_gradient("sigmoid_backward", dy, y.shape, y.dtype)
    return dy * y * (1 - y)


def tanh_forward(x):
    """Squash to (-1, 1): ``y = tanh(x)``. Returns and raises as :func:`relu_forward`."""
    check_floats("tanh", x=x)
    y = np.tanh(x)
    return y, (y,)


def tanh_backward(dy, cache):
    """Multiply by the slope ``1 - y^2``. Raises as :func:`relu_backward`."""
    (y,) = cache
    check_gradient("tanh_backward", dy, y.shape, y.dtype)
    return dy * (1 - y * y)


class ReLU:
    """Rectifier layer; see :func:`relu_forward`."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        y, self._cache = relu_forward(x)
        return y

    def backward(self, dy):
        return relu_backward(dy, self._cache)


class Sigmoid:
    """Sigmoid layer; see :func:`sigmoid_forward`."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        y, self._cache = sigmoid_forward(x)
        return y

    def backward(self, dy):
        return sigmoid_backward(dy, self._cache)


class Tanh:
    """Hyperbolic tangent layer; see :func:`tanh_forward`."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        y, self._cache = tanh_forward(x)
        return y

    def backward(self, dy):
        return tanh_backward(dy, self._cache)
