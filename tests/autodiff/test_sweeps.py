"""Sweeps inside sweeps, long tapes, closures, and what may not disturb a tape."""

import gc
import weakref

import numpy as np
import pytest

from course_lib.autodiff import (
    count,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    trace,
    value_and_grad,
    vjp,
)
from course_lib.autodiff.engine import plain


def derivative(f):
    """The derivative of a function of one number, by forward mode."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


MODES = [derivative, grad]


def test_the_worked_example():
    """f = x1 x2 + sin x1 at (2, 5): two forward sweeps, one back."""

    def f(x1, x2):
        return x1 * x2 + np.sin(x1)

    slopes = [jvp(f, (2.0, 5.0), seed)[1] for seed in [(1.0, 0.0), (0.0, 1.0)]]
    y, pullback = vjp(f, 2.0, 5.0)
    np.testing.assert_allclose(y, 10.9093, atol=5e-5)
    np.testing.assert_allclose(slopes, [4.5839, 2.0], atol=5e-5)
    np.testing.assert_allclose(pullback(1.0), slopes, rtol=1e-15)


def test_the_sigmoid_circuit():
    def f(w, x):
        return 1 / (1 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    w, x = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0])
    dw, dx = grad(f, argnums=(0, 1))(w, x)
    np.testing.assert_allclose(dw, [-0.1966, -0.3932, 0.1966], atol=5e-5)
    np.testing.assert_allclose(dx, [0.3932, -0.5898], atol=5e-5)


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_tangents_of_two_sweeps_do_not_mix(outer, inner):
    """d/dx (x d/dy (x + y)) is 1; an engine that confuses the two tangents says 2."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(3.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0


@pytest.mark.parametrize("third", MODES)
@pytest.mark.parametrize("second", MODES)
@pytest.mark.parametrize("first", MODES)
def test_three_derivatives_in_any_modes(first, second, third):
    assert third(second(first(lambda x: x**5)))(2.0) == 60 * 2.0**2
    np.testing.assert_allclose(third(second(first(np.sin)))(0.3), -np.cos(0.3), rtol=1e-14)


def test_a_derivative_inside_uses_what_is_traced_outside():
    def f(x):
        y, pullback = vjp(lambda z: z**3 * x, x)  # pullback: 3 z^2 x, at z = x
        return pullback(1.0)[0] + y

    assert grad(f)(2.0) == 9 * 2.0**2 + 4 * 2.0**3
    assert derivative(f)(2.0) == 9 * 2.0**2 + 4 * 2.0**3


def test_a_pullback_is_linear_and_can_be_differentiated():
    _, pullback = vjp(np.sin, 0.5)
    assert grad(lambda y_bar: pullback(y_bar)[0])(1.0) == np.cos(0.5)


