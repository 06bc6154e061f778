"""The figure of a recurrent unit unrolled over time, and of the gradient on its way back."""

from numbers import Real

import numpy as np

from course_lib.numpy_layers import rnn_backward, rnn_forward
from course_lib.web.figure import Figure
from course_lib.web.tables import number, table

__all__ = ["LOSSES", "unrolled", "unrolled_net"]

WHERE = "unrolled_net"
PARTS = ("figure", "choices", "unrolled-net")
LOSSES = ("last", "every")
MOST_WEIGHT, TENTHS = 3, 10  # of the slider of the recurrent weight: so far, and steps to 1


def unrolled_net(x, *, h0=0.0, weight_x=1.0, weight_h=0.8, bias=0.0, loss="last"):
    """Unroll a recurrent unit over time, and go back through it step by step.

    One unit, ``h_t = tanh(w_x x_t + w_h h_(t-1) + b)``, over two to six steps, so that each number
    is one number. Forward each step computes a state; backward each hands the gradient to the step
    before, times ``w_h (1 - h_t^2)``, and adds its term to the gradient of the weights, which all
    steps share. The recurrent weight and the size of the inputs can be moved.

    One can find out

    - that the gradient of a shared weight is a sum over the steps, and which step gives most;
    - that without inputs the gradient shrinks or grows by the same factor at each step: w_h;
    - that with them a large w_h does not make it explode: the unit saturates, and it vanishes.

    Parameters
    ----------
    x : array_like, shape (T,)
        The inputs, of 2 to 6 steps, -3 to 3 each. The page keeps thousandths.
    h0, weight_x, bias : float
        The state before the first step, in -1..1, and what does not move: the weight of the input
        and the bias, -3 to 3. The page keeps thousandths.
    weight_h : float
        The recurrent weight at first, a multiple of 0.1 in -3..3.
    loss : {"last", "every"}
        The loss at first: the last state, or the sum of all states. Both are linear, so that the
        gradient that comes to a state from above is 1 or 0.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a shape or a number is out of its range.

    References
    ----------
    Pascanu et al. (2013), "On the difficulty of training recurrent neural networks", section 2.
    """
    inputs = np.asarray(x, float)
    if inputs.ndim != 1 or not 2 <= len(inputs) <= 6:
        raise ValueError(
            f"{WHERE}: `x` has shape {inputs.shape}, expected (T,), one input for each of 2 to 6 "
            f"steps"
        )
    if not (abs(inputs) <= MOST_WEIGHT).all():
        raise ValueError(f"{WHERE}: `x` is {inputs.tolist()}, expected numbers in -3..3")
    limits = {
        "h0": (h0, 1),
        "weight_x": (weight_x, 3),
        "bias": (bias, 3),
        "weight_h": (weight_h, 3),
    }
    for name, (value, most) in limits.items():
        if not (isinstance(value, Real) and -most <= value <= most):
            raise ValueError(
                f"{WHERE}: `{name}` is {value!r}, expected a number in -{most}..{most}"
            )
    if not np.isclose(TENTHS * weight_h, round(TENTHS * weight_h)):
        raise ValueError(f"{WHERE}: `weight_h` is {weight_h!r}, expected a multiple of 0.1")
    if loss not in LOSSES:
        raise ValueError(f"{WHERE}: `loss` is {loss!r}, expected 'last' or 'every'")
    inputs = inputs.round(3) + 0.0
    h0, weight_x, bias = (round(float(value), 3) + 0.0 for value in (h0, weight_x, bias))
    weight_h = round(TENTHS * weight_h) / TENTHS

    found = unrolled(inputs, h0, weight_x, weight_h, bias, loss)
    sums = [f"{name} = {number(found[name])}" for name in ("dw_h", "dw_x", "db")]
    title = (
        f"A recurrent unit over {len(inputs)} steps, w_x = {number(weight_x)}, "
        f"w_h = {number(weight_h)}, b = {number(bias)}, h0 = {number(h0)}; the loss is "
        + ("the last state" if loss == "last" else "the sum of all states")
    )
    headers = ["step", "x", "h", "dL/dh", "hands back times", "term of dw_h"]
    rows = [
        [str(t + 1), *(number(found[name][t]) for name in ("x", "h", "dh", "factor", "term"))]
        for t in range(len(inputs))
    ]
    return Figure(
        tag="course-unrolled-net",
        parts=PARTS,
        data={
            "x": inputs.tolist(),
            "h0": h0,
            "weight_x": weight_x,
            "weight_h": round(TENTHS * weight_h),
            "bias": bias,
            "loss": loss,
        },
        fallback=f'<p>{title}.</p>\n<div class="course-static">\n'
        + table("Forward and backward", headers, rows)
        + f"\n</div>\n<p>Their sums: {', '.join(sums)}.</p>",
        text="\n".join(
            [f"{title}:", " | ".join(headers), *(" | ".join(row) for row in rows), ", ".join(sums)]
        ),
    )


def unrolled(x, h0, weight_x, weight_h, bias, loss):
    """Run one recurrent unit forward and backward, by the layers of the library.

    Parameters
    ----------
    x : array, shape (T,)
    h0, weight_x, weight_h, bias : float
    loss : {"last", "every"}
        The last state, or the sum of all states.

    Returns
    -------
    dict
        ``x``, ``h``, ``dh`` (the whole gradient of each state), ``factor`` (what a state's gradient
        is multiplied by on the way to the state before), ``term`` (what each step adds to ``dw_h``,
        ``terms_x`` and ``terms_b`` for the others), each (T,); and the sums ``dw_h``, ``dw_x``,
        ``db`` and ``dh0``, numbers.
    """
    T = len(x)
    weights = np.full((1, 1), weight_x), np.full((1, 1), weight_h), np.full(1, bias)
    start = np.full((1, 1), h0)
    h, cache = rnn_forward(x[None, :, None], start, *weights)
    above = np.ones((1, T, 1))
    if loss == "last":
        above[:, :-1] = 0
    _, dh0, dweight_x, dweight_h, dbias = rnn_backward(above, cache)
    h = h[0, :, 0]
    before = np.concatenate([[h0], h[:-1]])
    factor = weight_h * (1 - h**2)
    dh = above[0, :, 0].copy()
    for t in range(T - 1, 0, -1):
        dh[t - 1] += dh[t] * factor[t]
    da = dh * (1 - h**2)
    return {
        "x": x,
        "h": h,
        "dh": dh,
        "factor": factor,
        "term": da * before,
        "terms_x": da * x,
        "terms_b": da,
        "dw_h": dweight_h.item(),
        "dw_x": dweight_x.item(),
        "db": dbias.item(),
        "dh0": dh0.item(),
    }
