"""Operations and bytes are counted as they happen."""

import numpy as np
import pytest

from course_lib.autodiff import count, grad, hvp, jacfwd, jacrev, jvp, vjp


def kinds(ledger):
    return [sweep.kind for sweep in ledger.sweeps]


def product(n):
    """A chain of `n` multiplications of numbers."""

    def f(x):
        y = x
        for _ in range(n):
            y = y * x
        return y

    return f


def test_multiplications_of_the_worked_example():
    """x1 x2 + sin x1: 3 operations; forward adds a slope for each operand, a sum where two meet."""

    def f(x1, x2):
        return x1 * x2 + np.sin(x1)

    with count() as ledger:
        jvp(f, (2.0, 5.0), (1.0, 0.0))
    assert kinds(ledger) == ["forward"]
    # values 3; the product's tangent 3; the sine's: cos and a multiplication; the sum's 1
    assert ledger.elementwise == 3 + 3 + 2 + 1
    with count() as ledger:
        grad(f, argnums=(0, 1))(2.0, 5.0)
    assert kinds(ledger) == ["record", "reverse"]
    # back: two multiplications; cos and a multiplication; x1 is used twice: one addition
    assert [sweep.elementwise for sweep in ledger.sweeps] == [3, 5]


@pytest.mark.parametrize("n, d, k", [(64, 784, 10), (3, 5, 7)])
def test_a_matrix_product_costs_once_forward_and_twice_back(n, d, k):
    x, weight = np.ones((n, d)), np.ones((d, k))
    with count() as ledger:
        vjp(np.matmul, x, weight)[1](np.ones((n, k)))
    assert [sweep.multiply_adds for sweep in ledger.sweeps] == [n * d * k, 2 * n * d * k]
    with count() as ledger:
        grad(lambda weight: np.sum(x @ weight))(weight)  # x is a constant: only one of the two
    assert [sweep.multiply_adds for sweep in ledger.sweeps] == [n * d * k, n * d * k]
    with count() as ledger:
        jvp(lambda weight: x @ weight, (weight,), (weight,))
    assert ledger.multiply_adds == 2 * n * d * k


@pytest.mark.parametrize(
    "jacobian, sweeps", [(jacfwd, ["forward"] * 3), (jacrev, ["record"] + ["reverse"] * 2)]
)
def test_a_jacobian_takes_a_sweep_for_each_column_or_row(jacobian, sweeps):
    with count() as ledger:
        jacobian(lambda x: np.ones((2, 3)) @ np.sin(x))(np.ones(3))
    assert kinds(ledger) == sweeps


def test_both_modes_cost_a_constant_times_the_function():
    """A product costs 1; its tangent 2 products and a sum, its gradients 2 products and a sum."""
    costs = {}
    for n in (10, 1000):
        f = product(n)
        with count() as forward:
            jvp(f, (1.5,), (1.0,))
        with count() as reverse:
            grad(f)(1.5)
        costs[n] = forward.elementwise / n, reverse.elementwise / n
    assert costs[1000] == pytest.approx((4, 4), abs=0.01)
    assert costs[10] == pytest.approx(costs[1000], rel=0.15)


def test_the_tape_grows_with_depth_and_forward_mode_keeps_nothing():
    x = np.ones(1000)
    for depth in (1, 10):

        def f(x, depth=depth):
            for _ in range(depth):
                x = np.sin(x)
            return np.sum(x)

        with count() as ledger:
            grad(f)(x)
        assert ledger.tape_bytes == depth * x.nbytes
        with count() as ledger:
            jvp(f, (x,), (x,))
        assert ledger.tape_bytes == 0


def test_what_is_linear_keeps_no_values():
    x = np.ones((10, 10))
    with count() as ledger:
        grad(lambda x: np.sum((x + 1).T.reshape(-1)[::2] - 3))(x)
    assert ledger.tape_bytes == 0


def test_an_array_kept_twice_is_held_once():
    x = np.ones(100)
    with count() as ledger:
        grad(lambda x: np.sum(x * x[::-1] * x))(x)
    assert ledger.tape_bytes == 2 * x.nbytes  # x itself, and the first product


