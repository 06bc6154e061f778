"""Segmentations: which pixels got which class, rightly or wrongly."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from course_lib.plots.theme import FONT_SIZE, colour, panels, themed

SMALLEST = 12  # pixels of a part that gets its name written beside it


@dataclass(frozen=True)
class Segmented:
    """A picture and the classes of its pixels, to be shown by :func:`segmentations`.

    Parameters
    ----------
    picture : array_like, shape (H, W)
        In 0..1, 1 the ink.
    predicted : int array_like, shape (H, W)
        0 the background.
    truth : int array_like, shape (H, W), optional
        By default `predicted`: then no pixel is wrong.
    """

    picture: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray | None = None


@themed
def segmentations(pictures, names, *, columns=3):
    """Draw pictures with their segmentations, each under its caption.

    A pixel that is rightly taken for a thing is filled in one colour. A wrong one is filled in
    another and crossed by a line: a pixel of a thing that was missed, or taken for another class,
    or background taken for a thing. Beside each part stands the name of its predicted class.

    Parameters
    ----------
    pictures : mapping of str to Segmented
    names : sequence of str
        Of the classes, the background first.
    columns : int
        Pictures in a row.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is no picture, or its arrays have not one shape.
    """
    if not isinstance(pictures, Mapping) or not pictures:
        raise ValueError("segmentations: `pictures` is empty, expected captions and Segmented ones")
    fig, axes = panels(list(pictures), min(columns, len(pictures)), "segmentations")
    for ax, (caption, shown) in zip(axes, pictures.items(), strict=True):
        draw_segmented(ax, caption, shown, names)
    return fig


def draw_segmented(ax, caption, shown, names):
    """Draw one picture, its pixels right and wrong, and the names of its parts."""
    picture, predicted = np.asarray(shown.picture, float), np.asarray(shown.predicted)
    truth = predicted if shown.truth is None else np.asarray(shown.truth)
    shapes = {picture.shape, predicted.shape, truth.shape}
    if len(shapes) > 1 or picture.ndim != 2:
        raise ValueError(
            f"segmentations: {caption!r} has a picture of {picture.shape}, predictions of "
            f"{predicted.shape} and a truth of {truth.shape}, expected (H, W) three times"
        )
    H, W = picture.shape
    ax.imshow(0.45 * picture, cmap="gray_r", vmin=0, vmax=1, interpolation="none")
    right, wrong = (predicted == truth) & (truth > 0), predicted != truth
    for mask, role in ((right, "right"), (wrong, "wrong")):
        if mask.any():
            rows, starts, ends = runs(mask)
            fill = {"facecolor": colour(role), "alpha": 0.65, "linewidth": 0}
            ax.add_patch(PathPatch(boxes(rows, starts, ends), **fill))
    if wrong.any():
        pen = {"edgecolor": colour("wrong"), "facecolor": "none", "linewidth": 0.7}
        ax.add_patch(PathPatch(lines(*runs(wrong)), **pen))
    for k in np.unique(predicted[predicted > 0]):
        for part in parts(predicted == k):
            name_part(ax, part, names[k], W)
    ax.set(xlim=(-0.5, W - 0.5), ylim=(H - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set(visible=True, color=colour("line"))


def name_part(ax, part, name, width):
    """Write the name of a part above its right end, or below it at the top of the picture."""
    rows, columns = part[:, 0], part[:, 1]
    high = rows.min() > 0.22 * width
    y, va = (rows.min() - 1.2, "bottom") if high else (rows.max() + 1.2, "top")
    x = np.clip(columns.mean(), 0.08 * width, 0.92 * width)
    box = {"facecolor": colour("surface"), "alpha": 0.75, "linewidth": 0, "pad": 0.6}
    style = {"ha": "center", "va": va, "weight": "bold", "fontsize": FONT_SIZE, "bbox": box}
    ax.text(x, y, name, **style)


def runs(mask):
    """Return rows, first columns, and columns one behind the last, of the runs in a mask."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1)
    rows, starts = np.nonzero(edges > 0)
    return rows, starts, np.nonzero(edges < 0)[1]


def boxes(rows, starts, ends):
    """Return one path of a rectangle for each run."""
    left, right, top, bottom = starts - 0.5, ends - 0.5, rows - 0.5, rows + 0.5
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    vertices = np.transpose(corners, (2, 0, 1)).reshape(-1, 2)
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    return Path(vertices, np.tile(codes, len(rows)))


def lines(rows, starts, ends):
    """Return one path of a level line through the middle of each run."""
    vertices = np.transpose([(starts - 0.5, rows), (ends - 0.5, rows)], (2, 0, 1)).reshape(-1, 2)
    return Path(vertices, np.tile([Path.MOVETO, Path.LINETO], len(rows)))


def parts(mask):
    """Yield the pixels ``(n, 2)`` of each connected part of a mask that is not tiny."""
    left = {tuple(at) for at in np.argwhere(mask).tolist()}
    while left:
        part, waiting = [], [left.pop()]
        while waiting:
            r, c = waiting.pop()
            part.append((r, c))
            for at in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if at in left:
                    left.remove(at)
                    waiting.append(at)
        if len(part) >= SMALLEST:
            yield np.array(part)
