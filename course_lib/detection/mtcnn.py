"""Find faces in photographs: MTCNN, a cascade of three networks over a sliding window.

P-Net slides over the photograph at many scales, as a fully convolutional network does, and passes
few windows on; R-Net and O-Net look closer at those. Each regresses boxes, and each stage keeps,
of boxes that overlap much, the best.

Boxes are ours, ``x1 y1 x2 y2`` with the width ``x2 - x1``. In the authors' code, edges are pixels
that belong to the box, the first one is 1, a width is ``x2 - x1 + 1``, and edges are cut to whole
pixels after each stage; here only a crop is, so boxes differ from theirs by a pixel or so. Theirs
also averages the landmarks with those of the mirrored face.

References
----------
K. Zhang, Z. Zhang, Z. Li & Y. Qiao (2016), "Joint Face Detection and Alignment Using Multitask
Cascaded Convolutional Networks", section II.A.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from course_lib.detection.boxes import area, common_area
from course_lib.detection.nms import nms
from course_lib.models.mtcnn import LANDMARKS, O_WINDOW, P_WINDOW, R_WINDOW, STRIDE, load_mtcnn

__all__ = ["CascadeStage", "FaceCascade", "Faces"]

MEAN, SCALE = 127.5, 128.0  # grey values: what the weights were trained with
THRESHOLDS = 0.6, 0.7, 0.7  # the least probability of a face, in each stage
SAME_SCALE, ALL_SCALES = 0.5, 0.7  # the largest overlaps that stay


class Faces(NamedTuple):
    """Faces, best first: `boxes` ``(R, 4)``, `scores` ``(R,)`` and `landmarks` ``(R, 5, 2)``.

    All are float32; boxes ``x1 y1 x2 y2`` and landmarks ``x y`` are in pixels of the photograph,
    beyond the border of which a box may reach; a score is a probability. The landmarks are left
    eye, right eye, nose, left and right corner of the mouth, left as it is seen.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray


class CascadeStage(NamedTuple):
    """What a stage was shown, and what it left.

    `name`; `windows`, how many it looked at; `passed`, how many of them its network took for a
    face; and what suppression left of those: `boxes` ``(R, 4)``, regressed, and `scores` ``(R,)``.
    """

    name: str
    windows: int
    passed: int
    boxes: np.ndarray
    scores: np.ndarray


