"""The ledger: every column by hand, for layers alone, in branches and used twice."""

import re

import pytest
import torch
from torch import nn

from course_lib import torch_layers
from course_lib.models import Summary, summary


def small():
    rng = torch.Generator()
    return nn.Sequential(
        torch_layers.Conv2d(1, 6, 5, rng=rng),
        torch_layers.ReLU(),
        torch_layers.MaxPool2d(2),
        torch_layers.Flatten(),
        torch_layers.Linear(6 * 14 * 14, 10, rng=rng),
    )


COLUMNS = (
    *("name", "kind", "output_shape", "parameters", "weights", "activations", "macs"),
    *("receptive_field", "stride"),
)


def columns(row):
    return tuple(getattr(row, name) for name in COLUMNS)


def test_a_small_network_by_hand():
    ledger = summary(small(), (1, 32, 32))
    assert list(map(columns, ledger.rows)) == [
        ("0", "Conv2d", (6, 28, 28), 156, 150, 4704, 150 * 784, 5, 1),
        ("1", "ReLU", (6, 28, 28), 0, 0, 4704, 0, 5, 1),
        ("2", "MaxPool2d", (6, 14, 14), 0, 0, 1176, 0, 6, 2),
        ("3", "Flatten", (1176,), 0, 0, 1176, 0, 6, None),
        ("4", "Linear", (10,), 11770, 11760, 10, 11760, 32, None),
    ]
    assert (ledger.model, ledger.input_shape) == ("Sequential", (1, 32, 32))
    assert ledger.parameters == 156 + 11770
    assert ledger.weights == 150 + 11760
    assert ledger.activations == 4704 + 4704 + 1176 + 1176 + 10
    assert ledger.macs == 117_600 + 11_760
    assert ledger.receptive_field == 32


def test_what_can_be_overwritten_counts_once():
    ledger = summary(small(), (1, 32, 32)).condensed()
    assert [row.kind for row in ledger.rows] == ["Conv2d", "MaxPool2d", "Linear"]
    assert ledger.activations == 4704 + 1176 + 10
    assert ledger.memory == 4 * 5890
    assert ledger.row("0").memory == 18_816
    assert ledger.parameters == summary(small(), (1, 32, 32)).parameters


@pytest.mark.parametrize(
    "layer, overwrites",
    [
        (nn.SiLU(), True),
        (nn.Identity(), True),
        (nn.Dropout(), True),
        (nn.LocalResponseNorm(3), False),  # needs its neighbours' inputs
        (nn.BatchNorm2d(2), False),
        (nn.Conv2d(2, 2, 3, padding=1), False),
        (nn.MaxPool2d(3, stride=1, padding=1), False),
        (nn.AdaptiveAvgPool2d(1), False),
    ],
)
def test_who_can_overwrite_its_input(layer, overwrites):
    assert summary(layer, (2, 6, 6)).rows[0].pointwise is overwrites


def test_the_layers_of_torch_count_alike():
    theirs = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1176, 10)
    )
    ours = summary(small(), (1, 32, 32))
    assert summary(theirs, (1, 32, 32)).rows == ours.rows


class Sparse(nn.Module):
    """A convolution 2x2 whose three kernels are not for all pairs of maps."""

    kernel_size = 2

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(3, 2, 2)), nn.Parameter(torch.ones(2))

    def forward(self, x):
        kernels = self.weight.new_zeros(2, 2, 2, 2)
        kernels[0, 0], kernels[0, 1], kernels[1, 1] = self.weight
        return nn.functional.conv2d(x, kernels, self.bias)


class Distances(nn.Module):
    """Squared distances from fixed patterns, which says for itself what it costs."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.ones(3, 4))

    def cost(self, input_shape, output_shape):
        return 12, input_shape[0] * output_shape[0]

    def forward(self, x):
        return ((x[:, None] - self.codes) ** 2).sum(dim=2)


@pytest.mark.parametrize(
    "layer, shape, expected",  # parameters, weights, multiply-accumulates
    [
        (nn.Conv2d(4, 6, 3, groups=2), (4, 9, 7), (6 * 18 + 6, 6 * 18, 7 * 5 * 6 * 18)),
        (nn.Conv2d(4, 4, 3, groups=4, bias=False), (4, 9, 9), (36, 36, 49 * 36)),
        (nn.Conv2d(2, 3, (1, 2), stride=2), (2, 5, 6), (15, 12, 3 * 3 * 12)),
        (nn.ConvTranspose2d(2, 3, 4, stride=2), (2, 5, 6), (99, 96, 5 * 6 * 96)),
        (nn.BatchNorm2d(4), (4, 5, 5), (8, 4, 0)),
        (torch_layers.BatchNorm(4), (4, 5, 5), (8, 4, 0)),
        (nn.LocalResponseNorm(5), (4, 5, 5), (0, 0, 0)),
        (nn.AvgPool2d(2), (4, 6, 6), (0, 0, 0)),
        (Sparse(), (2, 5, 5), (14, 12, 16 * 12)),
        (nn.Sequential(nn.Flatten(), Distances()), (4, 1, 1), (0, 12, 12)),
    ],
)
def test_costs_by_hand(layer, shape, expected):
    row = summary(layer, shape).rows[-1]
    assert (row.parameters, row.weights, row.macs) == expected


def test_a_transposed_convolution_of_the_course_counts_its_inputs():
    layer = torch_layers.ConvTranspose2d(2, 3, 4, stride=2, rng=torch.Generator())
    row = summary(layer, (2, 5, 6)).rows[0]
    assert (row.output_shape, row.macs) == ((3, 12, 14), 5 * 6 * 96)
    assert row.name == "convtranspose2d"


class Branches(nn.Module):
    """Two branches that are laid side by side, one layer run twice, a skip, and a side head."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("one", nn.Conv2d(1, 2, 1))
        self.features.add_module("five", nn.Conv2d(1, 2, 5, padding=2))
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.side = nn.Linear(4, 2)

    def forward(self, x):
        y = torch.cat([self.features.one(x), self.features.five(x)], dim=1)
        y = y + self.again(self.again(y))
        scores = y.mean(dim=(2, 3))
        return (scores, self.side(scores)) if self.training else scores


