"""Functions that make fewer entries of many along some axes, and those that run or sort along one.

Ties. Where several entries are the maximum (or minimum), each gets an equal share. Sorting keeps
equal entries in their order, and the derivative follows the entries.
"""

import math

import numpy as np

from course_lib.autodiff.engine import plain
from course_lib.autodiff.primitive import composite, constant, per_input, primitive

ZERO_SLOPE = [
    *(np.all, np.any, np.argmax, np.argmin, np.argpartition, np.argsort, np.argwhere),
    *(np.count_nonzero, np.digitize, np.flatnonzero, np.nonzero, np.searchsorted),
]


def as_axes(axis, ndim):
    """Return the axes that `axis` means: all for None."""
    if axis is None or ndim == 0:  # NumPy lets a number have an axis 0
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def kept(shape, axis):
    """Return the shape of a reduction over `axis` with ``keepdims=True``."""
    axes = as_axes(axis, len(shape))
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


primitive(
    np.sum,
    jvp="linear",
    vjp=lambda y_bar, x, axis=None, *, keepdims=False: np.broadcast_to(
        np.reshape(y_bar, kept(x, axis)), x
    ),
    keeps="shapes",
    cost=per_input,
)
primitive(
    np.cumsum,
    jvp="linear",
    vjp=lambda y_bar, x, axis=None: np.reshape(
        np.flip(np.cumsum(np.flip(y_bar, axis), axis), axis), x
    ),
    keeps="shapes",
    cost=per_input,
)


def shares(x, y, axis):
    """Return for each entry of `x` its share in the extremum `y` along `axis`.

    A NaN is the extremum wherever it stands.
    """
    x, y = plain(x), np.reshape(plain(y), kept(x.shape, axis))
    taken = x == y
    count = np.sum(taken, as_axes(axis, x.ndim), keepdims=True)
    if not count.all():
        taken = taken | (x != x)
        count = np.sum(taken, as_axes(axis, x.ndim), keepdims=True)
    return taken / count.astype(x.dtype)


def enter_extremum(function):
    primitive(
        function,
        jvp=lambda x_dot, y, x, axis=None, *, keepdims=False: np.sum(
            x_dot * shares(x, y, axis), axis, keepdims=keepdims
        ),
        vjp=lambda y_bar, y, x, axis=None, *, keepdims=False: (
            np.reshape(y_bar, kept(x.shape, axis)) * shares(x, y, axis)
        ),
        cost=per_input,
    )


for function in {np.max, np.amax, np.min, np.amin}:
    enter_extremum(function)


def products_of_others(x):
    """Return along the last axis the product of all entries but this one; zeros do not matter."""
    n = x.shape[-1]
    if n <= 1:
        return np.ones_like(x)
    if n % 2:
        x = np.concatenate([x, np.ones_like(x[..., :1])], -1)
    left, right = x[..., ::2], x[..., 1::2]
    outside = products_of_others(left * right)  # of each pair
    both = np.stack([outside * right, outside * left], -1)
    return np.reshape(both, x.shape)[..., :n]


def others(x, axis):
    """Return :func:`products_of_others` over several axes at once."""
    axes = as_axes(axis, x.ndim)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    moved = np.moveaxis(x, axes, last)
    lined_up = np.reshape(moved, (*moved.shape[: last[0] if last else x.ndim], -1))
    return np.moveaxis(np.reshape(products_of_others(lined_up), moved.shape), last, axes)


primitive(
    np.prod,
    jvp=lambda x_dot, y, x, axis=None, *, keepdims=False: np.sum(
        x_dot * others(x, axis), axis, keepdims=keepdims
    ),
    vjp=lambda y_bar, x, axis=None, *, keepdims=False: (
        np.reshape(y_bar, kept(x.shape, axis)) * others(x, axis)
    ),
    keeps="inputs",
    cost=per_input,
)


@composite(np.cumprod)
def cumprod(a, axis=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    a, step = np.moveaxis(a, axis, -1), 1
    while step < a.shape[-1]:  # after each round an entry holds the product of twice as many
        a = np.concatenate([a[..., :step], a[..., step:] * a[..., :-step]], -1)
        step *= 2
    return np.moveaxis(a, -1, axis)


@composite(np.mean)
def mean(a, axis=None, *, keepdims=False):
    return np.sum(a, axis=axis, keepdims=keepdims) / count(a, axis)


@composite(np.var)
def var(a, axis=None, *, ddof=0, keepdims=False):
    squares = np.square(a - mean(a, axis, keepdims=True))
    return np.sum(squares, axis=axis, keepdims=keepdims) / (count(a, axis) - ddof)


@composite(np.std)
def std(a, axis=None, *, ddof=0, keepdims=False):
    return np.sqrt(var(a, axis, ddof=ddof, keepdims=keepdims))


@composite(np.average)
def average(a, axis=None, weights=None):
    if weights is None:
        return mean(a, axis)
    if np.shape(weights) != np.shape(a):
        weights = np.reshape(weights, [-1 if i == axis % a.ndim else 1 for i in range(a.ndim)])
        weights = np.broadcast_to(weights, a.shape)
    return np.sum(a * weights, axis) / np.sum(weights, axis)


def count(a, axis):
    return math.prod(a.shape[i] for i in as_axes(axis, a.ndim))


@composite(np.ptp)
def ptp(a, axis=None, *, keepdims=False):
    return np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)


@composite(np.sort)
def sort(a, axis=-1):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argsort(plain(a), axis, kind="stable"), axis)


for function in ZERO_SLOPE:
    constant(function)
