"""Residual networks, and the plain networks that they are compared with."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from course_lib.models.parts import check_images
from course_lib.torch_layers import he_normal

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "PadShortcut",
    "ResNet",
    "plain18",
    "plain34",
    "plain_cifar",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
]


def resnet18(num_classes=1000, *, shortcut="B", rng=None):
    """Build the residual network of 18 layers: as :func:`resnet34`, with 2 blocks a stage."""
    return _imagenet(BasicBlock, (2, 2, 2, 2), num_classes, shortcut, rng)


def resnet34(num_classes=1000, *, shortcut="B", rng=None):
    """Build the residual network of 34 layers, for images of 224 by 224 pixels or more.

    Parameters
    ----------
    num_classes : int
    shortcut : {"A", "B"}
        What a block's shortcut does where the number of channels doubles: pad with channels of
        zeros, or project by a 1x1 convolution. The paper's table 2 has A, its table 3 both;
        torchvision has B.
    rng : torch.Generator, optional
        Draws the weights, He's way; by default one with the seed 0.

    Returns
    -------
    ResNet
        Takes ``(N, 3, H, W)``, returns scores ``(N, num_classes)``. Its parts are ``stem``,
        ``stage1`` to ``stage4`` and ``head``.

    Raises
    ------
    ValueError
        If `shortcut` is something else.

    References
    ----------
    He et al. (2015), "Deep Residual Learning for Image Recognition", table 1.
    """
    return _imagenet(BasicBlock, (3, 4, 6, 3), num_classes, shortcut, rng)


def resnet50(num_classes=1000, *, shortcut="B", rng=None):
    """Build the residual network of 50 layers, of bottlenecks; arguments as :func:`resnet34`.

    A bottleneck halves the resolution in its first 1x1 convolution, as the paper's models do;
    torchvision does it in the 3x3, which costs 6 % more multiply-accumulates.
    """
    return _imagenet(Bottleneck, (3, 4, 6, 3), num_classes, shortcut, rng)


def resnet101(num_classes=1000, *, shortcut="B", rng=None):
    """Build the residual network of 101 layers; as :func:`resnet50`."""
    return _imagenet(Bottleneck, (3, 4, 23, 3), num_classes, shortcut, rng)


def resnet152(num_classes=1000, *, shortcut="B", rng=None):
    """Build the residual network of 152 layers; as :func:`resnet50`."""
    return _imagenet(Bottleneck, (3, 8, 36, 3), num_classes, shortcut, rng)


def plain18(num_classes=1000, *, rng=None):
    """Build the network of 18 layers without shortcuts (table 2 of the paper)."""
    return _imagenet(BasicBlock, (2, 2, 2, 2), num_classes, None, rng)


def plain34(num_classes=1000, *, rng=None):
    """Build the network of 34 layers without shortcuts (table 2 of the paper)."""
    return _imagenet(BasicBlock, (3, 4, 6, 3), num_classes, None, rng)


def resnet_cifar(
    n,
    *,
    in_channels=3,
    num_classes=10,
    widths=(16, 32, 64),
    shortcut="A",
    batch_norm=True,
    zero_init=False,
    rng=None,
):
    """Build the residual network of ``6 n + 2`` layers for small images, as for CIFAR-10.

    One 3x3 convolution, three stages of n blocks of two 3x3 convolutions, global average pooling,
    one fully connected layer. n = 3, 5, 7, 9, 18 give 20, 32, 44, 56 and 110 layers.

    Parameters
    ----------
    n : int
        Blocks in each stage, at least 1.
    in_channels, num_classes : int
    widths : sequence of int
        Channels of the three stages.
    shortcut : {"A", "B"}
        As for :func:`resnet34`; the paper's CIFAR networks have A.
    batch_norm : bool
        Whether batch normalisation follows each convolution. Without it the convolutions have
        biases, and ordinary learning rates diverge.
    zero_init : bool
        Whether the last layer of each block starts with gamma 0 (without `batch_norm`: with
        weights 0), so that the block starts as its shortcut.
    rng : torch.Generator, optional
        Draws the weights, He's way; by default one with the seed 0.

    Returns
    -------
    ResNet
        Takes ``(N, in_channels, H, W)``, returns scores ``(N, num_classes)``.

    Raises
    ------
    ValueError
        If `n` is less than 1, or `shortcut` is something else.

    References
    ----------
    He et al. (2015), "Deep Residual Learning for Image Recognition", section 4.2. `zero_init` is
    Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 5.1.
    """
    if n < 1:
        raise ValueError(f"resnet_cifar: `n` is {n}, expected at least 1 block a stage")
    return _cifar(n, in_channels, num_classes, widths, shortcut, batch_norm, zero_init, rng)


def plain_cifar(
    n, *, in_channels=3, num_classes=10, widths=(16, 32, 64), batch_norm=True, rng=None
):
    """Build the network of ``6 n + 2`` layers without shortcuts; arguments as `resnet_cifar`."""
    if n < 1:
        raise ValueError(f"plain_cifar: `n` is {n}, expected at least 1 pair of layers a stage")
    return _cifar(n, in_channels, num_classes, widths, None, batch_norm, False, rng)


class ResNet(nn.Sequential):
    """A stem, stages of blocks, and a head; made by the functions of this module.

    Parameters
    ----------
    input_shape : (int, int, int)
        C, and the H and W for which the network was designed; others fit as well.
    layers : dict of str to Module
    """

    def __init__(self, input_shape, layers):
        super().__init__(OrderedDict(layers))
        self.input_shape = input_shape

    def forward(self, x):
        check_images("ResNet", x, self.input_shape)
        return super().forward(x)

    def blocks(self):
        """Return the blocks in order, by their names: ``{"stage1.0": block, ...}``."""
        return {
            f"{stage}.{index}": block
            for stage, part in self.named_children()
            if stage.startswith("stage")
            for index, block in part.named_children()
        }


class Block(nn.Module):
    """What both kinds of block do: ``y = relu(body(x) + shortcut(x))``; plain, ``relu(body(x))``.

    Attributes
    ----------
    body : nn.Sequential
        Convolutions, each with its normalisation, ReLUs between them.
    shortcut : Module or None
        The identity where the shapes agree; None in a plain network.
    """

    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut, self.relu = body, shortcut, nn.ReLU()

    def forward(self, x):
        y = self.body(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.relu(y)


class BasicBlock(Block):
    """Two 3x3 convolutions beside a shortcut.

    Parameters
    ----------
    in_channels, channels : int
        Of the input, and of both convolutions.
    stride : int
        Of the first convolution, in cells.
    shortcut : {"A", "B"} or None
        As for :func:`resnet34`; None leaves it out.
    batch_norm : bool

    References
    ----------
    He et al. (2015), figure 2.
    """

    expansion = 1

    def __init__(self, in_channels, channels, *, stride=1, shortcut="B", batch_norm=True):
        first = _convolution(in_channels, channels, 3, stride, batch_norm)
        second = _convolution(channels, channels, 3, 1, batch_norm)
        super().__init__(
            _joined(first, second), _shortcut(in_channels, channels, stride, shortcut, batch_norm)
        )


class Bottleneck(Block):
    """A 1x1 convolution to few channels, a 3x3, and a 1x1 to four times as many.

    Parameters
    ----------
    in_channels, channels : int
        Of the input, and of the two convolutions inside; the output has ``4 * channels``.
    stride : int
        Of the first convolution, in cells.
    shortcut, batch_norm
        As for :class:`BasicBlock`.

    References
    ----------
    He et al. (2015), figure 5.
    """

    expansion = 4

    def __init__(self, in_channels, channels, *, stride=1, shortcut="B", batch_norm=True):
        out_channels = self.expansion * channels
        reduce = _convolution(in_channels, channels, 1, stride, batch_norm)
        middle = _convolution(channels, channels, 3, 1, batch_norm)
        expand = _convolution(channels, out_channels, 1, 1, batch_norm)
        super().__init__(
            _joined(reduce, middle, expand),
            _shortcut(in_channels, out_channels, stride, shortcut, batch_norm),
        )


class PadShortcut(nn.Module):
    """Shortcut A: every `stride`-th pixel, and channels of zeros behind those of the input.

    Parameters
    ----------
    in_channels, out_channels : int
    stride : int
        In cells.
    """

    kernel_size, padding = 1, 0  # what a unit sees, for the receptive field

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride, self.missing = stride, out_channels - in_channels

    def forward(self, x):
        seen = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(seen, (0, 0, 0, 0, 0, self.missing))


def _convolution(in_channels, channels, size, stride, batch_norm):
    """A convolution that keeps the size but for its stride, and its normalisation if any."""
    # PyTorch's own: behind a normalization a bias has no effect, and it is left out.
    conv = nn.Conv2d(
        in_channels, channels, size, stride=stride, padding=size // 2, bias=not batch_norm
    )
    return [conv, nn.BatchNorm2d(channels)] if batch_norm else [conv]


def _joined(*parts):
    """Lists of layers in one sequence, a ReLU between every two lists."""
    layers = {}
    for number, part in enumerate(parts, start=1):
        if layers:
            layers[f"relu{number - 1}"] = nn.ReLU()
        layers |= dict(zip((f"conv{number}", f"norm{number}"), part, strict=False))
    return nn.Sequential(OrderedDict(layers))


def _shortcut(in_channels, out_channels, stride, kind, batch_norm):
    if kind not in ("A", "B", None):
        raise ValueError(
            f"ResNet: `shortcut` is {kind!r}, expected 'A' (zeros for the new channels) or 'B' "
            f"(a 1x1 convolution)"
        )
    if kind is None:
        return None
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    if kind == "A" and in_channels <= out_channels:
        return PadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(*_convolution(in_channels, out_channels, 1, stride, batch_norm))


def _stage(block, count, in_channels, channels, stride, **options):
    """A row of `count` blocks; the first has the stride, and changes the channels."""
    blocks = [block(in_channels, channels, stride=stride, **options)]
    for _ in range(count - 1):
        blocks.append(block(block.expansion * channels, channels, **options))
    return nn.Sequential(*blocks)


def _imagenet(block, counts, num_classes, shortcut, rng):
    """The networks of table 1: a 7x7 convolution, a pooling, four stages, a mean, one layer."""
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    stem = nn.Sequential(*_convolution(3, 64, 7, 2, True), nn.ReLU(), pool)
    layers, width = {"stem": stem}, 64
    for number, count in enumerate(counts, start=1):
        channels, stride = 64 * 2 ** (number - 1), 1 if number == 1 else 2
        layers[f"stage{number}"] = _stage(block, count, width, channels, stride, shortcut=shortcut)
        width = block.expansion * channels
    layers["head"] = _head(width, num_classes)
    return _drawn(ResNet((3, 224, 224), layers), rng)


def _cifar(n, in_channels, num_classes, widths, shortcut, batch_norm, zero_init, rng):
    """The networks of section 4.2: a 3x3 convolution, three stages, a mean, one layer."""
    options = {"shortcut": shortcut, "batch_norm": batch_norm}
    width = widths[0]
    stem = nn.Sequential(*_convolution(in_channels, width, 3, 1, batch_norm), nn.ReLU())
    layers = {"stem": stem}
    for number, channels in enumerate(widths, start=1):
        stride = 1 if number == 1 else 2
        layers[f"stage{number}"] = _stage(BasicBlock, n, width, channels, stride, **options)
        width = channels
    layers["head"] = _head(width, num_classes)
    model = _drawn(ResNet((in_channels, 32, 32), layers), rng)
    if zero_init:
        for block in model.blocks().values():
            nn.init.zeros_(block.body[-1].weight)
    return model


def _head(width, num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


def _drawn(model, rng):
    """Return the model with weights drawn He's way and biases 0; not so on the device "meta"."""
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            with torch.no_grad():
                layer.weight.copy_(he_normal(layer.weight.shape, rng=rng))
                if layer.bias is not None:
                    layer.bias.zero_()
    return model
