"""Fully convolutional networks: a class for every pixel, from a classifier without a flat layer.

A classifier halves its maps again and again. The network here scores the last, coarse map, doubles
it, adds scores of the finer map of the same size, doubles again, and brings the sum to the size of
the image. Maps that meet must look at the same pixels: which rows and columns to cut off follows
from where the centres of their units lie, :class:`Centres`.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn

from course_lib.models.parts import check_images
from course_lib.models.vgg import COLUMNS, WIDTHS, vgg_body
from course_lib.shapes import pair
from course_lib.torch_layers import he_normal

__all__ = [
    "FCN",
    "Centres",
    "bilinear_kernel",
    "convolution_of",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_small",
]


def fcn32s(num_classes=21, *, width=4096, rng=None, device=None):
    """Build the coarse one: scores at stride 32, brought to the size of the image in one go.

    The body is that of VGG-16; its three fully connected layers are convolutions: ``fc6`` with
    kernels of 7 by 7, ``fc7`` and ``score`` with 1 by 1. As in the network that the authors
    published, ``conv1_1`` pads by 100 pixels, so that ``fc6`` fits into any image; windows of
    pooling may reach over the edge; ``score`` starts at 0; and the last upsampling is bilinear and
    stays so. It goes channel by channel here, which computes the same as the published 21 by 21
    kernels, all but 21 of them 0.

    Parameters
    ----------
    num_classes : int
        K, the background included: 21 for PASCAL VOC.
    width : int
        Maps of ``fc6`` and ``fc7``: 4096 in the paper.
    rng : torch.Generator, optional
        Draws the weights, He's way; by default one with the seed 0. The paper's come from a trained
        classifier: :meth:`FCN.load_classifier`.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    FCN
        Takes ``(N, 3, H, W)`` of any size, returns scores ``(N, num_classes, H, W)``. Its parts are
        ``features``, ``head``, ``score`` and ``upsample``.

    References
    ----------
    J. Long, E. Shelhamer & T. Darrell (2015), "Fully Convolutional Networks for Semantic
    Segmentation", sections 4.1 and 4.2.
    """
    return _on_vgg16(num_classes, 32, width, rng, device)


def fcn16s(num_classes=21, *, width=4096, rng=None, device=None):
    """Build the net that adds scores of ``pool4``, at stride 16; arguments as :func:`fcn32s`.

    Its parts are, besides, ``up2``, a transposed convolution that doubles the coarse scores and
    starts as bilinear, and ``score_pool4``, which starts at 0, so that with the weights of FCN-32s
    (:meth:`FCN.load_coarser`) it begins with that net's scores, brought up in two steps.
    """
    return _on_vgg16(num_classes, 16, width, rng, device)


def fcn8s(num_classes=21, *, width=4096, rng=None, device=None):
    """Build the net that adds scores of ``pool4`` and ``pool3``, at stride 8; as :func:`fcn16s`.

    The second doubling is ``up4``, the finer scores are ``score_pool3``.
    """
    return _on_vgg16(num_classes, 8, width, rng, device)


def fcn_small(
    num_classes=11, *, stride=2, skips=True, in_channels=1, widths=(8, 16, 32, 64), rng=None
):
    """Build a small one, for scenes of digits: 64 by 64 pixels, seconds on one core.

    Three stages of one 3x3 convolution, batch normalisation, ReLU and pooling, a head of one 5x5
    convolution. Unlike the paper's it has batch normalisation, and no padding but that which keeps
    the size; and only the finer scores start at 0: on an untrained body coarse scores of 0 linger
    where every pixel is background.

    Parameters
    ----------
    num_classes : int
        K, the background included.
    stride : {8, 4, 2}
        Of the finest scores, in pixels; from there the way up is bilinear.
    skips : bool
        Whether the finer maps are scored too, and added; else the coarse scores alone are doubled.
    in_channels : int
    widths : (int, int, int, int)
        Maps of the three stages and of the head.
    rng : torch.Generator, optional
        Draws the weights, He's way; by default one with the seed 0.

    Returns
    -------
    FCN
        Takes ``(N, in_channels, H, W)`` of any size, returns ``(N, num_classes, H, W)``. Its
        weights lie with the channels last, in which order a CPU predicts twice as fast.

    Raises
    ------
    ValueError
        If `stride` is something else.
    """
    if stride not in (8, 4, 2):
        raise ValueError(f"fcn_small: `stride` is {stride!r}, expected 8, 4 or 2")
    with torch.device("meta"):
        layers, C = OrderedDict(), in_channels
        for n, F in enumerate(widths[:3], start=1):
            layers |= _normalized(f"conv{n}", n, C, F, 3)
            layers[f"pool{n}"] = nn.MaxPool2d(2, ceil_mode=True)
            C = F
        head = _normalized("fc4", 4, C, widths[3], 5)
        shape = (in_channels, 64, 64)
        model = FCN(layers, head, num_classes, shape, stride=stride, skips=skips)
    return model.begin(rng, zero="score_").to(memory_format=torch.channels_last)


def _normalized(name, n, in_channels, out_channels, kernel_size):
    """A convolution that keeps the size, batch normalisation and ReLU, by their names."""
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
    )
    norm = nn.BatchNorm2d(out_channels)
    return OrderedDict({name: convolution, f"norm{n}": norm, f"relu{n}": nn.ReLU()})


def _on_vgg16(num_classes, stride, width, rng, device):
    with torch.device("meta"):
        layers = vgg_body(COLUMNS["D"], WIDTHS)
        layers["conv1_1"].padding = (100, 100)
        for layer in layers.values():
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        head, C = {}, WIDTHS[-1]
        for n, kernel_size in ((6, 7), (7, 1)):
            fc = nn.Conv2d(C, width, kernel_size)
            head |= {f"fc{n}": fc, f"relu{n}": nn.ReLU(), f"dropout{n}": nn.Dropout(0.5)}
            C = width
        model = FCN(layers, head, num_classes, (3, 224, 224), stride=stride)
    return model.begin(rng, device)


class FCN(nn.Module):
    """A body, scores of its last maps, and the way back to the size of the image.

    Parameters
    ----------
    features : dict of str to nn.Module
        Convolutions and poolings, in their order; each pooling halves the map.
    head : dict of str to nn.Module
        Convolutions on the last map.
    num_classes : int
        K.
    input_shape : (int, int, int)
        ``(C, H, W)`` of the images that it is made for; others of C channels will do.
    stride : int
        Of the finest scores, in pixels: the coarse ones are doubled until they have it.
    skips : bool
        Whether at each doubling the scores of the pooled map of that size are added.
    """

    def __init__(self, features, head, num_classes, input_shape, *, stride, skips=True):
        super().__init__()
        self.input_shape, self.stride, self.skips = input_shape, stride, skips
        self.features = nn.Sequential(OrderedDict(features))
        self.head = nn.Sequential(OrderedDict(head))
        pooled, at, C = [], Centres(), input_shape[0]  # (name, maps, centres) of each pooling
        for name, layer in (*features.items(), *head.items()):
            at = at.window(layer) if hasattr(layer, "kernel_size") else at
            C = getattr(layer, "out_channels", C)
            if isinstance(layer, nn.MaxPool2d):
                pooled.append((name, C, at))

        self.score = nn.Conv2d(C, num_classes, 1)
        self.fusions = []  # (name of the doubling, of the pooling, shift between their maps)
        for n, (pool, C, finer) in enumerate(reversed(pooled[:-1]), start=1):
            if at.step == stride:
                break
            double = nn.ConvTranspose2d(num_classes, num_classes, 4, stride=2, bias=False)
            at = at.spread(double)
            shift = at.shift(finer)
            self.fusions.append((f"up{2**n}", pool, shift))
            self.add_module(f"up{2**n}", double)
            if skips:
                self.add_module(f"score_{pool}", nn.Conv2d(C, num_classes, 1))
            at = at.cut(-shift)
        self.upsample = nn.ConvTranspose2d(
            num_classes, num_classes, 2 * stride, stride=stride, groups=num_classes, bias=False
        ).requires_grad_(False)
        self.margin = Centres().shift(at.spread(self.upsample))  # pixels to cut off

    def begin(self, rng=None, device=None, *, zero="score"):
        """Give a net that was built on "meta" its first weights; return it, on `device`.

        Convolutions get He's, but those whose name begins with `zero` are 0; what goes up in size
        is bilinear.
        """
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        device = torch.device("cpu" if device is None else device)
        if device.type == "meta":
            return self
        self.to_empty(device=rng.device)
        for name, layer in self.named_modules():
            with torch.no_grad():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.reset_parameters()
                elif isinstance(layer, nn.ConvTranspose2d):
                    fill_bilinear(layer)
                elif isinstance(layer, nn.Conv2d):
                    shape, zeros = layer.weight.shape, name.startswith(zero)
                    layer.weight.copy_(torch.zeros(shape) if zeros else he_normal(shape, rng=rng))
                    if layer.bias is not None:
                        layer.bias.zero_()
        return self.to(device)

    def forward(self, x):
        """Return scores ``(N, K, H, W)`` of images ``(N, C, H, W)``.

        Raises
        ------
        TypeError, ValueError
            If `x` does not hold such images.
        """
        check_images("FCN", x, self.input_shape)
        pools = {pool for _, pool, _ in self.fusions}
        maps, y = {}, x
        for name, layer in self.features.named_children():
            y = layer(y)
            if name in pools:
                maps[name] = y
        y = self.score(self.head(y))
        for double, pool, shift in self.fusions:
            y, finer = overlap(getattr(self, double)(y), maps[pool], shift)
            if self.skips:
                y = y + getattr(self, f"score_{pool}")(finer)
        H, W = x.shape[2:]
        return self.upsample(y)[..., self.margin : self.margin + H, self.margin : self.margin + W]

    def load_coarser(self, other):
        """Take over the weights of a net with larger stride, as the paper trains them; return self.

        What the other has not got, the finer scores, stays as it is: at 0, if it is new.
        """
        with torch.no_grad():
            mine = dict(self.named_parameters()) | dict(self.named_buffers())
            for name, tensor in (*other.named_parameters(), *other.named_buffers()):
                if name in mine and not name.startswith("upsample."):
                    mine[name].copy_(tensor)
        return self

    def load_classifier(self, classifier):
        """Take over the weights of a classifier, but for its last layer; return self.

        Its convolutions and fully connected layers are matched in their order, and the latter
        become convolutions: :func:`convolution_of`.

        Raises
        ------
        ValueError
            If a layer has another number of weights.
        """
        kinds = nn.Conv2d | nn.Linear
        *theirs, _ = (m for m in classifier.modules() if isinstance(m, kinds))
        mine = [m for m in (*self.features, *self.head) if isinstance(m, nn.Conv2d)]
        if [m.weight.numel() for m in mine] != [m.weight.numel() for m in theirs]:
            raise ValueError(
                f"FCN: the classifier's {len(theirs)} layers before the last have other sizes than "
                f"the {len(mine)} of this net; load vgg16() into a net of width 4096"
            )
        with torch.no_grad():
            for layer, source in zip(mine, theirs, strict=True):
                layer.weight.copy_(source.weight.reshape(layer.weight.shape))
                layer.bias.copy_(source.bias)
        return self


class Centres(NamedTuple):
    """Where the units of a map look: unit i at pixel ``first + step * i``, along either axis."""

    first: float = 0.0
    step: float = 1.0

    def window(self, layer):
        """Return the centres after a convolution or a pooling."""
        k, s, p = (_number(getattr(layer, n)) for n in ("kernel_size", "stride", "padding"))
        return Centres(self.first + self.step * ((k - 1) / 2 - p), self.step * s)

    def spread(self, layer):
        """Return the centres after a transposed convolution: that of a window, undone."""
        k, s, p = (_number(getattr(layer, n)) for n in ("kernel_size", "stride", "padding"))
        step = self.step / s
        return Centres(self.first - step * ((k - 1) / 2 - p), step)

    def cut(self, n):
        """Return the centres after the first n units have been cut off, if n is more than 0."""
        return Centres(self.first + self.step * max(0, n), self.step)

    def shift(self, other):
        """Return n, if unit ``i + n`` of the other map looks where unit i of this does.

        Raises
        ------
        ValueError
            If no such number is there.
        """
        n = (self.first - other.first) / other.step
        if self.step != other.step or n != int(n):
            raise ValueError(
                f"FCN: maps whose units look at pixels {self.first:g}, {self.first + self.step:g}, "
                f"... and {other.first:g}, {other.first + other.step:g}, ... cannot be added; "
                f"choose another padding or kernel"
            )
        return int(n)


def _number(size):
    return size[0] if isinstance(size, tuple) else size


def overlap(y, finer, shift):
    """Cut two maps to what both have: unit i of `y` belongs to unit ``i + shift`` of `finer`."""
    y, finer = (m[..., max(0, by) :, max(0, by) :] for m, by in ((y, -shift), (finer, shift)))
    H, W = (min(sizes) for sizes in zip(y.shape[2:], finer.shape[2:], strict=True))
    return y[..., :H, :W], finer[..., :H, :W]


def fill_bilinear(layer):
    """Let a transposed convolution interpolate each channel by itself: the diagonal is tents."""
    layer.weight.zero_()
    for k in range(layer.in_channels):
        layer.weight[k, 0 if layer.groups > 1 else k] = bilinear_kernel(layer.stride[0])


def bilinear_kernel(factor):
    """Return the kernel ``(2 factor, 2 factor)`` that interpolates when it is spread by `factor`.

    ``1 - |a - c| / factor`` along each axis, with the centre ``c = factor - 1/2``: a tent as wide
    as the distance of two neighbours on either side, so that all tents add up to 1 everywhere.

    Examples
    --------
    >>> bilinear_kernel(2)[1]
    tensor([0.1875, 0.5625, 0.5625, 0.1875])
    """
    tent = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    return tent[:, None] * tent


def convolution_of(linear, kernel_size):
    """Return the convolution that computes on every window what a full connection does on one map.

    Its kernels are the rows of the matrix, cut into C planes of `kernel_size`: a flattened map runs
    through channels first, then rows, then columns.

    Parameters
    ----------
    linear : nn.Linear
        With ``C * KH * KW`` inputs.
    kernel_size : int or pair of int
        Rows and columns of the map that was flattened, KH and KW; 1 if none was.

    Returns
    -------
    nn.Conv2d
        With its own copy of the weights.

    Raises
    ------
    ValueError
        If the inputs are no whole number of such planes.
    """
    KH, KW = pair("convolution_of", "kernel_size", kernel_size, least=1)
    K, D = linear.weight.shape
    C, rest = divmod(D, KH * KW)
    if rest:
        raise ValueError(
            f"convolution_of: {D} inputs are no whole number of planes of {KH} by {KW}; use the "
            f"size of the map before it was flattened"
        )
    # Without first weights of its own: those would be drawn by torch's global generator.
    layer = nn.Conv2d(C, K, (KH, KW), bias=linear.bias is not None, device="meta")
    layer.to_empty(device=linear.weight.device).to(linear.weight)
    with torch.no_grad():
        layer.weight.copy_(linear.weight.reshape(K, C, KH, KW))
        if linear.bias is not None:
            layer.bias.copy_(linear.bias)
    return layer
