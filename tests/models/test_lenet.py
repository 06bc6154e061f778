"""LeNet-5: the paper's counts, its table, its squashing and its loss, against other ways."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_lib.models import gradient_support, receptive_window, summary
from course_lib.models.lenet import (
    BITMAPS,
    RBF,
    TABLE_I,
    Squash,
    Subsampling,
    TableConv2d,
    digit_codes,
    lenet5,
    rbf_loss,
)

PRINTED = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""  # Table I of the paper: rows are the maps of S2, columns those of C3


def double(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def counts(model):
    parts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    return {name: count for name, count in parts.items() if count}


def test_the_parameters_are_those_of_the_paper():
    found = counts(lenet5())
    paper = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}
    assert found == paper
    assert sum(found.values()) == 60_000


def test_the_modern_reading():
    found = counts(lenet5(c3="dense", subsampling="average", output="linear"))
    assert found == {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "output": 850}
    assert sum(found.values()) == 61_706


def test_the_table_is_the_printed_one():
    printed = PRINTED.split()
    assert TABLE_I[0] == (0, 1, 2)
    assert [set(row) for row in TABLE_I] == [
        {c for c in range(6) if printed[c][f] == "X"} for f in range(16)
    ]
    assert [len(row) for row in TABLE_I] == 6 * [3] + 9 * [4] + [6]
    assert all(sum(c in row for row in TABLE_I) == 10 for c in range(6)), "each map is read by ten"


def test_shapes_on_the_way():
    sizes, x = {}, torch.zeros(2, 1, 32, 32)
    for name, part in lenet5().named_children():
        x = part(x)
        sizes[name] = tuple(x.shape)
    assert [sizes[name] for name in ("c1", "s2", "c3", "s4", "c5", "f6", "output")] == [
        (2, 6, 28, 28),
        (2, 6, 14, 14),
        (2, 16, 10, 10),
        (2, 16, 5, 5),
        (2, 120, 1, 1),
        (2, 84),
        (2, 10),
    ]


@pytest.mark.parametrize(
    "name, pixels, stride",
    [("c1", 5, 1), ("s2", 6, 2), ("c3", 14, 2), ("s4", 16, 4), ("c5", 32, 4)],
)
def test_receptive_fields(name, pixels, stride):
    """The pixels with a gradient are a square, and the next unit's square is a stride further."""
    model, image = lenet5(), torch.rand(1, 1, 32, 32, requires_grad=True)
    names = [part for part, _ in model.named_children()]
    maps = model[: names.index(name) + 1](image)
    corners = []
    for column in range(min(2, maps.shape[3])):
        (seen,) = torch.autograd.grad(maps[0, :, 0, column].sum(), image, retain_graph=True)
        rows, columns = np.nonzero(seen[0, 0].numpy())
        corners.append(columns.min())
        assert (rows.min(), rows.max()) == (0, pixels - 1)
        assert columns.max() - columns.min() == pixels - 1
    assert np.diff(corners).tolist() in ([stride], [])
    row = summary(model, (1, 32, 32)).row(name)
    assert (row.receptive_field, row.stride) == (pixels, stride)


@pytest.mark.parametrize("options", [{}, {"c3": "dense", "subsampling": "average"}])
def test_the_gradient_reaches_what_the_arithmetic_says(options):
    model = lenet5(**options)
    for name in ("c1", "s2", "c3", "s4", "c5", "f6"):
        seen = gradient_support(model, name, model.input_shape)
        assert seen == receptive_window(model, name, model.input_shape), name


def test_images_of_another_size_are_refused():
    with pytest.raises(
        ValueError, match=r"lenet5: `x` has shape \(1, 1, 28, 28\), expected \(N, 1, 32, 32\)"
    ):
        lenet5()(torch.zeros(1, 1, 28, 28))
    assert lenet5()[1:3](torch.zeros(1, 6, 28, 28)).shape == (1, 6, 14, 14), "a part takes maps"


@pytest.mark.parametrize("option, value", [("c3", "full"), ("subsampling", "max"), ("output", 10)])
def test_an_unknown_option_is_named(option, value):
    with pytest.raises(ValueError, match=rf"lenet5: `{option}` is {value!r}, expected '\w+' or"):
        lenet5(**{option: value})


def test_weights_begin_within_the_bound_of_the_paper():
    for model in (lenet5(), lenet5(c3="dense", output="linear")):
        for name, inputs in [("c1", 25), ("c5", 400), ("f6", 120)]:
            weight = getattr(model, name).weight.detach()
            assert 0.9 * 2.4 / inputs < weight.abs().max() <= 2.4 / inputs
        biases = [part.bias for part in model if hasattr(part, "bias")]
        assert not any(bias.any() for bias in biases)
    first, again = (lenet5(rng=torch.Generator().manual_seed(5)).c5.weight for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, lenet5().c5.weight)
    largest = lenet5().c3.weight.detach().abs().amax(dim=(1, 2))
    for kernels, maps in [(largest[:18], 3), (largest[18:54], 4), (largest[54:], 6)]:
        assert 0.9 * 2.4 / (25 * maps) < kernels.max() <= 2.4 / (25 * maps)


def test_squash_keeps_the_two_values_of_the_patterns():
    x = torch.tensor([-1.0, 0.0, 1.0, 50.0], dtype=torch.float64)
    expected = [-1, 0, 1, 1.7159]
    np.testing.assert_allclose(Squash()(x), expected, atol=2e-5)
    slope = torch.autograd.functional.jacobian(Squash(), torch.zeros(1, dtype=torch.float64))
    assert slope.item() == pytest.approx(1.7159 * 2 / 3)


