"""RoI pooling and RoIAlign in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.roi`."""

import torch
from torch import nn

from course_lib.shapes import check_rois

AT_ONCE = 64  # boxes that RoIAlign weighs together


def roi_pool(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    """As :func:`course_lib.numpy_layers.roi_pool_forward`; autograd supplies the backward.

    All bins of one size are searched together, of all boxes: a call costs PyTorch more than NumPy,
    and most of all on a GPU.
    """
    PH, PW = check_rois("roi_pool", x, boxes, image_index, output_size)
    C, H, W = x.shape[1:]
    left, top, right, bottom = boxes.detach().T * spatial_scale
    rows, columns = bins(top, bottom, PH, H), bins(left, right, PW, W)

    cells = x.permute(0, 2, 3, 1)
    keys = sort_keys(cells.detach()).reshape(-1, C)
    corner = (image_index.long()[:, None, None] * H + rows[:, :, None, 0]) * W
    corner = corner + columns[:, None, :, 0]  # of each bin the first cell, among all images'
    height, width = (edges[..., 1] - edges[..., 0] for edges in (rows, columns))
    size = height.clamp(min=0)[:, :, None] * (W + 1) + width.clamp(min=0)[:, None, :]
    nothing = empty(rows)[:, :, None] | empty(columns)[:, None, :]
    best = keys.new_zeros((len(boxes), PH, PW, C))
    for h, w in (divmod(s, W + 1) for s in size[~nothing].unique().tolist()):
        alike = (size == h * (W + 1) + w) & ~nothing
        best[alike] = largest(keys, corner[alike], [i * W + j for i in range(h) for j in range(w)])
    source = x.numel() - 1 - (best & 0xFFFFFFFF)  # the lower half of a key counts backwards
    source = source.masked_fill(nothing[..., None], 0)
    y = cells.reshape(-1).gather(0, source.reshape(-1)).reshape(source.shape)
    return y.masked_fill(nothing[..., None], 0).permute(0, 3, 1, 2)


def roi_align(
    x, boxes, image_index, output_size, *, spatial_scale=1.0, sampling_ratio=2, aligned=True
):
    """As :func:`course_lib.numpy_layers.roi_align_forward`; autograd supplies the backward.

    Whole rows and columns are weighed, of many boxes together, where NumPy takes from each box what
    it touches: the backward of a part of a map is a map, and so many of them cost more.
    """
    PH, PW = check_rois("roi_align", x, boxes, image_index, output_size, sampling_ratio)
    C, H, W = x.shape[1:]
    left, top, right, bottom = boxes.detach().T * spatial_scale
    rows = weights(top, bottom, PH, H, sampling_ratio, aligned)
    columns = weights(left, right, PW, W, sampling_ratio, aligned)

    y = x.new_zeros((len(boxes), C, PH, PW))
    for n in image_index.unique().tolist():
        cells = x[n].transpose(0, 1).reshape(H, C * W)
        for some in torch.where(image_index == n)[0].split(AT_ONCE):
            A, B = rows[some], columns[some]
            high = (A.reshape(-1, H) @ cells).reshape(len(some), PH * C, W)
            y[some] = (high @ B.mT).reshape(len(some), PH, C, PW).transpose(1, 2)
    return y


class RoIPool(nn.Module):
    """As :class:`course_lib.numpy_layers.RoIPool`."""

    def __init__(self, output_size, *, spatial_scale=1.0):
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, x, boxes, image_index):
        return roi_pool(x, boxes, image_index, self.output_size, spatial_scale=self.spatial_scale)


class RoIAlign(nn.Module):
    """As :class:`course_lib.numpy_layers.RoIAlign`."""

    def __init__(self, output_size, *, spatial_scale=1.0, sampling_ratio=2, aligned=True):
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, x, boxes, image_index):
        return roi_align(
            x,
            boxes,
            image_index,
            self.output_size,
            spatial_scale=self.spatial_scale,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )


def bins(low, high, parts, size):
    """As :func:`course_lib.numpy_layers.roi.bins`."""
    low, high = half_away(low), half_away(high)
    step = (high - low + 1).clamp(min=1)[:, None] / parts
    p = torch.arange(parts, dtype=low.dtype, device=low.device)
    edges = torch.stack([(p * step).floor(), ((p + 1) * step).ceil()], -1) + low[:, None, None]
    return edges.clamp(0, size).long()


def half_away(values):
    """As :func:`course_lib.numpy_layers.roi.half_away`."""
    whole = values.trunc()
    return whole + values.sign() * ((values - whole).abs() >= 0.5)


def empty(edges):
    """As :func:`course_lib.numpy_layers.roi.empty`."""
    return edges[..., 0] >= edges[..., 1]


def sort_keys(cells):
    """As :func:`course_lib.numpy_layers.roi.sort_keys`."""
    cells = cells.contiguous() + 0  # of -0 and 0 neither is the larger
    if cells.element_size() > 4:  # too long for half a key: its rank takes its place
        upper = cells.unique(return_inverse=True)[1]
    else:  # bits of positive floats are in the order of the values, of negative ones in reverse
        bits = cells.float().view(torch.int32)
        upper = (bits ^ (bits >> 31 & 0x7FFFFFFF)).long()
    backwards = torch.arange(cells.numel() - 1, -1, -1, device=cells.device)
    return upper << 32 | backwards.reshape(cells.shape)


def largest(keys, start, steps):
    """Return the largest keys ``(n, C)`` of the cells some steps behind `start` ``(n,)``."""
    high = keys[start]
    for step in steps[1:]:  # the first is 0
        torch.maximum(high, keys[start + step], out=high)
    return high


def weights(low, high, parts, size, ratio, aligned):
    """As :func:`course_lib.numpy_layers.roi.weights`."""
    if aligned:
        low, high = low - 0.5, high - 0.5
    length = high - low if aligned else (high - low).clamp(min=1)
    step = length / parts
    counts = torch.full_like(low, ratio).long() if ratio else step.ceil().long()
    table = low.new_zeros((len(low), parts, size))
    for count in counts[counts > 0].unique().tolist():
        some = (counts == count).nonzero().flatten()
        point = (torch.arange(count).to(low) + 0.5) * (step[some, None] / count)
        start = torch.arange(parts).to(low) * step[some, None]
        point = low[some, None, None] + start[..., None] + point[:, None, :]
        share = ((point >= -1) & (point <= size)).to(low) / count
        point = point.clamp(0, size - 1)
        cell = point.long()
        rest = point - cell
        box, bin_ = some[:, None, None], torch.arange(parts, device=low.device)[:, None]
        table.index_put_((box, bin_, cell), share * (1 - rest), accumulate=True)
        above = (cell + 1).clamp(max=size - 1)
        table.index_put_((box, bin_, above), share * rest, accumulate=True)
    return table
