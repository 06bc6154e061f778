"""One cell after the other, in plain Python; of tied cells the last one; lists are returned."""

import math

import numpy as np


# %% roi-pool-forward
def cells_of(start, end, parts, p, size):
    """The cells of bin p that are in the map."""
    length = end - start + 1
    first = start + math.floor(p * length / parts)
    stop = start + math.ceil((p + 1) * length / parts)
    return [cell for cell in range(first, stop) if 0 <= cell < size]


def to_cell(pixels, scale):
    return math.floor(float(pixels) * scale + 0.5)


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    N, C, H, W = x.shape
    PH, PW = output_size
    y = np.empty((len(boxes), C, PH, PW))
    winners = {}
    for r in range(len(boxes)):
        x1, y1, x2, y2 = (to_cell(corner, spatial_scale) for corner in boxes[r])
        for c in range(C):
            for p in range(PH):
                for q in range(PW):
                    best, where = None, None
                    for i in cells_of(y1, y2, PH, p, H):
                        for j in cells_of(x1, x2, PW, q, W):
                            if best is None or x[image_index[r], c, i, j] >= best:
                                best, where = x[image_index[r], c, i, j], (i, j)
                    y[r, c, p, q] = 0 if best is None else best
                    if where is not None:
                        winners[r, c, p, q] = (int(image_index[r]), c, *where)
    return [y, {"winners": winners, "shape": (N, C, H, W)}]


# %% roi-pool-backward
def roi_pool_backward(dy, cache):
    dx = np.zeros(cache["shape"])
    for bin_, cell in cache["winners"].items():
        dx[cell] += dy[bin_]
    return dx


# %% box-encode
def box_encode(boxes, anchors):
    deltas = []
    for (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(boxes, anchors, strict=True):
        w, h, wa, ha = x2 - x1, y2 - y1, a2 - a1, b2 - b1
        tx = ((x1 + x2) / 2 - (a1 + a2) / 2) / wa
        ty = ((y1 + y2) / 2 - (b1 + b2) / 2) / ha
        deltas.append([tx, ty, math.log(w) - math.log(wa), math.log(h / ha)])
    return deltas


# %% box-decode
def box_decode(deltas, anchors):
    boxes = []
    for (tx, ty, tw, th), (a1, b1, a2, b2) in zip(deltas, anchors, strict=True):
        x, y = (a1 + a2) / 2 + tx * (a2 - a1), (b1 + b2) / 2 + ty * (b2 - b1)
        w, h = (a2 - a1) * math.exp(tw), (b2 - b1) * math.exp(th)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return boxes


# %% box-iou
def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union


def box_iou(box, boxes):
    return [overlap(box, other) for other in boxes]


# %% nms
def nms(boxes, scores, iou_threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: scores[i], reverse=True):
        if not any(overlap(boxes[i], boxes[k]) > iou_threshold for k in kept):
            kept.append(i)
    return kept
