"""One warm sandbox for all tests of grading, and one class that is graded in it."""

import nbformat
import pytest
from powers import ASSIGNMENT, CLASS, REFUSED, RIGHT, Course

from course_lib.grading import autograde, course, release
from course_lib.grading.engines import LocalEngine
from course_lib.grading.sandbox import Sandbox

MUTANTS = """
chapter = "lectures/03-backprop-convolution"

[[mutant]]
name = "doubled"
says = "it doubles the number instead of multiplying it by itself"
section = "The same in a few lines"
loses = ["square"]
change.square-code = [["return x * x", "return x + x"]]

[[mutant]]
name = "first"
says = "it takes the first for the last"
section = "Where it goes next"
loses = ["last"]
change.last-code = [["return x[-1]", "return x[0]"]]
"""


@pytest.fixture(scope="session")
def sandbox():
    """A sandbox with NumPy in it."""
    with Sandbox(["numpy", "course_lib.grading.checks"]) as started:
        yield started


class Release:
    """The course of :mod:`powers`, released with a proof."""

    def __init__(self, folder):
        self.files = Course(folder)
        self.root = self.files.root
        known = self.root / "mistakes" / ASSIGNMENT
        known.mkdir(parents=True)
        (known / "mutants.toml").write_text(MUTANTS)
        self.course = course.Course(self.root)
        self.proof, self.bundle = release.release(self.course, ASSIGNMENT, engine=LocalEngine)

    def hand_in(self, name, student):
        student.hand_in(self.files.notebook("assignments"), self.files.notebook("submitted", name))

    def grade(self, **options):
        return autograde.grade(self.course, ASSIGNMENT, engine=LocalEngine, **options)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A course whose assignment is released; tests hand in under names of their own."""
    return Release(tmp_path_factory.mktemp("grading"))


@pytest.fixture(scope="session")
def graded(tmp_path_factory):
    """The class of :mod:`powers`, graded, with what no notebook is; `done` says how it went."""
    made = Release(tmp_path_factory.mktemp("class"))
    for name, student in (CLASS | REFUSED).items():
        made.hand_in(name, student)
    made.hand_in("linked", CLASS["all-right"])
    linked = made.files.notebook("submitted", "linked")
    linked.unlink()
    linked.symlink_to(made.files.notebook("solutions"))
    garbled = made.files.notebook("submitted", "garbled")
    garbled.parent.mkdir(parents=True)
    garbled.write_text("this is no notebook")
    made.files.notebook("submitted", "empty-handed").parent.mkdir(parents=True)
    made.done = made.grade()
    return made


@pytest.fixture
def reference():
    """The right answers of :mod:`powers`."""
    return dict(RIGHT)


@pytest.fixture
def autograded(graded):
    """Return a function that reads a student's autograded notebook."""

    def read(student):
        return nbformat.read(graded.files.notebook("autograded", student), as_version=4)

    return read
