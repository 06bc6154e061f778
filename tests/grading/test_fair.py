"""Honest ways to answer that the reference does not take, in the sandbox: none costs a point."""

import pytest
from test_sandbox import errors, run

REFERENCE = "def f(x):\n    return [2 * a for a in x]"
CHECKS = {
    "listed": "assert list(f([3, 1])) == [6, 2]",
    "sorted": "assert sorted(f([3, 1])) == [2, 6]",
    "unpacked": "a, b = f([3, 1])\nassert a == 6 and b == 2",
    "zipped": "assert [a - b for a, b in zip(f([3, 1]), [6, 2], strict=True)] == [0, 0]",
    "summed": "assert sum(f([3, 1])) == 8",
}
ANSWERS = {
    "a generator": "def f(x):\n    for a in x:\n        yield 2 * a",
    "map": "def f(x):\n    return map(lambda a: 2 * a, x)",
    "keys": "def f(x):\n    return {2 * a: a for a in x}.keys()",
    "values": "def f(x):\n    return {a: 2 * a for a in x}.values()",
    "reversed": "def f(x):\n    return reversed([2 * a for a in x][::-1])",
    "a deque": "from collections import deque\ndef f(x):\n    return deque(2 * a for a in x)",
    "a range": "def f(x):\n    return range(6, 1, -4)",
    "an array": "import numpy as np\ndef f(x):\n    return 2 * np.array(x)",
    "an object": (
        "class Doubled:\n    def __init__(self, x):\n        self.x = x\n"
        "    def __iter__(self):\n        return (2 * a for a in self.x)\n"
        "def f(x):\n    return Doubled(x)"
    ),
}


def graded(sandbox, reference, answer, check, names=("f",)):
    """Run an answer under the contract of the reference; return the errors of the check."""
    names = list(names)
    (_, first), recorded = run(sandbox, ("student", reference), ("graded", check, names))
    assert errors(first) == []
    contract = {"opaque": recorded.opaque, "libraries": recorded.libraries}
    (_, outcome), _ = run(sandbox, ("student", answer), ("graded", check, names), **contract)
    return errors(outcome)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_what_can_be_iterated_is_as_good_as_a_list(sandbox, answer, check):
    assert graded(sandbox, REFERENCE, answer, check) == []


@pytest.mark.parametrize("check", ["assert f(2) == 0.5", "assert abs(f(2) - 0.5) < 1e-9"])
def test_a_fraction_is_a_number(sandbox, check):
    answer = "from fractions import Fraction\ndef f(x):\n    return Fraction(1, x)"
    assert graded(sandbox, "def f(x):\n    return 1 / x", answer, check) == []


@pytest.mark.parametrize(
    "answer", ["f = max", "from builtins import max as f", "f = lambda *x: sorted(x)[-1]"]
)
def test_a_function_of_a_library_under_the_name(sandbox, answer):
    reference = "def f(*x):\n    return max(x)"
    assert graded(sandbox, reference, answer, "assert f(1, 3, 2) == 3") == []


def test_a_class_of_the_students(sandbox):
    answer = "class A:\n    def __init__(self, x):\n        self.x = x"
    assert graded(sandbox, answer, answer, "assert A(3).x == 3", ["A"]) == []


@pytest.mark.parametrize(
    "answer",
    [
        "class Liar:\n    def __iter__(self):\n        return iter([Liar(), Liar()])\n"
        "    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
        "    def __add__(self, other):\n        return 8\n    __radd__ = __add__\n"
        "    def __sub__(self, other):\n        return 0\n    __rsub__ = __sub__\n"
        "    def __lt__(self, other):\n        return True\ndef f(x):\n    return Liar()",
        "import itertools\ndef f(x):\n    return itertools.count()",
    ],
    ids=["liars", "without an end"],
)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_what_it_yields_must_be_plain(sandbox, answer, check):
    assert graded(sandbox, REFERENCE, answer, check) != []
