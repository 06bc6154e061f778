"""Functions that only move entries. They are linear: a tape keeps shapes, and no values."""

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from course_lib.autodiff.engine import Traced, plain
from course_lib.autodiff.primitive import composite, constant, nothing, primitive
from course_lib.autodiff.rules.elementwise import unbroadcast

ZERO_SLOPE = [
    *(np.empty_like, np.ones_like, np.zeros_like),
    *(np.iscomplexobj, np.isrealobj, np.ndim, np.result_type, np.shape, np.size),
]


def enter(function, adjoint, **naming):
    """Enter a linear function of one array.

    `adjoint` takes ``y_bar``, the shape of the array, and the other arguments of the function;
    it moves every entry back.
    """
    return primitive(function, jvp="linear", vjp=adjoint, keeps="shapes", cost=nothing, **naming)


def transpose_back(y_bar, x, axes=None):
    if axes is not None:
        axes = np.argsort(np.mod(axes, len(x)))
    return np.transpose(y_bar, axes)


enter(np.broadcast_to, lambda y_bar, x, shape: unbroadcast(y_bar, x))
enter(np.copy, lambda y_bar, x: y_bar)
enter(np.expand_dims, lambda y_bar, x, axis: np.reshape(y_bar, x))
enter(np.flip, lambda y_bar, x, axis=None: np.flip(y_bar, axis))
enter(np.moveaxis, lambda y_bar, x, source, destination: np.moveaxis(y_bar, destination, source))
enter(np.ravel, lambda y_bar, x: np.reshape(y_bar, x))
enter(np.reshape, lambda y_bar, x, shape: np.reshape(y_bar, x))
enter(np.roll, lambda y_bar, x, shift, axis=None: np.roll(y_bar, np.negative(shift), axis))
enter(np.squeeze, lambda y_bar, x, axis=None: np.reshape(y_bar, x))
enter(np.swapaxes, lambda y_bar, x, axis1, axis2: np.swapaxes(y_bar, axis1, axis2))
enter(np.transpose, transpose_back)

# Reading by index, and adding to an array of zeros by index, are each other's adjoint.

getitem = enter(
    lambda x, index: x[index],
    lambda y_bar, x, index: scatter(y_bar, x, index),
    name="getitem",
)


def add_at(values, shape, index):
    x = np.zeros(shape, values.dtype)
    if any(isinstance(i, list) or np.ndim(i) for i in (index if type(index) is tuple else [index])):
        np.add.at(x, index, values)  # an array of indices may name an entry twice
    else:
        x[index] = values
    return x


scatter = enter(add_at, lambda x_bar, values, shape, index: getitem(x_bar, index), name="scatter")

# Likewise the windows of an array, and the sum of windows put back where they were read.

enter(
    sliding_window_view,
    lambda y_bar, x, window_shape, axis=None: put_back(y_bar, x, window_shape, axis),
)


def add_windows(windows, shape, window_shape, axis):
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis)
    x, positions = np.zeros(shape, windows.dtype), windows.shape[: len(shape)]
    for offset in np.ndindex(*np.atleast_1d(window_shape)):
        index = [slice(None)] * len(shape)
        for a, o in zip(axes, offset, strict=True):
            index[a] = slice(o, o + positions[a])
        x[tuple(index)] += windows[(..., *offset)]
    return x


put_back = enter(
    add_windows,
    lambda x_bar, windows, shape, window_shape, axis: sliding_window_view(
        x_bar, window_shape, axis
    ),
    name="put_back",
)


@functools.cache
def concatenation(n):
    """Return the primitive that joins `n` arrays."""

    def place(i, shapes, axis):
        start = sum(shape[axis] for shape in shapes[:i])
        return (slice(None),) * axis + (slice(start, start + shapes[i][axis]),)

    def jvp(i):
        return lambda x_dot, y, *arrays, axis: scatter(
            x_dot.astype(y.dtype), y.shape, place(i, [a.shape for a in arrays], axis)
        )

    def vjp(i):
        return lambda y_bar, *shapes, axis: y_bar[place(i, shapes, axis)]

    return primitive(
        lambda *arrays, axis: np.concatenate(arrays, axis),
        jvp=map(jvp, range(n)),
        vjp=map(vjp, range(n)),
        keeps="shapes",
        cost=nothing,
        name="concatenate",
    )


# The rest is made of these.


@composite(np.concatenate)
def concatenate(arrays, axis=0):
    arrays = [a if type(a) is Traced else np.asarray(a) for a in arrays]
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    return concatenation(len(arrays))(*arrays, axis=axis % max(1, arrays[0].ndim))


@composite(np.stack)
def stack(arrays, axis=0):
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis)


@composite(np.vstack)
def vstack(tup):
    return concatenate([np.atleast_2d(a) for a in tup], 0)


@composite(np.hstack)
def hstack(tup):
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


@composite(np.column_stack)
def column_stack(tup):
    return concatenate([a if np.ndim(a) == 2 else np.reshape(a, (-1, 1)) for a in tup], 1)


