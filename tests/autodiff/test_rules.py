"""Every rule of the table, in both modes, against differences and against its own transpose."""

import numpy as np
import pytest

from course_lib.autodiff import count, grad, jvp, vjp
from course_lib.autodiff.engine import RULES, Forward, Traced
from course_lib.autodiff.rules import elementwise, reductions, shapes

from .samples import ALL, SAMPLES

ZERO_SLOPE = [*elementwise.ZERO_SLOPE, *reductions.ZERO_SLOPE, *shapes.ZERO_SLOPE]
every_sample = pytest.mark.parametrize("sample", ALL, ids=lambda s: s.name)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def difference(f, x, x_dot, step=1e-3):
    """Directional derivative by central differences of two steps, the error of order 4 removed."""

    def central(h):
        ahead = f(*(a + h * d for a, d in zip(x, x_dot, strict=True)))
        behind = f(*(a - h * d for a, d in zip(x, x_dot, strict=True)))
        return (ahead - behind) / (2 * h)

    return (4 * central(step / 2) - central(step)) / 3


def inner(a, b):
    return sum(np.sum(x * y) for x, y in zip(a, b, strict=True))


def test_every_rule_has_a_sample():
    missing = [f.__name__ for f in RULES if f not in SAMPLES and f not in ZERO_SLOPE]
    assert not missing, f"add calls of {missing} to samples.py"


@every_sample
def test_forward_matches_differences(rng, sample):
    x = sample.arguments(rng)
    x_dot = [0.1 * rng.normal(size=a.shape) for a in x]
    y, y_dot = jvp(sample.f, x, x_dot)
    np.testing.assert_allclose(y, sample.f(*x), rtol=1e-12)
    np.testing.assert_allclose(y_dot, difference(sample.f, x, x_dot), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sample", [s for s in ALL if s.analytic], ids=lambda s: s.name)
def test_forward_matches_a_complex_step(rng, sample):
    x = sample.arguments(rng)
    x_dot = [rng.normal(size=a.shape) for a in x]
    _, y_dot = jvp(sample.f, x, x_dot)
    stepped = sample.f(*(a + 1e-30j * d for a, d in zip(x, x_dot, strict=True)))
    np.testing.assert_allclose(y_dot, np.imag(stepped) / 1e-30, rtol=1e-11, atol=1e-13)


@every_sample
def test_reverse_is_the_transpose_of_forward(rng, sample):
    x = sample.arguments(rng)
    x_dot = [rng.normal(size=a.shape) for a in x]
    y, pullback = vjp(sample.f, *x)
    y_bar = rng.normal(size=np.shape(y))
    x_bar = pullback(y_bar)
    assert [a.shape for a in x_bar] == [a.shape for a in x]
    _, y_dot = jvp(sample.f, x, x_dot)
    np.testing.assert_allclose(inner([y_bar], [y_dot]), inner(x_bar, x_dot), rtol=1e-10, atol=1e-12)


@every_sample
def test_rules_can_be_differentiated_again(rng, sample):
    x = sample.arguments(rng)
    v = [0.1 * rng.normal(size=a.shape) for a in x]
    weight = rng.normal(size=np.shape(sample.f(*x)))

    def gradient(*x):
        return grad(lambda x: np.sum(weight * np.tanh(sample.f(*x))))(x)

    def slope(*x):  # <gradient, v> by forward mode alone
        return jvp(lambda *x: np.sum(weight * np.tanh(sample.f(*x))), x, v)[1]

    _, forward_over_reverse = jvp(gradient, x, v)
    reverse_over_reverse = grad(lambda x: inner(gradient(*x), v))(x)
    reverse_over_forward = grad(lambda x: slope(*x))(x)
    for i, a in enumerate(forward_over_reverse):
        np.testing.assert_allclose(reverse_over_reverse[i], a, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(reverse_over_forward[i], a, rtol=1e-9, atol=1e-11)
    by_difference = difference(slope, x, v)
    np.testing.assert_allclose(inner(forward_over_reverse, v), by_difference, rtol=1e-5, atol=1e-7)


@every_sample
def test_float32_stays_float32(rng, sample):
    x = [a.astype(np.float32) for a in sample.arguments(rng)]
    y, y_dot = jvp(sample.f, x, x)
    expected = sample.f(*x).dtype
    assert (y.dtype, y_dot.dtype) == (expected, expected)
    _, pullback = vjp(sample.f, *x)
    assert {a.dtype for a in pullback(y)} == {np.dtype(np.float32)}


@every_sample
def test_derivatives_have_the_precision_of_their_values(rng, sample):
    """Also halfway, where float32 meets float64."""
    x = [a.astype(np.float32) for a in sample.arguments(rng)]
    first, *others = x
    others = [a.astype(np.float64) for a in others]
    sweep = Forward()
    y = sample.f(Traced(first, sweep, first), *others)
    assert y.mark.dtype == y.value.dtype
    (x_bar,) = vjp(lambda x: sample.f(x, *others), first)[1](np.ones(y.shape))
    assert x_bar.dtype == np.float32


@every_sample
def test_operations_can_be_counted(rng, sample):
    x = sample.arguments(rng)
    _, expected = jvp(sample.f, x, x)
    with count() as ledger:
        _, y_dot = jvp(sample.f, x, x)
    np.testing.assert_array_equal(y_dot, expected)
    assert ledger.multiply_adds >= 0
    assert ledger.elementwise >= 0
