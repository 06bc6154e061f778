"""Run a notebook without a sandbox: in a kernel, with your rights.

``course check`` does so where there is no sandbox (macOS, Windows, a container that may make no
namespaces), and says so; the notebook is the student's own there. Nothing of the sandbox, which
needs Linux, is imported here. :mod:`~.insecure` grades others' notebooks so.
"""

from dataclasses import dataclass
from pathlib import Path

from nbconvert.filters import strip_ansi
from nbgrader.nbgraderformat import read
from nbgrader.preprocessors import ClearOutput
from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_locked

from course_lib.grading.course import CourseError
from course_lib.grading.execution import ExecuteEveryCell

__all__ = ["Score", "check", "execute", "remark"]

QUIET = ["--IPKernelApp.log_level=ERROR"]  # kernels warn of TCP at each start


@dataclass(frozen=True)
class Score:
    """What a graded cell earned, and in one line why not more."""

    name: str
    points: float
    max_points: float
    remark: str = ""

    def __str__(self):
        return f"{self.name:24} {self.points:g} of {self.max_points:g}  {self.remark}".rstrip()


def check(path, *, seconds):
    """Run the visible checks of a notebook in a kernel, where it lies.

    Parameters
    ----------
    path : Path
    seconds : float
        Time of each cell.

    Returns
    -------
    list of Score
        What each graded cell earned; those that a person grades are left out.

    Raises
    ------
    CourseError
        If it is no notebook.
    """
    try:
        notebook = read(path, as_version=4)
    except Exception as error:  # whatever broken data leads to
        reason = str(error).split("\n")[0]
        raise CourseError(f"{Path(path).name}: not a valid notebook: {reason}") from None
    notebook, _ = ClearOutput().preprocess(notebook, {})
    execute(notebook, Path(path).parent, seconds)
    scores = []
    for cell in filter(is_grade, notebook.cells):
        points, max_points = determine_grade(cell)
        if points is not None:
            scores.append(Score(cell.metadata.nbgrader.grade_id, points, max_points, remark(cell)))
    return scores


def remark(cell):
    """Say in one line why a graded cell did not earn its points."""
    released_as = cell.metadata.nbgrader.get("checksum")
    if is_locked(cell) and released_as not in (None, compute_checksum(cell)):
        return "this cell was changed; grading restores it"
    errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    return strip_ansi(errors[-1].traceback[-1]).split("\n")[0] if errors else ""


def execute(notebook, folder, seconds):
    """Execute a notebook in place, in a folder; return the indices of the cells that died."""
    executor = ExecuteEveryCell(timeout=int(seconds), extra_arguments=QUIET)
    executor.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return sorted(executor.deadly)
