"""The figure of a signal on its way through many layers, and of its gradient on the way back.

The page computes it in ``elements/propagation.js``; here it stands once more for the static form,
with the same weights.
"""

from numbers import Integral, Real

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["ACTIVATIONS", "normals", "propagate", "signal_through_layers"]

XAVIER, HE = 1.0, 2**0.5
GAINS = (0.1, 3.0)
MAX_DEPTH, MAX_WIDTH, MAX_INPUTS = 50, 256, 256
LEAK = 0.1  # slope of the leaky ReLU below 0
EPS = 1e-5  # added to the variance by batch normalisation
ACTIVATIONS = {  # name -> the function, and its derivative
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "leaky ReLU": (lambda z: np.where(z > 0, z, LEAK * z), lambda z: np.where(z > 0, 1, LEAK)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: 0.25 / np.cosh(z / 2) ** 2),
    "none": (lambda z: z, np.ones_like),
}


def signal_through_layers(
    *,
    gain=XAVIER,
    activation="ReLU",
    depth=MAX_DEPTH,
    normalised=False,
    backward=False,
    width=64,
    inputs=64,
    seed=1,
):
    """Send a signal through up to fifty layers, and its gradient back, live on the page.

    Layer l computes ``z = h_before @ w.T``, normalises z over the batch if asked to, and puts out
    ``h = activation(z)``. Weights are normal, of standard deviation ``gain / sqrt(width)``; there
    are no biases. The figure draws the mean square of every layer's outputs on a logarithmic axis,
    or of the gradient at them, beside what theory expects of layers of endless width; what part of
    it differs from input to input; and how the numbers of four layers are distributed.

    One can find out

    - that a factor of 1/2 in each layer is 1e-15 after fifty, and which gain mends it: 1 (Xavier)
      without activation, the square root of 2 (He) for ReLU;
    - that none of these gains does for the sigmoid: its outputs keep their size, and forget the
      input;
    - that with batch normalisation the gain no longer matters, and the gradient still explodes.

    Parameters
    ----------
    gain : float
        Where the slider stands at first, from 0.1 to 3.
    activation : str
        A key of :data:`ACTIVATIONS`: ``"ReLU"``, ``"leaky ReLU"``, ``"tanh"``, ``"sigmoid"`` or
        ``"none"``.
    depth : int
        The number of layers, from 1 to 50.
    normalised : bool
        Whether batch normalisation stands before each activation.
    backward : bool
        Whether the gradient is shown first. It begins at the last layer with normal numbers.
    width : int
        Units of the input and of each layer, from 1 to 256.
    inputs : int
        Vectors in the batch, from 2 to 256; the numbers of each are normal, of variance 1.
    seed : int
        Of inputs and weights; the reader can ask for others.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such activation, or a number is out of its range.

    References
    ----------
    X. Glorot & Y. Bengio (2010), section 4.2; K. He et al. (2015), section 2.2.
    """
    if not isinstance(gain, Real) or not GAINS[0] <= gain <= GAINS[1]:
        raise ValueError(
            f"signal_through_layers: `gain` is {gain!r}, expected a number from 0.1 to 3"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"signal_through_layers: `activation` is {activation!r}, expected one of "
            f"{', '.join(ACTIVATIONS)}"
        )
    depth = _whole("depth", depth, 1, MAX_DEPTH)
    width = _whole("width", width, 1, MAX_WIDTH)
    inputs = _whole("inputs", inputs, 2, MAX_INPUTS)
    seed = _whole("seed", seed, 0, 2**32 - 1)
    stops = {round(0.1 * n, 1) for n in range(1, 31)} - {1.4} | {HE, float(gain)}
    title, measured = _measured(depth, width, inputs, seed)
    return Figure(
        tag="course-signal-through-layers",
        parts=("figure", "choices", "chart", "propagation", "signal-through-layers"),
        data={
            "gains": sorted(stops),
            "named": {"Xavier": XAVIER, "He": HE},
            "gain": float(gain),
            "activations": list(ACTIVATIONS),
            "activation": activation,
            "depth": depth,
            "most": MAX_DEPTH,
            "normalised": bool(normalised),
            "backward": bool(backward),
            "width": width,
            "inputs": inputs,
            "seed": seed,
        },
        fallback=f'<p>{title}</p>\n<div class="course-static">\n'
        + "\n".join(table(*parts) for parts in measured)
        + "\n</div>",
        text="\n".join(
            [title]
            + [
                "\n".join([caption, *(" | ".join(row) for row in [headers, *rows])])
                for caption, headers, rows in measured
            ]
        ),
    )


