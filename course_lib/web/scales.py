"""The figure of dense evaluation: many scales, and offsets of the last pooling, interleaved."""

from numbers import Integral

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.scene import checked_picture, encoded_picture
from course_lib.web.tables import table

__all__ = ["accurate_macs", "overfeat_scales", "scales_and_offsets"]

WHERE = "scales_and_offsets"
TIMES = "\N{MULTIPLICATION SIGN}"
IMAGES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
WINDOW, CELL, POOL, KERNEL = 221, 12, 3, 5
MOST = 64  # cells of a map before the last pooling, on a side


def scales_and_offsets(
    scales=None,
    *,
    window=WINDOW,
    cell=CELL,
    pool=POOL,
    kernel=KERNEL,
    macs=None,
    picture=None,
    scores=None,
):
    """Choose the scale of a dense evaluation and the offset of its last pooling.

    The maps before the last pooling are pooled from each of `pool` x `pool` offsets. The classifier
    slides over each of the pooled maps, and its scores interleave: those of neighbouring cells come
    from neighbouring offsets. Each cell is a window of the image, which one can move; counts say
    how many windows there are, how far apart, and what they cost, at once and crop by crop.

    One can find out

    - that one offset gives a window every `pool` x `cell` pixels, and all of them one every `cell`;
    - where a cell of the finer map comes from: which offset, which pooled cells, which window;
    - that the convolutions, which cost the most, are shared by all windows and by all offsets, so
      that a larger image makes the dense evaluation better and better against crops.

    Parameters
    ----------
    scales : sequence of ((int, int), (int, int)), optional
        Of each scale the image, H and W in pixels, and the rows and columns of its maps before the
        last pooling; one to eight. Without it: the six of OverFeat's accurate network.
    window : int
        Rows and columns of a window, in pixels.
    cell : int
        Pixels of the image from one cell before the last pooling to the next.
    pool : {2, 3}
        Side and stride of the last pooling, and the number of its offsets along each axis.
    kernel : int
        Pooled cells that the classifier sees, along each axis.
    macs : (int, sequence of int, int), optional
        Multiply-accumulates: of the layers before the last pooling on one window, and on the image
        of each scale; and of the classifier, for one window. Without it, OverFeat's for its scales,
        and nothing for others.
    picture : array_like, shape (H, W), (1, H, W), (H, W, 3) or (3, H, W), optional
        What all scales show, cut to their shapes: ink on paper, floats in 0..1, or a photograph,
        uint8 or with three channels.
    scores : sequence of array_like, shape (h, w), optional
        Of each scale the recorded scores in 0..1, of all offsets, interleaved.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a map does not fit its image, the window or the classifier, there is not one of `macs` or
        `scores` for each scale, or a number is out of its range.

    References
    ----------
    Sermanet et al. (2014), "OverFeat", section 3.3, figure 3 and table 5.
    """
    _check_numbers(window=window, cell=cell, kernel=kernel)
    if pool not in (2, 3):
        raise ValueError(f"{WHERE}: `pool` is {pool!r}, expected 2 or 3")
    if scales is None:
        if macs is None and (window, cell, pool, kernel) == (WINDOW, CELL, POOL, KERNEL):
            features = [accurate_macs(image)[0] for image in IMAGES]
            macs = (accurate_macs((WINDOW, WINDOW))[0], features, accurate_macs(IMAGES[0])[1])
        scales = overfeat_scales()
    scales = [_scale(n, scale, window, cell, pool, kernel) for n, scale in enumerate(scales)]
    if not 1 <= len(scales) <= 8:
        raise ValueError(f"{WHERE}: `scales` has {len(scales)} scales, expected 1 to 8")
    macs = _macs(macs, len(scales))
    maps = [tuple(side - pool * kernel + 1 for side in before) for _, before in scales]
    found = [_scores(n, s, maps) for n, s in enumerate(scores)] if scores is not None else []
    if found and len(found) != len(scales):
        raise ValueError(f"{WHERE}: `scores` has {len(found)} maps, expected {len(scales)}")
    drawn = {} if picture is None else encoded_picture(*checked_picture(WHERE, picture))
    drawn.pop("covers", None)

    headers, rows = _rows(scales, cell, pool, kernel, macs)
    title = f"Windows of {window} pixels, by scale"
    return Figure(
        tag="course-scales-and-offsets",
        parts=(
            "figure",
            "pixels",
            "labels",
            "choices",
            "counting",
            "scene",
            "table",
            "scales-and-offsets",
        ),
        data={
            "scales": [{"image": list(image), "before": list(before)} for image, before in scales],
            "window": int(window),
            "cell": int(cell),
            "pool": int(pool),
            "kernel": int(kernel),
            "picture": drawn,
        }
        | ({"macs": macs} if macs else {})
        | (
            {"scores": [np.rint(100 * s).astype(int).ravel().tolist() for s in found]}
            if found
            else {}
        ),
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table(title, headers, rows)
        + "\n</div>",
        text="\n".join([f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )


def overfeat_scales():
    """Return the six scales of OverFeat's accurate network: images, and maps before its last pool.

    By arithmetic; the row of the fifth scale in the paper's table 5 differs.
    """
    return [(image, tuple(_accurate_side(side)[-1] for side in image)) for image in IMAGES]


def accurate_macs(image):
    """Return the multiply-accumulates of OverFeat's accurate network on an image of (H, W) pixels.

    Returns
    -------
    features, classifier : int
        Of the six convolutions on the image, and of the three layers behind them for one window.
    """
    sides = zip(*(_accurate_side(side) for side in image), strict=True)
    weights = (3 * 96 * 49, 96 * 256 * 49, 9 * (256 * 512 + 512 * 512 + 512 * 1024 + 1024 * 1024))
    features = sum(w * rows * columns for w, (rows, columns) in zip(weights, sides, strict=True))
    return features, 25 * 1024 * 4096 + 4096 * 4096 + 4096 * 1000


def _accurate_side(side):
    """Rows that conv1, conv2, and each of conv3 to conv6 put out for an image of so many."""
    first = (side - 7) // 2 + 1
    second = first // 3 - 6
    return first, second, second // 2


def _rows(scales, cell, pool, kernel, macs):
    offsets = {4: "four", 9: "nine"}[pool**2]
    headers = ["image", "before the last pooling", "pooled", "scores of one offset"]
    headers += [f"of all {offsets}", "windows", "their stride"]
    headers += ["multiply-accumulates", "crop by crop"] if macs else []
    rows = []
    for n, (image, before) in enumerate(scales):
        pooled = [side // pool for side in before]
        one = [side - kernel + 1 for side in pooled]
        every = [side - pool * kernel + 1 for side in before]
        windows = every[0] * every[1]
        costs = []
        if macs:
            dense = macs[1][n] + windows * macs[2]
            costs = [f"{dense:,}", f"{windows * (macs[0] + macs[2]):,}"]
        sizes = (f" {TIMES} ".join(map(str, pair)) for pair in (image, before, pooled, one, every))
        rows.append((*sizes, str(windows), f"{cell} px", *costs))
    return headers, rows


def _check_numbers(**numbers):
    for name, value in numbers.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{WHERE}: `{name}` is {value!r}, expected an int above 0")


def _scale(n, scale, window, cell, pool, kernel):
    try:
        image, before = ((int(rows), int(columns)) for rows, columns in scale)
    except (TypeError, ValueError):
        raise ValueError(
            f"{WHERE}: scale {n} is {scale!r}, expected the image (H, W) and its maps before the "
            f"last pooling (rows, columns)"
        ) from None
    for side, cells in zip(image, before, strict=True):
        if not pool * kernel <= cells <= MOST:
            raise ValueError(
                f"{WHERE}: scale {n} has maps of {before[0]} x {before[1]} cells, expected "
                f"{pool * kernel} to {MOST}, from one window on"
            )
        end = window + (cells - pool * kernel) * cell
        if end > side:
            raise ValueError(
                f"{WHERE}: scale {n} has windows up to pixel {end} of {side}; the map, `cell` and "
                f"`window` are to fit the image"
            )
    return image, before


def _macs(macs, count):
    if macs is None:
        return None
    try:
        window, features, classifier = macs
        numbers = int(window), [int(value) for value in features], int(classifier)
    except (TypeError, ValueError):
        numbers = 0, [], 0
    if len(numbers[1]) != count or min(numbers[0], numbers[2], *numbers[1], 1) < 1:
        raise ValueError(
            f"{WHERE}: `macs` is {macs!r}, expected those before the last pooling on a window, a "
            f"list of {count} for the images, and those of the classifier on a window"
        )
    return list(numbers)


def _scores(n, scores, maps):
    array = np.asarray(scores, float)
    if n >= len(maps) or array.shape != maps[n]:
        expected = maps[n] if n < len(maps) else "no more"
        raise ValueError(
            f"{WHERE}: map {n} of `scores` has shape {array.shape}, expected {expected}, a score "
            f"for each window of its scale"
        )
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{WHERE}: map {n} of `scores` has numbers outside 0..1")
    return array
