"""Charts of one number against another."""

import numpy as np

from course_lib.plots.grids import number
from course_lib.plots.theme import FONT_SIZE, WIDTH, BookFigure, colour, themed

DASHES = [  # apart without their colours
    "solid",
    (0, (6, 2)),
    (0, (2, 2)),
    (0, (7, 2, 2, 2)),
    (0, (9, 2, 2, 2, 2, 2)),
]


@themed
def curves(
    x,
    series,
    *,
    xlabel,
    ylabel,
    bands=None,
    roles=None,
    xscale="linear",
    yscale="linear",
    height=2.7,
):
    """Draw curves over common positions, each named at its right end.

    Parameters
    ----------
    x : array_like, shape (T,)
    series : mapping of str to array_like, shape (T,)
        Names and heights of the curves.
    xlabel, ylabel : str
        What the axes show, with the unit.
    bands : mapping of str to (low, high), optional
        For each curve that has one, the edges of the range around it, arrays of shape (T,): the
        extremes or the quantiles over several seeds. The caption has to say which.
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
        If there is no curve, one has not the length of `x`, or a band belongs to no curve or is
        turned upside down.
    """
    if not series:
        raise ValueError("curves: `series` is empty, expected at least one curve")
    x = np.asarray(x)
    bands = {name: checked_band(name, band, x, series) for name, band in (bands or {}).items()}
    said = f"{ylabel} against {xlabel}: {', '.join(series)}"
    fig = BookFigure(WIDTH, height, said)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ends = {}
    for i, (name, y) in enumerate(series.items()):
        y = np.asarray(y)
        if y.shape != x.shape:
            raise ValueError(f"curves: {name!r} has shape {y.shape}, expected {x.shape} as `x`")
        shade = colour((roles or {}).get(name, "ink"))
        if name in bands:
            low, high = bands[name]
            edge = np.concatenate([low, high[::-1]])
            ax.fill(np.concatenate([x, x[::-1]]), edge, color=shade, alpha=0.18, linewidth=0)
        ax.plot(x, y, color=shade, linestyle=DASHES[i % len(DASHES)])
        ends[name] = y[-1], shade
    for axis, scale in ((ax.xaxis, xscale), (ax.yaxis, yscale)):
        if scale == "log":  # 0.1, not 10 to the -1, whose exponent is too small on a phone
            axis.set_major_formatter(lambda value, position: power(value))
            axis.set_minor_formatter("")
    ax.margins(x=0)
    name_ends(ax, x[-1], ends, height)
    return fig


def power(value):
    """Write the number at a tick of a logarithmic axis, thousands in full.

    >>> [power(v) for v in (0.01, 1000, 100_000, 1e7)]
    ['0.01', '1,000', '100,000', '1e+07']
    """
    return f"{value:,.0f}" if 1e3 <= value < 1e6 else number(value)


def checked_band(name, band, x, series):
    """Return the low and the high edge of a band, each of the shape of `x`."""
    if name not in series:
        raise ValueError(
            f"curves: `bands` has {name!r}, expected names of curves: {', '.join(series)}"
        )
    low, high = (np.asarray(edge) for edge in band)
    if low.shape != x.shape or high.shape != x.shape:
        raise ValueError(
            f"curves: the band of {name!r} has shapes {low.shape} and {high.shape}, "
            f"expected {x.shape} as `x`"
        )
    if (low > high).any():
        raise ValueError(
            f"curves: the band of {name!r} is (low, high), but low exceeds high at position "
            f"{np.argmax(low > high)}"
        )
    return low, high


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