@pytest.mark.parametrize(
    "modes", [(jacfwd, grad), (jacrev, grad), (jacrev, jacrev), (jacfwd, jacfwd)]
)
def test_hessians_agree(rng, modes):
    def f(x):
        return np.sum(np.sin(x) * x[::-1]) + np.prod(x)

    x, v = rng.normal(size=(2, 5))
    outer, inner = modes
    expected = hessian(f)(x)
    np.testing.assert_allclose(outer(inner(f))(x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(hvp(f, x, v), expected @ v, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(expected, expected.T, rtol=1e-12, atol=1e-12)


def test_a_value_used_twice_adds_up():
    def power_of_eight(x):
        for _ in range(3):
            x = x * x
        return x

    assert grad(power_of_eight)(3.0) == 8 * 3.0**7


def test_a_tape_of_100_000_operations():
    def f(x):
        y = x
        for _ in range(100_000):
            y = y + x
        return y

    assert grad(f)(1.0) == 100_001
    assert derivative(f)(1.0) == 100_001


def test_an_operation_that_does_not_matter_is_left_out():
    def f(x):
        np.log(x - 1)  # its slope is infinite at 1, and nobody asked
        return x * x

    with np.errstate(divide="ignore"):
        assert grad(f)(1.0) == 2.0


@pytest.mark.parametrize(
    "constant",
    [
        *(lambda x: 3.0, lambda x: np.ones(2), lambda x: np.floor(x), lambda x: np.argmax(x)),
        *(lambda x: x > 0, lambda x: 7, lambda x: np.sign(x) * 2, lambda x: np.zeros_like(x)),
    ],
)
def test_what_does_not_depend_on_the_argument_has_derivative_0(constant):
    x = np.array([1.5, -0.5])
    y, y_dot = jvp(constant, (x,), (x,))
    np.testing.assert_array_equal(y, constant(x))
    np.testing.assert_array_equal(y_dot, np.zeros(np.shape(y)))
    y, pullback = vjp(constant, x)
    np.testing.assert_array_equal(pullback(np.ones(np.shape(y)))[0], [0.0, 0.0])
    np.testing.assert_array_equal(jacrev(constant)(x), np.zeros((*np.shape(y), 2)))
    np.testing.assert_array_equal(jacfwd(constant)(x), np.zeros((*np.shape(y), 2)))


def test_trees_in_and_out():
    def f(params, x):
        return {"y": params["w"][0] * x, "more": (x, [params["b"]])}

    params = {"w": [np.array([2.0, 3.0])], "b": 5.0}
    x = np.array([1.0, 10.0])
    y, y_dot = jvp(f, (params, x), ({"w": [np.array([1.0, 0.0])], "b": 1.0}, np.zeros(2)))
    np.testing.assert_array_equal(y["y"], [2.0, 30.0])
    np.testing.assert_array_equal(y_dot["y"], [1.0, 0.0])
    assert y_dot["more"][1] == [1.0]
    _, pullback = vjp(f, params, x)
    dparams, dx = pullback({"y": np.array([1.0, 1.0]), "more": (np.array([0.0, 7.0]), [3.0])})
    np.testing.assert_array_equal(dparams["w"][0], x)
    assert dparams["b"] == 3.0
    np.testing.assert_array_equal(dx, [2.0, 10.0])
    with_gradient = value_and_grad(lambda params: np.sum(f(params, x)["y"]))(params)
    np.testing.assert_array_equal(with_gradient[1]["w"][0], x)


def test_one_value_returned_twice():
    _, pullback = vjp(lambda x: (x * 2, x * 2), 1.0)
    assert pullback((1.0, 10.0)) == (22.0,)
    _, pullback = vjp(lambda x: [x, x], 1.0)
    assert pullback([1.0, 10.0]) == (11.0,)


def test_arguments_that_are_not_differentiated_may_be_anything():
    def f(x, times, label="none"):
        return x * times if label == "yes" else 0.0

    assert grad(f)(2.0, 3, label="yes") == 3.0
    assert grad(f, argnums=-2)(2.0, 3, label="yes") == 3.0


def test_inputs_and_arrays_used_inside_may_change_afterwards():
    """A tape keeps copies: it is not broken by an array that is written into later."""
    x, scale, index = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0, 0])
    y, pullback = vjp(lambda x: np.exp(x * scale)[index] * x, x)
    expected = pullback(np.ones(2))[0]
    for array in (x, scale, index, y):
        array[:] = 1
    np.testing.assert_array_equal(pullback(np.ones(2))[0], expected)


def test_a_work_array_may_be_used_again_inside_the_function():
    def f(x):
        work, total = np.zeros(3), 0.0
        for i in range(3):
            work[i] = i + 1
            total = total + np.sum(x * work)
        return total

    np.testing.assert_array_equal(grad(f)(np.ones(3)), [3.0, 4.0, 3.0])


@pytest.mark.parametrize("use", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        lambda large: np.copyto(large, 2.0),
        lambda large: np.negative(large, out=large),  # from 0 to -0: equal numbers, other bits
        lambda large: large.resize(800, refcheck=False),
    ],
    ids=["values", "signs", "shape"],
)
def test_a_large_work_array_may_change_between_its_uses(change, use):
    """The second use must not get the copy of the first; 1 / 0 and 1 / -0 tell the signs apart."""
    large, expected = np.zeros(1000), np.zeros(1000)

    def f(x):
        uses = [np.sum(x / large)]
        change(large)
        uses.append(np.sum(x / large))
        large[:] = 7
        return uses[use]

    if use:
        change(expected)
    with np.errstate(divide="ignore"):
        assert grad(f)(1.0) == np.sum(1 / expected)


