"""The rules for notebooks that a program can check."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LECTURES = sorted((ROOT / "lectures").glob("*.ipynb"))
ALL = (
    LECTURES + sorted(ROOT.glob("solutions/*/*.ipynb")) + sorted(ROOT.glob("assignments/*/*.ipynb"))
)
MAX_LINES = 15


def source(cell):
    return "".join(cell["source"])


def faults(notebook):
    """Yield what is wrong with any notebook of the course."""
    cells = notebook["cells"]
    if not source(cells[0]).startswith("# ") or cells[0]["cell_type"] != "markdown":
        yield "starts without a title"
    names = [cell.get("id", "") for cell in cells]
    if len(set(names)) < len(names):
        yield "has cells without an id of their own"
    yield from (f"{n!r}: an id says what the cell is about" for n in names if not readable(n))
    for cell in cells:
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None):
            yield f"{cell['id']}: stored output; clear it, the build runs the notebook"


def readable(name):
    """A word or several, in lower case; not the eight hexadecimal digits of a default id."""
    words = name.split("-")
    return name == name.lower() and any(w.isalpha() and len(w) > 2 for w in words)


def lecture_faults(notebook):
    """Yield what is wrong with a chapter, beyond the above."""
    for before, cell in pairwise(notebook["cells"]):
        where, text = cell["id"], source(cell)
        if cell["cell_type"] == "markdown":
            continue
        if sum(bool(line.strip()) for line in text.splitlines()) > MAX_LINES:
            yield f"{where}: more than {MAX_LINES} lines; split it, or move code to course_lib"
        if before["cell_type"] != "markdown":
            yield f"{where}: no prose before the code"
        if any(word in text for word in ("plt.", "matplotlib", "pyplot")):
            yield f"{where}: figures are drawn by course_lib.plots"
        if any(word in text for word in ("np.random.seed", "!pip", "%pip")):
            yield f"{where}: global seed, or an install"
        shown = cell["metadata"].get("mystnb", {})
        if "plots." in text and "import" not in text:
            if not shown.get("image", {}).get("alt"):
                yield f"{where}: a figure needs mystnb.image.alt"
            figure = shown.get("figure", {})
            if not figure.get("caption") or not figure.get("name", "").startswith("fig-"):
                yield f"{where}: a figure needs mystnb.figure.caption and a name `fig-...`"


def checked(path, rules):
    found = list(rules(json.loads(path.read_text())))
    assert not found, "\n".join([path.name, *found])


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
def test_notebook(path):
    checked(path, faults)


@pytest.mark.parametrize("path", LECTURES, ids=lambda p: p.stem)
def test_lecture(path):
    checked(path, lecture_faults)


def test_the_rules_find_faults():
    code = {"cell_type": "code", "metadata": {}, "outputs": [1], "execution_count": 3}
    cells = [code | {"id": "a1b2c3d4", "source": ["plots.curves(x)\n"] * 16}] * 2
    found = [*faults({"cells": cells}), *lecture_faults({"cells": cells})]
    for word in (
        "title",
        "id of their own",
        "id says",
        "stored",
        "15 lines",
        "prose",
        "alt",
        "fig-",
    ):
        assert any(word in fault for fault in found), word
