"""The networks of Oxford's Visual Geometry Group, 2014: nothing but 3x3 windows, and depth."""

import torch
from torch import nn

from course_lib.models.alexnet import head
from course_lib.models.parts import Classifier, draw_weights, he

__all__ = ["vgg11", "vgg13", "vgg16", "vgg19", "vgg_body", "vgg_small"]

WIDTHS = (64, 128, 256, 512, 512)  # maps of the five blocks
COLUMNS = {  # table 1: the convolutions of each block
    "A": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "D": (2, 2, 3, 3, 3),
    "E": (2, 2, 4, 4, 4),
}


def vgg16(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build VGG-16, column D of table 1, for images ``(N, 3, 224, 224)``: 138,357,544 parameters.

    Five blocks of 3x3 convolutions, each followed by a ReLU, and each block by a pool that halves
    the map; then three fully connected layers. Torchvision's `vgg16` is the same network, with
    other names and other first weights.

    Departures from the paper: the weights, which there come from a trained network A in the first
    four convolutions and the fully connected layers, and are otherwise normal with variance 0.01.
    Here all are normal with variance 2 / fan-in, with which 16 layers can be trained from scratch.

    Parameters
    ----------
    num_classes : int
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    rng : torch.Generator, optional
        For the weights; by default one with the seed 0. The biases are 0.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    Classifier
        Its `features` are ``conv1_1, relu1_1, conv1_2, relu1_2, pool1, conv2_1`` to ``pool5``; its
        `classifier` is that of :func:`alexnet`.

    References
    ----------
    K. Simonyan & A. Zisserman (2015), "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", section 2, tables 1 and 2.
    """
    return _vgg("VGG-16", "D", num_classes, dropout, rng, device)


def vgg11(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build column A, as :func:`vgg16`: one or two convolutions a block, 132,863,336 parameters."""
    return _vgg("VGG-11", "A", num_classes, dropout, rng, device)


def vgg13(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build column B, as :func:`vgg16`: two convolutions a block, 133,047,848 parameters."""
    return _vgg("VGG-13", "B", num_classes, dropout, rng, device)


def vgg19(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build column E, as :func:`vgg16`: two or four 3x3 layers a block, 143,667,240 parameters."""
    return _vgg("VGG-19", "E", num_classes, dropout, rng, device)


def _vgg(name, column, num_classes, dropout, rng, device):
    with torch.device("meta"):
        features = vgg_body(COLUMNS[column], WIDTHS)
        classifier = head([WIDTHS[-1] * 7 * 7, 4096, 4096, num_classes], nn.ReLU, dropout)
    model = Classifier(name, features, classifier, (3, 224, 224))
    return draw_weights(model, he, rng=rng, device=device)


def vgg_body(convolutions, widths, *, in_channels=3, kernel_size=3):
    """Return the layers of a body of blocks, by name and in order: ``conv1_1`` to ``pool5``.

    Parameters
    ----------
    convolutions, widths : sequence of int
        How many convolutions each block has, and how many maps each of them makes.
    in_channels : int
    kernel_size : int
        Odd; the padding keeps the size of the maps.
    """
    layers, C = {}, in_channels
    for block, (count, F) in enumerate(zip(convolutions, widths, strict=True), start=1):
        for i in range(1, count + 1):
            padding = kernel_size // 2
            conv = nn.Conv2d(C, F, kernel_size, padding=padding)
            layers |= {f"conv{block}_{i}": conv, f"relu{block}_{i}": nn.ReLU()}
            C = F
        layers[f"pool{block}"] = nn.MaxPool2d(2)
    return layers


def vgg_small(num_classes=10, *, depth=8, kernel_size=3, dropout=0.5, in_channels=1, rng=None):
    """Build a twin of the VGG networks that learns to read digits, ``(N, in_channels, 32, 32)``.

    Three blocks of convolutions with 8, 16 and 32 maps, each with a pool, then two fully connected
    layers. Three 3x3 windows in a row see 7 pixels, as one 7x7 window does: compare
    ``vgg_small(depth=11)`` with ``vgg_small(depth=5, kernel_size=7)``.

    Parameters
    ----------
    num_classes : int
    depth : {5, 8, 11, 14}
        Layers with weights: 1, 2, 3 or 4 convolutions in each of the three blocks, and two more.
    kernel_size : int
        Odd; the padding keeps the size of the maps.
    dropout : float
        Probability that a unit of fc6 is dropped in training.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    Classifier

    Raises
    ------
    ValueError
        If `depth` or `kernel_size` is none of those above.
    """
    if depth not in (5, 8, 11, 14):
        raise ValueError(f"vgg_small: `depth` is {depth!r}, expected 5, 8, 11 or 14")
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"vgg_small: `kernel_size` is {kernel_size!r}, expected an odd number")
    blocks = [(depth - 2) // 3] * 3
    with torch.device("meta"):
        features = vgg_body(blocks, (8, 16, 32), in_channels=in_channels, kernel_size=kernel_size)
        classifier = head([32 * 4 * 4, 128, num_classes], nn.ReLU, dropout)
    model = Classifier(f"VGG-{depth}, small", features, classifier, (in_channels, 32, 32))
    return draw_weights(model, he, rng=rng)
