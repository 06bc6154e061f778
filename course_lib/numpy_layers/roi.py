"""RoI pooling and RoIAlign in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.roi`.

A detector computes the features of an image once, and then each region of interest ("RoI"), a box
of any size, becomes a grid of a fixed size. Both layers go box by box, along the rows first and
then along the columns, with the channels last, so that one step takes all channels of a cell.
"""

import numpy as np

from course_lib.shapes import check_gradient, check_rois

NOTHING = np.iinfo(np.int64).min  # smaller than the key of any cell


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    r"""Take the maximum over each bin of each box.

    The corners of a box are rounded to cells, halves away from 0, and both corner cells belong to
    it. If it then has L rows from row s on, bin p of PH reaches

    .. math::
        \text{from}\quad s + \lfloor p\,L / PH \rfloor
        \quad\text{to, without it,}\quad s + \lceil (p + 1)\,L / PH \rceil

    and columns likewise: neighbours may share a row, and a box smaller than the grid has its cells
    in several bins. Of equal maxima the first one counts, row by row, as in max pooling.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Features.
    boxes : ndarray, shape (R, 4)
        ``x1 y1 x2 y2`` in pixels of the image. What lies outside of it is cut off.
    image_index : ndarray of int, shape (R,)
        The image, 0 to N - 1, that each box lies in.
    output_size : int or (int, int)
        PH and PW, bins of a box: rows, columns.
    spatial_scale : float
        Cells in a pixel: 1/16 for features of stride 16.

    Returns
    -------
    y : ndarray, shape (R, C, PH, PW)
        0 for a bin that lies outside of the image.
    cache : tuple
        What :func:`roi_pool_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If `x` or `boxes` does not hold floats, they differ in precision, or `image_index` does not
        hold integers.
    ValueError
        If shapes disagree, a box is inside out or not finite, or an image does not exist.

    References
    ----------
    Girshick (2015), "Fast R-CNN", section 2.1; the rounding is that of its published code.
    """
    PH, PW = check_rois("roi_pool", x, boxes, image_index, output_size)
    C, H, W = x.shape[1:]
    left, top, right, bottom = boxes.T * boxes.dtype.type(spatial_scale)
    rows, columns = bins(top, bottom, PH, H), bins(left, right, PW, W)

    R, M = len(boxes), H * W * C
    y = np.empty((R, C, PH, PW), x.dtype)
    source = np.empty((R, PH, PW, C), np.int32)  # of y, among the M numbers of an image
    first, last = columns.min((1, 2)).tolist(), columns.max((1, 2)).tolist()
    for n in np.unique(image_index):
        cells = np.ascontiguousarray(x[n].transpose(1, 2, 0))
        keys = sort_keys(cells)
        for r in np.flatnonzero(image_index == n):
            strip = keys[:, first[r] : last[r]]
            high = np.empty((PH, last[r] - first[r], C), np.int64)
            best = np.empty((PH, PW, C), np.int64)
            for p, (start, stop) in enumerate(rows[r].tolist()):
                largest(strip[start:stop], 0, high[p])
            for q, (start, stop) in enumerate((columns[r] - first[r]).tolist()):
                largest(high[:, start:stop], 1, best[:, q])
            source[r] = M - 1 - best.astype(np.int32)  # the lower half of a key counts backwards
            value = cells.take(source[r], mode="clip").reshape(PH * PW, C)
            y[r].reshape(C, PH * PW)[...] = value.T
    for r, p, q in np.argwhere(empty(rows)[:, :, None] | empty(columns)[:, None, :]):
        y[r, :, p, q], source[r, p, q] = 0, -1
    return y, (source, image_index, x.shape, x.dtype)


def roi_pool_backward(dy, cache):
    """Send the gradient of each bin to the cell that was its maximum.

    A cell gets the sum over all bins that it won, of one box and of boxes that overlap.

    Parameters
    ----------
    dy : ndarray, shape (R, C, PH, PW)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`roi_pool_forward`.

    Returns
    -------
    dx : ndarray, shape (N, C, H, W)
        The boxes get no gradient: they were rounded.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.

    References
    ----------
    Girshick (2015), "Fast R-CNN", eq. 4.
    """
    source, image_index, (N, C, H, W), dtype = cache
    R, PH, PW, _ = source.shape
    check_gradient("roi_pool_backward", dy, (R, C, PH, PW), dtype)

    dcells = np.zeros((N, H, W, C), dtype)
    for n, place, gradient in zip(image_index, source, dy, strict=True):
        place, gradient = place.reshape(-1), gradient.reshape(C, -1).T.reshape(-1)
        if place.min(initial=0) < 0:  # a bin outside of the image: nothing, to any cell
            place, gradient = place[place >= 0], gradient[place >= 0]
        np.add.at(dcells[n].reshape(-1), place, gradient)  # += place by place
    return np.ascontiguousarray(dcells.transpose(0, 3, 1, 2))


