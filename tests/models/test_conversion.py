"""A classifier as convolutions: window by window, and against crops."""

import pytest
import torch
from torch import nn

from course_lib import models, torch_layers
from course_lib.models import fully_convolutional, summary
from course_lib.models.conversion import Costs

UNPADDED = {
    "lenet5": models.lenet5,
    "lenet5, modern": lambda: models.lenet5(
        c3="dense", subsampling="average", output="linear", rng=torch.Generator().manual_seed(1)
    ),
    "overfeat_small": models.overfeat_small,
    "overfeat_small, 42": lambda: models.overfeat_small(3, window=42, in_channels=2),
}
PADDED = {
    "alexnet_small": models.alexnet_small,
    "alexnet_small, groups": lambda: models.alexnet_small(groups=4, activation="tanh"),
    "zfnet_small": models.zfnet_small,
    "vgg_small": models.vgg_small,
    "googlenet_small": lambda: models.googlenet_small(auxiliary=True),
    "googlenet_small, fc": lambda: models.googlenet_small(head="fc"),
    "resnet_cifar": lambda: models.resnet_cifar(1, shortcut="B"),
    "plain_cifar": lambda: models.plain_cifar(1, in_channels=1),
}
EVERY = UNPADDED | PADDED


def made(make):
    return make().double().eval()


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def crop_by_crop(model, dense, x):
    """What the model answers to every window of one image, ``(K, h, w)``; the slow way."""
    scores = []
    for x1, y1, x2, y2 in dense.windows(x.shape[2:]).int().tolist():
        scores.append(model(x[:, :, y1:y2, x1:x2])[0])
    return torch.stack(scores, 1).reshape(-1, *dense.cells(x.shape[2:]))


