"""What Fast and Faster R-CNN say of a region: a class, and where the object really is.

Both are read off one vector by two linear layers, and learnt together: the loss is that of the
class plus, for regions that show an object, that of the box.
"""

from typing import NamedTuple

import torch
from torch import nn

from course_lib.detection.boxes import box_decode, box_encode, clip_boxes
from course_lib.detection.nms import batched_nms
from course_lib.models.parts import draw_weights
from course_lib.shapes import check_shapes
from course_lib.torch_layers import cross_entropy, smooth_l1

__all__ = ["BOX_WEIGHTS", "DetectionLosses", "RoIHead", "detection_losses"]

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # bring the offsets of proposals to a spread of about 1


class DetectionLosses(NamedTuple):
    """The two parts of the loss, scalars; their sum is what to make small."""

    classification: torch.Tensor
    regression: torch.Tensor


class RoIHead(nn.Module):
    """Two linear layers side by side: scores for K classes and the background, and K boxes.

    Parameters
    ----------
    width : int
        D, the numbers of a region's vector.
    num_classes : int
        K, without the background, which is the last class.
    rng : torch.Generator, optional
        For the weights, of standard deviation 0.01 for the classes and 0.001 for the boxes; by
        default one with the seed 0.
    """

    def __init__(self, width, num_classes, *, rng=None):
        super().__init__()
        self.num_classes = num_classes
        with torch.device("meta"):
            self.classes = nn.Linear(width, num_classes + 1)
            self.boxes = nn.Linear(width, 4 * num_classes)
        draw_weights(self, lambda layer, fan: 0.001 if layer is self.boxes else 0.01, rng=rng)

    def forward(self, vectors):
        """Return scores ``(R, K + 1)`` and offsets ``(R, K, 4)`` of vectors ``(R, D)``."""
        return self.classes(vectors), self.boxes(vectors).unflatten(1, (-1, 4))


def detection_losses(scores, deltas, labels, boxes, truth, *, weights=BOX_WEIGHTS):
    r"""Return the multi-task loss of regions, in its two parts.

    .. math::
        L = \frac{1}{R} \sum_r -\log p_{r, u_r}
          + \frac{1}{R} \sum_{r: u_r < K} \sum_{i} \text{smooth}_{L_1}(t_{r, u_r, i} - v_{r, i})

    Only the offsets t for the true class u count, and none of a region that shows background. Both
    sums are divided by all R regions, so that the objects of a batch weigh more the more they are.

    Parameters
    ----------
    scores : tensor, shape (R, K + 1)
        Before any softmax.
    deltas : tensor, shape (R, K, 4)
        Offsets from each region to its object, for each class it could be of.
    labels : tensor of int, shape (R,)
        0 to K - 1, or K for background.
    boxes : tensor, shape (R, 4)
        The regions, ``x1 y1 x2 y2`` in pixels.
    truth : tensor, shape (R, 4)
        The box of the object that each shows; of background it is not read.
    weights : four floats
        What the true offsets are multiplied with.

    Returns
    -------
    DetectionLosses
        0 for no regions, with a gradient of 0.

    Raises
    ------
    TypeError, ValueError
        If the shapes disagree, a label is no class, or a box has no area.

    References
    ----------
    R. Girshick (2015), "Fast R-CNN", section 2.3, eqs. 1 to 3, with lambda = 1.
    """
    check_shapes(
        "detection_losses",
        deltas=(deltas, "R K 4"),
        labels=(labels, "R"),
        boxes=(boxes, "R 4"),
        truth=(truth, "R 4"),
        scores=(scores, "R S"),
    )
    R, K, _ = deltas.shape
    check_shapes("detection_losses", scores=(scores, f"R {K + 1}"))
    nothing = deltas.sum() * 0
    if not R:
        return DetectionLosses(scores.sum() * 0, nothing)
    classification = cross_entropy(scores, labels)
    (rows,) = torch.where(labels < K)
    if not len(rows):
        return DetectionLosses(classification, nothing)
    targets = box_encode(truth[rows], boxes[rows], weights=weights).to(deltas.dtype)
    each = smooth_l1(deltas[rows, labels[rows]], targets)  # the mean over 4 len(rows) offsets
    return DetectionLosses(classification, each * (4 * len(rows) / R))


def decoded(deltas, boxes, size, weights=BOX_WEIGHTS):
    """Return the boxes ``(R, K, 4)`` that offsets ``(R, K, 4)`` make of regions, cut at `size`."""
    R, K, _ = deltas.shape
    starts = boxes[:, None].expand(R, K, 4).reshape(-1, 4)
    moved = box_decode(deltas.reshape(-1, 4), starts, weights=weights)
    return clip_boxes(moved, size).reshape(R, K, 4)


def best_of_each_class(boxes, scores, *, score_threshold, nms_threshold, limit):
    """Return the detections of an image: of each class those that suppress the others.

    Parameters
    ----------
    boxes : tensor, shape (R, K, 4)
    scores : tensor, shape (R, K)
        Of each region for each class; the background is left out.

    Returns
    -------
    dict
        ``boxes`` ``(M, 4)``, ``labels`` ``(M,)`` and ``scores`` ``(M,)``, best first, on the CPU.
    """
    boxes, scores = boxes.float().cpu(), scores.float().cpu()
    rows, labels = torch.where(scores > score_threshold)
    boxes, scores = boxes[rows, labels], scores[rows, labels]
    kept = batched_nms(boxes, scores, labels, nms_threshold)[:limit]
    return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


def check_finite(where, *answers):
    """Raise unless all that a network says of regions are finite numbers."""
    if not all(bool(answer.isfinite().all()) for answer in answers):
        raise ValueError(
            f"{where}: the network's answers are not all finite numbers; look for NaN in the "
            f"images and in the weights, where a training that diverged leaves them"
        )


def none_found():
    """Return the detections of an image in which there is nothing to look at."""
    return {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "scores": torch.zeros(0),
    }
