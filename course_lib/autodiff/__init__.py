"""Derivatives of functions written in plain NumPy, forward and reverse, over one table of rules.

>>> import numpy as np
>>> grad(lambda x: np.sum(np.sin(x)))(np.zeros(3))
array([1., 1., 1.])
"""

from course_lib.autodiff.check import check_gradients
from course_lib.autodiff.graph import trace
from course_lib.autodiff.ledger import count
from course_lib.autodiff.newton import conjugate_gradient, newton_step
from course_lib.autodiff.primitive import primitive
from course_lib.autodiff.transforms import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

__all__ = [
    "check_gradients",
    "conjugate_gradient",
    "count",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "newton_step",
    "primitive",
    "trace",
    "value_and_grad",
    "vjp",
]
