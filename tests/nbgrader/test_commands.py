"""The commands behind ``make release``, ``make check`` and ``make grade``."""

import nbformat
import pytest
from powers import ASSIGNMENT, CLASS, HIDDEN, NOTEBOOK, Course, Student, cell, source_notebook

from course_lib.grading import commands
from course_lib.grading.__main__ import main


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course whose assignment is not released."""
    course = Course(tmp_path)
    monkeypatch.chdir(course.root)
    return course


def write_source(course, edit):
    notebook = source_notebook()
    edit(notebook)
    nbformat.write(notebook, course.notebook("solutions"))


def test_what_is_released(released):
    notebook = nbformat.read(released.notebook("assignments"), as_version=4)
    assert cell(notebook, "square-code").source == (
        "def square(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert cell(notebook, "square").source == (
        '"""square, 1 points."""\nassert square(3) == 9, "square(3) is not 9"'
    )
    text = released.notebook("assignments").read_text()
    assert not [line for test in HIDDEN.values() for line in test.split("\n") if line in text]


def test_the_same_source_is_released_as_the_same_bytes(released, monkeypatch):
    monkeypatch.chdir(released.root)
    before = released.notebook("assignments").read_bytes()
    commands.release(ASSIGNMENT)
    assert released.notebook("assignments").read_bytes() == before


def test_a_solution_that_misses_points_is_not_released(course):
    def edit(notebook):
        cell(notebook, "cube-code").source = "def cube(x):\n    return 8"

    write_source(course, edit)
    with pytest.raises(
        commands.CommandError, match=r"misses points:\ncube +0 of 2  AssertionError"
    ):
        commands.release(ASSIGNMENT)
    assert not course.notebook("assignments").exists()


def test_points_for_no_work_are_found(course):
    def edit(notebook):
        cell(notebook, "cube").source = "cube"

    write_source(course, edit)
    with pytest.raises(commands.CommandError, match=r"points for no work:\ncube +2 of 2"):
        commands.release(ASSIGNMENT)


def test_a_source_that_nbgrader_refuses(course):
    def edit(notebook):
        cell(notebook, "cube").source += "\n### BEGIN HIDDEN TESTS"

    write_source(course, edit)
    with pytest.raises(commands.CommandError, match=r"nbgrader does not accept .*solutions"):
        commands.release(ASSIGNMENT)


def test_no_such_assignment(course):
    with pytest.raises(commands.CommandError, match=r"release: there is no notebook in .*roots"):
        commands.release("roots")
    with pytest.raises(commands.CommandError, match="check: roots is neither a notebook nor an"):
        commands.check("roots")
    with pytest.raises(commands.CommandError, match=r"grade: nothing was submitted as .*roots"):
        commands.grade("roots")


def test_grading_before_the_release(course):
    Student(15).hand_in(course.notebook("solutions"), course.notebook("submitted", "early"))
    with pytest.raises(commands.CommandError, match="does not know powers; release it first"):
        commands.grade(ASSIGNMENT)


def test_check_of_right_work(released, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(released.root)
    mine = tmp_path / NOTEBOOK
    CLASS["all-right"].hand_in(released.notebook("assignments"), mine)
    assert main(["check", str(mine)]) == 0
    assert "All 4 checks pass. Grading adds hidden ones." in capfd.readouterr().out


def test_check_says_which_fail(released, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(released.root)
    mine = tmp_path / NOTEBOOK
    CLASS["half-right"].hand_in(released.notebook("assignments"), mine)
    notebook = nbformat.read(mine, as_version=4)
    cell(notebook, "last").source += "\n"
    nbformat.write(notebook, mine)
    assert main(["check", str(mine)]) == 1
    said = capfd.readouterr()
    assert "square                   1 of 1\n" in said.out
    assert "halve                    0 of 4  NotImplementedError" in said.out
    assert "last                     0 of 8  this cell was changed; grading restores it" in said.out
    assert said.err == "2 of 4 checks fail\n"


def test_check_by_the_name_of_an_assignment(released, monkeypatch):
    monkeypatch.chdir(released.root)
    with pytest.raises(commands.CommandError, match="4 of 4 checks fail"):
        commands.check(ASSIGNMENT)
