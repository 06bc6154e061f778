"""A classifier of one window turned into one of all windows of an image: dense evaluation.

A fully connected layer on a map of 5 by 5 is a convolution with kernels of 5 by 5, applied in one
place. Written as such, the same network takes an image of any size, and puts out scores for every
window, each ``stride`` pixels further on; what windows share is computed once.
"""

from collections import OrderedDict
from copy import deepcopy
from math import prod
from typing import NamedTuple

import torch
from torch import nn

from course_lib import torch_layers
from course_lib.models.fcn import convolution_of
from course_lib.models.googlenet import GlobalAvgPool2d
from course_lib.models.lenet import RBF
from course_lib.models.parts import check_images
from course_lib.models.summary import summary
from course_lib.models.tracing import trace
from course_lib.shapes import pair

__all__ = ["Costs", "FullyConvolutional", "convolutional_layers", "fully_convolutional"]

PARTS = ("features", "pool5", "pool", "classifier")  # of a model that is no sequence, in order
FLAT = nn.Flatten | torch_layers.Flatten
MEAN = GlobalAvgPool2d | nn.AdaptiveAvgPool2d
LINEAR = nn.Linear | torch_layers.Linear
HEAD = FLAT | MEAN | LINEAR | RBF | nn.BatchNorm1d


class Costs(NamedTuple):
    """Multiply-accumulates for all windows of an image: in one go, and one after another."""

    windows: int
    dense: int
    crops: int

    @property
    def ratio(self):
        """How many times as much the crops cost."""
        return self.crops / self.dense