def test_views_of_one_memory_are_kept_apart(rng):
    """A matrix, its transpose, its upper half, its bits as integers: they begin in one place."""
    matrix = rng.normal(size=(32, 32))
    views = [matrix, matrix.T, matrix[:24], matrix.view(np.int64), matrix]
    weights = [rng.normal(size=view.shape) for view in views]

    def f(x):
        return [np.sum(x * view * w) for view, w in zip(views, weights, strict=True)]

    slopes = jacrev(f)(1.0)
    np.testing.assert_allclose(slopes, f(1.0), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.int8, bool])
def test_large_constants_of_any_kind_are_kept(dtype):
    constant = (np.arange(6000) % 2).astype(dtype)

    def f(x):
        y = np.sum(x * constant) + np.sum(x * constant)
        constant[:] = 0
        return y

    assert grad(f)(1.0) == 6000


@pytest.mark.parametrize("f", [lambda a, b: a + b, lambda a, b: a.T + b[:], np.maximum])
def test_gradients_may_be_written_into(f):
    """A sum hands one and the same gradient to both operands: they must come out as two."""
    y_bar = np.ones(3)
    _, pullback = vjp(f, np.zeros(3), np.zeros(3))
    da, db = pullback(y_bar)
    expected = db.copy()
    da *= 100
    np.testing.assert_array_equal(db, expected)
    np.testing.assert_array_equal(y_bar, np.ones(3))
    _, y_dot = jvp(f, (np.zeros(3), np.zeros(3)), (y_bar, np.zeros(3)))
    y_dot *= 100
    np.testing.assert_array_equal(y_bar, np.ones(3))


def test_the_gradient_of_a_sum_may_be_written_into():
    gradient = grad(np.sum)(np.ones((2, 3)))  # inside, one number, broadcast
    gradient[0, 0] = 7
    assert gradient.sum() == 12


def test_calls_do_not_share_anything():
    gradient = grad(lambda x: np.sum(x**2))
    first = gradient(np.ones(2))
    first += 100
    np.testing.assert_array_equal(gradient(np.ones(2)), [2.0, 2.0])


@pytest.fixture
def no_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def counted(f, x):
    with count() as ledger:
        grad(f)(x)
    return ledger


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x: grad(f)(x),
        lambda f, x: vjp(f, x)[1](1.0),
        lambda f, x: jvp(f, (x,), (x,)),
        lambda f, x: hvp(f, x, x),
        lambda f, x: hessian(f)(x),
        *(counted, trace),
    ],
    ids=["grad", "vjp", "jvp", "hvp", "hessian", "count", "trace"],
)
def test_a_sweep_is_forgotten_at_once(no_garbage_collector, derivative):
    """Nothing refers to itself in a circle, which would hold the arrays of a tape for longer."""
    inside = []

    def f(x):
        y = np.sin(x)
        inside.append(weakref.ref(plain(y)))
        return np.sum(y * y)

    derivative(f, np.ones(3))
    assert inside
    assert [array() for array in inside] == [None] * len(inside)


def test_an_exception_leaves_the_engine_as_it_was():
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 / 0)(1.0)
    assert grad(lambda x: x * x)(3.0) == 6.0
