"""Selective search: a few boxes of an image that may hold an object, of whatever class.

It begins with many small regions, merges the two most similar neighbours, and again,
until one region is left. Every region on the way gives a box: small ones first, the image last, so
that all sizes occur. What `similar` means differs from object to object; so the search is repeated
with other colours, other similarities and other first regions, and all boxes are put together.
"""

import math
from heapq import heapify, heappop, heappush
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from course_lib.detection.boxes import is_tensor, namespace
from course_lib.shapes import check_array, check_shapes, dtype_name

__all__ = [
    "STRATEGIES",
    "Grouping",
    "Strategy",
    "group_regions",
    "initial_regions",
    "selective_search",
]

COLOUR_BINS, TEXTURE_BINS, ORIENTATIONS = 25, 10, 8  # of each channel; section 3.2
TYPICAL = 500  # pixels of a side, for which the scales of the paper are
FLAT = 1e-9  # a derivative that is rounding only
ROUNDING = 1e-3  # of 1, by which resampled pixels may lie beyond black or white
SPACES = {
    "hsv": "hue, saturation and value",
    "lab": "CIE Lab: lightness, and two of colour",
    "rgi": "red and green as shares of the intensity, and the intensity",
    "rgb": "as the image is",
    "hue": "the hue alone",
    "gray": "the intensity alone",
}
SIMILARITIES = {"C": "colour", "T": "texture", "S": "size", "F": "fill"}


class Strategy(NamedTuple):
    """What is varied from one grouping to the next: all combinations of the three are run.

    spaces       : keys of :data:`SPACES`; an image without colour has only "gray"
    similarities : sums of C, T, S and F: colour, texture, size, fill
    scales       : of the first regions, see :func:`initial_regions`
    """

    spaces: tuple[str, ...]
    similarities: tuple[str, ...]
    scales: tuple[float, ...]


STRATEGIES = {
    "single": Strategy(("hsv",), ("C+T+S+F",), (100,)),
    "fast": Strategy(("hsv", "lab"), ("C+T+S+F", "T+S+F"), (50, 100)),
    "quality": Strategy(
        ("hsv", "lab", "rgi", "hue", "gray"), ("C+T+S+F", "T+S+F", "F", "S"), (50, 100, 150, 300)
    ),
}


class Grouping(NamedTuple):
    """A hierarchy of regions: first the R given ones, then those that were merged, in order.

    boxes  : ``(n, 4)``, ``x1 y1 x2 y2`` in pixels; n is ``2 R - 1``
    merged : ``(n - R, 2)`` int, of which two regions each of the later ones was made
    """

    boxes: np.ndarray
    merged: np.ndarray


