"""Detection as classification: a linear SVM of each class, slid over HOG at many scales.

A linear score of a window is a sum over its blocks, and the blocks of an image do not depend on the
window: they are computed once at each scale, and the sum is a convolution with the SVM's weights.
"""

import math
from collections import defaultdict

import torch
from torch.nn import functional

from course_lib.detection.batching import check_trainable, image_list, same_sizes, target_list
from course_lib.detection.boxes import box_iou, clip_boxes
from course_lib.detection.hog import hog
from course_lib.detection.mining import mine_hard_negatives
from course_lib.detection.nms import batched_nms
from course_lib.detection.windows import resized, window_grid
from course_lib.shapes import pair

__all__ = ["HOGDetector"]

POSITIVE, NEGATIVE = 0.7, 0.3  # overlaps from which on, and below which, a window is an example
STEP = 1.2  # from one scale to the next
USUAL = 0.05  # share of the smallest and of the largest objects that no scale is made for
AT_ONCE = 64  # images whose blocks are computed together


class HOGDetector:
    """One linear SVM for each class, that looks at all windows of an image at many scales.

    A window shows an object with some of its surroundings. The box that it stands for is the mean
    one of its class: a window of the class 1 has a narrow box. The defaults are for objects of some
    20 pixels; for persons the paper has windows of 128 x 64 pixels and cells of 8.

    Parameters
    ----------
    num_classes : int
        K; what belongs to none of them is background, which has no SVM.
    window : int or (int, int)
        Rows and columns, in pixels, multiples of the cell.
    cell, bins, block, signed, votes
        As for :func:`course_lib.detection.hog`.
    share : float
        The part of the window that an object fills, along the side in which it fills more.

    Attributes
    ----------
    weight : tensor, shape (K, D, h, w)
        D numbers of each of h x w blocks.
    bias : tensor, shape (K,)
        Minus infinity for a class of which there was no object.
    shapes : tensor, shape (K, 2)
        Width and height of each class's box, in units of the window.
    sizes : list of int
        The scales that fit the training objects: the shorter side of an image, in pixels.

    Raises
    ------
    TypeError, ValueError
        If a number has no meaning, or the window is not made of whole cells and blocks.

    References
    ----------
    N. Dalal & B. Triggs (2005), "Histograms of Oriented Gradients for Human Detection". Departure:
    they train on crops; here examples are windows of the training images as detection sees them.

    Examples
    --------
    >>> scenes = digit_scenes(600)
    >>> targets = [{"boxes": b, "labels": k} for b, k in zip(scenes.boxes, scenes.labels)]
    >>> detector = HOGDetector(10)
    >>> mined = detector.fit(scenes.images, targets)
    >>> found = detector.detect(scenes.images)
    """

    def __init__(
        self,
        num_classes,
        window=(30, 30),
        *,
        cell=6,
        bins=9,
        block=2,
        signed=False,
        votes="bilinear",
        share=0.75,
    ):
        (self.num_classes, _) = pair("HOGDetector", "num_classes", num_classes, least=1)
        self.window = pair("HOGDetector", "window", window, least=1)
        (self.cell, _) = pair("HOGDetector", "cell", cell, least=1)
        self.span = tuple(n // self.cell - block + 1 for n in self.window)
        if any(n % self.cell for n in self.window) or min(self.span) < 1:
            raise ValueError(
                f"HOGDetector: `window` is {self.window}, expected whole cells of {cell} pixels, "
                f"at least as many as a block has, {block}"
            )
        if not 0 < share <= 1:
            raise ValueError(f"HOGDetector: `share` is {share!r}, expected more than 0, up to 1")
        self.share = share
        self.descriptor = {"bins": bins, "block": block, "signed": signed, "votes": votes}
        self.weight = self.bias = self.shapes = self.sizes = None

    def fit(self, images, targets, *, sizes=None, C=1.0, rounds=10, start=2000, limit=1000, seed=0):
        """Train the SVM of each class on windows that show it and on hard ones that do not.

        A window is positive if its box overlaps an object of the class by .7, or more than any
        other window does; negative if it overlaps each of them by less than .3, objects of other
        classes included.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of N of (C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``; n may be 0.
        sizes : sequence of int, optional
            The scales; by default from those that bring all but the smallest and the largest 5% of
            the objects to the share of the window that they are to fill.
        C, rounds, start, limit, seed
            As for :func:`course_lib.detection.mine_hard_negatives`.

        Returns
        -------
        dict of int to LinearClassifier
            How mining went for each class that has objects.

        Raises
        ------
        TypeError, ValueError
            If images or targets are none, do not pair up or have no object; or no window fits the
            images at any scale.
        """
        images = as_images("HOGDetector.fit", images)
        targets = target_list("HOGDetector.fit", images, targets, self.num_classes)
        check_trainable("HOGDetector.fit", images, targets)
        objects = [(target["boxes"], target["labels"]) for target in targets]
        self._measure(images, objects, sizes)
        windows, positive, excluded = self._examples(images, objects)
        D = hog_numbers(self.descriptor)
        self.weight = torch.zeros(self.num_classes, D, *self.span)
        self.bias = torch.full((self.num_classes,), -math.inf)
        mined = {}
        for label in sorted(positive):
            free = torch.ones(len(windows), dtype=torch.bool)
            free[torch.cat(excluded[label])] = False
            mined[label] = mine_hard_negatives(
                windows[torch.cat(positive[label]).unique()],
                Some(windows, free.nonzero()[:, 0]),
                C=C,
                rounds=rounds,
                start=start,
                limit=limit,
                seed=seed,
            )
            self.weight[label] = torch.tensor(mined[label].weight).reshape(self.weight.shape[1:])
            self.bias[label] = mined[label].bias
        return mined

    def _measure(self, images, objects, sizes):
        """Set the shape of each class's box, and the scales that the objects need."""
        KH, KW = self.window
        self.shapes = torch.full((self.num_classes, 2), self.share)
        found, needed = defaultdict(list), []
        for image, (boxes, labels) in zip(images, objects, strict=True):
            size = boxes[:, 2:] - boxes[:, :2]
            filled = size / size.new_tensor([KW, KH])
            longer = filled.amax(1, keepdim=True)
            needed.append(self.share / longer[:, 0] * min(image.shape[1:]))
            for label, shape in zip(labels.tolist(), self.share * filled / longer, strict=True):
                found[label].append(shape)
        for label, shapes in found.items():
            self.shapes[label] = torch.stack(shapes).mean(0)
        if sizes is None:
            ends = torch.cat(needed).quantile(torch.tensor([USUAL, 1 - USUAL]))
            low, high = ends.log().tolist()
            count = 1 + math.ceil((high - low) / math.log(STEP))
            sizes = torch.linspace(low, high, count).exp().round().int().tolist()
        self.sizes = checked_sizes("HOGDetector.fit", sizes)

    def _examples(self, images, objects):
        """Return all windows, and for each class which show it, and which are no background."""
        maps, count = [], 0
        positive, excluded = defaultdict(list), defaultdict(list)
        best = {}  # of each object the largest overlap, and the window that has it
        for size in self.sizes:
            for indices, blocks, corners in self._levels(images, size):
                maps.append(blocks)
                R = len(corners)
                for n, index in enumerate(indices):
                    first = count + n * R
                    for k, (box, label) in enumerate(zip(*objects[index], strict=True)):
                        label = label.item()
                        own = self._boxes(corners, label)
                        overlap = box_iou(own, box[None])[:, 0]
                        excluded[label].append(first + (overlap >= NEGATIVE).nonzero()[:, 0])
                        positive[label].append(first + (overlap >= POSITIVE).nonzero()[:, 0])
                        top = overlap.max()
                        if top > best.get((index, k), (0,))[0]:
                            best[index, k] = top, first + overlap.argmax(), label
                count += R * len(indices)
        if not count:
            raise ValueError(
                f"HOGDetector.fit: at the scales {self.sizes} no image holds a window of "
                f"{self.window[0]} x {self.window[1]} pixels; give larger `sizes`"
            )
        for _, window, label in best.values():
            positive[label].append(window[None])
            excluded[label].append(window[None])
        return Windows(maps, self.span), positive, excluded

    def _levels(self, images, size):
        """Yield, for images of one shape, their numbers, blocks and windows at one scale.

        That is, indices, blocks ``(n, h, w, D)``, and the windows ``(R, 4)`` in pixels of the
        images, row by row. Around an image lies a margin, in which its border is repeated, so that
        an object at the border has a window.
        """
        around = [math.ceil((1 - self.share) / 2 * n / self.cell) for n in self.window]
        top, left = (self.cell * cells for cells in around)
        for indices in same_sizes(images, AT_ONCE):
            batch = torch.stack([images[index] for index in indices])
            scaled = resized(batch, size)
            H, W = scaled.shape[2:]
            if H + 2 * top < self.window[0] or W + 2 * left < self.window[1]:
                continue
            padded = functional.pad(scaled, (left, left, top, top), mode="replicate")
            blocks = hog(padded, cell=self.cell, **self.descriptor)
            cells = [n - k + 1 for n, k in zip(blocks.shape[1:3], self.span, strict=True)]
            windows = window_grid(cells, self.cell, self.window).reshape(-1, 4)
            windows -= windows.new_tensor([left, top] * 2)
            zoom = windows.new_tensor([W / batch.shape[3], H / batch.shape[2]] * 2)
            yield indices, blocks, windows / zoom

    def _boxes(self, windows, labels):
        """Return the boxes ``(R, 4)`` of windows ``(R, 4)`` of classes, one or R."""
        centre = (windows[:, :2] + windows[:, 2:]) / 2
        half = (windows[:, 2:] - windows[:, :2]) * self.shapes[labels] / 2
        return torch.cat([centre - half, centre + half], 1)

    def detect(self, images, *, sizes=None, score_threshold=-1.0, nms_threshold=0.3, limit=100):
        """Find objects: score all windows, and keep the best of those that overlap.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W), or a list of N of (C, H, W)
        sizes : sequence of int, optional
            The scales, the shorter side of an image in pixels; by default those of :meth:`fit`.
        score_threshold : float
            The least score; 0 is the border of an SVM, -1 its margin.
        nms_threshold : float
            As for :func:`course_lib.detection.nms`, which is applied class by class.
        limit : int
            The most detections in an image.

        Returns
        -------
        list of N dicts
            ``boxes`` ``(M, 4)`` in pixels, cut at the border of the image, ``labels`` ``(M,)`` and
            ``scores`` ``(M,)``, the best first. An image that holds no window has none.

        Raises
        ------
        RuntimeError
            If the detector was not trained.
        TypeError, ValueError
            If the images are none, or an option has no meaning.
        """
        if self.weight is None:
            raise RuntimeError("HOGDetector.detect: there are no weights yet; call `fit` first")
        images = as_images("HOGDetector.detect", images)
        sizes = self.sizes if sizes is None else checked_sizes("HOGDetector.detect", sizes)
        if math.isnan(score_threshold):
            raise ValueError("HOGDetector.detect: `score_threshold` is NaN, expected a number")
        parts = [[(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))] for _ in images]
        for size in sizes:
            for indices, blocks, windows in self._levels(images, size):
                for index, scores in zip(indices, self.scores(blocks), strict=True):
                    labels, which = (scores > score_threshold).nonzero(as_tuple=True)
                    boxes = self._boxes(windows[which], labels)
                    parts[index].append((boxes, labels, scores[labels, which]))
        found = []
        for image, part in zip(images, parts, strict=True):
            boxes, labels, scores = (torch.cat(some) for some in zip(*part, strict=True))
            boxes = clip_boxes(boxes, image.shape[1:])
            keep = batched_nms(boxes, scores, labels, nms_threshold)[:limit]
            found.append({"boxes": boxes[keep], "labels": labels[keep], "scores": scores[keep]})
        return found

    def scores(self, blocks):
        """Return the scores ``(N, K, R)`` of the R windows of blocks ``(N, h, w, D)``."""
        return functional.conv2d(blocks.movedim(3, 1), self.weight, self.bias).flatten(2)


