"""A NumPy layer and its PyTorch twin: the same names, the same numbers, the same messages."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import numpy_layers, torch_layers

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
ROIS = {
    "boxes": [[1.0, 2, 9, 17], [-5, 3, 4, 9], [2.5, 2.5, 2.5, 3], [40, 40, 50, 50]],
    "image_index": [0, 1, 1, 0],
}
ARRAYS = {"labels", *ROIS}  # options that are arrays
CASES = {  # function: shapes of its arrays, and its options
    "conv2d": ([(2, 3, 9, 8), (4, 3, 3, 2), (4,)], {"stride": 2, "padding": (1, 0)}),
    "conv_transpose2d": (
        [(2, 4, 5, 4), (4, 3, 3, 2), (3,)],
        {"stride": (2, 1), "padding": (0, 1), "output_padding": (1, 0)},
    ),
    "max_pool2d": ([(2, 3, 9, 8)], {"kernel_size": 3, "stride": 2, "padding": 1}),
    "avg_pool2d": ([(2, 3, 9, 8)], {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    "linear": ([(4, 3), (5, 3), (5,)], {}),
    "relu": ([(2, 3)], {}),
    "sigmoid": ([(2, 3)], {}),
    "tanh": ([(2, 3)], {}),
    "batch_norm": ([(2, 3, 4, 5), (3,), (3,)], {"eps": 0.1}),
    "cross_entropy": ([(4, 3)], {"labels": [0, 2, 1, 1]}),
    "smooth_l1": ([(4, 3), (4, 3)], {"beta": 0.7}),
    "rnn_step": ([(3, 4), (3, 2), (2, 4), (2, 2), (2,)], {}),
    "rnn": ([(3, 5, 4), (3, 2), (2, 4), (2, 2), (2,)], {}),
    "gru_step": ([(3, 4), (3, 2), (6, 4), (6, 2), (6,), (6,)], {}),
    "gru": ([(3, 5, 4), (3, 2), (6, 4), (6, 2), (6,), (6,)], {}),
    "roi_pool": ([(2, 3, 9, 8)], ROIS | {"output_size": (2, 3), "spatial_scale": 0.5}),
    "roi_align": ([(2, 3, 9, 8)], ROIS | {"output_size": 2, "sampling_ratio": 0}),
}
LAYERS = {  # class: its arguments, and the shape of an input
    "Conv2d": ((3, 4, (3, 2)), {"stride": 2, "padding": 1}, (2, 3, 9, 8)),
    "ConvTranspose2d": (
        (4, 3, (3, 2)),
        {"stride": 2, "padding": 1, "output_padding": 1},
        (2, 4, 5, 4),
    ),
    "MaxPool2d": ((3,), {"stride": 2, "padding": 1}, (2, 3, 9, 8)),
    "AvgPool2d": ((2,), {}, (2, 3, 9, 8)),
    "Linear": ((3, 5), {}, (4, 3)),
    "Flatten": ((), {}, (2, 3, 4, 5)),
    "ReLU": ((), {}, (2, 3)),
    "Sigmoid": ((), {}, (2, 3)),
    "Tanh": ((), {}, (2, 3)),
    "BatchNorm": ((3,), {"momentum": 0.3}, (2, 3, 4, 5)),
    "RNN": ((4, 3), {}, (2, 5, 4)),
    "GRU": ((4, 3), {}, (2, 5, 4)),
    "RoIPool": (((2, 3),), {"spatial_scale": 0.5}, (2, 3, 9, 8)),
    "RoIAlign": ((2,), {"spatial_scale": 0.5, "sampling_ratio": 3}, (2, 3, 9, 8)),
}
OF_SENTENCES = {"embedding", "attention", "Embedding", "Attention"}  # test_recurrent_twins.py
OF_BOXES = {"RoIPool", "RoIAlign"}  # layers that take boxes, and the images that these lie in
INITIALIZERS = {"he_normal", "normal", "xavier_normal"}
NUMPY_ONLY = {"Sequential", "SGD", "Adam"}  # torch.nn and torch.optim have them
ACCELERATORS = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
DEVICES = ["cpu", *(name for name, available in ACCELERATORS.items() if available())]


def pair(name):
    functions = vars(numpy_layers)
    return functions[f"{name}_forward"], functions[f"{name}_backward"], vars(torch_layers)[name]


def parameters(thing):
    return list(inspect.signature(thing).parameters)


def layer_pair(name, rng):
    """The NumPy layer and the module of PyTorch, both float64, with the weights of the former."""
    arguments, options, _ = LAYERS[name]
    ours, theirs = vars(numpy_layers)[name], vars(torch_layers)[name]
    numpy_options, torch_options = dict(options), dict(options)
    if "rng" in parameters(ours):
        numpy_options["rng"], torch_options["rng"] = rng, torch.Generator()
    if "dtype" in parameters(ours):
        numpy_options["dtype"], torch_options["dtype"] = np.float64, torch.float64
    layer, module = ours(*arguments, **numpy_options), theirs(*arguments, **torch_options)
    weights = {key: torch.tensor(value) for key, value in layer.params.items()}
    module.load_state_dict(weights, strict=False)
    return layer, module


def test_every_layer_has_a_twin_and_a_case():
    names = set(numpy_layers.__all__) - OF_SENTENCES
    functions = {n.removesuffix("_forward") for n in names if n.endswith("_forward")}
    functions -= OF_SENTENCES
    assert functions == CASES.keys()
    assert {f"{n}_backward" for n in functions} < names
    classes = {n for n in names if n[0].isupper()}
    assert classes - NUMPY_ONLY == LAYERS.keys()
    twins = functions | INITIALIZERS | classes - NUMPY_ONLY
    assert set(torch_layers.__all__) == twins | OF_SENTENCES


def test_the_twins_live_in_files_of_the_same_names():
    ours, theirs = (
        {p.name for p in Path(m.__path__[0]).glob("*.py")} for m in (numpy_layers, torch_layers)
    )
    assert ours - theirs == {"sequential.py", "optimizers.py", "primitives.py"}
    assert theirs <= ours
    for name in CASES:
        forward, _, twin = pair(name)
        assert forward.__module__.rpartition(".")[2] == twin.__module__.rpartition(".")[2]


@pytest.mark.parametrize("name", CASES)
def test_functions_have_the_same_parameters(name):
    forward, _, twin = pair(name)
    assert str(inspect.signature(forward)) == str(inspect.signature(twin))


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_initializers_have_the_same_parameters(name):
    ours, theirs = vars(numpy_layers)[name], vars(torch_layers)[name]
    assert parameters(ours) == parameters(theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_classes_have_the_same_parameters(name):
    ours, theirs = vars(numpy_layers)[name], vars(torch_layers)[name]
    assert parameters(ours) == parameters(theirs) or not parameters(ours)


@pytest.mark.parametrize("name", CASES)
def test_functions_agree(rng, name):
    forward, backward, twin = pair(name)
    shapes, options = CASES[name]
    arrays = [rng.normal(size=shape) for shape in shapes]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    as_array = {k: np.array(v) if k in ARRAYS else v for k, v in options.items()}
    as_tensor = {k: torch.tensor(as_array[k]) if k in ARRAYS else options[k] for k in options}

    y, cache = forward(*arrays, **as_array)
    expected = twin(*tensors, **as_tensor)
    np.testing.assert_allclose(y, expected.detach(), **CLOSE)

    dy = rng.normal(size=np.shape(y))[()]
    grads = backward(dy, cache)
    expected_grads = torch.autograd.grad(expected, tensors, torch.tensor(dy))
    for got, wanted in zip(
        grads if isinstance(grads, tuple) else [grads], expected_grads, strict=True
    ):
        np.testing.assert_allclose(got, wanted, **CLOSE)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_agree(rng, name):
    layer, module = layer_pair(name, rng)
    named = {key: value.shape for key, value in layer.params.items()}
    assert named == {key: tuple(p.shape) for key, p in module.named_parameters()}

    rois = [np.array(array) for array in ROIS.values()] if name in OF_BOXES else []
    for _ in range(2):  # batch normalization remembers
        x = rng.normal(size=LAYERS[name][2])
        tensor = torch.tensor(x, requires_grad=True)
        y, expected = layer.forward(x, *rois), module(tensor, *map(torch.tensor, rois))
        np.testing.assert_allclose(y, expected.detach(), **CLOSE)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    module.zero_grad()
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(dx, tensor.grad, **CLOSE)
    for key, p in module.named_parameters():
        np.testing.assert_allclose(layer.grads[key], p.grad, **CLOSE, err_msg=key)


def test_batch_norm_evaluates_alike(rng):
    layer, module = layer_pair("BatchNorm", rng)
    x = rng.normal(2, 3, size=(4, 3, 2, 2))
    layer.forward(x)
    module(torch.tensor(x))
    layer.training = False
    expected = module.eval()(torch.tensor(x))
    np.testing.assert_allclose(layer.forward(x), expected.detach(), **CLOSE)


def test_equal_maxima_send_the_gradient_to_the_same_pixel(rng):
    x = rng.integers(0, 2, size=(2, 3, 9, 8)).astype(float)
    y, cache = numpy_layers.max_pool2d_forward(x, 3, stride=2, padding=1)
    tensor = torch.tensor(x, requires_grad=True)
    torch_layers.max_pool2d(tensor, 3, stride=2, padding=1).backward(torch.tensor(y))
    np.testing.assert_array_equal(numpy_layers.max_pool2d_backward(y, cache), tensor.grad)


def test_nan_is_not_hidden():
    for at in np.ndindex(2, 2):
        x = torch.zeros(1, 1, 2, 2)
        x[0, 0, *at] = torch.nan
        assert torch_layers.max_pool2d(x, 2).isnan().all()


@pytest.mark.parametrize(
    "name", ["conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "linear", "batch_norm"]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_stays_on_any_device_in_any_precision(name, dtype):
    """The device "meta" computes shapes only, and refuses tensors of another device."""
    shapes, options = CASES[name]
    tensors = [torch.ones(shape, dtype=dtype, device="meta") for shape in shapes]
    y = vars(torch_layers)[name](*tensors, **options)
    assert y.device.type == "meta"
    assert y.dtype == dtype


@pytest.mark.parametrize("device", DEVICES)
def test_a_network_trains(device):
    rng = torch.Generator(device).manual_seed(0)
    model = torch.nn.Sequential(
        torch_layers.Conv2d(1, 4, 3, padding=1, rng=rng),
        torch_layers.BatchNorm(4),
        torch_layers.ReLU(),
        torch_layers.MaxPool2d(2),
        torch_layers.Flatten(),
        torch_layers.Linear(64, 3, rng=rng),
    ).to(device)
    x = torch.randn(12, 1, 8, 8, generator=rng, device=device)
    labels = torch.arange(12, device=device) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(50):
        loss = torch_layers.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("shape", [(0, 3, 6, 5)])
def test_empty_batch(shape):
    x = torch.ones(shape, requires_grad=True)
    y = torch_layers.conv2d(x, torch.ones(4, 3, 3, 2), torch.ones(4))
    assert y.shape == (0, 4, 4, 4)
    assert torch_layers.max_pool2d(y, 2).shape == (0, 4, 2, 2)
    back = torch_layers.conv_transpose2d(y, torch.ones(4, 3, 3, 2), torch.ones(3))
    assert back.shape == shape


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda f: f.conv2d(torch.ones(2, 3, 8, 8), torch.ones(4, 5, 3, 3), torch.ones(4)),
            ValueError,
            r"conv2d: `weight` has shape \(4, 5, 3, 3\).* C = 3 as in `x`",
        ),
        (
            lambda f: f.conv_transpose2d(
                torch.ones(2, 3, 8, 8), torch.ones(3, 4, 3, 3), torch.ones(4), output_padding=1
            ),
            ValueError,
            r"conv_transpose2d: `output_padding` is 1, expected less than `stride`, \(1, 1\)",
        ),
        (
            lambda f: f.linear(torch.ones(2, 3), torch.ones(2, 3).double(), torch.ones(2)),
            TypeError,
            "linear: `weight` is float64, expected float32 as `x`",
        ),
        (
            lambda f: f.max_pool2d(torch.ones(1, 1, 4, 4), 2, padding=2),
            ValueError,
            "max_pool2d: `padding` is 2, expected at most half",
        ),
        (
            lambda f: f.avg_pool2d(torch.ones(1, 1, 4, 4).int(), 2),
            TypeError,
            "avg_pool2d: `x` holds int32",
        ),
        (
            lambda f: f.relu(torch.ones(3).int()),
            TypeError,
            "relu: `x` holds int32, expected floating",
        ),
        (
            lambda f: f.batch_norm(torch.ones(1, 3), torch.ones(3), torch.ones(3)),
            ValueError,
            "batch_norm: `x` has shape .* at least 2 values per channel",
        ),
        (
            lambda f: f.cross_entropy(torch.ones(2, 3), torch.tensor([0, 3])),
            ValueError,
            "cross_entropy: `labels` go from 0 to 3, expected 0 .. 2",
        ),
    ],
)
def test_says_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call(torch_layers)


def test_layers_start_with_the_variance_of_he():
    rng = torch.Generator().manual_seed(0)
    weight = torch_layers.Conv2d(16, 64, 5, rng=rng).weight
    assert weight.var().item() == pytest.approx(2 / (16 * 5 * 5), rel=0.05)
    weight = torch_layers.ConvTranspose2d(16, 64, 4, stride=2, rng=rng).weight
    assert weight.var().item() == pytest.approx(2 / (16 * 2 * 2), rel=0.05)
    weight = torch_layers.Linear(300, 200, rng=rng).weight
    assert weight.var().item() == pytest.approx(2 / 300, rel=0.05)