def selective_search(
    image,
    *,
    strategy="fast",
    spaces=None,
    similarities=None,
    scales=None,
    sigma=0.8,
    min_size=None,
    min_side=0,
    limit=None,
    seed=0,
):
    """Propose boxes in which an object may be, the most promising first.

    The defaults suit photographs of some 500 pixels; since `min_size` follows the size of the
    image, they do on scenes of 64 pixels too.

    Parameters
    ----------
    image : array or tensor, shape (H, W), (1, H, W), (3, H, W) or (H, W, 3)
        uint8, or floats from 0 to 1. Three channels are red, green and blue.
    strategy : {"fast", "quality", "single"}
        Which groupings are put together, from :data:`STRATEGIES`: 8, 80 or 1; for an image without
        colour 4, 16 or 1.
    spaces, similarities, scales : sequence, optional
        Instead of what the strategy says; see :class:`Strategy`.
    sigma, min_size : float, int
        As for :func:`initial_regions`.
    min_side : float
        Narrower or lower boxes are dropped, in pixels.
    limit : int, optional
        The most boxes.
    seed : int
        Of the random numbers in the order.

    Returns
    -------
    array or tensor of float32, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels, no two the same; as the image is an array or a tensor, on its
        device. A region's rank is its place in the hierarchy, 1 the whole image, times a random
        number from 0 to 1: without that the large regions of all groupings would come first. Of
        equal boxes the first stays. An image of one colour has one box, itself.

    Raises
    ------
    TypeError
        If `image` is no array, or holds other numbers.
    ValueError
        If `image` has another shape, no pixel, or a value that is not finite or out of range; or
        an option has no meaning.

    References
    ----------
    J. R. R. Uijlings et al. (2013), "Selective Search for Object Recognition", section 3; the
    order is that of section 3.3.

    Examples
    --------
    >>> boxes = selective_search(photograph("astronaut"), limit=2000)
    >>> boxes = selective_search(digit_scenes(1).images[0])
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"selective_search: `strategy` is {strategy!r}, expected one of {list(STRATEGIES)}"
        )
    rgb = as_channels("selective_search", image)
    given = {"spaces": spaces, "similarities": similarities, "scales": scales}
    plan = STRATEGIES[strategy]._replace(**{k: tuple(v) for k, v in given.items() if v is not None})
    check_plan("selective_search", plan, limit)
    rng = np.random.default_rng(seed)
    boxes, ranks = [], []
    for space in dict.fromkeys(plan.spaces if len(rgb) == 3 else ("gray",)):
        channels = in_space(rgb, space)
        responses = textures(channels)
        for scale in plan.scales:
            labels = felzenszwalb_labels("selective_search", channels, scale, sigma, min_size)
            parts = histograms(labels, channels, responses)
            for sums in plan.similarities:
                found = group(labels, parts, sums).boxes
                boxes.append(found)
                ranks.append(rng.random(len(found)) * np.arange(len(found), 0, -1))
    order = np.argsort(np.concatenate(ranks), kind="stable")
    boxes = first_of_equals(np.concatenate(boxes)[order])
    wide = (boxes[:, 2:] - boxes[:, :2] >= min_side).all(1)
    boxes = boxes[wide][:limit].astype(np.float32)
    return namespace(image).as_tensor(boxes, device=image.device) if is_tensor(image) else boxes


def initial_regions(image, scale=100, *, sigma=0.8, min_size=None):
    """Cut an image into small regions of one colour, by the graph of its pixels.

    Parameters
    ----------
    image : array or tensor
        As for :func:`selective_search`, in whose colours its pixels are compared.
    scale : float
        The larger, the fewer and larger the regions; of pixel values from 0 to 255, whatever the
        image holds.
    sigma : float
        Standard deviation of a Gaussian by which the image is smoothed first, in pixels.
    min_size : int, optional
        The fewest pixels of a region. By default the scale, as in the authors' program, but in
        images smaller than 500 x 500 pixels so much less as their sides are.

    Returns
    -------
    array of int, shape (H, W)
        Each pixel's region, 0 .. R - 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`selective_search`.

    References
    ----------
    P. Felzenszwalb & D. Huttenlocher (2004), "Efficient Graph-Based Image Segmentation"; the
    program is scikit-image's.
    """
    channels = as_channels("initial_regions", image)
    return felzenszwalb_labels("initial_regions", channels, scale, sigma, min_size)


def group_regions(labels, image, similarities="C+T+S+F"):
    r"""Merge the two most similar neighbours, and again, until one region is left.

    For regions i and j of sizes :math:`|i|, |j|` in an image of size :math:`|I|`, whose histograms
    h of colours and of textures add up to 1, and the size b of the box around both:

    .. math::
        C, T = \sum_n \min(h_i^n, h_j^n) \qquad S = 1 - \frac{|i| + |j|}{|I|} \qquad
        F = 1 - \frac{b_{ij} - |i| - |j|}{|I|}

    Size lets small regions merge first, all over the image; fill lets a region merge with what it
    encloses.

    Parameters
    ----------
    labels : array of int, shape (H, W)
        Each pixel's region, 0 .. R - 1, none of them empty: :func:`initial_regions`.
    image : array or tensor
        As for :func:`selective_search`.
    similarities : str
        Which of the four are added: letters with + between them.

    Returns
    -------
    Grouping

    Raises
    ------
    TypeError, ValueError
        As :func:`selective_search`; and if the labels do not fit the image, or leave one out.

    References
    ----------
    Uijlings et al. (2013), sections 3.1 and 3.2.
    """
    channels = as_channels("group_regions", image)
    check_shapes("group_regions", labels=(labels, "H W"), image=(channels, "C H W"))
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"group_regions: `labels` holds {labels.dtype}, expected integers")
    seen = np.unique(labels)
    if not np.array_equal(seen, np.arange(len(seen))):
        raise ValueError(
            f"group_regions: `labels` has {len(seen)} values from {seen[0]} to {seen[-1]}, "
            f"expected all of 0 .. R - 1; number them anew with np.unique(..., return_inverse=True)"
        )
    check_sum("group_regions", similarities)
    return group(labels, histograms(labels, channels, textures(channels)), similarities)


def group(labels, parts, similarities):
    """As :func:`group_regions`, of arrays that were checked, with the histograms of the regions."""
    terms = set(similarities.split("+"))
    R, area = labels.max() + 1, labels.size
    size = np.zeros(2 * R - 1)
    size[:R] = np.bincount(labels.ravel(), minlength=R)
    box = np.zeros((2 * R - 1, 4))
    box[:R] = extents(labels, R)
    kept = [part for letter, part in parts.items() if letter in terms]
    tall = np.zeros((2 * R - 1, sum(part.shape[1] for part in kept)))
    tall[:R] = np.concatenate([np.zeros((R, 0)), *kept], 1)

    def similarity(i, j):
        value = np.minimum(tall[i], tall[j]).sum(-1)
        both = size[i] + size[j]
        if "S" in terms:
            value += 1 - both / area
        if "F" in terms:
            sides = np.maximum(box[i, 2:], box[j, 2:]) - np.minimum(box[i, :2], box[j, :2])
            value += 1 - (sides[:, 0] * sides[:, 1] - both) / area
        return value

    i, j = touching(labels)
    queue = list(zip((-similarity(i, j)).tolist(), i.tolist(), j.tolist(), strict=True))
    heapify(queue)  # the smallest first, that is, the most similar
    near = [set() for _ in range(R)]
    for _, a, b in queue:
        near[a].add(b)
        near[b].add(a)
    merged = []
    while queue:
        _, a, b = heappop(queue)
        if near[a] is None or near[b] is None:  # merged with another meanwhile
            continue
        k = len(near)
        around = (near[a] | near[b]) - {a, b}
        near[a] = near[b] = None
        near.append(around)
        merged.append((a, b))
        size[k] = size[a] + size[b]
        tall[k] = (size[a] * tall[a] + size[b] * tall[b]) / size[k]
        box[k, :2] = np.minimum(box[a, :2], box[b, :2])
        box[k, 2:] = np.maximum(box[a, 2:], box[b, 2:])
        others = sorted(around)
        for other, value in zip(others, similarity(k, others).tolist(), strict=True):
            near[other] -= {a, b}
            near[other].add(k)
            heappush(queue, (-value, other, k))
    return Grouping(box, np.array(merged, int).reshape(-1, 2))


def touching(labels):
    """Return the pairs of regions i < j that share an edge of a pixel, two arrays."""
    beside = labels[:, :-1].ravel(), labels[:, 1:].ravel()
    above = labels[:-1].ravel(), labels[1:].ravel()
    a, b = (np.concatenate(both) for both in zip(beside, above, strict=True))
    differ = a != b
    a, b, R = a[differ], b[differ], labels.max() + 1
    return np.divmod(np.unique(np.minimum(a, b) * R + np.maximum(a, b)), R)


def extents(labels, R):
    """Return the box of each of the R regions, ``(R, 4)``."""
    row, column = (at.ravel() for at in np.indices(labels.shape))
    first, last = np.full((R, 2), max(labels.shape)), np.zeros((R, 2), int)
    for axis, at in enumerate((column, row)):
        np.minimum.at(first[:, axis], labels.ravel(), at)
        np.maximum.at(last[:, axis], labels.ravel(), at + 1)
    return np.concatenate([first, last], 1)


def histograms(labels, channels, responses):
    """Return each region's histograms of colours and of textures, which add up to 1."""
    return {
        "C": histogram(labels, channels, COLOUR_BINS),
        "T": histogram(labels, responses, TEXTURE_BINS),
    }


