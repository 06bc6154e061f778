"""For students: run the checks that they can see, and pack what they hand in.

The checks run in the sandbox that grading uses; :mod:`~.plain` is for machines that have none.
"""

import zipfile
from pathlib import Path

import nbformat
from nbgrader.utils import compute_checksum, is_grade, is_locked, is_solution

from course_lib.grading.course import CourseError
from course_lib.grading.gradebook import as_judged
from course_lib.grading.intake import IntakeError, read_files, read_notebook
from course_lib.grading.notebooks import cells_of, code_cells, imported, kind_of
from course_lib.grading.plain import Score, remark
from course_lib.grading.release import points
from course_lib.grading.sandbox import Job, Sandbox

__all__ = ["check", "pack", "what_is_missing"]


def check(path, *, seconds, say=lambda text: None):
    """Run the visible checks of a notebook in the sandbox.

    Parameters
    ----------
    path : Path
    seconds : float
        Time of each cell.
    say : callable
        Told if the files beside the notebook are too many to be there when it runs.

    Returns
    -------
    list of Score
        What each graded cell earned, with a line that says where the first difference is.

    Raises
    ------
    CourseError
        If it is no notebook.
    NotAvailableError
        If this machine has no sandbox.
    """
    notebook = _read(path)
    try:
        files = read_files(Path(path).parent)
    except IntakeError as refusal:
        files = {}
        say(f"The files beside {Path(path).name} are left out: {refusal}")
    with Sandbox(imported([path])) as sandbox:
        ran = sandbox.run(Job(cells_of(notebook, seconds=seconds), own_files=files))
    earned = points(notebook, ran, {_grade_id(cell) for cell in code_cells(notebook)})
    scores = []
    for number, cell in enumerate(code_cells(notebook), 1):
        name = _grade_id(cell)
        if name in earned:
            outputs = as_judged(ran.outcomes[number], kind_of(cell), has_score=True)
            judged = nbformat.from_dict({**cell, "outputs": outputs})
            worth = float(cell.metadata.nbgrader.points)
            scores.append(Score(name, earned[name], worth, remark(judged)))
    return scores


def what_is_missing(path, released=None):
    """Say why a notebook is not ready to be handed in; nothing if it is.

    Parameters
    ----------
    path : Path
    released : Path, optional
        What was handed out, to find deleted cells.

    Returns
    -------
    list of str
    """
    notebook, found = _read(path), []
    cells = [cell for cell in notebook.cells if _grade_id(cell)]
    names = [_grade_id(cell) for cell in cells]
    found += [f"{name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for cell in cells:
        handed_out = cell.metadata.nbgrader.get("checksum")
        same = handed_out == compute_checksum(cell)
        if is_solution(cell) and same:
            found.append(f"{_grade_id(cell)} has no answer yet")
        elif is_locked(cell) and handed_out and not same:
            found.append(f"{_grade_id(cell)} was changed: it is a check, or given")
    if released is not None:
        known = nbformat.read(released, as_version=4).cells
        wanted = [_grade_id(cell) for cell in known if is_grade(cell) or is_solution(cell)]
        found += [f"{name} was deleted" for name in wanted if name not in names]
    return found


def pack(path, target, *, released=None, incomplete=False):
    """Pack a notebook and the files beside it into a zip file to be handed in.

    Parameters
    ----------
    path, target : Path
        The notebook, and the zip file to write.
    released : Path, optional
        As in :func:`what_is_missing`.
    incomplete : bool
        Pack it also if something is missing.

    Returns
    -------
    Path

    Raises
    ------
    CourseError
        If something is missing: each thing on a line of its own.
    """
    path, missing = Path(path), what_is_missing(path, released)
    if missing and not incomplete:
        reasons = "\n".join(f"  {reason}" for reason in missing)
        raise CourseError(
            f"{path.name} is not complete:\n{reasons}\n"
            f"Hand it in as it is with --incomplete: what is missing scores 0"
        )
    try:
        files = read_files(path.parent) | {path.name: path.read_bytes()}
    except IntakeError as refusal:
        raise CourseError(f"pack: {refusal}") from None
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in sorted(files.items()):
            if Path(name) != Path(target.name):
                packed.writestr(f"{path.stem}/{name}", data)
    return target


def _read(path):
    try:
        return read_notebook(path)
    except IntakeError as refusal:
        raise CourseError(str(refusal)) from None


def _grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")
