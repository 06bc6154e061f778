"""A region proposal network: it looks at the maps of a detector, and says where objects may be.

At every cell of the maps there are anchors. For each of them the network says how likely it is an
object, of whatever class, and by what offsets it has to be moved to be one.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from course_lib.detection.anchors import (
    anchor_grid,
    anchor_shapes,
    anchors_inside,
    match_anchors,
)
from course_lib.detection.batching import (
    check_trainable,
    image_list,
    padded_batch,
    same_sizes,
    target_list,
)
from course_lib.detection.boxes import box_decode, box_encode
from course_lib.detection.learning import fingerprints, fit_by_number, in_32_bits
from course_lib.detection.nms import nms
from course_lib.detection.sampling import sample
from course_lib.models.parts import draw_weights
from course_lib.torch_layers import cross_entropy, smooth_l1
from course_lib.training.device import exact_convolutions
from course_lib.training.tensors import borrowed

__all__ = ["AnchorSampling", "ProposalLosses", "Proposals", "RegionProposals"]

BETA = 1 / 9  # where smooth L1 of the offsets becomes straight: the value of the authors' code


class AnchorSampling(NamedTuple):
    """Which anchors of an image the network learns from in a step.

    per_image : how many at the most
    share     : the most of them that are objects, 0 to 1; too few are made up for by background
    positive  : the IoU above which an anchor is an object
    negative  : the IoU below which it is background
    """

    per_image: int = 256
    share: float = 0.5
    positive: float = 0.7
    negative: float = 0.3


class ProposalLosses(NamedTuple):
    """The two parts of the loss, scalars; their sum is what to make small."""

    objectness: torch.Tensor
    regression: torch.Tensor


class Proposals(NamedTuple):
    """Where objects may be in an image: boxes ``(R, 4)`` and probabilities ``(R,)``, best first."""

    boxes: torch.Tensor
    scores: torch.Tensor


class RegionProposals(nn.Module):
    """A body, and on its maps a 3 x 3 convolution and two of 1 x 1: objectness and offsets.

    Parameters
    ----------
    body : nn.Module
        As :class:`course_lib.models.RegionNet`: with the parts `features`, from images to maps, and
        `fill`, and the attributes `stride`, `channels` and `input_channels`. It is not copied: it
        is there to be shared.
    sizes, ratios : sequence of float
        Of the anchors, in pixels and as height by width: see :func:`anchor_shapes`.
    width : int, optional
        Maps of the 3 x 3 convolution; by default as many as the body has, 512 for VGG-16.
    balance : float
        The paper's lambda: the weight of the offsets.
    sampling : AnchorSampling, optional
        Which anchors a step learns from.
    rng : torch.Generator, optional
        For the weights of these layers, of standard deviation 0.01; by default one with the seed 0.

    Attributes
    ----------
    shapes : tensor, shape (A, 4)
        The anchors of a cell, about its centre.

    Raises
    ------
    ValueError
        If an anchor is not of a positive size and ratio, or `width` is less than 1.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
    Networks", section 3.1. As there, objectness is a softmax over two classes.

    Examples
    --------
    >>> rpn = RegionProposals(digit_regions(), sizes=(12, 18, 26), ratios=(1.5,))
    >>> rpn.fit(scenes.images, targets)
    >>> boxes, scores = rpn.propose(scenes.images[:1], limit=50)[0]
    """

    def __init__(
        self,
        body,
        *,
        sizes=(128, 256, 512),
        ratios=(0.5, 1.0, 2.0),
        width=None,
        balance=10.0,
        sampling=None,
        rng=None,
    ):
        super().__init__()
        width = body.channels if width is None else width
        if width < 1:
            raise ValueError(f"RegionProposals: `width` is {width}, expected 1 or more")
        self.balance, self.sampling = balance, sampling or AnchorSampling()
        shapes = torch.tensor(anchor_shapes(sizes, ratios), dtype=torch.float32)
        A = len(shapes)
        with torch.device("meta"):
            layers = nn.ModuleDict(
                {
                    "conv": nn.Conv2d(body.channels, width, 3, padding=1),
                    "objectness": nn.Conv2d(width, 2 * A, 1),
                    "deltas": nn.Conv2d(width, 4 * A, 1),
                }
            )
        device = body.fill.device
        draw_weights(layers, 0.01, rng=rng, device=device)
        self.body = body
        self.conv, self.objectness, self.deltas = layers.values()
        self.register_buffer("shapes", shapes.to(device))

    def forward(self, images, targets, generator=None):
        """Return the :meth:`losses`: what a wrapper for several devices calls."""
        return self.losses(images, targets, generator)

    def answers(self, maps):
        """Return what the network says of every anchor, in the order of :func:`anchor_grid`.

        Parameters
        ----------
        maps : tensor, shape (N, C, h, w)

        Returns
        -------
        scores : tensor, shape (N, h * w * A, 2)
            For background and object, before the softmax.
        deltas : tensor, shape (N, h * w * A, 4)
            From the anchor to the object.
        """
        hidden = functional.relu(self.conv(maps))
        each = self.objectness(hidden), self.deltas(hidden)
        return tuple(
            in_32_bits(part.permute(0, 2, 3, 1).reshape(len(maps), -1, numbers))
            for part, numbers in zip(each, (2, 4), strict=True)
        )

    def anchors(self, maps):
        """Return the anchors of maps ``(N, C, h, w)``, ``(h * w * A, 4)``, in pixels."""
        return anchor_grid(tuple(maps.shape[2:]), self.body.stride, self.shapes)

    def losses(self, images, targets, generator=None):
        """Return the loss of a batch, in its two parts.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``, of which only
            the number matters.
        generator : torch.Generator, optional
            Of the CPU: draws the anchors; by default torch's own.

        Returns
        -------
        ProposalLosses

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`; but a batch without any object has a loss.
        """
        return self._losses_of(*self._training_set("losses", images, targets), generator)

    def _losses_of(self, images, targets, generator=None):
        """As :meth:`losses`, of images and targets that were checked."""
        batch = padded_batch([image.to(self.device) for image in images], fill=self.body.fill)
        maps = self.body.features(batch.images)
        return self.losses_from(self.answers(maps), maps, batch.sizes, targets, generator)

    def losses_from(self, answers, maps, sizes, targets, generator=None):
        r"""As :meth:`losses`, from the :meth:`answers` to maps of images with sizes (H, W).

        .. math::
            L = \frac{1}{N_{cls}} \sum_i L_{cls}(p_i, p_i^*)
              + \lambda \frac{1}{N_{reg}} \sum_i p_i^* L_{reg}(t_i, t_i^*)

        where the sums go over the anchors i that were drawn, :math:`N_{cls}` is their number, and
        :math:`N_{reg}` that of the cells of all maps. Anchors that cross the border of their image
        are never drawn; where none is left the loss is 0.
        """
        scores, deltas = answers
        anchors = self.anchors(maps)
        there = anchors.cpu()
        inside = {size: torch.where(anchors_inside(there, size))[0] for size in set(sizes)}
        image, rows, labels, truth = [], [], [], []
        for n, (size, target) in enumerate(zip(sizes, targets, strict=True)):
            own = there[inside[size]]
            chosen, kinds, boxes = self.drawn(own, target["boxes"].cpu(), generator)
            image.append(torch.full_like(chosen, n))
            rows.append(inside[size][chosen])
            labels.append(kinds)
            truth.append(boxes)
        image, rows, labels, truth = (
            torch.cat(part).to(maps.device) for part in (image, rows, labels, truth)
        )
        objectness, regression = scores.sum() * 0, deltas.sum() * 0
        if len(rows):
            objectness = cross_entropy(scores[image, rows], labels)
        (objects,) = torch.where(labels == 1)
        if len(objects):
            image, rows, truth = image[objects], rows[objects], truth[objects]
            moves = box_encode(truth, anchors[rows]).to(deltas.dtype)
            mean = smooth_l1(deltas[image, rows], moves, beta=BETA)  # over 4 len(objects)
            cells = len(maps) * maps.shape[2] * maps.shape[3]
            regression = mean * (self.balance * 4 * len(objects) / cells)
        return ProposalLosses(objectness, regression)

    def drawn(self, anchors, truth, generator=None):
        """Draw, of anchors inside an image, those from which a step learns.

        Parameters
        ----------
        anchors : tensor, shape (R, 4)
            On the CPU, as all of this.
        truth : tensor, shape (n, 4)
            The objects of the image.

        Returns
        -------
        indices ``(r,)`` of anchors, labels ``(r,)``, 1 or 0, and true boxes ``(r, 4)``, of which
        those of background mean nothing
        """
        per_image, share, positive, negative = self.sampling
        matches = match_anchors(anchors, truth, positive=positive, negative=negative)
        chosen = sample(matches.labels, per_image, share=share, generator=generator)
        boxes = truth[matches.index[chosen].clamp(min=0)] if len(truth) else anchors[chosen]
        return chosen, matches.labels[chosen], boxes

    def fit(
        self,
        images,
        targets,
        *,
        epochs=4,
        batch_size=8,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.0005,
        schedule="one-cycle",
        seed=0,
        device=None,
        progress=None,
        checkpoint=None,
    ):
        """Train the network, and its body unless that is frozen.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
            Of several sizes, they are padded batch by batch, see :func:`padded_batch`.
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``; n may be 0 for
            some images.
        epochs, batch_size, learning_rate, momentum, weight_decay, schedule, seed, device, \
progress, checkpoint
            As in :func:`course_lib.training.fit`; a batch of so many images.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If there are no images, or one has no pixel; there are not as many targets; a box is
            inside out, not finite, or outside of its image; or there is no object at all.
        TrainingError, CheckpointError
            As in :func:`course_lib.training.fit`.
        """
        images, targets = self._training_set("fit", images, targets)
        check_trainable("RegionProposals.fit", images, targets)
        return fit_by_number(
            self,
            self._losses_of,
            (images, targets),
            fingerprints(images, targets),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            schedule=schedule,
            seed=seed,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
        )

    def propose(
        self,
        images,
        limit=300,
        *,
        before=6000,
        nms_threshold=0.7,
        min_size=None,
        batch_size=16,
    ):
        """Say where objects may be, of whatever class.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
            Images of one size run together, others alone: none is padded.
        limit : int
            The most proposals of an image.
        before : int
            How many of the best are looked at before they suppress one another.
        nms_threshold : float
            See :func:`nms`.
        min_size : float, optional
            Pixels of the shorter side of a proposal, by default the stride of the maps.
        batch_size : int
            Images at a time.

        Returns
        -------
        list of N Proposals
            Cut at the border of the image, on the CPU. There may be none.

        Raises
        ------
        TypeError, ValueError
            If an image has no pixel, a setting has no meaning, or an answer is no finite number.
        """
        images = image_list(
            "RegionProposals.propose", images, self.body.input_channels, self.conv.weight.dtype
        )
        found = []
        with borrowed(self, self.device, training=False), exact_convolutions(), torch.no_grad():
            for rows in same_sizes(images, batch_size):
                batch = torch.stack([images[n] for n in rows]).to(self.device)
                maps = self.body.features(batch)
                found += self.proposals_from(
                    self.answers(maps),
                    maps,
                    [images[n].shape[1:] for n in rows],
                    limit,
                    before=before,
                    nms_threshold=nms_threshold,
                    min_size=min_size,
                )
        return found

    def proposals_from(
        self, answers, maps, sizes, limit=300, *, before=6000, nms_threshold=0.7, min_size=None
    ):
        """As :meth:`propose`, from the :meth:`answers` to maps of images with sizes (H, W).

        No gradient flows through the proposals.
        """
        if limit < 1 or before < limit:
            raise ValueError(
                f"RegionProposals.propose: `limit` is {limit} and `before` {before}, expected "
                f"1 <= limit <= before"
            )
        scores, deltas = (part.detach() for part in answers)
        if not bool(scores.isfinite().all() & deltas.isfinite().all()):
            raise ValueError(
                "RegionProposals.propose: the answers are not finite numbers; look for such in the "
                "images and in the weights, which a training that diverged leaves behind"
            )
        least = self.body.stride if min_size is None else min_size
        scores = scores.softmax(2)[..., 1]
        best = scores.argsort(dim=1, descending=True, stable=True)[:, :before]
        moves = deltas.gather(1, best[..., None].expand(-1, -1, 4))
        boxes = box_decode(moves.flatten(0, 1), self.anchors(maps)[best].flatten(0, 1))
        boxes, scores = boxes.reshape(moves.shape).cpu(), scores.gather(1, best).cpu()
        ends = torch.tensor([[W, H, W, H] for H, W in sizes], dtype=boxes.dtype)[:, None]
        boxes = boxes.clamp(min=0).minimum(ends)
        large = ((boxes[..., 2:] - boxes[..., :2]) >= least).all(2)
        found = []
        for some, own, enough in zip(boxes, scores, large, strict=True):
            some, own = some[enough], own[enough]
            kept = nms(some, own, nms_threshold)[:limit]
            found.append(Proposals(some[kept], own[kept]))
        return found

    @property
    def device(self):
        """Where the weights are."""
        return self.conv.weight.device

    def _training_set(self, name, images, targets):
        where = f"RegionProposals.{name}"
        images = image_list(where, images, self.body.input_channels, self.conv.weight.dtype)
        classes = torch.iinfo(torch.int64).max  # whatever is an object to somebody
        return images, target_list(where, images, targets, classes)