def histogram(labels, channels, bins):
    """Return histograms ``(R, channels * bins)`` of values from 0 to 1, one behind the other."""
    R = labels.max() + 1
    row = labels.ravel() * bins
    values = np.minimum((channels * bins).astype(int), bins - 1).reshape(len(channels), -1)
    counts = [np.bincount(row + value, minlength=R * bins).reshape(R, bins) for value in values]
    counts = np.concatenate(counts, 1)
    return counts / counts.sum(1, keepdims=True)


def textures(channels):
    """Return how much each channel grows at a pixel in each of 8 directions, ``(8 C, H, W)``.

    These are Gaussian derivatives with a standard deviation of 1 pixel; a negative one, which the
    opposite direction has as a positive one, is 0. The largest of all is 1.
    """
    at = np.arange(-4, 5)
    smooth = np.exp(-(at**2) / 2)
    smooth /= smooth.sum()
    x = filtered(filtered(channels, smooth, 1), at * smooth, 2)
    y = filtered(filtered(channels, smooth, 2), at * smooth, 1)
    turns = 2 * np.pi * np.arange(ORIENTATIONS)[:, None, None, None] / ORIENTATIONS
    along = np.maximum(np.cos(turns) * x + np.sin(turns) * y, 0).reshape(-1, *channels.shape[1:])
    steepest = along.max()
    return along / (steepest if steepest > FLAT else 1)


