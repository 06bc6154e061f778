"""Charts of one number against another."""

import numpy as np

from course_lib.plots.grids import number
from course_lib.plots.theme import FONT_SIZE, WIDTH, BookFigure, colour, themed

DASHES = ["solid", (0, (6, 2)), (0, (2, 2)), (0, (7, 2, 2, 2))]  # apart without their colours


@themed
def curves(x, series, *, xlabel, ylabel, roles=None, xscale="linear", yscale="linear", height=2.7):
    """Draw curves over common positions, each named at its right end.

    Parameters
    ----------
    x : array_like, shape (T,)
    series : mapping of str to array_like, shape (T,)
        Names and heights of the curves.
    xlabel, ylabel : str
        What the axes show, with the unit.
    roles : mapping of str to str, optional
        What each curve shows; by default ink. Curves also differ by their dashes.
    xscale, yscale : {"linear", "log"}
    height : float
        Of the figure, in inches.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is no curve, or one has not the length of `x`.
    """
    if not series:
        raise ValueError("curves: `series` is empty, expected at least one curve")
    x = np.asarray(x)
    said = f"{ylabel} against {xlabel}: {', '.join(series)}"
    fig = BookFigure(WIDTH, height, said)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ends = {}
    for i, (name, y) in enumerate(series.items()):
        y = np.asarray(y)
        if y.shape != x.shape:
            raise ValueError(f"curves: {name!r} has shape {y.shape}, expected {x.shape} as `x`")
        shade = colour((roles or {}).get(name, "ink"))
        ax.plot(x, y, color=shade, linestyle=DASHES[i % len(DASHES)])
        ends[name] = y[-1], shade
    for axis, scale in ((ax.xaxis, xscale), (ax.yaxis, yscale)):
        if scale == "log":  # 0.1, not 10 to the -1, whose exponent is too small on a phone
            axis.set_major_formatter(lambda value, position: number(value))
            axis.set_minor_formatter("")
    ax.margins(x=0)
    name_ends(ax, x[-1], ends, height)
    return fig


def name_ends(ax, x, ends, height):
    """Write each curve's name beside its last point, pushed apart where they would touch."""
    gap = 1.25 * FONT_SIZE / (72 * 0.75 * height)  # of the height of the axes, about one line
    ax.get_ylim()  # settles the limits, on which transData depends
    to_axes = ax.transData + ax.transAxes.inverted()
    spots = sorted((to_axes.transform((x, y))[1], name) for name, (y, _) in ends.items())
    below = -np.inf
    for spot, name in spots:
        below = max(spot, below + gap)
        place = {"xy": (1, below), "xycoords": "axes fraction", "xytext": (5, 0)}
        text = {"color": ends[name][1], "va": "center", "textcoords": "offset points"}
        ax.annotate(name, **place, **text)
