"""Known mistakes of an assignment, and right solutions written otherwise.

They lie in the course's folder ``mistakes/ASSIGNMENT``, which students do not get:

- ``mutants.toml``: wrong submissions, each the reference solution with one mistake in it;
- ``right/*.py``: right ones, whose lines ``# %% grade-id`` begin the cells.
"""

import copy
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat

from course_lib.grading.course import CourseError

__all__ = ["Mistake", "read_mistakes", "read_right", "with_answers"]


@dataclass(frozen=True)
class Mistake:
    """A wrong submission: the right answers with one mistake in them.

    `says` tells the student who made it; `section` is where the chapter treats it; `loses` are the
    grade ids that it costs, and no other but those of `may_lose`; `change` has, by solution cell,
    pairs of texts.
    """

    name: str
    says: str
    section: str
    loses: list
    change: dict
    may_lose: tuple = ()

    def answers(self, right):
        """Return the changed answers, by grade id.

        Raises
        ------
        CourseError
            If an old text does not stand exactly once in its cell.
        """
        changed = {}
        for cell, pairs in self.change.items():
            text = right[cell]
            for old, new in pairs:
                if text.count(old) != 1:
                    raise CourseError(
                        f"{self.name}: {cell} holds {text.count(old)} times {old!r}, expected once"
                    )
                text = text.replace(old, new)
            changed[cell] = text
        return changed


def read_mistakes(folder):
    """Read the known mistakes of an assignment; none if there is no file.

    Returns
    -------
    list of Mistake
    str
        The page of the chapter that their sections are in, without its ending; perhaps empty.
    """
    path = Path(folder) / "mutants.toml"
    if not path.is_file():
        return [], ""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    may_lose = tuple(found.get("may_lose", ()))
    mistakes = [Mistake(**mutant, may_lose=may_lose) for mutant in found["mutant"]]
    return mistakes, found.get("chapter", "")


def read_right(folder):
    """Read the right solutions written otherwise: a dict of answers for each, by file name."""
    paths = sorted((Path(folder) / "right").glob("*.py"))
    return {path.stem: split(path.read_text(encoding="utf-8")) for path in paths}


def split(text):
    """Split a file at its lines ``# %% grade-id`` into answers; its head goes to the first."""
    before, *parts = re.split(r"^# %% (\S+)\n", text, flags=re.M)
    parts[1] = before + parts[1]
    return {name: answer.strip("\n") for name, answer in zip(parts[::2], parts[1::2], strict=True)}


def answers_of(notebook):
    """Return the text of each solution cell, by grade id."""
    roles = [(cell, cell.metadata.get("nbgrader", {})) for cell in notebook.cells]
    return {role["grade_id"]: cell.source for cell, role in roles if role.get("solution")}


def with_answers(notebook, texts):
    """Return a copy of a notebook with some solution cells replaced.

    Raises
    ------
    CourseError
        If there is no such cell.
    """
    unknown = sorted(texts.keys() - answers_of(notebook).keys())
    if unknown:
        raise CourseError(f"no solution cell is called {', '.join(unknown)}")
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("solution"):
            cell.source = texts.get(role["grade_id"], cell.source)
    return made


def submissions(path, folder):
    """Yield name, Mistake or None, and notebook of each known submission of a source notebook."""
    reference = nbformat.read(path, as_version=4)
    right = answers_of(reference)
    mistakes, _ = read_mistakes(folder)
    for name, answers in read_right(folder).items():
        yield name, None, with_answers(reference, answers)
    for mistake in mistakes:
        yield mistake.name, mistake, with_answers(reference, mistake.answers(right))
