"""GoogLeNet, the 22-layer network of 2014: inception modules, a mean for a head, two side heads."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn

from course_lib.models.parts import check_images, draw_weights, he
from course_lib.torch_layers import cross_entropy

__all__ = [
    "TABLE_1",
    "GlobalAvgPool2d",
    "Inception",
    "InceptionNet",
    "Scores",
    "Widths",
    "auxiliary_cross_entropy",
    "googlenet",
    "googlenet_small",
]


class Widths(NamedTuple):
    """How many maps each convolution of an inception module makes: a row of the paper's Table 1."""

    one: int  # 1x1
    reduce3: int  # 1x1 before the 3x3
    three: int  # 3x3
    reduce5: int  # 1x1 before the 5x5
    five: int  # 5x5
    project: int  # 1x1 after the 3x3 max pooling

    @property
    def out(self):
        """Maps of the module: those of its four branches, one behind the other."""
        return self.one + self.three + self.five + self.project


TABLE_1 = {  # Szegedy et al. (2014), table 1
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}
SMALL = {  # the twin's modules
    "3a": Widths(12, 8, 24, 4, 8, 8),
    "3b": Widths(16, 12, 32, 4, 8, 8),
    "3c": Widths(16, 16, 32, 4, 8, 8),
}


class Inception(nn.Module):
    """Four branches that look at the same maps, and whose maps are laid one behind the other.

    The branches are a 1x1 convolution; a 1x1 that reduces the channels, then a 3x3; a 1x1 that
    reduces, then a 5x5; a 3x3 max pooling, then a 1x1. All keep the rows and columns, and every
    convolution is followed by a ReLU.

    Parameters
    ----------
    in_channels : int
        C, the maps it reads.
    widths : Widths
        The maps its convolutions make; ``widths.out`` is F.

    References
    ----------
    C. Szegedy et al. (2014), "Going Deeper with Convolutions", section 4 and figure 2(b).
    """

    def __init__(self, in_channels, widths):
        super().__init__()
        C, w = in_channels, Widths(*widths)
        self.one = nn.Conv2d(C, w.one, 1)
        self.reduce3 = nn.Conv2d(C, w.reduce3, 1)
        self.three = nn.Conv2d(w.reduce3, w.three, 3, padding=1)
        self.reduce5 = nn.Conv2d(C, w.reduce5, 1)
        self.five = nn.Conv2d(w.reduce5, w.five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.project = nn.Conv2d(C, w.project, 1)

    def forward(self, x):
        """Return ``(N, F, H, W)`` of maps ``(N, C, H, W)``."""
        relu = torch.relu
        branches = [
            relu(self.one(x)),
            relu(self.three(relu(self.reduce3(x)))),
            relu(self.five(relu(self.reduce5(x)))),
            relu(self.project(self.pool(x))),
        ]
        return torch.cat(branches, dim=1)


class GlobalAvgPool2d(nn.Module):
    """Take the mean of each map: ``(N, C, H, W)`` becomes ``(N, C)``, whatever H and W are.

    References
    ----------
    M. Lin, Q. Chen & S. Yan (2014), "Network in Network", section 3.2.
    """

    def forward(self, x):
        return x.mean(dim=(2, 3))


class Scores(NamedTuple):
    """What a network with side heads returns in training: three times ``(N, num_classes)``."""

    main: torch.Tensor
    auxiliary1: torch.Tensor
    auxiliary2: torch.Tensor


def auxiliary_cross_entropy(output, labels, weight=0.3):
    """Add the losses of the side heads to that of the network, discounted.

    ``loss = main + weight * (auxiliary1 + auxiliary2)``, each a cross-entropy.

    Parameters
    ----------
    output : Scores or tensor, shape (N, K)
        What the network returned; a plain tensor, as in evaluation, has no side heads to add.
    labels : int tensor, shape (N,)
    weight : float
        Of each side head; 0.3 in the paper (section 5).

    Returns
    -------
    tensor without axes
    """
    if not isinstance(output, Scores):
        return cross_entropy(output, labels)
    main, *sides = (cross_entropy(scores, labels) for scores in output)
    return main + weight * sum(sides)


class InceptionNet(nn.Module):
    """A body of inception modules, a head, and perhaps two side heads that serve training only.

    Parameters
    ----------
    name : str
        Of the network, for errors and tables.
    features, classifier : dict of str to nn.Module
        The layers of the body and of the head, in the order in which they run.
    auxiliary : dict of str to nn.Module
        The side heads, by the part of the body whose maps they read; none or two.
    input_shape : tuple of int
        ``(C, H, W)``: what images the network was made for.
    """

    def __init__(self, name, features, classifier, auxiliary, input_shape):
        super().__init__()
        self.name, self.input_shape = name, input_shape
        self.features = nn.Sequential(OrderedDict(features))
        self.classifier = nn.Sequential(OrderedDict(classifier))
        self.auxiliary = nn.ModuleDict(auxiliary)

    def forward(self, x):
        """Return scores ``(N, num_classes)``; in training with side heads, :class:`Scores`.

        With a head that takes means, images of any size will do. Side heads, and a fully connected
        head, want those of `input_shape`.

        Raises
        ------
        TypeError, ValueError
            If `x` does not hold such images.
        """
        check_images(self.name, x, self.input_shape)
        training = self.training and len(self.auxiliary) > 0
        if training or "flatten" in dict(self.classifier.named_children()):
            self._check_size(x, "side heads" if training else "fully connected head")
        sides = []
        for name, part in self.features.named_children():
            x = part(x)
            if training and name in self.auxiliary:
                sides.append(self.auxiliary[name](x))
        scores = self.classifier(x)
        return Scores(scores, *sides) if training else scores

    def _check_size(self, x, who):
        H, W = self.input_shape[1:]
        if x.shape[2:] != (H, W):
            raise ValueError(
                f"{self.name}: the images are {x.shape[2]} x {x.shape[3]}, expected {H} x {W} for "
                f"its {who}: resize or crop them"
            )


def googlenet(num_classes=1000, *, auxiliary=True, rng=None, device=None):
    """Build GoogLeNet, Table 1 of its paper, for images ``(N, 3, 224, 224)``.

    With 1,000 classes it has 6,998,552 parameters. Two side heads, which read the maps of 4a and
    4d in training and are dropped afterwards, make that 13,378,280.

    Where the paper is silent: pools of stride 2 pad one pixel, which gives the sizes of the table;
    the numbers of the response normalisation (5 maps, 1e-4 / 5, 0.75, 1) are those of Caffe's
    `bvlc_googlenet`; the weights are normal with variance 2 / fan-in and the biases 0, with which
    22 layers can be trained without the side heads. Torchvision's network of this name is another:
    a 3x3 convolution where the paper has a 5x5, batch normalisation instead of biases after each
    convolution, and no response normalisation; it has 6,624,904 parameters without side heads.

    Parameters
    ----------
    num_classes : int
    auxiliary : bool
        Whether it has the side heads.
    rng : torch.Generator, optional
        For the weights; by default one with the seed 0.
    device : optional
        As in torch; on "meta" the model has shapes without numbers, enough for :func:`summary`.

    Returns
    -------
    InceptionNet
        Its `features` are ``conv1, relu1, pool1, norm1, reduce2, relu2, conv2, relu3, norm2,
        pool2, inception3a`` to ``inception5b``, with ``pool3`` and ``pool4`` between; its
        `classifier` is ``pool5, dropout, linear``. In training with side heads it returns
        :class:`Scores`; see :func:`auxiliary_cross_entropy`.

    References
    ----------
    C. Szegedy et al. (2014), "Going Deeper with Convolutions", section 5, table 1 and figure 3.
    """
    norm = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}
    half = {"kernel_size": 3, "stride": 2, "padding": 1}
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(3, 64, 7, stride=2, padding=3),  # 112 x 112
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(**half),  # 56 x 56
            "norm1": nn.LocalResponseNorm(**norm),
            "reduce2": nn.Conv2d(64, 64, 1),
            "relu2": nn.ReLU(),
            "conv2": nn.Conv2d(64, 192, 3, padding=1),
            "relu3": nn.ReLU(),
            "norm2": nn.LocalResponseNorm(**norm),
            "pool2": nn.MaxPool2d(**half),  # 28 x 28
        }
        C = 192
        for name, widths in TABLE_1.items():
            if name in ("4a", "5a"):
                features[f"pool{int(name[0]) - 1}"] = nn.MaxPool2d(**half)  # 14 x 14, 7 x 7
            features[f"inception{name}"] = Inception(C, widths)
            C = widths.out
        classifier = {
            "pool5": GlobalAvgPool2d(),
            "dropout": nn.Dropout(0.4),
            "linear": nn.Linear(C, num_classes),
        }
        sides = {}
        if auxiliary:
            sides["inception4a"] = side_head(TABLE_1["4a"].out, num_classes)
            sides["inception4d"] = side_head(TABLE_1["4d"].out, num_classes)
    model = InceptionNet("GoogLeNet", features, classifier, sides, (3, 224, 224))
    return draw_weights(model, he, rng=rng, device=device)


