"""What the models share: the check of an image at the door, and the first weights."""

import torch

from course_lib.shapes import check_array, check_floats

__all__ = ["check_images", "draw_weights", "he"]


def check_images(where, x, input_shape, *, exact=False):
    """Check images ``(N, C, H, W)`` before a model whose `input_shape` is ``(C, H, W)``.

    Parameters
    ----------
    where : str
        The model that is checking, which the error names.
    x : torch.Tensor
    input_shape : tuple of int
    exact : bool
        Whether the model takes one size of images only, as one with fully connected layers does.

    Raises
    ------
    TypeError
        If `x` does not hold floating-point numbers.
    ValueError
        If it has another shape.
    """
    check_array(where, "x", x)
    C, H, W = input_shape
    expected = f"(N, {C}, {H}, {W})" if exact else f"(N, {C}, H, W)"
    problem = f"{where}: `x` has shape {tuple(x.shape)}, expected {expected}"
    if x.ndim == 3:
        raise ValueError(f"{problem}; for a single image, add the batch: x[None]")
    if x.ndim != 4:
        raise ValueError(f"{problem}, images with rows and columns")
    if x.shape[1] != C:
        raise ValueError(f"{problem}, images of {C} channel{'s' * (C > 1)}")
    if exact and tuple(x.shape[2:]) != (H, W):
        raise ValueError(f"{problem}; resize the images to {H} x {W}, or crop them")
    check_floats(where, x=x)


def draw_weights(model, std, *, bias=0.0, rng=None):
    """Draw the weights of all convolutions and fully connected layers of a model; return it.

    Parameters
    ----------
    model : torch.nn.Module
        A model on the device "meta" is left without values.
    std : float or callable
        The standard deviation of a normal distribution of mean 0; or a function from the name of
        a layer and its fan-in, the number of inputs of one unit, to it.
    bias : float or callable
        What all biases start at; or a function from the name of a layer to it.
    rng : torch.Generator, optional
        torch's own if not given.
    """
    for name, layer in model.named_modules():
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, torch.nn.Parameter) or weight.ndim < 2 or weight.is_meta:
            continue
        fan_in = weight[0].numel()
        with torch.no_grad():
            weight.normal_(0, std(name, fan_in) if callable(std) else std, generator=rng)
            if layer.bias is not None:
                layer.bias.fill_(bias(name) if callable(bias) else bias)
    return model


def he(name, fan_in):
    """Return the std that keeps the variance through ReLUs (He et al., 2015, section 2.2)."""
    return (2 / fan_in) ** 0.5
