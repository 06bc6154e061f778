"""The figure of a network's layers: what each puts out, holds and costs, while one edits them.

The arithmetic stands in ``elements/counting.js`` for the page, and here once more for the static
form, in the conventions of :func:`course_lib.models.summary`.
"""

from html import escape
from numbers import Integral

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["FIELDS", "PRESETS", "architecture_editor", "count_layers"]

FIELDS = {  # kind of layer -> what can be set: (smallest, largest, of a new layer)
    "conv": {
        "filters": (1, 16384, 64),
        "kernel": (1, 64, 3),
        "stride": (1, 64, 1),
        "padding": (0, 64, 1),
        "groups": (1, 4096, 1),
    },
    "pool": {"kernel": (1, 64, 2), "stride": (1, 64, 2), "padding": (0, 32, 0)},
    "fc": {"units": (1, 65536, 1000)},
    "gap": {},
}
INPUT = {"channels": (1, 4096), "size": (1, 4096)}
MEASURES = ("parameters", "memory", "operations")
BYTES = 4  # of a value in float32


def _conv(name, filters, kernel, stride=1, padding=0, groups=1):
    return {"kind": "conv", "name": name, "filters": filters, "kernel": kernel} | {
        "stride": stride,
        "padding": padding,
        "groups": groups,
    }


def _pool(name, kernel, stride, padding=0):
    return {"kind": "pool", "name": name, "kernel": kernel, "stride": stride, "padding": padding}


def _fc(name, units):
    return {"kind": "fc", "name": name, "units": units}


def _alexnet(towers):
    return [
        _conv("conv1", 96, 11, stride=4),
        _pool("pool1", 3, 2),
        _conv("conv2", 256, 5, padding=2, groups=towers),
        _pool("pool2", 3, 2),
        _conv("conv3", 384, 3, padding=1),
        _conv("conv4", 384, 3, padding=1, groups=towers),
        _conv("conv5", 256, 3, padding=1, groups=towers),
        _pool("pool5", 3, 2),
        *_head(),
    ]


def _zfnet():
    return [
        _conv("conv1", 96, 7, stride=2, padding=1),
        _pool("pool1", 3, 2, padding=1),
        _conv("conv2", 256, 5, stride=2),
        _pool("pool2", 3, 2, padding=1),
        _conv("conv3", 384, 3, padding=1),
        _conv("conv4", 384, 3, padding=1),
        _conv("conv5", 256, 3, padding=1),
        _pool("pool5", 3, 2),
        *_head(),
    ]


def _vgg(*stages):
    layers = []
    for n, (depth, filters) in enumerate(zip(stages, (64, 128, 256, 512, 512), strict=True), 1):
        layers += [_conv(f"conv{n}_{i}", filters, 3, padding=1) for i in range(1, depth + 1)]
        layers.append(_pool(f"pool{n}", 2, 2))
    return [*layers, *_head()]


def _head():
    return [_fc("fc6", 4096), _fc("fc7", 4096), _fc("fc8", 1000)]


def _preset(title, channels, size, layers, about):
    return {"title": title, "channels": channels, "size": size, "layers": layers, "about": about}


PRESETS = {
    "lenet5": _preset(
        "LeNet-5",
        1,
        32,
        [
            _conv("c1", 6, 5),
            _pool("s2", 2, 2),
            _conv("c3", 16, 5),
            _pool("s4", 2, 2),
            _conv("c5", 120, 5),
            _fc("f6", 84),
            _fc("output", 10),
        ],
        "As it is built today. In the paper C3 is sparse, the pooling has weights and the outputs "
        "are distances: 60,000 parameters.",
    ),
    "alexnet": _preset(
        "AlexNet, two towers",
        3,
        227,
        _alexnet(2),
        "Two towers, one for each graphics card of 2012: conv2, conv4 and conv5 have 2 groups. "
        "The paper says 224 pixels; its sizes need 227.",
    ),
    "alexnet-one-tower": _preset(
        "AlexNet, one tower", 3, 227, _alexnet(1), "The towers joined: no groups."
    ),
    "zfnet": _preset("ZFNet", 3, 224, _zfnet(), "AlexNet with a finer first layer."),
    "vgg11": _preset("VGG-11", 3, 224, _vgg(1, 1, 2, 2, 2), "Column A of the paper's table 1."),
    "vgg13": _preset("VGG-13", 3, 224, _vgg(2, 2, 2, 2, 2), "Column B of the paper's table 1."),
    "vgg16": _preset("VGG-16", 3, 224, _vgg(2, 2, 3, 3, 3), "Column D of the paper's table 1."),
    "vgg19": _preset("VGG-19", 3, 224, _vgg(2, 2, 4, 4, 4), "Column E of the paper's table 1."),
    "googlenet-stem": _preset(
        "GoogLeNet, before the modules",
        3,
        224,
        [
            _conv("conv1", 64, 7, stride=2, padding=3),
            _pool("pool1", 3, 2, padding=1),
            _conv("reduce2", 64, 1),
            _conv("conv2", 192, 3, padding=1),
            _pool("pool2", 3, 2, padding=1),
        ],
        "What stands before the first inception module.",
    ),
    "three-3x3": _preset(
        "three layers of 3 \N{MULTIPLICATION SIGN} 3",
        256,
        14,
        [_conv(f"conv{n}", 256, 3, padding=1) for n in (1, 2, 3)],
        "To be compared with one layer of 7 \N{MULTIPLICATION SIGN} 7.",
    ),
    "one-7x7": _preset(
        "one layer of 7 \N{MULTIPLICATION SIGN} 7",
        256,
        14,
        [_conv("conv1", 256, 7, padding=3)],
        "To be compared with three layers of 3 \N{MULTIPLICATION SIGN} 3.",
    ),
}