def fully_convolutional(model, window=None):
    """Turn a classifier into convolutions alone, which score every window of a larger image.

    The first fully connected layer becomes a convolution whose kernel is as large as the map that
    was flattened, the others become 1x1 convolutions (:func:`convolution_of`); a global mean
    becomes one over windows of that size, at stride 1. Convolutions, pools and blocks stay as they
    are; side heads, which serve training only, are left out. LeNet-5 keeps its distances from
    patterns, computed cell by cell.

    On one window the scores are those of the model. On a larger image the score of a cell is that
    of its crop, to rounding, **if the body does not pad**, as in LeNet-5 and
    :func:`overfeat_small`. A body that pads puts zeros around each crop, where the dense network
    sees the image go on: then the two agree only as far as zeros did not matter. The dense one is
    not wrong there, but it is another network than the one that was trained.

    Parameters
    ----------
    model : torch.nn.Module
        A classifier of :mod:`course_lib.models`, or any :class:`torch.nn.Sequential`; it keeps its
        own weights.
    window : int or pair of int, optional
        Rows and columns, in pixels, of what the model is to see at a time; by default what it was
        made for. With a global mean other windows will do as well.

    Returns
    -------
    FullyConvolutional
        Takes images ``(N, C, H, W)`` at least as large as the window, and returns scores
        ``(N, K, h, w)``; in the mode of the model, with a copy of its weights.

    Raises
    ------
    TypeError
        If `model` is no module, or `window` no size.
    ValueError
        If the model is no such classifier, or does not take the window.

    Examples
    --------
    >>> dense = fully_convolutional(overfeat_accurate(device="meta"))
    >>> dense(torch.zeros(1, 3, 257, 257, device="meta")).shape
    torch.Size([1, 1000, 2, 2])

    References
    ----------
    P. Sermanet et al. (2014), "OverFeat", section 3.5 and figure 5.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"fully_convolutional: `model` is a {type(model).__name__}, expected a "
            f"torch.nn.Module; call the function that makes it, for example lenet5()"
        )
    C, *size = _input_shape(model, window)
    window = pair(
        "fully_convolutional", "window", tuple(size) if window is None else window, least=1
    )
    layers = dict(_layers(model))
    if not any(isinstance(layer, LINEAR | MEAN) for layer in layers.values()):
        raise _no_classifier(model, "has no fully connected layer and no global mean")
    was = model.training
    try:
        visits = trace(model.eval(), (C, *window))
    finally:
        model.train(was)
    sizes = {id(visit.layer): visit.input_shape[1:] for visit in visits}
    first = next(i for i, layer in enumerate(layers.values()) if isinstance(layer, HEAD))
    names = list(layers)
    parts = {name: deepcopy(layers[name]) for name in names[:first]}
    parts |= convolutional_layers({name: layers[name] for name in names[first:]}, sizes)
    name = getattr(model, "name", type(model).__name__)
    return FullyConvolutional(name, parts, (C, *window)).train(was)


def convolutional_layers(layers, sizes):
    """Return the layers of a head, by name, as layers of maps.

    Parameters
    ----------
    layers : dict of str to nn.Module
        In their order: flattening, means, full connections and what goes number by number.
    sizes : dict of int to tuple, or (int, int)
        The rows and columns of what each layer is given, by its ``id``; a pair is the size of the
        map at the beginning.

    Returns
    -------
    dict of str to nn.Module
        Without the flattening; with their own weights.
    """
    parts, cells = {}, (1, 1)  # of the map that was flattened, until a full connection has read it
    for name, layer in layers.items():
        here = sizes.get(id(layer), ()) if isinstance(sizes, dict) else sizes
        if isinstance(layer, FLAT):
            cells = tuple(here) or (1, 1)
        elif isinstance(layer, MEAN):
            _check_mean(name, layer)
            parts[name] = nn.AvgPool2d(tuple(here), stride=1)
        elif isinstance(layer, LINEAR):
            parts[name] = convolution_of(layer, cells)
            cells = (1, 1)
        elif isinstance(layer, RBF):
            parts[name] = RBF2d(layer.codes)
        elif isinstance(layer, nn.BatchNorm1d):
            parts[name] = _norm2d(layer)
        else:
            parts[name] = deepcopy(layer)
    return parts


class FullyConvolutional(nn.Sequential):
    """A classifier as convolutions, made by :func:`fully_convolutional`.

    Attributes
    ----------
    window : (int, int)
        Rows and columns of a window, in pixels.
    stride : (int, int)
        How far apart neighbouring windows are, in pixels.
    """

    def __init__(self, name, layers, input_shape):
        super().__init__(OrderedDict(layers))
        self.name, self.input_shape, self.window = f"{name}, dense", input_shape, input_shape[1:]
        last = self._last(self.window)
        if last.size != (1, 1):
            raise ValueError(
                f"fully_convolutional: {name} turned into convolutions gives {last.size[0]} x "
                f"{last.size[1]} scores on its own window of {self.window[0]} x "
                f"{self.window[1]}, expected one; is its head flattening, means and full "
                f"connections in a row?"
            )
        self.stride = (
            None
            if last.field is None
            else (
                last.field.rows.stride,
                last.field.columns.stride,
            )
        )

    def forward(self, x):
        """Return scores ``(N, K, h, w)`` of images ``(N, C, H, W)``.

        Raises
        ------
        TypeError, ValueError
            If `x` does not hold such images, or smaller ones than the window.
        """
        check_images(self.name, x, self.input_shape)
        if any(n < k for n, k in zip(x.shape[2:], self.window, strict=True)):
            raise ValueError(
                f"{self.name}: the images are {x.shape[2]} x {x.shape[3]}, expected at least the "
                f"window of {self.window[0]} x {self.window[1]}; enlarge them"
            )
        return super().forward(x)

    def cells(self, size):
        """Return the rows and columns of the scores of an image of `size` ``(H, W)``, in pixels."""
        return self._last(pair("cells", "size", size, least=1)).size

    def windows(self, size):
        """Return the window of every cell, row by row.

        Parameters
        ----------
        size : int or pair of int
            Rows and columns of the image, in pixels.

        Returns
        -------
        torch.Tensor, shape (h * w, 4)
            ``x1 y1 x2 y2`` in pixels.

        Raises
        ------
        ValueError
            If the arithmetic of receptive fields does not know how far apart the windows are.
        """
        h, w = self.cells(size)
        if self.stride is None:
            raise ValueError(
                f"{self.name}: a layer was met whose receptive field is not known, so that nobody "
                f"can say where the windows lie; use the layers of torch.nn or of the course"
            )
        top, left = (
            step * torch.arange(n, dtype=torch.float32)
            for n, step in zip((h, w), self.stride, strict=True)
        )
        y, x = torch.meshgrid(top, left, indexing="ij")
        corners = torch.stack([x, y], -1).reshape(-1, 2)
        H, W = self.window
        return torch.cat([corners, corners + torch.tensor([W, H])], 1)

    def costs(self, size):
        """Count multiply-accumulates on an image of `size`: at once, and crop by crop.

        Returns
        -------
        Costs
        """
        C = self.input_shape[0]
        size = pair("costs", "size", size, least=1)
        h, w = self.cells(size)
        one = summary(self, self.input_shape).macs
        return Costs(h * w, summary(self, (C, *size)).macs, h * w * one)

    def _last(self, size):
        """The last layer's visit on an image of `size`."""
        return trace(self, (self.input_shape[0], *size))[-1]


