"""Take grades out of the gradebook: tables for people, Canvas and Gradescope, and statistics."""

import csv
import io
import json
from dataclasses import dataclass

from course_lib.grading.autograde import states
from course_lib.grading.course import CourseError

__all__ = ["FORMATS", "Grade", "grades", "histogram", "items", "write"]

BINS = 10


@dataclass(frozen=True)
class Grade:
    """What one student has: `score` is what counts, the penalty taken off; None is not graded."""

    student: str
    state: str
    score: float | None
    max_score: float
    late_seconds: float
    penalty: float
    cells: dict[str, tuple[float, float]]
    needs_manual: bool = False


def grades(course, assignment):
    """Return the grades of everybody who handed in, sorted by student.

    Who could not be graded has no score; that is not 0.

    Raises
    ------
    CourseError
        If nobody was graded yet.
    """
    known, found = states(course, assignment), {}
    if not known:
        raise CourseError(f"export: nobody was graded; course grade {assignment}")
    with course.gradebook() as gradebook:
        worth = gradebook.find_assignment(assignment).max_score
        for submission in gradebook.assignment_submissions(assignment):
            name = submission.student_id
            cells = {
                grade.name: (float(grade.score or 0), float(grade.max_score))
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            penalty = sum(float(n.late_submission_penalty or 0) for n in submission.notebooks)
            found[name] = Grade(
                name,
                known[name].state if name in known else "graded",
                max(submission.score - penalty, 0),
                worth,
                submission.total_seconds_late,
                penalty,
                cells,
                submission.needs_manual_grade,
            )
    for name, state in known.items():
        if state.state != "graded":
            found[name] = Grade(name, state.state, None, worth, 0, 0, {})
    return [found[name] for name in sorted(found)]


def histogram(found, bins=BINS):
    """Return pairs of a range of percent and how many are in it; the last one includes 100."""
    counts = [0] * bins
    for grade in found:
        if grade.score is not None and grade.max_score:
            counts[min(int(bins * grade.score / grade.max_score), bins - 1)] += 1
    step = 100 / bins
    return [(f"{step * i:.0f} to {step * (i + 1):.0f} %", n) for i, n in enumerate(counts)]


def items(found):
    """Return for each graded cell: name, points, how many failed it, and the mean share earned."""
    analysed = {}
    for grade in found:
        for cell, (score, worth) in grade.cells.items():
            analysed.setdefault(cell, (worth, []))[1].append(score)
    return [
        (cell, worth, sum(s < worth for s in scores), sum(scores) / (worth or 1) / len(scores))
        for cell, (worth, scores) in analysed.items()
    ]


def as_csv(found, assignment, roster=None):
    """One line a student, one column a graded cell."""
    cells = list(dict.fromkeys(cell for grade in found for cell in grade.cells))
    head = ["student", "state", "score", "max_score", "late_seconds", "penalty", "by_hand", *cells]
    rows = [
        [
            *(g.student, g.state, _number(g.score), _number(g.max_score)),
            *(_number(g.late_seconds), _number(g.penalty), "waiting" if g.needs_manual else ""),
            *(_number(g.cells[cell][0]) if cell in g.cells else "" for cell in cells),
        ]
        for g in found
    ]
    return _table([head, *rows])


def as_canvas(found, assignment, roster=None):
    """Canvas's gradebook with a column filled in: its own export, or the login names.

    Parameters
    ----------
    roster : str, optional
        What Canvas exports, as text: its students, numbers and sections are kept.

    Raises
    ------
    CourseError
        If a student has a score and is not in the roster.
    """
    scores = {grade.student: grade for grade in found}
    worth = _number(max((grade.max_score for grade in found), default=0))
    if roster is None:
        head = ["Student", "ID", "SIS Login ID", "Section", assignment]
        rows = [[g.student, "", g.student, "", _number(g.score)] for g in found]
        return _table([head, ["    Points Possible", "", "", "", worth], *rows])
    head, *rows = list(csv.reader(io.StringIO(roster)))
    login = head.index("SIS Login ID")
    column = next((i for i, name in enumerate(head) if name.startswith(assignment)), len(head))
    table = [[*head, assignment] if column == len(head) else head]
    unknown = set(scores)
    for row in rows:
        row = [*row, *[""] * (column + 1 - len(row))]
        name = row[login]
        if row[0].strip() == "Points Possible":
            row[column] = worth
        elif name in scores:
            row[column] = _number(scores[name].score)
            unknown.discard(name)
        table.append(row)
    if unknown:
        raise CourseError(f"export: not in the roster: {', '.join(sorted(unknown))}")
    return _table(table)


def as_gradescope(found, assignment, roster=None):
    """A result in Gradescope's format for each student, by name."""
    results = {
        grade.student: {
            "score": grade.score,
            "output": "" if grade.state == "graded" else grade.state,
            "visibility": "visible",
            "tests": [
                {"name": cell, "score": score, "max_score": worth, "visibility": "visible"}
                for cell, (score, worth) in grade.cells.items()
            ],
        }
        for grade in found
    }
    return json.dumps(results, indent=1) + "\n"


FORMATS = {"csv": as_csv, "canvas": as_canvas, "gradescope": as_gradescope}


def write(found, assignment, *, format, roster=None):
    """Return the grades as text in one of `FORMATS`.

    Raises
    ------
    CourseError
        If there is no such format.
    """
    if format not in FORMATS:
        raise CourseError(f"export: --format {format}, expected one of {', '.join(FORMATS)}")
    return FORMATS[format](found, assignment, roster)


def _number(value):
    return "" if value is None else f"{value:g}"


def _table(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_safe(row) for row in rows)
    return text.getvalue()


def _safe(row):
    """Cells that a spreadsheet would take for formulas get a quote in front."""
    return [f"'{cell}" if str(cell)[:1] in ("=", "+", "@", "\t") else cell for cell in row]
