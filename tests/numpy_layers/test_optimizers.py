import numpy as np
import pytest
import torch

from course_lib.numpy_layers import SGD, Adam, Linear, Sequential


@pytest.mark.parametrize(
    "optimizer, peer, options",
    [
        (SGD, torch.optim.SGD, {"lr": 0.1}),
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (Adam, torch.optim.Adam, {}),
        (Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.1}),
    ],
)
def test_matches_torch(rng, optimizer, peer, options):
    model = Sequential(Linear(3, 4, rng=rng, dtype=np.float64))
    tensors = [torch.tensor(w, requires_grad=True) for w in model.parameters()]
    if peer is torch.optim.Adam:
        options = {"lr": 1e-3} | options
    ours, theirs = optimizer(model, **options), peer(tensors, **options)
    for step in range(5):
        if step == 3:
            ours.lr = theirs.param_groups[0]["lr"] = 0.01
        for name, tensor in zip(("weight", "bias"), tensors, strict=True):
            model.layers[0].grads[name] = dw = rng.normal(size=tensor.shape)
            tensor.grad = torch.tensor(dw)
        ours.step()
        theirs.step()
    for got, expected in zip(model.parameters(), tensors, strict=True):
        np.testing.assert_allclose(got, expected.detach(), rtol=1e-10)


def test_one_step_by_hand():
    layer = Linear(1, 1, rng=np.random.default_rng(0))
    layer.params["weight"][:] = 2
    layer.grads = {"weight": np.full((1, 1), 3, np.float32), "bias": np.zeros(1, np.float32)}
    SGD(layer, lr=0.5).step()
    assert layer.params["weight"] == 0.5
    Adam(layer, lr=0.25).step()  # the first step is lr, whatever the size of the gradient
    assert layer.params["weight"] == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_keeps_the_precision_and_the_arrays(optimizer):
    layer = Linear(3, 4, rng=np.random.default_rng(0))
    weight = layer.params["weight"]
    before = weight.copy()
    layer.backward(layer.forward(np.ones((2, 3), np.float32)))
    optimizer(layer, lr=0.1).step()
    assert layer.params["weight"] is weight
    assert weight.dtype == np.float32
    assert (weight != before).all()


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_step_before_backward(optimizer):
    model = Sequential(Linear(3, 4, rng=np.random.default_rng(0)))
    message = rf"{optimizer.__name__}: `0\.weight` has no gradient; call the model's backward"
    with pytest.raises(ValueError, match=message):
        optimizer(model, lr=0.1).step()