@composite(np.append)
def append(arr, values, axis=None):
    return concatenate([arr, values], axis)


@composite(np.array_split)
def array_split(ary, indices_or_sections, axis=0):
    pieces = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    spans = [slice(piece[0], piece[-1] + 1) if len(piece) else slice(0) for piece in pieces]
    return [ary[along(axis, ary.ndim, span)] for span in spans]


@composite(np.split)
def split(ary, indices_or_sections, axis=0):
    np.split(np.arange(ary.shape[axis]), indices_or_sections)  # raises if it does not divide
    return array_split(ary, indices_or_sections, axis)


def along(axis, ndim, index):
    """Return the index that applies `index` to one axis and leaves the others whole."""
    return (slice(None),) * (axis % ndim) + (index,)


@composite(np.take)
def take(a, indices, axis=None):
    return np.ravel(a)[indices] if axis is None else a[along(axis, a.ndim, indices)]


@composite(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    if axis is None:
        arr, axis = np.ravel(arr), 0
    index = list(np.ogrid[tuple(map(slice, indices.shape))])
    index[axis] = indices
    return arr[tuple(index)]


@composite(np.repeat)
def repeat(a, repeats, axis=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis)


@composite(np.tile)
def tile(A, reps):
    reps = np.atleast_1d(reps).tolist()
    ndim = max(np.ndim(A), len(reps))
    sizes, reps = [(1,) * (ndim - len(n)) + tuple(n) for n in (np.shape(A), reps)]
    A = np.reshape(A, [n for size in sizes for n in (1, size)])
    A = np.broadcast_to(A, [n for pair in zip(reps, sizes, strict=True) for n in pair])
    return np.reshape(A, [r * n for r, n in zip(reps, sizes, strict=True)])


zero_pad = enter(
    lambda x, before, after: np.pad(x, list(zip(before, after, strict=True))),
    lambda y_bar, x, before, after: y_bar[
        tuple(slice(b, b + n) for b, n in zip(before, x, strict=True))
    ],
    name="pad",
)


@composite(np.pad)
def pad(array, pad_width, mode="constant", *, constant_values=0):
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    if not np.any(widths):
        return array
    if mode == "constant":
        frame = np.pad(np.zeros(array.shape), widths, constant_values=constant_values)
        padded = zero_pad(array, *map(tuple, zip(*widths, strict=True)))
        return padded + frame.astype(array.dtype) if np.any(frame) else padded
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise NotImplementedError(f"np.pad: mode {mode!r} has no rule for derivatives")
    for axis, width in enumerate(widths):  # each axis reads some of its entries again
        if any(width):
            array = take(array, np.pad(np.arange(array.shape[axis]), width, mode), axis)
    return array


@composite(np.diagonal)
def diagonal(a, offset=0, axis1=0, axis2=1):
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    shape = a.shape[-2:]
    places = np.diagonal(np.arange(np.prod(shape)).reshape(shape), offset)
    return a[(..., *np.unravel_index(places, shape))]


@composite(np.diag)
def diag(v, k=0):
    if v.ndim == 2:
        return diagonal(v, k)
    n = v.size + abs(k)
    return scatter(v, (n, n), np.nonzero(np.eye(n, k=k)))


@composite(np.trace)
def trace(a, offset=0, axis1=0, axis2=1):
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1)


@composite(np.tril)
def tril(m, k=0):
    return np.where(np.tri(*m.shape[-2:], k, dtype=bool), m, 0)


@composite(np.triu)
def triu(m, k=0):
    return np.where(np.tri(*m.shape[-2:], k - 1, dtype=bool), 0, m)


@composite(np.diff)
def diff(a, n=1, axis=-1):
    for _ in range(n):
        a = a[along(axis, a.ndim, slice(1, None))] - a[along(axis, a.ndim, slice(-1))]
    return a


@composite(np.flipud)
def flipud(m):
    return np.flip(m, 0)


@composite(np.fliplr)
def fliplr(m):
    return np.flip(m, 1)


@composite(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x):
    return np.swapaxes(x, -2, -1)


@composite(np.broadcast_arrays)
def broadcast_arrays(*args):
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@composite(np.atleast_1d)
def atleast_1d(a):
    return a if a.ndim else np.reshape(a, (1,))


@composite(np.atleast_2d)
def atleast_2d(a):
    return a if a.ndim >= 2 else np.reshape(a, (1, -1))


@composite(np.full_like)
def full_like(a, fill_value):
    return np.ones_like(plain(a)) * fill_value


cast = enter(
    lambda x, dtype: np.asarray(x, dtype=dtype), lambda y_bar, x, dtype: y_bar, name="astype"
)


@composite(np.astype)
def astype(x, dtype):
    return cast(x, dtype) if np.dtype(dtype).kind == "f" else plain(x).astype(dtype)


for function in ZERO_SLOPE:
    constant(function)
