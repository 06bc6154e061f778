"""Pictures: grey ones as they are, signed ones (gradients, filters) by strength and sign."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from course_lib.plots.grids import draw_signed
from course_lib.plots.theme import colour, panels, themed

DARKEST = 0.15  # light where a map is 0 or less: still enough to see what is there


@dataclass(frozen=True)
class Signed:
    """An array of both signs to be shown by :func:`images`.

    Parameters
    ----------
    values : array_like, shape (H, W)
    role : str
        What the array is, one of :data:`course_lib.palette.ROLES`.
    scale : float, optional
        The size that gets the full colour; by default the largest of `values`.
    """

    values: np.ndarray
    role: str = "gradient"
    scale: float | None = None


@dataclass(frozen=True)
class Lit:
    """A picture to be shown by :func:`images`, lit where a map is large and dark elsewhere.

    Parameters
    ----------
    picture : array_like, shape (H, W) or (H, W, 3)
        In 0..1.
    values : array_like, shape (h, w)
        The map: its cells tile the picture. Resampled to H and W, linearly between their centres.
        What is 0 or less is dark; the largest value is fully lit.
    """

    picture: np.ndarray
    values: np.ndarray

    def pixels(self):
        """Return the picture ``(H, W)`` or ``(H, W, 3)``, each pixel times its light."""
        picture, values = np.asarray(self.picture, float), np.asarray(self.values, float)
        if picture.ndim not in (2, 3) or values.ndim != 2 or not values.size:
            raise ValueError(
                f"images: a Lit has a picture of shape {picture.shape} and values of "
                f"{values.shape}, expected (H, W) or (H, W, 3), and (h, w)"
            )
        for axis, size in enumerate(picture.shape[:2]):
            cells = values.shape[axis]
            at = (np.arange(size) + 0.5) * cells / size - 0.5
            values = np.apply_along_axis(
                lambda row, at=at: np.interp(at, np.arange(len(row)), row), axis, values
            )
        light = np.clip(values / (values.max() if values.max() > 0 else 1), 0, 1)
        light = DARKEST + (1 - DARKEST) * light
        return picture * (light if picture.ndim == 2 else light[..., None])


@themed
def images(pictures, *, columns=None, ink=True):
    """Draw pictures side by side, each under its caption.

    Parameters
    ----------
    pictures : mapping, or iterable of (caption, picture)
        A picture is an array ``(H, W)`` or, in colour, ``(H, W, 3)``, in 0..1; or a
        :class:`Signed`: coloured by its size, with a dash where it is negative; or a :class:`Lit`.
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
        If there is no picture, or one has other axes.
    """
    pairs = list(pictures.items() if isinstance(pictures, Mapping) else pictures)
    if not pairs:
        raise ValueError("images: no picture to draw")
    fig, axes = panels([caption for caption, _ in pairs], columns, "pictures")
    for ax, (caption, picture) in zip(axes, pairs, strict=True):
        draw_picture(ax, caption, picture, ink)
    return fig


def draw_picture(ax, caption, picture, ink):
    """Draw one picture into axes without ticks."""
    signed = isinstance(picture, Signed)
    picture = picture.pixels() if isinstance(picture, Lit) else picture
    values = np.asarray(picture.values if signed else picture, float)
    if values.ndim != 2 and (signed or values.shape[2:] != (3,)):
        expected = "(H, W)" if signed else "(H, W) or (H, W, 3)"
        raise ValueError(f"images: {caption!r} has shape {values.shape}, expected {expected}")
    if signed:
        draw_signed(ax, values, picture.role, scale=picture.scale)
    else:
        cmap = "gray_r" if ink else "gray"
        ax.imshow(values, cmap=cmap, vmin=0, vmax=1, interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=colour("line"))


@themed
def filters(weight, *, columns=4, role="weight"):
    """Draw the filters of a convolution, one for each output and input channel.

    Parameters
    ----------
    weight : array_like, shape (F, C, KH, KW)
        All on one scale, that of the largest entry.
    columns : int
        Filters in a row.
    role : str
        What the entries are.

    Returns
    -------
    BookFigure

    Raises
    ------
    ValueError
        If `weight` has not four axes.
    """
    weight = np.asarray(weight, float)
    if weight.ndim != 4:
        raise ValueError(f"filters: `weight` has shape {weight.shape}, expected (F, C, KH, KW)")
    F, C, _, _ = weight.shape
    scale = np.abs(weight).max()
    captions = [f"{f}" if C == 1 else f"{f}, {c}" for f in range(F) for c in range(C)]
    planes = weight.reshape(F * C, *weight.shape[2:])
    drawn = [Signed(plane, role, scale) for plane in planes]
    return images(zip(captions, drawn, strict=True), columns=columns)
