"""Named axes: say once what each axis means, and check it where data comes in.

The letters of the course: ``N`` images, ``C`` channels in, ``F`` channels out, ``H W`` rows and
columns, ``KH KW`` kernel, ``SH SW`` stride, ``PH PW`` padding, ``HO WO`` output, ``D`` features,
``K`` classes, ``R`` boxes, ``P`` pooling bins. Of sequences: ``T`` steps, ``H`` units of a state,
``V`` words, ``E`` numbers of a word, ``L`` places, ``A`` units of an attention.

The checks take arrays of any framework (NumPy, PyTorch): they read `shape`, `ndim` and `dtype`.
"""

import math
from numbers import Integral
from typing import NamedTuple


def check_shapes(where, **named):
    """Check arrays against axis names; one name means one size throughout.

    Parameters
    ----------
    where : str
        The function that is checking, which the error names.
    **named : (array, str)
        Each argument with its axes, separated by spaces; a number is a size that is required.

    Raises
    ------
    TypeError
        If an argument is not an array.
    ValueError
        If an array has another number of axes, or a name would mean two sizes.

    Examples
    --------
    >>> import numpy as np
    >>> check_shapes("linear", x=(np.ones((8, 3)), "N D"), weight=(np.ones((5, 4)), "K D"))
    Traceback (most recent call last):
    ValueError: linear: `weight` has shape (5, 4), expected (K, D) with D = 3 as in `x`
    """
    first = {}  # axis name -> (size, argument where it was first seen)
    for name, (array, axes) in named.items():
        check_array(where, name, array)
        axes = axes.split()
        expected = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        problem = f"{where}: `{name}` has shape {tuple(array.shape)}, expected {expected}"
        if array.ndim != len(axes):
            raise ValueError(problem)
        for axis, size in zip(axes, array.shape, strict=True):
            if axis.isdigit():
                if size != int(axis):
                    raise ValueError(problem)
            else:
                known, source = first.setdefault(axis, (size, name))
                if size != known:
                    raise ValueError(f"{problem} with {axis} = {known} as in `{source}`")


def check_floats(where, **arrays):
    """Check that all arrays hold floating-point numbers of one and the same precision.

    Raises
    ------
    TypeError
        If an argument is not an array, holds something else, or has another precision than the
        first one: a product of float32 and float64 would silently be computed in float64.
    """
    first = None  # (dtype, argument) of the first array
    for name, array in arrays.items():
        check_array(where, name, array)
        dtype = dtype_name(array.dtype)
        if "float" not in dtype:
            raise TypeError(
                f"{where}: `{name}` holds {dtype}, expected floating-point numbers; "
                f"convert it, for example to float32"
            )
        known, source = first = first or (dtype, name)
        if dtype != known:
            raise TypeError(
                f"{where}: `{name}` is {dtype}, expected {known} as `{source}`; convert one of them"
            )


def check_gradient(where, dy, shape, dtype):
    """Check that a gradient `dy` has the shape and the precision of the output `y` it belongs to.

    Raises
    ------
    TypeError, ValueError
        If it has not.
    """
    check_array(where, "dy", dy)
    if tuple(dy.shape) != tuple(shape):
        raise ValueError(
            f"{where}: `dy` has shape {tuple(dy.shape)}, expected {tuple(shape)}, the shape of `y`"
        )
    if dy.dtype != dtype:
        raise TypeError(
            f"{where}: `dy` is {dtype_name(dy.dtype)}, expected {dtype_name(dtype)} as `y`; "
            f"convert it"
        )


def check_labels(where, labels, K):
    """Check that `labels` holds at least one class, all integers in ``0 .. K - 1``.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If there are none, or one of them names no class.
    """
    check_array(where, "labels", labels)
    if "int" not in dtype_name(labels.dtype):
        raise TypeError(f"{where}: `labels` holds {dtype_name(labels.dtype)}, expected integers")
    if len(labels) == 0:
        raise ValueError(f"{where}: `labels` is empty, and an empty batch has no mean loss")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= K:
        raise ValueError(
            f"{where}: `labels` go from {low} to {high}, expected 0 .. {K - 1}, "
            f"since `logits` has K = {K} columns"
        )


