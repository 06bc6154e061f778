"""Images of several sizes and their objects: checked at the door, and put into one batch."""

from typing import NamedTuple

import numpy as np
import torch

from course_lib.detection.boxes import check_boxes, clip_boxes
from course_lib.shapes import check_array, check_floats

__all__ = ["ImageBatch", "padded_batch"]

LEAST = 1.0  # pixels: a region with a shorter side holds no pixel to look at


class ImageBatch(NamedTuple):
    """Images ``(N, C, H, W)`` at a common size, and the N sizes (H, W) that they had, in pixels."""

    images: torch.Tensor
    sizes: list


def padded_batch(images, *, fill=None):
    """Put images of several sizes into one tensor: each in the upper left corner, padded.

    A convolution sees the padding beyond an image's border as it sees its own padding, at first: it
    is what the network takes for nothing. After one layer it is no longer 0 there, but what that
    layer makes of nothing, so that maps near a padded border differ a little from those of the
    image alone. Boxes need no change; cut them at the size of their own image.

    Parameters
    ----------
    images : sequence of N tensors, shape (C, H, W)
        Of one C, one type and one device.
    fill : tensor, shape (C,), optional
        The colour to pad with, as :class:`course_lib.models.RegionNet` has it; by default 0.

    Returns
    -------
    ImageBatch
        As large as the largest height and the largest width.

    Raises
    ------
    ValueError
        If there are no images, or they differ in their channels.

    Examples
    --------
    >>> batch = padded_batch([torch.ones(1, 4, 6), torch.ones(1, 5, 3)])
    >>> batch.images.shape, batch.sizes
    (torch.Size([2, 1, 5, 6]), [(4, 6), (5, 3)])
    """
    channels = {len(image) for image in images}
    if len(channels) != 1:
        raise ValueError(
            f"padded_batch: {len(images)} images of {sorted(channels)} channels, expected at least "
            f"one, and all of as many channels"
        )
    sizes = [tuple(image.shape[1:]) for image in images]
    if len(set(sizes)) == 1:
        return ImageBatch(torch.stack(list(images)), sizes)
    H, W = (max(lengths) for lengths in zip(*sizes, strict=True))
    batch = images[0].new_zeros(len(images), *channels, H, W)
    if fill is not None:
        batch += fill.to(batch)[:, None, None]
    for place, image, (h, w) in zip(batch, images, sizes, strict=True):
        place[:, :h, :w] = image
    return ImageBatch(batch, sizes)


def image_list(where, images, channels, dtype=torch.float32):
    """Return images as a list of tensors ``(C, H, W)``, or say which of them is none.

    Parameters
    ----------
    images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
    """
    if hasattr(images, "ndim") and images.ndim != 4:
        raise ValueError(
            f"{where}: `images` has shape {tuple(images.shape)}, expected (N, {channels}, H, W), "
            f"or a list of ({channels}, H, W)"
        )
    taken = []
    for n, image in enumerate(images):
        check_array(where, f"images[{n}]", image)
        if image.ndim != 3 or image.shape[0] != channels or 0 in image.shape:
            raise ValueError(
                f"{where}: image {n} has shape {tuple(image.shape)}, expected ({channels}, H, W) "
                f"with at least one row and one column"
            )
        check_floats(where, **{f"images[{n}]": image})
        taken.append(as_tensor(image).to(dtype))
    return taken


def target_list(where, images, targets, num_classes):
    """Return targets as dicts of tensors, float32 boxes cut at the image's border, int64 labels.

    An object wholly outside of its image, or without area, is an error: nothing shows it.
    """
    check_as_many(where, "targets", targets, images)
    taken = []
    for n, (image, target) in enumerate(zip(images, targets, strict=True)):
        boxes = as_tensor(target["boxes"]).reshape(-1, 4).to(torch.float32)
        labels = as_tensor(target["labels"]).reshape(-1)
        if len(labels) != len(boxes):
            raise ValueError(
                f"{where}: target {n} has {len(boxes)} boxes and {len(labels)} labels, expected as "
                f"many"
            )
        if len(labels) and (
            labels.is_floating_point() or labels.min() < 0 or labels.max() >= num_classes
        ):
            raise ValueError(
                f"{where}: the labels of target {n} are {labels.tolist()}, expected integers from "
                f"0 to {num_classes - 1}; the background, {num_classes}, is no object"
            )
        check_boxes(where, **{f"targets[{n}]": boxes})
        boxes = clip_boxes(boxes, image.shape[1:])
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
        if flat.any():
            row = flat.tolist().index(True)
            raise ValueError(
                f"{where}: box {row} of target {n} has no area in its image of {image.shape[1]} x "
                f"{image.shape[2]}; drop such objects first"
            )
        taken.append({"boxes": boxes, "labels": labels.long()})
    return taken


def proposal_list(where, images, proposals):
    """Return proposals as tensors, cut at their images' borders, without those of no pixel."""
    check_as_many(where, "proposals", proposals, images)
    taken = []
    for n, (image, boxes) in enumerate(zip(images, proposals, strict=True)):
        boxes = as_tensor(boxes).reshape(-1, 4).to(torch.float32)
        check_boxes(where, **{f"proposals[{n}]": boxes})
        boxes = clip_boxes(boxes, image.shape[1:])
        taken.append(boxes[(boxes[:, 2:] - boxes[:, :2] >= LEAST).all(1)])
    return taken


def check_as_many(where, name, values, images):
    """Raise unless there is one of `values` for each image."""
    if len(values) != len(images):
        raise ValueError(
            f"{where}: there are {len(images)} images and {len(values)} `{name}`, expected one for "
            f"each image"
        )


def check_trainable(where, images, targets):
    """Raise unless there is an image, all are finite, and one shows an object."""
    if not images:
        raise ValueError(f"{where}: there are no images to train on")
    for n, image in enumerate(images):
        if not image.isfinite().all():
            raise ValueError(f"{where}: image {n} has entries that are not finite")
    if not any(len(target["labels"]) for target in targets):
        raise ValueError(
            f"{where}: none of the {len(images)} images has an object in its target, and without "
            f"objects there is nothing to learn; give images that show some"
        )


def as_tensor(array):
    """Return a tensor as it is, and an array, which may be read-only, as a tensor."""
    if isinstance(array, torch.Tensor):
        return array.detach()
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def same_sizes(images, most):
    """Yield lists of indices of images: neighbours of one size, up to `most` of them."""
    rows = []
    for n, image in enumerate(images):
        if rows and (len(rows) == most or image.shape != images[rows[0]].shape):
            yield rows
            rows = []
        rows.append(n)
    if rows:
        yield rows
