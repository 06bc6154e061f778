"""Conjugate gradients and Newton's step, against dense linear algebra."""

import numpy as np
import pytest

from course_lib import autodiff
from course_lib.autodiff import conjugate_gradient, newton_step


def positive_definite(rng, eigenvalues):
    """Return a symmetric matrix with the given eigenvalues."""
    basis, _ = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))
    return basis * eigenvalues @ basis.T


def test_it_solves_what_a_dense_solver_solves(rng):
    A, b = positive_definite(rng, np.linspace(1, 50, 12)), rng.normal(size=12)
    x, residuals = conjugate_gradient(lambda v: A @ v, b)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), rtol=1e-9)
    assert residuals[0] == pytest.approx(np.linalg.norm(b))
    assert residuals[-1] <= 1e-10 * residuals[0]


def test_two_by_two_by_hand():
    """A = diag(1, 4), b = (1, 4): the first step goes 17/65 along b, the second arrives."""
    steps = [
        conjugate_gradient(lambda v: v * [1.0, 4.0], np.array([1.0, 4.0]), max_steps=k).x
        for k in range(3)
    ]
    np.testing.assert_allclose(steps, [[0, 0], [17 / 65, 68 / 65], [1, 1]], rtol=1e-14)


@pytest.mark.parametrize("different", [1, 2, 5])
def test_as_many_steps_as_different_eigenvalues(rng, different):
    A = positive_definite(rng, np.resize(np.arange(1.0, different + 1), 20))
    _, residuals = conjugate_gradient(lambda v: A @ v, rng.normal(size=20), rtol=1e-6)
    assert len(residuals) - 1 == different


def test_directions_are_conjugate(rng):
    A, seen = positive_definite(rng, np.linspace(1, 9, 8)), []
    conjugate_gradient(lambda v: seen.append(v) or A @ v, rng.normal(size=8))
    between = np.array(seen) @ A @ np.array(seen).T
    off = between - np.diag(np.diag(between))
    assert abs(off).max() < 1e-10 * between.max()


def test_an_array_of_any_shape_is_one_vector(rng):
    b = rng.normal(size=(3, 4))
    x, _ = conjugate_gradient(lambda v: 2 * v, b)
    np.testing.assert_allclose(x, b / 2)


def test_zero_needs_no_step():
    x, residuals = conjugate_gradient(lambda v: v, np.zeros(3))
    assert residuals == [0]
    np.testing.assert_array_equal(x, 0)


def test_float32_stays_float32():
    x, _ = conjugate_gradient(lambda v: 2 * v, np.ones(3, np.float32))
    assert x.dtype == np.float32


@pytest.mark.parametrize("factor", [0.0, -3.0])
def test_a_matrix_that_is_not_positive_definite_is_refused(factor):
    message = rf"curvature along direction 0 is {factor:.3g}, .*identity"  # not times a length
    with pytest.raises(ValueError, match=message):
        conjugate_gradient(lambda v: factor * v, np.full(2, 7.0))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"returned shape \(1,\), expected \(2,\) as `b`"):
        conjugate_gradient(lambda v: v[:1], np.ones(2))


def curved(x):
    return np.sum(np.exp(x)) + np.sum(x * x) + x[0] * x[1]


@pytest.mark.parametrize("damping", [0.0, 3.0])
def test_the_step_of_newton(rng, damping):
    x = rng.normal(size=5)
    H, g = autodiff.hessian(curved)(x), autodiff.grad(curved)(x)
    expected = np.linalg.solve(H + damping * np.eye(5), -g)
    np.testing.assert_allclose(newton_step(curved, x, damping=damping), expected, rtol=1e-8)


def test_a_parabola_needs_one_step(rng):
    A, b = positive_definite(rng, np.logspace(0, 3, 6)), rng.normal(size=6)
    x = rng.normal(size=6)
    there = x + newton_step(lambda x: x @ A @ x / 2 - b @ x, x)
    np.testing.assert_allclose(there, np.linalg.solve(A, b), rtol=1e-6)


def test_errors_are_squared(rng):
    x = rng.normal(size=5)
    sizes = []
    for _ in range(8):
        x = x + newton_step(curved, x)
        sizes.append(np.linalg.norm(autodiff.grad(curved)(x)))
    late = [k for k in range(7) if 1e-7 < sizes[k] < 1e-1]
    assert late
    assert all(sizes[k + 1] < 10 * sizes[k] ** 2 for k in late)


def test_a_saddle_is_refused_and_damping_mends_it():
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2

    x = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="not positive definite"):
        newton_step(saddle, x)
    np.testing.assert_allclose(newton_step(saddle, x, damping=4), [-2 / 6, 4 / 2])
