"""What a box is called in training, and which boxes make up a mini-batch.

Most proposals show background. A mini-batch drawn from them as they come would have one object in
a hundred, and a detector trained on it would do well to say "background" always.
"""

from typing import Any, NamedTuple

import torch

from course_lib.detection.boxes import box_iou, check_boxes, namespace
from course_lib.shapes import check_shapes

__all__ = ["Assigned", "Sampling", "assign", "sample"]

OBJECT, BACKGROUND, IGNORED = 1, 0, -1


class Assigned(NamedTuple):
    """What R boxes are called: `labels` ``(R,)``, and `index` ``(R,)`` of the nearest true box.

    A label is 1 for an object, 0 for background, -1 for what is neither and is left out. The index
    is that of the true box with the largest overlap, of equal ones the first; 0 if there is none.
    """

    labels: Any
    index: Any


class Sampling(NamedTuple):
    """How a mini-batch is drawn: from each image so many boxes, up to a share of them objects.

    per_image  : boxes of an image
    share      : the most of them that are objects
    foreground : the IoU from which a box is an object
    background : the IoU from which, and below which, a box is background
    """

    per_image: int = 16
    share: float = 0.25
    foreground: float = 0.5
    background: tuple = (0.0, 0.5)


def assign(boxes, truth, foreground=0.5, background=(0.0, 0.5)):
    """Call boxes object or background, by their overlap with the nearest true box.

    Parameters
    ----------
    boxes : array or tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    truth : array or tensor, shape (n, 4)
        The objects of the image, of which there may be none.
    foreground : float
        A box is an object if its IoU is *at least* this.
    background : (float, float)
        It is background if its IoU is at least the first and *less* than the second.

    Returns
    -------
    Assigned
        Arrays or tensors of int64, as the boxes are. Where no objects are, all boxes have IoU 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`; and if the thresholds are not in order, from 0 to 1.

    References
    ----------
    R. Girshick (2015), "Fast R-CNN", section 2.3: from 0.5 on an object; background from 0.1 on,
    so that it is near an object and hard. Here the default is 0: few proposals need no choice.
    """
    low, high = background
    if not 0 <= low <= high <= foreground <= 1:
        raise ValueError(
            f"assign: `background` is {tuple(background)} and `foreground` {foreground}, expected "
            f"0 <= low <= high <= foreground <= 1"
        )
    check_boxes("assign", boxes=boxes, truth=truth)
    xp = namespace(boxes)
    if len(truth):
        iou = box_iou(boxes, truth)
        index = iou.argmax(1)
        best = xp.amax(iou, 1)
    else:
        best = boxes[:, 0] * 0
        index = xp.zeros_like(best, dtype=xp.int64)
    labels = xp.full_like(index, IGNORED)
    labels[(best >= low) & (best < high)] = BACKGROUND
    labels[best >= foreground] = OBJECT
    return Assigned(labels, index)


def sample(labels, count, *, share=0.25, generator=None):
    """Draw a mini-batch of boxes: objects up to a share of it, and background for the rest.

    With fewer objects than that there is more background; with less background there are fewer
    boxes in all.

    Parameters
    ----------
    labels : tensor of int, shape (R,)
        1 for an object, 0 for background, -1 for what must not be drawn, as :func:`assign` gives.
    count : int
        How many boxes.
    share : float
        The most of them that are objects, 0 to 1; rounded down, but 1 at least if there is one.
    generator : torch.Generator, optional
        Of the CPU; by default torch's own, which :func:`course_lib.training.fit` seeds.

    Returns
    -------
    tensor of int, shape (at most count,)
        Indices, objects first, on the device of the labels.

    Raises
    ------
    TypeError, ValueError
        If the labels are no such tensor, or the numbers have no meaning.

    References
    ----------
    Girshick (2015), section 2.3: 25 % objects; S. Ren et al. (2015), "Faster R-CNN", section
    3.1.3: up to half.
    """
    check_shapes("sample", labels=(labels, "R"))
    if not isinstance(count, int) or count < 1 or not 0 <= share <= 1:
        raise ValueError(
            f"sample: `count` is {count!r} and `share` {share!r}, expected 1 or more, and 0 to 1"
        )
    own = labels.cpu()
    most = max(int(share * count), 1) if share else 0
    objects = drawn(own == OBJECT, most, generator)
    others = drawn(own == BACKGROUND, count - len(objects), generator)
    return torch.cat([objects, others]).to(labels.device)


def drawn(mask, count, generator):
    """Return the indices of up to `count` entries that are true, without putting any back."""
    (rows,) = torch.where(mask)
    return rows[torch.randperm(len(rows), generator=generator)[:count]]