def roi_align_forward(
    x, boxes, image_index, output_size, *, spatial_scale=1.0, sampling_ratio=2, aligned=True
):
    """Take the mean of a few points in each bin of each box, without rounding anything.

    The points lie evenly in a bin, and the value at a point is interpolated bilinearly between the
    centres of four cells. That, and the mean, is a weighted sum of rows and then one of columns:
    ``y = A x B.T``, with a small matrix for the rows of a box, and one for its columns.

    Parameters
    ----------
    x, boxes, image_index, output_size, spatial_scale
        As :func:`roi_pool_forward`.
    sampling_ratio : int
        Points in a bin along each axis; 0 for one in each cell that the bin spans, rounded up.
    aligned : bool
        Whether the centre of the first cell is at half a cell, as it should be. Without it at 0, as
        in the first published code, where a box is at least one cell wide and high, too.

    Returns
    -------
    y : ndarray, shape (R, C, PH, PW)
        A point more than a cell outside of the image counts as 0.
    cache : tuple
        What :func:`roi_align_backward` needs; treat as opaque.

    Raises
    ------
    TypeError, ValueError
        As :func:`roi_pool_forward`; and if `sampling_ratio` is negative.

    References
    ----------
    He et al. (2017), "Mask R-CNN", section 3.
    """
    PH, PW = check_rois("roi_align", x, boxes, image_index, output_size, sampling_ratio)
    H, W = x.shape[2:]
    left, top, right, bottom = boxes.T * boxes.dtype.type(spatial_scale)
    rows = weights(top, bottom, PH, H, sampling_ratio, aligned)
    columns = weights(left, right, PW, W, sampling_ratio, aligned)

    cache = rows, columns, image_index, x.shape, x.dtype
    return weigh(x, cache), cache


def roi_align_backward(dy, cache):
    """Give each cell the gradients of the points it was weighed into: ``dx = A.T dy B``.

    Parameters
    ----------
    dy : ndarray, shape (R, C, PH, PW)
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`roi_align_forward`.

    Returns
    -------
    dx : ndarray, shape (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    rows, columns, image_index, (N, C, H, W), dtype = cache
    R, PH, PW = len(rows), rows.shape[1], columns.shape[1]
    check_gradient("roi_align_backward", dy, (R, C, PH, PW), dtype)

    dcells = np.zeros((N, H, W, C), dtype)
    height, width = touched(rows), touched(columns)
    for r, n in enumerate(image_index):
        (top, bottom), (left, right) = height[r], width[r]
        A, B = rows[r, :, top:bottom], columns[r, :, left:right]
        high = B.T @ dy[r].transpose(1, 2, 0)
        window = A.T @ high.reshape(PH, (right - left) * C)
        dcells[n, top:bottom, left:right] += window.reshape(bottom - top, right - left, C)
    return np.ascontiguousarray(dcells.transpose(0, 3, 1, 2))


class RoIPool:
    """RoI pooling layer, for boxes of images that come with their features.

    See :func:`roi_pool_forward`. Since it takes more than one input, it stands between two
    :class:`Sequential`, the body and the head, not in one.
    """

    def __init__(self, output_size, *, spatial_scale=1.0):
        self.params, self.grads = {}, {}
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, x, boxes, image_index):
        y, self._cache = roi_pool_forward(
            x, boxes, image_index, self.output_size, spatial_scale=self.spatial_scale
        )
        return y

    def backward(self, dy):
        return roi_pool_backward(dy, self._cache)


class RoIAlign:
    """RoIAlign layer; see :func:`roi_align_forward`, and :class:`RoIPool` for where it stands."""

    def __init__(self, output_size, *, spatial_scale=1.0, sampling_ratio=2, aligned=True):
        self.params, self.grads = {}, {}
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, x, boxes, image_index):
        y, self._cache = roi_align_forward(
            x,
            boxes,
            image_index,
            self.output_size,
            spatial_scale=self.spatial_scale,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )
        return y

    def backward(self, dy):
        return roi_align_backward(dy, self._cache)


def bins(low, high, parts, size):
    """Return where the bins of boxes start and end, in cells: ``(R, parts, 2)``.

    `low` and `high` are the corners along one axis, ``(R,)``, in cells; `size` cells there are.
    """
    low, high = half_away(low), half_away(high)
    step = np.maximum(high - low + 1, 1)[:, None] / low.dtype.type(parts)
    p = np.arange(parts, dtype=low.dtype)
    edges = np.stack([np.floor(p * step), np.ceil((p + 1) * step)], -1) + low[:, None, None]
    return edges.clip(0, size).astype(np.intp)


def half_away(values):
    """Round to the nearest whole number, halves away from 0; NumPy's `round` goes to the even."""
    whole = np.trunc(values)
    return whole + np.sign(values) * (abs(values - whole) >= 0.5)


