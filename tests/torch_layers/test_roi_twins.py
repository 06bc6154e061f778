"""RoI pooling and RoIAlign beside torchvision's, with their gradients, in every precision."""

import numpy as np
import pytest
import torch
from torchvision import ops

from course_lib.torch_layers import roi_align, roi_pool


def data(rng, dtype):
    """Features of two images, and boxes of all sizes, some of them beyond the image."""
    x = torch.tensor(rng.normal(size=(2, 3, 9, 10))).to(dtype)
    centre, size = rng.uniform(0, [80, 72], (30, 2)), rng.exponential(25, (30, 2))
    boxes = torch.tensor(np.hstack([centre - size / 2, centre + size / 2])).to(dtype)
    boxes[::3] = (boxes[::3] / 4).round() * 4  # corners at halves of a cell
    return x.requires_grad_(), boxes, torch.tensor(rng.integers(0, 2, 30))


def both(x, ours, theirs):
    """Outputs and gradients of both sides, for one gradient of whole numbers that comes in."""
    dy = torch.arange(ours.numel()).reshape(ours.shape).to(x) % 7 - 3
    grads = [torch.autograd.grad(y, x, dy)[0] for y in (ours, theirs)]
    return (ours, theirs), grads


def rois(boxes, image_index):
    return torch.cat([image_index[:, None].to(boxes), boxes], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [7, (2, 3)], ids=str)
def test_pooling_is_torchvisions_to_the_bit(rng, dtype, size):
    x, boxes, image_index = data(rng, dtype)
    for features in (x, (x.detach() * 2).round().requires_grad_()):  # many equal maxima
        ours = roi_pool(features, boxes, image_index, size, spatial_scale=1 / 8)
        theirs = ops.roi_pool(features, rois(boxes, image_index), size, 1 / 8)
        for pair in both(features, ours, theirs):
            torch.testing.assert_close(*pair, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [2, 0])
def test_align_is_torchvisions(rng, dtype, ratio, aligned):
    x, boxes, image_index = data(rng, dtype)
    options = {"spatial_scale": 1 / 8, "sampling_ratio": ratio, "aligned": aligned}
    ours = roi_align(x, boxes, image_index, 3, **options)
    theirs = ops.roi_align(x, rois(boxes, image_index), 3, 1 / 8, ratio or -1, aligned)
    tolerance = {"rtol": 0, "atol": 1e-10 if dtype == torch.float64 else 5e-5}
    for pair in both(x, ours, theirs):
        torch.testing.assert_close(*pair, **tolerance)


@pytest.mark.parametrize("layer", [roi_pool, roi_align])
def test_half_precision_and_no_boxes(layer):
    x = torch.ones((1, 2, 5, 5), dtype=torch.bfloat16)
    boxes = torch.tensor([[0, 0, 4, 4]], dtype=torch.bfloat16)
    y = layer(x, boxes, torch.tensor([0]), 2)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, torch.ones_like(y))
    assert layer(x, boxes[:0], torch.tensor([], dtype=torch.long), 2).shape == (0, 2, 2, 2)
