"""Arrays as grids: with their numbers, as a heat map, as a table of confusions."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from course_lib.plots.theme import FONT_SIZE, WIDTH, BookFigure, colour, themed

CELL = 0.42  # inches: the side of a cell that holds a number
SMALLEST_CELL = 0.29  # inches: two digits still fit


@dataclass(frozen=True)
class Grid:
    """A small array to be shown with its numbers; see :func:`number_grids`.

    Parameters
    ----------
    name : str
        Stands above the grid.
    values : array_like, shape (rows, columns) or (columns,)
        A cell that is NaN stays blank.
    role : str
        What the array is, one of :data:`course_lib.palette.ROLES`.
    marked : collection of (row, column)
        Cells to point at: framed, and their numbers bold.
    """

    name: str
    values: np.ndarray
    role: str = "ink"
    marked: Collection = ()

    def rows(self):
        """Return the values as rows and columns."""
        values = np.atleast_2d(np.asarray(self.values, float))
        if values.ndim != 2 or not values.size:
            raise ValueError(
                f"number_grids: {self.name!r} has shape {np.shape(self.values)}, "
                f"expected (rows, columns) or (columns,), not empty"
            )
        return values


@themed
def number_grids(*items):
    """Draw small arrays in a row, each number in its cell, with signs between them.

    Parameters
    ----------
    *items : Grid or str
        A string, for example ``"="``, stands between its neighbours.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is no Grid, an array has not one or two axes, or the row is too wide for a page.
    """
    grids = [item for item in items if isinstance(item, Grid)]
    if not grids:
        raise ValueError("number_grids: no Grid among the items, nothing to draw")
    tallest = max(len(grid.rows()) for grid in grids)
    widths = [item.rows().shape[1] if isinstance(item, Grid) else 0.9 for item in items]
    cell = min(CELL, WIDTH / (sum(widths) + 0.2))
    if cell < SMALLEST_CELL:
        raise ValueError(
            f"number_grids: {sum(widths):g} cells in a row are too many for a page of {WIDTH} "
            f"inches; draw two figures"
        )
    names = [f"{g.name} ({len(g.rows())} by {g.rows().shape[1]})" for g in grids]
    width, height = sum(widths) + 0.2, tallest + 0.9
    fig = BookFigure(cell * width, cell * height, f"Numbers in grids: {', '.join(names)}")
    ax = bare_axes(fig, (-0.1, width - 0.1), (tallest + 0.1, -0.8))
    left = 0.0
    for item, columns in zip(items, widths, strict=True):
        if isinstance(item, Grid):
            draw_numbers(ax, item, left, (tallest - len(item.rows())) / 2)
        else:
            ax.text(left + columns / 2, tallest / 2, item, fontsize=18, ha="center", va="center")
        left += columns
    return fig


def bare_axes(fig, xlim, ylim):
    """Return axes without frame over the whole figure."""
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1), xlim=xlim, ylim=ylim)
    ax.set_axis_off()
    return ax


def draw_numbers(ax, grid, left, top):
    """Draw one :class:`Grid` with its upper left corner at ``(left, top)``, in cells."""
    shade = colour(grid.role)
    values = grid.rows()
    middle = left + values.shape[1] / 2
    ax.text(middle, top - 0.35, grid.name, color=shade, weight="bold", ha="center", va="center")
    for (r, c), value in np.ndenumerate(values):
        corner = (left + c, top + r)
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=shade, alpha=0.13, linewidth=0))
        ax.add_patch(Rectangle(corner, 1, 1, facecolor="none", edgecolor=colour("line")))
        if not np.isnan(value):
            bold = "bold" if (r, c) in grid.marked else "normal"
            where = (corner[0] + 0.5, corner[1] + 0.5)
            ax.text(*where, number(value), weight=bold, ha="center", va="center")
    for r, c in grid.marked:
        frame = {"facecolor": "none", "edgecolor": shade, "linewidth": 2.4, "zorder": 3}
        ax.add_patch(Rectangle((left + c, top + r), 1, 1, **frame))


def number(value):
    """Write a number short, with a true minus sign."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


