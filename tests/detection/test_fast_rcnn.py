import math

import numpy as np
import torch

from course_lib.detection import (
    FastRCNN,
    RoIHead,
    detection_losses,
)
from course_lib.models import digit_regions


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed))


def small(num_classes=3, **options):
    """A detector with a body of few maps, whose last layers say more than nothing."""
    body = digit_regions(widths=(4, 6, 8), hidden=16, rng=generator(1))
    detector = FastRCNN(body, num_classes, **options)
    with torch.no_grad():
        detector.roi_head.classes.weight.normal_(0, 0.5, generator=generator(2))
        detector.roi_head.boxes.weight.normal_(0, 0.5, generator=generator(3))
    return detector


def target(boxes=(), labels=()):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.array(labels, np.int64),
    }


def test_the_multi_task_loss_by_hand():
    """Two classes. Region 0 shows class 1 and is 2 pixels off, region 1 shows background."""
    scores = torch.tensor([[0.0, math.log(2), 0.0], [0.0, 0.0, math.log(6)]])
    deltas = torch.zeros(2, 2, 4)
    deltas[0, 1] = torch.tensor([0.5, 0.0, 0.0, 0.0])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 5, 5]])
    truth = torch.tensor([[2.0, 0, 12, 10], [0, 0, 1, 1]])
    losses = detection_losses(scores, deltas, torch.tensor([1, 2]), boxes, truth)
    # p = 2/4 and 6/8; the true offset is 10 * 2/10 = 2, so that 1.5 are missing: 1.5 - 1/2 = 1
    expected = (math.log(2) + math.log(8 / 6)) / 2, 1 / 2
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    near = detection_losses(
        scores, deltas, torch.tensor([1, 2]), boxes, truth, weights=(5.0, 1, 1, 1)
    )
    np.testing.assert_allclose(near.regression, 0.5**2 / 2 / 2, rtol=1e-6)


def test_only_the_true_class_of_objects_has_a_box_loss():
    scores, boxes = torch.zeros(3, 4), torch.tensor([[0.0, 0, 8, 8]]).repeat(3, 1)
    deltas = torch.ones(3, 3, 4, requires_grad=True)
    labels = torch.tensor([2, 3, 0])
    detection_losses(scores, deltas, labels, boxes, boxes).regression.backward()
    touched = deltas.grad.abs().sum(2) > 0
    assert touched.nonzero().tolist() == [[0, 2], [2, 0]]
    background = detection_losses(scores, deltas, torch.full((3,), 3), boxes, boxes)
    assert background.regression == 0
    assert background.classification > 0


def test_no_regions_cost_nothing_but_have_a_gradient():
    scores = torch.zeros(0, 4, requires_grad=True)
    deltas = torch.zeros(0, 3, 4, requires_grad=True)
    none = torch.zeros(0, 4)
    losses = detection_losses(scores, deltas, torch.zeros(0, dtype=torch.int64), none, none)
    assert losses == (0, 0)
    sum(losses).backward()
    assert scores.grad.shape == (0, 4)


def test_a_head_begins_undecided():
    scores, deltas = RoIHead(16, 3)(noise(5, 16))
    assert scores.shape == (5, 4)
    assert deltas.shape == (5, 3, 4)
    assert scores.abs().max() < 0.2
    assert deltas.abs().max() < 0.02