def architecture_editor(preset="alexnet", *, layers=None, input_shape=None, measure="parameters"):
    """Edit a network layer by layer, and see what every layer puts out, holds and costs.

    The reader can choose another network, change any number, add, remove and move layers, and take
    changes back. A layer that cannot be says why, and what would fit; those after it wait.

    Parameters
    ----------
    preset : str
        The network shown first, a key of :data:`PRESETS`: ``"lenet5"``, ``"alexnet"``,
        ``"alexnet-one-tower"``, ``"zfnet"``, ``"vgg11"``, ``"vgg13"``, ``"vgg16"``, ``"vgg19"``,
        ``"googlenet-stem"``, ``"three-3x3"``, ``"one-7x7"``.
    layers : sequence of dict, optional
        A network of one's own, shown first instead: for each layer its ``kind`` (conv, pool, fc or
        gap, the global average), perhaps a ``name``, and the settings of :data:`FIELDS` that differ
        from those of a new layer. It may be an impossible one, for the reader to mend.
    input_shape : (int, int, int), optional
        ``(C, H, W)`` of one's own network, H equal to W.
    measure : {"parameters", "memory", "operations"}
        What the bars show at first.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such preset or measure, or a layer is not as described.
    """
    if preset not in PRESETS:
        raise ValueError(
            f"architecture_editor: `preset` is {preset!r}, expected one of {', '.join(PRESETS)}"
        )
    if measure not in MEASURES:
        raise ValueError(
            f"architecture_editor: `measure` is {measure!r}, expected one of {', '.join(MEASURES)}"
        )
    if (layers is None) != (input_shape is None):
        raise ValueError("architecture_editor: give both `layers` and `input_shape`, or neither")
    presets = PRESETS
    if layers is not None:
        channels, size = _checked_input(input_shape)
        own = _preset("this network", channels, size, _checked_layers(layers), "")
        preset, presets = "own", {"own": own} | PRESETS
    chosen = presets[preset]
    rows = count_layers(chosen["channels"], chosen["size"], chosen["layers"])
    title, body = _table(chosen, rows)
    headers = ("layer", "output", "parameters", "values", "multiply-accumulates", "sees", "stride")
    written = table(escape(title), headers, [[escape(cell) for cell in row] for row in body])
    return Figure(
        tag="course-architecture-editor",
        parts=("figure", "counting", "architecture-editor"),
        data={"preset": preset, "measure": measure, "fields": FIELDS, "input": INPUT}
        | {"presets": presets},
        fallback=f'<p>A network and what its layers cost:</p>\n<div class="course-static">\n'
        f"{written}\n</div>",
        text="\n".join([title, *("  ".join(filter(None, row)) for row in body)]),
    )


def count_layers(channels, size, layers):
    """Count what the layers of a network put out, hold and cost, for one square image.

    Parameters
    ----------
    channels, size : int
        Of the image: C, and its rows, of which there are as many as columns, in pixels.
    layers : sequence of dict
        As in :data:`PRESETS`: kind, name and settings.

    Returns
    -------
    list of dict
        A row for each layer: ``channels``, ``size`` and ``values`` of its output, ``parameters``,
        ``macs`` (multiplications with weights), ``field`` and ``stride`` in pixels (no stride after
        the maps have become one cell). Where a layer is impossible its row has a ``problem`` in
        words instead, and those after it have ``waits``, the name of that layer.
    """
    rows, field, stride, blocked = [], 1, 1, None
    for layer in layers:
        if blocked:
            rows.append({"waits": blocked})
            continue
        kind = layer["kind"]
        problem = _problem(kind, layer, channels, size)
        if problem:
            rows.append({"problem": problem})
            blocked = layer["name"]
            continue
        whole = kind in ("fc", "gap")  # the window is the whole map
        kernel = size if whole else layer["kernel"]
        parameters = macs = 0
        if kind == "conv":
            size = _positions(size, layer)
            weights = layer["filters"] * kernel**2 * channels // layer["groups"]
            channels = layer["filters"]
            parameters, macs = weights + channels, weights * size**2
        elif kind == "fc":
            macs = layer["units"] * channels * size**2
            channels, size = layer["units"], 1
            parameters = macs + channels
        else:
            size = 1 if whole else _positions(size, layer)
        field += (kernel - 1) * stride
        stride *= 1 if whole else layer["stride"]
        rows.append(
            {"channels": channels, "size": size, "values": channels * size**2}
            | {"parameters": parameters, "macs": macs, "field": field}
            | {"stride": None if whole else stride}
        )
    return rows


