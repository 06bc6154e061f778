"""Follow an image through a model: which layers run, in which order, and what their units see.

A tensor carries the receptive field of its units with it. Layers change it, since their hooks know
their windows; between layers it follows the functions that join, cut and flatten maps. Nothing is
computed: the model runs on the device "meta", which knows shapes only.

A layer is a module without modules inside, or one with parameters of its own: those of
:mod:`torch.nn`, of :mod:`course_lib.torch_layers`, and any other. It is taken to have a window if
it has a `kernel_size` (with `stride`, `padding` and `dilation`, as torch names them), and else to
work pixel by pixel if it keeps the size of the map. What batch normalisation sees of the batch in
training is left out.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce

import torch
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from course_lib import torch_layers
from course_lib.models.receptive_field import Field
from course_lib.shapes import pair

__all__ = ["Visit", "find", "trace"]

N = 2  # images: batch normalization in training needs more than one


@dataclass(frozen=True)
class Seen:
    """What the values of a tensor see: those of a map of `size` (rows, columns), maybe flattened.

    A `field` of None means that a function was met that we cannot follow.
    """

    field: Field | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Visit:
    """One run of a layer; shapes without the batch, `field` and `size` as in :class:`Seen`."""

    name: str
    path: str
    layer: nn.Module
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    field: Field | None
    size: tuple[int, int]


def trace(model, input_shape):
    """Return the :class:`Visit` of every layer that runs on an image, in order.

    Parameters
    ----------
    model : torch.nn.Module
        On any device; it is neither computed nor changed, and runs in its present mode: an
        auxiliary head that is off in evaluation is not visited then.
    input_shape : tuple of int
        ``(C, H, W)``, without the batch.

    Raises
    ------
    TypeError
        If `model` is no module, or `input_shape` not three numbers.
    ValueError
        If the model does not take such images; notes name the layer that refused.
    """
    check_model("trace", model, input_shape)
    follow = _Follow()
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shadows = {name: tensor.detach().to("meta") for name, tensor in tensors}
    dtype = next((t.dtype for t in shadows.values() if t.is_floating_point()), torch.float32)
    x = torch.empty(N, *input_shape, dtype=dtype, device="meta")
    x._seen = Seen(Field(), tuple(x.shape[2:]))
    with ExitStack() as hooks, torch.no_grad():
        for path, layer in layers(model):
            enter = layer.register_forward_pre_hook(follow.entering(path))
            leave = layer.register_forward_hook(follow.leaving(path))
            hooks.callback(enter.remove)
            hooks.callback(leave.remove)
        with follow:
            try:
                functional_call(model, shadows, (x,))
            except Exception as error:
                for layer in follow.inside:
                    error.add_note(f"in layer {layer} of {type(model).__name__}")
                raise
    return _named(model, follow.visits)


def layers(module, path=""):
    """Yield the path and the module of every layer in a model."""
    children = list(module.named_children())
    if not children and isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return
    if not children or any(True for _ in module.parameters(recurse=False)):
        yield path, module
        return
    for name, child in children:
        yield from layers(child, f"{path}.{name}" if path else name)


def find(where, visits, name):
    """Return the index of the one visit called `name`, or whose name ends in it.

    Raises
    ------
    ValueError
        If there is none, or several.
    """
    called = [i for i, visit in enumerate(visits) if visit.name == name]
    ends = [i for i, visit in enumerate(visits) if f".{visit.path}".endswith(f".{name}")]
    found = called or ends
    if len(found) == 1:
        return found[0]
    names = ", ".join(visits[i].name for i in found) or ", ".join(v.name for v in visits)
    problem = "is the end of several names" if found else "names no layer that runs"
    raise ValueError(f"{where}: {name!r} {problem}; choose one of {names}")


def check_model(where, model, input_shape):
    """Check a model and the shape ``(C, H, W)`` of an image; raise a TypeError if they are none."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{where}: `model` is a {type(model).__name__}, expected a torch.nn.Module; "
            f"call the function that makes it, for example alexnet()"
        )
    if len(input_shape) != 3 or not all(isinstance(size, int) for size in input_shape):
        raise TypeError(
            f"{where}: `input_shape` is {tuple(input_shape)}, expected (C, H, W) without a batch"
        )


