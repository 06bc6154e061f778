"""Networks as data: described, written as text, and run by NumPy and by the page as by PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import numpy_layers, torch_layers, web
from course_lib.data import place_digits
from course_lib.models.lenet import lenet5
from course_lib.web.network import checked, decode, described, encode, forward, softmax

RUN = """([layers, image]) => {
  const { forward, load } = courseFigures.network;
  return forward(load(layers), image).map(({ data }) => Array.from(data));
}"""
PLACE = "([image, size, move]) => Array.from(courseFigures.placed(image, size, move))"


def lenet(**options):
    """A LeNet-5 in float64 whose weights are large enough to tell its layers apart."""
    model = lenet5(**options).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def every_kind():
    """A network with all kinds of layers, strides and paddings, for 13 x 13 pixels."""
    draw = np.random.default_rng(2).standard_normal
    return [
        {"kind": "conv2d", "weight": draw((3, 1, 3, 2)), "bias": draw(3), "padding": 1},
        {"kind": "tanh", "gain": 1.7, "slope": 0.6},
        {"kind": "max_pool2d", "kernel_size": 3, "stride": 2, "padding": 1},
        {"kind": "conv2d", "weight": draw((4, 3, 2, 2)), "bias": draw(4), "stride": 2},
        {"kind": "relu"},
        {"kind": "avg_pool2d", "kernel_size": 2, "stride": 1, "padding": 1},
        {"kind": "subsample", "kernel_size": 2, "weight": draw(4), "bias": draw(4)},
        {"kind": "sigmoid"},
        {"kind": "linear", "weight": draw((5, 16)), "bias": draw(5)},
        {"kind": "rbf", "weight": draw((3, 5)), "name": "patterns"},
    ]


def coded(layers):
    return [
        {k: encode(v) if isinstance(v, np.ndarray) else v for k, v in layer.items()}
        for layer in layers
    ]


def read_back(layers):
    return [
        {k: decode(encode(v)) if isinstance(v, np.ndarray) else v for k, v in layer.items()}
        for layer in layers
    ]


@pytest.fixture
def page(show):
    """A page that has the scripts."""
    layers = [{"kind": "linear", "weight": np.eye(64), "bias": np.zeros(64)}]
    return show(web.moving_digit(layers, np.zeros((1, 8, 8)), [0], size=8, reach=1))


def test_text_by_hand():
    code = encode(np.array([-2047, 0, 1, 2047]))
    assert code == {"shape": [4], "scales": [1.0], "text": "ABgAgB//"}
    assert encode(np.zeros((2, 1)))["scales"] == [0, 0]


@pytest.mark.parametrize("shape", [(7,), (3, 5), (4, 2, 3, 3), (1, 1)])
def test_text_keeps_numbers_to_a_4094th_of_their_row(shape, rng):
    array = rng.standard_normal(shape)
    array.flat[0] = 0
    got = decode(encode(array))
    rows = array.reshape(shape[0] if len(shape) > 1 else 1, -1)
    error = np.abs(got - array).reshape(rows.shape).max(1)
    assert (error <= np.abs(rows).max(1) / 4090).all()
    assert got.flat[0] == 0
    np.testing.assert_array_equal(decode(encode(got)), got)


@pytest.mark.parametrize("c3", ["sparse", "dense"])
@pytest.mark.parametrize("subsampling", ["trainable", "average"])
@pytest.mark.parametrize("output", ["rbf", "linear"])
def test_lenet5_runs_as_in_pytorch(c3, subsampling, output, rng):
    model = lenet(c3=c3, subsampling=subsampling, output=output)
    x = rng.standard_normal((2, 1, 32, 32))
    layers = checked("test", described("test", model), (1, 32, 32))
    outputs = forward(layers, x)
    with torch.no_grad():
        expected = model(torch.tensor(x)).numpy()
        half = model[:4](torch.tensor(x)).numpy()
    np.testing.assert_allclose(outputs[-1], expected, rtol=1e-10)
    np.testing.assert_allclose(outputs[3], half, rtol=1e-10)
    names = [layer["name"] for layer in layers if layer["kind"] != "tanh"]
    assert names == ["c1", "s2", "c3", "s4", "c5", "f6", "output"]
    assert [layer["shape"] for layer in layers][2] == [6, 14, 14]


def test_lenet5_costs_no_more_than_two_letters_a_weight():
    layers = described("test", lenet(c3="dense", subsampling="average", output="linear"))
    text = str(coded(checked("test", layers, (1, 32, 32))))
    assert 2 * 61_706 < len(text) < 130 * 1024


def test_layers_of_pytorch_and_of_the_numpy_half_are_described(rng):
    torch_model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1, bias=False), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Dropout(),
        nn.Flatten(),
        torch_layers.Linear(8, 3, rng=torch.Generator().manual_seed(0)),
        nn.Tanh(),
        nn.Sigmoid(),
    ).eval()
    x = rng.standard_normal((3, 1, 8, 8))
    layers = checked("test", described("test", torch_model), (1, 8, 8))
    with torch.no_grad():
        expected = torch_model.double()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(forward(layers, x)[-1], expected, rtol=1e-6)

    numpy_model = numpy_layers.Sequential(
        numpy_layers.Conv2d(1, 2, 3, rng=rng),
        numpy_layers.ReLU(),
        numpy_layers.AvgPool2d(2, stride=1),
        numpy_layers.Flatten(),
        numpy_layers.Linear(2 * 25, 4, rng=rng),
    )
    layers = checked("test", described("test", numpy_model), (1, 8, 8))
    got = forward(layers, x)[-1]
    np.testing.assert_allclose(got, numpy_model.forward(x.astype(np.float32)), rtol=1e-4)
    assert [layer["name"] for layer in layers] == ["conv1", "relu1", "pool1", "full1"]


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.Conv2d(1, 2, 3), "test: the network is a Conv2d, expected a Sequential"),
        (nn.Sequential(nn.ReLU(), nn.Softplus()), "test: layer 1 is a Softplus, expected one of A"),
    ],
)
def test_what_cannot_be_described(model, message):
    with pytest.raises(TypeError, match=message):
        described("test", model)


def test_every_kind_on_the_page_as_in_numpy(page, rng):
    layers = read_back(checked("test", every_kind(), (1, 13, 13)))
    x = rng.standard_normal((1, 1, 13, 13))
    image = {"data": x.ravel().tolist(), "shape": [1, 13, 13]}
    got = page.evaluate(RUN, [coded(layers), image])
    expected = forward(layers, x)
    assert len(got) == len(expected) == 10
    for layer, numbers, array in zip(layers, got, expected, strict=True):
        assert list(array.shape[1:]) == layer["shape"]
        np.testing.assert_allclose(
            np.reshape(numbers, array.shape), array, rtol=1e-5, atol=1e-5, err_msg=layer["name"]
        )


@pytest.mark.parametrize("c3", ["sparse", "dense"])
def test_logits_of_the_page_are_those_of_pytorch(page, c3, rng):
    model = lenet(c3=c3, output="linear")
    layers = checked("test", described("test", model), (1, 32, 32))
    digits = rng.random((3, 1, 8, 8))
    moves = [{"dx": 3, "dy": -2}, {"angle": 40, "scale": 0.7}, {"scale": 1.2, "angle": -100}]
    for digit, move in zip(digits, moves, strict=True):
        image = {"data": digit.ravel().tolist(), "shape": [8, 8]}
        pixels = page.evaluate(PLACE, [image, 32, move])
        image = {"data": pixels, "shape": [1, 32, 32]}
        got = page.evaluate(RUN, [coded(layers), image])[-1]
        with torch.no_grad():
            expected = model(torch.tensor(place_digits(digit[None], size=32, **move)))[0].numpy()
        np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max())


def test_digits_are_placed_on_the_page_as_by_the_library(page, rng):
    for shape in [(8, 8), (5, 9), (1, 3)]:
        digit = rng.random((1, 1, *shape))
        for size in (8, 32):
            dx, dy, angle = rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(-180, 180)
            for move in [{}, {"dx": dx, "dy": dy, "angle": angle, "scale": rng.uniform(0.2, 1.5)}]:
                image = {"data": digit.ravel().tolist(), "shape": list(shape)}
                got = page.evaluate(PLACE, [image, size, move])
                expected = place_digits(digit, size=size, **move)
                np.testing.assert_allclose(np.reshape(got, (size, size)), expected[0, 0], atol=1e-6)


def test_softmax():
    np.testing.assert_allclose(
        softmax(np.array([[0.0, np.log(3)], [1e4, 0]])), [[0.25, 0.75], [1, 0]]
    )


CONV = {"kind": "conv2d", "weight": np.ones((2, 1, 3, 3)), "bias": [0, 0]}
LAST = {"kind": "linear", "weight": np.ones((2, 72)), "bias": [0, 0]}


@pytest.mark.parametrize(
    "layers, message",
    [
        ([{"kind": "conv3d"}], "layer 0 has the kind 'conv3d', expected `conv2d`, `max_pool2d`"),
        ([{"kind": "conv2d"}], r"layer 0, conv1, has no `weight`, expected an array \(F, C, KH, K"),
        ([CONV | {"weight": [[1.0]]}], r"a `weight` of shape \(1, 1\), expected \(F, C, KH, KW\)"),
        ([CONV | {"bias": [np.nan, 0]}], "a `bias` with numbers that are not finite"),
        ([CONV | {"bias": [0]}], r"a `bias` of shape \(1,\), expected \(2,\) as `weight` has"),
        ([CONV, CONV], r"layer 1, conv2, .* expected \(F, C, KH, KW\) with C = 2 as the layer"),
        ([CONV | {"stride": 0}], "has `stride` = 0, expected an int, at least 1"),
        ([CONV | {"padding": -1}], "has `padding` = -1, expected an int, at least 0"),
        ([CONV | {"name": "c1", "dilation": 2, "groups": 1}], "c1, has `dilation` and `groups`"),
        ([{"kind": "max_pool2d"}], "pool1, has no `kernel_size`, expected a length in pixels"),
        ([{"kind": "avg_pool2d", "kernel_size": 9}], r"windows of \(9, 9\), which do not fit"),
        ([{"kind": "tanh", "gain": "2"}], "has `gain` = '2', expected a finite number"),
        ([CONV, LAST | {"weight": np.ones((2, 5))}], r"expected \(F, D\) with D = 72 as the layer"),
        ([CONV, LAST, CONV], r"layer 2, conv2, gets the shape \(2,\), expected maps \(C, H, W\)"),
        ([CONV], r"the network ends with the shape \(2, 6, 6\), expected one number for each"),
        ([], r"the network ends with the shape \(1, 8, 8\)"),
    ],
)
def test_says_what_is_wrong(layers, message):
    with pytest.raises(ValueError, match="test: .*" + message):
        checked("test", layers, (1, 8, 8))


def test_a_layer_must_be_a_dict():
    with pytest.raises(TypeError, match="test: layer 1 is tuple, expected a dict"):
        checked("test", [CONV, ("relu",)], (1, 8, 8))