def empty(edges):
    """Return which bins have no cell, ``(R, parts)``."""
    return edges[..., 0] >= edges[..., 1]


def sort_keys(cells):
    """Return integers in the order of the values, ``(H, W, C)``.

    The upper 32 bits order the values, the lower ones count places backwards: of equal values the
    first has the largest key, so that one maximum finds a value and its place. A NaN is largest.
    """
    cells = cells + 0  # of -0 and 0 neither is the larger
    if cells.itemsize > 4:  # too long for half a key: its rank takes its place
        upper = np.unique(cells, return_inverse=True)[1].reshape(cells.shape)
    else:  # bits of positive floats are in the order of the values, of negative ones in reverse
        bits = cells.astype(np.float32).view(np.int32)
        upper = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
    return upper << 32 | np.arange(cells.size)[::-1].reshape(cells.shape)


def largest(keys, axis, out):
    """Write the largest key along an axis into `out`; where there is none, `NOTHING`."""
    np.maximum.reduce(keys, axis=axis, out=out, initial=NOTHING)


def pick(x, cache):
    """Return the cells that a `cache` of :func:`roi_pool_forward` says are the maxima of `x`."""
    source, image_index, *_ = cache
    y = np.zeros(source.shape, x.dtype)
    cells = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
    for n, place, value in zip(image_index, source, y, strict=True):
        np.copyto(value, cells[n].take(place, mode="clip"), where=place >= 0)
    return y.transpose(0, 3, 1, 2)


def weigh(x, cache):
    """Return the output of :func:`roi_align_forward` that belongs to its `cache`."""
    rows, columns, image_index, *_ = cache
    (R, PH, _), PW, C = rows.shape, columns.shape[1], x.shape[1]
    y = np.empty((R, C, PH, PW), x.dtype)
    height, width = touched(rows), touched(columns)
    for n in np.unique(image_index):
        cells = np.ascontiguousarray(x[n].transpose(1, 2, 0))
        for r in np.flatnonzero(image_index == n):
            (top, bottom), (left, right) = height[r], width[r]
            A, B = rows[r, :, top:bottom], columns[r, :, left:right]
            high = A @ cells[top:bottom, left:right].reshape(bottom - top, (right - left) * C)
            y[r] = (B @ high.reshape(PH, right - left, C)).transpose(2, 0, 1)
    return y


def weighing_work(C, cache):
    """Count the multiply-accumulates of :func:`weigh` for C channels: rows first, then columns."""
    rows, columns, *_ = cache
    PH, PW = rows.shape[1], columns.shape[1]
    height, width = (np.reshape(touched(t), (-1, 2)) @ [-1, 1] for t in (rows, columns))
    return int(C * PH * (width * (height + PW)).sum())


def weights(low, high, parts, size, ratio, aligned):
    """Return the weight of each of `size` cells in the bins of boxes, ``(R, parts, size)``.

    Arguments as :func:`bins`; `ratio` points lie in a bin.
    """
    if aligned:
        low, high = low - low.dtype.type(0.5), high - high.dtype.type(0.5)
    length = high - low if aligned else np.maximum(high - low, 1)
    step = length / low.dtype.type(parts)
    counts = np.full(len(low), ratio) if ratio else np.ceil(step).astype(int)
    table = np.zeros((len(low), parts, size), low.dtype)
    for count in np.unique(counts[counts > 0]):
        some = np.flatnonzero(counts == count)
        point = (np.arange(count) + 0.5).astype(low.dtype) * (
            step[some, None] / low.dtype.type(count)
        )
        bin_ = np.arange(parts, dtype=low.dtype) * step[some, None]
        point = low[some, None, None] + bin_[..., None] + point[:, None, :]
        share = ((point >= -1) & (point <= size)) / low.dtype.type(count)
        point = point.clip(0, size - 1)
        cell = point.astype(np.intp)
        rest = point - cell
        where = some[:, None, None], np.arange(parts)[:, None]
        np.add.at(table, (*where, cell), share * (1 - rest))
        np.add.at(table, (*where, np.minimum(cell + 1, size - 1)), share * rest)
    return table


def touched(table):
    """Return of each box the first cell that it takes anything from, and the one after the last."""
    used = table.any(1)
    first = used.argmax(1)
    last = np.where(used.any(1), used.shape[1] - used[:, ::-1].argmax(1), first)
    return np.stack([first, last], 1).tolist()
