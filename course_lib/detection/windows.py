"""Windows to train on: cut out of images at several scales, with what each of them shows."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from course_lib.detection.boxes import area
from course_lib.shapes import check_array

__all__ = ["TrainingWindows", "resized", "training_windows", "window_grid"]

SHOWN = 0.85  # share of an object's box with which a window is called by its class
HALF = 0.5  # share with which it teaches the regressor (section 4.2), and is no background


class TrainingWindows(NamedTuple):
    """Windows cut from images, with what they show.

    images : ``(n, C, H, W)``
    labels : ``(n,)`` int64; -1 for background
    boxes  : ``(n, 4)`` float32, of the object, in units of the window; NaN for background
    sure   : ``(n,)`` bool, whether the window shows enough of the object to be called by its label
    """

    images: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor
    sure: torch.Tensor


def training_windows(images, targets, *, window, sizes, per_image=1, seed=0):
    """Cut windows out of images at several scales: half of them about an object, half anywhere.

    A window is called by the object whose centre is nearest to its own, among those of which it
    shows nearly all; it is background if it shows less than half of every object. What lies
    between teaches the regressor only, which learns from half an object on, as in the paper.

    Parameters
    ----------
    images : array or tensor, shape (N, C, H, W)
    targets : sequence of N dicts
        ``boxes`` ``(n, 4)``, ``x1 y1 x2 y2`` in pixels, and ``labels`` ``(n,)``.
    window : (int, int)
        Rows and columns, in pixels.
    sizes : sequence of int
        The scales: the shorter side of the image, in pixels.
    per_image : int
        Windows of each image at each scale.
    seed : int

    Returns
    -------
    TrainingWindows
        ``N * len(sizes) * per_image`` of them.

    Raises
    ------
    TypeError, ValueError
        If there are not as many targets as images, or no images or sizes, or an image is smaller
        than the window.
    """
    check_array("training_windows", "images", images)
    images = torch.as_tensor(images)
    if images.ndim != 4 or len(images) != len(targets):
        raise ValueError(
            f"training_windows: `images` has shape {tuple(images.shape)} and there are "
            f"{len(targets)} targets, expected (N, C, H, W) and N"
        )
    if not len(images) or not len(sizes):
        raise ValueError(
            f"training_windows: {len(images)} images at {len(sizes)} scales have no windows; give "
            f"at least one of each"
        )
    rng = np.random.default_rng(seed)
    KH, KW = window
    cut, labels, boxes, sure = [], [], [], []
    for size in sizes:
        scaled = resized(images, size)
        H, W = scaled.shape[2:]
        if H < KH or W < KW:
            raise ValueError(
                f"training_windows: at the scale {size} the images are {H} x {W}, expected at "
                f"least the window of {KH} x {KW}"
            )
        zoom = np.array([W / images.shape[3], H / images.shape[2]] * 2)
        for image, target in zip(scaled, targets, strict=True):
            objects = np.asarray(target["boxes"], np.float64).reshape(-1, 4) * zoom
            for _ in range(per_image):
                x, y = corner(objects, (H, W), window, rng)
                label, box, whole = what_it_shows(objects, target["labels"], (x, y), window)
                cut.append(image[:, y : y + KH, x : x + KW])
                labels.append(label)
                boxes.append(box)
                sure.append(whole)
    return TrainingWindows(
        torch.stack(cut),
        torch.tensor(labels),
        torch.tensor(np.array(boxes), dtype=torch.float32),
        torch.tensor(sure),
    )


def corner(objects, size, window, rng):
    """Return the corner (x, y) of a window with an object's centre in it or, half the time, any."""
    (H, W), (KH, KW) = size, window
    x, y = rng.integers(W - KW + 1), rng.integers(H - KH + 1)
    if len(objects) and rng.random() < 0.5:
        x1, y1, x2, y2 = objects[rng.integers(len(objects))]
        x = round(np.clip((x1 + x2) / 2 - rng.random() * KW, 0, W - KW))
        y = round(np.clip((y1 + y2) / 2 - rng.random() * KH, 0, H - KH))
    return x, y


def what_it_shows(objects, labels, place, window):
    """Return the label, the box in units of the window, and whether the label is sure.

    Parameters
    ----------
    objects : array, shape (n, 4)
        ``x1 y1 x2 y2`` in pixels, as `place`, the window's corner (x, y).
    """
    corners, side = np.array([*place] * 2), np.array([*window[::-1]] * 2)
    there = (objects - corners) / side
    shares = area(there.clip(0, 1)) / area(there).clip(min=1e-9)
    away = np.hypot(*((there[:, :2] + there[:, 2:]) / 2 - 0.5).T)
    for least in (SHOWN, HALF):
        if (shares >= least).any():
            k = np.where(shares >= least, away, np.inf).argmin()
            return int(labels[k]), there[k], least == SHOWN
    return -1, np.full(4, np.nan), True


def window_grid(cells, step, window):
    """Return the windows of a map of `cells` ``(h, w)``, ``(h, w, 4)``, `step` pixels apart."""
    h, w = cells
    y, x = torch.meshgrid(step * torch.arange(h), step * torch.arange(w), indexing="ij")
    corners = torch.stack([x, y], -1).float()
    return torch.cat([corners, corners + corners.new_tensor(window[::-1])], -1)


def resized(images, size):
    """Resample images ``(N, C, H, W)`` so that their shorter side is `size`; None leaves them."""
    H, W = images.shape[2:]
    if size is None or size == min(H, W):
        return images
    to = [round(n * size / min(H, W)) for n in (H, W)]
    return functional.interpolate(images, to, mode="bilinear", antialias=True)