class _Follow(TorchFunctionMode):
    """Mark the results of functions and layers with what they see, and keep the visits."""

    def __init__(self):
        super().__init__()
        self.visits, self.inside = [], []

    def entering(self, path):
        def enter(layer, inputs):
            self.inside.append(f"{path} ({type(layer).__name__})")

        return enter

    def leaving(self, path):
        def leave(layer, inputs, output):
            self.inside.pop()
            seen = _meet([x._seen for x in _marked(inputs)])
            for y in _tensors(output):
                y._seen = _after_layer(layer, seen, inputs[0], y)
                shapes = tuple(inputs[0].shape[1:]), tuple(y.shape[1:])
                self.visits.append((path, layer, *shapes, y._seen.field, y._seen.size))

        return leave

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        y = func(*args, **kwargs)
        if not self.inside:
            inputs = _marked((args, tuple(kwargs.values())))
            seen, name = _meet([x._seen for x in inputs]), func.__name__.strip("_")
            for result in _tensors(y) if inputs else ():
                result._seen = _after_function(name, seen, inputs[0], result, args)
        return y


# fmt: off
ELEMENTWISE = {
    "relu", "tanh", "sigmoid", "softmax", "log_softmax", "dropout", "add", "radd", "iadd", "sub",
    "rsub", "mul", "rmul", "div", "truediv", "neg", "abs", "exp", "log", "pow", "square", "sqrt",
    "clamp", "where", "to", "float", "double", "half", "contiguous", "clone", "detach",
}
# fmt: on
CONCATENATIONS = {"cat", "concat", "concatenate"}
RESHAPES = {"flatten", "reshape", "view", "squeeze", "unsqueeze"}
REDUCTIONS = {"mean", "sum", "amax"}


def _after_function(name, seen, x, y, args):
    """What the output of a function outside all layers sees; no field if we do not know it."""
    field, flat = seen.field, x.ndim == y.ndim == 2
    same_map = x.ndim == y.ndim == 4 and y.shape[2:] == x.shape[2:]
    if field is None:
        return seen
    if name in ELEMENTWISE | CONCATENATIONS and (same_map or flat):
        return seen
    if name in RESHAPES and y.ndim == 2:
        return seen
    if name in REDUCTIONS and x.ndim == 4 and (y.ndim == 2 or y.shape[2:] == (1, 1)):
        return Seen(field.window(seen.size), (1, 1))
    if name == "getitem" and x.ndim == y.ndim == 4:
        return Seen(_after_slices(field, x, args[1]), tuple(y.shape[2:]))
    if name == "pad" and x.ndim == y.ndim == 4:
        left, _, top, _ = (*args[1], 0, 0)[:4]
        return Seen(field.window((1, 1), (1, 1), (top, left)), tuple(y.shape[2:]))
    return Seen(None, seen.size)


def _after_slices(field, x, index):
    index = index if isinstance(index, tuple) else (index,)
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[slice(None)] * (5 - len(index)), *index[at + 1 :])
    starts, steps = [0, 0], [1, 1]
    for axis, part in enumerate(index[2:]):
        if not isinstance(part, slice):
            return None
        starts[axis], _, steps[axis] = part.indices(x.shape[2 + axis])
    return field.window((1, 1), steps, [-start for start in starts])


def _after_layer(layer, seen, x, y):
    """What the output of a layer sees."""
    if seen is None or seen.field is None:
        return Seen(None, tuple(y.shape[2:]))
    if x.ndim == 2:  # each value sees what one value of `x` sees, or all of a flattened map
        weighted = any(p.ndim > 1 for p in layer.parameters())
        whole = weighted or x.shape != y.shape
        return Seen(seen.field.window(seen.size), (1, 1)) if whole else seen
    if y.ndim == 2:  # flattened, or reduced to one number for each map
        flattened = y.numel() == x.numel()
        return seen if flattened else Seen(seen.field.window(seen.size), (1, 1))
    return Seen(_after_map_layer(layer, seen.field, x, y), tuple(y.shape[2:]))


