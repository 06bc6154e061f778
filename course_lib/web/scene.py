"""Pictures and boxes as data for a page: for the figures that draw boxes over a picture.

A box is ``x1 y1 x2 y2`` in pixels, floats, with the width ``x2 - x1``.
"""

import base64
import io

import numpy as np

from course_lib.web.segmentation import levels

__all__ = ["checked_boxes", "checked_picture", "encoded_picture"]

MAX_INK, MAX_PHOTOGRAPH = 160, 480  # pixels of the longer side that a page gets
QUALITY = 80  # of a photograph in WebP
EDGE = 1e-6  # pixels that a box may be over an edge, for rounding


def checked_picture(where, picture, size=None):
    """Return a picture as an array, or None, and its size.

    Parameters
    ----------
    where : str
        The function that is checking, which the error names.
    picture : array_like or None
        Ink on paper, (H, W) or (1, H, W), floats in 0..1, 1 the ink; or a photograph: (H, W) of
        type uint8, or (H, W, 3) or (3, H, W), uint8 or floats in 0..1, of which 1 is light.
    size : (int, int), optional
        H and W in pixels, where there is no picture.

    Returns
    -------
    picture : array, shape (H, W) of floats, (H, W) or (H, W, 3) of uint8; or None
    size : (int, int)

    Raises
    ------
    ValueError
        If the shape or a number is not one of these.
    """
    if picture is None:
        if np.shape(size) != (2,) or not all(1 <= side <= 4096 for side in size):
            raise ValueError(
                f"{where}: `size` is {size!r}, expected (H, W), 1 to 4096 pixels each, as there "
                f"is no picture"
            )
        return None, (int(size[0]), int(size[1]))
    array = np.asarray(picture)
    shape = array.shape
    if array.ndim == 3 and shape[0] == 1:
        array = array[0]
    elif array.ndim == 3 and shape[0] == 3 and shape[2] != 3:
        array = np.moveaxis(array, 0, -1)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(
            f"{where}: the picture has shape {shape}, expected (H, W), (1, H, W), (H, W, 3) or "
            f"(3, H, W)"
        )
    if array.dtype != np.uint8:
        array = array.astype(float)
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(
                f"{where}: the picture has numbers outside 0..1; photographs of 0 to 255 are to "
                f"be of type uint8"
            )
        if array.ndim == 3:
            array = np.rint(255 * array).astype(np.uint8)
    return array, (array.shape[0], array.shape[1])


def encoded_picture(picture, size):
    """Return a checked picture as the data of the element ``scene``.

    Ink comes in 64 levels, in the colour of the theme, a photograph as WebP. What is larger than a
    page shows is made smaller: its size stays what it was, in pixels of the original.
    """
    data = {"size": list(size)}
    if picture is None:
        return data
    if picture.dtype == np.uint8:
        return data | {"photograph": _webp(picture)}
    every = -(-max(size) // MAX_INK)
    H, W = (side - side % every for side in size)
    blocks = picture[:H, :W].reshape(H // every, every, W // every, every).mean((1, 3))
    covered = {"covers": [H / size[0], W / size[1]]} if every > 1 else {}
    return data | {"ink": levels(blocks), "shape": list(blocks.shape)} | covered


def checked_boxes(where, what, boxes, size=None, *, margin=0.0):
    """Return boxes as floats, shape (R, 4), or raise what is wrong with them.

    Parameters
    ----------
    where, what : str
        The function that is checking, and the argument.
    boxes : array_like, shape (R, 4) or (4,)
        ``x1 y1 x2 y2`` in pixels.
    size : (int, int), optional
        H and W of the picture, in which the boxes must lie.
    margin : float
        How far they may lie outside of it, in pixels.
    """
    try:
        array = np.asarray(boxes, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim == 1 and array.size:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{where}: {what} is {boxes!r}, expected x1 y1 x2 y2 in pixels")
    good = np.isfinite(array).all(1) & (array[:, :2] < array[:, 2:]).all(1)
    if not good.all():
        raise ValueError(
            f"{where}: {what} has the box {array[~good][0].tolist()}, expected finite "
            f"x1 y1 x2 y2 with x1 < x2 and y1 < y2"
        )
    if size is not None:
        H, W = size
        low, high = -margin - EDGE, np.array([W, H]) + margin + EDGE
        inside = (array[:, :2] >= low).all(1) & (array[:, 2:] <= high).all(1)
        if not inside.all():
            beyond = f" or {margin:g} pixels around it" if margin else ""
            raise ValueError(
                f"{where}: {what} has the box {array[~inside][0].tolist()}, expected it inside the "
                f"picture of {H} x {W} pixels{beyond}"
            )
    return array


def _webp(photograph):
    from PIL import Image  # only where there is a photograph

    image = Image.fromarray(photograph)
    image.thumbnail((MAX_PHOTOGRAPH, MAX_PHOTOGRAPH))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
