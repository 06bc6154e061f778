"""What is said about kinks, ties, and numbers that are none; beside PyTorch where it agrees."""

import numpy as np
import pytest
import torch

from course_lib.autodiff import grad, jvp, vjp


def both_modes(f, x):
    """Return the gradient of the sum of `f`, by a sweep back and by forward sweeps."""
    x = np.asarray(x, dtype=float)
    (gradient,) = vjp(f, x)[1](np.ones(np.shape(f(x))))
    columns = [np.sum(jvp(f, (x,), (e.reshape(x.shape),))[1]) for e in np.eye(x.size)]
    np.testing.assert_allclose(gradient, np.reshape(columns, x.shape), rtol=1e-14, atol=0)
    return gradient


def torch_gradient(f, x):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(f(x).sum(), x)[0].numpy()


AGREE = [
    (np.abs, torch.abs, [0.0, -1.0]),
    (lambda x: np.maximum(x, x[::-1]), lambda x: torch.maximum(x, x.flip(0)), [1.0, 2.0, 1.0]),
    (lambda x: np.minimum(x, 1.0), lambda x: torch.minimum(x, torch.ones(3)), [1.0, 2.0, 0.0]),
    (np.max, torch.amax, [3.0, 1.0, 3.0, 3.0]),
    (lambda x: np.min(x, axis=1), lambda x: torch.amin(x, 1), [[1.0, 1.0], [0.0, 2.0]]),
    (np.linalg.norm, torch.linalg.norm, [0.0, 0.0]),
    (lambda x: x**0, lambda x: x**0, [0.0, 2.0]),
    (lambda x: x**2, lambda x: x**2, [0.0, 2.0]),
    (lambda x: 0.0**x, lambda x: torch.tensor(0.0) ** x, [0.5, 2.0]),
    (lambda x: np.prod(x), torch.prod, [0.0, 2.0, 3.0]),
    (lambda x: np.prod(x), torch.prod, [0.0, 2.0, 0.0]),
    (lambda x: np.cumprod(x), lambda x: torch.cumprod(x, 0), [2.0, 0.0, 3.0, 0.0, 5.0]),
    (lambda x: np.remainder(x, 2.0), lambda x: torch.remainder(x, 2.0), [-3.0, 3.5]),
    (lambda x: np.sort(x)[:2], lambda x: torch.sort(x, stable=True)[0][:2], [1.0, 0.0, 1.0, 1.0]),
]


@pytest.mark.parametrize("f, g, x", AGREE)
def test_the_same_convention_as_torch(f, g, x):
    np.testing.assert_array_equal(both_modes(f, x), torch_gradient(g, x))


def test_a_tie_is_shared():
    np.testing.assert_array_equal(both_modes(np.max, [3.0, 3.0, 1.0]), [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(both_modes(lambda x: np.maximum(x, 0), [0.0]), [0.5])


def test_the_ends_of_a_range_are_ties():
    """PyTorch says 0 or a half there, depending on how the range is given."""
    gradient = both_modes(lambda x: np.clip(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(gradient, [0.0, 0.5, 1.0, 0.5, 0.0])


def test_the_slope_of_logaddexp_keeps_its_digits_where_it_is_tiny():
    z = np.array([-800.0, -40.0, 0.0, 40.0, 700.0])
    gradient = both_modes(lambda z: np.logaddexp(0.0, -z), z)
    np.testing.assert_allclose(gradient, -1 / (1 + np.exp(z)), rtol=1e-12, atol=0)


def test_sorting_keeps_the_order_of_equal_entries():
    weight = np.array([1.0, 10.0, 100.0])
    gradient = both_modes(lambda x: np.sort(x) * weight, [2.0, 1.0, 1.0])
    np.testing.assert_array_equal(gradient, [100.0, 1.0, 10.0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "f, g, x",
    [
        (np.log, torch.log, [0.0, np.inf, -1.0]),
        (np.sqrt, torch.sqrt, [0.0, np.inf]),
        (np.exp, torch.exp, [-np.inf, np.inf, np.nan]),
        (np.tanh, torch.tanh, [-np.inf, np.inf, np.nan]),
        (lambda x: 1 / x, lambda x: 1 / x, [0.0, np.inf]),
        (lambda x: np.where(x > 0, x, 0.0), lambda x: torch.where(x > 0, x, 0.0), [np.nan, np.inf]),
    ],
)
def test_infinities_flow_as_in_ieee_arithmetic(f, g, x):
    x, ones = np.array(x), np.ones(len(x))
    np.testing.assert_array_equal(vjp(f, x)[1](ones)[0], torch_gradient(g, x))
    np.testing.assert_array_equal(jvp(f, (x,), (ones,))[1], torch_gradient(g, x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_branch_that_is_not_taken_can_still_make_a_nan():
    """0 times infinity: the argument has to be made safe, not only the result."""

    def unsafe(x):
        return np.where(x > 0, np.log(x), 0.0)

    def safe(x):
        return np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)

    x = np.array([0.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(unsafe(x)))(x), [np.nan, 0.5])
    np.testing.assert_array_equal(grad(lambda x: np.sum(safe(x)))(x), [0.0, 0.5])


def test_numpys_own_warnings_are_heard():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        grad(np.sqrt)(0.0)


def test_the_maximum_of_a_nan():
    x = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(grad(np.max)(x), [0.0, 1.0, 0.0])


def test_a_singular_matrix():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        grad(np.linalg.det)(np.ones((2, 2)))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_nothing_in_nothing_out(shape):
    x = np.zeros(shape)
    for f in (np.sum, lambda x: np.sum(np.sin(x) @ np.ones(shape[-1])), lambda x: np.prod(x.T)):
        assert grad(f)(x).shape == shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_precision_of_the_argument_is_kept(dtype):
    x = np.array([0.5, 0.25], dtype)
    y, gradient = np.sum(x), grad(lambda x: np.sum(2 * np.sin(x) / 3 + x**2))(x)
    assert (y.dtype, gradient.dtype) == (dtype, dtype)
    mixed = grad(lambda x: np.sum(x * np.ones(2)))(x)  # float64 inside
    assert mixed.dtype == dtype
    assert jvp(lambda x: x * 2, (x,), (np.ones(2),))[1].dtype == dtype
