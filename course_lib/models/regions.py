"""Bodies of region-based detectors: layers that see the whole image, and a head for each region.

R-CNN runs all of it on every region, cut out and warped. Fast and Faster R-CNN run the first part
once an image, and only the head once a region, on what RoI pooling cuts out of the maps.
"""

from collections import OrderedDict

import torch
from torch import nn

from course_lib.models.parts import check_images, draw_weights, he

__all__ = ["RegionNet", "classifier", "digit_regions", "resnet_regions", "vgg16_regions"]

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of torchvision's weights


class RegionNet(nn.Module):
    """A network in two parts: `features`, from images to maps, and `head`, from regions to vectors.

    Parameters
    ----------
    name : str
        Of the network, for errors and tables.
    stages : dict of str to nn.Module
        The parts of `features`, in the order in which they run: what :meth:`freeze` counts.
    head : nn.Module
        From ``(R, C, PH, PW)`` to ``(R, D)``.
    stride : int
        Of the maps, in pixels.
    channels : int
        C of the maps.
    output_size : (int, int)
        PH and PW, what regions of the maps are pooled to.
    width : int
        D of the vectors.
    window : (int, int)
        Rows and columns, in pixels, that R-CNN warps a region to.
    input_channels : int
    fill : sequence of float
        The colour of "no image", `input_channels` numbers: what the features see as 0.

    Raises
    ------
    ValueError
        If the parts do not fit together; the error says how.

    References
    ----------
    R. Girshick (2015), "Fast R-CNN", section 2.2, which cuts a classifier in two like this.
    """

    def __init__(
        self,
        name,
        stages,
        head,
        *,
        stride,
        channels,
        output_size,
        width,
        window,
        input_channels,
        fill=None,
    ):
        super().__init__()
        self.name = name
        self.features = nn.Sequential(OrderedDict(stages))
        self.head = head
        self.stride, self.channels, self.width = stride, channels, width
        self.output_size, self.window = tuple(output_size), tuple(window)
        self.input_channels, self.frozen = input_channels, 0
        self.register_buffer(
            "fill", torch.zeros(input_channels) if fill is None else torch.tensor(fill)
        )

    def forward(self, images):
        """Return a vector ``(N, D)`` for each image ``(N, C, H, W)``, taken as one region.

        Raises
        ------
        TypeError, ValueError
            If `images` do not hold such images.
        """
        return self.head(self.pooled(images))

    def pooled(self, images):
        """Return the maps of each image, pooled to `output_size`: what the head reads."""
        check_images(self.name, images, (self.input_channels, *self.window))
        return nn.functional.adaptive_max_pool2d(self.features(images), self.output_size)

    def freeze(self, stages=None):
        """Let the first stages of `features` learn no more; return self.

        They get no gradient, and stay in evaluation mode while the rest trains.

        Parameters
        ----------
        stages : int, optional
            How many: by default all, and the head is all that learns; 0 lets everything learn
            again. What a body never trains, such as normalisation, stays as it is.

        Raises
        ------
        ValueError
            If there are not so many.
        """
        count = len(self.features)
        stages = count if stages is None else stages
        if not isinstance(stages, int) or not 0 <= stages <= count:
            raise ValueError(
                f"{self.name}: `stages` is {stages!r}, expected 0 to {count}: "
                f"{', '.join(name for name, _ in self.features.named_children())}"
            )
        self.frozen = stages
        for i, stage in enumerate(self.features):
            stage.requires_grad_(i >= stages)
        return self.train(self.training)

    def train(self, mode=True):
        """Set the mode, except that frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in self.features[: self.frozen]:
            stage.eval()
        return self


class Standardize(nn.Module):
    """Subtract a mean from each channel of images, and divide by a standard deviation."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, x):
        """Return images of the same shape."""
        return (x - self.mean) / self.std


def classifier(body, num_classes, *, rng=None):
    """Put a linear layer on a body, to train it on images of one object each.

    So R-CNN and those after it begin: with a body that knows what objects look like.

    Parameters
    ----------
    body : RegionNet
        It is not copied: as the classifier learns, so does the body.
    num_classes : int
    rng : torch.Generator, optional
        For the weights of the linear layer, of standard deviation 0.01; by default one with the
        seed 0.

    Returns
    -------
    torch.nn.Module
        From images ``(N, C, H, W)``, best of the size `body.window`, to scores
        ``(N, num_classes)``; with the parts `body` and `classifier`.

    Raises
    ------
    ValueError
        If `num_classes` is less than 1.

    Examples
    --------
    >>> body = digit_regions()
    >>> fit(classifier(body, 10), windows, labels, epochs=6, schedule="one-cycle")
    """
    if num_classes < 1:
        raise ValueError(f"classifier: `num_classes` is {num_classes}, expected 1 or more")
    with torch.device("meta"):
        last = nn.Linear(body.width, num_classes)
    draw_weights(last, 0.01, rng=rng, device=body.fill.device)
    return nn.Sequential(OrderedDict(body=body, classifier=last))


