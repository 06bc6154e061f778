"""Boxes and joints on pictures: what was found where, beside the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from course_lib.plots.theme import FONT_SIZE, colour, panels, themed

CASING = 1.9  # points around a line, so that it is seen on paper and on ink, in both themes
TRUTH = (0, (4, 2.5))  # its dashes: a prediction is drawn through


@dataclass(frozen=True)
class Boxed:
    """A picture and boxes on it, to be shown by :func:`boxes`.

    Parameters
    ----------
    picture : array_like, shape (H, W) or (H, W, 3)
        In 0..1; H and W in pixels.
    predicted, truth : array_like, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels; any number of each.
    names : sequence of str
        Written above the first predicted boxes, or above true ones if none is predicted.
    role : str
        What the predicted boxes are: "prediction", or "wrong" where none of them is good.
    """

    picture: np.ndarray
    predicted: np.ndarray = ()
    truth: np.ndarray = ()
    names: tuple = ()
    role: str = "prediction"


@dataclass(frozen=True)
class Posed:
    """A picture and the joints of a body, to be shown by :func:`boxes`.

    Parameters
    ----------
    picture : array_like, shape (H, W) or (H, W, 3)
        In 0..1; H and W in pixels.
    limbs : sequence of (int, int)
        Which joints are joined.
    predicted, truth : array_like, shape (J, 2), or empty
        ``x y`` in pixels.
    role : str
        What the predicted joints are.
    """

    picture: np.ndarray
    limbs: tuple
    predicted: np.ndarray = ()
    truth: np.ndarray = ()
    role: str = "prediction"


@themed
def boxes(pictures, *, columns=None, ink=True):
    """Draw pictures with boxes, or with joints, each under its caption.

    What is predicted is drawn through, in colour; the truth is dashed, in ink.

    Parameters
    ----------
    pictures : mapping of str to Boxed or Posed, or iterable of pairs
    columns : int, optional
        Pictures in a row; by default all, up to four.
    ink : bool
        Whether 1 is black on white paper; else 1 is white. Colours are light in either case.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If there is no picture, or an array has another shape than above.
    """
    pairs = list(pictures.items() if isinstance(pictures, Mapping) else pictures)
    if not pairs:
        raise ValueError("boxes: no picture to draw, expected captions and Boxed or Posed ones")
    fig, axes = panels([caption for caption, _ in pairs], columns, "pictures")
    for ax, (caption, shown) in zip(axes, pairs, strict=True):
        H, W = draw_ground(ax, caption, shown.picture, ink)
        put = put_boxes if isinstance(shown, Boxed) else put_joints
        put(ax, caption, shown)
        ax.set(xlim=(0, W), ylim=(H, 0), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set(visible=True, color=colour("line"))
    return fig


def draw_ground(ax, caption, picture, ink):
    """Draw the picture, ink paler than it is, so that pixel 0 reaches from 0 to 1; return H, W."""
    picture = np.asarray(picture, float)
    if picture.shape[2:] not in ((), (3,)) or picture.ndim < 2:
        raise ValueError(
            f"boxes: {caption!r} has a picture of {picture.shape}, expected (H, W) or (H, W, 3)"
        )
    H, W = picture.shape[:2]
    pale = 0.6 * picture if ink and picture.ndim == 2 else picture
    look = {"cmap": "gray_r" if ink else "gray", "vmin": 0, "vmax": 1, "interpolation": "none"}
    ax.imshow(pale, extent=(0, W, H, 0), **look)
    return H, W


def put_boxes(ax, caption, shown):
    """Draw the true boxes, then the predicted ones, and write the names."""
    drawn = {}
    for part, role in (("truth", "truth"), ("predicted", shown.role)):
        drawn[part] = rows_of(caption, part, getattr(shown, part), 4)
        for x1, y1, x2, y2 in drawn[part]:
            put_line(ax, [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], role, part == "truth")
    part = "predicted" if len(drawn["predicted"]) else "truth"
    role = shown.role if part == "predicted" else "truth"
    H, W = np.shape(shown.picture)[:2]
    for name, (x1, y1, x2, y2) in zip(shown.names, drawn[part], strict=False):
        y, va = (y1, "bottom") if y1 > 0.16 * H else (y2, "top")
        x, ha = (max(x1, 0), "left") if x1 < 0.6 * W else (min(x2, W), "right")
        ground = {"facecolor": colour("surface"), "alpha": 0.8, "linewidth": 0, "pad": 0.5}
        style = {"va": va, "ha": ha, "weight": "bold", "fontsize": FONT_SIZE, "bbox": ground}
        ax.text(x, y, name, color=colour(role), clip_on=True, **style)


def put_joints(ax, caption, shown):
    """Draw the true limbs, then the predicted ones, and a dot at each predicted joint."""
    for part, role in (("truth", "truth"), ("predicted", shown.role)):
        joints = rows_of(caption, part, getattr(shown, part), 2)
        if not len(joints):
            continue
        for a, b in shown.limbs:
            put_line(ax, joints[[a, b], 0], joints[[a, b], 1], role, part == "truth")
        if part == "predicted":
            look = {"color": colour(role), "markersize": 3.4, "linestyle": "none"}
            ax.plot(joints[:, 0], joints[:, 1], marker="o", markeredgewidth=0, **look)


def put_line(ax, x, y, role, dashed):
    """Draw a line with a casing around it."""
    width = 1.4 if dashed else 1.8
    under = {"color": colour("surface"), "linewidth": width + CASING, "solid_joinstyle": "miter"}
    ax.plot(x, y, alpha=0.75, **under)
    over = {"linestyle": TRUTH} if dashed else {"solid_joinstyle": "miter"}
    ax.plot(x, y, color=colour(role), linewidth=width, **over)


def rows_of(caption, part, array, size):
    """Return an array ``(R, size)``, also of nothing."""
    array = np.asarray(array, float)
    if not array.size:
        return np.empty((0, size))
    if array.ndim != 2 or array.shape[1] != size:
        raise ValueError(
            f"boxes: {caption!r} has `{part}` of shape {array.shape}, expected (R, {size})"
        )
    return array
