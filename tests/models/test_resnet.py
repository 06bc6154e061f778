"""Residual networks: counts of the paper, torchvision's networks, and what a block computes."""

import pytest
import torch
import torchvision
from torch import nn

from course_lib import models
from course_lib.models import resnet

PARAMETERS = {  # counted independently; the paper prints 0.27, 0.46, 0.66, 0.85 and 1.7 million
    3: 269_722,
    5: 464_154,
    7: 658_586,
    9: 853_018,
    18: 1_727_962,
}
IMAGENET = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
IMAGENET |= {"resnet101": 44_549_160, "resnet152": 60_192_808}


def count(model):
    return sum(p.numel() for p in model.parameters())


def meta(make, *args, **options):
    with torch.device("meta"):
        return make(*args, **options)


def weighted(model):
    """Number of layers with weights on the longest way: what the paper counts as depth."""
    return sum(
        isinstance(layer, nn.Conv2d | nn.Linear)
        for name, layer in model.named_modules()
        if "shortcut" not in name
    )


@pytest.mark.parametrize("n", PARAMETERS)
def test_cifar_counts(n):
    residual, plain = (meta(make, n) for make in (models.resnet_cifar, models.plain_cifar))
    assert count(residual) == count(plain) == PARAMETERS[n], "shortcuts A have no weights"
    assert weighted(residual) == weighted(plain) == 6 * n + 2


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_counts(name):
    ours, theirs = (meta(getattr(m, name)) for m in (models, torchvision.models))
    assert count(ours) == count(theirs) == IMAGENET[name]
    assert weighted(ours) == int(name.removeprefix("resnet"))
    shapes = [sorted(tuple(p.shape) for p in m.state_dict().values()) for m in (ours, theirs)]
    assert shapes[0] == shapes[1]


OPERATIONS = {
    "resnet18": 1.8,
    "resnet34": 3.6,
    "resnet50": 3.8,
    "resnet101": 7.6,
    "resnet152": 11.3,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_those_of_table_1(name):
    """The paper cuts or rounds to one digit."""
    macs = models.summary(meta(getattr(models, name)), (3, 224, 224)).macs
    assert 0 <= macs / 1e9 - OPERATIONS[name] + 0.05 < 0.15


def test_the_stride_in_the_3x3_costs_6_percent_more():
    paper = meta(models.resnet50)
    later = meta(models.resnet50)
    for block in later.blocks().values():
        block.body.conv1.stride, block.body.conv2.stride = (1, 1), block.body.conv1.stride
    costs = [models.summary(model, (3, 224, 224)).macs for model in (paper, later)]
    assert costs[1] / costs[0] == pytest.approx(1.06, abs=0.005)


def test_plain_networks_of_table_2():
    for name, depth in (("plain18", 18), ("plain34", 34)):
        plain = meta(getattr(models, name))
        residual = meta(getattr(models, f"resnet{depth}"), shortcut="A")
        assert weighted(plain) == depth
        assert count(plain) == count(residual)


def copied(ours, theirs):
    """Give our network torchvision's weights; both list their tensors in order of use."""
    state, given = ours.state_dict(), theirs.state_dict()
    in_order = sorted(given, key=lambda name: ("downsample" in name, name.startswith("fc")))
    rest, side = ([n for n in in_order if ("downsample" in n) == is_side] for is_side in (0, 1))
    names = {"body": iter(rest), "side": iter(side)}
    for name in state:
        state[name] = given[next(names["side" if "shortcut" in name else "body"])]
    ours.load_state_dict(state)
    return ours


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvision_agrees_with_its_weights(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = copied(getattr(models, name)().eval(), theirs)
    if (
        name == "resnet50"
    ):  # the paper's stride is in the first convolution, torchvision's in the second
        for block in ours.blocks().values():
            convs = block.body.conv1, block.body.conv2
            convs[0].stride, convs[1].stride = convs[1].stride, convs[0].stride
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [resnet.BasicBlock, resnet.Bottleneck])
def test_a_block_with_an_empty_body_is_its_shortcut(block):
    made = block(4 * block.expansion, 4).eval()
    nn.init.zeros_(made.body[-1].weight)
    x = torch.rand(2, 4 * block.expansion, 5, 5)
    torch.testing.assert_close(made(x), x, rtol=0, atol=0)


def test_shortcut_a_by_hand():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    y = resnet.PadShortcut(1, 3, 2)(x)
    assert y.tolist() == [[[[0, 2], [6, 8]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]]


@pytest.mark.parametrize("options", [{}, {"batch_norm": False}])
def test_zero_init_starts_as_the_shortcuts(options):
    model = models.resnet_cifar(2, in_channels=1, zero_init=True, **options).eval()
    x = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        short = model.stem(x)
        for block in model.blocks().values():
            short = torch.relu(block.shortcut(short))
        torch.testing.assert_close(model(x), model.head(short))


def test_the_identity_carries_the_gradient():
    """Behind an empty body the gradient arrives whole, whatever the number of blocks."""
    model = models.resnet_cifar(9, in_channels=1, widths=(4, 4, 4), zero_init=True).eval()
    x = torch.rand(1, 1, 8, 8)
    stem = model.stem(x).detach().requires_grad_()
    y = stem
    for block in list(model.blocks().values())[:9]:
        y = block(y)
    (gradient,) = torch.autograd.grad(y.sum(), stem)
    torch.testing.assert_close(gradient, (stem > 0).float())


def test_a_plain_network_has_no_shortcut():
    model = models.plain_cifar(1, in_channels=1)
    assert all(block.shortcut is None for block in model.blocks().values())
    assert list(model.blocks()) == ["stage1.0", "stage2.0", "stage3.0"]


def test_it_learns_and_takes_any_size():
    rng = torch.Generator().manual_seed(0)
    model = models.resnet_cifar(1, in_channels=1, widths=(8, 16, 32), rng=rng)
    x, labels = torch.rand(8, 1, 12, 12, generator=rng), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < losses[0]


@pytest.mark.parametrize(
    "make, options, message",
    [
        (models.resnet18, {"shortcut": "C"}, r"`shortcut` is 'C', expected 'A' .* or 'B'"),
        (models.resnet_cifar, {"n": 0}, "`n` is 0, expected at least 1"),
        (models.plain_cifar, {"n": 0}, "`n` is 0, expected at least 1"),
    ],
)
def test_what_cannot_be_built_is_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_images_are_checked():
    with pytest.raises(ValueError, match=r"ResNet: `x` has shape .* images of 1 channel"):
        models.resnet_cifar(1, in_channels=1)(torch.zeros(1, 3, 8, 8))
