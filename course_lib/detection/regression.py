"""What a regressor of boxes is trained with and judged by, for one object an image or for several.

Losses take boxes in units of the image: x in widths and y in heights, from 0 to 1.
"""

from itertools import permutations

import torch
from torch.nn import functional

from course_lib.detection.boxes import paired_iou
from course_lib.shapes import check_labels, check_shapes
from course_lib.torch_layers import cross_entropy, smooth_l1

__all__ = [
    "chosen_boxes",
    "localization_error",
    "localization_loss",
    "objects_iou",
    "objects_loss",
    "regression_loss",
]

DISTANCES = ("l2", "smooth_l1")
ORDERS = ("given", "sorted", "best")
MOST_OBJECTS = 6  # of which all orders are tried: 720


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
    """Return the share of images that are localised wrong, by the rule of ImageNet.

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
        each = functional.smooth_l1_loss(boxes, truth, beta=beta, reduction="none")
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
