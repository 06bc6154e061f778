"""Why each point was lost, in words: from the autograded notebook and the gradebook."""

from dataclasses import dataclass

import nbformat
from nbconvert.filters import strip_ansi
from nbgrader.api import MissingEntry
from nbgrader.utils import is_grade

from course_lib.grading.autograde import states
from course_lib.grading.course import CourseError
from course_lib.grading.notebooks import is_diagnosis

__all__ = ["Loss", "explain"]


@dataclass(frozen=True)
class Loss:
    """A graded cell: what it is worth, what it earned, why, and what the mistake looks like."""

    cell: str
    points: float
    max_points: float
    why: str = ""
    diagnosis: str = ""


def explain(course, assignment, student):
    """Return what each graded cell of a submission earned, and why.

    Parameters
    ----------
    course : Course
    assignment, student : str

    Returns
    -------
    list of Loss

    Raises
    ------
    CourseError
        If it is not graded; the message says why not.
    """
    state = states(course, assignment).get(student)
    if state is None or state.state != "graded":
        reason = f"{state.state}: {state.reason}" if state else "nobody graded it"
        raise CourseError(f"explain: {student}, {assignment}: {reason}")
    said, found = {}, []
    for path in course.notebooks("autograded", assignment, student):
        for cell in nbformat.read(path, as_version=4).cells:
            if is_grade(cell):
                said[cell.metadata.nbgrader.grade_id] = cell
    with course.gradebook() as gradebook:
        try:
            submission = gradebook.find_submission(assignment, student)
        except MissingEntry:
            raise CourseError(f"explain: the gradebook has nothing of {student}") from None
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                found.append(_loss(grade, said.get(grade.name), state))
    return found


def _loss(grade, cell, state):
    """One graded cell, as the gradebook and the notebook have it."""
    score, worth = float(grade.score or 0), float(grade.max_score)
    if score >= worth:
        return Loss(grade.name, score, worth)
    if grade.name in state.missing or cell is None:
        return Loss(grade.name, score, worth, "the cell was deleted from the notebook")
    if grade.needs_manual_grade and grade.manual_score is None:
        return Loss(grade.name, score, worth, "waits for somebody to grade it")
    if grade.manual_score is not None:
        return Loss(grade.name, score, worth, "graded by hand")
    outputs = cell.get("outputs", [])
    errors = [output for output in outputs if output.output_type == "error"]
    looks = [output.data["text/plain"] for output in outputs if is_diagnosis(output)]
    why = strip_ansi(f"{errors[-1].ename}: {errors[-1].evalue}") if errors else "in part"
    return Loss(grade.name, score, worth, why.rstrip(": "), looks[0] if looks else "")
