import pytest
import torch

from course_lib.models import (
    box_regressor,
    overfeat_accurate,
    overfeat_fast,
    overfeat_small,
    summary,
)

# Sermanet et al. (2014), tables 1 and 3: maps, and the spatial size at which each layer works
FAST = {"conv1": (96, 56), "pool1": (96, 28), "conv2": (256, 24), "pool2": (256, 12)}
FAST |= {"conv3": (512, 12), "conv4": (1024, 12), "conv5": (1024, 12), "pool5": (1024, 6)}
ACCURATE = {"conv1": (96, 108), "pool1": (96, 36), "conv2": (256, 30), "pool2": (256, 15)}
ACCURATE |= {"conv3": (512, 15), "conv4": (512, 15), "conv5": (1024, 15), "conv6": (1024, 15)}
ACCURATE |= {"pool5": (1024, 5)}


@pytest.mark.parametrize(
    "make, maps, units, parameters, connections",
    [
        (overfeat_fast, FAST, [3072, 4096, 1000], 145_920_872, 2_801_403_904),
        (overfeat_accurate, ACCURATE, [4096, 4096, 1000], 144_656_488, 5_355_446_784),
    ],
)
def test_the_nets_of_the_paper(make, maps, units, parameters, connections):
    model = make(device="meta")
    table = summary(model, model.input_shape)
    for name, (C, size) in maps.items():
        assert table.row(name).output_shape == (C, size, size)
    assert [row.output_shape[0] for row in table.rows if row.kind == "Linear"] == units
    assert table.parameters == parameters
    assert table.macs == connections


def test_table_4_to_what_it_can_be_verified():
    """145 and 144 million parameters are right; the connections are 0.3 % more than we count."""
    for make, millions, connections in (
        (overfeat_fast, 145, 2_810e6),
        (overfeat_accurate, 144, 5_369e6),
    ):
        model = make(device="meta")
        table = summary(model, model.input_shape)
        assert table.parameters // 1_000_000 == millions
        assert 0.99 < table.macs / connections < 1


def test_the_order_of_the_parts():
    names = [row.name for row in summary(overfeat_small(), (1, 30, 30)).rows]
    assert names == [
        *("conv1", "norm1", "relu1", "conv2", "norm2", "relu2", "conv3", "norm3", "relu3"),
        *("pool5", "flatten", "fc6", "relu6", "dropout6", "fc7"),
    ]
    assert list(dict(overfeat_small().named_children())) == ["features", "pool5", "classifier"]


@pytest.mark.parametrize("window", [18, 24, 30, 48])
def test_small_uses_its_window_up(window):
    model = overfeat_small(window=window)
    assert model(torch.zeros(2, 1, window, window)).shape == (2, 10)
    maps = model.features(torch.zeros(1, 1, window, window))
    assert maps.shape[2] == 3 * model.pooled(torch.zeros(1, 1, window, window)).shape[2]
    field = summary(model, (1, window, window)).rows[-1].receptive_field
    assert field == window


def test_wrong_windows():
    for window in (12, 31, 30.0):
        with pytest.raises(ValueError, match=r"`window` is .*, expected 18, 24, 30"):
            overfeat_small(window=window)
    with pytest.raises(ValueError, match=r"OverFeat, small.fc6: got 32 maps of 4 x 4 from pool5"):
        overfeat_small()(torch.zeros(1, 1, 36, 36))
    with pytest.raises(ValueError, match=r"OverFeat, small.pool5: got maps of 2 x 2"):
        overfeat_small()(torch.zeros(1, 1, 16, 16))


@pytest.mark.parametrize("classes, boxes", [(1, 4), (1000, 4000)])
def test_the_box_regressor(classes, boxes):
    """4096 and 1024 units (section 4.1) on the 5 x 5 pooled maps."""
    model = overfeat_accurate(device="meta")
    regressor = box_regressor(model, classes, device="meta")
    count = (25_600 + 1) * 4096 + (4096 + 1) * 1024 + (1024 + 1) * boxes
    assert sum(p.numel() for p in regressor.parameters()) == count
    pooled = model.pooled(torch.zeros(2, 3, 221, 221, device="meta"))
    assert regressor(pooled).shape == (2, boxes)


def test_seeds():
    makes = overfeat_small, lambda **options: box_regressor(overfeat_small(), **options)
    for make in makes:
        a, b, c = make(), make(), make(rng=torch.Generator().manual_seed(1))
        first, again, other = (torch.cat([p.flatten() for p in m.parameters()]) for m in (a, b, c))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
