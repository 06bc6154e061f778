import numpy as np
import pytest
import torch
from torch import nn
from torch_reference import CLOSE

from course_lib.numpy_layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    cross_entropy_backward,
    cross_entropy_forward,
)


def net(rng):
    return Sequential(
        Conv2d(2, 4, 3, padding=1, rng=rng, dtype=np.float64),
        BatchNorm(4, dtype=np.float64),
        ReLU(),
        MaxPool2d(2),
        Sequential(Conv2d(4, 3, 2, stride=2, rng=rng, dtype=np.float64), Tanh()),
        AvgPool2d(2, stride=1),
        Flatten(),
        Linear(3, 5, rng=rng, dtype=np.float64),
        Sigmoid(),
    )


def peer():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(4, 3, 2, stride=2), nn.Tanh()),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(3, 5),
        nn.Sigmoid(),
    ).double()


def test_a_whole_network_matches_torch(rng):
    model, torch_model = net(rng), peer()
    names = {"gamma": "weight", "beta": "bias"}
    weights = {}
    for name, array in model.params.items():
        head, _, tail = name.rpartition(".")
        weights[f"{head}.{names.get(tail, tail)}"] = torch.tensor(array)
    torch_model.load_state_dict(weights, strict=False)
    x, labels = rng.normal(size=(6, 2, 9, 9)), rng.integers(0, 5, size=6)

    loss, cache = cross_entropy_forward(model.forward(x), labels)
    dx = model.backward(cross_entropy_backward(1.0, cache))

    tensor = torch.tensor(x, requires_grad=True)
    expected = nn.functional.cross_entropy(torch_model(tensor), torch.tensor(labels))
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), **CLOSE)
    np.testing.assert_allclose(dx, tensor.grad, **CLOSE)
    for got, wanted in zip(model.grads.values(), torch_model.parameters(), strict=True):
        np.testing.assert_allclose(got, wanted.grad, **CLOSE)

    np.testing.assert_allclose(
        model.eval().forward(x), torch_model.eval()(tensor).detach(), **CLOSE
    )


def test_parameters_have_names_and_are_the_arrays_themselves(rng):
    model = net(rng)
    assert list(model.params) == [
        *("0.weight", "0.bias", "1.gamma", "1.beta", "4.0.weight", "4.0.bias"),
        *("7.weight", "7.bias"),
    ]
    assert model.params["0.weight"] is model.layers[0].params["weight"]
    assert [id(a) for a in model.parameters()] == [id(a) for a in model.params.values()]


def test_train_and_eval_reach_every_layer(rng):
    model = Sequential(BatchNorm(3), Sequential(ReLU(), BatchNorm(3)))
    inner = model.layers[1].layers[1]
    assert model.eval() is model
    assert not model.layers[0].training
    assert not inner.training
    assert model.train() is model
    assert model.layers[0].training
    assert inner.training


def test_no_layers(rng):
    x, model = rng.normal(size=(2, 3)), Sequential()
    assert model.forward(x) is x
    assert model.backward(x) is x


def test_says_which_layer_failed(rng):
    model = Sequential(Flatten(), Sequential(Linear(12, 5, rng=rng), ReLU()), Linear(4, 2, rng=rng))
    message = (
        r"^linear: `weight` has shape \(2, 4\), expected \(K, D\) with D = 5 as in `x`\n"
        r"in the forward of layer 2 of Sequential, Linear$"
    )
    with pytest.raises(ValueError, match=message):
        model.forward(np.ones((2, 3, 2, 2), np.float32))
    message = (
        r"^linear: `weight` is float32, expected float64 as `x`; convert one of them\n"
        r"in the forward of layer 0 of Sequential, Linear\n"
        r"in the forward of layer 1 of Sequential, Sequential$"
    )
    with pytest.raises(TypeError, match=message):
        model.forward(np.ones((2, 3, 2, 2)))

    model = Sequential(Flatten(), Linear(12, 5, rng=rng))
    model.forward(np.ones((2, 3, 2, 2), np.float32))
    message = r"linear_backward: `dy` has .*\nin the backward of layer 1 of Sequential, Linear$"
    with pytest.raises(ValueError, match=message):
        model.backward(np.ones((2, 4), np.float32))


def test_backward_without_forward(rng):
    with pytest.raises(ValueError, match="Sequential: call forward before backward"):
        Sequential(ReLU()).backward(np.ones(3))
