"""The figure of a caption's attention: where a network looked when it wrote a word."""

from html import escape
from numbers import Integral

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.scene import checked_boxes, checked_picture, encoded_picture
from course_lib.web.tables import table

__all__ = ["attention_shares", "caption_attention"]

WHERE = "caption_attention"
PARTS = ("figure", "pixels", "labels", "choices", "scene", "table", "caption-attention")
MOST_SCENES, MOST_WORDS, MOST_PLACES, MOST_OBJECTS = 6, 16, 16, 4
FINE = 10_000  # parts of the whole weight that the page keeps
ORDINALS = ("first", "second", "third", "fourth")  # of objects that have the same name
TOLERANCE = 1e-3  # by which the weights of a word may miss 1


def caption_attention(
    images, words, weights, *, boxes=None, names=None, probabilities=None, scene=0, word=0
):
    """Choose a word of a caption, and see where the network looked when it wrote it.

    The weights of the chosen word lie over the scene, the more the stronger. Beside it stand all
    words; where `boxes` are given, with the share of the weight that each of them got: what lies in
    the box, cells at its edge by the part of their area in it.

    One can find out

    - at which word the look moves from one object to the other, and whether that is before or
      after the word which names it;
    - which words need the picture: where they do not, the weight is spread over many places;
    - that a sentence can be wrong though the look went to the right place.

    Parameters
    ----------
    images : sequence of array_like, shape (H, W) or (1, H, W); or photographs
        One to six scenes, as :func:`course_lib.web.thresholds_and_curve` takes them: ink on paper
        as floats in 0..1, 1 the ink; or photographs, uint8, or with three channels.
    words : sequence of (sequence of str, or str)
        For each scene the T words, up to 16; a sentence is split at its spaces.
    weights : sequence of array_like, shape (T, h, w)
        For each scene the weights of each word, at most 16 by 16 places, which divide the image
        evenly; those of a word are not negative, and their sum is 1.
    boxes : sequence of array_like, shape (O, 4), optional
        For each scene at most four objects, ``x1 y1 x2 y2`` in pixels.
    names : sequence of sequences of str, optional
        What these objects are; "object 1" and so on, where it is not given.
    probabilities : sequence of array_like, shape (T,), optional
        For each scene that of each word, given those before.
    scene, word : int
        What is shown at first, from 0.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the scenes do not pair up, shapes disagree, weights are negative or do not add up to 1,
        a probability is not one, or a number is out of its range.

    References
    ----------
    Xu et al. (2015), "Show, Attend and Tell", sections 3.1.2 and 5.4.
    """
    pictures = [checked_picture(WHERE, image) for image in images]
    if not 1 <= len(pictures) <= MOST_SCENES:
        raise ValueError(f"{WHERE}: {len(pictures)} `images`, expected 1 to {MOST_SCENES}")
    if names is not None and boxes is None:
        raise ValueError(f"{WHERE}: `names` are given without `boxes`, which they are to name")
    optional = {"boxes": boxes, "names": names, "probabilities": probabilities}
    given = {"words": words, "weights": weights} | {
        k: v for k, v in optional.items() if v is not None
    }
    for name, value in given.items():
        if len(value) != len(pictures):
            raise ValueError(
                f"{WHERE}: {len(value)} `{name}` for {len(pictures)} `images`, expected one each"
            )
    scenes, lines, tables = [], [], []
    for n, (picture, size) in enumerate(pictures):
        said = _words(n, words[n])
        maps = _weights(n, weights[n], len(said))
        data = {"words": said, "grid": list(maps.shape[1:])}
        data["weights"] = np.rint(FINE * maps).astype(int).reshape(len(said), -1).tolist()
        if boxes is not None:
            found, called = _objects(n, boxes[n], None if names is None else names[n], size)
            data |= {"boxes": found.round(2).tolist(), "names": called}
        if probabilities is not None:
            data["p"] = _probabilities(n, probabilities[n], len(said)).round(4).tolist()
        scenes.append(encoded_picture(picture, size) | data)
        name = f"Scene {n + 1}: {' '.join(said)}"
        headers, rows = _rows(data, maps, size)
        tables.append(
            table(escape(name), headers, [[escape(cell) for cell in row] for row in rows])
        )
        lines += [name, " | ".join(headers), *(" | ".join(row) for row in rows)]
    for name, value, most in (
        ("scene", scene, len(scenes)),
        ("word", word, len(scenes[scene]["words"]) if scene in range(len(scenes)) else 1),
    ):
        if not (isinstance(value, Integral) and 0 <= value < most):
            raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected 0 to {most - 1}")
    return Figure(
        tag="course-caption-attention",
        parts=PARTS,
        data={"scenes": scenes, "scene": int(scene), "word": int(word)},
        fallback="<p>Where a network looked when it wrote each word of a caption.</p>\n"
        '<div class="course-static">\n' + "\n".join(tables) + "\n</div>",
        text="\n".join(lines),
    )


