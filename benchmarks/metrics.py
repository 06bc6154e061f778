"""Overlaps beside torchvision's, and average precision beside pycocotools'."""

import contextlib
import io

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision import ops

from benchmarks.boxes import scattered
from benchmarks.measure import circumstances, compare, write_table
from course_lib.detection import box_iou, evaluate_detections

MILLISECOND = 1e3
PIXELS = 1 / 4  # random boxes lie at quarters of a pixel, so that both sides compute the same IoU


def main():
    """Measure both, and write ``results/metrics.md``."""
    torch.set_num_threads(1)
    note = (
        "A ratio is our time over the peer's; bold above the limit. Of pycocotools `evaluate` and "
        "`accumulate` are timed, with all it needs made before, and for one size of objects. "
        f"{circumstances('torch', 'torchvision', 'pycocotools')}"
    )
    header = ["what", "NumPy, ms", "peer", "peer, ms", "ratio", "limit"]
    rows = [iou_row(1000), precision_row(images=500, classes=10)]
    write_table("metrics", "Overlaps and average precision", note, header, rows)


def iou_row(count):
    """Measure the overlaps of two sets of boxes; return the row."""
    rng = np.random.default_rng(0)
    a, b = (scattered(rng, count).astype(np.float32) for _ in range(2))
    tensors = torch.tensor(a), torch.tensor(b)
    np.testing.assert_allclose(box_iou(a, b), ops.box_iou(*tensors), atol=1e-5)
    seconds = compare(ours=lambda: box_iou(a, b), theirs=lambda: ops.box_iou(*tensors))
    return row(f"IoU, {count:,} x {count:,}", "torchvision", seconds, 0.3)


def precision_row(**sizes):
    """Measure COCO's average precision on random scenes; return the row."""
    predictions, targets = random_scenes(np.random.default_rng(0), **sizes)
    judge = coco_judge(predictions, targets)
    judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], ["all"]

    def theirs():
        with contextlib.redirect_stdout(io.StringIO()):
            judge.evaluate()
            judge.accumulate()

    def ours():
        return evaluate_detections(predictions, targets, protocol="coco")

    theirs()
    precision = judge.eval["precision"][..., 0, -1]
    np.testing.assert_allclose(ours().mean, precision[precision > -1].mean(), atol=1e-12)
    name = "AP, COCO, {images} images, {classes} classes".format(**sizes)
    return row(name, "pycocotools", compare(ours=ours, theirs=theirs), 0.3)


def random_scenes(rng, images, classes, crowds=True):
    """Return predictions and targets: detections near objects, and not, some scores equal."""
    predictions, targets = [], []
    for _ in range(images):
        G, R = rng.integers(0, 6), rng.integers(0, 12)
        corner, size = rng.integers(0, 200, (G, 2)), rng.integers(8, 80, (G, 2))
        objects = PIXELS * np.hstack([corner, corner + size])
        labels = rng.integers(1, classes + 1, G)
        near = rng.integers(0, G, R) if G else np.zeros(0, int)
        boxes = objects[near] + PIXELS * rng.integers(-5, 6, (len(near), 4))
        boxes = np.hstack([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + PIXELS)])
        guesses = np.where(rng.random(len(near)) < 0.8, labels[near], 1)
        scores = rng.integers(0, 20, len(near)) / 20
        predictions.append({"boxes": boxes, "labels": guesses, "scores": scores})
        ignore = rng.random(G) < (0.2 if crowds else 0)
        targets.append({"boxes": objects, "labels": labels, "ignore": ignore})
    return predictions, targets


def coco_judge(predictions, targets):
    """Return pycocotools' judge of some detections, in its format; `ignore` means a crowd."""
    annotations, results = [], []
    for index, (found, true) in enumerate(zip(predictions, targets, strict=True), start=1):
        for box, label, crowd in zip(true["boxes"], true["labels"], true["ignore"], strict=True):
            annotations.append(_entry(index, box, label) | {"iscrowd": int(crowd)})
        mine = zip(found["boxes"], found["labels"], found["scores"], strict=True)
        results += [_entry(index, box, label) | {"score": float(s)} for box, label, s in mine]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": index} for index in range(1, len(targets) + 1)],
        "annotations": [a | {"id": n} for n, a in enumerate(annotations, start=1)],
        "categories": [{"id": c} for c in sorted({a["category_id"] for a in annotations})],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        return COCOeval(coco, coco.loadRes(results), "bbox")


def _entry(image, box, label):
    """One box in COCO's format: corner, width and height."""
    x1, y1, x2, y2 = map(float, box)
    box = [x1, y1, x2 - x1, y2 - y1]
    return {"image_id": image, "category_id": int(label), "bbox": box, "area": box[2] * box[3]}


def row(name, peer, seconds, limit):
    """Return a row of the table."""
    ratio = seconds["ours"] / seconds["theirs"]
    ours, theirs = (f"{s * MILLISECOND:.1f}" for s in seconds.values())
    verdict = f"{ratio:.2f}" if ratio <= limit else f"**{ratio:.2f}**"
    return [name, ours, peer, theirs, verdict, f"{limit}"]


if __name__ == "__main__":
    main()
