"""Check derivatives against differences, at a cost that does not grow with the arguments."""

import numpy as np

from course_lib.autodiff.transforms import jvp, variable, vjp
from course_lib.autodiff.trees import flatten, rebuild

STEP = 1e-6  # relative to the size of an argument: the error of a difference is then about 1e-9


def check_gradients(f, *args, rtol=1e-6):
    """Check both modes of `f` at `args` against central differences along a random direction.

    With random ``u`` and ``v``, three numbers have to agree: ``<u, J v>`` from a forward sweep,
    ``<J^T u, v>`` from a sweep back, and the difference ``<u, f(x + h v) - f(x - h v)> / 2h``. A
    wrong entry of ``J`` makes them differ with probability 1. That takes four evaluations, however
    many numbers go in and out; only when the check fails, more are spent to find the entry.

    Parameters
    ----------
    f : callable
        Takes and returns arrays or trees of arrays; the check computes in float64.
    *args
        Where to check. At a kink (a ReLU at 0, a tie in a maximum) it may fail.
    rtol : float
        Largest error allowed, relative to what a random direction leads to expect.

    Raises
    ------
    AssertionError
        If a derivative is wrong: says which mode, argument and entry, what it is and should be,
        and whether `f` has a kink there.
    ValueError
        If `f` is not finite there.

    References
    ----------
    Griewank & Walther (2008), "Evaluating Derivatives", section 3.1; the dot-product test of
    Claerbout (1992), "Earth Soundings Analysis", section 5.

    Examples
    --------
    >>> check_gradients(lambda x: np.sum(np.sin(x) ** 2), np.linspace(0, 1, 5))
    """
    Check(f, args, rtol).run()


def inner(a, b):
    """Return the inner product of two lists of arrays."""
    return sum(float(np.sum(x * y)) for x, y in zip(a, b, strict=True))


def size(x):
    """Return the typical size of the entries of `x`; 1 if they are all 0."""
    return float(np.sqrt(np.mean(x * x))) if x.any() else 1.0


class Check:
    """One point, the random vectors that probe it, and three ways to get a slope."""

    def __init__(self, f, args, rtol):
        leaves, self.structure = flatten(args)
        self.f, self.rtol = f, rtol
        self.xs = [
            np.array(variable("check_gradients", i, x), dtype=float) for i, x in enumerate(leaves)
        ]
        traced, pullback = vjp(f, *self.arguments(self.xs))
        ys, outputs = flatten(traced)
        self.compare_values(ys)
        rng = np.random.default_rng(0)
        one_number = sum(map(np.size, ys)) == 1  # then report its gradient as it is
        self.u = [np.ones(np.shape(y)) if one_number else rng.normal(size=np.shape(y)) for y in ys]
        self.v = [size(x) * rng.normal(size=x.shape) for x in self.xs]
        self.x_bars, _ = flatten(pullback(rebuild(outputs, self.u)))
        self.rounding = np.finfo(float).eps * inner(map(np.abs, self.u), map(np.abs, ys)) / STEP

    def run(self):
        """Raise an AssertionError unless both modes agree with the difference."""
        for mode, slope in (("forward", self.forward), ("reverse", self.reverse)):
            error, allowed = self.error(slope, self.v)
            if error > allowed:
                raise AssertionError(self.describe(mode, slope))

    def arguments(self, xs):
        return rebuild(self.structure, xs)

    def compare_values(self, ys):
        plain, _ = flatten(self.f(*self.arguments(self.xs)))
        for got, expected in zip(ys, plain, strict=True):
            if not np.all(np.isfinite(expected)):
                raise ValueError("check_gradients: the function is not finite at these arguments")
            if not np.allclose(got, expected, rtol=1e-9):
                raise AssertionError(
                    "check_gradients: the function returns other values when it is differentiated "
                    "than when it is called; it must not depend on the type of its arguments"
                )

    def at(self, direction, t):
        """``<u, f(x + t direction)>``."""
        moved = [x + t * d for x, d in zip(self.xs, direction, strict=True)]
        return inner(self.u, flatten(self.f(*self.arguments(moved)))[0])

    def difference(self, direction):
        return (self.at(direction, STEP) - self.at(direction, -STEP)) / (2 * STEP)

    def forward(self, direction):
        _, y_dot = jvp(self.f, self.arguments(self.xs), self.arguments(direction))
        return inner(self.u, flatten(y_dot)[0])

    def reverse(self, direction):
        return inner(self.x_bars, direction)

    def error(self, slope, direction):
        """Return how far a slope is from the difference, and how far it may be."""
        terms = [x_bar * d for x_bar, d in zip(self.x_bars, direction, strict=True)]
        expected = self.difference(direction)
        typical = np.sqrt(inner(terms, terms)) + abs(expected)
        return abs(slope(direction) - expected), self.rtol * typical + 4 * self.rounding

    def describe(self, mode, slope):
        """Say where a mode is wrong, and whether that is the fault of a kink."""
        argument, entry = self.locate(slope)
        unit = [np.zeros(x.shape) for x in self.xs]
        unit[argument][entry] = scale = size(self.xs[argument])
        here = self.at(unit, 0)
        left = (here - self.at(unit, -STEP)) / STEP / scale
        right = (self.at(unit, STEP) - here) / STEP / scale
        where = f"argument {argument}, entry {[int(i) for i in entry]}"
        message = (
            f"check_gradients: {mode} mode is wrong for {where}: got {slope(unit) / scale:.6g}, "
            f"differences give {(left + right) / 2:.6g}"
        )
        if abs(right - left) > 1e-3 * (abs(left) + abs(right)):
            message += (
                f"; the slope is {left:.6g} on the left and {right:.6g} on the right: the function "
                f"has a kink there (a ReLU at 0, a tie in a maximum), where no number is right; "
                f"move the argument a little"
            )
        return message

    def locate(self, slope):
        """Bisect: return the number of the argument, and the index of an entry that is wrong."""
        spans = [(i, 0, x.size) for i, x in enumerate(self.xs) if x.size]
        while True:
            argument, start, stop = max(
                spans, key=lambda span: self.error(slope, self.part(*span))[0]
            )
            if stop - start == 1:
                return argument, np.unravel_index(start, self.xs[argument].shape)
            middle = (start + stop) // 2
            spans = [(argument, start, middle), (argument, middle, stop)]

    def part(self, argument, start, stop):
        """The random direction, on these entries of one argument only."""
        direction = [np.zeros(x.shape) for x in self.xs]
        direction[argument].flat[start:stop] = self.v[argument].flat[start:stop]
        return direction