def side_head(in_channels, num_classes):
    """Return a side head as section 5 of the paper describes it, for maps of 14 by 14."""
    parts = {
        "pool": nn.AvgPool2d(5, stride=3),  # 4 x 4
        "reduce": nn.Conv2d(in_channels, 128, 1),
        "relu1": nn.ReLU(),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(128 * 4 * 4, 1024),
        "relu2": nn.ReLU(),
        "dropout": nn.Dropout(0.7),
        "linear": nn.Linear(1024, num_classes),
    }
    return nn.Sequential(OrderedDict(parts))


def googlenet_small(num_classes=10, *, head="gap", auxiliary=False, in_channels=1, rng=None):
    """Build a twin of GoogLeNet that learns to read digits in seconds.

    Two convolutions of stride 2 and three inception modules, on images ``(N, in_channels, 32,
    32)``; `features` returns 64 maps of 8 by 8. With the head "gap" it takes images of any size,
    one cell of a map for 4 by 4 pixels.

    Parameters
    ----------
    num_classes : int
    head : {"gap", "fc"}
        "gap", as in GoogLeNet: the mean of each map, then one full connection. "fc", as in the
        networks before it: a full connection from all cells of all maps to 128 units, then another.
    auxiliary : bool
        Whether it has two side heads, behind 3a and 3b; each takes means, as "gap" does.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    InceptionNet
        Its `features` are ``conv1, relu1, conv2, relu2, inception3a, inception3b, inception3c``;
        its `classifier` is ``pool5, linear`` or ``flatten, fc, relu, linear``. Its weights lie with
        the channels last, in which order a CPU pools three times as fast.

    Raises
    ------
    ValueError
        If `head` is none of those above.
    """
    if head not in ("gap", "fc"):
        raise ValueError(f"googlenet_small: `head` is {head!r}, expected 'gap' or 'fc'")
    with torch.device("meta"):
        features = {
            "conv1": nn.Conv2d(in_channels, 16, 3, stride=2, padding=1),  # 16 x 16
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(16, 24, 3, stride=2, padding=1),  # 8 x 8
            "relu2": nn.ReLU(),
        }
        C, sides = 24, {}
        for name, widths in SMALL.items():
            features[f"inception{name}"] = Inception(C, widths)
            C = widths.out
            if auxiliary and name != "3c":
                mean = {"pool": GlobalAvgPool2d(), "linear": nn.Linear(C, num_classes)}
                sides[f"inception{name}"] = nn.Sequential(OrderedDict(mean))
        if head == "gap":
            classifier = {"pool5": GlobalAvgPool2d(), "linear": nn.Linear(C, num_classes)}
        else:
            classifier = {
                "flatten": nn.Flatten(),
                "fc": nn.Linear(C * 8 * 8, 128),
                "relu": nn.ReLU(),
                "linear": nn.Linear(128, num_classes),
            }
    shape = (in_channels, 32, 32)
    model = InceptionNet("GoogLeNet, small", features, classifier, sides, shape)
    return draw_weights(model, he, rng=rng).to(memory_format=torch.channels_last)
