"""OverFeat: a window slid over the image at many scales; every place votes with a class and a box.

A classifier and a box regressor share the maps of one body. Both are evaluated densely, so that
what windows share is computed once. The regressor lets each window say where the object is,
wherever in the window it lies: boxes of neighbouring windows fall upon one another, though the
windows do not, and merged they are better than most of them.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from course_lib.detection.dense import answers, offset_pool, pool_kernel, scale_table
from course_lib.detection.localizer import Located
from course_lib.detection.merging import merge_boxes
from course_lib.detection.regression import chosen_boxes
from course_lib.detection.windows import resized, training_windows, window_grid
from course_lib.models import box_regressor as new_regressor
from course_lib.models import summary
from course_lib.models.parts import check_images
from course_lib.shapes import check_array
from course_lib.training import fit, predict

__all__ = ["Dense", "OverFeat", "Votes"]


class Dense(NamedTuple):
    """What :meth:`OverFeat.dense` gives for N images: a class and a box for every window.

    scores  : ``(N, K + 1, h, w)``, probabilities; the background last
    boxes   : ``(N, h, w, 4)`` or ``(N, K, h, w, 4)``, ``x1 y1 x2 y2`` in pixels of the image
    windows : ``(h, w, 4)``, where the windows lie, likewise
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    windows: torch.Tensor


class Votes(NamedTuple):
    """The windows of an image that see an object: ``(R, 4)`` boxes, ``(R, K)`` probabilities."""

    boxes: torch.Tensor
    scores: torch.Tensor


