"""What instructors and students ask of the command line: release, check, grade.

Each is run in the folder of the course, where ``nbgrader_config.py`` lies.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

from nbconvert.filters import strip_ansi
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGrader
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback, NbGraderException
from nbgrader.nbgraderformat import read
from nbgrader.plugins import CsvExportPlugin
from nbgrader.preprocessors import ClearOutput
from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_locked

from course_lib.grading.execution import ExecuteEveryCell

__all__ = ["CommandError", "Score", "check", "grade", "release", "remark"]


class CommandError(Exception):
    """A command did not do what it was asked for; the message says why, and what to do."""


@dataclass(frozen=True)
class Score:
    """What a graded cell, or a submission, earned."""

    name: str
    points: float
    max_points: float
    remark: str = ""

    def __str__(self):
        return f"{self.name:24} {self.points:g} of {self.max_points:g}  {self.remark}".rstrip()


def release(assignment):
    """Make ``assignments/A`` from ``solutions/A`` and record it in the gradebook.

    The solution must earn every point, and what is handed out none: else a check is wrong.

    Parameters
    ----------
    assignment : str
        Name of a folder of ``solutions/``; all its notebooks are released.

    Raises
    ------
    CommandError
        If they do not, or nbgrader refuses the source.
    """
    course = _course(assignment)
    source = _folder(course, course.coursedir.source_directory, assignment)
    released = _folder(course, course.coursedir.release_directory, assignment)
    names = [notebook.name for notebook in sorted(source.glob("*.ipynb"))]
    if not names:
        raise CommandError(f"release: there is no notebook in {source}")

    missed = [s for name in names for s in _run(source / name, course) if s.points < s.max_points]
    if missed:
        raise CommandError("\n".join(["release: the solution misses points:", *map(str, missed)]))
    if not _convert(GenerateAssignment, course):
        raise CommandError(f"release: nbgrader does not accept {source}; its log is above")
    free = [s for name in names for s in _run(released / name, course) if s.points > 0]
    if free:
        raise CommandError("\n".join(["release: points for no work:", *map(str, free)]))
    print(f"{released} is made. To hand it out: nbgrader release_assignment {assignment}")


def check(work):
    """Run a notebook, or all of an assignment, and print what the visible checks say.

    Parameters
    ----------
    work : str
        Path of a notebook, or name of a folder of ``assignments/``.

    Raises
    ------
    CommandError
        If there is no such notebook, or a check fails.
    """
    course = _course()
    folder = _folder(course, course.coursedir.release_directory, work)
    notebooks = [Path(work)] if Path(work).is_file() else sorted(folder.glob("*.ipynb"))
    if not notebooks:
        raise CommandError(f"check: {work} is neither a notebook nor an assignment of this course")
    scores = [score for notebook in notebooks for score in _run(notebook, course)]
    print(*scores, sep="\n")
    failed = sum(score.points < score.max_points for score in scores)
    if failed:
        raise CommandError(f"{failed} of {len(scores)} checks fail")
    print(f"All {len(scores)} checks pass. Grading adds hidden ones.")


def grade(assignment):
    """Grade what lies in ``submitted/*/A``; write ``feedback/*/A`` and ``grades.csv``.

    Everyone is graded anew, one after the other.

    Parameters
    ----------
    assignment : str
        Name of a folder in the folder of each student.

    Raises
    ------
    CommandError
        If nothing was submitted, or the assignment was never released; or, after all others are
        graded, if a submission could not be.
    """
    course = _course(assignment)
    coursedir = course.coursedir
    folders = _folder(course, coursedir.submitted_directory, assignment, student="*")
    students = sorted(path.parent.name for path in Path("/").glob(str(folders)[1:]))
    if not students:
        raise CommandError(f"grade: nothing was submitted as {folders}")
    with _gradebook(course) as gradebook:
        try:
            gradebook.find_assignment(assignment)
        except MissingEntry:
            raise CommandError(
                f"grade: the gradebook does not know {assignment}; release it first"
            ) from None

    failed = []
    for coursedir.student_id in students:
        if not (_convert(Autograde, course) and _convert(GenerateFeedback, course)):
            failed.append(coursedir.student_id)
            continue
        with _gradebook(course) as gradebook:
            earned = gradebook.find_submission(assignment, coursedir.student_id)
            print(Score(coursedir.student_id, earned.score, earned.max_score), flush=True)
    with _gradebook(course) as gradebook:
        grades = str(Path(coursedir.root, "grades.csv"))
        CsvExportPlugin(parent=course, to=grades).export(gradebook)
    if failed:
        names = ", ".join(failed)
        raise CommandError(f"grade: not graded (0 in grades.csv), see the log above: {names}")


def _course(assignment=""):
    """Nbgrader, with the configuration of the folder that it is run in."""
    course = NbGrader(log_level=logging.ERROR)
    course.initialize([])
    course.coursedir.assignment_id = assignment
    return course


def _folder(course, step, assignment, student="."):
    return Path(course.coursedir.format_path(step, student, assignment))


def _gradebook(course):
    return Gradebook(course.coursedir.db_url, course.coursedir.course_id)


def _convert(converter, course):
    """Whether one of nbgrader's steps succeeds; what it did before is done again."""
    with warnings.catch_warnings():
        # SQLAlchemy 2.1 warns each time nbgrader creates a submission, which is saved all the same.
        warnings.filterwarnings("ignore", "Object of type <Submitted", module="nbgrader")
        try:
            converter(coursedir=course.coursedir, parent=course, force=True).start()
        except NbGraderException:
            return False
    return True


def _run(path, course):
    """Run a notebook and yield what each graded cell of it earns, manual ones excepted."""
    notebook = read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    for preprocessor in (ClearOutput, ExecuteEveryCell):
        notebook, resources = preprocessor(parent=course).preprocess(notebook, resources)
    for cell in filter(is_grade, notebook.cells):
        points, max_points = determine_grade(cell)
        if points is not None:
            yield Score(cell.metadata.nbgrader.grade_id, points, max_points, remark(cell))


def remark(cell):
    """Say in one line why a graded cell did not earn its points."""
    released_as = cell.metadata.nbgrader.get("checksum")
    if is_locked(cell) and released_as not in (None, compute_checksum(cell)):
        return "this cell was changed; grading restores it"
    errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    return strip_ansi(errors[-1].traceback[-1]).split("\n")[0] if errors else ""
