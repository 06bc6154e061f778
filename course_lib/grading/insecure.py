"""Grade without a sandbox: ``course grade --insecure``, for submissions of your own.

They are read and restored, and their points saved, as those in the sandbox are; but each is run in
one kernel, with your rights: it may do all that you may, and give itself any points.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.grading import autograde
from course_lib.grading.contract import Contract, files_beside, fingerprint_of_source
from course_lib.grading.notebooks import code_cells, kind_of
from course_lib.grading.plain import execute
from course_lib.grading.sandbox import Limits, Outcome, Run

__all__ = ["KernelEngine", "NoSandbox", "grade"]


@dataclass(frozen=True)
class NoSandbox(Limits):
    """Limits that nobody enforces; results by them have keys that no sandbox takes for its own."""

    sandbox: bool = False


class KernelEngine:
    """An engine as in :mod:`~.engines`: one kernel for each notebook, one after the other."""

    def __init__(self, preload=(), limits=None):
        """Take what every engine is given; a kernel imports for itself."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, jobs):
        """Yield ``key, Run`` or ``key, exception`` for each of the pairs ``key, job``."""
        for key, job in jobs:
            try:
                ran = run(job)
            except Exception as error:  # not a cell's fault: not graded
                ran = error
            yield key, ran


def run(job):
    """Run the cells of a job, whosesoever they are, in one kernel; return a Run."""
    cells = [new_code_cell(cell.source) for cell in job.cells]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    with tempfile.TemporaryDirectory(prefix="course-insecure-") as folder:
        for name, data in (job.own_files | job.files).items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        seconds = max((cell.seconds for cell in job.cells), default=1)
        died = execute(notebook, folder, seconds)
    outcomes = {
        cell.number: Outcome(list(ran.outputs))
        for cell, ran in zip(job.cells, notebook.cells, strict=True)
    }
    deaths = tuple(f"cell {job.cells[index].number}: died" for index in died)
    return Run(outcomes, (), {}, deaths=deaths)


class PlainSession(autograde.Session):
    """A session that needs no contract: as in nbgrader, each graded cell may give its points."""

    def prepare_contracts(self):
        """Take from the sources which cells are graded."""
        folder = self.course.folder("source", self.assignment)
        self.files = files_beside(folder)
        for name in self.names:
            path = folder / f"{name}.ipynb"
            cells = code_cells(nbformat.read(path, as_version=4))
            graded = [c.metadata.nbgrader.grade_id for c in cells if kind_of(c) == "graded"]
            source = fingerprint_of_source(path)
            self.contracts[name] = Contract(self.assignment, name, source, scores=graded)


def grade(course, assignment, **options):
    """Grade as :func:`.autograde.grade` does, with its options, in kernels."""
    engine, limits = KernelEngine, NoSandbox()
    return autograde.grade(
        course, assignment, engine=engine, limits=limits, session=PlainSession, **options
    )
