"""What the models share: a body with a head, the check of an image at the door, first weights."""

from collections import OrderedDict

import torch
from torch import nn

from course_lib.models.tracing import window_of
from course_lib.shapes import check_array, check_floats

__all__ = ["Classifier", "check_images", "draw_weights", "he", "xavier"]


class Classifier(nn.Module):
    """A network for images of one size: a body `features` of maps, then a head `classifier`.

    Parameters
    ----------
    name : str
        Of the network, for errors and tables.
    features, classifier : dict of str to nn.Module
        The layers, in the order in which they run.
    input_shape : tuple of int
        ``(C, H, W)``: what images the network was made for.
    """

    def __init__(self, name, features, classifier, input_shape):
        super().__init__()
        self.name, self.input_shape = name, input_shape
        self.features = nn.Sequential(OrderedDict(features))
        self.classifier = nn.Sequential(OrderedDict(classifier))

    def forward(self, x):
        """Return scores ``(N, num_classes)`` of images ``(N, C, H, W)``, before any softmax.

        Raises
        ------
        TypeError, ValueError
            If `x` does not hold such images; the error names the layer that they do not fit.
        """
        check_images(self.name, x, self.input_shape)
        maps = x
        for part, layer in self.features.named_children():
            self._check_window(part, layer, maps, x)
            maps = layer(maps)
        self._check_maps(part, maps, x)
        return self.classifier(maps)

    def _check_window(self, part, layer, maps, x):
        window = window_of(layer)
        if window is None:
            return
        kernel, _, padding, _ = window
        sizes = zip(maps.shape[2:], kernel, padding, strict=True)
        if any(size + 2 * p < k for size, k, p in sizes):
            raise ValueError(
                f"{self.name}.{part}: got maps of {_by(maps)}, expected at least {kernel[0]} x "
                f"{kernel[1]} for its window; {self._remedy(x)}"
            )

    def _check_maps(self, last, maps, x):
        """Check the maps of the part `last` before the first fully connected layer."""
        head = self.classifier.named_children()
        name, fc = next((n, layer) for n, layer in head if isinstance(layer, nn.Linear))
        C, values = maps.shape[1], maps[0].numel()
        if values != fc.in_features:
            raise ValueError(
                f"{self.name}.{name}: got {C} maps of {_by(maps)} from {last}, {values} values, "
                f"expected {fc.in_features} values; {self._remedy(x)}"
            )

    def _remedy(self, x):
        _, H, W = self.input_shape
        return f"the images are {_by(x)}: resize or crop them to {H} x {W}"


def _by(maps):
    return f"{maps.shape[2]} x {maps.shape[3]}"


def check_images(where, x, input_shape):
    """Check that `x` holds images ``(N, C, H, W)`` with the C of `input_shape` ``(C, H, W)``.

    Raises
    ------
    TypeError
        If `x` does not hold floating-point numbers.
    ValueError
        If it has other axes or channels; the error says that it comes from `where`.
    """
    check_array(where, "x", x)
    C = input_shape[0]
    problem = f"{where}: `x` has shape {tuple(x.shape)}, expected (N, {C}, H, W)"
    if x.ndim == 3:
        raise ValueError(f"{problem}; for a single image, add the batch: x[None]")
    if x.ndim != 4:
        raise ValueError(f"{problem}, images with rows and columns")
    if x.shape[1] != C:
        raise ValueError(f"{problem}, images of {C} channel{'s' * (C > 1)}")
    check_floats(where, x=x)


def draw_weights(model, std, *, bias=0.0, rng=None, device=None):
    """Give a model that was built on the device "meta" its first weights; return it.

    So built, its layers draw nothing by themselves, which would take as long again and use
    torch's global generator.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers with weights are convolutions and fully connected ones, and it has no buffers.
    std : float or callable
        The standard deviation of a normal distribution of mean 0; or a function from the layer
        and its fan-in, the number of inputs of one of its units, to it.
    bias : float or callable
        What the biases start at; or a function from the name of a layer to it.
    rng : torch.Generator, optional
        By default one with the seed 0.
    device : optional
        Where the model shall be, by default the CPU; on "meta" it stays without values.
    """
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    device = torch.device("cpu" if device is None else device)
    if device.type == "meta":
        return model
    model.to_empty(device=rng.device)
    for path, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        fan_in = layer.weight[0].numel()
        with torch.no_grad():
            layer.weight.normal_(0, std(layer, fan_in) if callable(std) else std, generator=rng)
            if layer.bias is not None:
                layer.bias.fill_(bias(path.rpartition(".")[2]) if callable(bias) else bias)
    return model.to(device)


def he(layer, fan_in):
    """Return the std that keeps the variance through ReLUs (He et al., 2015, section 2.2)."""
    return (2 / fan_in) ** 0.5


def xavier(layer, fan_in):
    """Return the std that keeps the variance through a linear layer or a small tanh."""
    return (1 / fan_in) ** 0.5
