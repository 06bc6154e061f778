"""Everyone gets the points of the cells that they got right, whatever they or others did."""

import nbformat
import pytest
from powers import ASSIGNMENT, CLASS

from course_lib.grading import autograde
from course_lib.grading.course import Course
from course_lib.grading.engines import LocalEngine
from course_lib.grading.insecure import NoSandbox
from course_lib.grading.results import key_of
from course_lib.grading.sandbox import Cell, Job, Limits


@pytest.mark.parametrize("student", CLASS)
def test_score(graded, student):
    assert graded.scores()[student] == CLASS[student].score


def test_one_who_handed_in_through_the_exchange(graded, account):
    assert graded.scores()[account] == CLASS["half-right"].score


def test_it_says_that_there_is_no_sandbox(graded):
    assert "Without a sandbox: submissions run with your rights." in graded.said.stderr
    assert "Warning" not in graded.said.stderr


@pytest.mark.parametrize(
    "student, reason",
    [
        ("unmarks-a-test", "its metadata cannot be read: RuntimeError: Inconsistent checksums"),
        ("garbled", "powers.ipynb: not JSON"),
        ("linked", "powers.ipynb: a symbolic link"),
    ],
)
def test_what_cannot_be_graded_is_named(graded, student, reason):
    (line,) = (
        x for x in graded.said.stdout.split("\n") if x.startswith("needs attention: " + student)
    )
    assert reason in line
    assert graded.scores()[student] is None
    assert not graded.notebook("autograded", student).exists()
    page = graded.notebook("feedback", student).with_name("not-graded.html").read_text()
    assert reason in page


def test_the_sandbox_believes_no_result_of_a_kernel(graded):
    """What ran without a sandbox may have forged its result: in the sandbox it is run again."""
    course = Course(graded.root)
    before = autograde.states(course, ASSIGNMENT)["all-right"]
    done = autograde.grade(course, ASSIGNMENT, engine=LocalEngine, students=["all-right"])
    assert (done.executed, done.reused) == (1, 0)
    after = done.states["all-right"]
    assert after.score == before.score == 15
    assert after.keys != before.keys


def test_a_result_says_whether_a_sandbox_ran_it():
    job = Job((Cell(1, "1", "student"),))
    assert key_of(job, NoSandbox()) != key_of(job, Limits())


@pytest.mark.parametrize(
    "student, name, error",
    [
        ("loops-in-a-call", "cube", "CellTimeoutError"),
        ("loops-at-the-top", "halve-code", "CellTimeoutError"),
        ("loops-stubbornly-in-a-call", "cube", "CellTimeoutError"),
        ("loops-stubbornly-at-the-top", "halve-code", "CellTimeoutError"),
        ("floods", "cube", "CellTimeoutError"),
        ("dies-in-a-call", "cube", "DeadKernelError"),
        ("dies-at-the-top", "halve-code", "DeadKernelError"),
        ("exits", "halve-code", "DeadKernelError"),
    ],
)
def test_the_cell_that_did_it_says_so(graded, student, name, error):
    notebook = nbformat.read(graded.notebook("autograded", student), as_version=4)
    ended = {
        c.metadata.nbgrader.grade_id
        for c in notebook.cells
        if any(output.get("ename") == error for output in c.get("outputs", []))
    }
    assert ended == {name}