@pytest.mark.parametrize("name", EVERY)
def test_a_window_itself(name):
    model = made(EVERY[name])
    dense = fully_convolutional(model)
    x = noise(3, *dense.input_shape)
    with torch.no_grad():
        expected, got = model(x), dense(x)
    assert got.shape == (*expected.shape, 1, 1)
    torch.testing.assert_close(got[..., 0, 0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", UNPADDED)
def test_dense_is_crop_by_crop_without_padding(name):
    model = made(UNPADDED[name])
    dense = fully_convolutional(model)
    C, H, W = dense.input_shape
    x = noise(1, C, H + 14, W + 21)  # not a whole number of strides: the rest is not looked at
    with torch.no_grad():
        expected, got = crop_by_crop(model, dense, x), dense(x)[0]
    assert min(got.shape[1:]) > 2
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PADDED)
def test_padding_is_what_sets_dense_and_crops_apart(name):
    """Cut with enough of the image around it, a window scores as in the whole image."""
    model = made(PADDED[name])
    dense = fully_convolutional(model)
    (C, H, W), step = dense.input_shape, dense.stride[0]
    sees = summary(dense, dense.input_shape).rows[-1].receptive_field
    around = -(-sees // step) * step  # pixels, a whole number of windows
    x = noise(1, C, H + 2 * around + 2 * step, W + 2 * around + 2 * step)
    i = around // step + 1
    start = i * step - around
    wide = slice(start, start + H + 2 * around)
    narrow = slice(i * step, i * step + H)
    with torch.no_grad():
        there = dense(x)[0, :, i, i]
        with_surroundings = dense(x[:, :, wide, wide])[0, :, around // step, around // step]
        among_zeros = model(x[:, :, narrow, narrow])[0]
    torch.testing.assert_close(there, with_surroundings, rtol=1e-10, atol=1e-12)
    assert (there - among_zeros).abs().max() > 1e-3 * there.abs().max()


@pytest.mark.parametrize("name, size", [("alexnet_small", 97), ("vgg_small", 60)])
def test_without_its_padding_a_net_is_dense_exactly(name, size):
    """The same weights, on windows so large that the head gets its maps without any padding."""
    model = made(PADDED[name])
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding = (0, 0)
    dense = fully_convolutional(model, size)
    x = noise(1, 1, size + 18, size + 33)
    with torch.no_grad():
        expected, got = crop_by_crop(model, dense, x), dense(x)[0]
    assert got.shape[2] >= 3
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_windows_that_are_not_square():
    features = {"conv": nn.Conv2d(2, 3, 3, stride=(1, 2)), "relu": nn.ReLU()}
    head = {"flatten": nn.Flatten(), "fc": nn.Linear(3 * 4 * 6, 5)}
    model = nn.Sequential()
    for name, layer in (features | head).items():
        model.add_module(name, layer)
    model = model.double()
    dense = fully_convolutional(model, (6, 13))
    assert dense.fc.kernel_size == (4, 6)
    assert (dense.window, dense.stride) == ((6, 13), (1, 2))
    x = noise(1, 2, 9, 21)
    assert dense.windows((9, 21))[6].tolist() == [2, 1, 15, 7]
    torch.testing.assert_close(dense(x)[0], crop_by_crop(model, dense, x))


def test_layers_of_the_course():
    rng = torch.Generator().manual_seed(0)
    layers = torch_layers.Conv2d(1, 4, 3, rng=rng), torch_layers.ReLU()
    fc = torch_layers.Linear(4 * 4 * 4, 3, rng=rng)
    model = nn.Sequential(*layers, torch_layers.Flatten(), fc)
    dense = fully_convolutional(model, 6)
    x = noise(1, 1, 8, 9).float()
    torch.testing.assert_close(dense(x)[0], crop_by_crop(model, dense, x))


def test_normalization_behind_the_flat_layer():
    layers = nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6), nn.ReLU()
    model = nn.Sequential(*layers, nn.Linear(6, 2)).double()
    for _ in range(3):
        model(3 + noise(8, 1, 6, 6))
    model.eval()
    dense = fully_convolutional(model, 6)
    x = noise(1, 1, 8, 9)
    torch.testing.assert_close(dense(x)[0], crop_by_crop(model, dense, x))


def test_a_mean_takes_other_windows():
    model = made(PADDED["googlenet_small"])
    dense = fully_convolutional(model, (40, 24))
    x = noise(2, 1, 40, 24)
    torch.testing.assert_close(dense(x)[..., 0, 0], model(x), rtol=1e-10, atol=1e-12)
    assert dense.cells((48, 24)) == (3, 1)


@pytest.mark.parametrize(
    "make, size, cells, stride",
    [
        (models.alexnet, 291, (3, 3), 32),
        (models.zfnet, 288, (3, 3), 32),
        (models.vgg16, 288, (3, 3), 32),
        (models.googlenet, 288, (3, 3), 32),
        (models.overfeat_fast, 263, (2, 2), 32),
        (models.overfeat_accurate, 257, (2, 2), 36),
    ],
)
def test_the_large_nets(make, size, cells, stride):
    """Shapes alone: 221 pixels are one window of the accurate net, 257 are 2 x 2 (section 3.5)."""
    model = make(device="meta")
    dense = fully_convolutional(model)
    assert dense.cells(dense.window) == (1, 1)
    assert dense.cells(size) == cells
    assert dense.stride == (stride, stride)
    C, H, W = dense.input_shape
    assert summary(dense, (C, H, W)).macs == summary(model.eval(), (C, H, W)).macs


def test_resnets_on_photographs():
    with torch.device("meta"):
        model = models.resnet50(rng=torch.Generator("cpu"))
    dense = fully_convolutional(model)
    assert dense.cells((256, 320)) == (2, 4)
    assert dense.stride == (32, 32)


def test_the_pretrained_net():
    model = models.efficientnet_lite0()
    dense = fully_convolutional(model, 64)
    x = noise(1, 3, 64, 64).float()
    with torch.no_grad():
        torch.testing.assert_close(dense(x)[..., 0, 0], model(x), rtol=1e-4, atol=1e-4)
    assert not dense.training
    assert dense.cells((96, 64)) == (2, 1)


def test_costs():
    """By hand: a net of one convolution, 2 x 2 on 4 x 4 pixels, and one full connection."""
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(18, 3))
    costs = fully_convolutional(model, 4).costs((5, 6))
    window = 9 * 2 * 4 + 18 * 3
    assert costs == Costs(windows=6, dense=20 * 2 * 4 + 6 * 18 * 3, crops=6 * window)
    assert costs.ratio == pytest.approx(756 / 484)


def test_costs_of_lenet_count_its_distances_in_every_cell():
    costs = fully_convolutional(models.lenet5()).costs((36, 32))
    assert costs.windows == 2
    assert costs.crops == 2 * summary(models.lenet5(), (1, 32, 32)).macs


def test_the_copy_is_its_own_and_in_the_mode_of_the_model():
    model = models.vgg_small()
    before = torch.get_rng_state()
    dense = fully_convolutional(model)
    assert torch.equal(before, torch.get_rng_state())
    assert dense.training
    assert model.training
    with torch.no_grad():
        for weight in dense.parameters():
            weight.zero_()
    assert all(layer.weight.any() for layer in model.modules() if isinstance(layer, nn.Linear))


def test_what_is_no_classifier():
    with pytest.raises(TypeError, match=r"`model` is a function, expected a torch.nn.Module; call"):
        fully_convolutional(models.lenet5)
    with pytest.raises(ValueError, match=r"FCN has the parts features, head, .* expected a body"):
        fully_convolutional(models.fcn_small())
    with pytest.raises(ValueError, match="has no fully connected layer and no global mean"):
        fully_convolutional(nn.Sequential(nn.Conv2d(1, 2, 3)), 8)
    with pytest.raises(ValueError, match="does not say for which images it was made; give the"):
        fully_convolutional(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with pytest.raises(ValueError, match="hides a Flatten inside its part 0"):
        fully_convolutional(nn.Sequential(Odd(), nn.Linear(4, 2)), 2)


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten, self.conv = nn.Flatten(), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.flatten(self.conv(x))


def test_a_head_that_is_no_row_of_such_layers():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    with pytest.raises(ValueError, match=r"takes means of 2 x 2 parts of a map, expected one mean"):
        fully_convolutional(model, 4)


def test_images_that_do_not_fit():
    dense = fully_convolutional(models.lenet5())
    with pytest.raises(ValueError, match="the images are 32 x 31, expected at least the window"):
        dense(torch.zeros(1, 1, 32, 31))
    with pytest.raises(ValueError, match=r"expected \(N, 1, H, W\)"):
        dense(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="got 32 maps of 5 x 5 from pool3, 800 values, expected"):
        fully_convolutional(models.vgg_small(), 40)