class RBF2d(nn.Module):
    """Score each class by minus the squared distance from its pattern, in every cell of a map.

    Parameters
    ----------
    codes : tensor, shape (K, D)
        The patterns; `x` is ``(N, D, h, w)``. They are not trained: they are a buffer.
    """

    def __init__(self, codes):
        super().__init__()
        self.register_buffer("codes", codes.clone())

    def forward(self, x):
        return -((x[:, None] - self.codes[..., None, None]) ** 2).sum(dim=2)

    def cost(self, input_shape, output_shape):
        """Return no weights, and one square for each number of a code in each cell."""
        return 0, self.codes.numel() * prod(output_shape[1:])


def _norm2d(layer):
    """The normalisation of the maps into which the numbers of a vector turn."""
    norm = nn.BatchNorm2d(
        layer.num_features,
        eps=layer.eps,
        momentum=layer.momentum,
        affine=layer.affine,
        track_running_stats=layer.track_running_stats,
    ).to(next(layer.parameters(), torch.empty(0)))
    norm.load_state_dict(layer.state_dict())
    return norm


def _layers(model):
    """Yield the layers of a classifier by name, in order; bodies whole, heads layer by layer."""
    if isinstance(model, nn.Sequential):
        parts = list(model.named_children())
    else:
        parts = [(name, getattr(model, name)) for name in PARTS if hasattr(model, name)]
        known = {*PARTS, "auxiliary"}
        others = [name for name, _ in model.named_children() if name not in known]
        if others or not hasattr(model, "classifier"):
            raise _no_classifier(model, f"has the parts {', '.join(dict(model.named_children()))}")
    for name, part in parts:
        inside = [type(m).__name__ for m in part.modules() if isinstance(m, HEAD)]
        if not inside or isinstance(part, HEAD):
            yield name, part
        elif not isinstance(part, nn.Sequential):
            raise _no_classifier(model, f"hides a {inside[0]} inside its part {name}")
        else:
            for inner, layer in part.named_children():
                yield f"{name}{inner}" if inner.isdigit() else inner, layer


def _input_shape(model, window):
    """What the model was made for, ``(C, H, W)``; H and W may come from `window`."""
    if hasattr(model, "input_shape"):
        return model.input_shape
    C = next((w.shape[1] for w in model.parameters() if w.ndim == 4), None)
    if C is None or window is None:
        raise ValueError(
            f"fully_convolutional: {type(model).__name__} does not say for which images it was "
            f"made; give the `window`, and a convolution in its body"
        )
    return C, None, None


def _check_mean(name, layer):
    """Raise if a mean is not over the whole map."""
    size = pair(name, "output_size", getattr(layer, "output_size", 1), least=1)
    if size != (1, 1):
        raise ValueError(
            f"fully_convolutional: {name} takes means of {size[0]} x {size[1]} parts of a map, "
            f"expected one mean of all of it"
        )


def _no_classifier(model, why):
    return ValueError(
        f"fully_convolutional: {getattr(model, 'name', type(model).__name__)} {why}; expected a "
        f"body `features` and a head `classifier`, or a torch.nn.Sequential that ends in "
        f"flattening or a global mean, and full connections"
    )
