"""Functions that work entry by entry, with broadcasting.

Each slope is written once, and both modes multiply by it. What is broadcast on the way forward is
summed on the way back.
"""

import numpy as np

from course_lib.autodiff.engine import plain
from course_lib.autodiff.primitive import composite, constant, nothing, primitive

LOG_2, LOG_10 = float(np.log(2)), float(np.log(10))

SLOPE_FROM_INPUT = {
    np.absolute: np.sign,  # 0 at the kink
    np.arccos: lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
    np.arccosh: lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
    np.arcsin: lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    np.arcsinh: lambda x: 1 / np.sqrt(1 + x * x),
    np.arctan: lambda x: 1 / (1 + x * x),
    np.arctanh: lambda x: 1 / ((1 - x) * (1 + x)),
    np.cos: lambda x: -np.sin(x),
    np.cosh: np.sinh,
    np.fabs: np.sign,
    np.log: lambda x: 1 / x,
    np.log10: lambda x: 1 / (LOG_10 * x),
    np.log1p: lambda x: 1 / (1 + x),
    np.log2: lambda x: 1 / (LOG_2 * x),
    np.sin: np.cos,
    np.sinh: np.cosh,
    np.square: lambda x: 2 * x,
}
SLOPE_FROM_OUTPUT = {
    np.cbrt: lambda y: 1 / (3 * y * y),
    np.exp: lambda y: y,
    np.exp2: lambda y: LOG_2 * y,
    np.expm1: lambda y: 1 + y,
    np.reciprocal: lambda y: -y * y,
    np.sqrt: lambda y: 0.5 / y,
    np.tan: lambda y: 1 + y * y,
    np.tanh: lambda y: (1 - y) * (1 + y),
}
CONSTANT_SLOPE = {
    np.deg2rad: np.pi / 180,
    np.degrees: 180 / np.pi,
    np.negative: -1,
    np.positive: 1,
    np.rad2deg: 180 / np.pi,
    np.radians: np.pi / 180,
}


def by_base(d, a, b):
    """Multiply `d` by the slope of ``a ** b`` in `a`: 0 where ``b == 0``, also at ``a == 0``."""
    if isinstance(b, int | float):  # kept apart, since an array of float64 would widen float32
        return d * (b * a ** (b - 1)) if b else d * 0
    return d * b * a ** np.where(b == 0, 1, b - 1)


def by_exponent(d, a, b):
    """Multiply `d` by the slope of ``a ** b`` in `b`: 0 where ``a == 0``."""
    return d * a**b * np.log(np.where(a == 0, 1, a))


def by_sigmoid(d, x):
    """Multiply `d` by ``1 / (1 + exp(-x))``, without overflow, and right where that is tiny."""
    return d * np.exp(-np.logaddexp(0, -x))


def where_larger(d, a, b):
    """Keep `d` where ``a > b``, half of it at a tie."""
    part, tie = np.where(a > b, d, 0), a == b
    return part + np.where(tie, d / 2, 0) if np.any(tie) else part


# With several operands: what becomes of a change `d` of this operand, or of the gradient `d` on
# its way to it. It is the same multiplication of entries.
PARTIALS = {
    np.arctan2: (
        lambda d, a, b: d * b / (a * a + b * b),
        lambda d, a, b: -d * a / (a * a + b * b),
    ),
    np.divide: (lambda d, a, b: d / b, lambda d, a, b: -d * a / b / b),
    np.float_power: (by_base, by_exponent),
    np.fmod: (
        lambda d, a, b: d,
        lambda d, a, b: -d * np.trunc(a / b),
    ),
    np.hypot: (lambda d, a, b: d * a / np.hypot(a, b), lambda d, a, b: d * b / np.hypot(a, b)),
    np.logaddexp: (lambda d, a, b: by_sigmoid(d, a - b), lambda d, a, b: by_sigmoid(d, b - a)),
    np.maximum: (where_larger, lambda d, a, b: where_larger(d, b, a)),
    np.minimum: (lambda d, a, b: where_larger(d, b, a), where_larger),
    np.power: (by_base, by_exponent),
    np.remainder: (
        lambda d, a, b: d,
        lambda d, a, b: -d * np.floor(a / b),
    ),
}

ZERO_SLOPE = [
    *(np.ceil, np.floor, np.floor_divide, np.heaviside, np.rint, np.round, np.sign, np.trunc),
    *(np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal),
    *(np.isfinite, np.isinf, np.isnan, np.isneginf, np.isposinf, np.signbit),
    *(np.logical_and, np.logical_not, np.logical_or, np.logical_xor),
    *(np.allclose, np.array_equal, np.isclose),
]


