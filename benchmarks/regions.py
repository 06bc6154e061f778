"""RoI pooling and RoIAlign, forward and backward, beside torchvision's."""

from typing import NamedTuple

import numpy as np
import torch
from torchvision import ops

from benchmarks.layers import agree
from benchmarks.measure import circumstances, compare, write_table
from course_lib.numpy_layers import (
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)

FEATURES = (1, 256, 38, 50)  # of an image of 600 by 800 pixels, at stride 16
SCALE, BINS = 1 / 16, 7
MILLISECOND = 1e3


class Layer(NamedTuple):
    """A layer for boxes, and the most time it may take, as torchvision's is 1."""

    name: str
    forward: object
    backward: object
    theirs: object  # of features and boxes with their image
    limits: dict  # boxes -> limits of the forward and of the backward pass


LAYERS = [
    Layer(
        "RoI pooling",
        roi_pool_forward,
        roi_pool_backward,
        lambda x, rois: ops.roi_pool(x, rois, BINS, SCALE),
        {128: (1.2, 1.7), 2000: (0.7, 1.7)},
    ),
    Layer(
        "RoIAlign",
        roi_align_forward,
        roi_align_backward,
        lambda x, rois: ops.roi_align(x, rois, BINS, SCALE, 2, True),
        {128: (0.4, 0.3), 2000: (0.4, 0.3)},
    ),
]


def main():
    """Measure all, and write ``results/regions.md``."""
    torch.set_num_threads(1)
    N, C, H, W = FEATURES
    note = (
        f"{N} image, {C} channels of {H} by {W} cells, {BINS} by {BINS} bins, 4 points in a bin of "
        "RoIAlign; boxes of 32 to 400 pixels a side, all float32. A ratio is our time over "
        f"torchvision's; bold above the limit. {circumstances('torch', 'torchvision')}"
    )
    header = ["layer", "boxes", "pass", "NumPy, ms", "torchvision, ms", "ratio", "limit"]
    rows = [
        row for layer in LAYERS for count in layer.limits for row in rows_of(layer, count, FEATURES)
    ]
    write_table("regions", "Layers for regions of interest", note, header, rows)


def random_boxes(rng, count, size):
    """Return boxes of 32 to 400 pixels a side, cut off at the border of an image (H, W)."""
    H, W = size
    sides = rng.uniform(32, 400, (count, 2))
    corner = rng.uniform(0, 1, (count, 2)) * np.maximum(np.array([W, H]) - sides, 0)
    return np.hstack([corner, corner + sides]).clip(0, [W, H, W, H]).astype(np.float32)


def rows_of(layer, count, shape):
    """Measure both passes of a layer, once they are known to agree; return the two rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    boxes = random_boxes(rng, count, (shape[2] / SCALE, shape[3] / SCALE))
    image_index = np.zeros(count, int)
    tensor = torch.tensor(x, requires_grad=True)
    rois = torch.tensor(np.hstack([image_index[:, None].astype(np.float32), boxes]))

    def ours():
        return layer.forward(x, boxes, image_index, BINS, spatial_scale=SCALE)

    def theirs():
        with torch.no_grad():
            return layer.theirs(tensor, rois)

    (y, cache), graph = ours(), layer.theirs(tensor, rois)
    dy = rng.standard_normal(y.shape, np.float32)

    def ours_backward():
        return layer.backward(dy, cache)

    def theirs_backward():
        return torch.autograd.grad(graph, tensor, torch.from_numpy(dy), retain_graph=True)[0]

    agree(y, theirs())
    agree(ours_backward(), theirs_backward())
    forward = compare(ours=ours, theirs=theirs)
    backward = compare(ours=ours_backward, theirs=theirs_backward)
    limits = layer.limits.get(count, (1.0, 1.0))
    return [
        row(layer.name, count, "forward", forward, limits[0]),
        row("", "", "backward", backward, limits[1]),
    ]


def row(name, count, direction, seconds, limit):
    """Return a row of the table."""
    ratio = seconds["ours"] / seconds["theirs"]
    verdict = f"{ratio:.2f}" if ratio <= limit else f"**{ratio:.2f}**"
    times = (f"{seconds[side] * MILLISECOND:.1f}" for side in ("ours", "theirs"))
    return [name, f"{count:,}" if count else "", direction, *times, verdict, f"{limit}"]


if __name__ == "__main__":
    main()
