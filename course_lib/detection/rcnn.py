"""R-CNN: regions with CNN features. Every region is cut out, warped and read by itself.

It is trained in three steps, each on what the one before made: the network by a softmax over all
classes, an SVM for each class on its vectors, and for each class a regression from its maps to the
box of the object.
"""

import math
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional

from course_lib.detection.batching import (
    check_trainable,
    image_list,
    proposal_list,
    target_list,
)
from course_lib.detection.boxes import box_encode, box_iou, check_boxes
from course_lib.detection.grouping import selective_search
from course_lib.detection.mining import mine_hard_negatives
from course_lib.detection.roi_head import best_of_each_class, check_finite, decoded, none_found
from course_lib.detection.sampling import sample
from course_lib.models.parts import draw_weights
from course_lib.shapes import check_floats, check_shapes
from course_lib.torch_layers import cross_entropy
from course_lib.training import History, choose_device, fit
from course_lib.training.device import check_device, exact_convolutions
from course_lib.training.tensors import borrowed

__all__ = ["RCNN", "warp"]

CONTEXT = 16 / 227  # of a window, on each side: what the paper's 16 pixels are of its 227
NEAR = 0.6  # the overlap beyond which a regression can know where the object is (appendix C)
FAR = 0.3  # the overlap with a class below which a region is a negative of its SVM (section 2.3)
NEVER = -1e6  # the score of a class that training did not show
UNIT = (1.0, 1.0, 1.0, 1.0)


def warp(images, boxes, image_index, window, *, context=0.0, fill=None):
    r"""Cut regions out of images, and warp each to one size, whatever its shape.

    Of a window w pixels wide, the region fills the middle :math:`w (1 - 2c)`, for a context c; what
    is about it in the image fills the rest. Pixels are read bilinearly.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
    boxes : tensor, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels.
    image_index : tensor of int, shape (R,)
        The image, 0 to N - 1, that each box lies in.
    window : (int, int)
        KH and KW, rows and columns to warp to.
    context : float
        Share of the window, on each side, that shows what is about the region: 0 to less than 1/2.
    fill : tensor, shape (C,), optional
        The colour beyond the image's border; by default 0.

    Returns
    -------
    tensor, shape (R, C, KH, KW)

    Raises
    ------
    TypeError, ValueError
        If the shapes disagree, a box is inside out or not finite, or the context is half a window.

    References
    ----------
    R. Girshick et al. (2014), "Rich Feature Hierarchies", section 2.1 and appendix A.
    """
    check_shapes(
        "warp", images=(images, "N C H W"), boxes=(boxes, "R 4"), image_index=(image_index, "R")
    )
    check_floats("warp", images=images)
    check_boxes("warp", boxes=boxes)
    if not 0 <= context < 0.5:
        raise ValueError(f"warp: `context` is {context!r}, expected 0 to less than 0.5")
    H, W = images.shape[2:]
    boxes = boxes.to(images)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = half / (1 - 2 * context)
    size = boxes.new_tensor([W, H])
    rows = [  # of the affine map from the window to the image, both of -1 to 1
        torch.stack([half[:, i] * 2 / size[i] * (i == j) for j in (0, 1)], 1) for i in (0, 1)
    ]
    shift = (middle * 2 / size - 1)[..., None]
    affine = torch.cat([torch.stack(rows, 1), shift], 2)
    if not len(boxes):
        return images.new_zeros(0, images.shape[1], *window)
    colour = 0 if fill is None else fill.to(images)[:, None, None]
    source = images.expand(len(boxes), -1, -1, -1) if len(images) == 1 else images[image_index]
    grid = functional.affine_grid(affine, (len(boxes), 1, *window), align_corners=False)
    if fill is None or not fill.any():
        return functional.grid_sample(source, grid, align_corners=False)
    return functional.grid_sample(source - colour, grid, align_corners=False) + colour


