"""Fast R-CNN: the maps of an image are computed once, and regions are pooled out of them.

One network says of each region what it shows and where that really is, and is trained as a whole:
through the pooling the gradients of all regions add up in the maps.
"""

import contextlib
from copy import deepcopy

import torch
from torch import nn

from course_lib.detection.batching import (
    check_trainable,
    image_list,
    padded_batch,
    proposal_list,
    same_sizes,
    target_list,
)
from course_lib.detection.grouping import selective_search
from course_lib.detection.learning import fingerprints, fit_by_number, in_32_bits
from course_lib.detection.pooling import pooling_function
from course_lib.detection.roi_head import (
    BOX_WEIGHTS,
    RoIHead,
    best_of_each_class,
    check_finite,
    decoded,
    detection_losses,
    none_found,
)
from course_lib.detection.sampling import Sampling, assign, sample
from course_lib.training.device import exact_convolutions
from course_lib.training.tensors import borrowed

__all__ = ["FastRCNN"]


class FastRCNN(nn.Module):
    """A body for whole images, RoI pooling, and a head that says class and box of each region.

    Parameters
    ----------
    body : RegionNet
        It is copied: what the detector learns, the body that was given does not. The copy is the
        attribute `body`.
    num_classes : int
        K, without the background, which is the last class.
    pooling : {"pool", "align"} or callable
        :func:`course_lib.torch_layers.roi_pool`, :func:`course_lib.torch_layers.roi_align`, or a
        function ``(maps, boxes, image_index, output_size, spatial_scale=...)`` like them; of a pair
        of NumPy functions :func:`numpy_pooling` makes one.
    propose : callable
        From an image, a tensor ``(C, H, W)``, to boxes ``(R, 4)``: what is asked where no proposals
        are given.
    sampling : Sampling, optional
        How the regions are drawn on which a step trains.
    rng : torch.Generator, optional
        For the weights of the two last layers; by default one with the seed 0.

    Raises
    ------
    ValueError
        If `num_classes` is less than 1, or there is no such pooling.

    References
    ----------
    R. Girshick (2015), "Fast R-CNN", sections 2 and 3. Departures: a batch holds more, smaller
    images than two; regions without any overlap count as background; no truncated SVD.

    Examples
    --------
    >>> detector = FastRCNN(body, num_classes=10)
    >>> history = detector.fit(scenes.images, targets, proposals=proposals)
    >>> found = detector.detect(test.images, proposals=test_proposals)
    >>> evaluate_detections(found, test_targets).mean
    """

    def __init__(
        self,
        body,
        num_classes,
        *,
        pooling="pool",
        propose=selective_search,
        sampling=None,
        rng=None,
    ):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"FastRCNN: `num_classes` is {num_classes}, expected 1 or more")
        self.num_classes, self.sampling = num_classes, sampling or Sampling()
        self.pooling = pooling_function("FastRCNN", pooling)
        self.propose = propose
        self.body = deepcopy(body)
        self.roi_head = RoIHead(body.width, num_classes, rng=rng).to(body.fill.device)
        self.box_weights = BOX_WEIGHTS

    def forward(self, images, targets, proposals, generator=None):
        """Return the :meth:`losses`: what a wrapper for several devices calls."""
        return self.losses(images, targets, proposals, generator)

    def losses(self, images, targets, proposals, generator=None):
        """Return the loss of a batch, in its two parts.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``.
        proposals : sequence of N arrays or tensors, shape (R, 4)
        generator : torch.Generator, optional
            Of the CPU: draws the regions; by default torch's own.

        Returns
        -------
        DetectionLosses

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`; but a batch without any object has a loss, and one without objects and
            proposals the loss 0.
        """
        images, targets, proposals = self._training_set("losses", images, targets, proposals)
        maps = self._maps(images)
        return self.losses_from_maps(maps, targets, proposals, generator)

    def losses_from_maps(self, maps, targets, proposals, generator=None):
        """As :meth:`losses`, from the maps of the images and what they show, checked and cut."""
        known = [self.assigned(*pair) for pair in zip(proposals, targets, strict=True)]
        return self._losses_of(maps, known, generator)

    def assigned(self, boxes, target):
        """Say what the proposals of one image show; its true boxes are put behind them.

        Parameters
        ----------
        boxes : tensor, shape (R, 4)
            The proposals.
        target : dict
            ``boxes`` ``(n, 4)`` and ``labels`` ``(n,)``, tensors.

        Returns
        -------
        boxes ``(R + n, 4)``, labels ``(R + n,)``, K for the background and -1 for what is not used,
        and the true boxes ``(R + n, 4)`` that they are nearest to; on the CPU
        """
        truth, classes = target["boxes"].cpu(), target["labels"].cpu()
        boxes = torch.cat([boxes.to(truth), truth])
        kinds, index = assign(boxes, truth, self.sampling.foreground, self.sampling.background)
        background = torch.full_like(kinds, self.num_classes)
        if not len(truth):
            return boxes, kinds.where(kinds < 0, background), boxes
        labels = classes[index].where(kinds == 1, kinds.where(kinds < 0, background))
        return boxes, labels, truth[index]

    def _losses_of(self, maps, known, generator=None):
        """Draw regions of which it is known what they show, image by image; return their loss."""
        chosen = []
        for boxes, labels, truth in known:
            kinds = labels.where(labels < 0, (labels < self.num_classes).long())
            rows = sample(
                kinds, self.sampling.per_image, share=self.sampling.share, generator=generator
            )
            chosen.append((boxes[rows], labels[rows], truth[rows]))
        boxes = [part[0].to(maps.device) for part in chosen]
        labels, truth = (torch.cat([part[i] for part in chosen]).to(maps.device) for i in (1, 2))
        scores, deltas = self.answers(maps, boxes)
        return detection_losses(
            scores, deltas, labels, torch.cat(boxes), truth, weights=self.box_weights
        )

    def _maps(self, images):
        """Return the maps of a batch of images, padded to one size."""
        batch = padded_batch([image.to(self.device) for image in images], fill=self.body.fill)
        return self.body.features(batch.images)

    def answers(self, maps, boxes):
        """Return scores ``(R, K + 1)`` and offsets ``(R, K, 4)`` of regions of maps.

        Parameters
        ----------
        maps : tensor, shape (N, C, H, W)
        boxes : sequence of N tensors, shape (r, 4)
            In pixels of the images; R of them together.
        """
        counts = torch.tensor([len(some) for some in boxes], device=maps.device)
        index = torch.arange(len(boxes), device=maps.device).repeat_interleave(counts)
        maps = in_32_bits(maps)
        pooled = self.pooling(
            maps,
            torch.cat(list(boxes)).to(maps),
            index,
            self.body.output_size,
            spatial_scale=1 / self.body.stride,
        )
        return tuple(map(in_32_bits, self.roi_head(self.body.head(pooled))))

    def fit(
        self,
        images,
        targets,
        *,
        proposals=None,
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
        """Train the whole detector, body and head together.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
            Of several sizes, they are padded batch by batch, see :func:`padded_batch`.
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``, 0 to K - 1; n
            may be 0 for some images. Boxes are cut at the border of their image.
        proposals : sequence of N arrays or tensors, shape (R, 4), optional
            By default what `propose` finds. They are cut at the border, and those without a pixel
            left out; the true boxes are added to them.
        box_regression : bool
            Whether the loss of the boxes counts; without it the detector learns to classify only.
        freeze : bool or int
            Whether all maps stay as they are, or those of the first so many stages; for this
            training only. See :meth:`course_lib.models.RegionNet.freeze`.
        epochs, batch_size, learning_rate, momentum, weight_decay, schedule, seed, device, \
progress, checkpoint
            As in :func:`course_lib.training.fit`; a batch of so many images.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If there are no images, or one has no pixel; there are not as many targets and
            proposals; a box is inside out, not finite, or a true one outside of its image; a label
            is no class; or there is no object at all.
        TrainingError, CheckpointError
            As in :func:`course_lib.training.fit`.
        """
        images, targets, proposals = self._training_set("fit", images, targets, proposals)
        check_trainable("FastRCNN.fit", images, targets)
        with self.frozen_body(freeze, box_regression):
            # What proposals show does not change: only which of them are drawn.
            known = [self.assigned(*pair) for pair in zip(proposals, targets, strict=True)]
            return fit_by_number(
                self,
                lambda images, known: self._losses_of(self._maps(images), known),
                (images, known),
                fingerprints(images, targets, proposals),
                box_regression=box_regression,
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

    @contextlib.contextmanager
    def frozen_body(self, freeze, box_regression=True):
        """Freeze the body, or its first stages, for a while; without `box_regression` boxes too."""
        stages, learning = self.body.frozen, {p: p.requires_grad for p in self.parameters()}
        if freeze is not False:
            self.body.freeze(None if freeze is True else freeze)
        if not box_regression:
            self.roi_head.boxes.requires_grad_(False)
        try:
            yield
        finally:
            if freeze is not False:
                self.body.freeze(stages)
            for parameter, learns in learning.items():
                parameter.requires_grad_(learns)

    def detect(
        self,
        images,
        *,
        proposals=None,
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
        proposals : sequence of N arrays or tensors, shape (R, 4), optional
            As for :meth:`fit`. In an image without proposals nothing is found.
        box_regression : bool
            Whether regions are moved to where the head says that the object is.
        score_threshold : float
            A region is of a class if its probability is larger than this.
        nms_threshold : float
            The overlap from which a region suppresses another of its class, see :func:`nms`.
        limit : int
            The most detections of an image.
        batch_size : int
            Images at a time.

        Returns
        -------
        list of N dicts
            ``boxes`` ``(M, 4)`` in pixels, within the image, ``labels`` ``(M,)`` and ``scores``
            ``(M,)``, the probabilities, best first, on the CPU.

        Raises
        ------
        TypeError, ValueError
            If an image has no pixel, a proposal is inside out or not finite, or a score is no
            finite number.
        """
        where = "FastRCNN.detect"
        images = image_list(where, images, self.body.input_channels, self.dtype)
        proposals = self.proposed(where, images, proposals)
        found = []
        with borrowed(self, self.device, training=False), exact_convolutions(), torch.no_grad():
            for rows in same_sizes(images, batch_size):
                maps = self.body.features(torch.stack([images[n] for n in rows]).to(self.device))
                found += self.detect_from_maps(
                    maps,
                    [images[n].shape[1:] for n in rows],
                    [proposals[n].to(maps.device) for n in rows],
                    box_regression=box_regression,
                    score_threshold=score_threshold,
                    nms_threshold=nms_threshold,
                    limit=limit,
                )
        return found

    def detect_from_maps(
        self,
        maps,
        sizes,
        proposals,
        *,
        box_regression=True,
        score_threshold=0.05,
        nms_threshold=0.3,
        limit=100,
    ):
        """As :meth:`detect`, from maps ``(N, C, H, W)``, image sizes (H, W), and proposals.

        The proposals are on the device of the maps, and within their images.
        """
        counts = [len(boxes) for boxes in proposals]
        if not any(counts):
            return [none_found() for _ in counts]
        scores, deltas = self.answers(maps, proposals)
        check_finite("FastRCNN.detect", scores, deltas)
        scores = scores.softmax(1)[:, :-1]
        found = []
        for boxes, size, own, moves in zip(
            proposals, sizes, scores.split(counts), deltas.split(counts), strict=True
        ):
            if box_regression:
                places = decoded(moves, boxes, size, self.box_weights)
            else:
                places = boxes[:, None].expand(-1, self.num_classes, 4)
            found.append(
                best_of_each_class(
                    places,
                    own,
                    score_threshold=score_threshold,
                    nms_threshold=nms_threshold,
                    limit=limit,
                )
            )
        return found

    @property
    def device(self):
        """Where the weights are."""
        return self.body.fill.device

    @property
    def dtype(self):
        """Of the weights."""
        return self.roi_head.classes.weight.dtype

    def proposed(self, where, images, proposals=None):
        """Return proposals, given or asked for, as tensors within their images."""
        if proposals is None:
            proposals = [self.propose(image) for image in images]
        return proposal_list(where, images, proposals)

    def _training_set(self, name, images, targets, proposals):
        where = f"FastRCNN.{name}"
        images = image_list(where, images, self.body.input_channels, self.dtype)
        targets = target_list(where, images, targets, self.num_classes)
        return images, targets, self.proposed(where, images, proposals)