class FaceCascade:
    """A detector of faces.

    After :meth:`detect`, `stages` holds a :class:`CascadeStage` for each of the three networks.

    Parameters
    ----------
    networks : three FaceNets, optional
        P-Net, R-Net and O-Net; those of :func:`course_lib.models.load_mtcnn` if left out.
    smallest : float
        Side of the smallest face to look for, in pixels. Half of it is four times the work.
    factor : float
        From one scale of the photograph to the next.
    thresholds : three floats
        The least probability of a face, in each stage.

    Raises
    ------
    ValueError
        If one of the numbers makes no sense.

    Examples
    --------
    >>> from course_lib.data import photograph
    >>> cascade = FaceCascade()
    >>> len(cascade.detect(photograph("astronaut")).boxes)
    1
    >>> [len(stage.boxes) for stage in cascade.stages][-1]
    1
    """

    def __init__(self, networks=None, *, smallest=20, factor=0.709, thresholds=THRESHOLDS):
        if not smallest > 0:
            raise ValueError(f"FaceCascade: `smallest` is {smallest}, expected more than 0 pixels")
        if not 0 < factor < 1:
            raise ValueError(
                f"FaceCascade: `factor` is {factor}, expected between 0 and 1, since each scale "
                f"is smaller than the one before"
            )
        if len(thresholds) != 3 or not all(0 <= t <= 1 for t in thresholds):
            raise ValueError(
                f"FaceCascade: `thresholds` is {thresholds}, expected three probabilities"
            )
        self.networks = load_mtcnn() if networks is None else networks
        self.smallest, self.factor, self.thresholds = smallest, factor, thresholds
        self.stages = []

    def detect(self, photo):
        """Find the faces of a photograph.

        Parameters
        ----------
        photo : uint8 array_like, shape (H, W, 3)
            Red, green and blue, 0 to 255.

        Returns
        -------
        Faces
            Of no faces if there are none.

        Raises
        ------
        TypeError
            If the photograph does not hold uint8.
        ValueError
            If it is not ``(H, W, 3)``, or smaller than the smallest face.
        """
        photo = self.checked(photo)
        device = next(self.networks[0].parameters()).device
        image = torch.from_numpy(photo.transpose(2, 0, 1).astype(np.float32)).to(device)
        image = (image - MEAN) / SCALE
        with torch.inference_mode():
            first = self.propose(image)
            second = self.refine(image, first.boxes)
            third, landmarks = self.align(image, second.boxes)
        self.stages = [first, second, third]
        return Faces(third.boxes, third.scores, landmarks)

    def sizes(self, H, W):
        """Return the sizes at which P-Net sees a photograph, largest first, in pixels.

        At the first, the smallest face is as large as P-Net's window; the last is the last one in
        which a window fits.

        Returns
        -------
        list of (int, int)
            Rows and columns.
        """
        scale, sizes = P_WINDOW / self.smallest, []
        while min(H, W) * scale >= P_WINDOW:
            sizes.append((math.ceil(H * scale), math.ceil(W * scale)))
            scale *= self.factor
        return sizes

    def propose(self, image):
        """Slide P-Net over the image at all scales; return the first :class:`CascadeStage`."""
        H, W = image.shape[1:]
        windows, passed, found = 0, 0, [(none(4), none(), none(4))]
        for h, w in self.sizes(H, W):
            output = self.networks[0](resampled(image, (h, w))[None])
            odds = output.scores[0].softmax(0)[1]
            rows, columns = torch.where(odds > self.thresholds[0])
            corners = STRIDE * torch.stack([columns, rows], 1)
            boxes = torch.cat([corners, corners + P_WINDOW], 1) * odds.new_tensor(
                [W / w, H / h] * 2
            )
            some = arrays(boxes, odds[rows, columns], output.offsets[0, :, rows, columns].T)
            found.append(pick(nms(*some[:2], SAME_SCALE), *some))
            windows, passed = windows + odds.numel(), passed + len(rows)
        found = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        found = pick(nms(*found[:2], ALL_SCALES), *found)
        return CascadeStage("P-Net", windows, passed, *regressed(*found))

    def refine(self, image, boxes):
        """Show R-Net squares around the boxes; return the second :class:`CascadeStage`."""
        squares, odds, offsets = self.look(image, boxes, 1, R_WINDOW)
        kept = nms(squares, odds, ALL_SCALES)
        found = regressed(*pick(kept, squares, odds, offsets))
        return CascadeStage("R-Net", len(boxes), len(squares), *found)

    def align(self, image, boxes):
        """Show O-Net squares around the boxes; return the last stage, and the landmarks."""
        squares, odds, offsets, points = self.look(image, boxes, 2, O_WINDOW)
        points = points.reshape(-1, 2, len(LANDMARKS)).transpose(0, 2, 1)
        points = squares[:, None, :2] + points * (squares[:, 2:] - squares[:, :2])[:, None]
        found = regressed(squares, odds, offsets, points)
        found = pick(outermost(*found[:2], ALL_SCALES), *found)
        return CascadeStage("O-Net", len(boxes), len(squares), *found[:2]), found[2]

    def look(self, image, boxes, index, side):
        """Show a network squares around boxes; return those that it passes, and what it says."""
        squares = squared(boxes)
        crops = [crop(image, square, side) for square in squares.tolist()]
        output = self.networks[index](
            torch.stack(crops) if crops else image.new_zeros(0, 3, side, side)
        )
        odds, *others = arrays(output.scores.softmax(1)[:, 1], *output[1:])
        return pick(odds > self.thresholds[index], squares, odds, *others)

    def checked(self, photo):
        """Return a photograph as an array, or say what is wrong with it."""
        photo = np.asarray(photo)
        if photo.ndim != 3 or photo.shape[2] != 3:
            raise ValueError(
                f"FaceCascade: `photo` has shape {photo.shape}, expected (H, W, 3); make a "
                f"grey one colour with np.stack([photo] * 3, axis=2)"
            )
        if photo.dtype != np.uint8:
            raise TypeError(
                f"FaceCascade: `photo` holds {photo.dtype}, expected uint8 in 0..255; convert it, "
                f"for example with (255 * photo).round().astype(np.uint8)"
            )
        if min(photo.shape[:2]) < max(self.smallest, 1):
            raise ValueError(
                f"FaceCascade: `photo` has {photo.shape[0]} rows and {photo.shape[1]} columns, "
                f"expected at least {self.smallest} of each, the `smallest` face; enlarge the "
                f"photograph, or look for smaller faces"
            )
        return photo


def resampled(image, size):
    """Return an image ``(3, H, W)`` in another size, smoothed where it shrinks."""
    return functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def crop(image, square, side):
    """Cut a square ``x1 y1 x2 y2`` out, at whole pixels, black beyond the border; resample it."""
    x1, y1 = (math.floor(v + 0.5) for v in square[:2])
    size = max(1, math.floor(square[2] - square[0] + 0.5))
    H, W = image.shape[1:]
    cut = image.new_full((3, size, size), (0 - MEAN) / SCALE)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x1 + size, W), min(y1 + size, H)
    if left < right and top < bottom:
        cut[:, top - y1 : bottom - y1, left - x1 : right - x1] = image[:, top:bottom, left:right]
    return resampled(cut, (side, side))


def regressed(boxes, scores, offsets, *others):
    """Move each edge by its offset, in sides; return all but boxes turned inside out by that."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    boxes = boxes + offsets * np.stack([width, height] * 2, 1)
    return pick((boxes[:, 2:] > boxes[:, :2]).all(1), boxes, scores, *others)


def squared(boxes):
    """Return the squares about the boxes' centres, as wide as their longer sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], 1)


def outermost(boxes, scores, threshold):
    """Suppress as :func:`nms`, with the overlap as a share of the smaller box; return indices.

    So that of a face within a face one is left.
    """
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        own, others = boxes[i : i + 1], boxes[kept].reshape(-1, 4)
        smaller = np.minimum(area(own), area(others))
        if not (common_area(own, others, np)[0] > threshold * smaller).any():
            kept.append(i)
    return np.array(kept, int)


def pick(which, *arrays):
    """Return some rows of each array."""
    return tuple(array[which] for array in arrays)


def arrays(*tensors):
    """Return tensors as arrays."""
    return [tensor.cpu().numpy() for tensor in tensors]


def none(*shape):
    """Return an array of no rows."""
    return np.zeros((0, *shape), np.float32)
