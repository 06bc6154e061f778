"""Histograms of oriented gradients, drawn as strokes along the edges that they tell of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from course_lib.plots.pictures import draw_picture
from course_lib.plots.theme import colour, panels, themed

LEVELS = 4  # of strength, each one path in the file
LENGTH = 0.46  # of a cell's side, from its middle to the end of a stroke


@dataclass(frozen=True)
class Oriented:
    """Histograms of a grid of cells, to be shown by :func:`glyphs`.

    Parameters
    ----------
    histograms : array_like, shape (h, w, bins)
        How much gradient there is in each cell of each direction, not negative: bin 0 is centred
        at half a bin from 0, the last ends at 180 degrees; 0 points to the right, 90 down.
    role : str
        What the histograms are, one of :data:`course_lib.palette.ROLES`.
    """

    histograms: np.ndarray
    role: str = "input"


@themed
def glyphs(pictures, *, columns=None, ink=True):
    """Draw grids of histograms, in each cell a stroke for each direction, beside pictures.

    A stroke stands *across* the gradient, as the edge does, and is the darker the larger its bin
    is, in four steps: the darkest are for bins about as large as the largest of the grid, and bins
    smaller than an eighth of that are not drawn.

    Parameters
    ----------
    pictures : mapping of str to Oriented or picture, or iterable of pairs
        Pictures as for :func:`course_lib.plots.images`.
    columns : int, optional
        Panels in a row; by default all, up to four.
    ink : bool
        Whether 1 is black on white paper; else 1 is white.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is nothing to draw, or histograms have another shape, or negative numbers or such
        as are not finite.
    """
    pairs = list(pictures.items() if isinstance(pictures, Mapping) else pictures)
    if not pairs:
        raise ValueError("glyphs: nothing to draw, expected captions and Oriented or pictures")
    fig, axes = panels([caption for caption, _ in pairs], columns, "pictures and glyphs")
    for ax, (caption, shown) in zip(axes, pairs, strict=True):
        if isinstance(shown, Oriented):
            draw_glyphs(ax, caption, shown)
        else:
            draw_picture(ax, caption, shown, ink)
    return fig


def draw_glyphs(ax, caption, shown):
    """Draw one grid into axes without ticks."""
    values = np.asarray(shown.histograms, float)
    if values.ndim != 3 or not values.size:
        raise ValueError(
            f"glyphs: {caption!r} has histograms of {values.shape}, expected (h, w, bins)"
        )
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"glyphs: {caption!r} has histograms that are negative or not finite")
    h, w, bins = values.shape
    strength = np.round(LEVELS * values / (values.max() or 1))
    for level in range(1, LEVELS + 1):
        row, column, direction = np.nonzero(strength == level)
        if len(row):
            path = strokes(column + 0.5, row + 0.5, np.pi * (direction + 0.5) / bins)
            look = {"edgecolor": colour(shown.role), "alpha": level / LEVELS, "linewidth": 1.3}
            ax.add_patch(PathPatch(path, facecolor="none", **look))
    ax.set(xlim=(0, w), ylim=(h, 0), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set(visible=True, color=colour("line"))


def strokes(x, y, gradient):
    """Return one path of strokes through the points x, y, each across its gradient, in radians."""
    reach = LENGTH * np.stack([-np.sin(gradient), np.cos(gradient)], axis=1)
    middle = np.stack([x, y], axis=1)
    ends = np.stack([middle - reach, middle + reach], axis=1).reshape(-1, 2)
    return Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)))