class OverFeat(nn.Module):
    """A classifier and a box regressor on one body, for windows of an image.

    Parameters
    ----------
    classifier : OverFeatNet
        For K classes and, last, the background.
    box_regressor : nn.Module, optional
        From pooled maps to 4 numbers, or 4 for each of the K classes, in units of the window; by
        default a :func:`course_lib.models.box_regressor` with one hidden layer of 128 units.
    rng : torch.Generator, optional
        Draws the weights of that default.

    Raises
    ------
    ValueError
        If the classifier's last pool overlaps, or the regressor gives another count of numbers.

    References
    ----------
    P. Sermanet et al. (2014), "OverFeat", sections 3 and 4. Departures: the background is a class
    from the beginning, as the paper has it for detection (section 5); where the paper takes the
    boxes of all windows for the best classes of a scale, here those windows vote that are sure
    enough of some object; and :func:`match_score` is made free of units.

    Examples
    --------
    >>> scenes = digit_scenes(2000, digits=(1, 1), side=(20, 40), clutter=4)
    >>> targets = [{"boxes": b, "labels": k} for b, k in zip(scenes.boxes, scenes.labels)]
    >>> net = OverFeat(overfeat_small(11))
    >>> histories = net.fit(scenes.images, targets, sizes=(30, 36, 48, 60))
    >>> found = net.locate(scenes.images, sizes=(30, 36, 48, 60), offsets=1)
    """

    def __init__(self, classifier, box_regressor=None, *, rng=None):
        super().__init__()
        self.kernel = pool_kernel("OverFeat", classifier)
        if box_regressor is None:
            box_regressor = new_regressor(classifier, widths=(128,), rng=rng)
        self.classifier, self.box_regressor = classifier, box_regressor
        self.num_classes = _outputs(classifier.classifier) - 1
        numbers = _outputs(box_regressor)
        if numbers not in (4, 4 * self.num_classes):
            raise ValueError(
                f"OverFeat: the box regressor gives {numbers} numbers, expected 4, or 4 for each "
                f"of {self.num_classes} classes; the classifier's last class is the background"
            )
        self.per_class = numbers != 4
        self.window = tuple(classifier.input_shape[1:])
        body = summary(classifier.features, classifier.input_shape).rows[-1]
        self.stride = body.stride  # of the maps before the last pool, in pixels
        self.cells = scale_table(classifier, [self.window])[0].post_pool

    def forward(self, windows):
        """Return scores ``(N, K + 1)`` and boxes ``(N, 4)`` or ``(N, 4 * K)`` of windows."""
        pooled = self.classifier.pooled(windows)
        return self.classifier.classifier(pooled), self.box_regressor(pooled)

    def fit(
        self,
        images,
        targets,
        *,
        sizes,
        per_image=1,
        epochs=(6, 12),
        batch_size=32,
        learning_rate=(0.05, 0.005),
        seed=0,
        progress=None,
    ):
        """Train the classifier on windows; then, with its body as it is, the regressor.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W)
        targets : sequence of N dicts
            ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``.
        sizes : sequence of int
            The scales at which windows are cut: the shorter side of the image, in pixels.
        per_image : int
            Windows of each image at each scale.
        epochs : (int, int)
            Of the classifier and of the regressor.
        batch_size : int
        learning_rate : (float, float)
            Of SGD for the classifier, and of Adam for the regressor; both one-cycle.
        seed : int
            Of the windows and of the order.
        progress : optional
            As in :func:`course_lib.training.fit`.

        Returns
        -------
        (History, History)

        Raises
        ------
        TypeError, ValueError
            As :func:`training_windows`.
        """
        seen = training_windows(
            images, targets, window=self.window, sizes=sizes, per_image=per_image, seed=seed
        )
        labels = torch.where(seen.labels < 0, self.num_classes, seen.labels)
        shared = {"batch_size": batch_size, "schedule": "one-cycle", "seed": seed}
        shared["progress"] = progress
        first = fit(
            self.classifier,
            seen.images[seen.sure],
            labels[seen.sure],
            epochs=epochs[0],
            learning_rate=learning_rate[0],
            **shared,
        )
        inside = seen.labels >= 0
        second = fit(
            self.box_regressor,
            predict(_Pooled(self.classifier), seen.images[inside]),
            (seen.boxes[inside], labels[inside]),
            epochs=epochs[1],
            learning_rate=learning_rate[1],
            optimizer="adam",
            loss=window_box_loss,
            **shared,
        )
        return first, second

    def dense(self, images, size=None, *, offsets=None):
        """Return the class and the box of every window of images, at one scale.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W)
        size : int, optional
            Pixels of the shorter side, to which the images are resampled; by default as they are.
        offsets : int, optional
            Of the last pool, along each axis, as for :func:`offset_pool`; by default all.

        Returns
        -------
        Dense

        Raises
        ------
        TypeError, ValueError
            If the images are none, or smaller than the window at this scale.
        """
        images = as_images("OverFeat.dense", images, self.classifier)
        scaled = resized(images, size)
        if any(n < k for n, k in zip(scaled.shape[2:], self.window, strict=True)):
            raise ValueError(
                f"OverFeat.dense: at this scale the images are {scaled.shape[2]} x "
                f"{scaled.shape[3]}, expected at least the window of {self.window[0]} x "
                f"{self.window[1]}; give a larger `size`"
            )
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                pooled = offset_pool(self.classifier.features(scaled), self.kernel, offsets)
                scores = answers(self.classifier.classifier, self.cells, pooled).softmax(1)
                boxes = answers(self.box_regressor, self.cells, pooled)
        finally:
            self.train(training)
        step = self.stride * self.kernel // len(pooled)
        windows = window_grid(scores.shape[2:], step, self.window).to(boxes)
        zoom = [scaled.shape[i] / images.shape[i] for i in (3, 2)]
        side = windows.new_tensor(self.window[::-1]).repeat(2)
        corners = windows[..., :2].repeat(1, 1, 2)
        boxes = corners + boxes.unflatten(1, (-1, 4)).movedim(2, -1) * side  # (N, 1 or K, h, w, 4)
        ends = boxes.unflatten(-1, (2, 2))  # a box that comes out inside out is turned
        boxes = torch.cat([ends.amin(-2), ends.amax(-2)], -1)
        boxes, windows = (b / windows.new_tensor(zoom).repeat(2) for b in (boxes, windows))
        return Dense(scores, boxes if self.per_class else boxes[:, 0], windows)

    def votes(self, images, sizes, *, offsets=None, threshold=0.5):
        """Return the boxes of all windows that see an object, over all scales.

        Parameters
        ----------
        images : array or tensor, shape (N, C, H, W)
        sizes : sequence of int
            The scales: the shorter side of the image, in pixels.
        offsets : int, optional
            As for :meth:`dense`.
        threshold : float
            The least probability of a class with which a window votes. The surest window votes in
            any case, if only for the class that it finds least unlikely.

        Returns
        -------
        list of N Votes
            With a box for each class, a window votes once for each class that is likely enough.
        """
        parts = [self._candidates(self.dense(images, size, offsets=offsets)) for size in sizes]
        boxes, scores = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        best = scores.amax(2)
        chosen = (best >= threshold) | (best == best.amax(1, keepdim=True))
        return [Votes(b[c], s[c]) for b, s, c in zip(boxes, scores, chosen, strict=True)]

    def _candidates(self, dense):
        """Boxes ``(N, R, 4)`` and scores ``(N, R, K)`` of all windows; with K boxes, K times."""
        scores = dense.scores[:, :-1].flatten(2).mT
        if not self.per_class:
            return dense.boxes.flatten(1, 2), scores
        boxes = dense.boxes.flatten(2, 3).transpose(1, 2)  # (N, R, K, 4)
        own = scores.diag_embed()  # (N, R, K, K): of a box its own class, and no other
        return boxes.flatten(1, 2), own.flatten(1, 2)

    def detect(
        self, images, sizes, *, offsets=None, threshold=0.5, merge=0.5, weights="confidence"
    ):
        """Find objects: let windows vote at all scales, and merge their boxes.

        Parameters
        ----------
        images, sizes, offsets, threshold
            As for :meth:`votes`; here an image without any window that is sure enough has none.
        merge : float
            The threshold of :func:`merge_boxes`.
        weights : str
            As for :func:`merge_boxes`.

        Returns
        -------
        list of N dicts
            ``boxes`` ``(M, 4)`` in pixels, ``labels`` ``(M,)`` and ``scores`` ``(M,)``, the sums of
            the probabilities of the windows that were merged, the largest first.
        """
        found = []
        for votes in self.votes(images, sizes, offsets=offsets, threshold=threshold):
            sure = votes.scores.amax(1) >= threshold
            merged = merge_boxes(
                votes.boxes[sure], votes.scores[sure], threshold=merge, weights=weights
            )
            scores, labels = merged.scores.max(1)
            found.append({"boxes": merged.boxes, "labels": labels, "scores": scores})
        return found

    def locate(
        self, images, sizes, *, offsets=None, threshold=0.5, merge=0.5, weights="confidence"
    ):
        """Say of images with one object each what and where it is: the merged box of most weight.

        Parameters
        ----------
        images, sizes, offsets, threshold, merge, weights
            As for :meth:`detect`; where no window is sure enough, the surest one decides.

        Returns
        -------
        Located
            With the mean probability of the windows that were merged.
        """
        rows = []
        for votes in self.votes(images, sizes, offsets=offsets, threshold=threshold):
            merged = merge_boxes(votes.boxes, votes.scores, threshold=merge, weights=weights)
            score, label = merged.scores[0].max(0)
            rows.append((label, merged.boxes[0], score / (merged.groups == 0).sum()))
        return Located(*(torch.stack(part) for part in zip(*rows, strict=True)))


class _Pooled(nn.Module):
    """What the regressor reads of images."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, x):
        return self.classifier.pooled(x)


def _outputs(head):
    return [layer.out_features for layer in head.modules() if isinstance(layer, nn.Linear)][-1]


def window_box_loss(output, target):
    """Return the mean squared error of the boxes of windows, of the object's class if there are K.

    Parameters
    ----------
    output : tensor, shape (N, 4) or (N, 4 * K)
    target : (tensor, tensor)
        Boxes ``(N, 4)`` and labels ``(N,)``.
    """
    boxes, labels = target
    if output.shape[1] > 4:
        output = output.unflatten(1, (-1, 4))
    return functional.mse_loss(chosen_boxes(output, labels), boxes)


def as_images(where, images, model):
    """Return images as a tensor of the type of the model's weights, or say what is wrong."""
    check_array(where, "images", images)
    images = torch.as_tensor(images)
    check_images(where, images, model.input_shape)
    return images.to(next(model.parameters()))
