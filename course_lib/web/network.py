"""A small trained network as data: what a page needs to run it, and the same arithmetic in NumPy.

A network is a list of layers in the order in which they run, each a dict with a ``kind``:

=================  =======================================================  ==============
kind               what it has                                              on
=================  =======================================================  ==============
``conv2d``         ``weight`` (F, C, KH, KW), ``bias`` (F,), ``stride`` 1,  maps (C, H, W)
                   ``padding`` 0
``max_pool2d``,    ``kernel_size``, ``stride`` as the kernel, ``padding`` 0 maps
``avg_pool2d``
``subsample``      ``kernel_size``, ``weight`` (C,), ``bias`` (C,): each    maps
                   map's sums over windows side by side, times weight,
                   plus bias
``linear``         ``weight`` (F, D), ``bias`` (F,)                         D numbers
``rbf``            ``weight`` (F, D): minus the squared distance to a row   D numbers
``relu``,          nothing                                                  anything
``sigmoid``
``tanh``           ``gain`` 1, ``slope`` 1: ``gain * tanh(slope * x)``      anything
=================  =======================================================  ==============

Any layer may have a ``name``. ``linear`` and ``rbf`` flatten what they get. A sparse convolution is
a ``conv2d`` whose missing connections weigh 0. Lengths are in pixels.

References
----------
LeCun, Bottou, Bengio & Haffner (1998), section II.B, for subsampling, C3, and the units of RBF.
"""

from numbers import Integral, Real

import numpy as np

from course_lib.numpy_layers import (
    avg_pool2d_forward,
    conv2d_forward,
    max_pool2d_forward,
    sigmoid_forward,
)

__all__ = ["checked", "decode", "described", "encode", "encoded", "forward", "softmax"]

REQUIRED = object()
ARRAYS = {  # kind -> its arrays, with the letters of their axes
    "conv2d": {"weight": "F C KH KW", "bias": "F"},
    "subsample": {"weight": "C", "bias": "C"},
    "linear": {"weight": "F D", "bias": "F"},
    "rbf": {"weight": "F D"},
}
NUMBERS = {  # kind -> its numbers, with their values where they are not given
    "conv2d": {"stride": 1, "padding": 0},
    "max_pool2d": {"kernel_size": REQUIRED, "stride": None, "padding": 0},
    "avg_pool2d": {"kernel_size": REQUIRED, "stride": None, "padding": 0},
    "subsample": {"kernel_size": REQUIRED},
    "tanh": {"gain": 1.0, "slope": 1.0},
}
LETTERS = {  # kind -> what its name begins with, where it has none; activations have no row
    "conv2d": "conv",
    "max_pool2d": "pool",
    "avg_pool2d": "pool",
    "subsample": "pool",
    "linear": "full",
    "rbf": "rbf",
}
KINDS = (*LETTERS, "relu", "sigmoid", "tanh")
BASE64 = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)
MOST = 2047  # the largest of 12 bits with a sign


def described(where, model):
    """Return the layers of a model: what they compute is read off their classes' names.

    Parameters
    ----------
    where : str
        Who asks, for messages.
    model : torch.nn.Sequential, or course_lib.numpy_layers.Sequential
        Of layers of this course or of PyTorch, Sequentials among them; trained already. Dropout is
        left out, since it does nothing after training.

    Returns
    -------
    list of dict
        As above, for :func:`checked`.

    Raises
    ------
    TypeError
        If the model is no Sequential, or a layer none of those that can be described.
    """
    if "Sequential" not in [base.__name__ for base in type(model).__mro__]:
        raise TypeError(
            f"{where}: the network is a {type(model).__name__}, expected a Sequential, which runs "
            f"its layers in order, or a list of dicts (see course_lib.web.network)"
        )
    return [layer for name, part in _parts(model) for layer in _described(where, name, part)]


def _parts(model):
    """Pairs of a name and a layer: torch names them; those of the NumPy half have numbers."""
    if hasattr(model, "named_children"):
        return model.named_children()
    return enumerate(model.layers)


def _described(where, name, part):
    name, kind = str(name), type(part).__name__
    if kind in ("Flatten", "Dropout", "Identity"):
        return []
    if kind == "Sequential":
        return described(where, part)
    if kind not in DESCRIBE:
        raise TypeError(
            f"{where}: layer {name} is a {kind}, expected one of {', '.join(sorted(DESCRIBE))}"
        )
    named = {} if name.isdigit() else {"name": name}
    return [named | {key: _plain(value) for key, value in DESCRIBE[kind](part).items()}]


def _plain(value):
    """A tensor as an array, a pair of equal lengths as one, everything else as it is."""
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    return value


def _weights(layer):
    params = layer.params if hasattr(layer, "params") else dict(layer.named_parameters())
    bias = params.get("bias", np.zeros(len(params["weight"])))
    return {"weight": params["weight"], "bias": bias}


def _lengths(layer, *names):
    return {name: getattr(layer, name) for name in names}


