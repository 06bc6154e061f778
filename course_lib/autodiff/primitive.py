"""The one door for rules: what a primitive is, and how a function becomes one."""

import functools
import inspect
import math

import numpy as np

from course_lib.autodiff.engine import RULES, Traced, apply, binary, plain, unary

FILLED_AT_MOST = 256  # combinations of options that a primitive remembers
SMALL = 4096  # bytes; so little is copied sooner than compared with an earlier copy
PRIMITIVES = []  # all of them, in order; the tests go through this list


class Primitive:
    """A function, with a `jvp` and a `vjp` rule for each of its operands."""

    def __init__(self, name, function, jvps, vjps, keep, cost):
        self.name = name
        self.function = function  # for arrays
        self.value = function  # for what may be traced for a sweep further out
        self.jvps = jvps
        self.vjps = vjps
        self.keep = keep
        self.cost = cost
        self._filled = {}

    def with_options(self, options):
        """Return the primitive with these keyword arguments filled in everywhere.

        Raises
        ------
        TypeError
            If the rules do not know one of them, or one is traced.
        """
        key = tuple([(name, type(option), option) for name, option in options.items()])
        try:
            return self._filled[key]
        except KeyError:
            if len(self._filled) == FILLED_AT_MOST:
                self._filled.clear()
            return self._filled.setdefault(key, self._fill(options))
        except TypeError:  # an option that cannot be a key, such as an array
            return self._fill(options)

    def _fill(self, options):
        _, known, anything = self.accepted
        for option, given in options.items():
            if type(given) is Traced:
                raise TypeError(
                    f"{self.name}: no derivative with respect to `{option}`; the arrays to "
                    f"differentiate come first, by position"
                )
            if not anything and option not in known:
                raise TypeError(f"{self.name}: `{option}` has no rule for a traced value")
        options = {option: private(given, {}) for option, given in options.items()}
        value, *jvps = (functools.partial(f, **options) for f in (self.value, *self.jvps))
        cost, *vjps = (functools.partial(f, **options) for f in (self.cost, *self.vjps))
        return Primitive(self.name, value, jvps, vjps, self.keep, cost)

    def check(self, args):
        """Refuse arguments beyond the operands that the rules do not know.

        Raises
        ------
        TypeError
            If there are too many, or one is traced.
        """
        most, *_ = self.accepted
        if len(args) > most:
            raise TypeError(
                f"{self.name}: with a traced value at most {most} arguments go by position, got "
                f"{len(args)}; name the others"
            )
        for i in range(len(self.vjps), len(args)):
            if type(args[i]) is Traced:
                raise TypeError(
                    f"{self.name}: no derivative with respect to argument {i}; the arrays to "
                    f"differentiate come first"
                )

    @functools.cached_property
    def accepted(self):
        """What the rules take: how many arguments by position, which names, whether any name."""
        skipped = 2 if self.keep in (keep_output, keep_both) else 1  # y_bar, and y
        parameters = [*inspect.signature(self.vjps[0]).parameters.values()][skipped:]
        kinds = [p.kind for p in parameters]
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        most = math.inf if inspect.Parameter.VAR_POSITIONAL in kinds else len(positional)
        names = {*positional[len(self.vjps) :], *named}
        return most, names, inspect.Parameter.VAR_KEYWORD in kinds


def primitive(value=None, *, jvp, vjp, keeps="both", cost=None, name=None):
    """Give a function its derivative, for forward and reverse mode, to any order.

    Call it with the function, or write it above the function as a decorator.

    The first arguments of `value` are its *operands*, as many as there are rules. Whatever follows
    them, and every keyword, reaches the rules as it is.

    Parameters
    ----------
    value : callable, optional
        ``value(*operands, *rest, **options) -> y``, one array or number. A function of NumPy's
        learns to accept traced values; another one is wrapped.
    jvp : callable, sequence of callables, or "linear"
        For each operand ``rule(x_dot, y, *operands, *rest, **options) -> y_dot``: the change of
        `y`, in its shape, when this operand alone changes by `x_dot`. Write "linear" for a
        function that is linear in each operand while the others are held: then `y_dot` is the
        function itself, with `x_dot` in the operand's place.
    vjp : callable or sequence of callables
        For each operand ``rule(y_bar, *kept, **options) -> x_bar``: the gradient with respect to
        this operand, in its shape. `kept` is ``y, *operands, *rest`` unless `keeps` says less.
        To be differentiated again, the rules use functions that have rules themselves.
    keeps : {"both", "inputs", "output", "shapes"}
        What a tape must hold for the `vjp` rules: the output and the operands; all but the
        output; the output alone; or of each operand its shape only.
    cost : callable, optional
        ``cost(y, *operands, *rest, **options) -> (multiply_adds, elementwise)``: how many
        operations :func:`count` is to count. By default, one for each entry of `y`.
    name : str, optional
        For messages and graphs; by default the function's.

    Returns
    -------
    callable
        `value` if it is NumPy's, otherwise the function to use in its place. Without `value`, the
        decorator.

    Raises
    ------
    TypeError
        If there are more rules for one mode than for the other.
    ValueError
        If `keeps` is none of the four.

    Examples
    --------
    >>> @primitive(
    ...     jvp=lambda x_dot, y, x: x_dot / (1 + np.exp(-x)),
    ...     vjp=lambda y_bar, y, x: y_bar / (1 + np.exp(-x)),
    ... )
    ... def softplus(x):
    ...     return np.logaddexp(0.0, x)
    """
    if value is None:
        return functools.partial(primitive, jvp=jvp, vjp=vjp, keeps=keeps, cost=cost, name=name)
    name = name or value.__name__
    if keeps not in KEEP:
        raise ValueError(f"primitive {name}: keeps={keeps!r}, expected one of {', '.join(KEEP)}")
    vjps = (vjp,) if callable(vjp) else tuple(vjp)
    rule = Primitive(name, value, (), vjps, KEEP[keeps], cost or per_entry)
    if jvp == "linear":
        rule.jvps = tuple(tangent_in_place(rule, i) for i in range(len(vjps)))
    else:
        rule.jvps = (jvp,) if callable(jvp) else tuple(jvp)
    if len(rule.jvps) != len(vjps):
        raise TypeError(
            f"primitive {name}: {len(rule.jvps)} rules for jvp and {len(vjps)} for vjp, expected "
            f"one of each for every operand"
        )
    PRIMITIVES.append(rule)
    return teach(rule)


