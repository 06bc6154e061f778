"""All channels at once: a masked maximum along rows, then along columns; places by index arrays."""

import numpy as np


# %% roi-pool-forward
def membership(first, last, parts, size):
    """Whether a cell belongs to a bin, (R, parts, size)."""
    length = (last - first + 1)[:, None]
    p, cells = np.arange(parts), np.arange(size)
    start = first[:, None] + p * length // parts
    stop = first[:, None] + ((p + 1) * length + parts - 1) // parts
    return (cells >= start[..., None]) & (cells < stop[..., None])


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    PH, PW = output_size
    R, (C, H, W) = len(boxes), x.shape[1:]
    scaled = np.asarray(boxes, float) * spatial_scale
    whole = np.trunc(scaled)
    corners = (whole + np.sign(scaled) * (np.abs(scaled - whole) >= 0.5)).astype(int)
    rows = membership(corners[:, 1], corners[:, 3], PH, H)
    columns = membership(corners[:, 0], corners[:, 2], PW, W)
    inside = rows[:, :, None, :, None] & columns[:, None, :, None, :]  # R PH PW H W
    seen = x[image_index][:, :, None, None]  # R C 1 1 H W
    flat = np.where(inside[:, None], seen, -np.inf).reshape(R, C, PH, PW, H * W)
    place = flat.argmax(axis=-1)
    filled = inside.any(axis=(-2, -1))[:, None] & np.ones((1, C, 1, 1), bool)
    y = np.where(filled, flat.max(axis=-1), 0).astype(x.dtype)
    return y, {"place": place, "filled": filled, "index": image_index, "shape": x.shape}


# %% roi-pool-backward
def roi_pool_backward(dy, cache):
    N, C, H, W = cache["shape"]
    r, c, p, q = np.nonzero(cache["filled"])
    flat = (np.asarray(cache["index"])[r] * C + c) * H * W + cache["place"][r, c, p, q]
    return np.bincount(flat, dy[r, c, p, q], minlength=N * C * H * W).reshape(N, C, H, W)


# %% box-encode
CENTRE = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])


def box_encode(boxes, anchors):
    xywh, anchor_xywh = boxes @ CENTRE, anchors @ CENTRE
    moved = (xywh - anchor_xywh)[:, :2] / anchor_xywh[:, 2:]
    return np.c_[moved, np.diff(np.log([anchor_xywh[:, 2:], xywh[:, 2:]]), axis=0)[0]]


# %% box-decode
def box_decode(deltas, anchors):
    xywh = anchors @ CENTRE
    there = np.c_[xywh[:, :2] + deltas[:, :2] * xywh[:, 2:], xywh[:, 2:] * np.exp(deltas[:, 2:])]
    return there @ np.linalg.inv(CENTRE)


# %% box-iou
def pairs(a, b):
    a, b = a[:, None], b[None]
    sides = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0)
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (a, b)]
    common = sides[..., 0] * sides[..., 1]
    return common / (areas[0] + areas[1] - common)


def box_iou(box, boxes):
    return pairs(box[None], boxes)[0]


# %% nms
def nms(boxes, scores, iou_threshold):
    order = np.argsort(scores)[::-1]
    over = pairs(boxes[order], boxes[order]) > iou_threshold
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~over[i, i + 1 :]
    return order[alive]