@themed
def matrix(values, *, role, rows, columns, row_names=None, column_names=None):
    """Draw a matrix as a heat map: the stronger the colour the larger, a dash where negative.

    Zeros stay blank. A matrix that is small enough shows its numbers.

    Parameters
    ----------
    values : array_like, shape (rows, columns)
    role : str
        What the entries are.
    rows, columns : str
        What the axes count.
    row_names, column_names : sequence of str, optional
        One for each row or column.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If `values` has not two axes.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"matrix: `values` has shape {values.shape}, expected (rows, columns)")
    height, width = values.shape
    has_room = width * 0.36 <= WIDTH
    side = 0.4 if has_room else (WIDTH - 0.8) / width
    size = min(WIDTH, width * side + 0.9), height * side + 0.75
    fig = BookFigure(*size, f"Heat map of a matrix: {height} {rows}, {width} {columns}")
    ax = fig.add_subplot()
    strongest = 0.4 if has_room else 1.0  # numbers stay readable on their cells
    draw_signed(ax, values, role, strongest=strongest, grid=has_room, dash=8 * side)
    if has_room:
        for (r, c), value in np.ndenumerate(values):
            if value:
                ax.text(c, r, number(value), ha="center", va="center")
    ax.set(xlabel=columns, ylabel=rows)
    for axis, names in ((ax.xaxis, column_names), (ax.yaxis, row_names)):
        if names is not None:
            axis.set_ticks(range(len(names)), names)
    ax.tick_params(length=0 if has_room else 3)
    ax.spines[:].set_visible(True)
    return fig


def draw_signed(ax, values, role, *, scale=None, strongest=1.0, grid=False, dash=1.0):
    """Fill one square per entry: opacity by size, a dash on negative ones, nothing for 0.

    `scale` is the size that gets the opacity `strongest`; by default the largest in `values`.
    `dash` is the thickness of the dashes in points.
    """
    height, width = values.shape
    scale = scale or np.abs(values).max() or 1.0
    for value in np.unique(values[values != 0]):  # one path for all cells of a value: small files
        at = np.argwhere(values == value)[:, ::-1]
        strength = min(abs(value) / scale, 1) * strongest
        fill = {"facecolor": colour(role), "alpha": strength, "linewidth": 0}
        ax.add_patch(PathPatch(squares(at), **fill))
        if value < 0 and not grid:  # a grid shows its numbers, signs and all
            pen = {"edgecolor": colour("surface" if strength > 0.5 else "ink"), "linewidth": dash}
            ax.add_patch(PathPatch(dashes(at), facecolor="none", **pen))
    if grid:
        lines = [((c - 0.5, -0.5), (c - 0.5, height - 0.5)) for c in range(1, width)]
        lines += [((-0.5, r - 0.5), (width - 0.5, r - 0.5)) for r in range(1, height)]
        ax.add_collection(LineCollection(lines, colors=colour("line"), linewidths=0.4))
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")


def squares(at):
    """Return one path of unit squares around the points `at`, ``(M, 2)``."""
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    return compound(at, corners, [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY])


def dashes(at):
    """Return one path of short level strokes through the points `at`, ``(M, 2)``."""
    return compound(at, np.array([(-0.22, 0), (0.22, 0)]), [Path.MOVETO, Path.LINETO])


def compound(at, outline, codes):
    """Return one path that repeats an outline at every point of `at`, ``(M, 2)``."""
    return Path((at[:, None] + outline).reshape(-1, 2), np.tile(codes, len(at)))


@themed
def confusion_matrix(counts, names=None):
    """Draw how often each true class was given each predicted one.

    Parameters
    ----------
    counts : int array_like, shape (K, K)
        ``counts[t, p]``: things of class t that were taken for p.
    names : sequence of str, optional
        One for each class; by default 0 .. K - 1.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If `counts` is not square.
    """
    counts = np.asarray(counts)
    K = len(counts)
    if counts.shape != (K, K) or not K:
        raise ValueError(f"confusion_matrix: `counts` has shape {counts.shape}, expected (K, K)")
    names = [str(k) for k in range(K)] if names is None else names
    wrong = int(counts.sum() - np.trace(counts))
    said = f"Confusion matrix of {K} classes: {np.trace(counts)} right, {wrong} wrong"
    fig = BookFigure(min(WIDTH, 0.38 * K + 0.8), min(WIDTH, 0.38 * K + 0.8), said)
    ax = fig.add_subplot(xlabel="predicted class", ylabel="true class")
    for (t, p), count in np.ndenumerate(counts):
        if not count:
            continue
        fill = {"facecolor": colour("right" if t == p else "wrong"), "linewidth": 0}
        strength = 0.3 if t == p else 0.45
        ax.add_patch(Rectangle((p - 0.5, t - 0.5), 1, 1, alpha=strength, **fill))
        bold = "normal" if t == p else "bold"
        ax.text(p, t, str(count), weight=bold, ha="center", va="center", fontsize=FONT_SIZE)
    ax.set(xlim=(-0.5, K - 0.5), ylim=(K - 0.5, -0.5), aspect="equal")
    ax.set_xticks(range(K), names)
    ax.set_yticks(range(K), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)
    return fig
