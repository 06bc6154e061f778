"""Scenes of two digits, with sentences about which stands where: captions one can check."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from course_lib.data.scenes import digit_scenes

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ASIDE = 2.0  # times as far in one direction as in the other: which of the two it is, is clear
LARGER, ALIKE = 1.5, 1.25  # ratios of heights: from the one on sizes are told, up to the other not


class CaptionedScenes(NamedTuple):
    """What :func:`captioned_scenes` returns, for N scenes of two digits each.

    images    : ``(N, 1, 64, 64)`` float32 in 0..1, 1 the darkest ink
    sentences : N lists of sentences that are all true; the first is the one a writer would choose
    digits    : ``(N, 2)`` int64, in the order in which the first sentence names them
    boxes     : ``(N, 2, 4)`` float32, ``x1 y1 x2 y2`` in pixels, in the same order
    """

    images: np.ndarray
    sentences: list
    digits: np.ndarray
    boxes: np.ndarray


def captioned_scenes(
    count, *, split="train", seed=0, sizes=False, side=(18, 30), clutter=2, **options
):
    """Write scenes of two digits, and say in words what they show.

    "a three left of a seven", "an eight above a two": what stands left or above comes first. A
    second sentence is as true: "a seven right of a three". Scenes in which it is not clear what to
    say are left out: digits that lie about on a diagonal, less than twice as far in one direction
    as in the other.

    With `sizes`, the first two sentences say so where one digit is at least 1.5 times as high as
    the other, "a large three above a small seven"; the two without sizes follow. Scenes with
    heights of a ratio between 1.25 and 1.5 are left out.

    Parameters
    ----------
    count : int
        How many scenes.
    split : {"train", "test"}
        Which digits to write, as for :func:`digit_scenes`: none is in both.
    seed : int
        Another seed gives other scenes; fewer scenes are the first of more.
    sizes : bool
        Whether to tell large digits from small ones.
    side, clutter, **options
        As for :func:`digit_scenes`; so are `size`, `noise` and `overlap`.

    Returns
    -------
    CaptionedScenes

    Raises
    ------
    TypeError
        If `count` is no int.
    ValueError
        If `count` is negative, or with these options hardly any scene is clear; else as
        :func:`digit_scenes`.

    Examples
    --------
    >>> scenes = captioned_scenes(2000)
    >>> scenes.sentences[0][0]
    'a two left of a two'
    """
    if not isinstance(count, Integral):
        raise TypeError(f"captioned_scenes: `count` is {count!r}, expected an int")
    if count < 0:
        raise ValueError(f"captioned_scenes: `count` is {count}, expected 0 or more")
    options |= {"side": side, "clutter": clutter}
    asked = int((2.6 if sizes else 1.7) * count) + 10
    while True:
        scenes = digit_scenes(asked, digits=(2, 2), split=split, seed=seed, **options)
        told = [describe(*pair, sizes) for pair in zip(scenes.boxes, scenes.labels, strict=True)]
        clear = [i for i, found in enumerate(told) if found is not None][:count]
        if len(clear) == count:
            break
        if asked > 50 * (count + 10):
            raise ValueError(
                f"captioned_scenes: of {asked} scenes only {len(clear)} are clear; make the "
                f"differences of `side` larger, or smaller, or `overlap` less"
            )
        asked *= 2
    digits, boxes = np.zeros((count, 2), np.int64), np.zeros((count, 2, 4), np.float32)
    for n, i in enumerate(clear):
        order = told[i][0]
        digits[n], boxes[n] = scenes.labels[i][order], scenes.boxes[i][order]
    sentences = [told[i][1] for i in clear]
    return CaptionedScenes(scenes.images[clear], sentences, digits, boxes)


def describe(boxes, labels, sizes):
    """Return the order of two digits and the sentences about them, or None if that is unclear."""
    away = (boxes[1, :2] + boxes[1, 2:] - boxes[0, :2] - boxes[0, 2:]) / 2
    heights = boxes[:, 3] - boxes[:, 1]
    across, down = abs(away)
    ratio = heights.max() / heights.min()
    if max(across, down) < ASIDE * min(across, down) or (sizes and ALIKE < ratio < LARGER):
        return None
    axis = int(down > across)
    order = [0, 1] if away[axis] > 0 else [1, 0]  # the left one first, or the upper one
    there, back = (("left of", "right of"), ("above", "below"))[axis]
    names = [NAMES[labels[i]] for i in order]
    sentences = both_ways(names, there, back)
    if sizes and ratio >= LARGER:
        adjectives = ["large" if heights[i] == heights.max() else "small" for i in order]
        sized = [f"{size} {name}" for size, name in zip(adjectives, names, strict=True)]
        sentences = both_ways(sized, there, back) + sentences
    return order, sentences


def both_ways(nouns, there, back):
    """Return what is to be said of two nouns, from the one and from the other."""
    a, b = (f"{'an' if noun.startswith('eight') else 'a'} {noun}" for noun in nouns)
    return [f"{a} {there} {b}", f"{b} {back} {a}"]
