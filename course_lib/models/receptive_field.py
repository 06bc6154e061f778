"""Which pixels a unit sees, by arithmetic.

Along one axis of the image, unit `i` of a map sees the pixels from ``first(i)`` to ``last(i)``. A
layer turns these two functions into those of its own map: a window takes the smallest `first` and
the largest `last` of the units below it; where branches meet, by concatenation or by addition, a
unit sees what any branch sees. Pixels outside the image count: a unit near the border sees
padding, and a fully connected layer sees as a convolution would whose kernel covers the whole
map. With upsampling, neighbouring units see differently; the pattern repeats, and its period is
what an :class:`Axis` keeps. :func:`course_lib.models.gradient_support` asks the gradient instead.

For windows alone this is the well-known recursion: a window of `k` units with stride `s` on a map
of receptive field `r` and stride `a` gives ``r + (k - 1) * a`` and ``s * a``.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

__all__ = ["Axis", "Field"]


@dataclass(frozen=True)
class Axis:
    """What the units of a map see of the image along one axis, all in pixels.

    Unit `i`, for ``i`` below the period ``len(first)``, sees the pixels ``first[i]`` to
    ``last[i]``; the unit one period further sees `step` pixels further. Units and pixels go on
    beyond the borders.
    """

    first: tuple[int, ...] = (0,)
    last: tuple[int, ...] = (0,)
    step: int = 1

    @property
    def size(self):
        """The receptive field, in pixels: of the unit that sees most."""
        return max(b - a for a, b in zip(self.first, self.last, strict=True)) + 1

    @property
    def stride(self):
        """How far apart neighbouring units look, in pixels: an int, or a Fraction below a pixel."""
        stride = Fraction(self.step, len(self.first))
        return int(stride) if stride.denominator == 1 else stride

    def pixels(self, i):
        """Return the first and the last pixel that unit `i` sees."""
        turns, phase = divmod(i, len(self.first))
        return self.first[phase] + turns * self.step, self.last[phase] + turns * self.step

    def window(self, kernel, stride=1, padding=0, dilation=1):
        """Slide a window over the map, as a convolution or a pool does."""

        def units(o):
            start = stride * o - padding
            return range(start, start + dilation * (kernel - 1) + 1, dilation)

        period = len(self.first) // gcd(len(self.first), stride)
        return self._over(units, period, stride * period)

    def spread(self, kernel, stride=1, padding=0):
        """Spread each unit over a window, as a transposed convolution does."""
        if kernel < stride:
            raise ValueError(
                f"spread: a kernel of {kernel} with stride {stride} leaves units that see nothing; "
                f"use a kernel of at least {stride}"
            )

        def units(o):
            return range(-((kernel - 1 - o - padding) // stride), (o + padding) // stride + 1)

        return self._over(units, len(self.first) * stride, len(self.first))

    def union(self, other):
        """Let two maps meet, unit on unit, as in a sum or a concatenation."""
        if self.stride != other.stride:
            raise ValueError(
                f"union: the units of two maps that meet look {self.stride} and {other.stride} "
                f"pixels apart; bring them to one stride"
            )
        period = lcm(len(self.first), len(other.first))
        seen = [(*self.pixels(i), *other.pixels(i)) for i in range(period)]
        first = tuple(min(a, c) for a, _, c, _ in seen)
        last = tuple(max(b, d) for _, b, _, d in seen)
        return Axis(first, last, int(self.stride * period))

    def _over(self, units, period, advance):
        """The axis of a map whose unit `o` sees what the range ``units(o)`` of units of this sees.

        The range repeats, `advance` units further on, after `period` units of that map.
        """
        ends = [units(o) for o in range(period)]
        P = len(self.first)  # the first P units of a range hold its smallest `first`, and so on
        first = tuple(min(self.pixels(i)[0] for i in seen[:P]) for seen in ends)
        last = tuple(max(self.pixels(i)[1] for i in seen[-P:]) for seen in ends)
        return Axis(first, last, int(self.stride * advance))


@dataclass(frozen=True)
class Field:
    """What the units of a map see of the image: one :class:`Axis` for rows, one for columns."""

    rows: Axis = Axis()
    columns: Axis = Axis()

    @property
    def size(self):
        """Receptive field in pixels: an int if square, else (rows, columns)."""
        return _one(self.rows.size, self.columns.size)

    @property
    def stride(self):
        """Distance of neighbouring units in pixels: one number if square, else (rows, columns)."""
        return _one(self.rows.stride, self.columns.stride)

    def window(self, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
        """As :meth:`Axis.window`, with a pair for each."""
        pairs = zip((self.rows, self.columns), kernel, stride, padding, dilation, strict=True)
        return Field(*(axis.window(*numbers) for axis, *numbers in pairs))

    def spread(self, kernel, stride=(1, 1), padding=(0, 0)):
        """As :meth:`Axis.spread`, with a pair for each."""
        pairs = zip((self.rows, self.columns), kernel, stride, padding, strict=True)
        return Field(*(axis.spread(*numbers) for axis, *numbers in pairs))

    def union(self, other):
        """As :meth:`Axis.union`."""
        return Field(self.rows.union(other.rows), self.columns.union(other.columns))


def _one(rows, columns):
    return rows if rows == columns else (rows, columns)
