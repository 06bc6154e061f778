"""The engine: a value that takes part in a sweep, and the two kinds of sweep.

To differentiate ``f`` at ``x`` is to run ``f`` once, on a :class:`Traced` value in place of ``x``.
NumPy hands every function that meets such a value over to us (NEP 13 for ufuncs, NEP 18 for the
others). :func:`apply` then unwraps the operands, computes the value, and lets the sweep follow:

- a :class:`Forward` sweep carries a tangent beside each value and pushes it on at once;
- a :class:`Tape` writes each operation down, and pulls a gradient back along the list afterwards.

Sweeps nest. Each has a depth, one that starts later is deeper, and an operation belongs to the
deepest sweep among its operands. Unwrapped for that sweep, the operands may still be traced for
one further out: then the computation of the value, and of every rule, is an operation that the
outer sweep follows in its turn. Derivatives of derivatives need nothing more, and no two sweeps
can mix up their tangents.
"""

from itertools import count

import numpy as np

_depths = count(1)


class Rules(dict):
    """The table: NumPy function -> what computes it on traced values."""

    def __missing__(self, function):
        """Refuse a function that nobody has said how to differentiate."""
        module = getattr(function, "__module__", None) or "numpy"  # a ufunc may have none
        name = f"{module}.{function.__name__}".replace("numpy", "np", 1)
        raise NotImplementedError(
            f"{name} has no rule for derivatives; write it with functions that have one, or add a "
            f"rule: primitive({name}, jvp=..., vjp=...)"
        )


RULES = Rules()


class Traced:
    """A value inside a sweep. To the function that is being differentiated it is an array.

    Attributes
    ----------
    value : ndarray, NumPy scalar, or a Traced of a sweep further out
    sweep : Forward or Tape
    mark : ndarray or int
        What the sweep knows about the value: its tangent; or the number of its record.
    """

    __slots__ = ("mark", "sweep", "value")

    def __init__(self, value, sweep, mark):
        self.value = value
        self.sweep = sweep
        self.mark = mark

    def __array_ufunc__(self, ufunc, method, *args, **options):
        if method == "__call__" and not options:
            return RULES[ufunc](*args)
        if method != "__call__":
            raise TypeError(
                f"np.{ufunc.__name__}.{method} has no derivative here; on a traced value use a "
                f"function such as np.sum, np.prod, np.max, np.cumsum or np.outer"
            )
        raise TypeError(
            f"np.{ufunc.__name__} of a traced value takes no {', '.join(options)}: "
            f"assign the result to a name, and select entries with np.where"
        )

    def __array_function__(self, function, types, args, options):
        return RULES[function](*args, **options)


class Forward:
    """A sweep in the order of the program: each value travels with its directional derivative."""

    __slots__ = ("depth",)

    def __init__(self):
        self.depth = next(_depths)

    def follow(self, rule, y, values, marks):
        """Return `y` with its tangent: what the operands' tangents contribute, added up."""
        y_dot = None
        for i, x_dot in enumerate(marks):
            if x_dot is not None:
                part = rule.jvps[i](x_dot, y, *values)
                y_dot = part if y_dot is None else y_dot + part
        return Traced(y, self, y_dot)


class Tape:
    """The list of what was computed, and the sweep back along it.

    A record holds the primitive, what its rules need, for each operand the number of the record
    that made it, None for a constant, and the precision of the result, which its gradient is to
    have too. An operation stands after its operands: walking backwards, we meet a value when all
    of its uses have had their say.

    Of a constant that might be written into, the rules get a copy; `copies` has the large ones, so
    that each is copied once, however often it is used.
    """

    __slots__ = ("copies", "depth", "records")

    def __init__(self):
        self.depth = next(_depths)
        self.records = []
        self.copies = {}

    def start(self, value):
        """Return `value` as an independent variable."""
        self.records.append(None)
        return Traced(value, self, len(self.records) - 1)

    def follow(self, rule, y, values, marks):
        """Write an operation down."""
        records = self.records
        records.append((rule, rule.keep(rule, y, values, marks, self.copies), marks, y.dtype))
        return Traced(y, self, len(records) - 1)

    def pull(self, bars, hold=False):
        """Sweep back: every record passes its gradient on to its operands, where they add up.

        Parameters
        ----------
        bars : dict from int to ndarray
            The gradients of the results, by the number of their record.
        hold : bool
            Whether to hold the gradients of values in between, too.

        Returns
        -------
        list of (ndarray or None)
            At the number of each independent variable its gradient, None if there is no path.
        """
        records = self.records
        gradients = [None] * len(records)
        for number, bar in bars.items():
            gradients[number] = bar
        for number in range(len(records) - 1, -1, -1):
            bar, record = gradients[number], records[number]
            if bar is None or record is None:
                continue
            if not hold:
                gradients[number] = None  # used up: its memory is free again
            rule, kept, marks, dtype = record
            if bar.dtype is not dtype:
                bar = as_precise(bar, dtype)
            for i, mark in enumerate(marks):
                if mark is not None:
                    part, so_far = rule.vjps[i](bar, *kept), gradients[mark]
                    gradients[mark] = part if so_far is None else so_far + part
        return gradients