@pytest.mark.parametrize(
    "layer, copies",
    [
        (lambda w, x: w @ x, 1),
        (lambda w, x: w.T @ x, 1),  # a new object at every use
        (lambda w, x: w[::-1] @ x, 1),
        (lambda w, x: w.T @ (w @ x), 2),
        (lambda w, x: w[:32].T @ (w[:32] @ (w @ x)), 2),  # all of it, and a half twice
    ],
)
def test_a_constant_is_kept_once_however_often_it_is_used(layer, copies):
    weight, x = np.full((64, 64), 0.01), np.ones((64, 32))
    weight[0, 0] = np.nan  # equal bits, though NaN is not equal to itself

    def f(x):
        for _ in range(10):
            x = layer(weight, x)
        return x

    with count() as writeable:
        vjp(f, x)
    weight.flags.writeable = False  # then the tape keeps `weight` itself
    with count() as locked:
        vjp(f, x)
    assert writeable.tape_bytes == locked.tape_bytes + (copies - 1) * weight.nbytes


def test_a_constant_that_changes_is_kept_anew():
    work, x = np.zeros(1000), np.ones(1000)

    def f(x):
        total = 0.0
        for i in range(3):
            work[-1] = i
            total = total + np.sum(x * work)
        return total

    with count() as ledger:
        grad(f)(x)
    assert ledger.tape_bytes == x.nbytes + 3 * work.nbytes


def test_tangents_on_a_tape_are_counted():
    """Forward over reverse: every value that the tape keeps has a tangent with it."""

    def f(x):
        return np.sum(np.exp(np.sin(x)))  # keeps x and the exponential

    x = np.ones(1000)
    with count() as gradient:
        grad(f)(x)
    with count() as product:
        hvp(f, x, x.copy())
    assert gradient.tape_bytes == 2 * x.nbytes
    assert product.tape_bytes == 4 * x.nbytes


def test_arrays_inside_an_index_are_counted():
    x, rows = np.ones((10, 10)), np.arange(5)
    with count() as ledger:
        grad(lambda x: np.sum(x[rows, rows]))(x)
    assert ledger.tape_bytes == 2 * rows.nbytes


def test_an_hvp_is_a_small_multiple_of_a_gradient():
    def f(x):
        return np.sum(np.sin(x) * x)

    x = np.ones(50)
    with count() as gradient:
        grad(f)(x)
    with count() as product:
        hvp(f, x, x)
    assert kinds(product) == ["forward", "record", "reverse"]
    assert gradient.elementwise < product.elementwise < 5 * gradient.elementwise


def test_results_are_ordinary_arrays():
    with count():
        y, pullback = vjp(lambda x: (x * 2, 1.0), np.ones(3))
        gradients = pullback((np.ones(3), 1.0))
        _, y_dot = jvp(lambda x: x * 2, (np.ones(3),), (np.ones(3),))
        value, slope = jacrev(np.sin)(1.0), hvp(np.square, 1.0, 1.0)
    for result in (y[0], *gradients, y_dot):
        assert type(result) is np.ndarray
    for result in (value, slope):
        assert isinstance(result, np.ndarray | np.floating)
    np.testing.assert_array_equal(pullback((np.ones(3), 1.0))[0], gradients[0])  # still works


def test_nothing_is_counted_outside():
    with count() as ledger:
        pass
    grad(np.sin)(1.0)
    assert ledger.sweeps == []


def test_it_shows_itself_as_a_table():
    with count() as ledger:
        grad(lambda w: np.sum(np.ones((10, 200)) @ w))(np.ones((200, 3)))
    lines = repr(ledger).splitlines()
    assert lines[0].split() == ["sweep", "multiply-adds", "elementwise", "tape", "bytes"]
    assert lines[1].split() == ["record", "6,000", "30", "20,800"]
    assert lines[-1].split() == ["all", "12,000", "30", "20,800"]
    html = ledger._repr_html_()
    assert "<caption>" in html
    assert '<th scope="row">reverse</th><td>6,000</td>' in html
