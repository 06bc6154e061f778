"""Which names a locked cell takes from the submission: read off the source alone."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.grading.notebooks import names_from_students


def notebook(*cells):
    """A notebook of ``(kind, source)``; its cells are called a, b, c, ..."""
    made = []
    for name, (kind, source) in zip("abcdefgh", cells, strict=False):
        role = {"grade_id": name, "schema_version": 3, "task": False, "points": 1}
        role |= {"solution": kind == "student", "locked": kind != "student"}
        role |= {"grade": kind == "graded"}
        made.append(new_code_cell(source, metadata={"nbgrader": role}))
    return new_notebook(cells=made)


STUDENT = ("student", "def f(x):\n    return x\nlimit = 3")


@pytest.mark.parametrize(
    "source, names",
    [
        ("assert f(1) == 1", ["f"]),
        ("f = print\nf(1)", []),  # its own, bound before it is read
        ("x = f(1)\nf = print", ["f"]),  # read before it is bound
        ("def check():\n    return f(limit)\ncheck()", ["f", "limit"]),
        ("def check(f):\n    return f(1)", []),  # a parameter
        ("check = lambda limit=limit: limit", ["limit"]),
        ("from os import path as f", []),
        ("try:\n    f(1)\nexcept ValueError as limit:\n    print(limit)", ["f", "limit"]),
        ("print(len('abc'))", []),
        ("%timeit -n1 -r1 f(1)", []),  # inside a magic nobody looks
    ],
)
def test_names_of_a_graded_cell(source, names):
    assert names_from_students(notebook(STUDENT, ("graded", source)))["b"] == names


def test_a_given_function_takes_its_names_where_it_is_called():
    given = ("given", "def run(x):\n    return f(x)")
    found = names_from_students(notebook(given, STUDENT, ("graded", "assert run(1) == 1")))
    assert found == {"a": [], "c": ["f"]}


def test_who_bound_a_name_last_owns_it():
    given = ("given", "limit = 4")
    found = names_from_students(notebook(STUDENT, given, ("graded", "assert f(1) < limit")))
    assert found["c"] == ["f"]


def test_a_probe_is_taken_from_the_submission():
    probe = ("given", "@probe\ndef walk(x):\n    return f(x)\ndef other(x):\n    return x")
    found = names_from_students(notebook(STUDENT, probe, ("graded", "walk(1), other(1)")))
    assert found["c"] == ["f", "walk"]


def test_a_cell_that_is_no_python_takes_nothing():
    broken = ("given", "def (")
    assert names_from_students(notebook(STUDENT, broken, ("graded", "f(1)")))["c"] == ["f"]
