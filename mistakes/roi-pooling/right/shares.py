"""A table says how each cell counts in each bin; a class; Fortran order; one recursive rule."""

import numpy as np


# %% roi-pool-forward
class Pooled:
    """What one box of one image was pooled from."""

    def __init__(self, x, image, box, output_size):
        self.image, self.size = image, output_size
        left, top, right, bottom = box
        edges = [self.edges(top, bottom, output_size[0]), self.edges(left, right, output_size[1])]
        self.rows, self.columns = edges
        self.plane = x[image]

    @staticmethod
    def edges(first, last, parts):
        steps = np.arange(parts + 1) * (last - first + 1)
        return list(zip(first + steps[:-1] // parts, first - (-steps[1:] // parts), strict=True))

    def bins(self):
        _, H, W = self.plane.shape
        for p, (a, b) in enumerate(self.rows):
            for q, (c, d) in enumerate(self.columns):
                rows, columns = range(max(a, 0), min(b, H)), range(max(c, 0), min(d, W))
                if rows and columns:
                    yield p, q, np.array(rows), np.array(columns)

    def forward(self):
        y = np.zeros((len(self.plane), *self.size), order="F")
        self.places = []
        for p, q, rows, columns in self.bins():
            part = self.plane[:, rows][..., columns]
            best = part.max(axis=(1, 2))
            y[:, p, q] = best
            for channel, value in enumerate(best):
                i, j = np.argwhere(part[channel] == value)[-1]
                self.places.append((channel, p, q, rows[i], columns[j]))
        return y


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    corners = [[int((2 * v * spatial_scale + 1) // 2) for v in box.tolist()] for box in boxes]
    pairs = zip(image_index, corners, strict=True)
    pooled = [Pooled(x, image, box, output_size) for image, box in pairs]
    y = np.zeros((len(boxes), x.shape[1], *output_size), order="F")
    for r, one in enumerate(pooled):
        y[r] = one.forward()
    return y, (pooled, x.shape)


# %% roi-pool-backward
def roi_pool_backward(dy, cache):
    pooled, shape = cache
    dx = np.zeros(shape, order="F")
    for r, one in enumerate(pooled):
        for channel, p, q, i, j in one.places:
            dx[one.image, channel, i, j] += dy[r, channel, p, q]
    return dx


# %% box-encode
def centre_size(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def box_encode(boxes, anchors):
    (centre, size), (at, unit) = centre_size(boxes), centre_size(anchors)
    deltas = np.empty((4, len(boxes)))
    deltas[:2] = ((centre - at) / unit).T
    deltas[2:] = np.log(size.T) - np.log(unit.T)
    return deltas.T


# %% box-decode
def box_decode(deltas, anchors):
    at, unit = centre_size(anchors)
    first = at + deltas[:, :2] * unit - np.exp(deltas[:, 2:]) * unit / 2
    return np.hstack([first, first + np.exp(deltas[:, 2:]) * unit])


# %% box-iou
def box_iou(box, boxes):
    corner, end = np.maximum(box, boxes)[:, :2], np.minimum(box, boxes)[:, 2:]
    common = np.where((corner < end).all(axis=1), np.prod(end - corner, axis=1), 0)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return common / (np.prod(box[2:] - box[:2]) + areas - common)


# %% nms
def nms(boxes, scores, iou_threshold):
    def keep(order):
        if not order:
            return []
        best, rest = order[0], order[1:]
        if rest:
            over = box_iou(boxes[best], boxes[rest]) > iou_threshold
            rest = [i for i, dropped in zip(rest, over, strict=True) if not dropped]
        return [best, *keep(rest)]

    return tuple(keep(sorted(range(len(scores)), key=lambda i: -scores[i])))
