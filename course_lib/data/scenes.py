"""Scenes: real digits somewhere on a cluttered sheet, with their boxes, labels and masks."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from course_lib.data.digits import load_digits, resampling

INK = 0.3  # share of the full ink from which a pixel belongs to a digit
SPLITS = ("train", "test")
TRIES = 20  # places to try for a digit, before the scene is begun anew
RESTARTS = 100  # beginnings, before the digits are said not to fit


class Scenes(NamedTuple):
    """What :func:`digit_scenes` returns, for N scenes of `size` pixels squared.

    images : ``(N, 1, size, size)`` float32 in 0..1, 1 the darkest ink
    boxes  : N arrays ``(n, 4)`` float32, ``x1 y1 x2 y2`` in pixels, the n digits of a scene in the
             order in which they were written; ``x2 - x1`` is the width
    labels : N arrays ``(n,)`` int64, 0 to 9
    masks  : ``(N, size, size)`` int64, 0 the background, 1 + the digit where its ink is
    """

    images: np.ndarray
    boxes: list
    labels: list
    masks: np.ndarray


def digit_scenes(
    count,
    *,
    size=64,
    split="train",
    seed=0,
    digits=(1, 3),
    side=(14, 28),
    clutter=8,
    noise=0.04,
    overlap=0.0,
):
    """Write digits at random places and sizes on cluttered sheets.

    The digits are real handwriting, those of :func:`load_digits`; the scenes of the test split show
    test digits only, and so does their clutter: scraps of digits, strokes of a pen, an uneven
    sheet, noise. The same `seed` gives the same scenes, and fewer of them are the first of more.

    Parameters
    ----------
    count : int
        How many scenes.
    size : int
        Rows and columns of a scene, in pixels.
    split : {"train", "test"}
        Which digits to write.
    seed : int
        Another seed gives other scenes.
    digits : (int, int)
        The fewest and the most digits in a scene; both are as likely as what lies between.
    side : (int, int)
        The smallest and largest height of a digit's image, in pixels. Its box is tighter.
    clutter : int
        The most scraps and strokes in a scene.
    noise : float
        Standard deviation of the noise of a pixel.
    overlap : float
        How much of the smaller of two boxes the other may cover, 0 to 1.

    Returns
    -------
    Scenes
        Boxes and masks hold the pixels with at least 0.3 of the full ink.

    Raises
    ------
    TypeError
        If a number that counts is no int.
    ValueError
        If a setting has no meaning, or the digits do not fit into a scene.

    Examples
    --------
    >>> scenes = digit_scenes(1500)
    >>> one_digit_each = digit_scenes(200, split="test", digits=(1, 1), side=(20, 40))
    """
    counts = {"count": count, "size": size, "seed": seed, "clutter": clutter}
    for name, value in counts.items():
        if not isinstance(value, Integral):
            raise TypeError(f"digit_scenes: `{name}` is {value!r}, expected an int")
        if value < (name == "size"):
            raise ValueError(
                f"digit_scenes: `{name}` is {value}, expected {int(name == 'size')} or more"
            )
    if split not in SPLITS:
        raise ValueError(f"digit_scenes: `split` is {split!r}, expected 'train' or 'test'")
    digits, side = interval("digits", digits, 0), interval("side", side, 4)
    if side[1] > size:
        raise ValueError(f"digit_scenes: a `side` of {side[1]} does not fit a `size` of {size}")
    for name, value in {"noise": noise, "overlap": overlap}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"digit_scenes: `{name}` is {value}, expected 0 to 1")

    written = load_digits()
    pen = written.x_train[:, 0] if split == "train" else written.x_test[:, 0]
    names = written.y_train if split == "train" else written.y_test
    images = np.empty((count, 1, size, size), np.float32)
    masks = np.zeros((count, size, size), np.int64)
    boxes, labels = [], []
    for i in range(count):
        rng = np.random.default_rng((seed, SPLITS.index(split), i))
        chosen = rng.integers(len(pen), size=rng.integers(digits[0], digits[1] + 1))
        patches = [enlarged(pen[k], rng.integers(side[0], side[1] + 1)) for k in chosen]
        places = find_places(patches, size, overlap, rng)
        sheet = cluttered_sheet(size, pen, rng, clutter)
        found = np.zeros((len(chosen), 4), np.float32)
        for n, (patch, (top, left)) in enumerate(zip(patches, places, strict=True)):
            here = np.s_[top : top + len(patch), left : left + len(patch)]
            ink = patch >= INK
            masks[i][here][ink] = 1 + names[chosen[n]]
            found[n] = np.add(tight_box(ink), (left, top, left, top))
            sheet[here] = np.maximum(sheet[here], rng.uniform(0.75, 1) * patch)
        grain = noise * rng.standard_normal((size, size), np.float32)
        images[i, 0] = np.clip(sheet + grain, 0, 1)
        boxes.append(found)
        labels.append(names[chosen])
    return Scenes(images, boxes, labels, masks)


def interval(name, ends, least):
    """Return two ints in order, the first at least `least`."""
    ends = tuple(ends) if np.ndim(ends) else ends
    if not (
        isinstance(ends, tuple) and len(ends) == 2 and all(isinstance(e, Integral) for e in ends)
    ):
        raise TypeError(f"digit_scenes: `{name}` is {ends!r}, expected two ints")
    if not least <= ends[0] <= ends[1]:
        raise ValueError(
            f"digit_scenes: `{name}` is {ends}, expected the fewest, {least} or more, and the most"
        )
    return ends


def enlarged(digit, side):
    """Return a digit ``(8, 8)`` resampled to `side` pixels squared."""
    matrix = resampling(len(digit), side).astype(np.float32)
    return matrix @ digit @ matrix.T


def tight_box(ink):
    """Return ``x1 y1 x2 y2`` of the pixels that are true."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def find_places(patches, size, overlap, rng):
    """Return a corner (top, left) for each patch, so that no two boxes overlap too much."""
    boxes = [tight_box(patch >= INK) for patch in patches]
    for _ in range(RESTARTS):
        corners, placed = [], []
        for patch, (x1, y1, x2, y2) in zip(patches, boxes, strict=True):
            for top, left in rng.integers(size - len(patch) + 1, size=(TRIES, 2)):
                there = x1 + left, y1 + top, x2 + left, y2 + top
                if all(covered(there, other) <= overlap for other in placed):
                    corners.append((top, left))
                    placed.append(there)
                    break
        if len(corners) == len(patches):
            return corners
    raise ValueError(
        f"digit_scenes: {len(patches)} digits of up to {max(map(len, patches))} pixels found no "
        f"room in {size}x{size}; make `size` or `overlap` larger, or `side` smaller"
    )


