"""ZFNet, AlexNet after a look inside: smaller windows at a smaller stride in the first layers."""

import torch
from torch import nn

from course_lib.models.alexnet import head, response_norm
from course_lib.models.parts import Classifier, draw_weights, he

__all__ = ["zfnet", "zfnet_small"]


def zfnet(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build the network of figure 3 of its paper for images ``(N, 3, 224, 224)``.

    It is AlexNet without towers, with windows of 7 pixels every 2 in conv1 (not 11 every 4) and a
    stride of 2 in conv2, and has 62,357,608 parameters. The normalisation comes after the pool.

    Where the figure says nothing: conv1, pool1 and pool2 pad one pixel, which gives its sizes 110,
    55, 26 and 13; the normalisation has AlexNet's numbers. Not done here: the paper scales a filter
    of conv1 back to a root mean square of 0.1 whenever it exceeds that in training.

    Parameters
    ----------
    num_classes : int
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    rng : torch.Generator, optional
        For the weights, normal with standard deviation 0.01, where the paper says "initialized to
        10^-2"; biases 0. By default one with the seed 0.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    Classifier
        Its `features` are ``conv1, relu1, pool1, norm1, conv2, relu2, pool2, norm2, conv3, relu3,
        conv4, relu4, conv5, relu5, pool5``; its `classifier` is that of :func:`alexnet`.

    References
    ----------
    M. Zeiler & R. Fergus (2014), "Visualizing and Understanding Convolutional Networks", figure 3
    and section 3.
    """
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(3, 96, 7, stride=2, padding=1),  # 110 x 110
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(3, stride=2, padding=1),  # 55 x 55
            "norm1": response_norm(),
            "conv2": nn.Conv2d(96, 256, 5, stride=2),  # 26 x 26
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(3, stride=2, padding=1),  # 13 x 13
            "norm2": response_norm(),
            "conv3": nn.Conv2d(256, 384, 3, padding=1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(384, 384, 3, padding=1),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(384, 256, 3, padding=1),
            "relu5": nn.ReLU(),
            "pool5": nn.MaxPool2d(3, stride=2),  # 6 x 6
        }
        classifier = head([256 * 6 * 6, 4096, 4096, num_classes], nn.ReLU, dropout)
    model = Classifier("ZFNet", features, classifier, (3, 224, 224))
    return draw_weights(model, 0.01, rng=rng, device=device)


def zfnet_small(num_classes=10, *, dropout=0.5, in_channels=1, rng=None):
    """Build a twin of ZFNet that learns to read digits in seconds, ``(N, in_channels, 32, 32)``.

    As :func:`alexnet_small`, and changed in the same way: conv1 has windows of 3 pixels every
    pixel, not of 5 every 2, and the stride has moved to conv2.

    Parameters
    ----------
    num_classes : int
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    Classifier
    """
    pool = {"kernel_size": 3, "stride": 2}
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(in_channels, 16, 3, padding=1),  # 32 x 32
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(**pool),  # 15 x 15
            "conv2": nn.Conv2d(16, 32, 5, stride=2, padding=1),  # 7 x 7
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(**pool),  # 3 x 3
            "conv3": nn.Conv2d(32, 48, 3, padding=1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(48, 48, 3, padding=1),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(48, 64, 3, padding=1),
            "relu5": nn.ReLU(),
            "pool5": nn.MaxPool2d(**pool),  # 1 x 1
        }
        classifier = head([64, 256, 256, num_classes], nn.ReLU, dropout)
    model = Classifier("ZFNet, small", features, classifier, (in_channels, 32, 32))
    return draw_weights(model, he, rng=rng)
