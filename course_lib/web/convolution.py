"""The figures of convolution and its gradients, for one image of one channel.

An input pixel meets a weight for an output: :func:`meetings` lists these triples, and the output
and both gradients are sums over that list. The elements do the same arithmetic in
``elements/convolution.js``; here it fills the static form.
"""

from numbers import Integral

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import array_table, factor, nested, number, table

MAX_SIZE = {"x": 8, "weight": 4}  # rows or columns: what a phone can show
PARTS = ("figure", "grid", "sum", "convolution")


def convolution_explorer(x, weight, *, dy=None, stride=1, padding=0):
    """Show which outputs a pixel touches, and the terms of every gradient.

    Point at a pixel of `x`: the outputs it touches light up with the weight it met there, and
    below stands the sum of its gradient, ``dx[r, c] = sum dy[i, j] k[a, b]``. Point at a weight
    for ``dweight[a, b] = sum dy[i, j] x[r, c]``, at an output for its window. Stride and padding
    can be moved; a pixel that no window touches has the gradient 0.

    Parameters
    ----------
    x : array_like, shape (H, W)
        One image of one channel, at most 8 x 8.
    weight : array_like, shape (KH, KW)
        The kernel, called ``k`` in the figure; at most 4 x 4, and no larger than `x`.
    dy : array_like, shape (HO, WO), optional
        Gradient of the loss with respect to the output; all ones by default (the loss is the sum
        of the outputs). After a move of stride or padding it is repeated to the new size.
    stride, padding : int
        Where the controls stand at first, in pixels: 1 to 3, and 0 to 2.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a size does not fit, or a number is not finite.
    """
    x, weight, dy = _check("convolution_explorer", x, weight, dy, stride, padding)
    sums = _sums_of_dx(x, weight, dy, stride, padding)
    tag = "course-convolution-explorer"
    return _figure(tag, x, weight, dy, stride, padding, sums)


def backward_stepper(x, weight, dy, *, stride=1, padding=0):
    """Step through the backward pass of a convolution, in two ways that agree.

    Output by output: each takes its ``dy``, adds ``dy * k`` to its window of ``dx``, and ``dy``
    times its window of `x` to ``dweight``. Or pixel by pixel: the kernel turns by 180 degrees and
    slides over the padded ``dy``, and each place gives one number of ``dx``.

    Parameters
    ----------
    x, weight, dy, stride, padding
        As in :func:`convolution_explorer`; `dy` is needed here.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        As :func:`convolution_explorer`.
    """
    x, weight, dy = _check("backward_stepper", x, weight, dy, stride, padding)
    steps = _steps(x, weight, dy, stride, padding)
    return _figure("course-backward-stepper", x, weight, dy, stride, padding, steps)


def meetings(x_shape, weight_shape, stride, padding):
    """Yield ``(r, c), (a, b), (i, j)``: pixel, weight and output that meet, by rows of outputs."""
    (H, W), (KH, KW) = x_shape, weight_shape
    HO, WO = _output_shape(x_shape, weight_shape, stride, padding)
    for i, j, a, b in np.ndindex(HO, WO, KH, KW):
        r, c = i * stride + a - padding, j * stride + b - padding
        if 0 <= r < H and 0 <= c < W:  # on the padding x is 0, and its gradient is not kept
            yield (r, c), (a, b), (i, j)


def gradients(x, weight, dy, stride, padding):
    """Return `y`, ``dx`` and ``dweight`` as sums over the meetings."""
    y, dx, dweight = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(weight.shape)
    for pixel, w, output in meetings(x.shape, weight.shape, stride, padding):
        y[output] += x[pixel] * weight[w]
        dx[pixel] += dy[output] * weight[w]
        dweight[w] += dy[output] * x[pixel]
    return y, dx, dweight


def _output_shape(x_shape, weight_shape, stride, padding):
    return tuple(
        (n + 2 * padding - k) // stride + 1 for n, k in zip(x_shape, weight_shape, strict=True)
    )


