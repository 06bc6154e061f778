import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_reference import CLOSE, assert_matches_torch

from course_lib.numpy_layers import (
    ConvTranspose2d,
    conv2d_backward,
    conv2d_forward,
    conv_transpose2d_backward,
    conv_transpose2d_forward,
    windows,
)

GEOMETRIES = [  # H, W, KH, KW, stride, padding, output_padding
    *((4, 5, 2, 3, stride, padding, 0) for stride in (1, 2, 3) for padding in (0, 1)),
    *((5, 4, 3, 2, stride, padding, 0) for stride in (1, 2, 3) for padding in (0, 1)),
    (4, 3, 4, 4, 2, 1, 0),  # doubles the size
    (3, 3, 3, 3, 2, 1, 1),  # doubles it too, with a last row that few kernels reach
    (4, 3, 2, 1, 3, 0, 2),  # pixels between and behind the kernels stay 0
    (1, 1, 3, 2, 1, 0, 0),
    (5, 4, 3, 2, (2, 1), (0, 1), (1, 0)),
]
KERNEL = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])


def inputs(rng, H, W, KH, KW):
    return rng.normal(size=(2, 4, H, W)), rng.normal(size=(4, 3, KH, KW)), rng.normal(size=3)


def named(stride, padding, output_padding):
    return {"stride": stride, "padding": padding, "output_padding": output_padding}


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_matches_torch(rng, geometry):
    options = named(*geometry[4:])
    assert_matches_torch(
        lambda *arrays: conv_transpose2d_forward(*arrays, **options),
        conv_transpose2d_backward,
        lambda *tensors: functional.conv_transpose2d(*tensors, **options),
        *inputs(rng, *geometry[:4]),
        rng=rng,
    )


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_is_the_way_back_through_a_convolution(rng, geometry):
    pulls, weight, _ = inputs(rng, *geometry[:4])
    stride, padding, output_padding = geometry[4:]
    y, _ = conv_transpose2d_forward(
        pulls, weight, np.zeros(3), **named(stride, padding, output_padding)
    )
    images = rng.normal(size=y.shape)
    there, cache = conv2d_forward(images, weight, np.zeros(4), stride=stride, padding=padding)
    assert there.shape == pulls.shape
    np.testing.assert_array_equal(y, conv2d_backward(pulls, cache)[0])
    np.testing.assert_allclose(np.vdot(there, pulls), np.vdot(images, y), rtol=1e-10)


def test_blocks_change_nothing(rng, monkeypatch):
    x, weight, bias = inputs(rng, 5, 4, 3, 2)
    expected = functional.conv_transpose2d(*map(torch.tensor, (x, weight, bias)), stride=2)
    monkeypatch.setattr(windows, "BLOCK", 50)
    np.testing.assert_allclose(
        conv_transpose2d_forward(x, weight, bias, stride=2)[0], expected, **CLOSE
    )


def test_worked_by_hand():
    x = np.array([[[[1.0, 10.0]]]])
    y, cache = conv_transpose2d_forward(x, KERNEL, np.array([0.5]))
    np.testing.assert_array_equal(y, [[[[1.5, 12.5, 20.5], [3.5, 34.5, 40.5]]]])
    dy = np.array([[[[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]]])
    dx, dweight, dbias = conv_transpose2d_backward(dy, cache)
    np.testing.assert_array_equal(dx, [[[[1, 8]]]])
    np.testing.assert_array_equal(dweight, [[[[1, 0], [0, 20]]]])
    np.testing.assert_array_equal(dbias, [3])
    y, _ = conv_transpose2d_forward(x, KERNEL, np.zeros(1), stride=2, output_padding=(0, 1))
    np.testing.assert_array_equal(y, [[[[1, 2, 10, 20, 0], [3, 4, 30, 40, 0]]]])


def test_empty_batch():
    x, weight = np.ones((0, 4, 3, 2)), np.ones((4, 3, 3, 2))
    y, cache = conv_transpose2d_forward(x, weight, np.ones(3), stride=2)
    assert y.shape == (0, 3, 7, 4)
    dx, dweight, dbias = conv_transpose2d_backward(y, cache)
    assert dx.shape == x.shape
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_precision(rng, dtype):
    y, cache = conv_transpose2d_forward(*(a.astype(dtype) for a in inputs(rng, 4, 4, 3, 3)))
    grads = conv_transpose2d_backward(y, cache)
    assert {a.dtype for a in (y, *grads)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "x, weight, options, message",
    [
        (
            (2, 4, 5, 5),
            (3, 4, 3, 3),
            {},
            r"conv_transpose2d: `weight` has shape \(3, 4, 3, 3\).* C = 4 as in `x`",
        ),
        ((2, 3, 5, 5), (3, 5, 3, 3), {}, r"`bias` has shape \(4,\), expected \(F,\) with F = 5"),
        (
            (2, 3, 5, 5),
            (3, 4, 3, 3),
            {"stride": 2, "output_padding": 2},
            r"conv_transpose2d: `output_padding` is 2, expected less than `stride`, \(2, 2\)",
        ),
        (
            (2, 3, 2, 5),
            (3, 4, 3, 3),
            {"padding": 2},
            r"`padding` \(2, 2\) cuts everything off images of \(2, 5\): .* would have 0 rows",
        ),
        ((2, 3, 5, 5), (3, 4, 3, 3), {"stride": 0}, r"`stride` is 0, expected at least 1"),
    ],
)
def test_says_what_is_wrong(x, weight, options, message):
    with pytest.raises(ValueError, match=message):
        conv_transpose2d_forward(np.ones(x), np.ones(weight), np.ones(4), **options)


def test_says_what_type_is_wrong():
    x = np.ones((1, 1, 2, 2))
    with pytest.raises(TypeError, match="conv_transpose2d: `x` holds int64, expected floating"):
        conv_transpose2d_forward(x.astype(int), KERNEL, np.zeros(1))
    with pytest.raises(TypeError, match=r"conv_transpose2d: `stride` is 1\.5, expected an int"):
        conv_transpose2d_forward(x, KERNEL, np.zeros(1), stride=1.5)


def test_says_that_dy_is_wrong():
    x = np.ones((1, 1, 2, 2))
    _, cache = conv_transpose2d_forward(x, KERNEL, np.zeros(1))
    message = r"conv_transpose2d_backward: `dy` has shape \(1, 1, 2, 2\), expected \(1, 1, 3, 3\)"
    with pytest.raises(ValueError, match=message):
        conv_transpose2d_backward(x, cache)
    with pytest.raises(TypeError, match="conv_transpose2d_backward: `dy` is float32, expected"):
        conv_transpose2d_backward(np.ones((1, 1, 3, 3), np.float32), cache)


def test_layer_starts_with_the_variance_of_he(rng):
    layer = ConvTranspose2d(16, 64, 4, stride=2, rng=rng)
    assert np.var(layer.params["weight"]) == pytest.approx(2 / (16 * 2 * 2), rel=0.05)
    assert not layer.params["bias"].any()
    y = layer.forward(rng.standard_normal((4, 16, 20, 20), np.float32))
    assert np.var(y[:, :, 4:-4, 4:-4]) == pytest.approx(2, rel=0.1), "of each pixel's inputs, twice"
