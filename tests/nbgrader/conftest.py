"""One course, released, handed in and graded once for all tests."""

import getpass

import pytest
from powers import ASSIGNMENT, CLASS, NOTEBOOK, REFUSED, Course


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """The course, with its assignment released."""
    course = Course(tmp_path_factory.mktemp("nbgrader"))
    course.run("course_lib.grading", "release", ASSIGNMENT)
    return course


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """The folder of the student whose account this is."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def exchanged(released, home):
    """The course, after that student fetched, solved half, handed in and was collected."""
    released.run("nbgrader", "release_assignment", ASSIGNMENT)
    released.student("fetch_assignment", home)
    mine = home / ASSIGNMENT / NOTEBOOK
    CLASS["half-right"].hand_in(mine, mine)
    released.student("submit", home)
    released.run("nbgrader", "collect", ASSIGNMENT)
    return released


@pytest.fixture(scope="session")
def graded(exchanged):
    """The course, after the whole class was graded in kernels; `said` is what the command said.

    tests/grading has the same class, graded in the sandbox.
    """
    for name, student in (CLASS | REFUSED).items():
        student.hand_in(exchanged.notebook("assignments"), exchanged.notebook("submitted", name))
    linked = exchanged.notebook("submitted", "linked")
    linked.parent.mkdir(parents=True)
    linked.symlink_to(exchanged.notebook("solutions"))
    garbled = exchanged.notebook("submitted", "garbled")
    garbled.parent.mkdir(parents=True)
    garbled.write_text("this is no notebook")
    exchanged.said = exchanged.run("course_lib.grading", "grade", ASSIGNMENT, "--insecure")
    exchanged.run("course_lib.grading", "feedback", ASSIGNMENT)
    exchanged.run("course_lib.grading", "export", ASSIGNMENT)
    return exchanged


@pytest.fixture(scope="session")
def account():
    """The name under which this account hands in."""
    return getpass.getuser()
