"""The cache keeps the arguments; backward finds the maxima again, window by window."""

import numpy as np


# %% roi-pool-forward
def windows(x, boxes, image_index, output_size, scale):
    """All bins with their slices, empty ones left out."""
    (_, _, H, W), (PH, PW) = x.shape, output_size
    for r, box in enumerate(np.asarray(boxes, float) * scale):
        x1, y1, x2, y2 = np.floor(box + 0.5)
        h, w = (y2 - y1 + 1) / PH, (x2 - x1 + 1) / PW
        for p, q in np.ndindex(PH, PW):
            top, bottom = np.clip([y1 + np.floor(p * h), y1 + np.ceil((p + 1) * h)], 0, H)
            left, right = np.clip([x1 + np.floor(q * w), x1 + np.ceil((q + 1) * w)], 0, W)
            if top < bottom and left < right:
                rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
                yield r, p, q, (int(image_index[r]), slice(None), rows, columns)


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    arguments = x.copy(), boxes.copy(), image_index.copy(), output_size, spatial_scale
    y = np.zeros((len(boxes), x.shape[1], *output_size), np.float32)
    for r, p, q, where in windows(*arguments):
        y[r, :, p, q] = np.amax(x[where], axis=(1, 2))
    return y, arguments


# %% roi-pool-backward
def roi_pool_backward(dy, cache):
    x = cache[0]
    dx = np.zeros(x.shape, np.float32)
    for r, p, q, where in windows(*cache):
        window = x[where]
        first = np.zeros(window.reshape(len(window), -1).shape, bool)
        first[np.arange(len(window)), window.reshape(len(window), -1).argmax(axis=1)] = True
        dx[where] += first.reshape(window.shape) * dy[r, :, p, q, None, None]
    return dx


# %% box-encode
def box_encode(boxes, anchors):
    x1, y1, x2, y2 = boxes.astype(np.float32).T
    a1, b1, a2, b2 = anchors.astype(np.float32).T
    tx, ty = (x1 + x2 - a1 - a2) / (a2 - a1) / 2, (y1 + y2 - b1 - b2) / (b2 - b1) / 2
    return np.stack([tx, ty, np.log((x2 - x1) / (a2 - a1)), np.log((y2 - y1) / (b2 - b1))], -1)


# %% box-decode
def box_decode(deltas, anchors):
    boxes = np.empty(deltas.shape, np.float32)
    for k in (0, 1):
        side = anchors[:, k + 2] - anchors[:, k]
        centre = (anchors[:, k] + anchors[:, k + 2]) / 2 + deltas[:, k] * side
        half = np.exp(deltas[:, k + 2]) * side / 2
        boxes[:, k], boxes[:, k + 2] = centre - half, centre + half
    return boxes


# %% box-iou
def box_iou(box, boxes):
    common, area, areas = 1.0, 1.0, 1.0
    for k in (0, 1):
        side = np.minimum(box[k + 2], boxes[:, k + 2]) - np.maximum(box[k], boxes[:, k])
        common = common * np.where(side > 0, side, 0)
        area, areas = area * (box[k + 2] - box[k]), areas * (boxes[:, k + 2] - boxes[:, k])
    return common / (area + areas - common)


# %% nms
def nms(boxes, scores, iou_threshold):
    scores, kept = scores.copy(), []
    while len(scores) and scores.max() > -np.inf:
        best = int(scores.argmax())
        kept.append(best)
        scores[box_iou(boxes[best], boxes) > iou_threshold] = -np.inf
        scores[best] = -np.inf
    return np.array(kept, dtype=np.int32)
