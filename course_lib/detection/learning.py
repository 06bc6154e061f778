"""Train what computes its own losses, from images of any sizes and lists of any lengths.

:func:`course_lib.training.fit` wants tensors with a row for each image. It gets the numbers of the
images; the model that it trains looks up what belongs to them.
"""

from zlib import crc32

import torch
from torch import nn

from course_lib.training import fit

__all__ = ["fingerprints", "fit_by_number", "in_32_bits"]


def fit_by_number(network, losses, data, marks, *, box_regression=True, **options):
    """Train a network by the losses that it computes of a batch.

    Parameters
    ----------
    network : nn.Module
        Whose weights learn.
    losses : callable
        From the images of a batch, and whatever else is in `data`, to a NamedTuple of scalars.
    data : tuple of sequences of N
        What `losses` gets, each a row for each image.
    marks : tensor, shape (N,)
        From :func:`fingerprints`.
    box_regression : bool
        Whether the part `regression` of the losses counts.
    **options
        As for :func:`course_lib.training.fit`.

    Returns
    -------
    History
    """
    numbers = torch.arange(len(marks))[:, None]
    model = _ByNumber(network, losses, data, box_regression)
    return fit(model, numbers, marks, loss=total_loss, **options)


class _ByNumber(nn.Module):
    """The losses of images by number."""

    def __init__(self, network, losses, data, box_regression):
        super().__init__()
        self.network, self.losses = network, losses
        self.data, self.box_regression = data, box_regression

    def forward(self, numbers):
        rows = numbers.flatten().tolist()
        losses = self.losses(*([part[n] for n in rows] for part in self.data))
        return losses if self.box_regression else losses._replace(regression=losses.regression * 0)


def total_loss(losses, _):
    """Return the sum of the parts of a loss."""
    return sum(losses)


def fingerprints(images, targets, proposals=None):
    """Return a number for each image, ``(N,)``, that differs, very likely, if what it shows does.

    So that a checkpoint knows on what it was trained.
    """
    numbers = []
    for n, (image, target) in enumerate(zip(images, targets, strict=True)):
        number = 0
        parts = [image, target["boxes"], target["labels"]]
        for part in parts if proposals is None else [*parts, proposals[n]]:
            number = crc32(part.cpu().contiguous().numpy(), number)
        numbers.append(number)
    return torch.tensor(numbers)


def in_32_bits(values):
    """Return a tensor of 16 bits, as mixed precision makes them, in 32, and others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
