"""Digits moved, turned and scaled: to ask what a network makes of it, and to train on more."""

import numpy as np

CHUNK = 32  # images at a time: the four neighbours of all pixels fit a cache


def place_digits(images, *, size=32, dx=0, dy=0, angle=0, scale=1):
    """Draw each image into a square of `size` pixels: scaled, turned and shifted, in this order.

    Scaling and turning leave the centre where it is. With `scale` 1 the image fills the square, so
    that ``place_digits(load_digits().x_test)`` is ``load_digits(32).x_test``. A pixel is read where
    its centre falls in the original, between the four pixels around it (bilinear): give the
    originals of 8x8 pixels, and nothing is lost on the way. Beyond the edge of the image lies
    paper; a pixel that the edge cuts gets its share.

    Parameters
    ----------
    images : array_like, shape (N, 1, H, W)
        In 0..1, 0 the paper.
    size : int
        Rows and columns of the result, in pixels.
    dx, dy : float, or array_like of shape (N,)
        Shift to the right and down, in pixels of the result.
    angle : float, or array_like of shape (N,)
        Turn in degrees, counter-clockwise as one sees the picture.
    scale : float, or array_like of shape (N,)
        Height of the digit's image as a share of `size`.

    Returns
    -------
    ndarray, shape (N, 1, size, size)
        Of the type of `images`.

    Raises
    ------
    TypeError
        If `images` are no floats, or `size` is no int.
    ValueError
        If a shape is not as above, `size` is less than 1, or a `scale` is not positive.

    Examples
    --------
    >>> digits = load_digits()
    >>> to_the_right = place_digits(digits.x_test, size=32, scale=0.7, dx=4)
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 1 or 0 in images.shape[2:]:
        raise ValueError(f"place_digits: `images` has shape {images.shape}, expected (N, 1, H, W)")
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(f"place_digits: `images` are {images.dtype}, expected floats in 0..1")
    if not isinstance(size, (int, np.integer)):
        raise TypeError(f"place_digits: `size` is {size!r}, expected an int")
    if size < 1:
        raise ValueError(f"place_digits: `size` is {size}, expected at least 1")
    N = len(images)
    moves = {"dx": dx, "dy": dy, "angle": angle, "scale": scale}
    moves = {name: one_each(name, move, N) for name, move in moves.items()}
    if not (moves["scale"] > 0).all():
        raise ValueError(f"place_digits: `scale` is {moves['scale'].min()}, expected more than 0")

    placed = np.empty((N, 1, size, size), images.dtype)
    for start in range(0, N, CHUNK):
        part = slice(start, start + CHUNK)
        placed[part, 0] = draw(
            images[part, 0], size, *(move[part, None, None] for move in moves.values())
        )
    return placed


def one_each(name, move, N):
    """Return a move as an array ``(N,)`` of finite numbers."""
    move = np.asarray(move, np.float64)
    if move.shape not in ((), (1,), (N,)):
        raise ValueError(
            f"place_digits: `{name}` has shape {move.shape}, expected a number or one for each of "
            f"{N} images"
        )
    if not np.isfinite(move).all():
        raise ValueError(f"place_digits: `{name}` has entries that are not finite")
    return np.broadcast_to(move, (N,))


def draw(images, size, dx, dy, angle, scale):
    """Return ``(N, size, size)``, the images ``(N, H, W)`` after moves of shape ``(N, 1, 1)``."""
    N, H, W = images.shape
    offset = np.arange(size) + 0.5 - size / 2  # of a pixel's centre from the square's
    right, down = offset - dx, offset[:, None] - dy
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    # The way back: undo the shift, the turn, and the scaling.
    zoom = scale * size
    x = (cos * right - sin * down) / zoom * W + W / 2 - 0.5
    y = (sin * right + cos * down) / zoom * H + H / 2 - 0.5
    inside = share(x, W, zoom) * share(y, H, zoom)

    x, y = np.clip(x, 0, W - 1), np.clip(y, 0, H - 1)
    left, top = x.astype(np.intp), y.astype(np.intp)
    beside, below = np.minimum(left + 1, W - 1), np.minimum(top + 1, H - 1)
    a, b = x - left, y - top
    pixels = images.reshape(-1)  # one index is read faster than three
    first = H * W * np.arange(N)[:, None, None]
    above, under = first + W * top, first + W * below
    above_row = (1 - a) * pixels.take(above + left) + a * pixels.take(above + beside)
    below_row = (1 - a) * pixels.take(under + left) + a * pixels.take(under + beside)
    return inside * ((1 - b) * above_row + b * below_row)


def share(at, length, zoom):
    """Return how much of a target pixel, read at `at`, lies in an image `length` pixels long."""
    pixels_inside = (np.minimum(at + 0.5, length - 0.5 - at)) * zoom / length
    return np.clip(pixels_inside + 0.5, 0, 1)
