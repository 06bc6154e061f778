"""AlexNet and ZFNet: the published counts, row by row, and the parts that are theirs alone."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from course_lib.models import (
    alexnet,
    alexnet_small,
    gradient_support,
    receptive_window,
    summary,
    zfnet,
    zfnet_small,
)
from course_lib.models.alexnet import response_norm

ROWS = {  # layer: maps, rows, weights with one tower, receptive field, stride
    "conv1": (96, 55, 34_848, 11, 4),
    "pool1": (96, 27, 0, 19, 8),
    "conv2": (256, 27, 614_400, 51, 8),
    "pool2": (256, 13, 0, 67, 16),
    "conv3": (384, 13, 884_736, 99, 16),
    "conv4": (384, 13, 1_327_104, 131, 16),
    "conv5": (256, 13, 884_736, 163, 16),
    "pool5": (256, 6, 0, 195, 32),
}
FC = {"fc6": 37_748_736, "fc7": 16_777_216, "fc8": 4_096_000}
SPLIT = ("conv2", "conv4", "conv5")
ZF_ROWS = {  # layer: maps, rows, parameters
    "conv1": (96, 110, 14_208),
    "pool1": (96, 55, 0),
    "conv2": (256, 26, 614_656),
    "pool2": (256, 13, 0),
    "conv3": (384, 13, 885_120),
    "conv4": (384, 13, 1_327_488),
    "conv5": (256, 13, 884_992),
    "pool5": (256, 6, 0),
    "fc6": (4096, None, 37_752_832),
    "fc7": (4096, None, 16_781_312),
    "fc8": (1000, None, 4_097_000),
}


@pytest.mark.parametrize("towers, parameters", [(2, 60_965_224), (1, 62_378_344)])
def test_rows(towers, parameters):
    ledger = summary(alexnet(towers=towers, device="meta"), (3, 227, 227))
    assert ledger.parameters == parameters
    for name, (F, size, weights, field, stride) in ROWS.items():
        row = ledger.row(name)
        weights //= towers if name in SPLIT else 1
        assert (row.output_shape, row.weights) == ((F, size, size), weights)
        assert (row.receptive_field, row.stride) == (field, stride)
        assert row.macs == weights * size**2
    for name, weights in FC.items():
        assert ledger.row(name).weights == ledger.row(name).macs == weights
    assert ledger.receptive_field == 355  # FCN's table 1
    share = sum(FC.values()) / ledger.weights
    assert share == pytest.approx(0.96 if towers == 2 else 0.94, abs=0.005)


def test_operations():
    two, one = (summary(alexnet(towers=t, device="meta"), (3, 227, 227)).macs for t in (2, 1))
    assert (two, one) == (724_406_816, 1_135_256_096)


def test_neurons():
    """The paper speaks of 650,000: the outputs of the eight layers with weights."""
    ledger = summary(alexnet(device="meta"), (3, 227, 227))
    names = [*(f"conv{i}" for i in range(1, 6)), *FC]
    assert sum(ledger.row(name).activations for name in names) == 659_272


def test_zfnet():
    ledger = summary(zfnet(device="meta"), (3, 224, 224))
    assert ledger.parameters == 62_357_608
    for name, (F, size, parameters) in ZF_ROWS.items():
        row = ledger.row(name)
        assert row.output_shape == ((F, size, size) if size else (F,))
        assert row.parameters == parameters


def test_torchvision_has_another_alexnet():
    with torch.device("meta"):
        theirs = torchvision.models.alexnet()
    assert summary(theirs, (3, 224, 224)).parameters == 61_100_840
    assert summary(theirs, (3, 224, 224)).row("features.0").output_shape[0] == 64


def test_response_norm_is_the_paper_s_formula(rng):
    a = rng.normal(size=(2, 9, 3, 4)) * 20
    expected = np.empty_like(a)
    for i in range(9):
        near = a[:, max(0, i - 2) : min(9, i + 3)]
        expected[:, i] = a[:, i] / (2 + 1e-4 * (near**2).sum(axis=1)) ** 0.75
    y = response_norm()(torch.from_numpy(a))
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_the_towers_meet_in_conv3_only():
    """Half of the input maps of a split convolution do not move half of its output maps."""
    model = alexnet_small(groups=2)
    x = torch.zeros(1, 16, 7, 7)
    x[:, 8:] = 1
    moved = (model.features.conv2(x) != model.features.conv2(0 * x)).flatten(2).any(dim=2)[0]
    assert moved.tolist() == [False] * 16 + [True] * 16


def test_first_weights():
    generator = torch.Generator().manual_seed(1)
    model = alexnet(num_classes=3, rng=generator)
    std = {name: p.std().item() for name, p in model.named_parameters() if p.ndim > 1}
    assert std == {name: pytest.approx(0.01, rel=0.02) for name in std}
    ones = {n.split(".")[1] for n, p in model.named_parameters() if "bias" in n and (p == 1).all()}
    zeros = {n.split(".")[1] for n, p in model.named_parameters() if "bias" in n and not p.any()}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}


@pytest.mark.parametrize("make, shape", [(alexnet, (3, 227, 35)), (zfnet, (3, 224, 31))])
def test_receptive_fields_on_a_strip(make, shape):
    body = make(device="meta").features[:-1]  # as high as the image, and narrow, to be quick
    for layer in ("conv1", "norm1", "conv2", "conv5"):
        assert gradient_support(body, layer, shape) == receptive_window(body, layer, shape)


def test_pools_that_overlap_or_not_leave_the_same_maps():
    apart, over = (summary(alexnet_small(overlapping=o), (1, 32, 32)) for o in (False, True))
    assert [row.output_shape for row in apart.rows] == [row.output_shape for row in over.rows]
    assert apart.parameters == over.parameters
    assert apart.row("pool1").receptive_field == over.row("pool1").receptive_field - 2


def test_options_of_the_twin():
    tanh = alexnet_small(activation="tanh")
    assert isinstance(tanh.features.tanh1, nn.Tanh)
    assert isinstance(tanh.classifier.tanh7, nn.Tanh)
    assert alexnet_small(dropout=0.1).classifier.dropout6.p == 0.1
    assert tanh.features.conv4.weight.var().item() == pytest.approx(1 / (9 * 48), rel=0.05)
    relu = alexnet_small()
    assert relu.features.conv4.weight.var().item() == pytest.approx(2 / (9 * 48), rel=0.05)
    whole, halves = (summary(alexnet_small(groups=g), (1, 32, 32)) for g in (1, 2))
    for name in SPLIT:
        assert whole.row(name).weights == 2 * halves.row(name).weights


def test_zfnet_looks_closer_first():
    ours, theirs = (summary(make(), (1, 32, 32)) for make in (zfnet_small, alexnet_small))
    assert (ours.row("conv1").receptive_field, ours.row("conv1").stride) == (3, 1)
    assert (theirs.row("conv1").receptive_field, theirs.row("conv1").stride) == (5, 2)
    for name in ("conv2", "conv5", "fc8"):
        assert ours.row(name).output_shape == theirs.row(name).output_shape


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: alexnet(towers=3), "alexnet: `towers` is 3, expected 1 or 2"),
        (
            lambda: alexnet_small(activation="sigmoid"),
            "alexnet_small: `activation` is 'sigmoid', expected 'relu' or 'tanh'",
        ),
        (lambda: alexnet_small(groups=3), "alexnet_small: `groups` is 3, expected a divisor of 16"),
        (lambda: alexnet_small(groups=0), "alexnet_small: `groups` is 0, expected a divisor"),
    ],
)
def test_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


IMAGES = {
    (2, 3, 224, 224): r"AlexNet\.fc6: got 256 maps of 5 x 5 from pool5, 6400 values, expected 9216 "
    r"values; the images are 224 x 224: resize or crop them to 227 x 227",
    (2, 3, 32, 32): r"AlexNet\.pool2: got maps of 2 x 2, expected at least 3 x 3 for its window; "
    r"the images are 32 x 32: resize",
    (2, 1, 227, 227): r"AlexNet: `x` has shape \(2, 1, 227, 227\), expected \(N, 3, H, W\), images "
    r"of 3 channels",
    (
        3,
        227,
        227,
    ): r"AlexNet: `x` has shape \(3, 227, 227\), .* single image, add the batch: x\[Non",
    (3, 227): r"AlexNet: `x` has shape \(3, 227\), .* images with rows and columns",
}


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_says_which_images_it_takes(shape):
    model = alexnet(device="meta")
    with pytest.raises(ValueError, match=IMAGES[shape]):
        model(torch.ones(shape, device="meta"))


def test_says_that_bytes_are_no_images():
    with pytest.raises(TypeError, match="AlexNet: `x` holds uint8, expected floating-point"):
        alexnet(device="meta")(torch.ones(1, 3, 227, 227, device="meta", dtype=torch.uint8))
    with pytest.raises(TypeError, match="AlexNet, small: `x` is a list, expected an array"):
        alexnet_small()([1.0])