def test_subsampling_by_hand():
    layer = Subsampling(2, 2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([0.5, -1.0]))
        layer.bias.copy_(torch.tensor([1.0, 3.0]))
    x = torch.arange(16.0).reshape(1, 2, 2, 4)
    y = layer(x)
    assert y.tolist() == [[[[0.5 * 10 + 1, 0.5 * 18 + 1]], [[-42 + 3, -50 + 3]]]]


def test_subsampling_refuses_other_maps():
    layer = Subsampling(2, 2)
    with pytest.raises(ValueError, match=r"Subsampling: `coefficient` has shape \(2,\).*C = 3"):
        layer(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="Subsampling: `kernel_size` is 0, expected at least 1"):
        Subsampling(2, 0)


def test_table_conv_by_hand():
    layer = TableConv2d([(0, 2), (1,)], 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, 3.0, 5.0])[:, None, None])
        layer.bias.copy_(torch.tensor([100.0, 0.0]))
    x = torch.tensor([1.0, 10.0, 7.0]).reshape(1, 3, 1, 1)
    assert layer(x).flatten().tolist() == [2 * 1 + 3 * 7 + 100, 5 * 10]


def test_table_conv_is_a_sum_of_convolutions_of_the_maps_listed():
    layer = TableConv2d(TABLE_I, 5, dtype=torch.float64)
    x = double(2, 6, 14, 14).requires_grad_()
    expected, kernels = [], iter(layer.weight)
    for row, bias in zip(TABLE_I, layer.bias, strict=True):
        terms = [functional.conv2d(x[:, c : c + 1], next(kernels)[None, None]) for c in row]
        expected.append(sum(terms) + bias)
    expected = torch.cat(expected, dim=1)
    y, dy = layer(x), double(2, 16, 10, 10, seed=1)
    np.testing.assert_allclose(y.detach(), expected.detach(), rtol=1e-10, atol=1e-12)
    for got, due in zip(
        torch.autograd.grad(y, [x, *layer.parameters()], dy),
        torch.autograd.grad(expected, [x, *layer.parameters()], dy),
        strict=True,
    ):
        np.testing.assert_allclose(got, due, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("row", [(), (1, 1)])
def test_a_table_with_an_odd_row_is_refused(row):
    with pytest.raises(ValueError, match=r"TableConv2d: row 1 of `table` is .*different maps"):
        TableConv2d([(0, 1), row], 3)


def test_codes_are_pictures_of_twelve_by_seven():
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(codes.flatten().tolist()) == {-1, 1}
    for picture, code in zip(BITMAPS, codes, strict=True):
        assert [len(row) for row in picture.split("|")] == 12 * [7]
        rows = code.reshape(12, 7).tolist()
        assert "|".join("".join(".#"[v > 0] for v in row) for row in rows) == picture
    apart = ((codes[:, None] - codes) ** 2).sum(dim=2) + 1000 * torch.eye(10)
    assert apart.min() == 40, "the 0 and the 8 differ in ten dots, each of which counts 4"


def test_rbf_by_hand():
    layer = RBF(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    assert layer(torch.tensor([[1.0, 2.0]])).tolist() == [[-9, -1]]
    assert not list(layer.parameters())
    assert "codes" in layer.state_dict()
    with pytest.raises(ValueError, match=r"RBF: `codes` has shape .*D = 3 as in `x`"):
        layer(torch.zeros(1, 3))


@pytest.mark.parametrize("rubbish", [0.5, 20.0, 300.0])
def test_loss_is_equation_nine(rubbish):
    distances = double(5, 3).abs() * 10
    labels = torch.tensor([2, 0, 1, 1, 0])
    y = distances.numpy()
    expected = y[np.arange(5), labels] + np.log(np.exp(-rubbish) + np.exp(-y).sum(axis=1))
    loss = rbf_loss(-distances, labels, rubbish=rubbish)
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-10)
    assert loss > 0


def test_the_loss_pushes_wrong_classes_no_further_than_the_rubbish():
    scores = torch.tensor([[-1.0, -30.0, -2.0]], dtype=torch.float64, requires_grad=True)
    (pull,) = torch.autograd.grad(rbf_loss(scores, torch.tensor([0]), rubbish=5), scores)
    assert pull[0, 0] < 0 < pull[0, 2]
    assert abs(pull[0, 1]) < 1e-10
    assert pull.sum() < -0.01, "the rubbish is pushed too"


def test_loss_refuses():
    scores, labels = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="rbf_loss: `rubbish` is -1, expected a positive"):
        rbf_loss(scores, labels, rubbish=-1)
    with pytest.raises(ValueError, match=r"rbf_loss: `labels` has shape \(3,\).*N = 2"):
        rbf_loss(scores, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"rbf_loss: `labels` go from 0 to 3, expected 0 \.\. 2"):
        rbf_loss(scores, torch.tensor([0, 3]))


def test_it_learns_to_tell_two_pictures_apart():
    images = torch.zeros(2, 1, 32, 32)
    images[0, :, 8:24, 14:18] = 1
    images[1, :, 14:18, 8:24] = 1
    labels = torch.tensor([1, 4])
    model = lenet5()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(15):
        optimizer.zero_grad()
        rbf_loss(model(images), labels).backward()
        optimizer.step()
    assert model(images).argmax(dim=1).tolist() == [1, 4]
