import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_reference import assert_matches_torch

from course_lib.numpy_layers import cross_entropy_backward, cross_entropy_forward


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
