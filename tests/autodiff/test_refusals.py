"""What cannot be differentiated is refused with a sentence that says what to do instead."""

import math

import numpy as np
import pytest

from course_lib.autodiff import check_gradients, grad, jacfwd, jacrev, jvp, primitive, trace, vjp

X = np.array([1.0, 2.0, 3.0])
MODES = [lambda f: grad(f)(X), lambda f: jvp(f, (X,), (X,))]


def refuses(f, error, message):
    for run in MODES:
        with pytest.raises(error, match=message):
            run(f)


def add_in_place(x):
    x += 1.0
    return np.sum(x)


def scale_in_place(x):
    x *= x
    return np.sum(x)


def assign(x):
    x[0] = 0.0
    return np.sum(x)


def fill_an_array(x):
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y)


def add_to_an_array(x):
    y = np.zeros(3)
    y += x
    return np.sum(y)


def accumulate_at(x):
    y = np.zeros(3)
    np.add.at(y, [0, 0], x[0])
    return np.sum(y)


@pytest.mark.parametrize(
    "f, message",
    [
        (add_in_place, r"cannot be changed in place; instead of `x \+= y` write `x = x \+ y`"),
        (scale_in_place, r"cannot be changed in place"),
        (assign, r"instead of `x\[i\] = y` select with np.where, or join the parts with np.stack"),
        (add_to_an_array, r"np.add of a traced value takes no out: assign the result to a name"),
        (accumulate_at, r"np.add.at has no derivative here; on a traced value use"),
        (lambda x: np.add.reduce(x), r"np.add.reduce has no derivative here.*np.sum"),
        (lambda x: np.multiply.outer(x, x)[0, 0], r"np.multiply.outer has no derivative.*np.outer"),
        (lambda x: np.sin(x, out=np.zeros(3))[0], r"np.sin of a traced value takes no out"),
        (lambda x: np.sin(x, where=[True, False, True])[0], r"np.sin .* no where.*np.where"),
        (lambda x: float(x[0]), r"cannot become a plain number"),
        (lambda x: int(x[0]), r"cannot become a plain number"),
        (lambda x: complex(x[0]), r"cannot become a plain number"),
        (lambda x: math.sin(x[0]), r"cannot become a plain number.*math.sin"),
        (lambda x: np.asarray(x)[0], r"cannot become a plain number or array"),
        (lambda x: np.array([x[0], x[1]])[0], r"np.stack to make an array of traced values"),
        (lambda x: np.sum(x, dtype=np.float32), r"sum: `dtype` has no rule for a traced value"),
        (lambda x: np.sum(x, 0, np.float32), r"sum: .* at most 2 arguments go by position, got 3"),
        (lambda x: np.sum(x, where=x > 1), r"sum: `where` has no rule for a traced value"),
        (lambda x: np.sum(a=x), r"sum: no derivative with respect to `a`; .*by position"),
        (lambda x: np.roll(x, x[0])[0], r"roll: no derivative with respect to argument 1"),
        (lambda x: np.var(x, dtype=float), r"var\(\) got an unexpected keyword argument 'dtype'"),
        (lambda x: list(x[0]), r"iteration over a traced value with 0 axes"),
        (lambda x: hash(x), r"unhashable"),
        (lambda x: x[x], r"getitem: no derivative with respect to argument 1"),
        (lambda x: "text", r"the function returned a str of <U4, expected real numbers"),
        (lambda x: None, r"the function returned a NoneType of object"),
        (lambda x: 1j * x[0], r"a complex128 of complex128, expected real numbers"),
        (lambda x: np.abs(1j * x[0]), r"computes with complex numbers.*real and imaginary parts"),
        (lambda x: np.einsum(x, [0], []), r"np.einsum: .* the subscripts are a string"),
    ],
)
def test_refused(f, message):
    refuses(f, TypeError, message)


@pytest.mark.parametrize("run", MODES, ids=["reverse", "forward"])
def test_filling_an_array(run):
    """NumPy puts a sentence of its own on top, and shows ours as the cause."""
    with pytest.raises(ValueError, match="setting an array element") as raised:
        run(fill_an_array)
    assert "np.stack to make an array of traced values" in str(raised.value.__cause__)


@pytest.mark.parametrize("name", ["sort", "fill", "partition", "tolist", "item"])
def test_methods_that_do_not_return_an_array(name):
    refuses(lambda x: getattr(x, name)(), AttributeError, f"a traced array has no `{name}`; use")


def test_an_attribute_that_arrays_do_not_have():
    refuses(lambda x: x.shap, AttributeError, "'Traced' object has no attribute 'shap'")


