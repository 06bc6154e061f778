"""What holds for every model of the course: the list is that of `course_lib.models`."""

import inspect
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.models import gradient_support, receptive_window, summary

# Made for a model, or a part of one: tests/models/test_regions.py and
# test_captioner.py have the bodies of detectors and captioners.
PARTS = {
    *("box_regressor", "classifier", "digit_regions"),
    *("Captioner", "caption_body", "captioner"),
}
MAKERS = {  # whatever draws its weights from an `rng` is a model
    name: thing
    for name, thing in vars(models).items()
    if name in set(models.__all__) - PARTS and "rng" in inspect.signature(thing).parameters
}
REQUIRED = {  # by parameter, for those that cannot do without
    "n": 1,
}
SMALL = sorted(name for name in MAKERS if "small" in name or "cifar" in name or name == "lenet5")
LARGE = sorted(set(MAKERS) - set(SMALL))
BUDGET = 2e8  # multiply-accumulates up to the last layer whose gradient is asked for, if possible


def make(name, **options):
    """A model without values, if it is large, or small and in evaluation otherwise."""
    parameters = inspect.signature(MAKERS[name]).parameters
    required = {key: value for key, value in REQUIRED.items() if key in parameters}
    if name in SMALL:
        return MAKERS[name](**required, **options).eval()
    if "device" in parameters:
        return MAKERS[name](**required, **options, device="meta").eval()
    with torch.device("meta"):
        return MAKERS[name](**required, **options).eval()


def image_shape(model, name):
    default = (1, 32, 32) if name in SMALL else (3, 224, 224)
    return getattr(model, "input_shape", default)


def test_models_are_found():
    assert {"lenet5", "alexnet", "zfnet", "vgg16", "alexnet_small", "vgg_small"} <= MAKERS.keys()
    classes = {name for name, thing in MAKERS.items() if inspect.isclass(thing)}
    assert not classes, "a model is made by a function"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_layer_is_accounted_for(name):
    model = make(name).train()  # side heads run
    ledger = summary(model, image_shape(model, name))
    assert ledger.parameters == sum(p.numel() for p in model.parameters())
    unknown = [row.name for row in ledger.rows if row.receptive_field is None]
    assert not unknown, f"a function before {unknown[:1]} is unknown: make it a layer"
    assert len({row.name for row in ledger.rows}) == len(ledger.rows)
    unnamed = [row.name for row in ledger.rows if row.name.isdigit()]
    assert not unnamed, "name the parts, by nn.Sequential(OrderedDict(...))"


def probes(ledger):
    """Three maps, the last of them within the budget; the first two where it does not reach."""
    spent, maps = 0, []
    for row in ledger.rows:
        spent += row.macs
        if spent > BUDGET and len(maps) > 1:
            break
        if len(row.output_shape) == 3:
            maps.append(row.path)
    last = len(maps) - 1
    return [maps[last // 3], maps[2 * last // 3], maps[last]]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_the_gradient_sees_what_the_arithmetic_says(name):
    model = make(name)
    shape = image_shape(model, name)
    for layer in dict.fromkeys(probes(summary(model, shape))):
        assert gradient_support(model, layer, shape) == receptive_window(model, layer, shape), layer


@pytest.mark.parametrize("name", SMALL)
def test_learns_a_batch_by_heart(name):
    """Forward and backward: every parameter gets a gradient, and a few steps lower the loss."""
    model = make(name)
    shape = image_shape(model, name)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(8, *shape, generator=rng)
    with torch.no_grad():
        y = model(x)
    labels = torch.randint(y.shape[1], (8, *y.shape[2:]), generator=rng)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(4):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not [n for n in without if "auxiliary" not in n]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", SMALL)
def test_weights_come_from_the_generator_alone(name):
    first = make(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = make(name)
    other = make(name, rng=torch.Generator().manual_seed(7))
    pairs = list(zip(first.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q in pairs)
    assert not all(
        torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"lenet5"}))
def test_num_classes(name):
    model = make(name, num_classes=7)
    last = summary(model, image_shape(model, name)).rows[-1]
    assert last.output_shape[0] == 7


ACCELERATORS = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
DEVICES = ["cpu", *(name for name, available in ACCELERATORS.items() if available())]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", SMALL)
def test_moves_to_any_device(name, device):
    model = make(name)
    shape = image_shape(model, name)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x)
        got = model.to(device)(x.to(device)).cpu()
    torch.testing.assert_close(got, expected, rtol=1e-2, atol=1e-2)
    assert gradient_support(model, summary(model, shape).rows[0].path, shape)


def test_models_bring_torch_alone():
    code = "import course_lib.models, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" in done.stdout.split()
    assert not {"torchvision", "matplotlib", "sklearn", "scipy"} & set(done.stdout.split())
