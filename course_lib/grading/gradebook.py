"""From outcomes to nbgrader's gradebook, by nbgrader's own steps.

Only the execution is replaced: where nbgrader starts a kernel, :class:`Replay` puts the outputs in
that the sandbox returned. Restoring tampered cells, scores, late penalties, comments and manual
grades are nbgrader's. One process at a time writes.
"""

import copy
import shutil
import warnings
from contextlib import contextmanager
from typing import ClassVar

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat.notebooknode import from_dict
from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde, NbGraderException
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    Execute,
    OverwriteCells,
    OverwriteKernelspec,
)
from nbgrader.utils import is_locked

from course_lib.grading.course import CourseError
from course_lib.grading.notebooks import code_cells

__all__ = ["Replay", "Restored", "notebooks_of", "restore", "save"]


class Restored:
    """A submitted notebook as it is run.

    `notebook` has its locked cells restored, and those that were deleted put back, marked by
    ``course_missing`` in their metadata: later cells may need what they define. `missing` lists
    their grade ids; they score 0.
    """

    def __init__(self, notebook, missing):
        self.notebook, self.missing = notebook, missing


def notebooks_of(course, assignment):
    """Return the names of the notebooks that the gradebook knows of an assignment.

    Raises
    ------
    CourseError
        If it does not know the assignment.
    """
    with course.gradebook() as gradebook:
        try:
            return sorted(n.name for n in gradebook.find_assignment(assignment).notebooks)
        except MissingEntry:
            raise CourseError(
                f"{assignment}: the gradebook does not know it; release it first"
            ) from None


def restore(course, assignment, student, name, notebook):
    """Restore the locked cells of a submitted notebook, by nbgrader's own preprocessors.

    Parameters
    ----------
    course : Course
    assignment, student, name : str
        `name` of the notebook, without ``.ipynb``.
    notebook : NotebookNode
        Not changed.

    Returns
    -------
    Restored

    Raises
    ------
    CourseError
        If its metadata cannot be read; the message says why.
    """
    notebook = copy.deepcopy(notebook)
    resources = {
        "nbgrader": {
            "student": student,
            "assignment": assignment,
            "notebook": name,
            "db_url": course.directory.db_url,
        }
    }
    steps = (ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, CheckCellMetadata)
    try:
        for step in steps:
            notebook, resources = step(parent=course.app).preprocess(notebook, resources)
    except Exception as error:  # nbgrader raises whatever broken metadata leads to
        raise CourseError(f"its metadata cannot be read: {type(error).__name__}: {error}") from None
    source = nbformat.read(course.folder("release", assignment) / f"{name}.ipynb", as_version=4)
    check_roles(notebook, source)
    with course.gradebook() as gradebook:
        texts = {c.name: c.source for c in gradebook.find_notebook(name, assignment).source_cells}
    return Restored(notebook, put_back(notebook, source, texts))


def check_roles(notebook, released):
    """Refuse cells that claim to be what they were not: a graded cell is run by the judge.

    nbgrader restores sources and points, but believes a cell that says whether it is a test.

    Raises
    ------
    CourseError
        If a cell's metadata differ from what was released.
    """
    roles = {_grade_id(cell): _roles(cell) for cell in released.cells}
    for cell in notebook.cells:
        name = _grade_id(cell)
        if "nbgrader" in cell.metadata and (name is None or roles.get(name) != _roles(cell)):
            raise CourseError(
                f"its metadata cannot be read: cell {name} is marked otherwise than it was released"
            )


def _roles(cell):
    marks = cell.metadata.get("nbgrader", {})
    return [bool(marks.get(role)) for role in ("grade", "solution", "task")], is_locked(cell)


def put_back(notebook, released, texts):
    """Insert the locked code cells that are missing behind the cell they stood behind."""
    ids = [_grade_id(cell) for cell in notebook.cells]
    missing, before = [], None
    for cell in released.cells:
        name = _grade_id(cell)
        if name is None:
            continue
        if name not in ids and cell.cell_type == "code" and is_locked(cell):
            back = copy.deepcopy(cell)
            back.source = texts.get(name, cell.source)
            back.metadata["course_missing"] = True
            at = ids.index(before) + 1 if before in ids else 0
            notebook.cells.insert(at, back)
            ids.insert(at, name)
            missing.append(name)
        before = name
    return missing


def _grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


class Replay(Execute):
    """Put the outputs of the sandbox into a notebook, where nbgrader would execute it."""

    outcomes: ClassVar = {}  # set by :func:`save` for the notebooks that are saved next

    def preprocess(self, nb, resources, km=None):
        """Fill in the outputs of all code cells of `nb`, in place."""
        given = self.outcomes[resources["nbgrader"]["notebook"]]
        for cell in code_cells(nb):
            number, outputs = next(given)
            cell.execution_count = number
            cell.outputs = [from_dict(output) for output in outputs]
        return nb, resources


def as_judged(outcome, kind, *, has_score):
    """Return the outputs of a cell so that nbgrader reads the right score off them.

    A warning is no mistake: stderr becomes stdout. Of results only the last counts, only in a
    graded cell without an error, and only if the reference has one there.
    """
    failed = any(output["output_type"] == "error" for output in outcome.outputs)
    results = [o for o in outcome.outputs if o["output_type"] == "execute_result"]
    counts = results[-1:] if has_score and not failed else []
    kept = []
    for output in outcome.outputs:
        if kind == "graded" and output["output_type"] == "execute_result" and output not in counts:
            continue
        kept.append(output | {"name": "stdout"} if output["output_type"] == "stream" else output)
    return kept


@contextmanager
def one_writer(course):
    """Let nbgrader write quietly; SQLite may lose the last second's writes if the power fails."""
    with warnings.catch_warnings():
        # SQLAlchemy 2.1 warns each time nbgrader creates a submission, which is saved all the same.
        warnings.filterwarnings("ignore", "Object of type <Submitted", module="nbgrader")
        yield


def save(course, assignment, student, staged, outcomes):
    """Write the autograded notebooks and the scores of one student.

    Parameters
    ----------
    course : Course
    assignment, student : str
    staged : Path
        A folder ``STUDENT/ASSIGNMENT`` below a copy of the submitted folder that was read safely.
    outcomes : dict
        Name of a notebook to a list of pairs of execution count and outputs, one for each code
        cell that the student handed in.

    Raises
    ------
    CourseError
        If nbgrader refuses it.
    """
    directory = copy.copy(course.directory)
    directory.submitted_directory = str(staged.parents[1])
    directory.assignment_id, directory.student_id = assignment, student
    Replay.outcomes = {name: iter(given) for name, given in outcomes.items()}
    with one_writer(course):
        converter = Autograde(
            coursedir=directory, parent=course.app, force=True, exporter_class=NotebookExporter
        )
        converter.autograde_preprocessors = [
            Replay if _is_execution(step) else step for step in converter.autograde_preprocessors
        ]
        try:
            converter.start()
        except NbGraderException as error:
            raise CourseError(f"nbgrader does not take it: {error}") from None


def _is_execution(step):
    name = step if isinstance(step, str) else step.__name__
    return name.rpartition(".")[2] in ("Execute", "ExecuteEveryCell")


def stage(folder, student, assignment, notebooks, files):
    """Write what was read safely of a submission into a clean folder; return the folder."""
    place = folder / student / assignment
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, data in files.items():
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for name, notebook in notebooks.items():
        nbformat.write(notebook, place / f"{name}.ipynb")
    return place