def digit_regions(*, widths=(16, 32, 48), hidden=128, in_channels=1, rng=None):
    """Build a body for digits of about 8 to 28 pixels in images of any size; it learns in seconds.

    Three convolutions, of which the first two have stride 2 and so take the place of pools, and one
    fully connected layer.

    Parameters
    ----------
    widths : (int, int, int)
        Maps of the convolutions.
    hidden : int
        D, units of the fully connected layer.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    RegionNet
        Of stride 4; regions are pooled to 4 x 4, windows are 32 x 32. Its stages are ``stage1`` to
        ``stage3``, a convolution each.
    """
    C, (C1, C2, C3) = in_channels, widths
    with torch.device("meta"):
        stages = {
            "stage1": stage(conv1=nn.Conv2d(C, C1, 5, stride=2, padding=2), relu1=nn.ReLU()),
            "stage2": stage(conv2=nn.Conv2d(C1, C2, 3, stride=2, padding=1), relu2=nn.ReLU()),
            "stage3": stage(conv3=nn.Conv2d(C2, C3, 3, padding=1), relu3=nn.ReLU()),
        }
        head = stage(flatten=nn.Flatten(), fc4=nn.Linear(C3 * 4 * 4, hidden), relu4=nn.ReLU())
    draw_weights(nn.ModuleList([*stages.values(), head]), he, rng=rng)
    return RegionNet(
        "digit regions",
        stages,
        head,
        stride=4,
        channels=C3,
        output_size=(4, 4),
        width=hidden,
        window=(32, 32),
        input_channels=in_channels,
    )


def vgg16_regions(weights=None):
    """Build the body of VGG-16, as Fast R-CNN cuts it: RoI pooling takes the place of ``pool5``.

    Parameters
    ----------
    weights : optional
        As for torchvision's ``vgg16``: ``"IMAGENET1K_V1"`` for weights trained on ImageNet, which
        torchvision downloads once; by default none, drawn at random with the seed 0.

    Returns
    -------
    RegionNet
        For colour images in 0..1, which it standardises itself. Of stride 16; regions are pooled to
        7 x 7; the head is fc6 and fc7, with dropout. Its stages are ``stage1`` to ``stage5``; the
        papers of Fast and Faster R-CNN train all but the first two.

    Raises
    ------
    OSError
        If the weights cannot be had.

    References
    ----------
    Girshick (2015), "Fast R-CNN", sections 2.2 and 4.5.
    """
    from torchvision.models import vgg16  # imported here: it takes a second, and few need it

    model = built(vgg16, weights)
    layers, ends = list(model.features), [5, 10, 17, 24, 30]  # behind each pool; without the last
    stages, start = {}, 0
    for i, end in enumerate(ends, start=1):
        stages[f"stage{i}"] = nn.Sequential(*layers[start:end])
        start = end
    stages["stage1"] = nn.Sequential(Standardize(**IMAGENET), *stages["stage1"])
    head = nn.Sequential(nn.Flatten(), *list(model.classifier)[:-1])
    return RegionNet(
        "VGG-16 regions",
        stages,
        head,
        stride=16,
        channels=512,
        output_size=(7, 7),
        width=4096,
        window=(224, 224),
        input_channels=3,
        fill=IMAGENET["mean"],
    )


def resnet_regions(depth=50, weights=None):
    """Build the body of a residual network: up to its third stage the maps, the fourth a head.

    Batch normalisation is frozen, as is usual in detectors: a batch of two images has no statistics
    to speak of, so that it only scales and shifts.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    weights : optional
        As for torchvision's ``resnet50`` and so on, ``"IMAGENET1K_V1"`` for example, which
        torchvision downloads once; by default none, drawn at random with the seed 0.

    Returns
    -------
    RegionNet
        For colour images in 0..1, which it standardises itself. Of stride 16; regions are pooled to
        14 x 14, which the head halves; its vectors are means over 7 x 7. Its stages are ``stem``,
        ``layer1``, ``layer2`` and ``layer3``.

    Raises
    ------
    ValueError
        If there is no such network.
    OSError
        If the weights cannot be had.

    References
    ----------
    He et al. (2015), "Deep Residual Learning for Image Recognition", appendix A.
    """
    from torchvision import models
    from torchvision.ops import FrozenBatchNorm2d

    if depth not in (18, 34, 50, 101, 152):
        raise ValueError(f"resnet_regions: `depth` is {depth!r}, expected 18, 34, 50, 101 or 152")
    model = built(vars(models)[f"resnet{depth}"], weights, norm_layer=FrozenBatchNorm2d)
    stem = nn.Sequential(Standardize(**IMAGENET), model.conv1, model.bn1, model.relu, model.maxpool)
    parts = {"layer1": model.layer1, "layer2": model.layer2, "layer3": model.layer3}
    width = model.fc.in_features
    return RegionNet(
        f"ResNet-{depth} regions",
        {"stem": stem, **parts},
        nn.Sequential(model.layer4, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        stride=16,
        channels=width // 2,
        output_size=(14, 14),
        width=width,
        window=(224, 224),
        input_channels=3,
        fill=IMAGENET["mean"],
    )


def stage(**layers):
    """Return layers in a row, with their names."""
    return nn.Sequential(OrderedDict(layers))


def built(build, weights, **options):
    """Return a model of torchvision; random weights have the seed 0, and disturb no generator."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        try:
            return build(weights=weights, **options)
        except OSError as error:
            raise OSError(
                f"{build.__name__}: the weights {weights!r} could not be had ({error}); download "
                f"them on a machine with a network, put them into the folder "
                f"{torch.hub.get_dir()}/checkpoints, or go on with weights=None"
            ) from error
