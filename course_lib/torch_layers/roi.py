"""RoI pooling and RoIAlign in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.roi`."""

import torch
from torch import nn

from course_lib.shapes import check_rois

NOTHING = torch.iinfo(torch.int64).min  # smaller than the key of any cell


def roi_pool(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    """As :func:`course_lib.numpy_layers.roi_pool_forward`; autograd supplies the backward."""
    PH, PW = check_rois("roi_pool", x, boxes, image_index, output_size)
    C, H, W = x.shape[1:]
    left, top, right, bottom = boxes.detach().T * spatial_scale
    rows, columns = bins(top, bottom, PH, H), bins(left, right, PW, W)

    R, M = len(boxes), H * W * C
    cells = x.permute(0, 2, 3, 1)
    source = torch.empty((R, PH, PW, C), dtype=torch.int64, device=x.device)
    for n in image_index.unique().tolist():
        keys = sort_keys(cells[n].detach())
        for r in (image_index == n).nonzero().flatten().tolist():
            high = [largest(keys[start:stop], 0) for start, stop in rows[r].tolist()]
            high = torch.stack(high)
            best = [largest(high[:, start:stop], 1) for start, stop in columns[r].tolist()]
            source[r] = M - 1 - (torch.stack(best, 1) & 0xFFFFFFFF)
    nothing = empty(rows)[:, :, None, None] | empty(columns)[:, None, :, None]
    place = (source + M * image_index.to(source)[:, None, None, None]).masked_fill(nothing, 0)
    y = cells.reshape(-1).gather(0, place.reshape(-1)).reshape(source.shape)
    return y.masked_fill(nothing, 0).permute(0, 3, 1, 2)


def roi_align(
    x, boxes, image_index, output_size, *, spatial_scale=1.0, sampling_ratio=2, aligned=True
):
    """As :func:`course_lib.numpy_layers.roi_align_forward`; autograd supplies the backward."""
    PH, PW = check_rois("roi_align", x, boxes, image_index, output_size, sampling_ratio)
    C, H, W = x.shape[1:]
    left, top, right, bottom = boxes.detach().T * spatial_scale
    rows = weights(top, bottom, PH, H, sampling_ratio, aligned)
    columns = weights(left, right, PW, W, sampling_ratio, aligned)

    cells, y = x.permute(0, 2, 3, 1), [x.new_zeros((0, C, PH, PW))]
    height, width = touched(rows), touched(columns)
    for r, n in enumerate(image_index.tolist()):
        (top, bottom), (left, right) = height[r], width[r]
        A, B = rows[r, :, top:bottom], columns[r, :, left:right]
        high = A @ cells[n, top:bottom, left:right].reshape(bottom - top, (right - left) * C)
        y.append((B @ high.reshape(PH, right - left, C)).permute(2, 0, 1)[None])
    return torch.cat(y)


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


def largest(keys, axis):
    """Return the largest key along an axis; where there is none, `NOTHING`."""
    if keys.shape[axis] == 0:
        return keys.sum(axis) + NOTHING
    return keys.amax(axis)


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


def touched(table):
    """As :func:`course_lib.numpy_layers.roi.touched`."""
    used = table.any(1)
    first = used.int().argmax(1)
    last = used.shape[1] - used.flip(1).int().argmax(1)
    return torch.stack([first, last.where(used.any(1), first)], 1).tolist()
