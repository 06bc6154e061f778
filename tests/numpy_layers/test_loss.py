import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_reference import assert_matches_torch

from course_lib.numpy_layers import (
    cross_entropy_backward,
    cross_entropy_forward,
    smooth_l1_backward,
    smooth_l1_forward,
)


@pytest.mark.parametrize("N, K", [(5, 4), (1, 2), (3, 1)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_matches_torch(rng, N, K, scale):
    labels = rng.integers(0, K, size=N)
    assert_matches_torch(
        lambda logits: cross_entropy_forward(logits, labels),
        cross_entropy_backward,
        lambda logits: functional.cross_entropy(logits, torch.tensor(labels)),
        scale * rng.normal(size=(N, K)),
        rng=rng,
    )


def test_worked_by_hand():
    logits = np.log([[1.0, 3.0], [1.0, 1.0]])  # probabilities 1/4, 3/4 and 1/2, 1/2
    loss, cache = cross_entropy_forward(logits, np.array([0, 1]))
    assert loss == pytest.approx((np.log(4) + np.log(2)) / 2, rel=1e-12)
    expected = [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]]
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), expected, rtol=1e-12)


def test_knowing_nothing_costs_the_log_of_the_number_of_classes():
    loss, _ = cross_entropy_forward(np.zeros((3, 10)), np.array([0, 5, 9]))
    assert loss == pytest.approx(np.log(10), rel=1e-12)


def test_gradients_of_a_row_sum_to_zero(rng):
    """A constant added to all logits of a row changes nothing."""
    _, cache = cross_entropy_forward(rng.normal(size=(5, 4)), rng.integers(0, 4, size=5))
    np.testing.assert_allclose(cross_entropy_backward(2.0, cache).sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("integers", [np.int64, np.uint8])
def test_keeps_the_precision(dtype, integers):
    loss, cache = cross_entropy_forward(np.ones((3, 4), dtype), np.zeros(3, integers))
    assert loss.dtype == cross_entropy_backward(1.0, cache).dtype == dtype


def test_the_cache_survives_a_backward_pass(rng):
    _, cache = cross_entropy_forward(rng.normal(size=(5, 4)), rng.integers(0, 4, size=5))
    first = cross_entropy_backward(1.0, cache)
    np.testing.assert_array_equal(cross_entropy_backward(1.0, cache), first)


@pytest.mark.parametrize(
    "logits, labels, error, message",
    [
        (
            (3, 4),
            [0, 1],
            ValueError,
            r"`labels` has shape \(2,\), expected \(N,\) with N = 3 as in",
        ),
        ((3,), [0, 1, 2], ValueError, r"`logits` has shape \(3,\), expected \(N, K\)"),
        ((2, 4), [0, 4], ValueError, r"`labels` go from 0 to 4, expected 0 \.\. 3"),
        ((2, 4), [-1, 0], ValueError, r"`labels` go from -1 to 0, expected 0 \.\. 3"),
        ((2, 4), [0.0, 1.0], TypeError, "`labels` holds float64, expected integers"),
        ((0, 4), np.zeros(0, int), ValueError, "`labels` is empty, and an empty batch"),
    ],
)
def test_says_what_is_wrong(logits, labels, error, message):
    with pytest.raises(error, match=f"cross_entropy: {message}"):
        cross_entropy_forward(np.ones(logits), np.array(labels))


def test_logits_that_are_not_floats():
    with pytest.raises(TypeError, match="cross_entropy: `logits` holds int64, expected floating"):
        cross_entropy_forward(np.ones((2, 3), int), np.array([0, 1]))


def test_dy_that_is_not_a_scalar():
    _, cache = cross_entropy_forward(np.ones((2, 3)), np.array([0, 1]))
    with pytest.raises(
        ValueError, match=r"cross_entropy_backward: `dy` has shape \(2, 3\), expected"
    ):
        cross_entropy_backward(np.ones((2, 3)), cache)


@pytest.mark.parametrize("shape", [(5, 4), (1,), (2, 3, 4), ()])
@pytest.mark.parametrize("beta", [0.1, 1.0, 3.0])
def test_smooth_l1_matches_torch(rng, shape, beta):
    assert_matches_torch(
        lambda p, t: smooth_l1_forward(p, t, beta=beta),
        smooth_l1_backward,
        lambda p, t: functional.smooth_l1_loss(p, t, beta=beta),
        *(np.asarray(rng.normal(size=shape)) for _ in range(2)),
        rng=rng,
    )


def test_smooth_l1_worked_by_hand():
    predicted = np.array([0.5, 3.0, -2.0, 1.0])  # of 0: squared, straight, straight, the seam
    loss, cache = smooth_l1_forward(predicted, np.zeros(4))
    assert loss == pytest.approx((0.125 + 2.5 + 1.5 + 0.5) / 4, rel=1e-12)
    dpredicted, dtargets = smooth_l1_backward(8.0, cache)
    np.testing.assert_allclose(dpredicted, [1, 2, -2, 2], rtol=1e-12)
    np.testing.assert_allclose(dtargets, [-1, -2, 2, -2], rtol=1e-12)


def test_one_wrong_target_pulls_no_harder_however_wrong():
    predicted = np.array([0.1, 0.0])
    gradients = [
        smooth_l1_backward(1.0, smooth_l1_forward(predicted, np.array([0.0, wrong]))[1])[0]
        for wrong in (2.0, 1000.0)
    ]
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_smooth_l1_keeps_the_precision(dtype):
    loss, cache = smooth_l1_forward(np.ones((3, 4), dtype), np.zeros((3, 4), dtype))
    assert loss.dtype == smooth_l1_backward(1.0, cache)[0].dtype == dtype


@pytest.mark.parametrize(
    "predicted, targets, beta, error, message",
    [
        (
            np.ones((2, 4)),
            np.ones(4),
            1,
            ValueError,
            r"`targets` has shape \(4,\), expected \(2, 4",
        ),
        (
            np.ones((0, 4)),
            np.ones((0, 4)),
            1,
            ValueError,
            r"`predicted` has shape \(0, 4\), and no",
        ),
        (np.ones(4), np.ones(4), 0, ValueError, "`beta` is 0, expected a positive number"),
        (np.ones(4), np.ones(4), np.inf, ValueError, "`beta` is inf, expected a positive"),
        (np.ones(4, int), np.ones(4), 1, TypeError, "`predicted` holds int64, expected floating"),
        (
            np.ones(4),
            np.ones(4, np.float32),
            1,
            TypeError,
            "`targets` is float32, expected float64",
        ),
    ],
)
def test_smooth_l1_says_what_is_wrong(predicted, targets, beta, error, message):
    with pytest.raises(error, match=f"smooth_l1: {message}"):
        smooth_l1_forward(predicted, targets, beta=beta)


def test_smooth_l1_with_a_dy_that_is_not_a_scalar():
    _, cache = smooth_l1_forward(np.ones((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"smooth_l1_backward: `dy` has shape \(2, 3\), expected"):
        smooth_l1_backward(np.ones((2, 3)), cache)
