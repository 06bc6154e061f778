"""The figure of the step size: how far a difference quotient is from the derivative."""

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import number, table

__all__ = ["step_size"]

STEPS = 10.0 ** np.arange(-16, 0.25, 0.25)


def step_size(f, df, x, *, label):
    """Show the error of one-sided and central differences over the step, in float64.

    Parameters
    ----------
    f, df : callable
        A function of one number, and its derivative.
    x : float
        Where to differentiate.
    label : str
        What `f` is called, such as ``"sin x"``.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If `f` or `df` is not finite where it is needed.
    """
    x = np.float64(x)
    right, left = (np.array([f(x + sign * h) for h in STEPS]) for sign in (1, -1))
    value, slope = np.float64(f(x)), np.float64(df(x))
    if not np.isfinite([value, slope, *right, *left]).all():
        raise ValueError(
            f"step_size: {label} is not finite within 1 of x = {x}, expected a function that is"
        )
    quotients = {
        "one-sided": (right - value) / STEPS,
        "central": (right - left) / (2 * STEPS),
    }
    errors = {name: np.abs(quotient - slope) for name, quotient in quotients.items()}
    rows = [
        (f"{h:.0e}", *(f"{errors[name][i]:.1e}" for name in errors))
        for i, h in enumerate(STEPS)
        if i % 4 == 0
    ]
    best = {name: STEPS[np.argmin(error)] for name, error in errors.items()}
    title = (
        f"The derivative of {label} at {number(x)} is {slope:.6g}. The smallest error is at "
        + " and at ".join(f"h = {h:.1e} ({name})" for name, h in best.items())
        + "."
    )
    written = table("Error of the difference quotient", ("h", *errors), rows)
    return Figure(
        tag="course-step-size",
        parts=("figure",),
        data={"label": label, "x": float(x), "value": float(value), "slope": float(slope)}
        | {"steps": STEPS.tolist()}
        | {"quotients": {name: q.tolist() for name, q in quotients.items()}},
        fallback=f'<p>{title}</p>\n<div class="course-static">\n{written}\n</div>',
        text="\n".join([title, *("  ".join(row) for row in rows)]),
    )
