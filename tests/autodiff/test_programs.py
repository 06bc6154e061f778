"""Random programs: derivatives of whatever order agree with torch.func."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import autodiff as ad

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
LARGEST = 36  # entries of an array

# Each step takes arrays and gives one; the second function is the same in PyTorch. The steps keep
# numbers of moderate size, and away from kinks but for those of probability 0.
ONE = {
    "sin": (np.sin, torch.sin),
    "tanh": (np.tanh, torch.tanh),
    "arctan": (np.arctan, torch.arctan),
    "negative": (lambda x: -x, lambda x: -x),
    "abs": (abs, abs),
    "exp": (lambda x: np.exp(-x * x), lambda x: torch.exp(-x * x)),
    "log1p": (lambda x: np.log1p(x**2), lambda x: torch.log1p(x**2)),
    "sqrt": (lambda x: np.sqrt(1 + x * x), lambda x: torch.sqrt(1 + x * x)),
    "relu": (lambda x: np.maximum(x, 0.1), lambda x: torch.clamp(x, min=0.1)),
    "clip": (lambda x: np.clip(x, -0.5, 0.6), lambda x: torch.clamp(x, -0.5, 0.6)),
    "cube": (lambda x: np.tanh(x) ** 3, lambda x: torch.tanh(x) ** 3),
    "where": (
        lambda x: np.where(x > 0.2, x, np.sin(x)),
        lambda x: torch.where(x > 0.2, x, torch.sin(x)),
    ),
    "sum": (lambda x: x.sum(axis=-1), lambda x: x.sum(-1)),
    "mean": (lambda x: np.mean(x, axis=0, keepdims=True), lambda x: x.mean(0, keepdim=True)),
    "max": (lambda x: np.max(x, axis=-1), lambda x: x.amax(-1)),
    "min": (lambda x: x.min(axis=0), lambda x: x.amin(0)),
    "prod": (lambda x: np.prod(np.cos(x), axis=-1), lambda x: torch.prod(torch.cos(x), -1)),
    "var": (lambda x: np.var(x, axis=0), lambda x: x.var(0, correction=0)),
    "cumsum": (lambda x: np.cumsum(x, axis=-1) / 4, lambda x: torch.cumsum(x, -1) / 4),
    "softmax": (
        lambda x: (
            np.exp(x - np.max(x, axis=-1, keepdims=True))
            / np.sum(np.exp(x - np.max(x, axis=-1, keepdims=True)), axis=-1, keepdims=True)
        ),
        lambda x: torch.softmax(x, -1),
    ),
    "sort": (lambda x: np.sort(x, axis=-1), lambda x: torch.sort(x, -1)[0]),
    "flip": (lambda x: np.flip(x, 0), lambda x: torch.flip(x, (0,))),
    "roll": (lambda x: np.roll(x, 1, axis=-1), lambda x: torch.roll(x, 1, -1)),
    "ravel": (np.ravel, torch.ravel),
    "first": (lambda x: x[0], lambda x: x[0]),
    "every other": (lambda x: x[..., ::2], lambda x: x[..., ::2]),
    "again": (lambda x: x[[0, -1, 0]], lambda x: x[[0, -1, 0]]),
    "new axis": (lambda x: x[:, None], lambda x: x[:, None]),
    "transpose": (lambda x: np.moveaxis(x, 0, -1), lambda x: torch.movedim(x, 0, -1)),
    "pad": (
        lambda x: np.pad(x, [(0, 0)] * len(x[0].shape) + [(1, 2)]),
        lambda x: torch.nn.functional.pad(x, (1, 2)),
    ),
    "gram": (lambda x: x @ np.swapaxes(x, -1, -2) / 4, lambda x: x @ torch.swapaxes(x, -1, -2) / 4),
    "norm": (lambda x: np.linalg.norm(x, axis=-1), lambda x: torch.linalg.norm(x, dim=-1)),
    "inv": (
        lambda x: np.linalg.inv(np.tanh(x) + 4 * np.eye(x.shape[-1])),
        lambda x: torch.linalg.inv(torch.tanh(x) + 4 * torch.eye(x.shape[-1], dtype=x.dtype)),
    ),
}
TWO = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "subtract": (lambda x, y: x - y, lambda x, y: x - y),
    "multiply": (lambda x, y: x * np.sin(y), lambda x, y: x * torch.sin(y)),
    "divide": (lambda x, y: x / (2 + y * y), lambda x, y: x / (2 + y * y)),
    "maximum": (np.maximum, torch.maximum),
    "minimum": (np.minimum, torch.minimum),
    "logaddexp": (np.logaddexp, torch.logaddexp),
    "arctan2": (lambda x, y: np.arctan2(x, 2 + y * y), lambda x, y: torch.arctan2(x, 2 + y * y)),
    "power": (
        lambda x, y: (1.5 + np.sin(x)) ** np.tanh(y),
        lambda x, y: (1.5 + torch.sin(x)) ** torch.tanh(y),
    ),
    "stack": (lambda x, y: np.stack([x, y], axis=-1), lambda x, y: torch.stack([x, y], -1)),
    "concatenate": (lambda x, y: np.concatenate([x, y]), lambda x, y: torch.cat([x, y])),
    "matmul": (lambda x, y: np.tanh(x) @ np.sin(y), lambda x, y: torch.tanh(x) @ torch.sin(y)),
    "outer": (lambda x, y: np.outer(x, y), lambda x, y: torch.outer(x.ravel(), y.ravel())),
    "einsum": (
        lambda x, y: np.einsum("...i,...i->...", np.sin(x), np.cos(y)),
        lambda x, y: torch.einsum("...i,...i->...", torch.sin(x), torch.cos(y)),
    ),
}
STEPS = [*ONE.values(), *TWO.values()]

steps = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 9), st.integers(0, 9)),
    min_size=3,
    max_size=12,
)


def feasible(program, *arrays):
    """Return the steps that can be done, and shapes allow; decided once, in plain NumPy."""
    pool, kept = list(arrays), []
    for step, i, j in program:
        takes = [pool[i % len(pool)], pool[j % len(pool)]][: 1 if step < len(ONE) else 2]
        try:
            y = STEPS[step][0](*takes)
        except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):
            continue
        if 0 < np.size(y) <= LARGEST:
            kept.append((step, i % len(pool), j % len(pool)))
            pool.append(y)
    return kept


def run(program, arrays, which):
    pool = list(arrays)
    for step, i, j in program:
        takes = [pool[i], pool[j]][: 1 if step < len(ONE) else 2]
        pool.append(STEPS[step][which](*takes))
    return pool[-3:]


def ours(program):
    return lambda *x: np.concatenate([np.ravel(y) for y in run(program, x, 0)])


def theirs(program):
    return lambda *x: torch.cat([torch.ravel(y) for y in run(program, x, 1)])


def check(program, seed):
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=shape) for shape in ((3,), (2, 3), (3, 3))]
    x_dot = [rng.normal(size=a.shape) for a in x]
    program = feasible(program, *x)
    f, g = ours(program), theirs(program)
    tx, tx_dot = ([torch.tensor(a) for a in some] for some in (x, x_dot))

    y, y_dot = ad.jvp(f, x, x_dot)
    expected, expected_dot = torch.func.jvp(g, tuple(tx), tuple(tx_dot))
    np.testing.assert_allclose(y, expected, **CLOSE)
    np.testing.assert_allclose(y_dot, expected_dot, **CLOSE)

    y_bar = rng.normal(size=y.shape)
    _, pullback = ad.vjp(f, *x)
    _, their_pullback = torch.func.vjp(g, *tx)
    for got, expected in zip(pullback(y_bar), their_pullback(torch.tensor(y_bar)), strict=True):
        np.testing.assert_allclose(got, expected, **CLOSE)

    jacobian = torch.func.jacrev(g)(*tx)
    np.testing.assert_allclose(ad.jacrev(f)(*x), jacobian, **CLOSE)
    np.testing.assert_allclose(ad.jacfwd(f)(*x), jacobian, **CLOSE)

    def loss(x0):
        return np.sum(np.sin(f(x0, *x[1:])))

    def their_loss(x0):
        return torch.sum(torch.sin(g(x0, *tx[1:])))

    _, product = torch.func.jvp(torch.func.grad(their_loss), (tx[0],), (tx_dot[0],))
    np.testing.assert_allclose(ad.hvp(loss, x[0], x_dot[0]), product, **CLOSE)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")  # inside torch.func.jvp
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@settings(max_examples=40, derandomize=True, deadline=None)
@given(steps, st.integers(0, 2**16))
def test_random_programs_agree_with_torch(program, seed):
    check(program, seed)
