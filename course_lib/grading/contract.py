"""What a submission may bring into a check, recorded when the reference solution runs.

Without a contract an object whose ``__sub__`` returns 0.0 would pass every check of a difference.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import nbformat

from course_lib.grading.course import CourseError
from course_lib.grading.notebooks import cells_of, code_cells, kind_of, names_from_students
from course_lib.grading.sandbox import Job

__all__ = ["Contract", "fingerprint_of_source", "load", "record", "save"]

LEAST_SECONDS = 15  # that a cell has, however fast the reference is
SLOWER = 20  # times what the slowest right solution takes is allowed
MORE_FILES = 50 << 20  # bytes of files beside a notebook


@dataclass(frozen=True)
class Contract:
    """What the run of a reference notebook showed.

    `names`, `sketches` and `seconds`, of the slowest right solution, are by grade id; `scores` are
    the graded cells whose value is a number of points. `modules` is what was imported on the way,
    for a sandbox to import once; `mistakes` has what known mistakes return (:mod:`~.diagnosis`).
    """

    assignment: str
    notebook: str
    source: str  # digest of the notebook that it was recorded from
    names: dict = field(default_factory=dict)
    opaque: list = field(default_factory=list)
    libraries: dict = field(default_factory=dict)
    modules: list = field(default_factory=list)
    seconds: dict = field(default_factory=dict)
    sketches: dict = field(default_factory=dict)
    scores: list = field(default_factory=list)
    mistakes: list = field(default_factory=list)

    def job(self, notebook, *, seconds, files=None, own_files=None):
        """Return the job of a submitted notebook, whose locked cells are restored.

        Parameters
        ----------
        notebook : NotebookNode
        seconds : float
            The most that a cell may have; less where the reference is fast.
        files, own_files : dict
            As in Job.

        Returns
        -------
        Job
        """
        cells = []
        for cell, node in zip(
            cells_of(notebook, seconds=seconds, names=self.names), code_cells(notebook), strict=True
        ):
            took = self.seconds.get(node.metadata.get("nbgrader", {}).get("grade_id"))
            if took is not None:
                cell = replace(cell, seconds=min(seconds, max(LEAST_SECONDS, SLOWER * took)))
            cells.append(cell)
        return Job(
            tuple(cells), files or {}, own_files or {}, tuple(self.opaque), dict(self.libraries)
        )


def record(sandbox, assignment, path, *, seconds, files=None, more=()):
    """Run a reference notebook, and return its contract and what it earned.

    Parameters
    ----------
    sandbox : Sandbox
    assignment : str
    path : Path
        The notebook with its solutions.
    seconds : float
        Time of each cell.
    files : dict, optional
        What lies beside it.
    more : sequence of NotebookNode
        Other right solutions, whose objects are allowed too.

    Returns
    -------
    Contract
    Run
        Of the reference.
    """
    notebook = nbformat.read(path, as_version=4)
    names = names_from_students(notebook)
    ran = sandbox.run(Job(cells_of(notebook, seconds=seconds, names=names), files or {}))
    opaque, libraries = set(ran.opaque), dict(ran.libraries)
    took, sketches, scores = {}, {}, []
    for other in more:
        again = sandbox.run(Job(cells_of(other, seconds=seconds, names=names), files or {}))
        opaque |= set(again.opaque)
        for number, cell in enumerate(code_cells(other), 1):
            if kind_of(cell) != "student":
                name = cell.metadata.nbgrader.grade_id
                took[name] = max(took.get(name, 0), again.outcomes[number].seconds)
    for number, cell in enumerate(code_cells(notebook), 1):
        if kind_of(cell) != "student":
            name, outcome = cell.metadata.nbgrader.grade_id, ran.outcomes[number]
            took[name] = max(took.get(name, 0), outcome.seconds)
            sketches[name] = outcome.sketches
            if any(output["output_type"] == "execute_result" for output in outcome.outputs):
                scores.append(name)
    contract = Contract(
        assignment,
        path.stem,
        fingerprint_of_source(path),
        names,
        sorted(opaque),
        libraries,
        list(ran.modules),
        took,
        sketches,
        scores,
    )
    return contract, ran


def fingerprint_of_source(path):
    """Return a digest of the code cells of a notebook, their ids and their points."""
    notebook = nbformat.read(path, as_version=4)
    said = [[c.source, c.metadata.get("nbgrader", {})] for c in code_cells(notebook)]
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def place(course, assignment, notebook):
    """Return where a contract is kept."""
    return course.private / "contracts" / assignment / f"{notebook}.json"


def save(course, contract):
    """Keep a contract in the private folder of the course."""
    write_atomically(
        place(course, contract.assignment, contract.notebook),
        json.dumps(asdict(contract), indent=1).encode(),
    )


def load(course, assignment, notebook):
    """Return the contract of a notebook, or None if there is none or its source has changed.

    Raises
    ------
    CourseError
        If the assignment has no such source.
    """
    source = course.folder("source", assignment) / f"{notebook}.ipynb"
    if not source.is_file():
        raise CourseError(f"{assignment}: there is no source {source}")
    path = place(course, assignment, notebook)
    if not path.is_file():
        return None
    contract = Contract(**json.loads(path.read_text()))
    return contract if contract.source == fingerprint_of_source(source) else None


def files_beside(folder):
    """Return the files beside the notebooks of a folder, name to bytes; links are left out.

    Raises
    ------
    CourseError
        If they are larger than 50 MiB together.
    """
    found, size = {}, 0
    for path in sorted(Path(folder).rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in relative.parts)
        if hidden or path.is_symlink() or not path.is_file() or path.suffix == ".ipynb":
            continue
        size += path.stat().st_size
        if size > MORE_FILES:
            raise CourseError(f"{folder}: more than {MORE_FILES >> 20} MiB of files")
        found[relative.as_posix()] = path.read_bytes()
    return found


def write_atomically(path, data):
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_bytes(data)
    half.replace(path)
