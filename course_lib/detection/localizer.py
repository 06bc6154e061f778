"""Localization as regression: a classifier, and beside it a head that says where the object is.

Boxes of a localiser are in units of the image: x in widths and y in heights, from 0 to 1, so that
a network need not know how many pixels the image has.
"""

from collections import OrderedDict
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import nn

from course_lib.detection.regression import chosen_boxes
from course_lib.models.parts import draw_weights, he
from course_lib.shapes import check_floats, check_shapes
from course_lib.training import predict

__all__ = ["Localization", "Localizer", "Located", "box_head", "localizer"]

ATTACHMENTS = ("convolutions", "fully_connected")
CENTRE = (0.25, 0.25, 0.75, 0.75)  # the box that a fresh head gives, whatever the image


class Localization(NamedTuple):
    """What a :class:`Localizer` gives: scores ``(N, K)``, boxes ``(N, 4)`` or ``(N, K, 4)``."""

    scores: torch.Tensor
    boxes: torch.Tensor


class Located(NamedTuple):
    """One object an image: labels ``(N,)``, boxes ``(N, 4)`` in pixels, probabilities ``(N,)``."""

    labels: torch.Tensor
    boxes: torch.Tensor
    probabilities: torch.Tensor


def localizer(
    classifier,
    *,
    attach="convolutions",
    per_class=False,
    hidden=64,
    input_shape=None,
    rng=None,
):
    """Attach a fresh regression head to a classifier.

    This is the second of four steps: train a classifier; attach a head; train the head with a
    distance between boxes; at test time use both heads.

    Parameters
    ----------
    classifier : torch.nn.Module
        With the parts `features` and `classifier`, as most networks of :mod:`course_lib.models`
        have; or a residual network, which ends in a `head`. It is copied: what happens to the
        localiser does not happen to it.
    attach : {"convolutions", "fully_connected"}
        Whether the head reads the last maps, as in OverFeat and VGG, or the vector that the last
        fully connected layer reads, as in DeepPose.
    per_class : bool
        Whether there is one box for all classes, 4 numbers, or one for each of them, 4 K.
    hidden : int
        Units between what the head reads and its boxes.
    input_shape : (int, int, int), optional
        ``(C, H, W)`` of the images; by default that for which the classifier was made.
    rng : torch.Generator, optional
        For the weights of the head; by default one with the seed 0.

    Returns
    -------
    Localizer

    Raises
    ------
    TypeError
        If the classifier does not have the parts, or does not say its `input_shape`.
    ValueError
        If `attach` is neither of these, or `hidden` is less than 1.

    References
    ----------
    P. Sermanet et al. (2014), "OverFeat: Integrated Recognition, Localization and Detection using
    Convolutional Networks", section 4. K. Simonyan & A. Zisserman (2015), "Very Deep Convolutional
    Networks for Large-Scale Image Recognition", appendix A, which compares one box with one for
    each class.
    """
    if attach not in ATTACHMENTS:
        raise ValueError(
            f"localizer: `attach` is {attach!r}, expected 'convolutions' or 'fully_connected'"
        )
    shape = getattr(classifier, "input_shape", None) if input_shape is None else input_shape
    if shape is None:
        raise TypeError(
            f"localizer: {type(classifier).__name__} does not say for which images it is; give "
            f"`input_shape`, (C, H, W)"
        )
    copy = deepcopy(classifier)
    body, head = split(copy)
    weight = next(copy.parameters())
    return Localizer(body, head, attach, per_class, hidden, shape, rng).to(weight.device)


def split(classifier):
    """Return the convolutional body of a classifier, and the layers that end in its scores."""
    parts = dict(classifier.named_children())
    if {"features", "classifier"} <= parts.keys():
        body, head = parts["features"], parts["classifier"]
    elif "head" in parts and isinstance(classifier, nn.Sequential):
        head = parts.pop("head")
        body = nn.Sequential(OrderedDict(parts))
    else:
        body = head = None
    if not isinstance(head, nn.Sequential) or not isinstance(head[-1], nn.Linear):
        raise TypeError(
            f"localizer: {type(classifier).__name__} has the parts {', '.join(parts) or 'none'}, "
            f"expected `features` and `classifier`, or a Sequential with a `head`, that end in a "
            f"Linear layer"
        )
    return body, head