def _figure(tag, x, weight, dy, stride, padding, details):
    y, dx, dweight = gradients(x, weight, dy, stride, padding)
    arrays = {
        "x, the input": x,
        "k, the weight": weight,
        "y, the output": y,
        "dy, the gradient of y": dy,
        "dx, the gradient of x": dx,
        "dweight, the gradient of k": dweight,
    }
    title = f"A convolution with stride {stride} and padding {padding}, and its gradients"
    tables = "\n".join(array_table(caption, array) for caption, array in arrays.items())
    texts = [f"{caption}:\n{np.array2string(array)}" for caption, array in arrays.items()]
    return Figure(
        tag=tag,
        parts=(*PARTS, tag.removeprefix("course-")),
        data={"x": _plain(x), "weight": _plain(weight), "dy": _plain(dy)}
        | {"stride": stride, "padding": padding},
        fallback=f'<p>{title}:</p>\n<div class="course-static">\n{tables}\n{details}\n</div>',
        text="\n".join([title, *texts]),
    )


def _sums_of_dx(x, weight, dy, stride, padding):
    """A table with each pixel's gradient written out."""
    products = {pixel: [] for pixel in np.ndindex(x.shape)}
    for pixel, w, output in meetings(x.shape, weight.shape, stride, padding):
        products[pixel].append(f"{factor(dy[output])}·{factor(weight[w])}")
    _, dx, _ = gradients(x, weight, dy, stride, padding)
    rows = [
        (f"dx[{r}, {c}]", " + ".join(terms) or "no window", number(dx[r, c]))
        for (r, c), terms in products.items()
    ]
    caption = "The gradient of each pixel: the sum of dy times the weight it met"
    return table(caption, ("pixel", "sum", "gradient"), rows)


def _steps(x, weight, dy, stride, padding):
    """What each output adds to the gradients, and where they stand then, as a table."""
    suffix = "_pad" if padding else ""
    rows = []
    for n, (i, j) in enumerate(np.ndindex(dy.shape), start=1):
        window = ", ".join(
            f"{p * stride}:{p * stride + k}" for p, k in zip((i, j), weight.shape, strict=True)
        )
        so_far = np.where(np.arange(dy.size).reshape(dy.shape) < n, dy, 0)
        _, dx, dweight = gradients(x, weight, so_far, stride, padding)
        value = number(dy[i, j])
        adds = f"dx{suffix}[{window}] += {value} k; dweight += {value} x{suffix}[{window}]"
        rows.append((f"dy[{i}, {j}] = {value}", adds, nested(dx), nested(dweight)))
    headers = ("output", "adds", "dx then", "dweight then")
    return table("Output by output", headers, rows)


def _plain(array):
    """Nested lists for JSON, whole numbers as integers."""
    return [[int(v) if v.is_integer() else v for v in row] for row in array.tolist()]


def _check(where, x, weight, dy, stride, padding):
    """The three as float arrays, `dy` filled in; or an error that says what does not fit."""
    x, weight = _image(where, "x", x), _image(where, "weight", weight)
    for name, array in [("x", x), ("weight", weight)]:
        if max(array.shape) > MAX_SIZE[name] or array.size == 0:
            raise ValueError(
                f"{where}: `{name}` has shape {array.shape}, expected 1 to {MAX_SIZE[name]} rows "
                f"and columns, so that a phone can show it"
            )
    if weight.shape[0] > x.shape[0] or weight.shape[1] > x.shape[1]:
        raise ValueError(
            f"{where}: `weight` has shape {weight.shape}, expected no more rows or columns than "
            f"`x` with {x.shape}"
        )
    for name, value, allowed in [("stride", stride, range(1, 4)), ("padding", padding, range(3))]:
        if not isinstance(value, Integral) or value not in allowed:
            raise ValueError(
                f"{where}: `{name}` is {value!r}, expected {', '.join(map(str, allowed))}"
            )
    expected = _output_shape(x.shape, weight.shape, stride, padding)
    dy = np.ones(expected) if dy is None else _image(where, "dy", dy)
    if dy.shape != expected:
        raise ValueError(
            f"{where}: `dy` has shape {dy.shape}, expected {expected} as the output of `x` "
            f"{x.shape} and `weight` {weight.shape} with {stride=}, {padding=}"
        )
    return x, weight, dy


def _image(where, name, value):
    array = np.asarray(value, dtype=float)
    if array.ndim != 2:
        raise ValueError(f"{where}: `{name}` has shape {array.shape}, expected (rows, columns)")
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: `{name}` has numbers that are not finite")
    return array
