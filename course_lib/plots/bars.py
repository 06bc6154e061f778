"""Horizontal bars, one row for each name: what the layers of a network hold, need and do."""

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from course_lib.plots.grids import bare_axes
from course_lib.plots.theme import FONT_SIZE, WIDTH, BookFigure, colour, themed

ROW, BAR, LINE, GAP = 0.235, 0.155, 0.2, 0.09  # inches: a row, its bar, a line of text, a space
ARRANGEMENTS = ("panels", "stacked", "grouped")
FILLED = (1.0, 0.3, 0.0)  # how full several series in one panel are: apart without their colours


def short(value):
    """Write a count as people say it: whole below ten thousand, above that in three digits.

    >>> [short(n) for n in (0, 864, 1728, 36_864, 3_211_264, 102_760_448, 15_470_264_320)]
    ['0', '864', '1,728', '36.9K', '3.21M', '103M', '15.5G']
    """
    if float(value).is_integer() and abs(value) < 10_000:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:#.3g}".rstrip(".") + letter
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


@themed
def bars(names, series, *, arrange="panels", roles=None, write=short):
    """Draw horizontal bars from the top down, each with its number at its end.

    Parameters
    ----------
    names : sequence of str, length L
        What each row is, for example the layers of a network.
    series : mapping of str to array_like, shape (L,)
        What is measured, with the unit, and how much of it each row has; not negative.
    arrange : {"panels", "stacked", "grouped"}
        Every series in a panel of its own, with its own scale; or up to three in one panel, end to
        end with the number of their sum, or one below the other.
    roles : mapping of str to str, optional
        What each series shows; by default ink.
    write : callable
        How a number becomes a text of the figure; by default :func:`short`.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is nothing to draw, a series has not one number for each name, a number is
        negative or not finite, or the arrangement is unknown or has too many series.
    """
    names, series = list(names), {name: np.asarray(v, float) for name, v in series.items()}
    check(names, series, arrange)
    shades = {name: colour((roles or {}).get(name, "ink")) for name in series}
    panels = [[name] for name in series] if arrange == "panels" else [list(series)]
    lanes = len(series) if arrange == "grouped" else 1
    row = ROW + (lanes - 1) * (BAR + 0.02) + (0.04 if lanes > 1 else 0)
    left = max(map(text_width, names)) + GAP + 0.04
    width = (WIDTH - 0.04 - left - GAP * (len(panels) - 1) * 1.5) / len(panels)
    heads = [heading_lines(panel, width) for panel in panels]
    head = LINE * max(map(len, heads)) + 0.08
    height = head + row * len(names) + 0.06
    fig = BookFigure(WIDTH, height, f"Bars of {', '.join(series)} for {len(names)} rows")
    ax = bare_axes(fig, (0, WIDTH), (height, 0))
    for i, name in enumerate(names):
        middle = head + row * (i + 0.5)
        ax.text(left - GAP, middle, name, ha="right", va="center_baseline")
    for n, (panel, lines) in enumerate(zip(panels, heads, strict=True)):
        start = left + n * (width + 1.5 * GAP)
        put_heading(ax, panel, lines, shades, start if len(panel) == 1 else GAP / 2, head)
        foot = head + row * len(names)
        ax.plot([start, start], [head - 0.02, foot + 0.02], color=colour("line"), linewidth=0.8)
        values = [series[name] for name in panel]
        stacked = arrange == "stacked"
        written = [write(v) for v in (sum(values) if stacked else np.concatenate(values))]
        place = (start, width), (head, row)
        put_bars(ax, values, written, panel, shades, *place, stacked=stacked)
    return fig


def check(names, series, arrange):
    """Raise a ValueError that says what cannot be drawn."""
    if not names or not series:
        raise ValueError("bars: nothing to draw, expected at least one name and one series")
    if arrange not in ARRANGEMENTS:
        raise ValueError(
            f"bars: `arrange` is {arrange!r}, expected one of {', '.join(ARRANGEMENTS)}"
        )
    if arrange != "panels" and len(series) > len(FILLED):
        raise ValueError(
            f"bars: {len(series)} series are too many to tell apart in one panel, expected at most "
            f'{len(FILLED)}; use arrange="panels"'
        )
    for name, values in series.items():
        if values.shape != (len(names),):
            raise ValueError(
                f"bars: {name!r} has shape {values.shape}, expected ({len(names)},), a number for "
                f"each name"
            )
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"bars: {name!r} has numbers that are negative or not finite")


def text_width(text, weight="normal"):
    """Width of a line of text in inches, in a font that is no narrower than the page's."""
    if not text.strip():
        return 0.0
    path = TextPath((0, 0), text, size=FONT_SIZE, prop=FontProperties(weight=weight))
    return path.get_extents().x1 / 72


def heading_lines(panel, width):
    """What stands above a panel, by lines: its one series, broken to fit, or a key of all."""
    if len(panel) > 1:
        return panel
    lines = [""]
    for word in panel[0].split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, "bold") > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def put_heading(ax, panel, lines, shades, start, head):
    """Write the lines above a panel; in a key each has the look of its bars before it."""
    top = head - 0.08 - LINE * len(lines)
    for i, line in enumerate(lines):
        y, x = top + LINE * (i + 0.5), start
        if len(panel) > 1:
            put_bar(ax, (x, y - BAR / 2, 0.26), shades[panel[i]], i)
            x += 0.26 + GAP
        shade = shades[panel[min(i, len(panel) - 1)]]
        ax.text(x, y, line, color=shade, weight="bold", va="center_baseline")


def put_bars(ax, values, texts, panel, shades, span, rows, *, stacked):
    """Draw the bars of one panel, `span` (start, width) and `rows` (top, height) in inches."""
    (start, width), (top, row) = span, rows
    longest = (sum(values) if stacked else np.concatenate(values)).max() or 1.0
    scale = (width - max(map(text_width, texts)) - GAP) / longest
    lanes = 1 if stacked else len(values)
    texts = iter(texts)
    for k, (name, lengths) in enumerate(zip(panel, values, strict=True)):
        before = sum(values[:k], np.zeros_like(lengths)) if stacked else np.zeros_like(lengths)
        lane = 0 if stacked else k - (lanes - 1) / 2
        for i, length in enumerate(lengths):
            middle = top + row * (i + 0.5) + lane * (BAR + 0.02)
            x = start + scale * before[i]
            put_bar(ax, (x, middle - BAR / 2, scale * length), shades[name], k)
            if not stacked or k == len(values) - 1:
                end = x + scale * length + 0.04
                ax.text(end, middle, next(texts), va="center_baseline")


def put_bar(ax, place, shade, n):
    """Draw the bar of series `n`, `place` its left, top and length in inches."""
    x, y, length = place
    if length > 0:
        look = {"facecolor": (shade, FILLED[n]), "edgecolor": shade, "linewidth": 1.0}
        ax.add_patch(Rectangle((x, y), length, BAR, **look))