def teach(rule):
    """Return the function that users call; one of NumPy's finds its way to the rule by itself."""
    function = rule.function
    if isinstance(function, np.ufunc):
        RULES[function] = (unary if function.nin == 1 else binary)(rule)
        return function

    @functools.wraps(function)
    def call(*args, **options):
        return apply(rule, args, options)

    call.__name__ = rule.name
    if isinstance(function, type(np.sum)):  # the class of what NumPy dispatches
        RULES[function] = call
        return function
    rule.value = call
    return call


def tangent_in_place(rule, i):
    """Return the `jvp` rule of a function that is linear in its operand `i`."""

    def jvp(x_dot, y, *args, **options):
        return rule.value(*args[:i], x_dot, *args[i + 1 :], **options)

    return jvp


def constant(function):
    """Let a function with the derivative 0 everywhere (a step, a test, an index) ignore sweeps."""

    def call(*args, **options):
        return function(*map(plain, args), **{k: plain(option) for k, option in options.items()})

    RULES[function] = call


def composite(*functions):
    """Let NumPy functions be computed by the decorated one, which is made of simpler functions."""

    def enter(simpler):
        RULES.update(dict.fromkeys(functions, simpler))
        return simpler

    return enter


# What a tape keeps. Operands come out of operations and nobody else holds them, but a constant is
# an array of the user's, who may write into it before we sweep back: we keep a copy of our own.


def keep_inputs(rule, y, values, marks, copies):
    """Keep the operands: for a product, say."""
    if None not in marks:
        return values
    if len(values) == 2:  # spelled out for speed
        a, b = values
        return (a, private(b, copies)) if marks[1] is None else (private(a, copies), b)
    return [
        private(value, copies) if mark is None else value
        for value, mark in zip(values, marks, strict=True)
    ]


def keep_output(rule, y, values, marks, copies):
    """Keep the result: for an exponential, say."""
    return (y,)


def keep_both(rule, y, values, marks, copies):
    """Keep the result and the operands."""
    return (y, *keep_inputs(rule, y, values, marks, copies))


def keep_shapes(rule, y, values, marks, copies):
    """Keep the shapes of the operands, and whatever stands behind them: for a sum, say."""
    operands = len(rule.vjps)
    if len(values) == operands == 2:  # a sum; spelled out for speed
        a, b = values
        return getattr(a, "shape", ()), getattr(b, "shape", ())
    shapes = [getattr(v, "shape", ()) for v in values[:operands]]
    return [*shapes, *(private(v, copies) for v in values[operands:])]


KEEP = {"both": keep_both, "inputs": keep_inputs, "output": keep_output, "shapes": keep_shapes}


def private(a, copies):
    """Return `a`, or a copy if it is an array that could be written into, also inside a tuple."""
    if isinstance(a, np.ndarray):
        if not a.flags.writeable:
            return a
        return a.copy() if a.nbytes <= SMALL else copied_once(a, copies)
    if type(a) in (tuple, list):
        return type(a)(private(entry, copies) for entry in a)
    return a


def copied_once(a, copies):
    """Return a copy of `a`: that of an earlier use, if nobody has written into `a` since.

    Copies are found by where the array lies in memory, since ``W.T`` is a new object at every
    use. Whatever lies there now, equal bits make an equal array.
    """
    place = a.__array_interface__["data"], a.shape, a.strides, a.dtype
    if place not in copies or not same_bits(a, copies[place]):
        copies[place] = a.copy(order="K")
    return copies[place]


def same_bits(a, b):
    """Whether two arrays of one shape and precision agree in every bit: 0 and -0 do not."""
    if a.dtype.kind not in "fiub" or a.itemsize > 8:
        return False
    bits = f"u{a.itemsize}"
    return np.array_equal(a.view(bits), b.view(bits))


# What an operation costs, as (multiply-adds, elementwise operations).


def per_entry(y, *args, **options):
    """One operation for each entry of the output."""
    return 0, np.size(y)


def per_input(y, x, *args, **options):
    """One operation for each entry of the first operand: a reduction."""
    return 0, np.size(x)


def nothing(y, *args, **options):
    """No arithmetic: entries are only moved."""
    return 0, 0