def test_branches_skips_and_a_layer_that_runs_twice():
    model = Branches()
    ledger = summary(model, (1, 9, 9))
    assert [(row.name, row.receptive_field) for row in ledger.rows] == [
        ("one", 1),
        ("five", 5),
        ("again", 7),
        ("again (run 2)", 9),
        ("side", 17),
    ]
    assert ledger.row("again (run 2)").parameters == 0
    assert ledger.row("again (run 2)").macs == ledger.row("again").macs == 144 * 81
    assert ledger.parameters == sum(p.numel() for p in model.parameters())


def test_a_head_that_is_off_has_no_row():
    assert summary(Branches().eval(), (1, 9, 9)).rows[-1].name == "again (run 2)"


def test_rows_by_name():
    ledger = summary(Branches(), (1, 9, 9))
    assert ledger.row("features.five") is ledger.row("five")
    assert ledger.row("five").path == "features.five"
    with pytest.raises(ValueError, match=r"row: 'six' names no layer that runs; .* one, five, ag"):
        ledger.row("six")


def test_names_that_would_be_alike_are_written_out():
    parts = {name: nn.Sequential() for name in ("left", "right")}
    for part in parts.values():
        part.add_module("conv", nn.Conv2d(1, 1, 1))
    model = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    ledger = summary(model, (1, 3, 3))
    assert [row.name for row in ledger.rows] == ["left.conv", "right.conv"]
    with pytest.raises(ValueError, match=r"'conv' is the end of several names; .*left.conv, right"):
        ledger.row("conv")


def test_the_table_as_text():
    assert repr(summary(small(), (1, 32, 32)).condensed()) == (
        """\
Sequential on an image of 1 x 32 x 32
layer  kind       output       parameters  activations     MACs  field (px)  stride (px)
0      Conv2d     6 x 28 x 28         156        4,704  117,600           5            1
2      MaxPool2d  6 x 14 x 14           0        1,176        0           6            2
4      Linear     10               11,770           10   11,760          32            -
total  3 layers   -                11,926        5,890  129,360          32            -"""
    )


def test_the_table_in_html_is_accessible():
    html = summary(nn.Sequential(nn.Conv2d(1, 1, (3, 1))), (1, 5, 5))._repr_html_()
    assert "<caption>Sequential on an image of 1 x 5 x 5</caption>" in html
    assert not re.search(r"<t[hd][^>]*></t[hd]>", html)
    assert html.count('<th scope="col">') == 8
    assert html.count('<th scope="row">') == 2
    assert "<td>3 x 1</td>" in html
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    model.name = "<b>"
    assert "&lt;b&gt; on" in summary(model, (1, 5, 5))._repr_html_()


def test_a_model_without_layers():
    ledger = summary(nn.Sequential(), (1, 2, 2))
    assert isinstance(ledger, Summary)
    assert (ledger.rows, ledger.parameters, ledger.receptive_field) == ((), 0, None)
    assert repr(ledger).endswith("-")


def test_nothing_is_computed_and_nothing_changes():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    summary(model, (1, 8, 8))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(state, torch.get_rng_state())


def test_any_precision_and_no_device():
    for dtype in (torch.float64, torch.bfloat16):
        assert summary(small().to(dtype), (1, 32, 32)).parameters == 11_926
    with torch.device("meta"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(100, 10**12))
    assert summary(model, (1, 10, 10)).weights == 10**14


@pytest.mark.parametrize(
    "model, shape, error, message",
    [
        (small, (1, 32, 32), TypeError, r"`model` is a function, expected a torch.nn.Module; call"),
        (small(), (2, 1, 32, 32), TypeError, r"`input_shape` is \(2, 1, 32, 32\), .* without a ba"),
        (small(), (1, 32.0, 32), TypeError, r"`input_shape` is \(1, 32.0, 32\)"),
        (small(), (2, 32, 32), ValueError, r"conv2d: `weight` .* with C = 2 as in `x`"),
    ],
)
def test_says_what_is_wrong(model, shape, error, message):
    with pytest.raises(error, match=message):
        summary(model, shape)


def test_an_error_names_the_layer():
    with pytest.raises(ValueError, match="linear: `weight` has shape") as caught:
        summary(small(), (1, 30, 30))
    assert caught.value.__notes__ == ["in layer 4 (Linear) of Sequential"]
