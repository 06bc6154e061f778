"""The figure of a digit that moves: what changes inside a network, and whether its answer stays."""

from html import escape

import numpy as np

from course_lib.data.placing import place_digits
from course_lib.web.figure import Figure
from course_lib.web.network import checked, decode, described, encode, encoded, forward, softmax
from course_lib.web.tables import table

__all__ = ["moving_digit"]

STEP = {"angle": 5, "scale": 0.05}  # of the controls, in degrees and in shares of the canvas
SCALES = (0.3, 1.2)
PARTS = ("figure", "pixels", "choices", "placing", "network", "moving-digit")


def moving_digit(networks, digits, labels, *, size=32, scale=0.7, reach=8, values=(0.0, 1.0)):
    """Drag, turn and scale a digit, and watch a trained network read it, layer by layer.

    The network runs on the page. Each of its convolutions and poolings shows its maps, with how
    much they differ from those of the digit in the middle; the bars show the probability of each
    class, and a map of all shifts where the answer is right.

    One can find out

    - that a shift of the digit shifts the maps of a convolution, while those of a pooling follow
      in larger steps; a turn turns them no further than it turns the digit's strokes;
    - that the first maps of a moved digit differ from those of the digit in the middle as much as
      another digit's would, whatever the network; whether the last layers differ less, so that the
      answer stays, depends on what it was trained on (give one that has seen moved digits, and one
      that has not);
    - how far that goes: the map of shifts has an edge, and a fully connected network a near one;
    - at which angle a 6 becomes a 9.

    Parameters
    ----------
    networks : network, or dict from str to network
        One, or a few to compare, by their names. A network is a ``torch.nn.Sequential`` or
        :class:`course_lib.numpy_layers.Sequential`, trained, or a list of layers as
        :mod:`course_lib.web.network` describes them. It takes images ``(N, 1, size, size)`` and
        returns a number for each class, of which the softmax is shown.
    digits : array_like, shape (N, 1, H, W) or (N, H, W)
        The digits to choose from, one to twelve, in 0..1, 1 the ink; best the originals of 8x8.
    labels : sequence of int, shape (N,)
        What they are: numbers of classes.
    size : int
        Rows and columns of the canvas, in pixels.
    scale : float
        Height of the image of the digit at first, as a share of the canvas.
    reach : int
        How far the digit can be shifted from the middle, in pixels.
    values : (float, float)
        What the network is given for paper and for ink.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError, ValueError
        If a network cannot be described, or does not fit the canvas or the other networks; if
        there are not as many labels as digits; or if a number is out of its range.

    References
    ----------
    Placed as by :func:`course_lib.data.place_digits`.
    """
    digits, labels = _digits(digits, labels)
    _check_numbers(size, scale, reach, values)
    named = networks if isinstance(networks, dict) else {"network": networks}
    if not named:
        raise ValueError("moving_digit: `networks` is empty, expected at least one network")
    plain = {str(name): _network(name, network, size) for name, network in named.items()}
    classes = {name: network[-1]["shape"][0] for name, network in plain.items()}
    if len(set(classes.values())) > 1:
        raise ValueError(
            f"moving_digit: the networks return {classes}, expected as many classes of each"
        )
    most = next(iter(classes.values()))
    if labels.min() < 0 or labels.max() >= most:
        raise ValueError(
            f"moving_digit: `labels` has {sorted({*labels.tolist()} - {*range(most)})}, expected "
            f"classes 0 to {most - 1} of the networks"
        )
    answers = {
        name: [_answers(network, digits, size, values, move) for move in _moves(scale).values()]
        for name, network in plain.items()
    }
    tables = [_table(name, found, labels, scale) for name, found in answers.items()]
    title = "What a network reads when a digit is moved: its answer, and its probability"
    return Figure(
        tag="course-moving-digit",
        parts=PARTS,
        data={
            "networks": {name: encoded(network) for name, network in plain.items()},
            "digits": [encode(digit[0]) for digit in digits],
            "labels": labels.tolist(),
            "size": int(size),
            "scale": float(scale),
            "scales": list(SCALES),
            "step": STEP,
            "reach": int(reach),
            "values": [float(value) for value in values],
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + "\n".join(table(escape(caption), *rest) for caption, *rest in tables)
        + "\n</div>",
        text="\n".join([f"{title}.", *map(_lines, tables)]),
    )


def _moves(scale):
    """What the static form shows: the words for it, and arguments of `place_digits`."""
    return {
        "in the middle": {"scale": scale},
        "2 right": {"scale": scale, "dx": 2},
        "4 right, 4 down": {"scale": scale, "dx": 4, "dy": 4},
        "turned by 30\N{DEGREE SIGN}": {"scale": scale, "angle": 30},
        "at 70% of that size": {"scale": 0.7 * scale},
    }


def _answers(network, digits, size, values, move):
    """Pairs of a class and its probability, for each digit after a move."""
    images = place_digits(digits, size=size, **move)
    paper, ink = values
    probabilities = softmax(forward(network, paper + (ink - paper) * images)[-1])
    return list(zip(probabilities.argmax(1).tolist(), probabilities.max(1), strict=True))


def _table(name, found, labels, scale):
    headers = ("digit", *_moves(scale))
    rows = [
        (f"a {label}", *(f"{answer} ({probability:.0%})" for answer, probability in row))
        for label, row in zip(labels, zip(*found, strict=True), strict=True)
    ]
    return name, headers, rows


def _lines(written):
    caption, headers, rows = written
    return "\n".join([f"{caption}: {' | '.join(headers)}", *(f"  {' | '.join(r)}" for r in rows)])


def _network(name, network, size):
    """The layers as the page runs them, with the weights that survive their encoding."""
    where = f"moving_digit: {name}"
    layers = network if isinstance(network, list | tuple) else described(where, network)
    return [
        {k: decode(encode(v)) if isinstance(v, np.ndarray) else v for k, v in layer.items()}
        for layer in checked(where, layers, (1, size, size))
    ]


def _digits(digits, labels):
    digits, labels = np.asarray(digits, float), np.asarray(labels)
    if digits.ndim == 3:
        digits = digits[:, None]
    if digits.ndim != 4 or digits.shape[1] != 1 or not 1 <= len(digits) <= 12:
        raise ValueError(
            f"moving_digit: `digits` has shape {digits.shape}, expected (N, 1, H, W) with 1 to 12 "
            f"digits, as many as a phone can show"
        )
    if not ((digits >= 0) & (digits <= 1)).all():
        raise ValueError("moving_digit: `digits` has numbers outside 0..1, 0 the paper, 1 the ink")
    if labels.shape != digits.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"moving_digit: `labels` has shape {labels.shape} and type {labels.dtype}, expected "
            f"{len(digits)} ints, one for each digit"
        )
    return np.stack([decode(encode(digit[0])) for digit in digits])[:, None], labels


def _check_numbers(size, scale, reach, values):
    if not isinstance(size, int) or not 8 <= size <= 64:
        raise ValueError(f"moving_digit: `size` is {size!r}, expected an int of 8 to 64 pixels")
    low, high = SCALES
    if not low <= scale <= high:
        raise ValueError(f"moving_digit: `scale` is {scale!r}, expected {low} to {high}")
    if not isinstance(reach, int) or not 1 <= reach <= size // 2:
        raise ValueError(
            f"moving_digit: `reach` is {reach!r}, expected an int of 1 to {size // 2} pixels, half "
            f"the canvas"
        )
    if np.shape(values) != (2,) or not np.isfinite(values).all():
        raise ValueError(
            f"moving_digit: `values` is {values!r}, expected two finite numbers, for paper and ink"
        )
