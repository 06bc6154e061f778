"""A notebook in the sandbox: what the judge sees of the submission, and what it does not."""

import pytest

from course_lib.grading.sandbox import Cell, Job, Sandbox


def run(sandbox, *cells, seconds=5, **more):
    """Run ``(kind, source[, names])`` in order; return the outcomes as a list, and the Run."""
    made = tuple(
        Cell(number, source, kind, seconds, tuple(*names))
        for number, (kind, source, *names) in enumerate(cells, 1)
    )
    ran = sandbox.run(Job(made, **more))
    return [ran.outcomes[cell.number] for cell in made], ran


def errors(outcome):
    return [f"{o['ename']}: {o['evalue']}" for o in outcome.outputs if o["output_type"] == "error"]


def text(outcome):
    return "".join(o.get("text", "") for o in outcome.outputs)


def test_a_function_is_judged_by_what_it_returns(sandbox):
    (_, right, wrong), _ = run(
        sandbox,
        ("student", "def double(x):\n    print('called')\n    return 2 * x"),
        ("graded", "assert double(21) == 42", ["double"]),
        ("graded", "assert double(21) == 43", ["double"]),
    )
    assert errors(right) == []
    assert text(right) == "called\n"
    assert errors(wrong) == ["AssertionError: "]


def test_the_judge_keeps_its_own_names(sandbox):
    (_, _, graded), _ = run(
        sandbox,
        ("given", "def check(x):\n    assert x == 1"),
        ("student", "x = 2\ndef check(x): pass"),
        ("graded", "check(x)", ["x"]),
    )
    assert errors(graded) == ["AssertionError: "]


def test_a_submission_sees_no_check(sandbox):
    word = "''.join(['ses', 'ame'])"  # the spy must not find itself
    spy = f"import gc\nfound = [thing for thing in gc.get_objects() if {word} in repr(thing)[:200]]"
    (_, graded, _, seen), _ = run(
        sandbox,
        ("student", "def f(x):\n    return x"),
        ("graded", "secret = 'ses' + 'ame'\nassert f(1) == 1", ["f"]),
        ("student", spy),
        ("student", "print(len(found), 'secret' in globals())"),
        seconds=60,
    )
    assert errors(graded) == []
    assert text(seen) == "0 False\n"


def test_arrays_that_are_passed_can_be_written_into(sandbox):
    (_, graded), _ = run(
        sandbox,
        ("student", "def fill(x, into):\n    x[...] = 7\n    into.append(x.sum())"),
        (
            "graded",
            "import numpy as np\nx, kept = np.zeros(3), []\nfill(x, into=kept)\n"
            "assert (x == 7).all() and kept == [21], (x, kept)",
            ["fill"],
        ),
    )
    assert errors(graded) == []


def test_objects_of_a_check_are_used_where_they_are(sandbox):
    (_, graded), _ = run(
        sandbox,
        ("student", "def train(model):\n    model.weight[...] -= 1\n    return model.steps(3)"),
        (
            "graded",
            "import numpy as np\n"
            "class Model:\n"
            "    weight = np.ones(2)\n"
            "    _answer = 42\n"
            "    def steps(self, n):\n"
            "        return n * self.weight.sum()\n"
            "model = Model()\n"
            "assert train(model) == 0 and (model.weight == 0).all(), model.weight",
            ["train"],
        ),
    )
    assert errors(graded) == []


@pytest.mark.parametrize(
    "look", ["f.__globals__", "f.__code__", "thing._answer", "thing.go.__func__"]
)
def test_a_submission_cannot_look_into_what_it_is_passed(sandbox, look):
    (_, graded), _ = run(
        sandbox,
        ("student", f"def peek(f, thing):\n    return {look} is not None"),
        (
            "graded",
            "class Thing:\n    _answer = 42\n    def go(self): pass\n"
            "assert peek(lambda: 0, Thing())",
            ["peek"],
        ),
    )
    (message,) = errors(graded)
    assert message.startswith("AttributeError")


def test_an_object_where_plain_data_is_expected_is_refused(sandbox):
    liar = (
        "class Liar:\n"
        "    def __sub__(self, other): return 0.0\n"
        "    __eq__ = lambda self, other: True\n"
        "def half(x): return Liar()"
    )
    (_, difference, equal), _ = run(
        sandbox,
        ("student", liar),
        ("graded", "assert abs(half(3) - 1.5) < 1e-9", ["half"]),
        ("graded", "assert half(3) == 1.5", ["half"]),
        opaque=("half",),
    )
    for outcome in (difference, equal):
        assert errors(outcome) == [
            "OpaqueValueError: half() is an object of type __main__.Liar, expected plain numbers, "
            "arrays, strings or lists and dicts of them"
        ]


def test_an_object_of_its_own_can_be_handed_back(sandbox):
    (_, graded), _ = run(
        sandbox,
        ("student", "class Cache: x = 5\ndef f(): return 1, Cache()\ndef g(c): return c.x"),
        ("graded", "y, cache = f()\nassert y == 1 and g(cache) == 5", ["f", "g"]),
        opaque=("f", "g"),
    )
    assert errors(graded) == []


def test_the_recorded_run_says_where_objects_come_from(sandbox):
    _, ran = run(
        sandbox,
        ("student", "import math\nclass Box:\n    value = 3\ndef make(): return Box()"),
        ("graded", "assert make().value == 3 and math.floor(1.5) == 1", ["make", "math"]),
    )
    assert ran.opaque == ("make", "make()")
    assert ran.libraries == {"math": ["module", "math"]}


@pytest.mark.parametrize(
    "ending, expected",
    [
        ("import os\nos._exit(0)", "DeadKernelError: ended the Python that ran it"),
        ("import ctypes\nctypes.string_at(0)", "DeadKernelError: ended the Python that ran it"),
        ("while True: pass", "CellTimeout: ran longer than the time of a cell and was stopped"),
        ("import sys\nsys.exit()", "SystemExit: "),
        ("input()", "EOFError: EOF when reading a line"),
    ],
)
def test_a_deadly_cell_costs_only_itself(sandbox, ending, expected):
    (first, graded), ran = run(
        sandbox,
        ("student", ending),
        ("graded", "assert True"),
    )
    assert errors(first) == [expected]
    assert errors(graded) == []
    assert len(ran.deaths) <= 1


def test_the_same_in_a_call(sandbox):
    outcomes, _ = run(
        sandbox,
        ("student", "import os\ndef die(): os._exit(0)\ndef one(): return 1"),
        ("graded", "die()", ["die"]),
        ("graded", "assert one() == 1", ["one"]),
    )
    assert [len(errors(outcome)) for outcome in outcomes] == [0, 1, 0]


def test_nothing_of_the_machine_is_there(sandbox):
    (seen, socket), _ = run(
        sandbox,
        ("student", "import os\nprint(os.path.exists('/home'), os.path.exists('/etc/passwd'))"),
        ("student", "import socket\nsocket.socket()"),
    )
    assert text(seen) == "False False\n"
    assert errors(socket) == ["PermissionError: [Errno 1] Operation not permitted"]


def test_many_modules_to_import():
    many = [f"no_such_module_{number:05}" for number in range(6000)]
    with Sandbox(["json", *many]) as sandbox:
        assert sandbox.about["loaded"] == 1
        (outcome,), _ = run(sandbox, ("student", "print('here')"))
    assert text(outcome) == "here\n"