class RCNN(nn.Module):
    """A network that reads one warped region at a time, and an SVM and a regression on top of it.

    Parameters
    ----------
    body : RegionNet
        It is copied: what the detector learns, the body that was given does not. The copy is the
        attribute `body`.
    num_classes : int
        K, without the background.
    propose : callable
        From an image, a tensor ``(C, H, W)``, to boxes ``(R, 4)``: what is asked where no proposals
        are given.
    context : float
        As for :func:`warp`; by default the paper's 16 pixels of 227.
    rng : torch.Generator, optional
        For the weights of the layer that fine-tuning trains; by default one with the seed 0.

    Attributes
    ----------
    mining : list of LinearClassifier, or None
        For each class what :func:`mine_hard_negatives` gave, once trained.

    Raises
    ------
    ValueError
        If `num_classes` is less than 1, or the context is half a window.

    References
    ----------
    Girshick et al. (2014), "Rich Feature Hierarchies for Accurate Object Detection and Semantic
    Segmentation", sections 2 and 3.5, appendices A to C. Departures: the regression reads maps
    pooled as the head reads them, which for VGG-16 are pool5, with a ridge in units of them.

    Examples
    --------
    >>> detector = RCNN(body, num_classes=10)
    >>> history = detector.fit(scenes.images, targets, proposals=proposals)
    >>> found = detector.detect(test.images, proposals=test_proposals)
    """

    def __init__(self, body, num_classes, *, propose=selective_search, context=CONTEXT, rng=None):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"RCNN: `num_classes` is {num_classes}, expected 1 or more")
        if not 0 <= context < 0.5:
            raise ValueError(f"RCNN: `context` is {context!r}, expected 0 to less than 0.5")
        self.num_classes, self.propose, self.context = num_classes, propose, context
        self.body, self.mining = deepcopy(body), None
        with torch.device("meta"):
            self.classes = nn.Linear(body.width, num_classes + 1)
        draw_weights(self.classes, 0.01, rng=rng, device=body.fill.device)
        K, D, P = num_classes, body.width, body.channels * math.prod(body.output_size)
        like = body.fill  # on whose device the rest lies
        self.register_buffer("svm_weight", like.new_full((K, D), math.nan))
        self.register_buffer("svm_bias", like.new_full((K,), math.nan))
        self.register_buffer("box_weight", like.new_zeros(K, 4, P))
        self.register_buffer("box_bias", like.new_zeros(K, 4))

    def forward(self, crops):
        """Return what fine-tuning trains: scores ``(R, K + 1)`` of crops ``(R, C, KH, KW)``."""
        return self.classes(self.body(crops))

    def fit(
        self,
        images,
        targets,
        *,
        proposals=None,
        fine_tune=True,
        epochs=4,
        steps=60,
        batch_size=128,
        learning_rate=0.02,
        momentum=0.9,
        weight_decay=0.0005,
        schedule="one-cycle",
        svm_images=None,
        C=0.1,
        rounds=4,
        ridge=0.02,
        seed=0,
        device=None,
        progress=None,
    ):
        """Fine-tune the network; train the SVMs on its vectors; then the regressions on its maps.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``, 0 to K - 1; n
            may be 0 for some images. Boxes are cut at the border of their image.
        proposals : sequence of N arrays or tensors, shape (R, 4), optional
            By default what `propose` finds. They are cut at the border, and those without a pixel
            left out.
        fine_tune : bool
            Whether the network learns; else its features stay as they were given.
        epochs, steps : int
            Of fine-tuning: so many rounds of so many mini-batches.
        batch_size : int
            Regions in a mini-batch; a quarter of them show an object, with an overlap of at least
            0.5 with it.
        learning_rate, momentum, weight_decay, schedule, seed, device, progress
            As in :func:`course_lib.training.fit`.
        svm_images : int, optional
            Of how many images, from the first on, the proposals are read, as negatives of the SVMs
            and for the regressions; by default of all. True boxes are read in all images.
        C, rounds : float, int
            As for :func:`mine_hard_negatives`, of vectors whose mean length is 1.
        ridge : float
            What the squared weights of the regressions count, in units of the mean squared length
            of what they read, for each region.

        Returns
        -------
        History
            Of fine-tuning; without an epoch if there was none.

        Raises
        ------
        TypeError, ValueError
            If there are no images, or one has no pixel; there are not as many targets and
            proposals; a box is inside out, not finite, or a true one outside of its image; a label
            is no class; there is no object at all; or no proposal shows background.
        TrainingError
            As in :func:`course_lib.training.fit`.
        """
        where = "RCNN.fit"
        images = image_list(where, images, self.body.input_channels, self.classes.weight.dtype)
        targets = target_list(where, images, targets, self.num_classes)
        proposals = self._proposed(where, images, proposals)
        check_trainable(where, images, targets)
        device = choose_device() if device is None else check_device(where, "device", device)
        regions = _Regions(targets, proposals, self.num_classes)
        history = History()
        if fine_tune:
            history = fit(
                _FineTuning(self, images, regions, batch_size),
                torch.arange(steps)[:, None],
                torch.zeros(steps),
                epochs=epochs,
                batch_size=1,
                learning_rate=learning_rate,
                momentum=momentum,
                weight_decay=weight_decay,
                schedule=schedule,
                loss=lambda loss, _: loss,
                seed=seed,
                device=device,
                progress=progress,
            )
        few = len(images) if svm_images is None else svm_images
        with borrowed(self, device, training=False), exact_convolutions(), torch.no_grad():
            self._train_svms(images, regions, few, C, rounds, seed)
            self._train_regressions(images, regions, few, ridge)
        return history

    def _train_svms(self, images, regions, few, C, rounds, seed):
        background = ~regions.is_truth & (regions.image < few)
        if not background.any():
            raise ValueError(
                f"RCNN.fit: the first {few} images have no proposals, and without background "
                f"there is nothing to tell objects from; give some"
            )
        positives = self._read(images, regions, regions.is_truth)[1]
        negatives = self._read(images, regions, background)[1]
        size = positives.norm(dim=1).mean().clamp(min=1e-12)
        positives, negatives = (
            (part / size).double().cpu().numpy() for part in (positives, negatives)
        )
        labels = regions.labels[regions.is_truth].numpy()
        overlaps = regions.overlaps[background].numpy()
        self.mining = [
            self._train_svm(k, positives[labels == k], negatives[overlaps[:, k] < FAR], size, **how)
            for k in range(self.num_classes)
            for how in ({"C": C, "rounds": rounds, "seed": seed},)
        ]

    def _train_svm(self, k, own, far, size, **how):
        """Train the SVM of class k; return what mining it gave, None if no object is of it."""
        self.svm_weight[k], self.svm_bias[k] = 0, NEVER
        if not len(own):
            return None
        if not len(far):
            raise ValueError(
                f"RCNN.fit: every proposal shows class {k}, with an overlap of {FAR} or more; give "
                f"some that show background"
            )
        svm = mine_hard_negatives(own, far, **how)
        self.svm_weight[k] = torch.from_numpy(svm.weight).to(self.svm_weight) / size
        self.svm_bias[k] = svm.bias
        return svm

    def _train_regressions(self, images, regions, few, ridge):
        near = (regions.best > NEAR) & ~regions.is_truth & (regions.image < few)
        self.box_weight.zero_()
        self.box_bias.zero_()
        if not near.any():
            return
        maps = self._read(images, regions, near)[0].double()
        offsets = box_encode(regions.truth[near], regions.boxes[near]).to(maps)
        labels = regions.labels[near]
        for k in labels.unique().tolist():
            weight, bias = ridge_regression(maps[labels == k], offsets[labels == k], ridge)
            self.box_weight[k], self.box_bias[k] = weight.T, bias

    def _read(self, images, regions, chosen, batch_size=256):
        """Return flat maps ``(R, P)`` and vectors ``(R, D)`` of some of the regions."""
        maps, vectors = [], []
        for rows in torch.where(chosen)[0].split(batch_size):
            crops = self.crops(images, regions.boxes[rows], regions.image[rows])
            pooled = self.body.pooled(crops)
            maps.append(pooled.flatten(1))
            vectors.append(self.body.head(pooled))
        return torch.cat(maps), torch.cat(vectors)

    def crops(self, images, boxes, image_index):
        """Cut regions out of images of any sizes, and warp them to the window of the body.

        Parameters
        ----------
        images : sequence of N tensors, shape (C, H, W)
        boxes : tensor, shape (R, 4)
        image_index : tensor of int, shape (R,)

        Returns
        -------
        tensor, shape (R, C, KH, KW)
            On the device of the detector.
        """
        fill = self.body.fill
        crops = fill.new_zeros(len(boxes), len(fill), *self.body.window)
        seen = image_index.unique().tolist()
        for size in sorted({images[n].shape[1:] for n in seen}):
            alike = [n for n in seen if images[n].shape[1:] == size]
            place = torch.full((len(images),), -1)
            place[alike] = torch.arange(len(alike))
            own = place[image_index]
            rows = own >= 0
            crops[rows.to(fill.device)] = warp(
                torch.stack([images[n] for n in alike]).to(fill.device),
                boxes[rows].to(fill.device),
                own[rows].to(fill.device),
                self.body.window,
                context=self.context,
                fill=fill,
            )
        return crops

    def detect(
        self,
        images,
        *,
        proposals=None,
        box_regression=True,
        score_threshold=-1.0,
        nms_threshold=0.3,
        limit=100,
        batch_size=256,
    ):
        """Find objects in images, on the device on which the detector is.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of (C, H, W)
        proposals : sequence of N arrays or tensors, shape (R, 4), optional
            As for :meth:`fit`. In an image without proposals nothing is found.
        box_regression : bool
            Whether regions are moved to where the regression says that the object is.
        score_threshold : float
            A region is of a class if the score of its SVM is larger than this; objects should have
            1 or more, all else -1 or less.
        nms_threshold : float
            The overlap from which a region suppresses another of its class, see :func:`nms`.
        limit : int
            The most detections of an image.
        batch_size : int
            Regions at a time.

        Returns
        -------
        list of N dicts
            ``boxes`` ``(M, 4)`` in pixels, within the image, ``labels`` ``(M,)`` and ``scores``
            ``(M,)`` of the SVMs, best first, on the CPU.

        Raises
        ------
        TypeError, ValueError
            If the detector is not trained, an image has no pixel, a proposal is inside out or not
            finite, or a score is no finite number.
        """
        where = "RCNN.detect"
        if self.mining is None and self.svm_weight.isnan().all():
            raise ValueError(f"{where}: the SVMs are not trained; call `fit` first")
        images = image_list(where, images, self.body.input_channels, self.classes.weight.dtype)
        proposals = self._proposed(where, images, proposals)
        device = self.body.fill.device
        found = []
        with borrowed(self, device, training=False), exact_convolutions(), torch.no_grad():
            for image, boxes in zip(images, proposals, strict=True):
                if not len(boxes):
                    found.append(none_found())
                    continue
                scores, deltas = self.answers(image, boxes, batch_size)
                check_finite(where, scores, deltas)
                places = boxes[:, None].expand(-1, self.num_classes, 4)
                if box_regression:
                    places = decoded(deltas, boxes.to(deltas), image.shape[1:], UNIT)
                found.append(
                    best_of_each_class(
                        places,
                        scores,
                        score_threshold=score_threshold,
                        nms_threshold=nms_threshold,
                        limit=limit,
                    )
                )
        return found

    def answers(self, image, boxes, batch_size=256):
        """Return scores ``(R, K)`` and offsets ``(R, K, 4)`` of the regions of one image."""
        scores, deltas = [], []
        for some in boxes.split(batch_size):
            crops = self.crops([image], some, torch.zeros(len(some), dtype=torch.int64))
            pooled = self.body.pooled(crops)
            scores.append(self.body.head(pooled) @ self.svm_weight.T + self.svm_bias)
            moves = pooled.flatten(1) @ self.box_weight.flatten(0, 1).T
            deltas.append(moves.unflatten(1, (-1, 4)) + self.box_bias)
        return torch.cat(scores), torch.cat(deltas)

    def _proposed(self, where, images, proposals):
        if proposals is None:
            proposals = [self.propose(image) for image in images]
        return proposal_list(where, images, proposals)


