"""OverFeat, which won the localisation of ImageNet 2013: its two nets, and a small one for digits.

Both look at an image through a window, and were made to be slid: the pools do not overlap, and the
last one, ``pool5``, stands apart, since dense evaluation runs it from several offsets.
"""

from collections import OrderedDict

import torch
from torch import nn

from course_lib.models.alexnet import head
from course_lib.models.parts import Classifier, check_images, draw_weights, he

__all__ = [
    "OverFeatNet",
    "box_regressor",
    "overfeat_accurate",
    "overfeat_fast",
    "overfeat_small",
]

MIDDLE = (0.25, 0.25, 0.75, 0.75)  # the box with which a regressor begins, in units of the window


class OverFeatNet(Classifier):
    """A classifier whose last pool is a part of its own: `features`, `pool5`, then `classifier`.

    Parameters
    ----------
    name : str
        Of the network, for errors and tables.
    features : dict of str to nn.Module
        The layers up to the maps before the last pool.
    pool5 : nn.MaxPool2d
        The last pool, whose windows do not overlap; the paper's name for it (section 3.3).
    classifier : dict of str to nn.Module
        The fully connected layers.
    input_shape : tuple of int
        ``(C, H, W)``: the window.
    """

    def __init__(self, name, features, pool5, classifier, input_shape):
        super().__init__(name, features, classifier, input_shape)
        del self.classifier  # to come behind the pool, in the order in which they run
        self.pool5 = pool5
        self.classifier = nn.Sequential(OrderedDict(classifier))

    def pooled(self, x):
        """Return what classifier and box regressor share: the pooled maps of images."""
        maps = x
        for name, layer in (*self.features.named_children(), ("pool5", self.pool5)):
            self._check_window(name, layer, maps, x)
            maps = layer(maps)
        return maps

    def forward(self, x):
        """Return scores ``(N, num_classes)`` of images ``(N, C, H, W)``, before any softmax.

        Raises
        ------
        TypeError, ValueError
            If `x` does not hold such images; the error names the layer that they do not fit.
        """
        check_images(self.name, x, self.input_shape)
        maps = self.pooled(x)
        self._check_maps("pool5", maps, x)
        return self.classifier(maps)