def as_precise(derivative, dtype):
    """Return a tangent or gradient with the precision of the value that it belongs to.

    Raises
    ------
    TypeError
        If it has become complex, on the way to a real value.
    """
    if derivative.dtype.kind == "c" != dtype.kind:
        raise TypeError(
            "the function computes with complex numbers, which have no derivative here; write it "
            "with real and imaginary parts"
        )
    return derivative if derivative.dtype == dtype else derivative.astype(dtype)


def apply(rule, args, options):
    """Compute a primitive; if an operand is traced, let the deepest sweep follow."""
    sweep = deepest(args) or deepest(options.values())
    if sweep is None:
        return rule.function(*args, **options)
    if len(args) > len(rule.vjps):
        rule.check(args)
    if options:
        rule = rule.with_options(options)
    values, marks = [], []
    for a in args:
        mine = type(a) is Traced and a.sweep is sweep
        values.append(a.value if mine else a)
        marks.append(a.mark if mine else None)
    return sweep.follow(rule, rule.value(*values), values, marks)


def deepest(args):
    """Return the deepest sweep among the traced ones of `args`, or None."""
    found = None
    for a in args:
        if type(a) is Traced and (found is None or a.sweep.depth > found.depth):
            found = a.sweep
    return found


# Most operations have one or two operands and no options. For those, :func:`apply` and the forward
# sweep are spelled out below: on small arrays that takes half the time.


def unary(rule):
    """Return :func:`apply` for one operand, which is traced."""
    value, jvp = rule.value, rule.jvps[0]

    def call(a):
        x, sweep = a.value, a.sweep
        y = value(x)
        if type(sweep) is Forward:
            return Traced(y, sweep, jvp(a.mark, y, x))
        return sweep.follow(rule, y, (x,), (a.mark,))

    return call


def binary(rule):
    """Return :func:`apply` for two operands, of which at least one is traced."""
    value, (jvp_a, jvp_b) = rule.value, rule.jvps
    sums = value in (np.add, np.subtract)  # linear in both operands at once

    def call(a, b):
        if type(a) is type(b) and a.sweep is b.sweep:  # both are traced, by the same sweep
            x, z, sweep = a.value, b.value, a.sweep
            y = value(x, z)
            if type(sweep) is Forward:
                a_dot, b_dot = a.mark, b.mark
                if sums:
                    return Traced(y, sweep, value(a_dot, b_dot))
                return Traced(y, sweep, jvp_a(a_dot, y, x, z) + jvp_b(b_dot, y, x, z))
            return sweep.follow(rule, y, (x, z), (a.mark, b.mark))
        if type(b) is not Traced or (type(a) is Traced and a.sweep.depth > b.sweep.depth):
            x, sweep = a.value, a.sweep
            y = value(x, b)
            if type(sweep) is Forward:
                return Traced(y, sweep, jvp_a(a.mark, y, x, b))
            return sweep.follow(rule, y, (x, b), (a.mark, None))
        z, sweep = b.value, b.sweep
        y = value(a, z)
        if type(sweep) is Forward:
            return Traced(y, sweep, jvp_b(b.mark, y, a, z))
        return sweep.follow(rule, y, (a, z), (None, b.mark))

    return call


def plain(a):
    """Return the number or array at the bottom of `a`, without any sweep."""
    while type(a) is Traced:
        a = a.value
    return a