def check_distance(where, predicted, targets, beta):
    """Check two arrays of one shape whose distance a loss measures, squared up to `beta`.

    Raises
    ------
    TypeError
        If they do not hold floats of one precision.
    ValueError
        If the shapes disagree, there is no entry, or `beta` is not positive.
    """
    check_floats(where, predicted=predicted, targets=targets)
    shape = tuple(predicted.shape)
    if tuple(targets.shape) != shape:
        raise ValueError(
            f"{where}: `targets` has shape {tuple(targets.shape)}, expected {shape} as `predicted`"
        )
    if 0 in shape:
        raise ValueError(
            f"{where}: `predicted` has shape {shape}, and no entry has no mean distance"
        )
    if not 0 < beta < math.inf:
        raise ValueError(f"{where}: `beta` is {beta!r}, expected a positive number")


def check_rois(where, x, boxes, image_index, output_size, sampling_ratio=0):
    """Check features, boxes and the image of each; return the rows and columns of the output.

    Raises
    ------
    TypeError
        If something does not hold the numbers it should, or two precisions meet.
    ValueError
        If shapes disagree, a box is inside out or not finite, there is no such image, or an option
        has no meaning.
    """
    check_shapes(where, x=(x, "N C H W"), boxes=(boxes, "R 4"), image_index=(image_index, "R"))
    check_floats(where, x=x, boxes=boxes)
    if "int" not in dtype_name(image_index.dtype):
        kind = dtype_name(image_index.dtype)
        raise TypeError(f"{where}: `image_index` holds {kind}, expected integers")
    if sampling_ratio < 0:
        raise ValueError(
            f"{where}: `sampling_ratio` is {sampling_ratio}, expected a number of points, or 0"
        )
    good = ((boxes[:, 2:] >= boxes[:, :2]) & (abs(boxes[:, 2:]) < math.inf)).all(1)
    good = good & (abs(boxes[:, :2]) < math.inf).all(1)  # a NaN is not, whatever it meets
    there = (image_index >= 0) & (image_index < len(x))
    if not bool((good & there).all()):
        row = [bool(g) for g in good & there].index(False)
        corners = [round(float(v), 4) for v in boxes[row]]
        raise ValueError(
            f"{where}: box {row} is {corners} in image {int(image_index[row])}, expected finite "
            f"x1 y1 x2 y2 with x1 <= x2 and y1 <= y2 in one of {len(x)} images, counted from 0"
        )
    return pair(where, "output_size", output_size, least=1)


def check_batch_norm(where, x, gamma, beta, mean, var):
    """Check the arguments of a batch normalisation; `mean` and `var` are None in training.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, only one of `mean` and `var` is given, or, in training, a channel
        has fewer than two values.
    """
    if (mean is None) != (var is None):
        raise ValueError(f"{where}: give both `mean` and `var`, or neither")
    check_array(where, "x", x)
    axes = "N C" if x.ndim == 2 else "N C H W"
    per_channel = {"gamma": gamma, "beta": beta}
    if mean is not None:
        per_channel |= {"mean": mean, "var": var}
    check_shapes(where, x=(x, axes), **{name: (a, "C") for name, a in per_channel.items()})
    check_floats(where, x=x, **per_channel)
    values = math.prod(x.shape) // max(1, x.shape[1])
    if mean is None and values < 2:
        raise ValueError(
            f"{where}: `x` has shape {tuple(x.shape)}, expected at least 2 values per channel in "
            f"training; use a larger batch, or give `mean` and `var`"
        )


def check_rnn(where, x, h, weight_x, weight_h, bias, axes):
    """Check the arguments of a recurrent layer, or of its step; `axes` are those of `x`.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree.
    """
    state = "h" if axes == "N D" else "h0"
    named = {"x": (x, axes), state: (h, "N H")}
    named |= {"weight_x": (weight_x, "H D"), "weight_h": (weight_h, "H H"), "bias": (bias, "H")}
    check_shapes(where, **named)
    check_floats(where, **{name: array for name, (array, _) in named.items()})


