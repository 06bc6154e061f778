import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from course_lib.models import fcn, summary, vgg16, vgg_small
from course_lib.models.fcn import FCN, Centres, bilinear_kernel, convolution_of, fcn_small
from course_lib.models.vgg import vgg_body

CONVOLUTIONS = 14_714_688  # of VGG-16's body
FC6, FC7 = 512 * 7 * 7 * 4096 + 4096, 4096 * 4096 + 4096
SCORE, UP = 4096 * 21 + 21, 21 * 21 * 4 * 4


@pytest.mark.parametrize(
    "make, trained, fixed",
    [
        (fcn.fcn32s, CONVOLUTIONS + FC6 + FC7 + SCORE, 21 * 64 * 64),
        (fcn.fcn16s, CONVOLUTIONS + FC6 + FC7 + SCORE + UP + 513 * 21, 21 * 32 * 32),
        (fcn.fcn8s, CONVOLUTIONS + FC6 + FC7 + SCORE + 2 * UP + (513 + 257) * 21, 21 * 16 * 16),
    ],
)
def test_parameters(make, trained, fixed):
    model = make(device="meta")
    sizes = {True: 0, False: 0}
    for parameter in model.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    assert sizes == {True: trained, False: fixed}
    table = summary(model, (3, 500, 500))
    assert table.row("fc6").output_shape == (4096, 16, 16)
    assert table.row("fc7").receptive_field == 404  # as the paper says of VGG-16
    assert table.rows[-1].stride == 1


@pytest.mark.parametrize(
    "make, shifts, margin",
    [(fcn.fcn32s, [], 19), (fcn.fcn16s, [5], 27), (fcn.fcn8s, [5, 9], 31)],
)
def test_cuts_where_the_published_nets_do(make, shifts, margin):
    model = make(device="meta")
    assert [shift for _, _, shift in model.fusions] == shifts
    assert model.margin == margin


def narrow(monkeypatch, make):
    """One of the nets on a body of two channels a layer."""
    monkeypatch.setattr(fcn, "WIDTHS", (2,) * 5)
    return make(num_classes=2, width=2)


