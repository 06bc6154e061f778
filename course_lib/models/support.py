"""Which pixels a unit sees: what the gradient says, beside what the arithmetic says."""

from contextlib import ExitStack, contextmanager, suppress

import torch
from torch import nn
from torch.func import functional_call

from course_lib import torch_layers
from course_lib.models.tracing import find, trace

__all__ = ["gradient_support", "receptive_window"]


def receptive_window(model, layer_name, input_shape):
    """Compute which pixels the central unit of a layer sees, from the windows of the layers.

    Parameters
    ----------
    model : torch.nn.Module
    layer_name : str
        As in the table of :func:`summary`, for example ``"conv3"``. Of a flat layer, such as a
        fully connected one, all values are taken together.
    input_shape : tuple of int
        ``(C, H, W)``, without the batch.

    Returns
    -------
    tuple of int
        ``(top, left, bottom, right)``, in pixels, all inclusive, cut at the border of the image.

    Raises
    ------
    ValueError
        If the model runs no such layer, or a function on the way is unknown to :func:`summary`.
    """
    with _evaluating(model):
        visits = trace(model, input_shape)
    visit = visits[find("receptive_window", visits, layer_name)]
    if visit.field is None:
        raise ValueError(
            f"receptive_window: what {visit.name} sees is unknown, since a function before it is; "
            f"make that function a layer"
        )
    row, column = _centre(visit.output_shape)
    flat = len(visit.output_shape) == 1  # all its values, which see what their whole map sees
    field = visit.field.window(visit.size) if flat else visit.field
    edges = [field.rows.pixels(row), field.columns.pixels(column)]
    limits = input_shape[1:]
    (top, bottom), (left, right) = (
        (max(first, 0), min(last, size - 1))
        for (first, last), size in zip(edges, limits, strict=True)
    )
    return top, left, bottom, right


def gradient_support(model, layer_name, input_shape):
    """Find by gradients which pixels the central unit of a layer sees.

    The model is run with positive random weights, no biases, on a positive image, so that nothing
    cancels and no ReLU is shut, and with the mean in place of the maximum in every pool, since the
    gradient of a maximum reaches one pixel of its window only. What then has a gradient is what
    the unit is connected to. The model keeps its own weights, and may be on the device "meta".

    Parameters
    ----------
    model, layer_name, input_shape
        As for :func:`receptive_window`.

    Returns
    -------
    tuple of int
        ``(top, left, bottom, right)``, in pixels, all inclusive: the bounds of these pixels.

    Raises
    ------
    ValueError
        If the model runs no such layer.
    """
    with _evaluating(model):
        visits = trace(model, input_shape)
        index = find("gradient_support", visits, layer_name)
        gradient = _gradient(model, visits[: index + 1], input_shape)
    rows, columns = (gradient.sum(dim=axis).nonzero().flatten() for axis in (1, 0))
    return rows[0].item(), columns[0].item(), rows[-1].item(), columns[-1].item()


class _Reached(Exception):
    """The layer in question has run, and the rest of the model need not."""


def _gradient(model, visits, input_shape):
    """Sum over channels of the absolute gradient of one unit, ``(H, W)``."""
    rng = torch.Generator().manual_seed(0)
    parameters = dict(model.named_parameters()) | dict(model.named_buffers())
    device = next((p.device for p in parameters.values()), torch.device("cpu"))
    device = torch.device("cpu") if device.type == "meta" else device
    stand_ins = {}
    for visit in visits:
        for name, _ in [*visit.layer.named_parameters(), *visit.layer.named_buffers()]:
            full = f"{visit.path}.{name}" if visit.path else name
            stand_ins[full] = _positive(name, parameters[full], rng).to(device)
    dtype = next((p.dtype for p in stand_ins.values() if p.is_floating_point()), torch.float32)
    x = 0.5 + torch.rand(1, *input_shape, generator=rng, dtype=dtype)
    x = x.to(device).requires_grad_()

    target, reached, runs = visits[-1], [], sum(v.path == visits[-1].path for v in visits)

    def stop(layer, inputs, output):
        reached.append(output)
        if len(reached) == runs:
            raise _Reached

    with ExitStack() as hooks, torch.enable_grad():
        for layer in {visit.layer for visit in visits}:
            if isinstance(layer, nn.MaxPool2d | torch_layers.MaxPool2d):
                hooks.callback(layer.register_forward_hook(_average).remove)
        hooks.callback(target.layer.register_forward_hook(stop).remove)
        with suppress(_Reached):
            functional_call(model, stand_ins, (x.clone(),))
        y = reached[-1]
        unit = y[0, :, *_centre(y.shape[1:])] if y.ndim == 4 else y
        (gradient,) = torch.autograd.grad(unit.sum(), x)
    return gradient[0].abs().sum(dim=0)


def _positive(name, tensor, rng):
    """Positive numbers in place of a parameter: biases 0, factors 1, weights of mean 1 / fan-in."""
    if not tensor.is_floating_point():
        return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor
    if tensor.ndim < 2:
        zero = "bias" in name or "beta" in name or "mean" in name
        return torch.full(tensor.shape, 0.0 if zero else 1.0, dtype=tensor.dtype)
    fan_in = tensor.numel() // tensor.shape[0]
    return (0.5 + torch.rand(tensor.shape, generator=rng, dtype=tensor.dtype)) / fan_in


def _average(layer, inputs, output):
    """Stand in for a maximum: the mean over the same windows."""
    options = {"stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, torch_layers.MaxPool2d):
        return torch_layers.avg_pool2d(*inputs, layer.kernel_size, **options)
    options["ceil_mode"] = layer.ceil_mode
    return nn.functional.avg_pool2d(*inputs, layer.kernel_size, **options)


def _centre(shape):
    """The central unit of a map ``(C, H, W)``; the only one of a flat output ``(D,)``."""
    return tuple(size // 2 for size in shape[1:]) if len(shape) == 3 else (0, 0)


@contextmanager
def _evaluating(model):
    """Put a model into evaluation for a while: no dropout, no statistics of the batch."""
    was = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, training in was.items():
            module.training = training