def check_gru(where, x, h, weight_x, weight_h, bias_x, bias_h, axes):
    """As :func:`check_rnn`, for three gates: weights and biases have 3H rows."""
    state = "h" if axes == "N D" else "h0"
    named = {"x": (x, axes), state: (h, "N H")}
    check_shapes(where, **named)
    rows = 3 * h.shape[1]
    named |= {"weight_x": (weight_x, f"{rows} D"), "weight_h": (weight_h, f"{rows} H")}
    named |= {"bias_x": (bias_x, f"{rows}"), "bias_h": (bias_h, f"{rows}")}
    check_shapes(where, **named)
    check_floats(where, **{name: array for name, (array, _) in named.items()})


def check_tokens(where, tokens, weight):
    """Check numbers of words ``(N, T)`` and a table with a row for each word, ``(V, E)``.

    Raises
    ------
    TypeError
        If the tokens are no integers, or the table does not hold floats.
    ValueError
        If they have other axes, or a token is no row of the table.
    """
    check_shapes(where, tokens=(tokens, "N T"), weight=(weight, "V E"))
    check_floats(where, weight=weight)
    if "int" not in dtype_name(tokens.dtype):
        raise TypeError(f"{where}: `tokens` holds {dtype_name(tokens.dtype)}, expected integers")
    if 0 in tokens.shape or str(getattr(tokens, "device", "")) == "meta":
        return
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= len(weight):
        raise ValueError(
            f"{where}: `tokens` go from {low} to {high}, expected 0 .. {len(weight) - 1}, since "
            f"`weight` has V = {len(weight)} rows"
        )


def check_attention(where, query, keys, values, weight_query, weight_keys, score):
    """Check the arguments of additive attention.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, or there is no place to look at.
    """
    named = {"query": (query, "N Q"), "keys": (keys, "N L K"), "values": (values, "N L V")}
    named |= {"weight_query": (weight_query, "A Q"), "weight_keys": (weight_keys, "A K")}
    named |= {"score": (score, "A")}
    check_shapes(where, **named)
    check_floats(where, **{name: array for name, (array, _) in named.items()})
    if keys.shape[1] == 0:
        raise ValueError(
            f"{where}: `keys` has shape {tuple(keys.shape)}: with L = 0 there is no place to look "
            f"at"
        )


def fans(where, shape):
    """Return how many products one output of a layer adds up, and the gradient of one input.

    Parameters
    ----------
    where : str
        The function that asks, which the error names.
    shape : tuple of int
        Of a weight, outputs first: ``(K, D)`` or ``(F, C, KH, KW)``.

    Returns
    -------
    fan_in, fan_out : int
        ``C * KH * KW`` and ``F * KH * KW``; the latter where each input lies in all the windows
        that it can, as with stride 1 it does away from the edge.

    Raises
    ------
    ValueError
        If `shape` has fewer than two axes, or one without entries.

    Examples
    --------
    >>> fans("he_normal", (16, 6, 5, 5))
    (150, 400)
    """
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(
            f"{where}: `shape` is {tuple(shape)}, expected that of a weight, outputs first, with "
            f"at least two axes and no empty one"
        )
    outputs, inputs, *kernel = shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def check_array(where, name, array):
    """Raise a TypeError unless `array` has the attributes of an array."""
    if not (hasattr(array, "shape") and hasattr(array, "ndim") and hasattr(array, "dtype")):
        raise TypeError(
            f"{where}: `{name}` is a {type(array).__name__}, expected an array; "
            f"convert it, for example with np.array"
        )


def dtype_name(dtype):
    """Name of a NumPy or PyTorch dtype without its framework, for example ``float32``."""
    return str(dtype).removeprefix("torch.")


