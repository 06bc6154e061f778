"""A course with one small assignment, and a class that hands it in.

The tasks are worth 1, 2, 4 and 8 points, so that a sum says which of them earned theirs.
"""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[1]
ASSIGNMENT = "powers"
NOTEBOOK = f"{ASSIGNMENT}.ipynb"
TIMEOUT = 4  # seconds for each cell
RIGHT = {
    "square": "return x * x",
    "cube": "return x**3",
    "halve": "return x / 2",
    "last": "return x[-1]",
}
POINTS = dict(zip(RIGHT, (1, 2, 4, 8), strict=True))
CHECKS = {
    "square": 'assert square(3) == 9, "square(3) is not 9"',
    "cube": "assert cube(2) == 8",
    "halve": 'assert halve(4) == 2, "halve(4) is not 2"',
    "last": 'assert last("abc") == "c", "the last of abc is not c"',
}
HIDDEN = {
    "square": 'assert square(7919) == 62710561, "square is wrong for a large number"',
    "cube": "for secret in (31, -17):\n    assert cube(secret) == secret * secret * secret",
    "halve": 'assert halve(6203) == 3101.5, "halve rounds"\nassert halve(-8) == -4',
    "last": 'assert last([4271, "sesame"]) == "sesame", "last is wrong for a list"',
}
SECRETS = ["7919", "62710561", "secret", "-17", "6203", "3101.5", "-8", "4271", "sesame"]