def into_means(model):
    """Let every convolution take the mean of its windows, and every pooling too."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        if isinstance(layer, nn.MaxPool2d):
            model.set_submodule(name, nn.AvgPool2d(2, ceil_mode=True))
    return model.double().eval()


SMALL = {"in_channels": 2, "num_classes": 2, "widths": (2, 2, 2, 2)}


@pytest.mark.parametrize(
    "make, size, added",
    [
        (lambda patch: narrow(patch, fcn.fcn32s), 640, 1),
        (lambda patch: narrow(patch, fcn.fcn16s), 660, 2),
        (lambda patch: narrow(patch, fcn.fcn8s), 660, 3),
        (lambda patch: fcn_small(stride=8, **SMALL), 160, 1),
        (lambda patch: fcn_small(stride=4, **SMALL), 160, 2),
        (lambda patch: fcn_small(stride=2, **SMALL), 160, 3),
        (lambda patch: fcn_small(stride=2, skips=False, **SMALL), 160, 1),
    ],
)
def test_every_score_lies_on_its_own_pixel(monkeypatch, make, size, added):
    """Means and tents turn a ramp into the same ramp, unless a map is cut in the wrong place."""
    model = into_means(make(monkeypatch))
    ramp = torch.arange(size, dtype=torch.float64).expand(1, model.input_shape[0], size, size)
    for x in (ramp, ramp.mT):
        y = model(x if model.input_shape[0] == 2 else x.clone())
        middle = slice(size // 2 - 20, size // 2 + 20)
        expected = added * x[:, :2, middle, middle]
        np.testing.assert_allclose(y[..., middle, middle].detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (61, 50), (224, 224)])
def test_any_size(monkeypatch, size):
    for make in (fcn.fcn32s, fcn.fcn16s, fcn.fcn8s):
        assert narrow(monkeypatch, make)(torch.zeros(1, 3, *size)).shape == (1, 2, *size)
    for stride in (8, 4, 2):
        for skips in (True, False):
            model = fcn_small(stride=stride, skips=skips).eval()
            assert model(torch.zeros(2, 1, *size)).shape == (2, 11, *size)


def test_an_empty_batch():
    assert fcn_small().eval()(torch.zeros(0, 1, 64, 64)).shape == (0, 11, 64, 64)


def test_a_classifier_becomes_convolutional(rng):
    classifier = vgg_small(depth=5, dropout=0.0).double().eval()
    nn.init.uniform_(classifier.classifier.fc6.bias)
    features = vgg_body((1, 1, 1), (8, 16, 32), in_channels=1)
    model = FCN(features, {"fc6": nn.Conv2d(32, 128, 4)}, 3, (1, 32, 32), stride=8)
    model = model.double().load_classifier(classifier)
    x = torch.from_numpy(rng.normal(size=(2, 1, 32, 32)))
    expected = classifier.classifier.fc6(classifier.features(x).flatten(1))
    dense = model.head(model.features(x))
    np.testing.assert_allclose(dense.detach()[..., 0, 0], expected.detach(), rtol=1e-10)


def test_vgg16_fits_the_paper_s_net():
    fcn.fcn8s(device="meta").load_classifier(vgg16(device="meta"))


@pytest.mark.parametrize("bias", [True, False])
def test_a_full_connection_is_a_convolution_on_every_window(rng, bias):
    linear = nn.Linear(3 * 4 * 4, 5, bias=bias, dtype=torch.float64)
    layer = convolution_of(linear, 4)
    x = torch.from_numpy(rng.normal(size=(2, 3, 6, 5)))
    y = layer(x)
    assert y.shape == (2, 5, 3, 2)
    for i, j in np.ndindex(3, 2):
        window = x[:, :, i : i + 4, j : j + 4].flatten(1)
        np.testing.assert_allclose(y[..., i, j].detach(), linear(window).detach(), rtol=1e-10)
    with torch.no_grad():
        linear.weight.zero_()
    assert layer.weight.all(), "the weights are a copy"


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_tents_interpolate(rng, factor):
    x = torch.from_numpy(rng.normal(size=(1, 1, 6, 5)))
    kernel = bilinear_kernel(factor).double()[None, None]
    y = functional.conv_transpose2d(x, kernel, stride=factor)
    y = y[..., factor // 2 :, factor // 2 :][..., : 6 * factor, : 5 * factor]
    expected = functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inside = np.s_[..., factor:-factor, factor:-factor]
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-6)


def test_finer_scores_start_without_effect(rng):
    coarse = fcn_small(stride=8, rng=torch.Generator().manual_seed(1))
    coarse.features.norm1.running_mean.fill_(0.5)
    x = torch.from_numpy(rng.random((2, 1, 64, 64), dtype=np.float32))
    nets = [fcn_small(stride=2, skips=skips).load_coarser(coarse).eval() for skips in (True, False)]
    with_skips, without = (net(x).detach() for net in nets)
    np.testing.assert_array_equal(with_skips, without)
    np.testing.assert_array_equal(nets[0].features.norm1.running_mean, 0.5)
    assert not np.array_equal(with_skips, coarse.eval()(x).detach()), "two tents are not one"


def test_draws_from_its_own_generator():
    before = torch.get_rng_state()
    first, second = fcn_small(), fcn_small()
    assert torch.equal(torch.get_rng_state(), before)
    other = fcn_small(rng=torch.Generator().manual_seed(1))
    assert torch.equal(first.head.fc4.weight, second.head.fc4.weight)
    assert not torch.equal(first.head.fc4.weight, other.head.fc4.weight)
    assert first.head.fc4.weight.var().item() == pytest.approx(2 / (32 * 25), rel=0.05)
    for name, parameter in first.named_parameters():
        assert parameter.any() == (not name.startswith("score_") and "bias" not in name), name


def test_scores_on_a_trained_body_start_at_0(monkeypatch):
    model = narrow(monkeypatch, fcn.fcn16s)
    assert not any(p.any() for p in (*model.score.parameters(), *model.score_pool4.parameters()))
    assert not model(torch.ones(1, 3, 8, 8)).any()


def test_learns():
    """A bright square is one class, the rest another."""
    rng = torch.Generator().manual_seed(0)
    masks = torch.zeros(8, 64, 64, dtype=torch.long)
    for n, (r, c) in enumerate(torch.randint(0, 40, (8, 2), generator=rng)):
        masks[n, r : r + 24, c : c + 24] = 1
    images = masks[:, None].float() + 0.1 * torch.randn(8, 1, 64, 64, generator=rng)
    model = fcn_small(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(25):
        loss = functional.cross_entropy(model(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="fcn_small: `stride` is 16, expected 8, 4 or 2"):
        fcn_small(stride=16)
    with pytest.raises(ValueError, match=r"FCN: `x` has shape \(1, 64, 64\).* add the batch"):
        fcn_small()(torch.zeros(1, 64, 64))
    with pytest.raises(ValueError, match="convolution_of: 48 inputs are no whole number of planes"):
        convolution_of(nn.Linear(48, 2), 5)
    with pytest.raises(ValueError, match=r"FCN: the classifier's 15 layers .* the 4 of this net"):
        fcn_small().load_classifier(vgg16(device="meta"))
    message = "maps whose units look at pixels 0.5, 1.5, .* and 0, 1, .* cannot be added"
    with pytest.raises(ValueError, match=message):
        Centres(0.5, 1).shift(Centres(0, 1))
