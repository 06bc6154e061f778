import pytest
import torch
from torch import nn

from course_lib.models import classifier, digit_regions, resnet_regions, summary, vgg16_regions
from course_lib.models.regions import built
from course_lib.torch_layers import roi_pool

BODIES = {
    "digits": digit_regions,
    "VGG-16": vgg16_regions,
    "ResNet-18": lambda: resnet_regions(18),
    "ResNet-50": lambda: resnet_regions(50),
}


@pytest.fixture(scope="module")
def bodies():
    return {name: build().eval() for name, build in BODIES.items()}


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_what_it_says(bodies, name):
    body = bodies[name]
    with torch.no_grad():
        maps = body.features(noise(1, body.input_channels, 96, 64))
        assert maps.shape == (1, body.channels, 96 // body.stride, 64 // body.stride)
        vectors = body.head(noise(3, body.channels, *body.output_size))
        assert vectors.shape == (3, body.width)
        window = noise(1, body.input_channels, *body.window)
        assert body(window).shape == (1, body.width)


@pytest.mark.parametrize("name", ["digits", "ResNet-18"])
def test_a_region_that_is_the_whole_window_is_classified_as_such(bodies, name):
    """RoI pooling of one region as large as the maps is the adaptive pool of the classifier."""
    body = bodies[name]
    image = noise(1, body.input_channels, *body.window)
    with torch.no_grad():
        maps = body.features(image)
        H, W = body.window
        box = torch.tensor([[0.0, 0, W - body.stride, H - body.stride]])  # cells, both ends in
        index = torch.zeros(1, dtype=torch.int64)
        pooled = roi_pool(maps, box, index, body.output_size, spatial_scale=1 / body.stride)
        torch.testing.assert_close(pooled, body.pooled(image))
        torch.testing.assert_close(body.head(pooled), body(image))


def test_vgg_is_that_of_the_paper(bodies):
    """With the pool of the window, its layers are those of torchvision's network, in order."""
    from torchvision.models import vgg16

    body, theirs = bodies["VGG-16"], built(vgg16, None).eval()
    assert sum(p.numel() for p in body.parameters()) == 138_357_544 - 4097 * 1000
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    image = noise(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.classifier[:-1](theirs.features((image - mean) / std).flatten(1))
        torch.testing.assert_close(body(image), expected)


def test_resnet_is_torchvisions_up_to_its_last_layer(bodies):
    from torchvision.models import resnet50
    from torchvision.ops import FrozenBatchNorm2d

    body = bodies["ResNet-50"]
    theirs = built(resnet50, None, norm_layer=FrozenBatchNorm2d).eval()
    theirs.fc = nn.Identity()
    image = body.fill[None, :, None, None] + noise(1, 3, 224, 224) / 1000
    with torch.no_grad():
        expected = theirs((image - body.fill[:, None, None]) / body.features.stem[0].std)
        torch.testing.assert_close(body(image), expected)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in body.modules())


def test_the_colour_of_nothing_is_0_to_the_features(bodies):
    for body in bodies.values():
        image = body.fill[None, :, None, None].expand(1, -1, 8, 8)
        first = body.features[0][0]
        assert abs(first(image) if body.input_channels == 3 else image).max() < 1e-6


def test_random_weights_disturb_no_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b = resnet_regions(18), resnet_regions(18)
    assert torch.equal(torch.rand(3), expected)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q)


def test_freezing():
    body = digit_regions()
    assert body.freeze(2) is body
    learns = [all(p.requires_grad for p in part.parameters()) for part in body.features]
    assert learns == [False, False, True]
    body.train()
    assert [part.training for part in body.features] == [False, False, True]
    assert body.head.training
    body.freeze()
    assert not any(p.requires_grad for p in body.features.parameters())
    assert all(p.requires_grad for p in body.head.parameters())
    body.freeze(0).train()
    assert all(p.requires_grad for p in body.parameters())
    assert all(part.training for part in body.features)


def test_the_classifier_shares_its_body(rng):
    body = digit_regions(rng=torch.Generator().manual_seed(int(rng.integers(9))))
    model = classifier(body, 10)
    assert model.body is body
    images = torch.tensor(rng.random((4, 1, 32, 32)), dtype=torch.float32)
    scores = model(images)
    assert scores.shape == (4, 10)
    expected = body(images) @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(scores, expected)
    assert summary(model, (1, 32, 32)).macs > 0


def test_other_widths_and_colours():
    body = digit_regions(widths=(4, 6, 8), hidden=10, in_channels=3)
    assert (body.channels, body.width, body.input_channels) == (8, 10, 3)
    assert body(noise(2, 3, 32, 32)).shape == (2, 10)
    drawn = digit_regions(rng=torch.Generator().manual_seed(1))
    assert not torch.equal(drawn.head[1].weight, digit_regions().head[1].weight)
    assert torch.equal(digit_regions().head[1].weight, digit_regions().head[1].weight)


def test_wrong_arguments():
    body = digit_regions()
    with pytest.raises(ValueError, match=r"digit regions: `x` has shape \(1, 3, 32, 32\)"):
        body(noise(1, 3, 32, 32))
    with pytest.raises(TypeError, match="digit regions: `x` holds int64"):
        body(torch.zeros(1, 1, 32, 32, dtype=torch.int64))
    with pytest.raises(ValueError, match="`stages` is 4, expected 0 to 3: stage1, stage2, stage3"):
        body.freeze(4)
    with pytest.raises(ValueError, match="classifier: `num_classes` is 0, expected 1 or more"):
        classifier(body, 0)
    with pytest.raises(ValueError, match="`depth` is 20, expected 18, 34, 50, 101 or 152"):
        resnet_regions(20)


def test_weights_that_cannot_be_had():
    def vgg16(weights):
        raise OSError("no network")

    with pytest.raises(OSError, match=r"vgg16: the weights 'X' could not be had \(no network\); d"):
        built(vgg16, "X")
