"""Localization as regression: a classifier, and beside it a head that says where the object is.

Boxes of a localizer are in units of the image: x in widths and y in heights, from 0 to 1, so that
a network need not know how many pixels the image has.
"""

from collections import OrderedDict
from copy import deepcopy
from itertools import permutations
from typing import NamedTuple

import torch
from torch import nn

from course_lib.detection.boxes import area, check_one_kind, namespace
from course_lib.models.parts import draw_weights, he
from course_lib.shapes import check_floats, check_labels, check_shapes
from course_lib.torch_layers import cross_entropy, smooth_l1
from course_lib.training import predict

__all__ = [
    "Localization",
    "Localizer",
    "Located",
    "box_head",
    "chosen_boxes",
    "localization_error",
    "localization_loss",
    "localizer",
    "objects_iou",
    "objects_loss",
    "paired_iou",
    "regression_loss",
]

ATTACHMENTS = ("convolutions", "fully_connected")
DISTANCES = ("l2", "smooth_l1")
ORDERS = ("given", "sorted", "best")
CENTRE = (0.25, 0.25, 0.75, 0.75)  # the box that a fresh head gives, whatever the image
MOST_OBJECTS = 6  # of which all orders are tried: 720


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
        localizer does not happen to it.
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
        mode even while the localizer trains: nothing is dropped out, and batch normalization
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
    """A localizer up to what its regression head reads."""

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


def chosen_boxes(boxes, labels):
    """Return one box an image: the only one, or that of the class in `labels`.

    Parameters
    ----------
    boxes : torch.Tensor, shape (N, 4) or (N, K, 4)
    labels : torch.Tensor of int, shape (N,)
        The true class in training, the predicted one at test time.

    Returns
    -------
    torch.Tensor, shape (N, 4)

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or a label is no class.
    """
    if boxes.ndim == 2:
        check_shapes("chosen_boxes", boxes=(boxes, "N 4"), labels=(labels, "N"))
        return boxes
    check_shapes("chosen_boxes", boxes=(boxes, "N K 4"), labels=(labels, "N"))
    if len(labels):
        check_labels("chosen_boxes", labels, boxes.shape[1])
    return boxes[torch.arange(len(boxes), device=boxes.device), labels]


def regression_loss(boxes, targets, *, box_loss="l2", beta=0.05):
    """Return how far the boxes are from the true ones: the mean over images of a distance.

    Parameters
    ----------
    boxes : torch.Tensor, shape (N, 4) or (N, K, 4)
        What a regression head gives; of K boxes, only that of the true class is asked for.
    targets : (torch.Tensor of int, torch.Tensor), shapes (N,) and (N, 4)
        The true classes and boxes.
    box_loss : {"l2", "smooth_l1"}
        The sum over the four coordinates of the squared error, or of the smooth L1 of it.
    beta : float
        Where smooth L1 goes from squared to absolute, in units of the image: its usual 1 would be
        the whole image, and everything squared.

    Returns
    -------
    torch.Tensor
        A scalar.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or `box_loss` is neither of these.
    """
    labels, truth = targets
    check_shapes("regression_loss", labels=(labels, "N"), truth=(truth, "N 4"))
    return 4 * distance("regression_loss", chosen_boxes(boxes, labels), truth, box_loss, beta)


def distance(where, boxes, truth, box_loss, beta):
    """Return the mean over all coordinates of one of the two distances."""
    if box_loss not in DISTANCES:
        raise ValueError(f"{where}: `box_loss` is {box_loss!r}, expected 'l2' or 'smooth_l1'")
    if box_loss == "smooth_l1":
        return smooth_l1(boxes, truth, beta=beta)
    return ((boxes - truth) ** 2).mean()


def localization_loss(output, targets, *, box_loss="l2", weight=1.0, beta=0.05):
    """Return the loss of both heads: cross-entropy plus `weight` times the loss of the boxes.

    Parameters
    ----------
    output : Localization, or the pair of its tensors
    targets : (torch.Tensor of int, torch.Tensor), shapes (N,) and (N, 4)
        The true classes and boxes.
    weight : float
        Of the boxes.
    box_loss, beta
        As in :func:`regression_loss`.

    Returns
    -------
    torch.Tensor
        A scalar. With a frozen body, only its second part has a gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`regression_loss`.
    """
    scores, boxes = output
    labels, _ = targets
    where = regression_loss(boxes, targets, box_loss=box_loss, beta=beta)
    return cross_entropy(scores, labels) + weight * where