class Windows:
    """The windows of several maps of blocks ``(n, h, w, D)``, counted map by map, row by row.

    They are never copied all at once: `@` gives their scores by convolution, `[...]` copies a few.
    """

    def __init__(self, maps, span):
        self.maps, self.span = maps, span
        self.views = [m.unfold(1, span[0], 1).unfold(2, span[1], 1) for m in maps]
        counts = [math.prod(view.shape[:3]) for view in self.views]
        self.starts = torch.tensor([0, *counts]).cumsum(0)

    def __len__(self):
        return int(self.starts[-1])

    def __matmul__(self, weight):
        kernel = torch.as_tensor(weight, dtype=torch.float32)
        kernel = kernel.reshape(1, self.maps[0].shape[3], *self.span)
        scores = [functional.conv2d(m.movedim(3, 1), kernel).flatten() for m in self.maps]
        return torch.cat(scores)

    def __getitem__(self, indices):
        indices = torch.as_tensor(indices)
        which = torch.searchsorted(self.starts, indices, right=True) - 1
        rows = torch.empty(len(indices), math.prod(self.views[0].shape[3:]))
        for k in which.unique().tolist():
            view, here = self.views[k], which == k
            at = torch.unravel_index(indices[here] - self.starts[k], view.shape[:3])
            rows[here] = view[at].flatten(1)
        return rows.numpy()


class Some:
    """Some of the windows, as :func:`mine_hard_negatives` asks for them."""

    def __init__(self, windows, indices):
        self.windows, self.indices = windows, indices

    def __len__(self):
        return len(self.indices)

    def __matmul__(self, weight):
        return (self.windows @ weight)[self.indices].numpy()

    def __getitem__(self, indices):
        return self.windows[self.indices[torch.as_tensor(indices)]]


def hog_numbers(descriptor):
    """Return D, the numbers that describe a block."""
    return descriptor["block"] ** 2 * descriptor["bins"]


def as_images(where, images):
    """Return images as a list of float32 tensors ``(C, H, W)``, of the first one's channels."""
    one = images[0] if len(images) else None
    channels = one.shape[0] if getattr(one, "ndim", 0) == 3 else "C"
    return image_list(where, images, channels)


def checked_sizes(where, sizes):
    """Return scales as a list of ints, or say what is wrong with them."""
    sizes = list(sizes)
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"{where}: `sizes` is {sizes}, expected positive ints, at least one")
    return sizes
