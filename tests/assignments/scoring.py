"""Score a submission in this process: what nbgrader's autograder does, in a second.

A submission is the source notebook with other answers in it: a dict from the grade id of a
solution cell to its text. Nothing is isolated, so run trusted code only.
"""

import io
import json
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from course_lib.grading.mistakes import split

ROOT = Path(__file__).parents[2]


@dataclass
class Report:
    """What a submission earned, by grade id; and what its cells raised, by cell id."""

    points: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)

    @property
    def total(self):
        return sum(self.points.values())


def read(folder, assignment):
    """Read the notebook of an assignment from `solutions` or `assignments`."""
    return json.loads((ROOT / folder / assignment / f"{assignment}.ipynb").read_text())


def source(cell):
    return "".join(cell["source"])


def role(cell):
    return cell["metadata"].get("nbgrader", {})


def answers(notebook):
    """Return the text of each solution cell, by grade id."""
    return {role(c)["grade_id"]: source(c) for c in notebook["cells"] if role(c).get("solution")}


def possible(notebook):
    """Return the points of each graded cell, by grade id."""
    return {
        role(c)["grade_id"]: role(c)["points"] for c in notebook["cells"] if "points" in role(c)
    }


def with_answers(notebook, texts):
    """Return a copy of the notebook with some solution cells replaced."""
    unknown = texts.keys() - answers(notebook).keys()
    if unknown:
        raise ValueError(f"no solution cell is called {sorted(unknown)}")
    cells = [
        cell | {"source": texts.get(role(cell).get("grade_id"), source(cell))}
        for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells}


def score(notebook, **given):
    """Run all code cells in order, in a namespace of their own, and return a :class:`Report`.

    `given` are names that are there before: what cells define that were left out.

    As in nbgrader, a cell that raises ends there and the next one runs, and a graded cell earns
    its points if it raises nothing.
    """
    report, namespace = Report(), given | {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            error = run(source(cell), cell["id"], namespace)
            if error:
                report.errors[cell["id"]] = error
            if "points" in role(cell):
                report.points[role(cell)["grade_id"]] = 0 if error else role(cell)["points"]
    return report


def run(text, name, namespace):
    """Run one cell; return what it raised, or None."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            exec(compile(text, f"<cell {name}>", "exec"), namespace)
        except Exception as error:
            return error
    return None


if __name__ == "__main__":  # python tests/assignments/scoring.py conv-backprop [answers.py]
    assignment, *files = sys.argv[1:]
    submission = read("solutions", assignment)
    for path in files:
        submission = with_answers(submission, split(Path(path).read_text()))
    result = score(submission)
    for name, earned in result.points.items():
        print(
            f"{earned:3g} of {possible(submission)[name]:g}  {name}  {result.errors.get(name, '')}"
        )
    print(f"{result.total:3g}")