def localization_error(scores, boxes, labels, truth, *, guesses=5, iou_threshold=0.5):
    """Return the share of images that are localized wrong, by the rule of ImageNet.

    For each image there are some guesses, each a class and a box. The image is right if one of
    them, the same one, has the right class and a box that overlaps a true one enough.

    Parameters
    ----------
    scores : torch.Tensor, shape (N, K)
        The guessed classes are those with the highest scores.
    boxes : torch.Tensor, shape (N, 4) or (N, K, 4)
        The box of all guesses, or one for each class; a box inside out has no area.
    labels : torch.Tensor or array of int, shape (N,)
    truth : torch.Tensor or array, shape (N, 4), or a sequence of N of shape (n, 4)
        Where an image shows several objects of its class, any of them will do.
    guesses : int
        1 for the top-1 error, 5 for ImageNet's; at most K.
    iou_threshold : float
        The overlap that is enough.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, there is no image, or there are not so many classes to guess.

    References
    ----------
    O. Russakovsky et al. (2015), "ImageNet Large Scale Visual Recognition Challenge", section 4.2.
    """
    where = "localization_error"
    labels = as_tensor(labels)
    check_shapes(where, scores=(scores, "N K"), labels=(labels, "N"))
    N, K = scores.shape
    check_labels(where, labels, K)
    if boxes.ndim == 2:
        check_shapes(where, scores=(scores, "N K"), boxes=(boxes, "N 4"))
        boxes = boxes[:, None].expand(N, K, 4)
    check_shapes(where, scores=(scores, "N K"), boxes=(boxes, "N K 4"))
    if not 1 <= guesses <= K:
        raise ValueError(f"{where}: `guesses` is {guesses!r}, expected 1 .. {K}, as many classes")
    if len(truth) != N:
        raise ValueError(f"{where}: `truth` has {len(truth)} rows, expected {N} as in `scores`")

    named = scores.topk(guesses, dim=1).indices.cpu() == labels.cpu()[:, None]
    # Of the guesses only the one with the right class can be right: its box is that of the class.
    boxes = chosen_boxes(boxes.detach().cpu(), labels.cpu().long())
    right = 0
    for guessed, box, objects in zip(named.any(1), boxes, truth, strict=True):
        objects = as_tensor(objects).cpu().reshape(-1, 4)
        overlaps = paired_iou(box.expand(len(objects), 4), objects.to(box.dtype))
        right += bool(guessed and (overlaps >= iou_threshold).any())
    return 1 - right / N


def as_tensor(array):
    """Return a tensor as it is, and an array, which may be read-only, as a tensor of its own."""
    return array if isinstance(array, torch.Tensor) else torch.tensor(array)


def paired_iou(boxes, truth):
    """Return the overlap of each box with its own true one.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` as a regressor gives them: one inside out has no area, and overlaps nothing.
    truth : array or tensor, shape (R, 4)
        In the same unit.

    Returns
    -------
    array or tensor, shape (R,)

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or one is an array and the other a tensor.
    """
    check_shapes("paired_iou", boxes=(boxes, "R 4"), truth=(truth, "R 4"))
    check_one_kind("paired_iou", boxes=boxes, truth=truth)
    xp = namespace(boxes)
    first, last = xp.maximum(boxes, truth)[:, :2], xp.minimum(boxes, truth)[:, 2:]
    sides = (last - first).clip(min=0)
    common = sides[:, 0] * sides[:, 1]
    own = (boxes[:, 2:] - boxes[:, :2]).clip(min=0)
    either = own[:, 0] * own[:, 1] + area(truth) - common
    return common / xp.where(either > 0, either, 1)


def objects_loss(boxes, truth, *, order="given", box_loss="l2", beta=0.05):
    """Return how far M boxes an image are from its M objects, which come in some order.

    A list of objects has an order, a scene has none: of two orders that occur equally often, the
    best answer to a squared error is the mean, a box where no object is.

    Parameters
    ----------
    boxes, truth : torch.Tensor, shape (N, M, 4)
        In units of the image.
    order : {"given", "sorted", "best"}
        Box i answers for the i-th object as given; for the i-th from the left, by its centre; or
        for that object of the assignment, among all ``M!``, which costs an image the least.
    box_loss, beta
        As in :func:`regression_loss`.

    Returns
    -------
    torch.Tensor
        A scalar: the mean over images and objects.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, an option is none of these, or there are more than 6 objects
        to try all orders of.
    """
    check_objects("objects_loss", boxes, truth)
    if order not in ORDERS:
        raise ValueError(
            f"objects_loss: `order` is {order!r}, expected 'given', 'sorted' or 'best'"
        )
    if order == "sorted":
        left_first = (truth[..., 0] + truth[..., 2]).argsort(dim=1, stable=True)
        truth = truth.gather(1, left_first[..., None].expand_as(truth))
    if order == "best" and truth.shape[1] > 1:
        rows = torch.arange(len(truth), device=truth.device)[:, None]
        with torch.no_grad():
            costs = torch.stack(
                [each_distance(boxes, truth[:, p], box_loss, beta) for p in orders(truth)]
            )
            best = torch.tensor(orders(truth), device=truth.device)[costs.argmin(0)]
        truth = truth[rows, best]
    return 4 * distance("objects_loss", boxes, truth, box_loss, beta)


def orders(truth):
    """Return all orders of the M objects of ``(N, M, 4)``, as lists."""
    return [list(p) for p in permutations(range(truth.shape[1]))]


def each_distance(boxes, truth, box_loss, beta):
    """Return the mean distance of each image, ``(N,)``."""
    if box_loss == "l2":
        each = (boxes - truth) ** 2
    else:
        each = nn.functional.smooth_l1_loss(boxes, truth, beta=beta, reduction="none")
    return each.mean((1, 2))


def check_objects(where, boxes, truth):
    """Raise unless both hold as many boxes for as many images, and few enough."""
    check_shapes(where, boxes=(boxes, "N M 4"), truth=(truth, "N M 4"))
    M = boxes.shape[1]
    if not 1 <= M <= MOST_OBJECTS:
        raise ValueError(f"{where}: {M} objects an image, expected 1 .. {MOST_OBJECTS}")


def objects_iou(boxes, truth):
    """Return the mean overlap of the objects with the boxes that the best assignment gives them.

    Parameters
    ----------
    boxes, truth : torch.Tensor, shape (N, M, 4)

    Returns
    -------
    torch.Tensor, shape (N,)
        For each image the mean over its objects, under that of the ``M!`` assignments for which it
        is the largest.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or there are more than 6 objects.
    """
    check_objects("objects_iou", boxes, truth)
    N, M, _ = truth.shape
    flat = boxes.reshape(-1, 4)
    means = [
        paired_iou(flat, truth[:, p].reshape(-1, 4)).reshape(N, M).mean(1) for p in orders(truth)
    ]
    return torch.stack(means).amax(0)
