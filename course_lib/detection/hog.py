"""Histograms of oriented gradients: what a window looks like, whatever the light.

A cell counts in which directions its pixels' brightness changes. Blocks of neighbouring cells are
brought to length 1, so that contrast does not count; each cell lies in several blocks, and so is
seen beside several neighbourhoods.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from course_lib.detection.boxes import is_tensor, namespace
from course_lib.shapes import check_shapes, dtype_name, pair

__all__ = ["hog", "hog_cells", "normalized_blocks"]

LENGTH = 1e-5  # below which a block counts as flat
CLIP = 0.2  # no direction of a cell may count more than that in a block of length 1
AT_ONCE = 1 << 18  # votes of pixels kept at a time, before cells add them up: a core's cache
VOTES = ("bilinear", "nearest")


def hog(images, *, cell=8, bins=9, block=2, signed=False, votes="bilinear"):
    """Describe images by histograms of oriented gradients, block by block.

    Parameters
    ----------
    images, cell, bins, signed, votes
        As for :func:`hog_cells`.
    block : int
        Cells along each side of a block; blocks are one cell apart.

    Returns
    -------
    array or tensor, shape (N, h', w', block * block * bins)
        h' and w' are one less than the rows and columns of cells if a block has two: 7 x 15 blocks
        and 3,780 numbers for a window of 64 x 128 pixels. A block's cells come row by row.

    Raises
    ------
    TypeError, ValueError
        As :func:`hog_cells`, and if a block does not fit.

    References
    ----------
    N. Dalal & B. Triggs (2005), "Histograms of Oriented Gradients for Human Detection", section 6.
    Departure: a block's cells are not weighted by a Gaussian about its centre, so that the cells of
    a large image serve all windows in it.

    Examples
    --------
    >>> hog(np.zeros((1, 3, 128, 64))).shape
    (1, 15, 7, 36)
    """
    cells = hog_cells(images, cell=cell, bins=bins, signed=signed, votes=votes)
    return normalized_blocks(cells, block)


def hog_cells(images, *, cell=8, bins=9, signed=False, votes="bilinear"):
    r"""Count in each cell in which directions the brightness changes.

    With the differences :math:`g_x, g_y` of a pixel's two neighbours along each axis, 0 at the
    border of the image, and of the channel in which they are largest, a pixel votes with
    :math:`\sqrt{g_x^2 + g_y^2}` for the direction :math:`\arctan(g_y / g_x)`.

    Parameters
    ----------
    images : array or tensor, shape (N, C, H, W)
        uint8, or finite floats, of which 0..1 is the range that the other constants expect.
    cell : int
        Rows and columns of a cell, in pixels. Pixels that fill no whole cell are left out.
    bins : int
        Directions. The first begins at the direction of x; from there they turn towards y, that
        is, down.
    signed : bool
        Whether the directions are those of a full turn, or those of half a turn, so that dark on
        light is light on dark.
    votes : {"bilinear", "nearest"}
        A vote falls between the centres of two directions and of four cells. It is divided among
        them, the more the nearer, so that a small shift changes little; or given to the nearest.

    Returns
    -------
    array or tensor, shape (N, h, w, bins)
        Votes per pixel of a cell, in the precision of the images, of uint8 float32; a tensor for a
        tensor, on its device, computed by NumPy without gradients.

    Raises
    ------
    TypeError
        If `images` is no array, or holds other numbers.
    ValueError
        If it has another shape, fewer pixels than a cell, or a value that is not finite; or an
        option has no meaning.

    References
    ----------
    Dalal & Triggs (2005), sections 6.2 and 6.3.
    """
    check_shapes("hog", images=(images, "N C H W"))
    if votes not in VOTES:
        raise ValueError(f"hog: `votes` is {votes!r}, expected one of {list(VOTES)}")
    (size, _), (bins, _) = pair("hog", "cell", cell, least=1), pair("hog", "bins", bins, least=2)
    N, C, H, W = images.shape
    if min(H, W) < size or C < 1:
        raise ValueError(
            f"hog: `images` has shape {tuple(images.shape)}, expected a channel or more, and at "
            f"least one cell of {size} x {size} pixels"
        )
    array = as_floats(images)
    rows, columns = (cell_weights(n, size, votes).astype(array.dtype) for n in (H, W))
    cells = np.empty((N, len(rows), len(columns), bins), array.dtype)
    step = max(1, AT_ONCE // (H * W * bins))
    for start in range(0, N, step):
        some = slice(start, start + step)
        planes = direction_votes(array[some], bins, signed, votes)
        halfway = (rows @ planes.reshape(-1, H, W * bins)).reshape(-1, W, bins)
        cells[some] = (columns @ halfway).reshape(-1, *cells.shape[1:])
    if not is_tensor(images):
        return cells
    return namespace(images).as_tensor(cells, device=images.device)


def normalized_blocks(cells, block=2):
    r"""Bring each block of cells to length 1, cut what is too large, and do so again: L2-Hys.

    .. math:: v \leftarrow v / \sqrt{|v|^2 + \epsilon^2} \qquad v \leftarrow \min(v, 0.2)

    Parameters
    ----------
    cells : array or tensor, shape (N, h, w, bins)
    block : int
        Cells along each side of a block; blocks are one cell apart.

    Returns
    -------
    array or tensor, shape (N, h - block + 1, w - block + 1, block * block * bins)

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or a block does not fit.

    References
    ----------
    Dalal & Triggs (2005), section 6.4.
    """
    check_shapes("hog", cells=(cells, "N h w bins"))
    (side, _) = pair("hog", "block", block, least=1)
    if min(cells.shape[1:3]) < side:
        raise ValueError(
            f"hog: a block of {side} x {side} cells does not fit {cells.shape[1]} x "
            f"{cells.shape[2]} of them; use larger images, or a smaller `cell` or `block`"
        )
    array = cells.detach().cpu().numpy() if is_tensor(cells) else np.asarray(cells)
    v = np.moveaxis(sliding_window_view(array, (side, side), (1, 2)), 3, -1)
    v = v.reshape(*v.shape[:3], side * side * array.shape[3])
    v = np.minimum(scaled(v), CLIP)
    v = scaled(v)
    return namespace(cells).as_tensor(v, device=cells.device) if is_tensor(cells) else v


def scaled(v):
    """Return vectors, along the last axis, with the length 1; flat ones become shorter."""
    squares = np.einsum("...i,...i->...", v, v)[..., None]
    return v / np.sqrt(squares + v.dtype.type(LENGTH**2))


def direction_votes(images, bins, signed, votes):
    """Return how strongly each pixel votes for each direction, ``(N, H, W, bins)``."""
    gx, gy = np.zeros_like(images), np.zeros_like(images)
    gx[..., 1:-1] = images[..., 2:] - images[..., :-2]
    gy[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    strength = np.sqrt(gx * gx + gy * gy)
    if images.shape[1] > 1:
        best = strength.argmax(1)[:, None]  # the channel that changes most
        gx, gy, strength = (np.take_along_axis(a, best, 1) for a in (gx, gy, strength))
    gx, gy, strength = (a[:, 0, ..., None] for a in (gx, gy, strength))
    turn = 2 * np.pi if signed else np.pi
    place = np.arctan2(gy, gx) % turn * (bins / turn)
    planes = np.zeros((*strength.shape[:3], bins), images.dtype)
    if votes == "nearest":
        np.put_along_axis(planes, place.astype(int) % bins, strength, 3)
        return planes
    place -= 0.5  # from centre to centre
    first = np.floor(place)
    share = (place - first) * strength
    np.put_along_axis(planes, first.astype(int) % bins, strength - share, 3)
    np.put_along_axis(planes, (first.astype(int) + 1) % bins, share, 3)
    return planes


def cell_weights(pixels, cell, votes):
    """Return how much each pixel along an axis counts for each cell, ``(cells, pixels)``."""
    at = np.arange(pixels) + 0.5
    centres = (np.arange(pixels // cell)[:, None] + 0.5) * cell
    away = abs(at - centres) / cell
    return (away < 0.5) / cell if votes == "nearest" else np.maximum(1 - away, 0) / cell


def as_floats(images):
    """Return images as an array of floats, all finite."""
    kind = dtype_name(images.dtype)
    array = images.detach().cpu().numpy() if is_tensor(images) else images
    if kind == "uint8":
        return array.astype(np.float32) / 255
    if kind not in ("float32", "float64"):
        raise TypeError(f"hog: `images` holds {kind}, expected uint8, float32 or float64")
    if not np.isfinite(array).all():
        raise ValueError("hog: `images` holds values that are not finite; mend or drop such images")
    return array