def _after_map_layer(layer, field, x, y):
    if x.ndim != 4 or y.ndim != 4:
        return None
    if isinstance(layer, nn.ConvTranspose2d | torch_layers.ConvTranspose2d):
        kernel, stride, padding, dilation = window_of(layer)
        return field.spread(kernel, stride, padding) if dilation == (1, 1) else None
    if isinstance(layer, nn.Upsample):
        return _after_upsampling(layer, field, x, y)
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        cell = [h // ho for h, ho in zip(x.shape[2:], y.shape[2:], strict=True)]
        even = all(h % ho == 0 for h, ho in zip(x.shape[2:], y.shape[2:], strict=True))
        return field.window(cell, cell) if even else None
    window = window_of(layer)
    if window:
        return field.window(*window)
    return field if y.shape[2:] == x.shape[2:] else None


def _after_upsampling(layer, field, x, y):
    """Interpolation as a transposed convolution."""
    scale = [ho // h for h, ho in zip(x.shape[2:], y.shape[2:], strict=True)]
    whole = all(h * s == ho for h, ho, s in zip(x.shape[2:], y.shape[2:], scale, strict=True))
    if not whole or layer.mode not in ("nearest", "bilinear") or layer.align_corners:
        return None
    if layer.mode == "nearest":
        return field.spread(scale, scale)
    kernel = [2 * s - s % 2 for s in scale]
    return field.spread(kernel, scale, [(k - s) // 2 for k, s in zip(kernel, scale, strict=True)])


def window_of(layer):
    """Return kernel, stride, padding and dilation of a layer, four pairs, or None."""
    geometry = getattr(layer, "geometry", {})

    def setting(name, default):
        return getattr(layer, name, geometry.get(name, default))

    kernel = setting("kernel_size", None)
    if kernel is None:
        weight = getattr(layer, "weight", None)
        kernel = tuple(weight.shape[2:]) if getattr(weight, "ndim", 0) == 4 else None
    if kernel is None:
        return None
    name = type(layer).__name__
    kernel = pair(name, "kernel_size", kernel, least=1)
    dilation = pair(name, "dilation", setting("dilation", 1), least=1)
    stride = setting("stride", 1)
    stride = pair(name, "stride", kernel if stride is None else stride, least=1)
    padding = setting("padding", 0)
    if padding in ("same", "valid"):
        around = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        padding = tuple(around) if padding == "same" else 0
    return kernel, stride, pair(name, "padding", padding, least=0), dilation


def _meet(all_seen):
    """What a unit sees in which several meet; no field if one is unknown, or of another stride."""
    if not all_seen:
        return None
    size, fields = all_seen[0].size, [seen.field for seen in all_seen]
    if None in fields or len({field.stride for field in fields}) > 1:
        return Seen(None, size)
    return Seen(reduce(Field.union, fields), size)


def _tensors(thing):
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, tuple | list):
        for part in thing:
            yield from _tensors(part)


def _marked(things):
    return [tensor for tensor in _tensors(things) if getattr(tensor, "_seen", None)]


def _named(model, visits):
    """Visits with short names: without ``features.`` and the like, and told apart if repeated."""
    containers = {
        name for name, child in model.named_children() if isinstance(child, nn.Sequential)
    }
    paths = [visit[0] for visit in visits]
    short = {}
    for path in dict.fromkeys(paths):
        part, _, rest = path.partition(".")
        short[path] = rest if part in containers and rest and not rest[0].isdigit() else path
    taken = list(short.values())
    named, runs = [], {}
    for path, layer, *rest in visits:
        name = short[path] if taken.count(short[path]) == 1 else path
        name = name or type(layer).__name__.lower()
        runs[path] = runs.get(path, 0) + 1
        name = name if runs[path] == 1 else f"{name} (run {runs[path]})"
        named.append(Visit(name, path, layer, *rest))
    return tuple(named)