def filtered(channels, taps, axis):
    """Return channels ``(C, H, W)``, filtered along an axis; beyond the border it goes on as is."""
    reach = len(taps) // 2
    widths = [(0, 0)] * 3
    widths[axis] = (reach, reach)
    wide = np.moveaxis(np.pad(channels, widths, mode="edge"), axis, 0)
    n = channels.shape[axis]
    return np.moveaxis(sum(tap * wide[k : k + n] for k, tap in enumerate(taps)), 0, axis)


def felzenszwalb_labels(where, channels, scale, sigma, min_size):
    """Return the first regions ``(H, W)`` of channels ``(C, H, W)``."""
    from skimage.segmentation import felzenszwalb  # here, since it takes its time to import

    if not isinstance(scale, Real) or not 0 < scale < math.inf:
        raise ValueError(f"{where}: a scale is {scale!r}, expected a positive number")
    if min_size is None:
        side = math.sqrt(channels[0].size)
        min_size = round(scale * min(1, side / TYPICAL))
    for name, value in {"sigma": sigma, "min_size": min_size}.items():
        if not isinstance(value, Real) or not 0 <= value < math.inf:
            raise ValueError(f"{where}: `{name}` is {value!r}, expected 0 or more")
    picture = np.ascontiguousarray(np.moveaxis(channels, 0, -1))
    return felzenszwalb(picture, scale=scale, sigma=sigma, min_size=int(min_size))


def in_space(rgb, space):
    """Return an image ``(C, H, W)`` in a colour space of :data:`SPACES`, each channel 0 to 1."""
    if len(rgb) == 1 or space == "rgb":
        return rgb
    if space in ("hsv", "hue", "lab"):
        from skimage.color import rgb2hsv, rgb2lab

        if space == "lab":
            lightness, *ab = rgb2lab(rgb, channel_axis=0)
            return np.stack([lightness / 100, *((c + 128) / 255 for c in ab)]).clip(0, 1)
        return rgb2hsv(rgb, channel_axis=0)[: 1 if space == "hue" else 3]
    intensity = rgb.mean(0, keepdims=True)
    if space == "gray":
        return intensity
    shares = rgb[:2] / np.where(intensity > 0, 3 * intensity, 1)
    return np.concatenate([shares, intensity])


def first_of_equals(boxes):
    """Return the boxes in their order, without those that were there before."""
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)]


def as_channels(where, image):
    """Return an image as floats ``(1 or 3, H, W)`` from 0 to 1, or say what is wrong with it."""
    check_array(where, "image", image)
    kind, shape = dtype_name(image.dtype), tuple(image.shape)
    if is_tensor(image):
        image = image.detach().cpu()
        image = image.numpy() if kind == "uint8" else image.double().numpy()
    if image.ndim == 2:
        channels = image[None]
    elif image.ndim == 3 and len(image) in (1, 3):
        channels = image
    elif image.ndim == 3 and image.shape[2] == 3:
        channels = np.moveaxis(image, 2, 0)
    else:
        raise ValueError(
            f"{where}: `image` has shape {shape}, expected one image: (H, W), (1, H, W), "
            f"(3, H, W) or (H, W, 3)"
        )
    if not channels.size:
        raise ValueError(f"{where}: `image` has shape {shape}, which has no pixel")
    if kind != "uint8" and "float" not in kind:
        raise TypeError(f"{where}: `image` holds {kind}, expected uint8, or floats from 0 to 1")
    if kind == "uint8":
        return channels / 255
    low, high = float(channels.min()), float(channels.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN is not
        raise ValueError(
            f"{where}: `image` holds floats from {low:.4g} to {high:.4g}, expected 0 to 1; divide "
            f"by 255, or search the image before its mean is subtracted"
        )
    return channels.astype(float).clip(0, 1)


def check_plan(where, plan, limit):
    """Raise unless the strategy names spaces and similarities that there are, and some of each."""
    for name, values in plan._asdict().items():
        if not values:
            raise ValueError(f"{where}: `{name}` is empty, expected at least one")
    for space in plan.spaces:
        if space not in SPACES:
            raise ValueError(f"{where}: `spaces` has {space!r}, expected some of {list(SPACES)}")
    for sums in plan.similarities:
        check_sum(where, sums)
    if limit is not None and (not isinstance(limit, Integral) or limit < 0):
        raise ValueError(f"{where}: `limit` is {limit!r}, expected a number of boxes, or None")


def check_sum(where, sums):
    """Raise unless this is a sum of some of C, T, S and F."""
    letters = sums.split("+") if isinstance(sums, str) else []
    if not letters or not set(letters) <= set(SIMILARITIES):
        raise ValueError(
            f"{where}: `similarities` has {sums!r}, expected sums of C, T, S and F, as 'C+T+S+F'"
        )
