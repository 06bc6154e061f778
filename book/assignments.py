"""What an assignment asks for, read from the notebook that students get."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Part", "parts"]

TITLE = re.compile(r"^## (.+)", re.M)


@dataclass(frozen=True)
class Part:
    """A section of an assignment that is graded."""

    title: str  # as its heading says: "2. Convolution, backward"
    points: int
    gaps: dict  # id of each cell to be filled: what is written there, () where it is prose


def parts(root, name):
    """The graded sections of the assignment `name`, in order.

    Raises
    ------
    FileNotFoundError
        If ``assignments/`` has no such notebook.
    """
    path = Path(root) / "assignments" / name / f"{name}.ipynb"
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        graded = cell["metadata"].get("nbgrader", {})
        heading = TITLE.search(source) if cell["cell_type"] == "markdown" else None
        if heading and not graded.get("solution"):
            found.append(Part(heading[1].strip(), 0, {}))
        if not found or not graded:
            continue
        if graded.get("solution"):
            found[-1].gaps[graded["grade_id"]] = _defined(source, cell["cell_type"])
        if graded.get("grade"):
            last = found.pop()
            found.append(Part(last.title, last.points + int(graded["points"]), last.gaps))
    return [part for part in found if part.points]


def _defined(source, kind):
    if kind != "code":
        return ()
    nodes = ast.parse(source).body
    return tuple(n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef))
