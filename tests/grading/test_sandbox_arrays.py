"""Arrays in two processes: the same ones, whoever made, keeps, drops or writes them."""

from test_sandbox import errors, run, text

import course_lib.grading.checks as checks


def test_what_a_function_of_a_check_made_for_its_answer_comes_back(sandbox):
    graded = "import numpy as np\nassert (apply(lambda: np.arange(3.0)) == [0, 1, 2]).all()"
    (_, outcome), ran = run(
        sandbox,
        ("student", "def apply(f):\n    return f()"),
        ("graded", graded, ["apply"]),
    )
    assert errors(outcome) == []
    assert ran.deaths == ()


def test_an_array_that_the_check_dropped_is_still_the_students(sandbox):
    graded = (
        "import numpy as np\nkeep(lambda: np.arange(3.0))\n"
        "more = [np.ones(n) for n in range(50)]\nassert (kept() == [0, 1, 2]).all()"
    )
    (_, outcome), ran = run(
        sandbox,
        (
            "student",
            "def keep(f):\n    global array\n    array = f()\ndef kept():\n    return array",
        ),
        ("graded", graded, ["keep", "kept"]),
    )
    assert errors(outcome) == []
    assert ran.deaths == ()


def test_who_keeps_an_argument_sees_what_the_check_writes_into_it(sandbox):
    graded = (
        "import numpy as np\nx = np.zeros(3)\nkeep(x)\nx[...] = 7\n"
        "assert (kept() == 7).all()\nassert kept() is x"
    )
    (_, outcome), _ = run(
        sandbox,
        ("student", "def keep(x):\n    global array\n    array = x\ndef kept():\n    return array"),
        ("graded", graded, ["keep", "kept"]),
    )
    assert errors(outcome) == []


def test_who_copies_an_argument_does_not(sandbox):
    graded = "import numpy as np\nx = np.zeros(3)\nkeep(x)\nx[...] = 7\nassert (kept() == 0).all()"
    (_, outcome), _ = run(
        sandbox,
        (
            "student",
            "def keep(x):\n    global array\n    array = x.copy()\ndef kept():\n    return array",
        ),
        ("graded", graded, ["keep", "kept"]),
    )
    assert errors(outcome) == []


def test_names_of_a_function_can_be_exchanged(sandbox):
    """A check lends a student's function other helpers, although the reference needs none."""
    graded = (
        "names = twice.__globals__\nown, names['once'] = names['once'], lambda x: x + 10\n"
        "assert twice(1) == 21\nnames['once'] = own\nassert twice(1) == 3"
    )
    (_, outcome), _ = run(
        sandbox,
        ("student", "def once(x):\n    return x + 1\ndef twice(x):\n    return once(once(x))"),
        ("graded", graded, ["twice"]),
        opaque=("twice",),
    )
    assert errors(outcome) == []


def test_a_probe_runs_beside_the_students_functions(sandbox):
    (_, _, outcome), _ = run(
        sandbox,
        ("student", "def step(x):\n    return x + 1\nsecret = 5"),
        (
            "given",
            "def walk(n):\n    for _ in range(n):\n        n = step(n)\n    return n, secret",
        ),
        ("graded", "assert walk(3) == (6, 5)\nprint('secret' in globals())", ["walk"]),
    )
    assert errors(outcome) == []
    assert text(outcome) == "False\n"


def test_a_probe_changes_nothing_elsewhere():
    def function():
        return 1

    assert checks.probe(function) is function