def normals(seed, count):
    """Return `count` numbers of a normal distribution, of mean 0 and variance 1, the page's own.

    The generator is mulberry32, whose n-th number is a hash of ``seed + n``, and Box and Muller's
    method makes two normal numbers of two uniform ones.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    count : int
        How many.

    Returns
    -------
    ndarray, shape (count,), float64
    """
    n = np.arange(1, 2 * -(-count // 2) + 1, dtype=np.uint32)
    a = np.uint32(seed * 0x9E3779B9 % 2**32) + n * np.uint32(0x6D2B79F5)
    t = (a ^ a >> np.uint32(15)) * (a | np.uint32(1))
    t = t + (t ^ t >> np.uint32(7)) * (t | np.uint32(61)) ^ t
    uniform = ((t ^ t >> np.uint32(14)) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * np.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]


def propagate(activation, gain, depth, normalised, *, width, inputs, seed):
    """Return the mean squares of signal and gradient, from the input to the last layer.

    Parameters
    ----------
    activation, gain, depth, normalised, width, inputs, seed
        As in :func:`signal_through_layers`. The numbers of :func:`normals` are first the inputs,
        then the gradient at the last layer, then the weights, layer by layer.

    Returns
    -------
    squares, gradients : ndarray, shape (depth + 1,)
        The mean square of the inputs and of each layer's outputs; the same of the gradient there.
    """
    function, derivative = ACTIVATIONS[activation]
    batch = inputs * width
    numbers = normals(seed, 2 * batch + depth * width**2)
    h, dh = numbers[: 2 * batch].reshape(2, inputs, width)
    weights = numbers[2 * batch :].reshape(depth, width, width) * (gain / width**0.5)
    squares, kept = [np.mean(h**2)], []
    for w in weights:
        z, deviation = h @ w.T, 1.0
        if normalised:
            deviation = np.sqrt(z.var(axis=0) + EPS)
            z = (z - z.mean(axis=0)) / deviation
        h = function(z)
        kept.append((z, deviation))
        squares.append(np.mean(h**2))
    gradients = [np.mean(dh**2)]
    for w, (z, deviation) in zip(weights[::-1], kept[::-1], strict=True):
        dz = dh * derivative(z)
        if normalised:
            dz = (dz - dz.mean(axis=0) - z * np.mean(dz * z, axis=0)) / deviation
        dh = dz @ w
        gradients.append(np.mean(dh**2))
    return np.array(squares), np.array(gradients[::-1])


def _measured(depth, width, inputs, seed):
    """The title of the static form and its two tables: caption, headers, rows."""
    ways = {
        "gain 1 (Xavier)": (XAVIER, False),
        "gain 1.41 (He)": (HE, False),
        "batch norm, gain 1": (XAVIER, True),
    }
    forward, back = [], []
    for name in ACTIVATIONS:
        runs = [
            propagate(name, *(gain, depth, normalised), width=width, inputs=inputs, seed=seed)
            for gain, normalised in ways.values()
        ]
        forward.append((name, *(f"{squares[-1] / squares[0]:.1e}" for squares, _ in runs)))
        back.append((name, *(f"{found[0] / found[-1]:.1e}" for _, found in runs)))
    layers = f"{depth} layer{'s' if depth > 1 else ''}"
    title = (
        f"What {layers} of width {width} leave of a signal's mean square, and of that of its "
        f"gradient on the way back; {inputs} inputs."
    )
    headers = ("activation", *ways)
    return title, [
        (f"The last layer's mean square over the input's, after {layers}", headers, forward),
        (f"The gradient's at the input over that at the last layer, after {layers}", headers, back),
    ]


def _whole(name, value, least, most):
    if not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(
            f"signal_through_layers: `{name}` is {value!r}, expected a whole number from {least} "
            f"to {most}"
        )
    return int(value)
