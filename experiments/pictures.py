"""Photographs as a detector takes them: scaled, turned left to right at times, with proposals."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

__all__ = ["Batch", "Pictures", "collate", "flipped", "scaled"]


class Picture(NamedTuple):
    """A photograph and what belongs to it, boxes in its pixels.

    index     : its number in the split
    image     : ``(C, H, W)``
    target    : dict of ``boxes``, ``labels`` and ``difficult``
    proposals : ``(R, 4)``, or None
    """

    index: int
    image: torch.Tensor
    target: dict
    proposals: torch.Tensor | None


class Batch(NamedTuple):
    """Lists of what a :class:`Picture` has; `proposals` is None if there are none."""

    indices: list
    images: list
    targets: list
    proposals: list | None


def collate(pictures):
    """Return a :class:`Batch` of pictures, which may have different sizes."""
    indices, images, targets, proposals = map(list, zip(*pictures, strict=True))
    return Batch(indices, images, targets, None if proposals[0] is None else proposals)


class Pictures(Dataset):
    """The photographs of a split, prepared.

    Parameters
    ----------
    photographs : VOC
    shorter, longer : int or None
        As for :func:`scaled`.
    channels : {3, 1}
        With 1, the mean of red, green and blue.
    proposals : Proposals, optional
    flip : bool
        Whether to turn half of the photographs left to right, other ones in each epoch.
    difficult : bool
        Whether the difficult objects are among the targets.
    seed : int
        Of the flips; with `epoch`, which the training sets, and the number of the photograph it
        settles them, so that they do not depend on how many processes read.
    count : int, optional
        How many photographs, from the first on; by default all.
    """

    def __init__(
        self,
        photographs,
        shorter,
        longer,
        *,
        channels=3,
        proposals=None,
        flip=False,
        difficult=True,
        seed=0,
        count=None,
    ):
        self.photographs, self.proposals = photographs, proposals
        self.shorter, self.longer, self.channels = shorter, longer, channels
        self.flip, self.difficult, self.seed, self.epoch = flip, difficult, seed, 0
        self.count = len(photographs) if count is None else min(count, len(photographs))

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(f"Pictures: there are {self.count}, and no number {index}")
        image, target = self.photographs[index]
        image = torch.from_numpy(image)
        target = {key: torch.from_numpy(value) for key, value in target.items()}
        if not self.difficult:
            target = {key: value[~target["difficult"]] for key, value in target.items()}
        boxes = None
        if self.proposals is not None:
            boxes = torch.from_numpy(self.proposals.load(index))
        image, zoom = scaled(image, self.shorter, self.longer)
        target["boxes"] = target["boxes"] * zoom.repeat(2)
        boxes = None if boxes is None else boxes * zoom.repeat(2)
        if self.flip and np.random.default_rng((self.seed, self.epoch, index)).random() < 0.5:
            width = image.shape[2]
            image = image.flip(2)
            target["boxes"] = flipped(target["boxes"], width)
            boxes = None if boxes is None else flipped(boxes, width)
        if self.channels == 1:
            image = image.mean(0, keepdim=True)
        return Picture(index, image, target, boxes)


def scaled(image, shorter, longer):
    """Scale a photograph so that its sides are as long as a detector likes them.

    Parameters
    ----------
    image : tensor, shape (C, H, W)
    shorter : int or None
        Pixels of the shorter side; None leaves the photograph as it is.
    longer : int or None
        The most pixels of the longer side, which goes first.

    Returns
    -------
    tensor, shape (C, H', W'), and tensor, shape (2,)
        The photograph; W' / W and H' / H.
    """
    H, W = image.shape[1:]
    factor = 1.0 if shorter is None else shorter / min(H, W)
    if longer is not None:
        factor = min(factor, longer / max(H, W))
    size = [max(1, round(side * factor)) for side in (H, W)]
    if size != [H, W]:
        image = interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return image, torch.tensor([size[1] / W, size[0] / H])


def flipped(boxes, width):
    """Return boxes, ``(R, 4)``, of a picture of this width as they lie when it is turned."""
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