def attention_shares(weights, boxes, size):
    """Return how much of the attention lies in each box.

    Parameters
    ----------
    weights : array, shape (T, h, w)
        Over places that divide the image evenly.
    boxes : array, shape (O, 4)
        ``x1 y1 x2 y2`` in pixels.
    size : (int, int)
        H and W of the image, in pixels.

    Returns
    -------
    array, shape (T, O)
        The weight of each place, by the part of its area that is in the box.
    """
    h, w = weights.shape[1:]
    down, across = size[0] / h, size[1] / w
    x1, y1, x2, y2 = np.asarray(boxes, float).reshape(-1, 4).T[..., None]
    top, left = down * np.arange(h), across * np.arange(w)
    rows = np.clip(np.minimum(y2, top + down) - np.maximum(y1, top), 0, None) / down
    columns = np.clip(np.minimum(x2, left + across) - np.maximum(x1, left), 0, None) / across
    return np.einsum("thw,oh,ow->to", weights, rows, columns)


def _words(n, given):
    said = given.split() if isinstance(given, str) else [str(word) for word in given]
    if not 1 <= len(said) <= MOST_WORDS:
        raise ValueError(f"{WHERE}: scene {n} has {len(said)} `words`, expected 1 to {MOST_WORDS}")
    return said


def _weights(n, given, T):
    maps = np.asarray(given, float)
    if (
        maps.ndim != 3
        or len(maps) != T
        or not all(1 <= side <= MOST_PLACES for side in maps.shape[1:])
    ):
        raise ValueError(
            f"{WHERE}: scene {n} has `weights` of shape {maps.shape}, expected (T, h, w) for its "
            f"T = {T} words, with 1 to {MOST_PLACES} places along each side"
        )
    if not (maps >= 0).all():
        raise ValueError(
            f"{WHERE}: scene {n} has `weights` that are negative or not numbers; take them after "
            f"the softmax"
        )
    sums = maps.sum((1, 2))
    worst = int(abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > TOLERANCE:
        raise ValueError(
            f"{WHERE}: scene {n} has `weights` of the sum {sums[worst]:.4g} at word {worst}, "
            f"expected 1"
        )
    return maps


def _objects(n, boxes, names, size):
    boxes = np.asarray(boxes, float)
    found = (
        checked_boxes(WHERE, f"`boxes` of scene {n}", boxes) if boxes.size else boxes.reshape(0, 4)
    )
    if len(found) > MOST_OBJECTS:
        raise ValueError(
            f"{WHERE}: scene {n} has {len(found)} `boxes`, expected at most {MOST_OBJECTS}"
        )
    called = (
        [f"object {k + 1}" for k in range(len(found))] if names is None else list(map(str, names))
    )
    if len(called) != len(found):
        raise ValueError(
            f"{WHERE}: scene {n} has {len(called)} `names` for {len(found)} `boxes`, expected one "
            f"each"
        )
    twice = {name for name in called if called.count(name) > 1}
    seen = []
    for k, name in enumerate(called):
        if name in twice:
            called[k] = f"{ORDINALS[seen.count(name)]} {name}"
        seen.append(name)
    return found, called


def _probabilities(n, given, T):
    p = np.asarray(given, float)
    if p.shape != (T,) or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"{WHERE}: scene {n} has `probabilities` {p.tolist()}, expected {T} in 0..1, one for "
            f"each word"
        )
    return p


def _rows(data, maps, size):
    """What the static form says of each word."""
    headers = ["word", *(["p"] if "p" in data else [])]
    called = data.get("names", [])
    headers += [*(f"on the {name}" for name in called), "largest weight", "at row, column"]
    shares = attention_shares(maps, data.get("boxes", []), size)
    rows = []
    for t, word in enumerate(data["words"]):
        r, c = np.unravel_index(maps[t].argmax(), maps[t].shape)
        p = [f"{data['p'][t]:.0%}"] if "p" in data else []
        on = [f"{share:.0%}" for share in shares[t]]
        rows.append([word, *p, *on, f"{maps[t, r, c]:.0%}", f"{r}, {c}"])
    return headers, rows
