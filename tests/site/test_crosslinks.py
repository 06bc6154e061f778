"""A chapter says what it derives, and the reference, the source and the assignments say it back."""

import json
import re

import nbformat
import pytest
from contents import CHAPTERS, ROOT

from book.assignments import Part, parts
from book.ext.crosslinks import twins_of
from book.library import library

ASSIGNMENTS = ["ad-modes", "conv-backprop", "roi-pooling"]
SHELF = library(str(ROOT))


def said(name):
    """What the cells of a chapter say that they derive."""
    for cell in json.loads((ROOT / f"{name}.ipynb").read_text())["cells"]:
        course = cell["metadata"].get("course", {})
        if course.get("library") or course.get("assignment"):
            yield cell, course


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_names_what_exists(name):
    found = list(said(name))
    assert len(found) >= 2, "no section of the chapter says what it derives"
    gaps = {f"{a}/{gap}" for a in ASSIGNMENTS for part in parts(ROOT, a) for gap in part.gaps}
    for cell, course in found:
        assert cell["cell_type"] == "markdown", cell["id"]
        for function in course.get("library", []):
            SHELF.find(function)
        assert set(course.get("assignment", [])) <= gaps, cell["id"]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_every_gap_is_derived_somewhere(assignment):
    derived = {test for name in CHAPTERS for _, c in said(name) for test in c.get("assignment", [])}
    gaps = [gap for part in parts(ROOT, assignment) for gap in part.gaps]
    assert [gap for gap in gaps if f"{assignment}/{gap}" not in derived] == []
    assert sum(part.points for part in parts(ROOT, assignment)) >= 100


def test_the_parts_of_an_assignment():
    first, second, *_ = parts(ROOT, "conv-backprop")
    functions = {"conv2d-forward": ("conv2d_forward",)}
    assert first == Part("1. Convolution, forward", 18, functions)
    assert list(second.gaps) == ["conv2d-backward"]
    assert {"words": ()} in [part.gaps for part in parts(ROOT, "ad-modes")]


def test_twins():
    layers = "course_lib.numpy_layers", "course_lib.torch_layers"
    assert twins_of(f"{layers[0]}.conv2d_backward") == [f"{layers[1]}.conv2d"]
    assert twins_of(f"{layers[1]}.conv2d")[0] == f"{layers[0]}.conv2d_forward"
    assert twins_of("course_lib.detection.nms") == []
    assert twins_of(f"{layers[0]}.Conv2d.forward") == []


GAP = {"nbgrader": {"grade_id": "double", "solution": True, "grade": False}}
CHECK = {"nbgrader": {"grade_id": "check", "solution": False, "grade": True, "points": 4}}


@pytest.fixture
def linked(tiny_book):
    """A library of two functions, an assignment of one gap, and a chapter that derives both."""
    tiny_book.write("course_lib/__init__.py", '"""A library."""\n')
    tiny_book.write(
        "course_lib/room.py",
        '"""A room."""\n\n\ndef double(x):\n    """Return 2 x."""\n\n\n'
        'def half(x):\n    """Return x / 2."""\n',
    )
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("## 1. Twice"),
            nbformat.v4.new_code_cell("def double(x):\n    ...", metadata=GAP),
            nbformat.v4.new_code_cell("assert double(1) == 2", metadata=CHECK),
        ]
    )
    tiny_book.write("assignments/doubling/doubling.ipynb", nbformat.writes(notebook))
    tiny_book.write("pages/reference/room.rst", "A room\n======\n\n.. room:: room\n")
    table = "(assignment-doubling)=\n## Doubling\n\n:::{assignment-parts} doubling\n:::\n"
    tiny_book.write("pages/assignments.md", f"# Assignments\n\nA sentence.\n\n{table}")
    return tiny_book


def derive(book, **course):
    """Write the chapter anew; its second section derives `course`."""
    book.chapter("## First\n\nText.", "## Second\n\nText.\n\n### Inside\n\nMore.", "The last.")
    chapter = book.folder / "lectures" / "07-tiny.ipynb"
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[2].metadata["course"] = course
    nbformat.write(notebook, chapter)
    toc = book.folder / "_toc.yml"
    toc.write_text(
        f"{toc.read_text()}  - file: pages/reference/room\n  - file: pages/assignments\n"
    )
    return book.build()


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_links_go_round(linked):
    done = derive(linked, library=["course_lib.room.double"], assignment=["doubling/double"])
    assert done.returncode == 0, done.stderr

    chapter = linked.page()
    (line,) = re.findall(r'<p class="course-links">.*?</p>', chapter, re.S)
    assert text_of(line).startswith(
        "In the library: double ( source ) Tested by: assignment doubling"
    )
    assert 'href="../pages/reference/room.html#course_lib.room.double"' in line
    assert 'href="../source/room.html#def-double"' in line
    assert 'href="../pages/assignments.html#assignment-doubling"' in line
    assert chapter.index("Second") < chapter.index(line) < chapter.index('id="inside"')

    entry = linked.page("pages/reference/room")
    (line,) = re.findall(r'<p class="course-links">.*?</p>', entry, re.S)
    assert text_of(line).startswith("Derived in: 7.2 Second Tested by: assignment doubling")
    assert 'href="../../lectures/07-tiny.html#second"' in line

    table = text_of(linked.page("pages/assignments"))
    assert "1. Twice: double 4 7.2 Second double" in table

    done = derive(linked, library=["course_lib.room.half"])
    assert done.returncode == 0, done.stderr
    entry = linked.page("pages/reference/room")
    assert entry.index("half") < entry.index("Derived in"), "an older page is written again"
    assert entry.count("Derived in") == 1


@pytest.mark.parametrize(
    "course,complaint",
    [
        (
            {"library": ["course_lib.room.duoble"]},
            r"cell 3, .*no `course_lib.room.duoble`; did you",
        ),
        ({"assignment": ["doubling/duoble"]}, r"cell 3, .*has no gap `duoble`, only double"),
        ({"assignment": ["halving/half"]}, r"cell 3, .*there is no assignment `halving`"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(linked, course, complaint):
    done = derive(linked, **course)
    assert done.returncode == 1
    assert re.search(complaint, done.stderr.split("The book is not built.")[-1]), done.stderr


def test_a_chapter_links_to_the_page_of_a_file(linked):
    linked.chapter("See [the room](../course_lib/room.py).")
    done = linked.build()
    assert done.returncode == 0, done.stderr
    assert 'href="../source/room.html"' in linked.page()
    assert not (linked.folder / "_build" / "html" / "_downloads").exists()
