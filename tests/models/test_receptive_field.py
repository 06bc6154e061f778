"""Receptive fields: by hand, by brute force on sets of pixels, and by the gradient."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from course_lib import torch_layers
from course_lib.models import gradient_support, receptive_window, summary
from course_lib.models.receptive_field import Axis, Field

STEPS = [  # (kernel, stride, padding, dilation) of a window, (kernel, stride, padding) of a spread
    *((3, 1, 1, 1), (3, 2, 1, 1), (2, 2, 0, 1), (5, 3, 2, 1), (3, 1, 2, 2), (1, 2, 0, 1)),
    *((4, 2, 1), (2, 2, 0), (3, 2, 1), (5, 3, 1)),
]


def pixels_of(steps, unit):
    """All pixels that a unit sees, walked down step by step through whole sets of units."""
    units = {unit}
    for step in reversed(steps):
        if len(step) == 4:
            k, s, p, d = step
            units = {s * o - p + d * j for o in units for j in range(k)}
        else:
            k, s, p = step
            reach = max(map(abs, units)) + k + p
            below = range(-reach, reach + 1)
            units = {i for i in below for o in units if 0 <= o + p - s * i < k}
    return units


@pytest.mark.parametrize("length", [1, 2, 4])
def test_an_axis_sees_what_a_walk_over_sets_of_pixels_finds(rng, length):
    for _ in range(10):
        steps = [STEPS[i] for i in rng.integers(len(STEPS), size=length)]
        axis = Axis()
        for step in steps:
            axis = axis.window(*step) if len(step) == 4 else axis.spread(*step)
        for unit in range(-3, 10):
            seen = pixels_of(steps, unit)
            assert axis.pixels(unit) == (min(seen), max(seen)), steps


def test_a_stack_of_windows_by_hand():
    axis = Axis().window(3, padding=1).window(2, stride=2).window(3, padding=1)
    # Unit 0 of the last sees units -1..1 below, those see -2..3, and these see -3..4.
    assert axis == Axis((-3,), (4,), 2)
    assert (axis.size, axis.stride) == (8, 2)
    assert axis.pixels(5) == (7, 14)


def test_three_small_windows_see_as_one_large():
    small = Axis().window(3, padding=1).window(3, padding=1).window(3, padding=1)
    assert small == Axis().window(7, padding=3)


def test_after_upsampling_neighbours_see_differently():
    axis = Axis().window(2, stride=2).spread(4, 2, 1)  # bilinear by 2: two units below each
    assert [axis.pixels(i) for i in range(4)] == [(-2, 1), (0, 3), (0, 3), (2, 5)]
    assert (axis.size, axis.stride) == (4, 1)
    assert axis.spread(2, 2).stride == Fraction(1, 2)


def test_branches_meet_in_what_any_of_them_sees():
    near, far = Axis().window(3), Axis().window(5, padding=3)
    assert near.union(far) == far.union(near) == Axis((-3,), (2,), 1)
    up = Axis().window(2, stride=2).spread(2, 2)  # the same pair of pixels twice
    assert up.union(Axis()) == Axis((0, 0), (1, 1), 2)


def test_rows_and_columns_are_kept_apart():
    field = Field().window((3, 1), (2, 1)).spread((2, 2), (2, 2))
    assert (field.size, field.stride) == ((3, 1), (1, Fraction(1, 2)))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Axis().spread(2, 3), "spread: a kernel of 2 with stride 3 leaves .* at least 3"),
        (lambda: Axis().union(Axis().window(2, 2)), "union: .* look 1 and 2 pixels apart; bring"),
    ],
)
def test_says_what_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def layer(kind, *arguments, **options):
    """A layer of the course, where it has one of that name that draws weights."""
    return getattr(torch_layers, kind)(*arguments, **options, rng=torch.Generator())


class TwoBranches(nn.Module):
    """A concatenation, a sum, a margin and a crop with a step, between layers."""

    def __init__(self):
        super().__init__()
        self.small, self.large = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 3, 7, padding=3)
        self.last = nn.Conv2d(5, 2, 1)

    def forward(self, x):
        both = torch.cat([self.small(x), self.large(x)], dim=1)
        wider = nn.functional.pad(both + both.relu(), (2, 0, 1, 3))
        return self.last(wider)[..., 4:, 1:-1:2]


class Mean(nn.Module):
    """The mean of every map, outside of any layer but this."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


