"""The figure of an inception module: what the widths of its branches cost.

The counting is done in ``elements/inception-widths.js`` for the page, and here once more for the
static form. Weights are counted without biases, as in the paper's comparison.
"""

from numbers import Integral
from typing import NamedTuple

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["MODULES", "branches", "inception_widths"]

MOST = 1024  # maps, of any part
PARTS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool projection")
MAY_BE_LEFT_OUT = ("3x3 reduce", "5x5 reduce", "pool projection")
MODULES = {  # name -> maps in, rows and columns, widths: Szegedy et al. (2014), table 1
    "3a": (192, 28, (64, 96, 128, 16, 32, 32)),
    "3b": (256, 28, (128, 128, 192, 32, 96, 64)),
    "4a": (480, 14, (192, 96, 208, 16, 48, 64)),
    "4b": (512, 14, (160, 112, 224, 24, 64, 64)),
    "4c": (512, 14, (128, 128, 256, 24, 64, 64)),
    "4d": (512, 14, (112, 144, 288, 32, 64, 64)),
    "4e": (528, 14, (256, 160, 320, 32, 128, 128)),
    "5a": (832, 7, (256, 160, 320, 32, 128, 128)),
    "5b": (832, 7, (384, 192, 384, 48, 128, 128)),
}


class Branch(NamedTuple):
    """What one branch puts out and costs."""

    name: str
    maps: int
    weights: int


def inception_widths(in_channels=192, size=28, widths=MODULES["3a"][2]):
    """Set the widths of an inception module, and see what its branches cost.

    A slider for each of the six widths; a drawing whose bands are as broad as there are maps; and
    for each branch its maps, weights and multiply-accumulates beside those of the naive module,
    which has no 1x1 convolutions before the 3x3 and the 5x5, and none after the pooling. The
    reader can also choose a module of GoogLeNet, or leave the reductions out.

    Parameters
    ----------
    in_channels : int
        Maps that the module reads, C; 1 to 1024.
    size : int
        Their rows, and as many columns, which all branches keep; 1 to 512.
    widths : sequence of six int
        The maps of ``1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection``, in the order of the
        paper's table, at most 1024 each; by default those of module 3a. A reduction or a projection
        of 0 is left out.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are not six widths, or a number is not in its range.

    References
    ----------
    C. Szegedy et al. (2014), "Going Deeper with Convolutions", figure 2 and table 1.
    """
    in_channels = _whole("in_channels", in_channels, 1, MOST)
    size = _whole("size", size, 1, 512)
    try:
        widths = tuple(widths)
    except TypeError:
        widths = (widths,)
    if len(widths) != len(PARTS):
        raise ValueError(
            f"inception_widths: `widths` is {widths!r}, expected six numbers: {', '.join(PARTS)}"
        )
    widths = tuple(
        _whole(f"widths` of the {part}, `{part}", width, part not in MAY_BE_LEFT_OUT, MOST)
        for part, width in zip(PARTS, widths, strict=True)
    )
    modules = {name: [C, S, list(w)] for name, (C, S, w) in MODULES.items()}
    own = [in_channels, size, list(widths)]
    chosen = next((name for name, module in modules.items() if module == own), None)
    if chosen is None:
        modules = {"own": own} | modules
    title, rows = _compared(in_channels, size, widths)
    headers = ("branch", "maps", "weights", "multiply-accumulates", "weights if naive")
    written = table("The branches of the module", headers, rows)
    return Figure(
        tag="course-inception-widths",
        parts=("figure", "counting", "inception-widths"),
        data={"modules": modules, "chosen": chosen or "own"},
        fallback=f'<p>{title}</p>\n<div class="course-static">\n{written}\n</div>',
        text="\n".join([title, *("  ".join(row) for row in rows)]),
    )


def branches(in_channels, widths):
    """Return the four branches of a module, a :class:`Branch` each.

    Parameters
    ----------
    in_channels : int
        C.
    widths : sequence of six int
        As in :func:`inception_widths`; those of the naive module end in 0 and have 0 before the 3x3
        and the 5x5.
    """
    C = in_channels
    one, reduce3, three, reduce5, five, project = widths
    return [
        Branch("1x1", one, C * one),
        Branch("3x3", three, _reduced(C, reduce3, three, 3)),
        Branch("5x5", five, _reduced(C, reduce5, five, 5)),
        Branch("pool", project or C, C * project),
    ]


def _reduced(C, reduce, maps, kernel):
    return C * reduce + kernel**2 * (reduce or C) * maps


def _compared(C, size, widths):
    """The title of the static form, and its rows as texts."""
    one, _, three, _, five, _ = widths
    plain = branches(C, widths)
    naive = branches(C, (one, 0, three, 0, five, 0))
    pairs = [*zip(plain, naive, strict=True), (_sum(plain), _sum(naive))]
    rows = [
        (b.name, f"{b.maps:,}", f"{b.weights:,}", f"{b.weights * size**2:,}", f"{n.weights:,}")
        for b, n in pairs
    ]
    (all_, all_naive) = pairs[-1]
    title = (
        f"An inception module on {C} maps of {size} by {size}: {all_.maps:,} maps and "
        f"{all_.weights:,} weights, where the naive module has {all_naive.weights:,}."
    )
    return title, rows


def _sum(branches_):
    return Branch("module", sum(b.maps for b in branches_), sum(b.weights for b in branches_))


def _whole(name, value, least, most):
    if not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(
            f"inception_widths: `{name}` is {value!r}, expected a whole number from {int(least)} "
            f"to {most}"
        )
    return int(value)
