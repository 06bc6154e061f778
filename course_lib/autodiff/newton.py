"""Second-order methods that know a Hessian only by its products with vectors."""

from typing import NamedTuple

import numpy as np

from course_lib.autodiff.transforms import grad, hvp

__all__ = ["Solution", "conjugate_gradient", "newton_step"]


class Solution(NamedTuple):
    """What :func:`conjugate_gradient` found.

    Attributes
    ----------
    x : ndarray, the shape of `b`
    residuals : list of float
        ``|b - A x|`` before the first step and after each one.
    """

    x: np.ndarray
    residuals: list


def conjugate_gradient(multiply, b, *, rtol=1e-10, max_steps=None):
    r"""Solve :math:`A x = b` for a symmetric positive definite :math:`A` that is never formed.

    Each step moves along a direction p that is conjugate to all earlier ones
    (:math:`p^\top A\, p_{\text{earlier}} = 0`), as far as the error in :math:`A`'s norm falls, so
    that no later step has to repair it. In exact arithmetic it ends after as many steps as
    :math:`A` has different eigenvalues.

    Parameters
    ----------
    multiply : callable
        Takes an array of the shape of `b` and returns :math:`A` times it, in the same shape.
    b : ndarray
        Right-hand side, of any shape, which is read as one vector.
    rtol : float
        Stop when the residual is at most ``rtol * |b|``.
    max_steps : int, optional
        Stop after so many steps at the latest; ``b.size`` if not given.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If `multiply` returns another shape, or :math:`A` turns out not to be positive definite.

    References
    ----------
    Hestenes & Stiefel (1952), "Methods of Conjugate Gradients for Solving Linear Systems",
    section 3.
    """
    x = np.zeros_like(b, dtype=np.result_type(b, np.float32))
    residual = b - x
    direction = residual
    square = np.vdot(residual, residual)
    residuals = [float(np.sqrt(square))]
    for step in range(b.size if max_steps is None else max_steps):
        if residuals[-1] <= rtol * residuals[0]:
            break
        image = multiply(direction)
        if np.shape(image) != b.shape:
            raise ValueError(
                f"conjugate_gradient: `multiply` returned shape {np.shape(image)}, expected "
                f"{b.shape} as `b`"
            )
        curvature = np.vdot(direction, image)
        if not curvature > 0:
            per_length = curvature / np.vdot(direction, direction)
            raise ValueError(
                f"conjugate_gradient: the curvature along direction {step} is {per_length:.3g}, "
                f"expected more than 0: the matrix is not positive definite; add a multiple of "
                f"the identity to it"
            )
        far = square / curvature
        x = x + far * direction
        residual = residual - far * image
        square, before = np.vdot(residual, residual), square
        direction = residual + square / before * direction
        residuals.append(float(np.sqrt(square)))
    return Solution(x, residuals)


def newton_step(f, x, *, damping=0.0, rtol=1e-10, max_steps=None):
    r"""Return Newton's step p, the solution of :math:`(H + \lambda I)\, p = -\nabla f(x)`.

    At ``x + p`` the parabola that fits `f` at `x` in value, slope and curvature is lowest.
    Conjugate gradients solve for p, one Hessian-vector product each: :math:`H` is not formed.

    Parameters
    ----------
    f : callable
        Takes one array, returns one number, in NumPy that :mod:`course_lib.autodiff` follows.
    x : ndarray
        The point.
    damping : float
        :math:`\lambda`; larger ones give shorter steps that turn towards the gradient's.
    rtol, max_steps
        As in :func:`conjugate_gradient`. A few steps give a truncated Newton step, which is
        often enough far from the minimum.

    Returns
    -------
    ndarray, the shape of `x`

    Raises
    ------
    ValueError
        If :math:`H + \lambda I` is not positive definite; a larger `damping` makes it so.

    References
    ----------
    Nocedal & Wright (2006), "Numerical Optimization", section 7.1.
    """

    def multiply(v):
        return hvp(f, x, v) + damping * v

    return conjugate_gradient(multiply, -grad(f)(x), rtol=rtol, max_steps=max_steps).x