def _positions(size, layer):
    return (size + 2 * layer["padding"] - layer["kernel"]) // layer["stride"] + 1


def _problem(kind, layer, channels, size):
    """Why a layer cannot be, and what would fit; the page says the same."""
    if kind == "conv":
        groups, filters = layer["groups"], layer["filters"]
        if channels % groups or filters % groups:
            whose = f"{channels} channels" if channels % groups else f"{filters} filters"
            fits = [g for g in range(1, groups) if channels % g == 0 and filters % g == 0]
            return f"{whose} do not divide into {groups} groups. {_listed(fits)} would fit."
    if kind in ("conv", "pool"):
        kernel, padding = layer["kernel"], layer["padding"]
        if kind == "pool" and 2 * padding > kernel:
            return (
                f"With padding {padding} some windows of {kernel} would see no pixel at all. "
                f"Padding up to {kernel // 2} fits."
            )
        padded = size + 2 * padding
        if kernel > padded:
            where = f"{size} + 2 \N{MIDDLE DOT} {padding} = {padded}" if padding else str(size)
            more = -(-(kernel - size) // 2)
            return (
                f"A window of {kernel} does not fit {where} rows and columns. "
                f"A kernel up to {padded} fits, or padding from {more}."
            )
    return None


def _listed(numbers):
    """The last few of the numbers in words: 2, 3 or 4."""
    *others, last = map(str, numbers[-4:])
    return f"{', '.join(others)} or {last}" if others else last


def _table(preset, rows):
    """The title of the static form, and its rows as texts."""
    C, S = preset["channels"], preset["size"]
    body = [("input", _shape(C, S), "", f"{C * S * S:,}", "", "", "")]
    for layer, row in zip(preset["layers"], rows, strict=True):
        said = row.get("problem") or (f"waits for {row['waits']}" if "waits" in row else "")
        if said:
            body.append((layer["name"], said, "", "", "", "", ""))
            continue
        stride = "" if row["stride"] is None else f"{row['stride']} px"
        counts = (f"{row['parameters']:,}", f"{row['values']:,}", f"{row['macs']:,}")
        shape = _shape(row["channels"], row["size"])
        body.append((layer["name"], shape, *counts, f"{row['field']} px", stride))
    known = [row for row in rows if "values" in row]
    parameters, macs = (sum(row[key] for row in known) for key in ("parameters", "macs"))
    values = C * S * S + sum(row["values"] for row in known)
    body.append(("all", "", f"{parameters:,}", f"{values:,}", f"{macs:,}", "", ""))
    title = (
        f"{preset['title']}: {parameters:,} parameters; {values:,} values, the image included, "
        f"{BYTES * values / 1e6:.2f} MB in float32; {macs:,} multiply-accumulates"
    )
    return title, body


def _shape(channels, size):
    return " \N{MULTIPLICATION SIGN} ".join(map(str, (size, size, channels)))


def _checked_input(shape):
    where = f"architecture_editor: `input_shape` is {shape!r}, expected (C, H, W) with H = W"
    if not isinstance(shape, tuple | list) or len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(where)
    for value, (least, most) in zip(shape[:2], INPUT.values(), strict=True):
        if not isinstance(value, Integral) or not least <= value <= most:
            raise ValueError(f"{where}, whole numbers from {least} to {most}")
    return int(shape[0]), int(shape[1])


def _checked_layers(layers):
    """One's own layers with all settings and a name each."""
    checked, counts = [], dict.fromkeys(FIELDS, 0)
    for n, layer in enumerate(layers):
        where = f"architecture_editor: layer {n} is {layer!r}, expected"
        kind = layer.get("kind") if isinstance(layer, dict) else None
        if kind not in FIELDS:
            raise ValueError(f"{where} a dict with a `kind` of {', '.join(FIELDS)}")
        known = {"kind", "name", *FIELDS[kind]}
        if set(layer) - known:
            raise ValueError(f"{where} no more than {', '.join(sorted(known))}")
        counts[kind] += 1
        full = {"kind": kind, "name": str(layer.get("name", f"{kind}{counts[kind]}"))}
        for name, (least, most, usual) in FIELDS[kind].items():
            full[name] = layer.get(name, usual)
            if not isinstance(full[name], Integral) or not least <= full[name] <= most:
                raise ValueError(f"{where} `{name}` to be a whole number from {least} to {most}")
            full[name] = int(full[name])
        checked.append(full)
    if not checked:
        raise ValueError("architecture_editor: `layers` is empty, expected at least one layer")
    return checked