LAYERS = {  # a layer that takes 2 channels
    "Conv2d": nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0)),
    "same": nn.Conv2d(2, 2, (4, 3), padding="same"),
    "valid": nn.Conv2d(2, 2, 3, padding="valid"),
    "dilated": nn.Conv2d(2, 2, 3, padding=2, dilation=2),
    "grouped": nn.Conv2d(2, 4, 5, padding=2, groups=2),
    "ConvTranspose2d": nn.ConvTranspose2d(2, 3, 5, stride=3, padding=1, output_padding=1),
    "MaxPool2d": nn.MaxPool2d(3, stride=2),
    "ceil_mode": nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    "AvgPool2d": nn.AvgPool2d(2),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d((5, 1)),
    "AdaptiveAvgPool2d, even": nn.AdaptiveAvgPool2d(5),
    "Upsample": nn.Upsample(scale_factor=2),
    "bilinear by 2": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear by 3": nn.Upsample(scale_factor=3, mode="bilinear"),
    "BatchNorm2d": nn.BatchNorm2d(2),
    "LocalResponseNorm": nn.LocalResponseNorm(3),
    "Dropout": nn.Dropout(),
    "ReLU": nn.ReLU(inplace=True),
    "course Conv2d": layer("Conv2d", 2, 3, (3, 5), stride=2, padding=1),
    "course ConvTranspose2d": layer("ConvTranspose2d", 2, 3, 4, stride=2, padding=1),
    "course MaxPool2d": torch_layers.MaxPool2d(3, stride=2, padding=1),
    "course AvgPool2d": torch_layers.AvgPool2d(3),
    "course BatchNorm": torch_layers.BatchNorm(2),
    "course ReLU": torch_layers.ReLU(),
    "two branches": TwoBranches(),
    "mean": Mean(),
    "Flatten": nn.Sequential(nn.Flatten(), nn.Linear(2 * 20 * 15, 3)),
    "course Flatten": nn.Sequential(torch_layers.Flatten(), layer("Linear", 2 * 20 * 15, 3)),
}


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_sees_what_the_arithmetic_says(name):
    """Each layer alone, and between others that make its pixels uneven."""
    alone = nn.Sequential(nn.Sequential(LAYERS[name]), nn.Identity())
    below = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), LAYERS[name])
    for model, shape in ((alone, (2, 20, 15)), (below, (1, 40, 30))):
        rows = summary(model, shape).rows
        got = gradient_support(model, rows[-1].path, shape)
        assert got == receptive_window(model, rows[-1].path, shape)


def test_a_central_unit_by_hand():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2))
    # The map has 4 x 3 cells; cell (2, 1) pools rows 4..5 and columns 2..3, and each sees 1 around.
    for find in (gradient_support, receptive_window):
        assert find(model, "1", (1, 8, 6)) == (3, 1, 6, 4)
        assert find(model, "0", (1, 8, 6)) == (3, 2, 5, 4)


@pytest.mark.parametrize("find", [gradient_support, receptive_window])
def test_flat_layers_see_their_whole_map(find):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.ReLU(), nn.Linear(24, 2), nn.ReLU()
    )
    for layer in "1234":  # a map of 3 x 4, whose last column of pixels no window reaches
        assert find(model, layer, (1, 8, 10)) == (0, 0, 6, 8)


def test_the_border_cuts():
    model = nn.Sequential(nn.Conv2d(1, 1, 9, padding=4))
    for find in (gradient_support, receptive_window):
        assert find(model, "0", (1, 5, 20)) == (0, 6, 4, 14)


def test_a_wrong_window_is_noticed():
    """The gradient does not follow the arithmetic's opinion of a layer."""

    class Wide(nn.Module):
        kernel_size, padding = 3, 1

        def forward(self, x):
            return nn.functional.avg_pool2d(x, 5, stride=1, padding=2)

    model = nn.Sequential(Wide())
    assert receptive_window(model, "0", (1, 20, 20)) == (9, 9, 11, 11)
    assert gradient_support(model, "0", (1, 20, 20)) == (8, 8, 12, 12)


def test_dead_units_and_maxima_hide_nothing():
    """All weights negative: without stand-ins every ReLU would be shut."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(2, 1, 2))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(-1.0)
    assert gradient_support(model, "3", (1, 30, 30)) == receptive_window(model, "3", (1, 30, 30))
    assert all((p == -1).all() for p in model.parameters())


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    gradient_support(model, "2", (1, 8, 8))
    assert [m.training for m in model.modules()] == [True, True, False, True]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(state, torch.get_rng_state())


def test_no_memory_is_needed_for_the_rest_of_the_model():
    """The second layer would have 8 TB of weights."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 10**2, 10**10))
    assert gradient_support(model, "0", (1, 12, 12)) == (5, 5, 7, 7)


class Rolled(nn.Sequential):
    """A function that moves pixels, between two layers."""

    def forward(self, x):
        return self[1](torch.roll(self[0](x), 1, 2))


class Gated(nn.Sequential):
    """A map times the means of its parts, which look elsewhere."""

    def forward(self, x):
        y = self[0](x)
        return self[1](y * nn.functional.avg_pool2d(y, 7))


class Strided(nn.Sequential):
    """A map times one of another stride, of one pixel."""

    def forward(self, x):
        y = self[0](x)
        return self[1](y * y[:, :, ::7, ::7])


@pytest.mark.parametrize("kind", [Rolled, Gated, Strided])
def test_what_follows_an_unknown_function_is_unknown(kind):
    model = kind(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3))
    rows = summary(model, (1, 9, 9)).rows
    assert [row.receptive_field for row in rows] == [3, None]
    assert rows[1].stride is None
    with pytest.raises(ValueError, match=r"receptive_window: what 1 sees is unknown.* a layer"):
        receptive_window(model, "1", (1, 9, 9))
    assert gradient_support(model, "1", (1, 9, 9)) is not None


@pytest.mark.parametrize("find", [gradient_support, receptive_window])
def test_a_layer_must_have_a_name(find):
    model = nn.Sequential(nn.Conv2d(1, 1, 3))
    message = rf"{find.__name__}: 'conv9' names no layer that runs; choose one of 0"
    with pytest.raises(ValueError, match=message):
        find(model, "conv9", (1, 9, 9))
