"""How fast a class is graded: `course grade` beside stock `nbgrader autograde`, same notebooks.

``python -m benchmarks.grading [submissions]``. The class is mixed from the right solutions and the
known mistakes of conv-backprop, which its checks were proved by.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import nbformat

from benchmarks.measure import circumstances, write_table
from course_lib.grading import autograde
from course_lib.grading.course import Course
from course_lib.grading.engines import LocalEngine
from course_lib.grading.mistakes import answers_of, submissions, with_answers
from course_lib.grading.release import generate

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "conv-backprop"
MIXED = 40  # submissions that both grade
LEAST = 10  # times as fast as stock
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


def main(count=MIXED):
    """Grade one class both ways; write seconds, submissions a minute, and how many scores agree."""
    with tempfile.TemporaryDirectory() as folder:
        course = prepare(Path(folder), count)
        start = time.perf_counter()
        done = autograde.grade(course, ASSIGNMENT, engine=LocalEngine)
        ours = time.perf_counter() - start
        again = autograde.grade(course, ASSIGNMENT, engine=LocalEngine)
        scores = {name: state.score for name, state in done.states.items()}
        stock, stock_scores = grade_with_stock(course, count)
    same = sum(scores[name] == score for name, score in stock_scores.items())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        row("stock nbgrader autograde", stock, count, ""),
        row("course grade, sandboxed", ours, count, f"{stock / ours:.1f} (at least {LEAST})"),
        row("course grade again", again.seconds, count, f"{again.executed} executed"),
        ["scores that agree", f"{same} of {count}", "", ""],
        ["memory of the grading process, MiB", f"{memory:.0f}", "", ""],
    ]
    header = ["what", "seconds", "submissions a minute", "times as fast"]
    note = f"{count} submissions of {ASSIGNMENT}, each once. {circumstances('nbgrader')}"
    write_table("grading", "Grading", note.split("; medians")[0] + ".", header, rows)


def row(what, seconds, count, remark):
    return [what, f"{seconds:.1f}", f"{60 * count / seconds:.0f}", remark]


def prepare(folder, count):
    """Make a course whose assignment is released and handed in by a mixed class."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for part in ("solutions", "mistakes"):
        shutil.copytree(ROOT / part / ASSIGNMENT, folder / part / ASSIGNMENT)
    course = Course(folder)
    generate(course, ASSIGNMENT)
    name = f"{ASSIGNMENT}.ipynb"
    released = nbformat.read(course.folder("release", ASSIGNMENT) / name, as_version=4)
    source = course.folder("source", ASSIGNMENT) / name
    known = [
        answers_of(notebook) for _, _, notebook in submissions(source, course.mistakes(ASSIGNMENT))
    ]
    for number, answers in enumerate(islice(cycle(known), count)):
        target = course.folder("submitted", ASSIGNMENT, f"student-{number:04}")
        target.mkdir(parents=True)
        first = min(answers)
        mark = {first: f"{answers[first]}\n# by student {number}"}  # else its run would be known
        notebook = with_answers(released, answers | mark)
        nbformat.write(notebook, target / name)
    return course


def grade_with_stock(course, count):
    """Grade the class with stock nbgrader; return seconds and scores."""
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + STOCK)
    command = [str(Path(sys.executable).with_name("nbgrader")), "autograde", ASSIGNMENT, "--force"]
    start = time.perf_counter()
    subprocess.run(command, cwd=course.root, capture_output=True)
    seconds = time.perf_counter() - start
    scores = {}
    with course.gradebook() as gradebook:
        for student in course.students(ASSIGNMENT):
            scores[student] = gradebook.find_submission(ASSIGNMENT, student).score
    return seconds, scores


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
