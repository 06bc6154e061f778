"""The layers inside grad, jvp and hvp: against the pairs, differences, and torch.func."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_lib import numpy_layers
from course_lib.autodiff import check_gradients, count, grad, hvp, jvp, trace, value_and_grad, vjp
from course_lib.autodiff.primitive import PRIMITIVES
from course_lib.numpy_layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    conv_transpose2d,
    cross_entropy,
    linear,
    max_pool2d,
    primitives,
    relu,
    roi_align,
    roi_pool,
    sigmoid,
    smooth_l1,
    tanh,
)

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
LABELS = np.array([0, 2, 2, 1])
MEAN, VAR = np.array([0.1, -0.2, 0.3]), np.array([0.5, 1.0, 2.0])
CONV = [(3, 2, 7, 6), (4, 2, 3, 2), (4,)]
ROIS = (np.array([[0.2, 0, 3.3, 5], [-2, 1, 1.4, 2.6], [9, 9, 9, 9]]), np.array([1, 0, 0]), 2)
CALLS = {  # name -> (function of arrays, their shapes)
    "conv2d": (conv2d, CONV),
    "conv2d, stride 2": (lambda *a: conv2d(*a, stride=2, padding=1), CONV),
    "conv2d, pairs": (lambda *a: conv2d(*a, stride=(2, 1), padding=(0, 2)), CONV),
    "conv2d_images": (
        lambda dy, w: primitives.conv2d_images(dy, w, (3, 2, 7, 6), stride=2, padding=1),
        [(3, 4, 4, 4), (4, 2, 3, 2)],
    ),
    "conv2d_kernels": (
        lambda dy, x: primitives.conv2d_kernels(dy, x, (4, 2, 3, 2), stride=2, padding=1),
        [(3, 4, 4, 4), (3, 2, 7, 6)],
    ),
    "conv_transpose2d": (conv_transpose2d, [(3, 4, 3, 2), (4, 2, 3, 2), (2,)]),
    "conv_transpose2d, stride 2": (
        lambda *a: conv_transpose2d(*a, stride=2, padding=1, output_padding=1),
        [(3, 4, 3, 2), (4, 2, 3, 2), (2,)],
    ),
    "max_pool2d": (lambda x: max_pool2d(x, 2), [(2, 3, 6, 4)]),
    "max_pool2d, overlapping": (lambda x: max_pool2d(x, 3, stride=2, padding=1), [(2, 3, 7, 6)]),
    "roi_pool": (lambda x: roi_pool(x, ROIS[0].astype(x.dtype), *ROIS[1:]), [(2, 3, 6, 4)]),
    "roi_align": (lambda x: roi_align(x, ROIS[0].astype(x.dtype), *ROIS[1:]), [(2, 3, 6, 4)]),
    "avg_pool2d": (lambda x: avg_pool2d(x, 2), [(2, 3, 6, 4)]),
    "avg_pool2d, overlapping": (
        lambda x: avg_pool2d(x, (3, 2), stride=2, padding=1),
        [(2, 3, 7, 6)],
    ),
    "share": (
        lambda dy: primitives.share(dy, (2, 3, 7, 6), (3, 2), stride=2, padding=1),
        [(2, 3, 4, 4)],
    ),
    "linear": (linear, [(4, 5), (3, 5), (3,)]),
    "relu": (relu, [(4, 5)]),
    "sigmoid": (sigmoid, [(4, 5)]),
    "tanh": (tanh, [(4, 5)]),
    "batch_norm": (batch_norm, [(4, 3), (3,), (3,)]),
    "batch_norm, images": (lambda *a: batch_norm(*a, eps=0.1), [(4, 3, 2, 5), (3,), (3,)]),
    "batch_norm, evaluation": (
        lambda *a: batch_norm(*a, mean=MEAN, var=VAR),
        [(4, 3, 2, 5), (3,), (3,)],
    ),
    "normalize": (lambda x: primitives.normalize(x, 1e-5), [(6, 3)]),
    "cross_entropy": (lambda logits: cross_entropy(logits, LABELS), [(4, 3)]),
    "smooth_l1": (smooth_l1, [(4, 3), (4, 3)]),
    "smooth_l1, narrow": (lambda *a: smooth_l1(*a, beta=0.3), [(4, 3), (4, 3)]),
}
REST = {  # name -> what its forward function takes besides the arrays
    "max_pool2d": [2],
    "avg_pool2d": [2],
    "roi_pool": ROIS,
    "roi_align": ROIS,
    "cross_entropy": [LABELS],
}
every_call = pytest.mark.parametrize("name", CALLS)


def inputs(rng, name):
    return [rng.normal(size=shape) for shape in CALLS[name][1]]


def test_every_primitive_is_here():
    ours = {p.name for p in PRIMITIVES if p.function.__module__ == primitives.__name__}
    halves = {"winners", "to_winners", "picked", "to_picked", "weighed", "to_weighed"}
    assert ours <= {name.split(",")[0] for name in CALLS} | halves


@pytest.mark.parametrize("name", [name for name in CALLS if hasattr(numpy_layers, name)])
def test_the_values_are_those_of_the_pair(rng, name):
    forward = getattr(numpy_layers, f"{name}_forward")
    function, _ = CALLS[name]
    arrays = inputs(rng, name)
    np.testing.assert_array_equal(function(*arrays), forward(*arrays, *REST.get(name, []))[0])
    np.testing.assert_allclose(vjp(function, *arrays)[0], function(*arrays), rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in CALLS if hasattr(numpy_layers, name)])
def test_the_gradients_are_those_of_the_pair(rng, name):
    forward, backward = (getattr(numpy_layers, f"{name}_{way}") for way in ("forward", "backward"))
    function, _ = CALLS[name]
    arrays = inputs(rng, name)
    y, cache = forward(*arrays, *REST.get(name, []))
    dy = rng.normal(size=np.shape(y))
    expected = backward(dy, cache)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for got, wanted in zip(vjp(function, *arrays)[1](dy), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)


@every_call
def test_first_derivatives_match_differences(rng, name):
    check_gradients(CALLS[name][0], *inputs(rng, name))


@every_call
def test_second_derivatives_match_differences(rng, name):
    f, _ = CALLS[name]
    arrays = inputs(rng, name)
    weight = rng.normal(size=np.shape(f(*arrays)))
    gradient = grad(lambda xs: np.sum(weight * np.sin(f(*xs))))
    check_gradients(gradient, arrays)


def test_the_last_half_of_max_pooling(rng):
    x = rng.normal(size=(2, 3, 7, 6))
    _, cache = numpy_layers.max_pool2d_forward(x, 3, stride=2, padding=1)
    check_gradients(lambda x: primitives.winners(x, cache), x)
    check_gradients(lambda dy: primitives.to_winners(dy, cache), rng.normal(size=(2, 3, 4, 3)))


def test_the_work_of_aligning_is_counted():
    x, box, image = np.ones((1, 3, 4, 4)), np.array([[1.0, 1, 3, 3]]), np.array([0])
    with count() as ledger:
        vjp(lambda x: roi_align(x, box, image, 1, sampling_ratio=1), x)
    # One point between 2 by 2 cells: 2 rows in each of 2 columns, then the 2 columns; 3 channels.
    assert ledger.multiply_adds == 3 * (2 * 2 + 2)
    with count() as ledger:
        vjp(lambda x: roi_align(x, box[:0], image[:0], 1), x)
    assert ledger.multiply_adds == 0


@pytest.mark.parametrize(
    "forward, halves",
    [
        (numpy_layers.roi_pool_forward, (primitives.picked, primitives.to_picked)),
        (numpy_layers.roi_align_forward, (primitives.weighed, primitives.to_weighed)),
    ],
)
def test_the_halves_of_the_layers_for_boxes(rng, forward, halves):
    x = rng.normal(size=(2, 3, 6, 4))
    y, cache = forward(x, *ROIS)
    for half, array in zip(halves, (x, rng.normal(size=y.shape)), strict=True):
        check_gradients(lambda a, half=half: half(a, cache), array)


@pytest.mark.parametrize("name", [name for name in CALLS if "evaluation" not in name])
def test_float32_stays_float32(rng, name):
    f, _ = CALLS[name]
    arrays = [a.astype(np.float32) for a in inputs(rng, name)]
    y, y_dot = jvp(f, arrays, arrays)
    gradients = vjp(f, *arrays)[1](y)
    assert {a.dtype for a in (y, y_dot, *gradients)} == {np.dtype(np.float32)}


@every_call
def test_costs_are_counted(rng, name):
    f, _ = CALLS[name]
    arrays = inputs(rng, name)
    with count() as ledger:
        y, pullback = vjp(f, *arrays)
        pullback(y)
    assert ledger.multiply_adds + ledger.elementwise > 0


def test_a_convolution_costs_the_same_three_times(rng):
    x, weight, bias = inputs(rng, "conv2d")
    with count() as ledger:
        y, pullback = vjp(conv2d, x, weight, bias)
        pullback(y)
    assert [s.multiply_adds for s in ledger.sweeps] == [y.size * 2 * 3 * 2, 2 * y.size * 2 * 3 * 2]
    with count() as ledger:
        grad(lambda weight: np.sum(conv2d(x, weight, bias)))(weight)  # the images are constant
    assert ledger.sweeps[1].multiply_adds == y.size * 2 * 3 * 2


def net(params, x, labels):
    h = conv2d(x, params["w1"], params["b1"], padding=1)
    h = max_pool2d(relu(batch_norm(h, params["gamma"], params["beta"])), 2)
    h = avg_pool2d(tanh(conv2d(h, params["w2"], params["b2"], stride=2, padding=1)), 2, stride=1)
    return cross_entropy(linear(sigmoid(h.reshape(len(h), -1)), params["w3"], params["b3"]), labels)


def torch_net(params, x, labels):
    h = functional.conv2d(x, params["w1"], params["b1"], padding=1)
    h = functional.batch_norm(h, None, None, params["gamma"], params["beta"], training=True)
    h = functional.max_pool2d(torch.relu(h), 2)
    h = torch.tanh(functional.conv2d(h, params["w2"], params["b2"], stride=2, padding=1))
    h = functional.avg_pool2d(h, 2, stride=1).flatten(1)
    logits = functional.linear(torch.sigmoid(h), params["w3"], params["b3"])
    return functional.cross_entropy(logits, labels)


SHAPES = {
    "w1": (4, 1, 3, 3),
    "b1": (4,),
    "gamma": (4,),
    "beta": (4,),
    "w2": (3, 4, 3, 2),
    "b2": (3,),
    "w3": (5, 12),
    "b3": (5,),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")  # inside torch.func.jvp
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_a_whole_net_matches_torch(rng):
    params = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    v = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    x, labels = rng.normal(size=(6, 1, 10, 8)), rng.integers(0, 5, 6)
    theirs = {name: torch.tensor(a) for name, a in params.items()}
    their_v = {name: torch.tensor(a) for name, a in v.items()}
    their_x, their_labels = torch.tensor(x), torch.tensor(labels)

    def loss(params):
        return net(params, x, labels)

    def their_loss(params):
        return torch_net(params, their_x, their_labels)

    value, gradient = value_and_grad(loss)(params)
    expected, their_value = torch.func.grad_and_value(their_loss)(theirs)
    np.testing.assert_allclose(value, their_value.item(), rtol=1e-12)
    _, slope = jvp(loss, (params,), (v,))
    along_v = sum(torch.sum(expected[name] * their_v[name]) for name in SHAPES)
    np.testing.assert_allclose(slope, along_v.item(), rtol=1e-9)
    product = hvp(loss, params, v)
    _, their_product = torch.func.jvp(torch.func.grad(their_loss), (theirs,), (their_v,))
    for name in SHAPES:
        np.testing.assert_allclose(gradient[name], expected[name].numpy(), **CLOSE)
        np.testing.assert_allclose(product[name], their_product[name].numpy(), **CLOSE)
    dx = grad(net, argnums=1)(params, x, labels)
    their_dx = torch.func.grad(torch_net, argnums=1)(theirs, their_x, their_labels)
    np.testing.assert_allclose(dx, their_dx.numpy(), **CLOSE)


def test_the_graph_of_a_net_shows_its_layers(rng):
    params = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    x, labels = rng.normal(size=(6, 1, 10, 8)), rng.integers(0, 5, 6)
    graph = trace(lambda params: net(params, x, labels), params)
    names = [node.name for node in graph.nodes if node.kind == "operation"]
    layers = ("conv2d", "normalize", "relu", "max_pool2d", "tanh", "sigmoid", "linear")
    assert [name for name in names if name in layers] == [
        *("conv2d", "normalize", "relu", "max_pool2d", "conv2d", "tanh", "sigmoid", "linear")
    ]
    assert names[-1] == "cross_entropy"


def test_what_cannot_be_traced_is_still_checked(rng):
    x, weight, bias = inputs(rng, "conv2d")
    with pytest.raises(ValueError, match=r"conv2d: `bias` has shape \(3,\), expected \(F,\)"):
        grad(lambda x: np.sum(conv2d(x, weight, bias[:3])))(x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dilation'"):
        grad(lambda x: np.sum(conv2d(x, weight, bias, dilation=2)))(x)
    with pytest.raises(
        ValueError, match=r"conv_transpose2d: `weight` has shape .* C = 2 as in `x`"
    ):
        grad(lambda x: np.sum(conv_transpose2d(x, weight, bias)))(x)