POOL = ("kernel_size", "stride", "padding")
DESCRIBE = {  # name of a class -> what its layer is
    "Conv2d": lambda layer: (
        {"kind": "conv2d"} | _weights(layer) | _lengths(layer, "stride", "padding")
    ),
    "TableConv2d": lambda layer: (
        {"kind": "conv2d", "weight": layer.dense_weight(), "bias": layer.bias}
    ),
    "MaxPool2d": lambda layer: {"kind": "max_pool2d"} | _lengths(layer, *POOL),
    "AvgPool2d": lambda layer: {"kind": "avg_pool2d"} | _lengths(layer, *POOL),
    "Subsampling": lambda layer: (
        {"kind": "subsample", "weight": layer.coefficient, "bias": layer.bias}
        | _lengths(layer, "kernel_size")
    ),
    "Linear": lambda layer: {"kind": "linear"} | _weights(layer),
    "RBF": lambda layer: {"kind": "rbf", "weight": layer.codes},
    "ReLU": lambda layer: {"kind": "relu"},
    "Sigmoid": lambda layer: {"kind": "sigmoid"},
    "Tanh": lambda layer: {"kind": "tanh"},
    "Squash": lambda layer: {"kind": "tanh", "gain": layer.A, "slope": layer.S},
}


def encode(array):
    """Return an array as text: two letters of base64, 12 bits, for each of its numbers.

    A number is a whole one of -2047..2047 times the scale of its row, so that the error is at most
    1/4094 of the largest number of the row, and zeros stay zeros. LeNet-5 takes 124 KB.

    Parameters
    ----------
    array : ndarray, shape (rows, ...)
        An array of one axis is one row.

    Returns
    -------
    dict
        ``shape``, ``scales``, one for each row, and ``text``; :func:`decode` reads it.
    """
    array = np.asarray(array, float)
    rows = array.reshape(len(array) if array.ndim > 1 else 1, -1)
    scales = [float(f"{scale:.5g}") for scale in np.abs(rows).max(1, initial=0) / MOST]
    steps = np.divide(rows, np.array(scales)[:, None] + np.equal(scales, 0)[:, None])
    whole = np.clip(np.rint(steps), -MOST, MOST).astype(int).ravel() + MOST + 1
    text = BASE64[np.stack([whole >> 6, whole & 63], 1)].tobytes().decode("ascii")
    return {"shape": list(array.shape), "scales": scales, "text": text}


def decode(coded):
    """Return the array of :func:`encode`, as the page reads it."""
    letters = np.frombuffer(coded["text"].encode("ascii"), np.uint8)
    values = np.argsort(BASE64)[np.searchsorted(np.sort(BASE64), letters)].reshape(-1, 2)
    whole = (values @ [64, 1] - MOST - 1).reshape(len(coded["scales"]), -1)
    return (whole * np.array(coded["scales"])[:, None]).reshape(coded["shape"])


def encoded(layers):
    """Return checked layers with their arrays as text, for JSON."""
    return [
        {k: encode(v) if isinstance(v, np.ndarray) else v for k, v in layer.items()}
        for layer in layers
    ]


def checked(where, layers, shape):
    """Return the layers with every default filled in, or say what does not fit.

    Parameters
    ----------
    where : str
        Who asks, for messages.
    layers : sequence of dict
        As above; arrays may be anything that NumPy reads.
    shape : (int, int, int)
        Channels, rows and columns of the image.

    Returns
    -------
    list of dict
        Arrays of floats, numbers, and a ``name`` and a ``shape``, that of the output without the
        batch.

    Raises
    ------
    TypeError
        If a layer is no dict.
    ValueError
        If a layer has an unknown kind, lacks something, has something else, or does not fit
        what the layer before it returns.
    """
    done, counted = [], {}
    for i, layer in enumerate(layers):
        if not isinstance(layer, dict):
            raise TypeError(f"{where}: layer {i} is {type(layer).__name__}, expected a dict")
        kind = layer.get("kind")
        if kind not in KINDS:
            raise ValueError(f"{where}: layer {i} has the kind {kind!r}, expected {_any(KINDS)}")
        letters = LETTERS.get(kind, kind)
        counted[letters] = counted.get(letters, 0) + 1
        name = str(layer.get("name", f"{letters}{counted[letters]}"))
        who = f"{where}: layer {i}, {name},"
        known = {"kind": kind, "name": name} | _arrays(who, layer) | _numbers(who, layer)
        extra = sorted(set(layer) - set(known))
        if extra:
            raise ValueError(f"{who} has {_any(extra, 'and')}, which a {kind} has not")
        shape = _output_shape(who, known, shape)
        done.append(known | {"shape": list(shape)})
    if not done or len(shape) != 1:
        raise ValueError(
            f"{where}: the network ends with the shape {tuple(shape)}, expected one number for "
            f"each class, as a `linear` layer returns"
        )
    return done


