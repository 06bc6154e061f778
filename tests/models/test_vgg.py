"""The VGG networks: the paper's table, the slide's rows, and torchvision's own."""

import pytest
import torch
import torchvision
from torch import nn

from course_lib import models
from course_lib.models import gradient_support, receptive_window, summary, vgg16, vgg_small

PARAMETERS = {  # table 2 of the paper, in millions; and as counted
    "vgg11": (133, 132_863_336),
    "vgg13": (133, 133_047_848),
    "vgg16": (138, 138_357_544),
    "vgg19": (144, 143_667_240),
}
ROWS = {  # layer: maps, rows, weights, as on the slide
    "conv1_1": (64, 224, 1_728),
    "conv1_2": (64, 224, 36_864),
    "pool1": (64, 112, 0),
    "conv2_1": (128, 112, 73_728),
    "conv2_2": (128, 112, 147_456),
    "pool2": (128, 56, 0),
    "conv3_1": (256, 56, 294_912),
    "conv3_2": (256, 56, 589_824),
    "conv3_3": (256, 56, 589_824),
    "pool3": (256, 28, 0),
    "conv4_1": (512, 28, 1_179_648),
    "conv4_2": (512, 28, 2_359_296),
    "conv4_3": (512, 28, 2_359_296),
    "pool4": (512, 14, 0),
    "conv5_1": (512, 14, 2_359_296),
    "conv5_2": (512, 14, 2_359_296),
    "conv5_3": (512, 14, 2_359_296),
    "pool5": (512, 7, 0),
}
FC = {"fc6": (4096, 102_760_448), "fc7": (4096, 16_777_216), "fc8": (1000, 4_096_000)}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    millions, exactly = PARAMETERS[name]
    ledger = summary(getattr(models, name)(device="meta"), (3, 224, 224))
    assert ledger.parameters == exactly
    # The paper's column B has 133, though with biases it would round to 133.05.
    assert round(ledger.weights / 1e6) == millions


def test_rows_of_vgg16():
    ledger = summary(vgg16(device="meta"), (3, 224, 224)).condensed()
    assert [row.name for row in ledger.rows] == [*ROWS, *FC]
    for name, (F, size, weights) in ROWS.items():
        row = ledger.row(name)
        assert (row.output_shape, row.weights) == ((F, size, size), weights)
        assert row.macs == weights * size**2
    for name, (K, weights) in FC.items():
        row = ledger.row(name)
        assert (row.output_shape, row.weights, row.macs) == ((K,), weights, weights)


def test_totals_of_vgg16():
    ledger = summary(vgg16(device="meta"), (3, 224, 224)).condensed()
    assert ledger.weights == 138_344_128
    assert ledger.macs == 15_470_264_320
    image = 3 * 224 * 224
    assert image + ledger.activations == 15_237_608  # the sum of the slide's own column
    first_two = ledger.row("conv1_1").activations + ledger.row("conv1_2").activations
    assert first_two / (image + ledger.activations) == pytest.approx(0.42, abs=0.005)
    assert sum(ledger.row(name).weights for name in FC) / ledger.weights == pytest.approx(
        0.89, 0.01
    )
    assert (ledger.row("pool5").receptive_field, ledger.row("pool5").stride) == (212, 32)
    assert ledger.receptive_field == 404  # FCN's table 1


@pytest.mark.parametrize("name", PARAMETERS)
def test_torchvision_has_the_same_parameters_in_the_same_order(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)().state_dict()
    ours = getattr(models, name)(device="meta").state_dict()
    assert [v.shape for v in ours.values()] == [v.shape for v in theirs.values()]


def test_torchvision_computes_the_same(monkeypatch):
    """With the same weights, and with fewer maps, to be quick."""
    monkeypatch.setattr(models.vgg, "WIDTHS", (4, 4, 6, 6, 8))
    ours = models.vgg11(num_classes=7).eval()
    plan = [4, "M", 4, "M", 6, 6, "M", 6, 6, "M", 8, 8, "M"]
    with torch.device("meta"):
        body = torchvision.models.vgg.make_layers(plan)
        theirs = torchvision.models.VGG(body, num_classes=7, init_weights=False).eval()
        theirs.classifier[0] = nn.Linear(8 * 7 * 7, 4096)
    weights = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(weights), assign=True)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_receptive_fields_of_vgg16_on_a_strip():
    body = vgg16(device="meta").features  # as high as the image, and narrow, to be quick
    for layer in ("conv2_2", "pool3", "pool5"):
        got = gradient_support(body, layer, (3, 224, 32))
        assert got == receptive_window(body, layer, (3, 224, 32))
    assert got == (6, 0, 217, 31)


@pytest.mark.parametrize("depth", [5, 8, 11, 14])
def test_depth_counts_layers_with_weights(depth):
    model = vgg_small(depth=depth)
    kinds = [row.kind for row in summary(model, (1, 32, 32)).rows]
    assert kinds.count("Conv2d") + kinds.count("Linear") == depth


def test_three_small_windows_see_as_one_large_and_cost_less():
    stack = summary(vgg_small(depth=11), (1, 32, 32))
    large = summary(vgg_small(depth=5, kernel_size=7), (1, 32, 32))
    for block in (1, 2, 3):
        ours, theirs = stack.row(f"conv{block}_3"), large.row(f"conv{block}_1")
        assert (ours.receptive_field, ours.stride) == (theirs.receptive_field, theirs.stride)
    assert large.row("conv3_1").weights == 49 * 16 * 32
    assert stack.row("conv3_3").weights == 9 * 32 * 32


def test_first_weights():
    state = torch.get_rng_state()
    model = vgg_small(depth=8)
    assert torch.equal(state, torch.get_rng_state()), "draws from torch's global generator"
    assert model.features.conv3_2.weight.var().item() == pytest.approx(2 / (9 * 32), rel=0.05)
    biases = [m.bias for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(biases) == 8
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"depth": 7}, "vgg_small: `depth` is 7, expected 5, 8, 11 or 14"),
        ({"kernel_size": 4}, "vgg_small: `kernel_size` is 4, expected an odd number"),
        ({"kernel_size": 3.0}, "vgg_small: `kernel_size` is 3.0, expected an odd"),
    ],
)
def test_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        vgg_small(**options)
