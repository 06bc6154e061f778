"""Break the recurrent layers on purpose: the tests must notice each well-known mistake."""

import inspect
import sys
import types

import numpy as np
import pytest
import test_attention
import test_recurrent

from course_lib.numpy_layers import recurrent

attention = sys.modules["course_lib.numpy_layers.attention"]  # not the function of this name
RECURRENT = {  # the mistake: the right line, the wrong one
    "dh from the future forgotten": ("(dh[:, t] + future) *", "dh[:, t] *"),
    "dh from the future for dh of the step": ("(dh[:, t] + future) *", "(future or dh[:, t]) *"),
    "the future through the untransposed weights": (
        "future = da[:, t] @ weight_h\n",
        "future = da[:, t] @ weight_h.T\n",
    ),
    "dh0 without the first step": (
        "return da @ weight_x, future, dweight_x, dweight_h, da.sum(axis=(0, 1))",
        "return da @ weight_x, da[:, -1] @ weight_h, dweight_x, dweight_h, da.sum(axis=(0, 1))",
    ),
    "dweight of the last step only": (
        "dweight_x, dweight_h = over_steps(da, x), over_steps(da, before(h, h0))",
        "dweight_x, dweight_h = da[:, -1].T @ x[:, -1], over_steps(da, before(h, h0))",
    ),
    "dweight_h with the state after": ("over_steps(da, before(h, h0))", "over_steps(da, h)"),
    "dweight averaged over time": (
        "da.reshape(-1, da.shape[-1]).T @ x.reshape(-1, x.shape[-1])",
        "da.reshape(-1, da.shape[-1]).T @ x.reshape(-1, x.shape[-1]) / da.shape[1]",
    ),
    "the slope of tanh by its input": (
        "da = dh_next * (1 - h_next * h_next)",
        "da = dh_next * (1 - h * h)",
    ),
    "the same state at every step": (
        "state = h[:, t] = np.tanh(h[:, t] + state @ weight_h.T)",
        "h[:, t] = np.tanh(h[:, t] + state @ weight_h.T)",
    ),
    "forwards in time": (
        "    for t in reversed(range(h.shape[1])):\n        da[:, t] =",
        "    for t in range(h.shape[1]):\n        da[:, t] =",
    ),
    "gates in the order z, r": ("r, z = gates[:", "z, r = gates[:"),
    "z keeps the candidate": (
        "return (1 - z) * candidate + z * h,",
        "return z * candidate + (1 - z) * h,",
    ),
    "no reset": ("+ r * from_h[:, 2 * H :])", "+ from_h[:, 2 * H :])"),
    "what z keeps forgotten": ("future = kept + da_h[:, t]", "future = da_h[:, t]"),
    "the candidate's slope alone for dz": ("(h - candidate) * z", "-candidate * z"),
    "the reset forgotten in dh": ("np.hstack([dr, dz, dc * r])", "np.hstack([dr, dz, dc])"),
    "one gradient where a word stands twice": (
        "np.add.at(dweight, tokens, dy)",
        "dweight[tokens] += dy",
    ),
}
ATTENTION = {
    "softmax over the wrong axis": (
        "e / e.sum(axis=1, keepdims=True)",
        "e / e.sum(axis=0, keepdims=True)",
    ),
    "no softmax in the gradient": (
        "dscores = weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True))",
        "dscores = dweights",
    ),
    "the slope of softmax on the diagonal only": (
        "(dweights - (weights * dweights).sum(axis=1, keepdims=True))",
        "dweights * (1 - weights)",
    ),
    "the query hears one place": ("dsum = dhidden.sum(axis=1)", "dsum = dhidden[:, 0]"),
    "the query is the mean of what it hears": ("dhidden.sum(axis=1)", "dhidden.mean(axis=1)"),
    "no tanh": ("(score * (1 - hidden * hidden))", "score"),
    "values alike": ("dvalues = weights[:, :, None] *", "dvalues = 0 * weights[:, :, None] +"),
}


def broken(monkeypatch, module, right, wrong, users):
    """Replace a line of a module, in it and in whatever has imported its functions."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} is not one place of {module.__name__}"
    copy = types.ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(copy))
    for user in users:
        for name, value in list(vars(user).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                monkeypatch.setattr(user, name, getattr(copy, name))


@pytest.mark.parametrize("mistake", RECURRENT)
def test_a_wrong_recurrence_is_noticed(monkeypatch, mistake):
    broken(monkeypatch, recurrent, *RECURRENT[mistake], users=[test_recurrent])
    with pytest.raises((AssertionError, ValueError)):
        check_recurrence()


@pytest.mark.parametrize("mistake", ATTENTION)
def test_a_wrong_attention_is_noticed(monkeypatch, mistake):
    broken(monkeypatch, attention, *ATTENTION[mistake], users=[test_attention])
    with pytest.raises((AssertionError, ValueError)):
        check_attention()


def test_the_right_ones_pass():
    check_recurrence()
    check_attention()


def check_recurrence():
    rng = np.random.default_rng(0)
    test_recurrent.test_matches_torch(rng, 3, 4, 5, 2)
    test_recurrent.test_a_word_that_stands_twice_gets_both_gradients()


def check_attention():
    test_attention.test_matches_torch(np.random.default_rng(0))