@pytest.mark.parametrize(
    "f, message",
    [
        (
            lambda x: np.fft.fft(x)[0],
            r"np.fft.fft has no rule .* primitive\(np.fft.fft, jvp=..., ",
        ),
        (lambda x: np.spacing(x)[0], r"np.spacing has no rule for derivatives; write it with"),
        (lambda x: np.interp(x, x, x)[0], r"np.interp has no rule"),
        (
            lambda x: np.linalg.norm(x.reshape(1, 3), "nuc"),
            r"np.linalg.norm: ord='nuc' over 2 axes",
        ),
        (lambda x: np.pad(x, 1, "linear_ramp")[0], r"np.pad: mode 'linear_ramp' has no rule"),
    ],
)
def test_functions_without_a_rule(f, message):
    refuses(f, NotImplementedError, message)


@pytest.mark.parametrize("x", [3, [1, 2], np.arange(3), np.array([True]), np.array([1j]), "text"])
def test_arguments_must_be_floating_point(x):
    message = r"argument 0 holds (int64|bool|complex128|<U4), expected floating-point.*convert it"
    for run in (
        *(lambda: grad(np.sum)(x), lambda: vjp(np.sum, x), lambda: jvp(np.sum, (x,), (x,))),
        *(lambda: check_gradients(np.sum, x), lambda: trace(np.sum, x)),
        *(lambda: jacfwd(np.sum)(x), lambda: jacrev(np.sum)(x)),
    ):
        with pytest.raises(TypeError, match=message):
            run()


def test_integers_and_masks_inside_are_fine():
    counts, mask = np.array([1, 2, 3]), np.array([True, False, True])
    np.testing.assert_array_equal(grad(lambda x: np.sum((x * counts)[mask]))(X), [1.0, 0.0, 3.0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(x * mask * 2))(X), [2.0, 0.0, 2.0])


def test_a_number_may_be_added_up_in_place():
    """Like NumPy's own numbers, and unlike arrays, it is not changed but replaced."""

    def f(x):
        total = other = 0.0
        for v in x:
            total += v * v
        total -= x[0]
        return total + other

    np.testing.assert_array_equal(grad(f)(X), 2 * X - [1, 0, 0])


@pytest.mark.parametrize(
    "y, message",
    [
        (lambda x: x, r"grad: the function returned shape \(3,\), expected one number; reduce it"),
        (lambda x: (np.sum(x), x), r"returned a tuple with shape \(\) and shape \(3,\), expected"),
        (lambda x: (), r"returned a tuple with nothing, expected one number"),
        (lambda x: (np.sum(x),), r"returned a tuple with shape \(\), expected one number"),
    ],
)
def test_a_gradient_needs_one_number(y, message):
    with pytest.raises(ValueError, match=message):
        grad(y)(X)


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range(argnums):
    message = r"`argnums` names argument (2|-3|5), but the function was called with 2 by position"
    with pytest.raises(ValueError, match=message):
        grad(lambda x, y: x * y, argnums)(1.0, 2.0)


@pytest.mark.parametrize(
    "primals, tangents, error, message",
    [
        (X, (X,), TypeError, r"jvp: `primals` is a ndarray, expected a tuple .* such as \(x,\)"),
        ((X,), X, TypeError, r"jvp: `tangents` is a ndarray, expected a tuple"),
        ((X,), (X, X), ValueError, r"jvp: `tangents` holds 2 arrays, expected 1, in the same"),
        ((X,), (X[:2],), ValueError, r"array 0 of `tangents` has shape \(2,\), expected \(3,\)"),
    ],
)
def test_tangents_must_fit(primals, tangents, error, message):
    with pytest.raises(error, match=message):
        jvp(lambda *x: x[0], primals, tangents)


def test_gradients_of_outputs_must_fit():
    _, pullback = vjp(lambda x: (x, np.sum(x)), X)
    with pytest.raises(ValueError, match=r"pullback: `y_bar` holds 1 arrays, expected 2"):
        pullback(X)
    with pytest.raises(ValueError, match=r"array 1 of `y_bar` has shape \(3,\), expected \(\)"):
        pullback((X, X))


def test_trace_of_a_traced_value():
    with pytest.raises(TypeError, match="trace: an argument is traced already"):
        grad(lambda x: trace(np.sum, x))(X)


def test_rules_must_come_in_pairs():
    with pytest.raises(
        TypeError, match=r"primitive f: 1 rules for jvp and 2 for vjp, expected one"
    ):
        primitive(lambda a, b: a, jvp=[None], vjp=[None, None], name="f")


def test_what_a_tape_keeps_must_be_known():
    with pytest.raises(ValueError, match=r"keeps='all', expected one of both, inputs, output, sha"):
        primitive(lambda a: a, jvp=lambda t, y, a: t, vjp=lambda g: g, keeps="all", name="f")