class _Regions:
    """All proposals and true boxes of a training set, M of them, and what each of them shows.

    boxes ``(M, 4)``; image ``(M,)``; is_truth ``(M,)``; of the nearest object labels ``(M,)``, K
    where there is none, truth ``(M, 4)`` and the overlap best ``(M,)``; and overlaps ``(M, K)``
    with the nearest object of each class.
    """

    def __init__(self, targets, proposals, num_classes):
        parts = [self._of(*own, num_classes) for own in zip(targets, proposals, strict=True)]
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        self.boxes, self.is_truth, self.labels, self.truth, self.overlaps = columns
        self.best = self.overlaps.amax(1)
        counts = torch.tensor([len(part[0]) for part in parts])
        self.image = torch.arange(len(parts)).repeat_interleave(counts)

    @staticmethod
    def _of(target, proposals, K):
        truth, classes = target["boxes"].cpu(), target["labels"].cpu()
        n, R = len(truth), len(proposals)
        boxes = torch.cat([proposals.cpu(), truth])
        is_truth = torch.arange(R + n) >= R
        overlaps = torch.zeros(R + n, K)
        if not n:
            return boxes, is_truth, torch.full((R,), K), boxes, overlaps
        iou = box_iou(boxes, truth)
        index = torch.cat([iou[:R].argmax(1), torch.arange(n)])
        for k in classes.unique().tolist():
            overlaps[:, k] = iou[:, classes == k].amax(1)
        return boxes, is_truth, classes[index], truth[index], overlaps