def source_notebook():
    """The instructor's notebook, with solutions and hidden tests."""
    cells = [new_markdown_cell("# Powers\n\nWrite $f(x) = x^2$ and its like.", id="title")]
    for name, answer in RIGHT.items():
        solution = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
        hidden = f"### BEGIN HIDDEN TESTS\n{HIDDEN[name]}\n### END HIDDEN TESTS"
        test = f'"""{name}, {POINTS[name]} points."""\n{CHECKS[name]}\n{hidden}'
        cells += [
            _cell(f"{name}-code", function(name, solution), solution=True),
            _cell(name, test, grade=True, points=POINTS[name]),
        ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(name, source, *, grade=False, solution=False, **more):
    role = {"grade": grade, "solution": solution, "locked": grade, "task": False, **more}
    return new_code_cell(
        source, id=name, metadata={"nbgrader": {"grade_id": name, "schema_version": 3, **role}}
    )


def function(name, body):
    """Source of a cell that defines ``name(x)``."""
    return "\n    ".join([f"def {name}(x):", *body.split("\n")])


@dataclass
class Student:
    """What one student hands in (the right answer where nothing else is said), and its worth."""

    score: int
    bodies: dict[str, str] = field(default_factory=dict)  # task -> body of its function
    before: dict[str, str] = field(default_factory=dict)  # task -> code above its function
    edit: Callable = lambda notebook: None

    def hand_in(self, release, path):
        """Write the notebook that is handed in."""
        notebook = nbformat.read(release, as_version=4)
        for name, answer in (RIGHT | self.bodies).items():
            source = self.before.get(name, "") + function(name, answer)
            cell(notebook, f"{name}-code").source = source
        self.edit(notebook)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


def cell(notebook, name):
    """The cell of a notebook with this grade_id."""
    (found,) = (c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)
    return found


WRONG = dict.fromkeys(RIGHT, "return None")
DIE = "import os\nos._exit(0)\n"
LOOP = "n = 0\nwhile True:\n    n += 1\n"
STUBBORN = """import time
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""


def tamper(notebook):
    """Weaken each test in another way."""
    cell(notebook, "square").source = "pass"
    cell(notebook, "cube").metadata.tags = ["skip-execution"]
    cell(notebook, "last").metadata.nbgrader.points = 0
    halve = cell(notebook, "halve")
    halve.cell_type = "raw"
    del halve["outputs"], halve["execution_count"]


def delete_a_test(notebook):
    """Delete the test of `halve`."""
    notebook.cells.remove(cell(notebook, "halve"))


def unmark_a_test(notebook):
    """Claim that the test of `halve` is none."""
    cell(notebook, "halve").metadata.nbgrader.grade = False


CLASS = {
    "all-right": Student(15),
    "half-right": Student(3, dict.fromkeys(("halve", "last"), "raise NotImplementedError()")),
    "warns": Student(15, {"square": "import warnings\nwarnings.warn('slow')\nreturn x * x"}),
    "fails-hidden": Student(
        0,
        {
            "square": "return 9",
            "cube": "return 8",
            "halve": "return x // 2",
            "last": "return x[:][len(x) - 1][0]",
        },
    ),
    "raises-in-hidden": Student(
        0,
        {
            "square": "return {3: 9}[x]",
            "cube": "if x != 2:\n    raise AssertionError(x)\nreturn 8",
            "halve": "return [2][x - 4]",
            "last": "return {'abc': 'c'}[repr(x).strip(\"'\")]",
        },
        before={"square": "\n%xmode Verbose\n\n"},
    ),
    "prints": Student(15, {name: f"print('got', x)\n{RIGHT[name]}" for name in RIGHT}),
    "tampers": Student(0, WRONG, edit=tamper),
    "tampers-and-knows": Student(15, edit=tamper),
    "deletes-a-test": Student(11, edit=delete_a_test),
    "forges-a-result": Student(13, {"cube": "get_ipython().displayhook(2.0)"}),
    "loops-in-a-call": Student(13, {"cube": LOOP}),
    "loops-at-the-top": Student(11, before={"halve": LOOP}),
    "loops-stubbornly-in-a-call": Student(13, {"cube": STUBBORN}),
    "loops-stubbornly-at-the-top": Student(11, before={"halve": STUBBORN}),
    "floods": Student(13, {"cube": "while True:\n    print('line' * 25)"}),
    "dies-in-a-call": Student(13, {"cube": DIE}),
    "dies-at-the-top": Student(11, before={"halve": DIE}),
    "dies-again-and-again": Student(1, dict.fromkeys(list(RIGHT)[1:], DIE)),
    "exits": Student(9, {"cube": "import sys\nsys.exit()"}, {"halve": "exit()\n"}),
}
REFUSED = {"unmarks-a-test": Student(0, edit=unmark_a_test)}


class Course:
    """The course's configuration in a folder of its own, with the assignment above."""

    def __init__(self, root):
        self.root = root / "course"
        (self.root / "solutions" / ASSIGNMENT).mkdir(parents=True)
        nbformat.write(source_notebook(), self.root / "solutions" / ASSIGNMENT / NOTEBOOK)
        config = (ROOT / "nbgrader_config.py").read_text()
        faster = f"\nc.ExecutePreprocessor.timeout = {TIMEOUT}\n"
        (self.root / "nbgrader_config.py").write_text(config + faster)
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root),
            "JUPYTER_CONFIG_DIR": str(root / "jupyter"),
            "JUPYTER_DATA_DIR": str(root / "jupyter-data"),
        }

    def run(self, module, *arguments, cwd=None, ok=True):
        """Run ``python -m module arguments`` in the course, and say whether it should succeed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) is ok, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def student(self, command, home):
        """Run one of nbgrader's commands for students in `home`."""
        where = [f"--Exchange.root={self.root / 'exchange'}", "--course=gradients-to-detectors"]
        return self.run("nbgrader", command, ASSIGNMENT, *where, cwd=home)

    def notebook(self, step, student="."):
        """Path of the notebook in one of nbgrader's folders."""
        return self.root / step / student / ASSIGNMENT / NOTEBOOK

    def feedback(self, student):
        """The feedback page of a student."""
        return self.notebook("feedback", student).with_suffix(".html").read_text()

    def scores(self):
        """Exported scores by student; None for whom has none."""
        with (self.root / f"grades-{ASSIGNMENT}.csv").open() as file:
            rows = list(csv.DictReader(file))
        return {row["student"]: float(row["score"]) if row["score"] else None for row in rows}
