"""Score a submission in this process: what nbgrader's autograder does, in a second.

A submission is the source notebook with other answers in it: a dict from the grade id of a
solution cell to its text. Nothing is isolated, so run trusted code only.
"""

import io
import json
import re
import sys
import tomllib
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True)
class Mutant:
    """A wrong submission: the right answers with one mistake in them.

    `says` tells the student who made it; `section` is where the chapter treats it; `loses` are the
    grade ids that it costs, and no other; `change` has, by solution cell, pairs of texts.
    """

    name: str
    says: str
    section: str
    loses: list
    change: dict

    def answers(self, right):
        """Return the changed answers; each old text must stand there once."""
        changed = {}
        for cell, pairs in self.change.items():
            text = right[cell]
            for old, new in pairs:
                if text.count(old) != 1:
                    raise ValueError(f"{self.name}: {cell} holds {text.count(old)} times {old!r}")
                text = text.replace(old, new)
            changed[cell] = text
        return changed


def read_mutants(path):
    """Read the mutants of an assignment from its TOML file."""
    return [Mutant(**mutant) for mutant in tomllib.loads(path.read_text())["mutant"]]


def split(text):
    """Split a file at its lines ``# %% grade-id`` into answers; its head goes to the first."""
    before, *parts = re.split(r"^# %% (\S+)\n", text, flags=re.M)
    parts[1] = before + parts[1]
    return {name: answer.strip("\n") for name, answer in zip(parts[::2], parts[1::2], strict=True)}


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