class _FineTuning(nn.Module):
    """The loss of a mini-batch of warped regions: what :func:`course_lib.training.fit` trains."""

    def __init__(self, detector, images, regions, batch_size):
        super().__init__()
        self.detector, self.images, self.regions = detector, images, regions
        self.batch_size = batch_size
        # As :func:`course_lib.detection.assign`, of overlaps that are known already.
        self.kinds = (regions.best >= 0.5).long()

    def forward(self, numbers):
        rows = sample(self.kinds, self.batch_size, share=0.25)
        crops = self.detector.crops(self.images, self.regions.boxes[rows], self.regions.image[rows])
        background = torch.tensor(self.detector.num_classes)
        labels = self.regions.labels[rows].where(self.kinds[rows] == 1, background)
        return cross_entropy(self.detector(crops).float(), labels.to(crops.device))


def ridge_regression(x, y, ridge):
    r"""Return the weights ``(D, T)`` and biases ``(T,)`` that give y ``(R, T)`` for x ``(R, D)``.

    .. math:: \min_{W, b} \sum_r |y_r - x_r W - b|^2 + \lambda R \, \overline{|x|^2} \, |W|^2

    The bar is the mean over the rows, about their mean. With fewer rows than columns it is the
    system of the rows that is solved.
    """
    middle, level = x.mean(0), y.mean(0)
    x, y = x - middle, y - level
    R, D = x.shape
    strength = (ridge * x.square().sum()).clamp(min=1e-12)  # R times the mean
    eye = torch.eye(min(R, D)).to(x)
    if R < D:
        weight = x.T @ torch.linalg.solve(x @ x.T + strength * eye, y)
    else:
        weight = torch.linalg.solve(x.T @ x + strength * eye, x.T @ y)
    return weight, level - middle @ weight
