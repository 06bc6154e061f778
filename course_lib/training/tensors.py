"""Arrays in, tensors out, and models put back where they were."""

import contextlib

import numpy as np
import torch


def as_tensors(who, name, values, dtype):
    """Return an array, a tensor, or a tuple of them as tensors on the device where they are.

    Floats become `dtype`, the type of the model's weights, and integers become int64.
    """
    if isinstance(values, tuple):
        return tuple(as_tensors(who, name, value, dtype) for value in values)
    if not isinstance(values, torch.Tensor):
        try:
            values = np.asarray(values)
        except ValueError:  # rows of different lengths
            values = np.empty(0, object)
        if values.dtype.kind not in "fiub":
            raise TypeError(
                f"{who}: `{name}` cannot become one tensor; give an array, a tensor, or a tuple "
                "of them, each with one row for each image"
            )
        # torch knows neither negative strides nor memory that must not be written.
        values = torch.from_numpy(np.require(values, requirements=["C", "W"]))
    if values.is_floating_point():
        return values.detach().to(dtype)
    return values if values.dtype == torch.bool else values.long()


def check_rows(who, images, labels):
    """Raise unless there are images, and as many labels, in every tensor of a tuple."""
    if images.ndim < 2 or not len(images):
        raise ValueError(
            f"{who}: `images` has shape {tuple(images.shape)}, expected at least one row, as in "
            "(N, C, H, W)"
        )
    for part in labels if isinstance(labels, tuple) else (labels,):
        if not part.ndim or len(part) != len(images):
            raise ValueError(
                f"{who}: `labels` has shape {tuple(part.shape)}, expected {len(images)} rows, as "
                "many as there are images"
            )


def on_all(change, values):
    """Apply `change` to a tensor, or to each of a tuple."""
    if isinstance(values, tuple):
        return tuple(on_all(change, value) for value in values)
    return change(values)


def weight_type(model):
    """Return the type of the model's first parameter of floats, float32 if it has none."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


@contextlib.contextmanager
def borrowed(model, device, *, training):
    """Move a model to `device` and set its mode; afterwards leave it as it was."""
    modes = {module: module.training for module in model.modules()}
    tensors = (*model.parameters(), *model.buffers())
    home = tensors[0].device if tensors else device
    model.to(device).train(training)
    try:
        yield model
    finally:
        model.to(home)
        for module, mode in modes.items():
            module.training = mode
