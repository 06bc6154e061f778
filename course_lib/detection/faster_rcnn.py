"""Faster R-CNN: a detector that proposes its regions itself, from the maps that it has anyway.

A region proposal network and Fast R-CNN share one body. Two schemes of training end with that: by
turns, or both at once.
"""

from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.detection.batching import (
    check_trainable,
    image_list,
    padded_batch,
    same_sizes,
    target_list,
)
from course_lib.detection.fast_rcnn import FastRCNN
from course_lib.detection.learning import fingerprints, fit_by_number
from course_lib.detection.rpn import RegionProposals
from course_lib.training import History, choose_device
from course_lib.training.device import check_device, exact_convolutions
from course_lib.training.tensors import borrowed

__all__ = ["FasterLosses", "FasterRCNN"]

SCHEMES = ("joint", "alternating")
# The best of so many times as many proposals as are wanted suppress one another, as in the paper:
TRAINING, TEST = 6, 20  # 12,000 for 2,000, and 6,000 for 300


class FasterLosses(NamedTuple):
    """The four parts of the loss, scalars: two of the proposals, two of the detections."""

    objectness: torch.Tensor
    rpn_regression: torch.Tensor
    classification: torch.Tensor
    regression: torch.Tensor


class FasterRCNN(nn.Module):
    """A region proposal network, and Fast R-CNN on its proposals, with one body.

    Parameters
    ----------
    body : RegionNet
        It is copied: what the detector learns, the body that was given does not. The copy is the
        attribute `body`.
    num_classes : int
        K, without the background, which is the last class.
    sizes, ratios : sequence of float
        Of the anchors, in pixels and as height by width: see :func:`anchor_shapes`.
    pooling, sampling
        As for :class:`FastRCNN`.
    anchor_sampling, balance, width
        As for :class:`RegionProposals`, where the first is called `sampling`.
    training_proposals : int
        The most proposals of an image from which the regions of a step are drawn.
    rng : torch.Generator, optional
        For the weights of the new layers; by default one with the seed 0 for each of both parts.

    Attributes
    ----------
    rpn : RegionProposals
    detector : FastRCNN
        Both have the same `body`, not just equal ones.

    Raises
    ------
    ValueError
        As :class:`FastRCNN` and :class:`RegionProposals`.

    References
    ----------
    S. Ren et al. (2015), "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
    Networks", sections 3 and 3.2. Departure: both networks draw from a batch of several images.

    Examples
    --------
    >>> few = {"anchor_sampling": AnchorSampling(32), "sampling": Sampling(16, share=0.5)}
    >>> few |= {"training_proposals": 16}  # small images have few objects
    >>> detector = FasterRCNN(body, num_classes=10, sizes=(12, 18, 26), ratios=(1.5,), **few)
    >>> history = detector.fit(scenes.images, targets, epochs=3)
    >>> found = detector.detect(test.images, num_proposals=20)
    >>> evaluate_detections(found, test_targets).mean
    """

    def __init__(
        self,
        body,
        num_classes,
        *,
        sizes=(128, 256, 512),
        ratios=(0.5, 1.0, 2.0),
        pooling="pool",
        sampling=None,
        anchor_sampling=None,
        balance=10.0,
        width=None,
        training_proposals=2000,
        rng=None,
    ):
        super().__init__()
        if training_proposals < 1:
            raise ValueError(
                f"FasterRCNN: `training_proposals` is {training_proposals}, expected 1 or more"
            )
        self.training_proposals = training_proposals
        self.detector = FastRCNN(body, num_classes, pooling=pooling, sampling=sampling, rng=rng)
        self.rpn = RegionProposals(
            self.detector.body,
            sizes=sizes,
            ratios=ratios,
            width=width,
            balance=balance,
            sampling=anchor_sampling,
            rng=rng,
        )

    @property
    def body(self):
        """The body of both networks."""
        return self.detector.body

    @property
    def num_classes(self):
        """K, without the background."""
        return self.detector.num_classes

    @property
    def device(self):
        """Where the weights are."""
        return self.detector.device

    def forward(self, images, targets, generator=None):
        """Return the :meth:`losses`: what a wrapper for several devices calls."""
        return self.losses(images, targets, generator)

    def losses(self, images, targets, generator=None):
        """Return the loss of a batch, in its four parts, for approximate joint training.

        The proposals of the moment are taken as given: the loss of a detection does not tell the
        proposal network where it should have put its box. That is what is approximate.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``.
        generator : torch.Generator, optional
            Of the CPU: draws anchors and regions; by default torch's own.

        Returns
        -------
        FasterLosses

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
        answers = self.rpn.answers(maps)
        first = self.rpn.losses_from(answers, maps, batch.sizes, targets, generator)
        if bool(sum(first).isfinite()):
            limit = self.training_proposals
            found = self.rpn.proposals_from(
                answers, maps, batch.sizes, limit, before=TRAINING * limit
            )
            proposals = [each.boxes for each in found]
        else:  # the loss will say so; there are no boxes to go on with
            proposals = [target["boxes"][:0] for target in targets]
        second = self.detector.losses_from_maps(maps, targets, proposals, generator)
        return FasterLosses(*first, *second)

    def fit(
        self,
        images,
        targets,
        *,
        scheme="joint",
        box_regression=True,
        freeze=False,
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
        """Train both networks, so that they end with one body.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
            Of several sizes, they are padded batch by batch, see :func:`padded_batch`.
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``, 0 to K - 1; n
            may be 0 for some images. Boxes are cut at the border of their image.
        scheme : {"joint", "alternating"}
            ``"joint"``: each step computes the maps once, and adds up all four losses; see
            :meth:`losses`. ``"alternating"``: four trainings. (1) the proposal network, with a
            body of its own; (2) the detector on its proposals, with another; (3) the proposal
            network again, on the body of the detector, which learns no more; (4) the detector
            again, on the new proposals.
        box_regression : bool
            Whether the loss of the detector's boxes counts; that of the proposals always does.
        freeze : bool or int
            Whether all maps stay as they are, or those of the first so many stages, from the
            beginning; for this training only.
        epochs : int, or four of them
            Passes over the images; of ``"alternating"``, in each of its four trainings.
        batch_size, learning_rate, momentum, weight_decay, schedule, seed, device, progress
            As in :func:`course_lib.training.fit`; a batch of so many images.
        checkpoint : str or Path, optional
            As in :func:`course_lib.training.fit`. ``"alternating"`` writes four files, whose names
            end in ``.step1`` to ``.step4``.

        Returns
        -------
        History
            Of ``"alternating"`` the four, one after the other; their losses are not of one kind.

        Raises
        ------
        TypeError, ValueError
            If there are no images, or one has no pixel; there are not as many targets; a box is
            inside out, not finite, or outside of its image; a label is no class; there is no object
            at all; or an option is none of these.
        TrainingError, CheckpointError
            As in :func:`course_lib.training.fit`.
        """
        if scheme not in SCHEMES:
            raise ValueError(
                f"FasterRCNN.fit: `scheme` is {scheme!r}, expected 'joint' or 'alternating'"
            )
        images, targets = self._training_set("fit", images, targets)
        check_trainable("FasterRCNN.fit", images, targets)
        device = choose_device() if device is None else check_device("fit", "device", device)
        options = {
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "schedule": schedule,
            "seed": seed,
            "device": device,
            "progress": progress,
        }
        with self.detector.frozen_body(freeze, box_regression):
            if scheme == "joint":
                return fit_by_number(
                    self,
                    self._losses_of,
                    (images, targets),
                    fingerprints(images, targets),
                    box_regression=box_regression,
                    epochs=epochs,
                    checkpoint=checkpoint,
                    **options,
                )
            with borrowed(self, device, training=self.training):
                return self._by_turns(images, targets, box_regression, epochs, checkpoint, options)

    def _by_turns(self, images, targets, box_regression, epochs, checkpoint, options):
        """Train in the four steps of the paper; return their histories as one."""
        epochs = (epochs,) * 4 if isinstance(epochs, int) else tuple(epochs)
        if len(epochs) != 4:
            raise ValueError(
                f"FasterRCNN.fit: `epochs` is {epochs}, expected an int, or one for each of 4 steps"
            )
        histories = []

        def settings():
            step = len(histories)
            path = None if checkpoint is None else Path(f"{checkpoint}.step{step + 1}")
            return {"epochs": epochs[step], "checkpoint": path} | options

        def train_rpn():
            histories.append(self.rpn.fit(images, targets, **settings()))

        def train_detector():
            limit = self.training_proposals
            found = self.rpn.propose(images, limit, before=TRAINING * limit)
            histories.append(
                self.detector.fit(
                    images,
                    targets,
                    proposals=[each.boxes for each in found],
                    box_regression=box_regression,
                    **settings(),
                )
            )

        self.rpn.body = deepcopy(self.body)
        try:
            train_rpn()
            train_detector()
        finally:
            self.rpn.body = self.body
        with self.detector.frozen_body(True):
            train_rpn()
            train_detector()
        return joined(histories)

    def propose(self, images, limit=300, **settings):
        """Say where objects may be, of whatever class: see :meth:`RegionProposals.propose`.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        limit : int
            The most proposals of an image.
        **settings
            As there.

        Returns
        -------
        list of N Proposals
            Boxes ``(R, 4)`` and scores ``(R,)``, best first, on the CPU.

        Raises
        ------
        TypeError, ValueError
            As there.
        """
        return self.rpn.propose(images, limit, **settings)

    def detect(
        self,
        images,
        *,
        num_proposals=300,
        box_regression=True,
        score_threshold=0.05,
        nms_threshold=0.3,
        limit=100,
        batch_size=16,
    ):
        """Find objects in images, on the device on which the detector is.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
            Images of one size run together, others alone: none is padded.
        num_proposals : int
            The most regions of an image that the detector looks at.
        box_regression, score_threshold, nms_threshold, limit, batch_size
            As for :meth:`FastRCNN.detect`.

        Returns
        -------
        list of N dicts
            ``boxes`` ``(M, 4)`` in pixels, within the image, ``labels`` ``(M,)`` and ``scores``
            ``(M,)``, the probabilities, best first, on the CPU. Where nothing was proposed, nothing
            is found.

        Raises
        ------
        TypeError, ValueError
            If an image has no pixel, or an answer is no finite number.
        """
        images = image_list(
            "FasterRCNN.detect", images, self.body.input_channels, self.detector.dtype
        )
        found = []
        with borrowed(self, self.device, training=False), exact_convolutions(), torch.no_grad():
            for rows in same_sizes(images, batch_size):
                maps = self.body.features(torch.stack([images[n] for n in rows]).to(self.device))
                sizes = [tuple(images[n].shape[1:]) for n in rows]
                proposals = self.rpn.proposals_from(
                    self.rpn.answers(maps), maps, sizes, num_proposals, before=TEST * num_proposals
                )
                found += self.detector.detect_from_maps(
                    maps,
                    sizes,
                    [each.boxes.to(maps.device) for each in proposals],
                    box_regression=box_regression,
                    score_threshold=score_threshold,
                    nms_threshold=nms_threshold,
                    limit=limit,
                )
        return found

    def _training_set(self, name, images, targets):
        where = f"FasterRCNN.{name}"
        images = image_list(where, images, self.body.input_channels, self.detector.dtype)
        return images, target_list(where, images, targets, self.num_classes)


def joined(histories):
    """Return the histories of trainings that followed one another as one, epochs counted on."""
    whole = History()
    for history in histories:
        whole.losses += history.losses
        for record in history.records:
            whole.records.append(record._replace(epoch=len(whole.records) + 1))
    return whole
