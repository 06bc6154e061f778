"""Non-maximum suppression, beside torchvision's."""

import numpy as np
import torch
import torchvision

from benchmarks.measure import circumstances, compare, write_table
from course_lib.detection import nms

IMAGE = 600  # pixels a side
MILLISECOND = 1e3
COUNTS = {1_000: 0.8, 10_000: 0.5}  # boxes, and the most time they may take, as torchvision's is 1
THRESHOLDS = 0.5, 0.7


def main():
    """Measure all, and write ``results/boxes.md``."""
    torch.set_num_threads(1)
    note = (
        f"Boxes in float32 on an image of {IMAGE} pixels a side, scattered, or 50 around each of "
        f"some objects, which leaves few. A ratio is our time over torchvision's, whose boxes are "
        f"not checked; bold above the limit, which was set for scattered boxes. "
        f"{circumstances('torch', 'torchvision')}"
    )
    header = ["boxes", "count", "IoU", "kept", "arrays, ms", "tensors, ms", "torchvision, ms"]
    rows = [
        nms_row(name, layout, count, threshold)
        for name, layout in {"scattered": scattered, "around objects": around_objects}.items()
        for count in COUNTS
        for threshold in THRESHOLDS
    ]
    write_table("boxes", "Non-maximum suppression", note, [*header, "ratio", "limit"], rows)


def scattered(rng, count):
    """Return boxes of 10 to 150 pixels a side."""
    corner = rng.uniform(0, IMAGE, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(10, IMAGE / 4, (count, 2))], 1)


def around_objects(rng, count):
    """Return boxes, 50 around each object, their edges off by 3 pixels or so."""
    objects = scattered(rng, -(-count // 50)).repeat(50, axis=0)[:count]
    boxes = objects + rng.normal(0, 3, objects.shape)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes


def nms_row(name, layout, count, threshold):
    """Measure one case; return its row."""
    rng = np.random.default_rng(0)
    boxes = layout(rng, count).astype(np.float32)
    scores = rng.random(count).astype(np.float32)
    tensors = torch.tensor(boxes), torch.tensor(scores)
    kept = nms(boxes, scores, threshold)
    np.testing.assert_array_equal(kept, torchvision.ops.nms(*tensors, threshold).numpy())
    seconds = compare(
        arrays=lambda: nms(boxes, scores, threshold),
        tensors=lambda: nms(*tensors, threshold),
        torchvision=lambda: torchvision.ops.nms(*tensors, threshold),
    )
    ratio, limit = seconds["arrays"] / seconds["torchvision"], COUNTS.get(count, 1.0)
    return [
        *(name, f"{count:,}", f"{threshold}", f"{len(kept):,}"),
        *(f"{s * MILLISECOND:.2f}" for s in seconds.values()),
        f"**{ratio:.2f}**" if ratio > limit else f"{ratio:.2f}",
        f"{limit}",
    ]


if __name__ == "__main__":
    main()
