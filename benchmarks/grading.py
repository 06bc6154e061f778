"""How fast a class is graded: `course grade` beside stock `nbgrader autograde`, same notebooks.

``python -m benchmarks.grading [submissions]``. Two classes of equal size: one of a small assignment
of four tasks, which takes hardly longer than the start of a kernel; one of conv-backprop, mixed
from its right solutions and its known mistakes, which computes for most of its time.
"""

import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks.measure import circumstances, write_table
from course_lib.grading import autograde
from course_lib.grading.course import Course
from course_lib.grading.engines import LocalEngine
from course_lib.grading.mistakes import answers_of, submissions, with_answers
from course_lib.grading.release import generate

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "conv-backprop"
MIXED = 40  # submissions that both grade
STOCK = """
c.Autograde.autograde_preprocessors = [
    "nbgrader.preprocessors.Execute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
"""


TASKS = {  # name: right answer, hidden check, other answers
    "mean": (
        "def mean(x):\n    return sum(x) / len(x)",
        "assert mean([1, 2, 6]) == 3",
        [
            "import numpy as np\ndef mean(x):\n    return float(np.mean(x))",
            "def mean(x):\n    return sorted(x)[len(x) // 2]",
            "def mean(x):\n    raise NotImplementedError",
        ],
    ),
    "clip": (
        "import numpy as np\ndef clip(x, a, b):\n    return np.clip(x, a, b)",
        "assert (clip(np.array([1.0, 5, 9]), 2, 7) == [2, 5, 7]).all()",
        [
            "def clip(x, a, b):\n    return np.minimum(np.maximum(x, a), b)",
            "def clip(x, a, b):\n    return np.maximum(x, a)",
        ],
    ),
    "counts": (
        "def counts(words):\n    return {w: words.count(w) for w in words}",
        "assert counts(['a', 'b', 'a']) == {'a': 2, 'b': 1}",
        [
            "from collections import Counter\ndef counts(words):\n    return dict(Counter(words))",
            "def counts(words):\n    print(words)\n    return {w: 1 for w in words}",
        ],
    ),
    "solve": (
        "def solve(A, b):\n    return np.linalg.solve(A, b)",
        "assert np.allclose(solve(np.diag([2.0, 4]), np.ones(2)), [0.5, 0.25])",
        [
            "def solve(A, b):\n    return np.linalg.inv(A) @ b",
            "def solve(A, b):\n    return A @ b",
            "def solve(A, b:\n    return b",
        ],
    ),
}


def main(count=MIXED):
    """Grade each class both ways; write seconds, submissions a minute, how many scores agree."""
    rows = []
    for label, prepare in [("small", small_class), (ASSIGNMENT, class_of_the_course)]:
        with tempfile.TemporaryDirectory() as folder:
            course = prepare(Path(folder), count)
            rows += compare(label, course, count)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(["memory of the grading process, MiB", f"{memory:.0f}", "", ""])
    header = ["what", "seconds", "submissions a minute", "times as fast"]
    note = f"{count} submissions of each assignment, each once. {circumstances('nbgrader')}"
    write_table("grading", "Grading", note.split("; medians")[0] + ".", header, rows)


def compare(label, course, count):
    """Grade the class of a course both ways; return rows of the table."""
    (assignment,) = course.assignments()
    autograde.grade(course, assignment, engine=LocalEngine, students=["first"])  # its contract
    start = time.perf_counter()
    done = autograde.grade(course, assignment, engine=LocalEngine)
    ours = time.perf_counter() - start
    again = autograde.grade(course, assignment, engine=LocalEngine)
    scores = {name: state.score for name, state in done.states.items()}
    seconds, by_stock = grade_with_stock(course, assignment)
    same = sum(scores[name] == score for name, score in by_stock.items())
    return [
        row(f"{label}: stock nbgrader autograde", seconds, count, ""),
        row(f"{label}: course grade, sandboxed", ours, count, f"{seconds / ours:.1f}"),
        row(f"{label}: course grade again", again.seconds, count, f"{again.executed} executed"),
        [f"{label}: scores that agree", f"{same} of {len(by_stock)}", "", ""],
    ]


def row(what, seconds, count, remark):
    return [what, f"{seconds:.1f}", f"{60 * count / seconds:.0f}", remark]


def small_class(folder, count):
    """Make a course with the assignment of `TASKS`, handed in with answers drawn by chance."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    source = folder / "solutions" / "small" / "small.ipynb"
    source.parent.mkdir(parents=True)
    cells = []
    for name, (answer, check, _) in TASKS.items():
        solution = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
        cells.append(cell(f"{name}-code", solution, solution=True, locked=False))
        hidden = f"### BEGIN HIDDEN TESTS\n{check}\n### END HIDDEN TESTS"
        cells.append(cell(name, hidden, grade=True, locked=True, points=1))
    nbformat.write(new_notebook(cells=cells), source)
    rng = random.Random(0)
    drawn = (
        {f"{name}-code": rng.choice([right, *others]) for name, (right, _, others) in TASKS.items()}
        for _ in range(count)
    )
    return hand_in(Course(folder), "small", drawn)


def cell(name, source, *, grade=False, solution=False, locked, points=None):
    """A code cell with nbgrader's metadata."""
    role = {"grade_id": name, "grade": grade, "solution": solution, "locked": locked, "task": False}
    role |= {"schema_version": 3} | ({"points": points} if points else {})
    return new_code_cell(source, metadata={"nbgrader": role}, id=name)


def class_of_the_course(folder, count):
    """Make a course with conv-backprop, handed in by a mixed class."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for part in ("solutions", "mistakes"):
        shutil.copytree(ROOT / part / ASSIGNMENT, folder / part / ASSIGNMENT)
    course = Course(folder)
    source = course.folder("source", ASSIGNMENT) / f"{ASSIGNMENT}.ipynb"
    known = [
        answers_of(notebook) for _, _, notebook in submissions(source, course.mistakes(ASSIGNMENT))
    ]
    random.Random(0).shuffle(known)
    return hand_in(course, ASSIGNMENT, islice(cycle(known), count))


def hand_in(course, assignment, drawn):
    """Release an assignment, and hand in `drawn` answers, and those of one more student first."""
    generate(course, assignment)
    name = f"{assignment}.ipynb"
    released = nbformat.read(course.folder("release", assignment) / name, as_version=4)
    students = {f"student-{number:04}": answers for number, answers in enumerate(drawn)}
    students = {"first": next(iter(students.values()))} | students
    for student, answers in students.items():
        target = course.folder("submitted", assignment, student)
        target.mkdir(parents=True)
        one = min(answers)
        mark = {one: f"{answers[one]}\n# by {student}"}  # else its run would be known
        nbformat.write(with_answers(released, answers | mark), target / name)
    return course


def grade_with_stock(course, assignment):
    """Grade the class with stock nbgrader; return seconds and scores."""
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + STOCK)
    command = [str(Path(sys.executable).with_name("nbgrader")), "autograde", assignment, "--force"]
    shutil.rmtree(course.folder("submitted", assignment, "first"))  # graded before, by ours alone
    start = time.perf_counter()
    subprocess.run(command, cwd=course.root, capture_output=True)
    seconds = time.perf_counter() - start
    scores = {}
    with course.gradebook() as gradebook:
        for student in course.students(assignment):
            scores[student] = gradebook.find_submission(assignment, student).score
    return seconds, scores


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