def covered(a, b):
    """Return how much of the smaller of two boxes lies in the other, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0, width) * max(0, height) / smaller


def cluttered_sheet(size, pen, rng, clutter):
    """Return a sheet ``(size, size)`` of paper: uneven, with scraps of digits and strokes."""
    matrix = resampling(4, size).astype(np.float32)
    sheet = matrix @ rng.uniform(0, 0.2, (4, 4)).astype(np.float32) @ matrix.T
    for _ in range(rng.integers(clutter + 1)):
        if rng.random() < 0.6:
            add_scrap(sheet, pen, rng)
        else:
            add_stroke(sheet, rng)
    return sheet


def add_scrap(sheet, pen, rng):
    """Draw a piece of a digit, too small to be read."""
    row, column = rng.integers(6, size=2)
    piece = pen[rng.integers(len(pen)), row : row + 3, column : column + 3]
    side = min(rng.integers(5, 11), len(sheet))
    top, left = rng.integers(len(sheet) - side + 1, size=2)
    here = np.s_[top : top + side, left : left + side]
    fade = np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32) ** 0.5
    scrap = rng.uniform(0.4, 0.9) * fade * fade[:, None] * enlarged(piece, side)
    sheet[here] = np.maximum(sheet[here], scrap)


def add_stroke(sheet, rng):
    """Draw a straight stroke, 4 to 14 pixels long and about 2 wide, with round ends."""
    x, y = rng.uniform(0, len(sheet), 2)
    direction, length = rng.uniform(0, np.pi), rng.uniform(4, 14)
    cos, sin = np.cos(direction), np.sin(direction)
    at = np.arange(len(sheet)) + 0.5
    right, down = at - x, at[:, None] - y
    along = np.clip(cos * right + sin * down, 0, length)
    distance = np.hypot(right - cos * along, down - sin * along)
    ink = rng.uniform(0.3, 0.9) * np.clip(1.6 - distance, 0, 1)
    np.maximum(sheet, ink, out=sheet, casting="same_kind")