def overfeat_fast(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build the fast network, table 1 of the paper, for images ``(N, 3, 231, 231)``.

    It has 145,920,872 parameters, and takes 2,801 million multiply-accumulates; table 4 says 145
    and 2,810 million. Windows lie 32 pixels apart, and 16 where the last pool runs from 2 offsets.

    Where the paper says nothing: the biases are 0. The normalisation of AlexNet is left out, as it
    says; dropout follows fc6 and fc7.

    Parameters
    ----------
    num_classes : int
    dropout : float
        Probability that a unit of fc6 or fc7 is dropped in training.
    rng : torch.Generator, optional
        For the weights, normal with standard deviation 0.01; by default one with the seed 0.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    OverFeatNet
        Its `features` are ``conv1, relu1, pool1, conv2, relu2, pool2, conv3, relu3, conv4, relu4,
        conv5, relu5``; then come `pool5`, to 6 x 6, and the `classifier`, ``flatten, fc6, relu6,
        dropout6, fc7, relu7, dropout7, fc8``.

    References
    ----------
    P. Sermanet, D. Eigen, X. Zhang, M. Mathieu, R. Fergus & Y. LeCun (2014), "OverFeat: Integrated
    Recognition, Localization and Detection using Convolutional Networks", sections 3.2 and 3.4.
    """
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(3, 96, 11, stride=4),  # 56 x 56
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),  # 28 x 28
            "conv2": nn.Conv2d(96, 256, 5),  # 24 x 24
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),  # 12 x 12
            "conv3": nn.Conv2d(256, 512, 3, padding=1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(512, 1024, 3, padding=1),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(1024, 1024, 3, padding=1),
            "relu5": nn.ReLU(),
        }
        classifier = head([1024 * 6 * 6, 3072, 4096, num_classes], nn.ReLU, dropout)
        pool5 = nn.MaxPool2d(2)  # 6 x 6
    model = OverFeatNet("OverFeat, fast", features, pool5, classifier, (3, 231, 231))
    return draw_weights(model, 0.01, rng=rng, device=device)


def overfeat_accurate(num_classes=1000, *, dropout=0.5, rng=None, device=None):
    """Build the accurate network, table 3 of the paper, for images ``(N, 3, 221, 221)``.

    It has 144,656,488 parameters, and takes 5,355 million multiply-accumulates; table 4 says 144
    and 5,369 million. Windows lie 36 pixels apart, and 12 where the last pool runs from 3 offsets.

    Parameters
    ----------
    num_classes, dropout, rng, device
        As for :func:`overfeat_fast`; the units are those of fc7 and fc8.

    Returns
    -------
    OverFeatNet
        With six convolutions ``conv1`` to ``conv6`` in its `features`, `pool5` behind them, to
        5 x 5, and the layers ``fc7, fc8, fc9`` in its `classifier`.

    References
    ----------
    Sermanet et al. (2014), sections 3.2 and 3.4, table 3.
    """
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(3, 96, 7, stride=2),  # 108 x 108
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(3),  # 36 x 36
            "conv2": nn.Conv2d(96, 256, 7),  # 30 x 30
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),  # 15 x 15
        }
        C = 256
        for i, F in ((3, 512), (4, 512), (5, 1024), (6, 1024)):
            features |= {f"conv{i}": nn.Conv2d(C, F, 3, padding=1), f"relu{i}": nn.ReLU()}
            C = F
        widths = [1024 * 5 * 5, 4096, 4096, num_classes]
        classifier = head(widths, nn.ReLU, dropout, first=7)
        pool5 = nn.MaxPool2d(3)  # 5 x 5
    model = OverFeatNet("OverFeat, accurate", features, pool5, classifier, (3, 221, 221))
    return draw_weights(model, 0.01, rng=rng, device=device)


def overfeat_small(num_classes=10, *, window=30, dropout=0.0, in_channels=1, rng=None):
    """Build a twin that learns to read digits in seconds, ``(N, in_channels, window, window)``.

    Three convolutions without padding, so that dense evaluation equals crop by crop, each followed
    by batch normalisation, which the paper's nets do not have. Windows lie 6 pixels apart, and 2
    with offsets: an image of 36 pixels has 2 x 2 windows of 30, or 4 x 4.

    Parameters
    ----------
    num_classes : int
    window : int
        Rows and columns in pixels: 18, 24, 30, 36 and so on.
    dropout : float
        Probability that a unit of fc6 is dropped in training.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    OverFeatNet
        Its `features` are ``conv1, norm1, relu1`` to ``relu3``, 9 x 9 for a window of 30; then
        come `pool5`, to 3 x 3, and the `classifier`, ``flatten, fc6, relu6, dropout6, fc7``.

    Raises
    ------
    ValueError
        If the last pool would not use the maps of such a window up.
    """
    if not isinstance(window, int) or window < 18 or window % 6:
        raise ValueError(f"overfeat_small: `window` is {window!r}, expected 18, 24, 30, 36, ...")
    cells = window // 6 - 2  # of the pooled maps
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(in_channels, 12, 6, stride=2, bias=False),  # 13 x 13
            "norm1": nn.BatchNorm2d(12),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(12, 24, 3, bias=False),  # 11 x 11
            "norm2": nn.BatchNorm2d(24),
            "relu2": nn.ReLU(),
            "conv3": nn.Conv2d(24, 32, 3, bias=False),  # 9 x 9
            "norm3": nn.BatchNorm2d(32),
            "relu3": nn.ReLU(),
        }
        classifier = head([32 * cells**2, 128, num_classes], nn.ReLU, dropout)
        pool5 = nn.MaxPool2d(3)  # 3 x 3
    shape = (in_channels, window, window)
    model = OverFeatNet("OverFeat, small", features, pool5, classifier, shape)
    draw_weights(model, he, rng=rng)
    for layer in model.features:
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return model


def box_regressor(model, num_classes=1, *, widths=(4096, 1024), rng=None, device=None):
    """Build the layers that predict a box from the pooled maps of a classifier.

    They read what the first fully connected layer of the classifier reads, and are as good as a
    second head of the same body. The box is given in units of the window: ``x1 y1 x2 y2``, 0 the
    left or upper edge of the window and 1 the right or lower one; it may reach beyond.

    Parameters
    ----------
    model : OverFeatNet
        The classifier; only its shapes matter.
    num_classes : int
        K boxes, one for each class; 1 for a box that all classes share.
    widths : sequence of int
        Units of the hidden layers; 4096 and 1024 in the paper.
    rng : torch.Generator, optional
        For the weights of the hidden layers, normal with variance 2 / fan-in; by default one with
        the seed 0. The last layer starts at 0, with biases that give the middle of the window.
    device : optional
        As in torch.

    Returns
    -------
    nn.Sequential
        ``flatten, fc1, relu1`` and so on; from pooled maps ``(N, C, h, w)`` to ``(N, 4 * K)``.

    References
    ----------
    Sermanet et al. (2014), section 4.1 and figure 8: there the maps have 256 channels, where those
    of table 3 have 1024.
    """
    with torch.device("meta"):
        first = next(layer for layer in model.classifier if isinstance(layer, nn.Linear))
        parts = head([first.in_features, *widths, 4 * num_classes], nn.ReLU, 0.0, first=1)
        layers = {name: part for name, part in parts.items() if "dropout" not in name}
        regressor = nn.Sequential(OrderedDict(layers))
    draw_weights(regressor, he, rng=rng, device=device)
    last = regressor[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor(MIDDLE).repeat(num_classes))
    return regressor
