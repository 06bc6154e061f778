"""Scenes that a detector learns in a second: filled and striped squares on a dark sheet."""

import numpy as np

from course_lib.models import digit_regions

PATTERNS = (np.ones((12, 12)), np.tile([1.0, 1, 0, 0], (12, 3)))  # of class 0 and of class 1


def simple_scenes(count, *, seed=0, most=1):
    """Return images ``(count, 1, 40, 40)``, targets, and proposals: near each object, and others.

    Each image has 1 to `most` objects, of which the first is of class 0 and 1 in turn.
    """
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.2, (count, 1, 40, 40)).astype(np.float32)
    targets, proposals = [], []
    for i, image in enumerate(images):
        corners = [(2, 2), (2, 24), (24, 2), (24, 24)]
        rng.shuffle(corners)
        boxes, labels = [], []
        for n, (y, x) in enumerate(corners[: rng.integers(1, most + 1)]):
            y, x = y + rng.integers(3), x + rng.integers(3)
            label = (i + n) % 2
            image[0, y : y + 12, x : x + 12] += 0.7 * PATTERNS[label]
            boxes.append([x, y, x + 12, y + 12])
            labels.append(label)
        boxes = np.array(boxes, np.float32)
        near = boxes.repeat(6, 0) + rng.integers(-2, 3, (6 * len(boxes), 4))
        start = rng.uniform(0, 30, (10, 2))
        others = np.concatenate([start, start + rng.uniform(4, 20, (10, 2))], 1)
        targets.append({"boxes": boxes, "labels": np.array(labels)})
        proposals.append(np.concatenate([near, others]).astype(np.float32))
    return images, targets, proposals


def small_body(rng=None):
    return digit_regions(widths=(6, 12, 16), hidden=32, rng=rng)
