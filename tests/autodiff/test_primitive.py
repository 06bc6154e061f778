"""The door for new rules: functions of Python, and of NumPy that have none yet."""

import numpy as np
import pytest

from course_lib.autodiff import check_gradients, count, grad, hvp, jvp, primitive, vjp
from course_lib.autodiff.engine import RULES
from course_lib.autodiff.primitive import PRIMITIVES


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@primitive(
    jvp=lambda x_dot, y, x: x_dot * sigmoid(x),
    vjp=lambda y_bar, y, x: y_bar * sigmoid(x),
)
def softplus(x):
    """Smooth ReLU."""
    return np.logaddexp(0.0, x)


scaled = primitive(  # two operands, an option, and linear in each of them
    lambda x, w, *, times=1: times * x * w,
    jvp="linear",
    vjp=(
        lambda y_bar, x, w, *, times=1: times * y_bar * w,
        lambda y_bar, x, w, *, times=1: times * y_bar * x,
    ),
    keeps="inputs",
    cost=lambda y, x, w, *, times=1: (2 * np.size(y), 0),
    name="scaled",
)


@pytest.fixture
def forget():
    """Take rules out of the table again that a test has put in."""
    before, many = dict(RULES), len(PRIMITIVES)
    yield
    RULES.clear()
    RULES.update(before)
    del PRIMITIVES[many:]


def test_a_function_of_ones_own(rng):
    x, v = rng.normal(size=(2, 4))
    assert (softplus.__name__, softplus.__doc__) == ("softplus", "Smooth ReLU.")
    np.testing.assert_allclose(softplus(x), np.logaddexp(0, x))
    check_gradients(softplus, x)
    np.testing.assert_allclose(grad(lambda x: np.sum(softplus(x)))(x), sigmoid(x), rtol=1e-14)
    slope = sigmoid(x) * (1 - sigmoid(x))
    np.testing.assert_allclose(hvp(lambda x: np.sum(softplus(x)), x, v), slope * v, rtol=1e-12)


def test_options_and_linear_operands(rng):
    x, w = rng.normal(size=(2, 4))
    check_gradients(lambda x, w: scaled(x, w, times=3), x, w)
    check_gradients(lambda x: scaled(x, w), x)
    check_gradients(lambda w: scaled(x, w), w)
    np.testing.assert_array_equal(scaled(x, w, times=2), 2 * x * w)
    with pytest.raises(TypeError, match="scaled: no derivative with respect to `times`"):
        grad(lambda t: np.sum(scaled(x, w, times=t)))(2.0)
    with pytest.raises(TypeError, match="scaled: `power` has no rule for a traced value"):
        grad(lambda x: np.sum(scaled(x, w, power=2)))(x)


def test_the_cost_is_counted(rng):
    x, w = rng.normal(size=(2, 4))
    with count() as ledger:
        vjp(lambda x: scaled(x, w, times=3), x)
    assert ledger.multiply_adds == 8


def test_a_rule_may_be_wrong_and_the_check_says_where():
    wrong = primitive(
        lambda x: x**2,
        jvp=lambda x_dot, y, x: 2 * x * x_dot,
        vjp=lambda y_bar, y, x: x * y_bar,
        name="wrong",
    )
    with pytest.raises(AssertionError, match=r"reverse mode is wrong for argument 0, entry \[\d\]"):
        check_gradients(wrong, np.array([1.0, 2.0]))


def test_a_function_of_numpys_can_be_taught(forget):
    def slope(d, x):
        return d * (np.cos(np.pi * x) - np.sinc(x)) / x

    taught = primitive(
        np.sinc,
        jvp=lambda x_dot, y, x: slope(x_dot, x),
        vjp=lambda y_bar, y, x: slope(y_bar, x),
    )
    assert taught is np.sinc
    check_gradients(np.sinc, np.array([0.3, -1.2]))
    by_hand = grad(grad(lambda x: np.sin(np.pi * x) / (np.pi * x)))(0.7)
    np.testing.assert_allclose(grad(grad(np.sinc))(0.7), by_hand, rtol=1e-12)


def test_a_ufunc_can_be_taught(forget):
    def signs(d, x, s):
        return d * np.sign(x) * np.sign(s)

    primitive(
        np.copysign,
        jvp=(lambda x_dot, y, x, s: signs(x_dot, x, s), lambda s_dot, y, x, s: 0 * s_dot),
        vjp=(lambda y_bar, x, s: signs(y_bar, x, s), lambda y_bar, x, s: 0 * y_bar),
        keeps="inputs",
    )
    check_gradients(np.copysign, np.array([0.3, -1.2]), np.array([-1.0, -2.0]))


def test_checkpointing_is_a_primitive():
    """Keep the argument instead of everything inside, and compute it again on the way back."""

    def checkpoint(f):
        return primitive(
            f,
            jvp=lambda x_dot, y, x: jvp(f, (x,), (x_dot,))[1],
            vjp=lambda y_bar, x: vjp(f, x)[1](y_bar)[0],
            keeps="inputs",
        )

    def block(x):
        for _ in range(10):
            x = np.sin(x) * 2
        return x

    def chain(block):
        return lambda x: np.sum(block(block(block(x))))

    x = np.linspace(0, 1, 1000)
    with count() as plain:
        expected = grad(chain(block))(x)
    with count() as saving:
        got = grad(chain(checkpoint(block)))(x)
    np.testing.assert_array_equal(got, expected)
    first, again = plain.sweeps[0].tape_bytes, saving.sweeps[0].tape_bytes
    assert again < first / 5
    np.testing.assert_allclose(
        hvp(chain(checkpoint(block)), x, x), hvp(chain(block), x, x), rtol=1e-12
    )
