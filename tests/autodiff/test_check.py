"""check_gradients finds what is wrong, says where, and costs the same for any size."""

import numpy as np
import pytest

from course_lib.autodiff import check_gradients, primitive


def planted(entry, argument=0, forward=False):
    """A product whose derivative is wrong for one entry of one of its operands."""

    def fault(d, i):
        if i != argument:
            return d
        scale = np.ones(d.shape)
        scale[entry] = 1.5
        return d * scale

    def right(d, i):
        return d

    at, back = (fault, right) if forward else (right, fault)
    return primitive(
        lambda a, b: a * b,
        jvp=(lambda d, y, a, b: at(d, 0) * b, lambda d, y, a, b: a * at(d, 1)),
        vjp=(lambda d, y, a, b: back(d, 0) * b, lambda d, y, a, b: back(d, 1) * a),
        name="planted",
    )


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("entry", [(0, 0), (6, 3), (39, 49)])
def test_one_wrong_entry_of_two_thousand_is_found(rng, mode, argument, entry):
    f = planted(entry, argument, forward=mode == "forward")
    x = rng.normal(size=(2, 40, 50))
    place = rf"{mode} mode is wrong for argument {argument}, entry \[{entry[0]}, {entry[1]}\]"
    with pytest.raises(AssertionError, match=place):
        check_gradients(lambda a, b: np.sin(f(a, b)), *x)


def test_what_it_is_and_what_it_should_be():
    with pytest.raises(AssertionError, match=r"entry \[1\]: got 15, differences give 10$"):
        check_gradients(
            lambda a: np.sum(planted(1)(a, np.array([5.0, 10.0]))), np.array([1.0, 2.0])
        )


def test_trees_and_nothing():
    check_gradients(lambda p: {"y": p["w"] * p["b"]}, {"w": np.ones(3), "b": 2.0})
    check_gradients(lambda x: x * 2, np.zeros((0, 3)))
    check_gradients(lambda x: 3.0, 1.0)


def test_large_and_small_numbers(rng):
    check_gradients(lambda x: np.sum(x**2), 1e8 * rng.normal(size=5))
    check_gradients(lambda x: np.sum(x**2), 1e-8 * rng.normal(size=5))
    check_gradients(lambda x, y: np.sum(x * y), np.array([1e6, 2e6]), np.array([1e-6, 3e-6]))


def test_float32_is_checked_in_float64(rng):
    check_gradients(lambda x: np.sum(np.sin(x)), rng.normal(size=5).astype(np.float32))


def test_a_kink_is_explained():
    step = primitive(
        lambda x: np.maximum(x, 0),
        jvp=lambda x_dot, y, x: x_dot * (x > 0),
        vjp=lambda y_bar, y, x: y_bar * (x > 0),
        name="relu",
    )
    message = r"entry \[1\]: got 0, .* 0 on the left and 1 on the right: the function has a kink"
    with pytest.raises(AssertionError, match=message):
        check_gradients(lambda x: np.sum(step(x)), np.array([1.0, 0.0, -1.0]))
    check_gradients(lambda x: np.sum(step(x)), np.array([1.0, 0.1, -1.0]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_function_that_is_not_finite():
    with pytest.raises(ValueError, match="the function is not finite at these arguments"):
        check_gradients(np.log, np.array([1.0, 0.0]))


def test_a_function_that_looks_at_its_argument():
    def f(x):
        return x * 2 if isinstance(x, np.ndarray) else x * 3

    with pytest.raises(AssertionError, match="must not depend on the type of its arguments"):
        check_gradients(f, np.ones(2))


def test_the_cost_does_not_grow(rng):
    calls = []

    def f(x):
        calls.append(1)
        return np.sin(x)

    for n in (1, 10_000):
        calls.clear()
        check_gradients(f, rng.normal(size=n))
        assert len(calls) <= 8