def forward(layers, x):
    """Run a network, and return what every layer returns.

    Parameters
    ----------
    layers : list of dict
        Of :func:`checked`.
    x : ndarray, shape (N, C, H, W)

    Returns
    -------
    list of ndarray
        For each layer ``(N, *layer["shape"])``; the last one holds the logits ``(N, F)``.
    """
    outputs = []
    for layer in layers:
        x = RUN[layer["kind"]](layer, x)
        outputs.append(x)
    return outputs


def softmax(logits):
    """Return probabilities from logits ``(N, F)``."""
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _arrays(who, layer):
    found = {}
    for key, axes in ARRAYS.get(layer["kind"], {}).items():
        if key not in layer:
            raise ValueError(f"{who} has no `{key}`, expected an array ({axes.replace(' ', ', ')})")
        array = np.array(layer[key], float)
        if array.ndim != len(axes.split()) or not array.size:
            expected = axes.replace(" ", ", ")
            raise ValueError(f"{who} has a `{key}` of shape {array.shape}, expected ({expected})")
        if not np.isfinite(array).all():
            raise ValueError(f"{who} has a `{key}` with numbers that are not finite")
        found[key] = array
    if "bias" in found and found["bias"].shape != found["weight"].shape[:1]:
        raise ValueError(
            f"{who} has a `bias` of shape {found['bias'].shape}, expected "
            f"{found['weight'].shape[:1]} as `weight` has {found['weight'].shape}"
        )
    return found


def _numbers(who, layer):
    found = {}
    for key, default in NUMBERS.get(layer["kind"], {}).items():
        value = layer.get(key, default)
        if value is REQUIRED:
            raise ValueError(f"{who} has no `{key}`, expected a length in pixels")
        if key in ("gain", "slope"):
            if not isinstance(value, Real) or not np.isfinite(value):
                raise ValueError(f"{who} has `{key}` = {value!r}, expected a finite number")
            found[key] = float(value)
            continue
        value = found["kernel_size"] if key == "stride" and value is None else value
        least = 0 if key == "padding" else 1
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{who} has `{key}` = {value!r}, expected an int, at least {least}")
        found[key] = int(value)
    if layer["kind"] == "subsample":
        found |= {"stride": found["kernel_size"], "padding": 0}
    return found


def _output_shape(who, layer, shape):
    kind, weight = layer["kind"], layer.get("weight")
    if kind in ("linear", "rbf"):
        inputs = int(np.prod(shape))
        if weight.shape[1] != inputs:
            raise ValueError(
                f"{who} has a `weight` of shape {weight.shape}, expected (F, D) with D = {inputs} "
                f"as the layer before it returns {tuple(shape)}"
            )
        return (len(weight),)
    if kind not in LETTERS:
        return tuple(shape)
    if len(shape) != 3:
        raise ValueError(f"{who} gets the shape {tuple(shape)}, expected maps (C, H, W)")
    C, H, W = shape
    channels = {"conv2d": 1, "subsample": 0}.get(kind)
    if channels is not None and weight.shape[channels] != C:
        axes = ARRAYS[kind]["weight"].replace(" ", ", ")
        raise ValueError(
            f"{who} has a `weight` of shape {weight.shape}, expected ({axes}) with C = {C} as the "
            f"layer before it returns {tuple(shape)}"
        )
    window = weight.shape[2:] if kind == "conv2d" else (layer["kernel_size"],) * 2
    sides = [n + 2 * layer["padding"] for n in (H, W)]
    if window[0] > sides[0] or window[1] > sides[1]:
        raise ValueError(f"{who} has windows of {window}, which do not fit on maps of {(H, W)}")
    out = [(n - k) // layer["stride"] + 1 for n, k in zip(sides, window, strict=True)]
    return (len(weight) if kind == "conv2d" else C, *out)


def _conv2d(layer, x):
    options = {"stride": layer["stride"], "padding": layer["padding"]}
    return conv2d_forward(x, layer["weight"], layer["bias"], **options)[0]


def _pool(forward):
    return lambda layer, x: forward(x, **{name: layer[name] for name in POOL})[0]


def _subsample(layer, x):
    weight, bias = (layer[key][:, None, None] for key in ("weight", "bias"))
    return weight * layer["kernel_size"] ** 2 * RUN["avg_pool2d"](layer, x) + bias


def _linear(layer, x):
    return x.reshape(len(x), -1) @ layer["weight"].T + layer["bias"]


def _rbf(layer, x):
    return -np.square(x.reshape(len(x), 1, -1) - layer["weight"]).sum(2)


RUN = {
    "conv2d": _conv2d,
    "max_pool2d": _pool(max_pool2d_forward),
    "avg_pool2d": _pool(avg_pool2d_forward),
    "subsample": _subsample,
    "linear": _linear,
    "rbf": _rbf,
    "relu": lambda layer, x: np.maximum(x, 0),
    "sigmoid": lambda layer, x: sigmoid_forward(x)[0],
    "tanh": lambda layer, x: layer["gain"] * np.tanh(layer["slope"] * x),
}


def _any(names, word="or"):
    """Write ``a``, ``b`` or ``c``."""
    quoted = [f"`{name}`" for name in names]
    return f" {word} ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