class Geometry(NamedTuple):
    """How windows lie on images: four pairs (rows, columns), in pixels; `output` in windows."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    output: tuple[int, int]


def conv_geometry(where, x, kernel_size, stride, padding):
    """Check how windows of `kernel_size` are to slide over images `x` ``(N, C, H, W)``.

    Returns
    -------
    Geometry

    Raises
    ------
    TypeError
        If a size is neither an int nor a pair of ints.
    ValueError
        If a size is too small, or a window does not fit the padded image.
    """
    kernel = pair(where, "kernel_size", kernel_size, least=1)
    stride = pair(where, "stride", stride, least=1)
    padding = pair(where, "padding", padding, least=0)
    axes = zip(x.shape[2:], kernel, stride, padding, strict=True)
    return Geometry(kernel, stride, padding, tuple(output_size(where, *axis) for axis in axes))


def transposed_geometry(where, x, kernel_size, stride, padding, output_padding):
    """Check a transposed convolution of images `x` ``(N, C, H, W)``.

    Returns
    -------
    geometry : Geometry
        Of the convolution from the output back to `x`.
    size : (int, int)
        Rows and columns of the output: ``(H - 1) stride - 2 padding + KH + output_padding``, and
        the columns likewise. Several sizes have the `x` of one convolution; `output_padding` adds
        the rows and columns that the last windows do not reach.

    Raises
    ------
    TypeError
        If a size is neither an int nor a pair of ints.
    ValueError
        If a size is too small, the padding cuts everything off, or `output_padding` would have
        room for another window.
    """
    kernel = pair(where, "kernel_size", kernel_size, least=1)
    stride = pair(where, "stride", stride, least=1)
    padding = pair(where, "padding", padding, least=0)
    extra = pair(where, "output_padding", output_padding, least=0)
    if any(e >= s for e, s in zip(extra, stride, strict=True)):
        raise ValueError(
            f"{where}: `output_padding` is {output_padding!r}, expected less than `stride`, "
            f"{stride}, or another window would fit; use larger images"
        )
    axes = zip(x.shape[2:], kernel, stride, padding, extra, strict=True)
    size = tuple((n - 1) * s - 2 * p + k + e for n, k, s, p, e in axes)
    if min(size) < 1:
        raise ValueError(
            f"{where}: `padding` {padding} cuts everything off images of {tuple(x.shape[2:])}: "
            f"the output would have {size[0]} rows and {size[1]} columns; use less padding"
        )
    return Geometry(kernel, stride, padding, tuple(x.shape[2:])), size


def pool_geometry(where, x, kernel_size, stride, padding):
    """As :func:`conv_geometry`, for pooling: a `stride` of None means that of the kernel.

    Raises, besides, a ValueError if the padding is more than half the kernel, since a window could
    then lie outside the image altogether.
    """
    stride = kernel_size if stride is None else stride
    geometry = conv_geometry(where, x, kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(geometry.padding, geometry.kernel, strict=True)):
        raise ValueError(
            f"{where}: `padding` is {padding!r}, expected at most half of `kernel_size`, "
            f"{kernel_size!r}, so that every window sees a pixel"
        )
    return geometry


def pair(where, name, value, *, least):
    """Return one int per image axis, rows and columns, from an int or a pair of ints.

    Raises
    ------
    TypeError
        If `value` is neither.
    ValueError
        If one of them is less than `least`.

    Examples
    --------
    >>> pair("conv2d", "stride", 2, least=1)
    (2, 2)
    """
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(v, Integral) for v in both):
        raise TypeError(
            f"{where}: `{name}` is {value!r}, expected an int or a pair of ints (rows, columns)"
        )
    if min(both) < least:
        raise ValueError(f"{where}: `{name}` is {value!r}, expected at least {least}")
    return int(both[0]), int(both[1])


def output_size(where, size, kernel, stride, padding):
    """Return the number of positions of a window along one axis.

    That is ``(size + 2 * padding - kernel) // stride + 1``: all in pixels.

    Raises
    ------
    ValueError
        If the window is larger than the padded axis.

    Examples
    --------
    >>> output_size("conv2d", 224, kernel=7, stride=2, padding=3)
    112
    """
    if kernel > size + 2 * padding:
        raise ValueError(
            f"{where}: a window of {kernel} does not fit an axis of {size} with padding {padding} "
            f"on each side; use a smaller kernel or more padding"
        )
    return (size + 2 * padding - kernel) // stride + 1