def unbroadcast(y_bar, shape):
    """Sum `y_bar` over the axes along which an array of `shape` was stretched."""
    if y_bar.shape == shape:
        return y_bar
    new = y_bar.ndim - len(shape)
    stretched = [i + new for i, n in enumerate(shape) if n == 1 and y_bar.shape[i + new] != 1]
    return np.reshape(np.sum(y_bar, axis=(*range(new), *stretched)), shape)


def stretch(x_dot, y):
    """Broadcast a tangent to the shape of the output, and give it that precision."""
    if x_dot.dtype is not y.dtype:
        x_dot = x_dot.astype(y.dtype)
    return x_dot if x_dot.shape == y.shape else np.broadcast_to(x_dot, y.shape)


def enter_one(function, slope, keeps):
    """Enter a function of one operand, with its slope computed from what `keeps` says."""
    if keeps == "inputs":
        jvp, vjp = lambda x_dot, y, x: x_dot * slope(x), lambda y_bar, x: y_bar * slope(x)
    else:
        jvp, vjp = lambda x_dot, y, x: x_dot * slope(y), lambda y_bar, y: y_bar * slope(y)
    primitive(function, jvp=jvp, vjp=vjp, keeps=keeps)


def enter_linear(function, factor):
    """Enter a multiple of the one operand."""
    primitive(
        function,
        jvp=lambda x_dot, y, x: factor * x_dot,
        vjp=lambda y_bar, x: factor * y_bar,
        keeps="shapes",
    )


def enter_several(function, partials):
    """Enter a function of several operands; see PARTIALS."""

    def jvp(partial):
        return lambda d, y, *operands: stretch(partial(d, *operands), y)

    def vjp(i, partial):
        return lambda d, *operands: unbroadcast(partial(d, *operands), operands[i].shape)

    primitive(
        function,
        jvp=map(jvp, partials),
        vjp=map(vjp, range(len(partials)), partials),
        keeps="inputs",
    )


def enter_sum(function, sign):
    """Enter ``a + b`` or ``a - b``: nothing is multiplied, and no value need be kept."""
    primitive(
        function,
        jvp=(
            lambda a_dot, y, a, b: stretch(a_dot, y),
            lambda b_dot, y, a, b: stretch(sign(b_dot), y),
        ),
        vjp=(
            lambda y_bar, a, b: y_bar if y_bar.shape == a else unbroadcast(y_bar, a),
            lambda y_bar, a, b: unbroadcast(sign(y_bar), b),
        ),
        keeps="shapes",
    )


primitive(  # the one that is most used, and the reason to spell it out is speed
    np.multiply,
    jvp=(lambda a_dot, y, a, b: a_dot * b, lambda b_dot, y, a, b: a * b_dot),
    vjp=(
        lambda y_bar, a, b: unbroadcast(y_bar * b, a.shape),
        lambda y_bar, a, b: unbroadcast(y_bar * a, b.shape),
    ),
    keeps="inputs",
)
for function, slope in SLOPE_FROM_INPUT.items():
    enter_one(function, slope, "inputs")
for function, slope in SLOPE_FROM_OUTPUT.items():
    enter_one(function, slope, "output")
for function, factor in CONSTANT_SLOPE.items():
    enter_linear(function, factor)
for function, partials in PARTIALS.items():
    enter_several(function, partials)
enter_sum(np.add, lambda d: d)
enter_sum(np.subtract, np.negative)
for function in ZERO_SLOPE:
    constant(function)


select = primitive(
    lambda x, y, condition: np.where(condition, x, y),
    jvp=(
        lambda x_dot, out, x, y, condition: stretch(np.where(condition, x_dot, 0), out),
        lambda y_dot, out, x, y, condition: stretch(np.where(condition, 0, y_dot), out),
    ),
    vjp=(
        lambda bar, x, y, condition: unbroadcast(np.where(condition, bar, 0), x),
        lambda bar, x, y, condition: unbroadcast(np.where(condition, 0, bar), y),
    ),
    keeps="shapes",
    cost=nothing,
    name="where",
)


@composite(np.where)
def where(condition, *branches):
    """Select by a condition, which is never differentiated."""
    return select(*branches, plain(condition)) if branches else np.nonzero(plain(condition))


@composite(np.clip)
def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """Limit to a range; at an end of it, half of the slope is left, as for any tie."""
    low = a_min if min is None else min
    high = a_max if max is None else max
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)
