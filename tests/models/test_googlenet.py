"""GoogLeNet: its counts, its modules by hand, its side heads, and a twin that learns."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from course_lib.models import gradient_support, receptive_window, summary
from course_lib.models.googlenet import (
    TABLE_1,
    GlobalAvgPool2d,
    Inception,
    Scores,
    Widths,
    auxiliary_cross_entropy,
    googlenet,
    googlenet_small,
)


@pytest.fixture(scope="module")
def ledger():
    return summary(googlenet(auxiliary=False, device="meta"), (3, 224, 224))


def part(ledger, name):
    return [row for row in ledger.rows if row.name.split(".")[0] == name]


@pytest.mark.parametrize("auxiliary, expected", [(False, 6_998_552), (True, 13_378_280)])
def test_parameters(auxiliary, expected):
    model = googlenet(auxiliary=auxiliary, device="meta")
    assert sum(p.numel() for p in model.parameters()) == expected


def test_operations(ledger):
    assert ledger.parameters == 6_998_552
    assert ledger.macs == 1_582_671_872


OPERATIONS = {  # table 1, "ops", in millions: all rows but conv1 and 5a, which no widths explain
    **{"3a": 128, "3b": 304, "4a": 73, "4b": 88, "4c": 100},
    **{"4d": 119, "4e": 170, "5b": 71},
}


@pytest.mark.parametrize("name, published", OPERATIONS.items())
def test_operations_are_those_of_the_table(ledger, name, published):
    macs = sum(row.macs for row in part(ledger, f"inception{name}"))
    assert abs(macs / 1e6 - published) < 1  # some are rounded, some cut


@pytest.mark.parametrize(
    "name, shape",
    [
        ("conv1", (64, 112, 112)),
        ("pool1", (64, 56, 56)),
        ("conv2", (192, 56, 56)),
        ("pool2", (192, 28, 28)),
        ("pool3", (480, 14, 14)),
        ("pool4", (832, 7, 7)),
        ("pool5", (1024,)),
        ("linear", (1000,)),
    ],
)
def test_sizes_are_those_of_the_table(ledger, name, shape):
    assert ledger.row(name).output_shape == shape


def test_the_table_gives_the_maps_of_each_module():
    made = [widths.out for widths in TABLE_1.values()]
    assert made == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_a_module_is_four_branches_side_by_side():
    rng = torch.Generator().manual_seed(1)
    module = Inception(6, Widths(2, 3, 4, 1, 5, 7))
    x = torch.randn(2, 6, 5, 8, generator=rng)
    y = module(x)
    assert y.shape == (2, 2 + 4 + 5 + 7, 5, 8)

    def conv(layer, maps):
        pad = layer.weight.shape[2] // 2
        return functional.conv2d(maps, layer.weight, layer.bias, padding=pad).clamp(min=0)

    pooled = functional.max_pool2d(x, 3, stride=1, padding=1)
    torch.testing.assert_close(y[:, :2], conv(module.one, x))
    torch.testing.assert_close(y[:, 2:6], conv(module.three, conv(module.reduce3, x)))
    torch.testing.assert_close(y[:, 6:11], conv(module.five, conv(module.reduce5, x)))
    torch.testing.assert_close(y[:, 11:], conv(module.project, pooled))


def test_the_mean_of_each_map():
    x = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert GlobalAvgPool2d()(x).tolist() == [[2.5, 8.5]]


@pytest.mark.parametrize(
    "layer, size", [("conv2", 19), ("inception3a.five", 59), ("inception4a.five", 171)]
)
def test_receptive_field(ledger, layer, size):
    model = googlenet(auxiliary=False, device="meta")
    assert ledger.row(layer).receptive_field == size
    shape = (3, 224, 224)
    assert gradient_support(model, layer, shape) == receptive_window(model, layer, shape)


def test_the_twin_sees_the_whole_digit():
    model = googlenet_small()
    shape = (1, 96, 96)
    support = gradient_support(model, "inception3c.five", shape)
    assert support == receptive_window(model, "inception3c.five", shape)
    assert support[2] - support[0] + 1 >= 32


def test_training_returns_three_scores_and_evaluation_one():
    model = googlenet_small(auxiliary=True)
    x = torch.rand(2, 1, 32, 32)
    scores = model(x)
    assert isinstance(scores, Scores)
    assert [tuple(s.shape) for s in scores] == [(2, 10)] * 3
    torch.testing.assert_close(model.eval()(x), scores.main)
    assert not isinstance(googlenet_small()(x), Scores)


def test_side_heads_of_the_whole_network():
    rng = torch.Generator().manual_seed(0)
    scores = googlenet(7, rng=rng)(torch.rand(1, 3, 224, 224, generator=rng))
    assert [tuple(s.shape) for s in scores] == [(1, 7)] * 3
    assert all(s.isfinite().all() for s in scores)


def test_the_loss_adds_the_side_heads_discounted():
    labels = torch.tensor([2, 0])
    scores = Scores(*torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)))
    losses = [functional.cross_entropy(s, labels) for s in scores]
    expected = losses[0] + 0.3 * losses[1] + 0.3 * losses[2]
    torch.testing.assert_close(auxiliary_cross_entropy(scores, labels), expected)
    torch.testing.assert_close(auxiliary_cross_entropy(scores.main, labels), losses[0])
    torch.testing.assert_close(auxiliary_cross_entropy(scores, labels, weight=0), losses[0])


@pytest.mark.parametrize("head, expected", [("gap", 22_374), ("fc", 547_430)])
def test_parameters_of_the_twin(head, expected):
    assert sum(p.numel() for p in googlenet_small(head=head).parameters()) == expected


def test_the_twin_takes_scenes_of_any_size():
    model = googlenet_small().eval()
    x = torch.rand(1, 1, 64, 48)
    assert model.features(x).shape == (1, 64, 16, 12)
    assert model(x).shape == (1, 10)


def test_the_same_generator_gives_the_same_weights():
    first, again = (googlenet_small(rng=torch.Generator().manual_seed(3)) for _ in range(2))
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.features.conv1.weight, googlenet_small().features.conv1.weight)


def test_the_twin_learns():
    rng = torch.Generator().manual_seed(0)
    model = googlenet_small(2, auxiliary=True, rng=rng)
    x = torch.zeros(32, 1, 32, 32)
    labels = torch.arange(32) % 2
    x[labels == 1, :, 8:24, 14:18] = 1
    x[labels == 0, :, 14:18, 8:24] = 1
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        auxiliary_cross_entropy(model(x), labels).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(dim=1) == labels).all()


@pytest.mark.parametrize(
    "make, x, message",
    [
        (lambda: googlenet_small(head="mean"), None, "`head` is 'mean', expected 'gap' or 'fc'"),
        (lambda: googlenet_small(head="fc"), (1, 1, 64, 64), r"64 x 64, expected 32 x 32 for its "),
        (lambda: googlenet_small(auxiliary=True), (1, 1, 36, 32), "for its side heads: resize"),
        (googlenet_small, (1, 3, 32, 32), "images of 1 channel"),
        (googlenet_small, (1, 32, 32), r"add the batch: x\[None\]"),
    ],
)
def test_refuses(make, x, message):
    with pytest.raises(ValueError, match=message):
        make()(torch.zeros(x))


def test_torchvisions_network_is_another():
    """The differences that the docstring lists."""
    from torchvision.models import googlenet as other

    model = other(weights=None, aux_logits=False, init_weights=False)
    assert sum(p.numel() for p in model.parameters()) == 6_624_904
    kinds = {type(m) for m in model.modules()}
    assert nn.BatchNorm2d in kinds
    assert nn.LocalResponseNorm not in kinds
    sizes = {m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d)}
    assert sizes == {(1, 1), (3, 3), (7, 7)}
