"""The figure of recorded segmentations: what stride and skips do to them, and to their scores."""

from html import escape
from numbers import Integral

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.network import BASE64
from course_lib.web.tables import table

__all__ = ["class_iou", "confusion", "levels", "runs", "segmentation_explorer"]

LONGEST = 64 * 64 - 1  # run of one label, in pixels
MAX_SIZE, MAX_SCENES, MAX_CLASSES = 128, 12, 32


def segmentation_explorer(images, truth, predictions, *, names, scores=None, scored="a larger set"):
    """Choose the stride of a segmentation and its skips, and see which pixels they get wrong.

    Beside the scene stand the true classes, the predicted ones and the wrong pixels: missed,
    added, or taken for another class. A cross hair says of any pixel what it is and what it was
    taken for. Scores are mean IoU, over the classes that occur in truth or prediction, and pixel
    accuracy: of the scene, of all scenes that the figure shows, and of what `scores` gives.

    One can find out

    - that a large stride draws blobs, which close the gaps of thin strokes and cut off their ends;
      how much of that finer strides mend by themselves, and how much takes skips, which add scores
      of finer maps;
    - that mean IoU and pixel accuracy disagree: calling every pixel background is mostly right, and
      still the worst segmentation;
    - that a digit read wrongly costs two classes their IoU, but few pixels.

    Parameters
    ----------
    images : array_like, shape (N, H, W), (N, 1, H, W) or (N, 3, H, W)
        One to twelve scenes of at most 128 x 128 pixels, in 0..1; 1 is ink on paper, or, with
        three channels, light.
    truth : int array_like, shape (N, H, W)
        The true class of each pixel; class 0 is the background.
    predictions : dict from (int, bool) to int array_like of shape (N, H, W)
        For each stride in pixels, without skips (False) and with them (True), the predicted
        classes. A stride may have only one of both.
    names : sequence of str
        What the classes are called, the background first, two to 32 in all.
    scores : dict from (int, bool) to (float, float), optional
        Mean IoU and pixel accuracy of each of `predictions` on more scenes than these.
    scored : str
        What these scenes are, such as ``"200 test scenes"``.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If shapes do not fit, a class has no name, or a number is out of its range.

    References
    ----------
    Long, Shelhamer & Darrell (2015), section 5, for mean IoU and pixel accuracy.
    """
    images, truth = _images(images), np.asarray(truth)
    names = [str(name) for name in names]
    if not 2 <= len(names) <= MAX_CLASSES:
        raise ValueError(
            f"segmentation_explorer: `names` has {len(names)} names, expected 2 to {MAX_CLASSES}, "
            f"the background first"
        )
    shape = (len(images), *images.shape[2:])
    _check_labels("`truth`", truth, shape, names)
    if not predictions:
        raise ValueError("segmentation_explorer: `predictions` is empty, expected at least one")
    maps = {_key("predictions", key): np.asarray(p) for key, p in predictions.items()}
    maps = dict(sorted(maps.items(), key=lambda item: (-item[0][0], item[0][1])))
    for key, labels in maps.items():
        _check_labels(f"`predictions` of {key}", labels, shape, names)
    given = {_key("scores", key): _score(key, pair) for key, pair in (scores or {}).items()}
    if given and set(given) != set(maps):
        raise ValueError(
            f"segmentation_explorer: `scores` has {sorted(given)}, expected those of `predictions`,"
            f" {sorted(maps)}"
        )
    title = f"Segmentations of {len(images)} scenes, by stride and skips"
    headers, rows = _scores(truth, maps, given, len(names), scored)
    return Figure(
        tag="course-segmentation-explorer",
        parts=("figure", "pixels", "choices", "labels", "segmentation-explorer"),
        data={
            "size": list(shape[1:]),
            "channels": images.shape[1],
            "images": [levels(image) for image in images],
            "names": names,
            "truth": [runs(labels) for labels in truth],
            "runs": [
                {"stride": stride, "skips": skips, "labels": [runs(labels) for labels in found]}
                | ({"scores": given[stride, skips]} if given else {})
                for (stride, skips), found in maps.items()
            ],
            "scored": scored,
        },
        fallback=f'<p>{title}:</p>\n<div class="course-static">\n'
        + table(title, [escape(header) for header in headers], rows)
        + "\n</div>",
        text="\n".join([f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )


def levels(image):
    """Return numbers in 0..1 as text, one letter of base64 each: 64 levels."""
    return BASE64[np.rint(63 * np.ravel(image)).astype(int)].tobytes().decode("ascii")


def runs(labels):
    """Return labels as text, row by row: of each run its label, and two letters of its length."""
    flat = np.ravel(labels)
    starts = np.flatnonzero(np.r_[True, np.diff(flat) != 0])
    lengths = np.diff(np.r_[starts, flat.size])
    pieces = np.maximum(-(-lengths // LONGEST), 1)
    last = lengths - (pieces - 1) * LONGEST
    ends = np.cumsum(pieces) - 1
    whole = np.full(pieces.sum(), LONGEST)
    whole[ends] = last
    letters = np.stack([np.repeat(flat[starts], pieces), whole >> 6, whole & 63], 1)
    return BASE64[letters].tobytes().decode("ascii")


def confusion(truth, predicted, num_classes):
    """Return how often each true class (rows) was taken for each class (columns)."""
    pairs = num_classes * np.ravel(truth).astype(int) + np.ravel(predicted)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(counts):
    """Return of each class intersection over union; NaN where it is neither true nor predicted."""
    hits = counts.diagonal().astype(float)
    union = counts.sum(0) + counts.sum(1) - hits
    return np.divide(hits, union, where=union > 0, out=np.full(len(hits), np.nan))


def _scores(truth, maps, given, num_classes, scored):
    """The table of the static form: mean IoU and pixel accuracy of each recorded prediction."""
    headers = ["segmentation", "mean IoU", "pixel accuracy"]
    headers += [f"mean IoU, {scored}", f"pixel accuracy, {scored}"] if given else []
    rows = []
    for (stride, skips), labels in [*maps.items(), ((0, False), np.zeros_like(truth))]:
        name = f"stride {stride}, {'with' if skips else 'without'} skips"
        counts = confusion(truth, labels, num_classes)
        pair = np.nanmean(class_iou(counts)), counts.trace() / counts.sum()
        cells = [*pair, *given.get((stride, skips), ())]
        texts = [f"{cell:.1%}" if i % 2 else f"{cell:.3f}" for i, cell in enumerate(cells)]
        texts += [""] * (len(headers) - 1 - len(texts))
        rows.append((name if stride else "all background", *texts))
    return headers, rows


def _images(images):
    images = np.asarray(images, float)
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"segmentation_explorer: `images` has shape {images.shape}, expected (N, H, W), "
            f"(N, 1, H, W) or (N, 3, H, W)"
        )
    N, _, H, W = images.shape
    if not (1 <= N <= MAX_SCENES and min(H, W) >= 1 and max(H, W) <= MAX_SIZE):
        raise ValueError(
            f"segmentation_explorer: `images` has {N} scenes of {H} x {W} pixels, expected 1 to "
            f"{MAX_SCENES} of at most {MAX_SIZE} x {MAX_SIZE}"
        )
    if not ((images >= 0) & (images <= 1)).all():
        raise ValueError("segmentation_explorer: `images` has numbers outside 0..1")
    return images


def _check_labels(what, labels, shape, names):
    if labels.shape != shape or labels.dtype.kind not in "iu":
        raise ValueError(
            f"segmentation_explorer: {what} has shape {labels.shape} and type {labels.dtype}, "
            f"expected ints of shape {shape} as `images`"
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"segmentation_explorer: {what} has classes {labels.min()} to {labels.max()}, expected "
            f"0 to {len(names) - 1} as in `names`"
        )


def _key(what, key):
    match key:
        case (Integral() as stride, bool() | np.bool() as skips) if stride >= 1:
            return int(stride), bool(skips)
    raise ValueError(
        f"segmentation_explorer: `{what}` has the key {key!r}, expected (stride, skips) such as "
        f"(8, False)"
    )


def _score(key, pair):
    if np.shape(pair) != (2,) or not all(0 <= value <= 1 for value in pair):
        raise ValueError(
            f"segmentation_explorer: `scores` of {key} is {pair!r}, expected mean IoU and pixel "
            f"accuracy in 0..1"
        )
    return [float(value) for value in pair]
