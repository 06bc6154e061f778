"""AlexNet, the network that won ImageNet in 2012, and a small twin of it for digits."""

from itertools import pairwise

import torch
from torch import nn

from course_lib.models.parts import Classifier, draw_weights, he, xavier

__all__ = ["alexnet", "alexnet_small"]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def alexnet(num_classes=1000, *, towers=2, dropout=0.5, rng=None, device=None):
    """Build AlexNet for images ``(N, 3, 227, 227)``.

    As in the paper it has two towers: in conv2, conv4 and conv5 a map reads only the maps of its
    own half (the half that was on the same GPU), which makes 60,965,224 parameters. With one tower
    every map reads all maps, and nothing else differs: 62,378,344 parameters.

    Departures from the paper: the images are 227 wide, since 224 as printed does not give the 55
    columns of conv1; the response normalisation runs over all maps of a layer, not over those of a
    tower; dropout scales by ``1 / (1 - dropout)`` in training instead of by one half in the test.
    Torchvision's network of this name is that of a later paper, with 64, 192, 384, 256 and 256
    maps and no normalisation.

    Parameters
    ----------
    num_classes : int
    towers : {2, 1}
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    rng : torch.Generator, optional
        For the weights, normal with standard deviation 0.01; by default one with the seed 0. The
        biases are 1 in conv2, conv4, conv5, fc6 and fc7, and 0 elsewhere.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    Classifier
        Its `features` are ``conv1, relu1, norm1, pool1, conv2, relu2, norm2, pool2, conv3, relu3,
        conv4, relu4, conv5, relu5, pool5``; its `classifier` is ``flatten, fc6, relu6, dropout6,
        fc7, relu7, dropout7, fc8``.

    Raises
    ------
    ValueError
        If `towers` is neither 1 nor 2.

    References
    ----------
    A. Krizhevsky, I. Sutskever & G. Hinton (2012), "ImageNet Classification with Deep Convolutional
    Neural Networks", sections 3, 4.2 and 5.
    """
    if towers not in (1, 2):
        raise ValueError(f"alexnet: `towers` is {towers!r}, expected 1 or 2")
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(3, 96, 11, stride=4),  # 55 x 55
            "relu1": nn.ReLU(),
            "norm1": response_norm(),
            "pool1": nn.MaxPool2d(3, stride=2),  # 27 x 27
            "conv2": nn.Conv2d(96, 256, 5, padding=2, groups=towers),
            "relu2": nn.ReLU(),
            "norm2": response_norm(),
            "pool2": nn.MaxPool2d(3, stride=2),  # 13 x 13
            "conv3": nn.Conv2d(256, 384, 3, padding=1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(384, 384, 3, padding=1, groups=towers),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(384, 256, 3, padding=1, groups=towers),
            "relu5": nn.ReLU(),
            "pool5": nn.MaxPool2d(3, stride=2),  # 6 x 6
        }
        classifier = head([256 * 6 * 6, 4096, 4096, num_classes], nn.ReLU, dropout)
    model = Classifier("AlexNet", features, classifier, (3, 227, 227))
    ones = ("conv2", "conv4", "conv5", "fc6", "fc7")
    return draw_weights(model, 0.01, bias=lambda name: float(name in ones), rng=rng, device=device)


def response_norm():
    """Divide by the activity of the five maps about each, ``(2 + 1e-4 * sum of squares) ** 0.75``.

    The numbers are those of section 3.3; torch divides its `alpha` by the number of maps.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def head(widths, activation, dropout, *, first=6):
    """Return the fully connected layers between the given widths, as parts ``fc6`` and so on."""
    parts = {"flatten": nn.Flatten()}
    for i, (D, K) in enumerate(pairwise(widths), start=first):
        parts[f"fc{i}"] = nn.Linear(D, K)
        if i - first < len(widths) - 2:
            parts[f"{activation.__name__.lower()}{i}"] = activation()
            parts[f"dropout{i}"] = nn.Dropout(dropout)
    return parts


def alexnet_small(
    num_classes=10,
    *,
    activation="relu",
    overlapping=True,
    dropout=0.5,
    groups=1,
    in_channels=1,
    rng=None,
):
    """Build a twin of AlexNet that learns to read digits in seconds, ``(N, in_channels, 32, 32)``.

    Five convolutions, three pools and three fully connected layers, with the names and the order
    of :func:`alexnet`, no response normalisation, and maps of 15, 7, 7, 3, 3, 3, 3 and 1 pixels.

    Parameters
    ----------
    num_classes : int
    activation : {"relu", "tanh"}
        The parts are called ``relu1`` or ``tanh1``, and so on.
    overlapping : bool
        Whether the pools are windows of 3 pixels every 2, or of 2 every 2. The maps are of odd
        sizes, so that both leave maps of the same size, and a network of the same parameters.
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    groups : int
        Of conv2, conv4 and conv5; it must divide 16.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in for ReLU and 1 / fan-in for tanh, since
        0.01 would let the signal of a narrow net fade; biases 0. By default one with the seed 0.

    Returns
    -------
    Classifier

    Raises
    ------
    ValueError
        If an option is none of those above.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"alexnet_small: `activation` is {activation!r}, expected 'relu' or 'tanh'"
        )
    if not isinstance(groups, int) or groups < 1 or 16 % groups:
        raise ValueError(f"alexnet_small: `groups` is {groups!r}, expected a divisor of 16")
    act = ACTIVATIONS[activation]
    pool = {"kernel_size": 3 if overlapping else 2, "stride": 2}
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(in_channels, 16, 5, stride=2, padding=1),  # 15 x 15
            f"{activation}1": act(),
            "pool1": nn.MaxPool2d(**pool),  # 7 x 7
            "conv2": nn.Conv2d(16, 32, 5, padding=2, groups=groups),
            f"{activation}2": act(),
            "pool2": nn.MaxPool2d(**pool),  # 3 x 3
            "conv3": nn.Conv2d(32, 48, 3, padding=1),
            f"{activation}3": act(),
            "conv4": nn.Conv2d(48, 48, 3, padding=1, groups=groups),
            f"{activation}4": act(),
            "conv5": nn.Conv2d(48, 64, 3, padding=1, groups=groups),
            f"{activation}5": act(),
            "pool5": nn.MaxPool2d(**pool),  # 1 x 1
        }
        classifier = head([64, 256, 256, num_classes], act, dropout)
    model = Classifier("AlexNet, small", features, classifier, (in_channels, 32, 32))
    return draw_weights(model, he if activation == "relu" else xavier, rng=rng)
