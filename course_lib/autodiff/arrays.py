"""The array's side of a traced value: its operators, attributes and methods, and what it refuses.

A traced value is never changed in place: the sweep has already used it. What NumPy would do in
place is refused, with a way to write it otherwise; only ``total += x`` on a single number, which
NumPy does not do in place either, gives the name a new value.
"""

import numpy as np

from course_lib.autodiff.engine import RULES, Traced, plain
from course_lib.autodiff.rules.shapes import getitem

ONE = {"abs": np.absolute, "neg": np.negative, "pos": np.positive}
TWO = {
    "add": np.add,
    "floordiv": np.floor_divide,
    "matmul": np.matmul,
    "mod": np.remainder,
    "mul": np.multiply,
    "sub": np.subtract,
    "truediv": np.divide,
}
COMPARE = {
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "ne": np.not_equal,
}
METHODS = [
    *("all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumprod", "cumsum"),
    *("diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "round"),
    *("squeeze", "std", "sum", "swapaxes", "take", "trace", "var"),
]
SHORTER_POWER = {-1: np.reciprocal, 0.5: np.sqrt, 1: np.positive, 2: np.square}  # as NumPy does


def swapped(function):
    """Return `function` of two operands with them in the opposite order, for ``2 - x``."""
    return lambda b, a: function(a, b)


def power(a, b):
    """Compute ``a ** b``, by the simpler function that NumPy takes for a few constant exponents."""
    shorter = SHORTER_POWER.get(b) if type(b) in (int, float) else None
    return RULES[shorter](a) if shorter else RULES[np.power](a, b)


def refuse_in_place(self, other):
    """Say what to write instead of ``x += y`` where `x` has axes."""
    if self.ndim:
        raise TypeError(
            "a traced array cannot be changed in place; instead of `x += y` write `x = x + y`, "
            "and likewise for the other operators"
        )
    return NotImplemented  # Python then computes `x = x + y`


def refuse_assignment(self, index, value):
    """Say what to write instead of ``x[i] = y``."""
    raise TypeError(
        "a traced array cannot be changed in place; instead of `x[i] = y` select with np.where, "
        "or join the parts with np.stack or np.concatenate"
    )


def refuse_conversion(self, *args, **options):
    """Say why a traced value becomes no plain number or array, and where that happens."""
    raise TypeError(
        "a traced value cannot become a plain number or array, its derivative would be lost. This "
        "happens in float(x), math.sin(x), np.array([x, y]) and a[i] = x; use functions of NumPy, "
        "and np.stack to make an array of traced values"
    )


def missing(name):
    """Return a property that says what to use instead of an attribute that only arrays have."""

    def refuse(self):
        raise AttributeError(
            f"a traced array has no `{name}`; use a function of NumPy that returns a new array"
        )

    return property(refuse)


def iterate(self):
    """Yield the entries along the first axis."""
    if not self.ndim:
        raise TypeError("iteration over a traced value with 0 axes")
    return (self[i] for i in range(len(self)))


def shape_given(function):
    """Return a method that takes the numbers one by one, or as one tuple."""

    def method(self, *numbers):
        return function(self, numbers[0] if len(numbers) == 1 else numbers or None)

    return method


for name, function in ONE.items():
    setattr(Traced, f"__{name}__", RULES[function])
for name, function in TWO.items():
    setattr(Traced, f"__{name}__", RULES[function])
    setattr(Traced, f"__r{name}__", swapped(RULES[function]))
for name in (*TWO, "pow", "and", "or", "xor", "lshift", "rshift"):
    setattr(Traced, f"__i{name}__", refuse_in_place)
for name, function in COMPARE.items():
    setattr(Traced, f"__{name}__", RULES[function])
for name in METHODS:
    setattr(Traced, name, RULES[getattr(np, name)])

Traced.__pow__ = power
Traced.__rpow__ = swapped(RULES[np.power])
Traced.__getitem__ = lambda self, index: getitem(self, index)
Traced.__setitem__ = refuse_assignment
Traced.__array__ = Traced.__float__ = Traced.__int__ = Traced.__complex__ = refuse_conversion
Traced.__bool__ = lambda self: bool(plain(self))
Traced.__len__ = lambda self: len(plain(self))
Traced.__iter__ = iterate
Traced.__hash__ = None  # like an array: `==` compares entries
Traced.__repr__ = lambda self: f"Traced({plain(self)!r})"
Traced.__format__ = lambda self, spec: format(plain(self), spec)

for name in ("shape", "ndim", "size", "dtype"):
    setattr(Traced, name, property(lambda self, name=name: getattr(self.value, name)))
Traced.T = property(RULES[np.transpose])
Traced.mT = property(RULES[np.matrix_transpose])
Traced.reshape = shape_given(RULES[np.reshape])
Traced.transpose = shape_given(RULES[np.transpose])
Traced.flatten = RULES[np.ravel]

# One by one, since a `__getattr__` would slow down every look-up of an attribute there is.
for name in {name for name in dir(np.ndarray) if not name.startswith("__")} - set(dir(Traced)):
    setattr(Traced, name, missing(name))
