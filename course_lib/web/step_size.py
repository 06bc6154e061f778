"""The figure of the step size: how far a difference quotient is from the derivative."""

from html import escape

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import number, table

__all__ = ["step_size"]

STEPS = 2.0 ** np.arange(-54, 1)  # x + h is then not rounded, unless h is lost beside x
EPS = np.finfo(np.float64).eps
AROUND = np.linspace(-1, 1, 81)


def step_size(f, df, x, *, label):
    """Show the error of one-sided and central differences over the step, in float64.

    Truncation makes an error of about ``h / 2 |f''|`` or ``h**2 / 6 |f'''|``, and rounding, each
    computed f being off by up to about ``eps |f|``, one of up to ``2 eps |f| / h`` or
    ``eps |f| / h``. The figure draws both beside the errors that were measured.

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

    References
    ----------
    Nocedal & Wright (2006), "Numerical Optimization", section 8.1.
    """
    x = np.float64(x)
    right, left, curve = (
        np.array([f(x + offset) for offset in offsets], dtype=np.float64)
        for offsets in (STEPS, -STEPS, AROUND)
    )
    value, slope = np.float64(f(x)), np.float64(df(x))
    second, third = _bends(df, x)
    if not np.isfinite([value, slope, second, third, *right, *left, *curve]).all():
        raise ValueError(
            f"step_size: {label} is not finite within 1 of x = {x}, expected a function that is"
        )
    quotients = {
        "one-sided": (right - value) / STEPS,
        "central": (right - left) / (2 * STEPS),
    }
    errors = {name: np.abs(quotient - slope) for name, quotient in quotients.items()}
    best = {name: STEPS[np.argmin(error)] for name, error in errors.items()}
    title = (
        f"The derivative of {label} at {number(x)} is {slope:.6g}. The smallest error is at "
        + " and at ".join(f"h = {h:.1e} ({name})" for name, h in best.items())
        + "."
    )
    rows = [
        (f"{h:.1e}", *(f"{error[i]:.1e}" for error in errors.values()))
        for i, h in enumerate(STEPS)
        if (i - len(STEPS) + 1) % 4 == 0
    ]
    written = table("Error of the difference quotient", ("h", *errors), rows)
    return Figure(
        tag="course-step-size",
        parts=("figure", "step-size"),
        data={
            "label": label,
            "x": float(x),
            "value": float(value),
            "slope": float(slope),
            "curve": [[float(x + dx), float(y)] for dx, y in zip(AROUND, curve, strict=True)],
            "steps": STEPS.tolist(),
            "ends": {"right": right.tolist(), "left": left.tolist()},
            "quotients": {name: q.tolist() for name, q in quotients.items()},
            # Each is a factor, times h to a power.
            "truncation": {"one-sided": [abs(second) / 2, 1], "central": [abs(third) / 6, 2]},
            "rounding": {
                "one-sided": [2 * EPS * abs(float(value)), -1],
                "central": [EPS * abs(float(value)), -1],
            },
        },
        fallback=f'<p>{escape(title)}</p>\n<div class="course-static">\n{written}\n</div>',
        text="\n".join([title, *("  ".join(row) for row in rows)]),
    )


def _bends(df, x):
    """The second and third derivative, by central differences of the first at their best steps."""
    h, k = EPS ** (1 / 3), EPS ** (1 / 4)
    second = (df(x + h) - df(x - h)) / (2 * h)
    third = (df(x + k) - 2 * df(x) + df(x - k)) / k**2
    return float(second), float(third)