class Localizer(nn.Module):
    """A classifier with a regression head beside its own; made by :func:`localizer`.

    Its parts are `body`, from images to maps, `classifier`, from maps to scores, and `box_head`,
    from what `attach` says to boxes.
    """

    def __init__(self, body, classifier, attach, per_class, hidden, input_shape, rng=None):
        super().__init__()
        self.attach, self.input_shape = attach, tuple(input_shape)
        self.body, self.classifier = body, classifier
        self.num_classes = classifier[-1].out_features
        self.frozen = False
        values = self._read_values()
        self.box_head = box_head(
            values, self.num_classes if per_class else None, hidden=hidden, rng=rng
        )

    def _read_values(self):
        """Count the numbers that the head reads of one image."""
        weight = next(self.body.parameters())
        modes = {module: module.training for module in self.modules()}
        with torch.no_grad():
            blank = torch.zeros(1, *self.input_shape, device=weight.device, dtype=weight.dtype)
            values = self.eval().read(blank).shape[1]
        for module, mode in modes.items():
            module.training = mode
        return values

    @property
    def box_parameters(self):
        """How many weights and biases the regression head has."""
        return sum(p.numel() for p in self.box_head.parameters())

    def read(self, images):
        """Return what the regression head reads of images ``(N, C, H, W)``: a tensor ``(N, D)``."""
        maps = self.body(images)
        if self.attach == "fully_connected":
            maps = self.classifier[:-1](maps)
        return maps.flatten(1)

    def forward(self, images):
        """Return the :class:`Localization` of images ``(N, C, H, W)``.

        Raises
        ------
        TypeError, ValueError
            If `images` are not as `input_shape` says.
        """
        check_shapes("localizer", images=(images, "N C H W"))
        check_floats("localizer", images=images)
        if tuple(images.shape[1:]) != self.input_shape:
            raise ValueError(
                f"localizer: `images` has shape {tuple(images.shape)}, expected "
                f"(N, {', '.join(map(str, self.input_shape))}), as in `input_shape`"
            )
        maps = self.body(images)
        vector = self.classifier[:-1](maps)
        read = vector if self.attach == "fully_connected" else maps
        return Localization(self.classifier[-1](vector), self.box_head(read.flatten(1)))

    def freeze_body(self, frozen=True):
        """Let only the regression head learn from now on, or everything again; return self.

        The weights of the body and of the classifier get no gradient; and they stay in evaluation
        mode even while the localiser trains: nothing is dropped out, and batch normalisation
        neither uses the statistics of a batch nor updates its own.
        """
        self.frozen = frozen
        for part in (self.body, self.classifier):
            part.requires_grad_(not frozen)
        return self.train(self.training)

    def train(self, mode=True):
        """Set the mode, except that frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
            self.classifier.eval()
        return self

    def features(self, images, *, batch_size=256, device=None):
        """Return what the regression head reads, computed once: train `box_head` on it in no time.

        The body must be frozen in fact, if not by :meth:`freeze_body`: when it learns, these
        numbers are of yesterday.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W)
        batch_size, device
            As in :func:`course_lib.training.predict`.

        Returns
        -------
        torch.Tensor, shape (N, D)
            In evaluation mode, without gradients, on the CPU.

        Examples
        --------
        >>> model = localizer(classifier)
        >>> fit(model.box_head, model.features(images), (labels, boxes), loss=regression_loss, ...)
        """
        return predict(Reader(self), images, batch_size=batch_size, device=device)

    def locate(self, images, *, batch_size=256, device=None):
        """Return the most probable class of each image, and its box in pixels.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W)
        batch_size, device
            As in :func:`course_lib.training.predict`.

        Returns
        -------
        Located
            On the CPU; boxes are cut at the border of the image.
        """
        scores, boxes = predict(self, images, batch_size=batch_size, device=device)
        best, labels = scores.softmax(1).max(1)
        _, H, W = self.input_shape
        first, last = chosen_boxes(boxes, labels).clip(0, 1).split(2, dim=1)
        boxes = torch.cat([first, torch.maximum(first, last)], 1)
        return Located(labels, boxes * boxes.new_tensor([W, H, W, H]), best)


class Reader(nn.Module):
    """A localiser up to what its regression head reads."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        """Return ``(N, D)``."""
        return self.model.read(images)


def box_head(values, count=None, *, hidden=64, rng=None):
    """Build a regression head: two fully connected layers, a ReLU between them, and boxes.

    Parameters
    ----------
    values : int
        D, the numbers that it reads of an image.
    count : int, optional
        Boxes for an image: one for each class, or for each of so many objects. By default one box,
        without an axis for it.
    hidden : int
        Units of the first layer.
    rng : torch.Generator, optional
        For the weights, by He; those of the last layer have a standard deviation of 0.01, and its
        biases are those of a box in the middle of the image. By default one with the seed 0.

    Returns
    -------
    torch.nn.Sequential
        From ``(N, D)`` to ``(N, 4)``, or ``(N, count, 4)``; ``x1 y1 x2 y2`` in units of the image.

    Raises
    ------
    ValueError
        If a number is less than 1.
    """
    for name, value in {"values": values, "count": count, "hidden": hidden}.items():
        if value is not None and value < 1:
            raise ValueError(f"box_head: `{name}` is {value!r}, expected 1 or more")
    boxes = 1 if count is None else count
    parts = OrderedDict()
    with torch.device("meta"):
        parts["fc1"] = nn.Linear(values, hidden)
        parts["relu1"] = nn.ReLU()
        parts["fc2"] = last = nn.Linear(hidden, 4 * boxes)
        if count is not None:
            parts["boxes"] = nn.Unflatten(1, (count, 4))
    head = nn.Sequential(parts)
    draw_weights(head, lambda layer, fan: 0.01 if layer is last else he(layer, fan), rng=rng)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(CENTRE).repeat(boxes))
    return head
