"""A notebook runs again when what its numbers depend on has changed, and only then."""

import os
from pathlib import Path

import nbformat
import pytest

from book.ext.freshness import dependencies, fingerprint

# Each run of the notebook leaves a line behind, so that runs can be counted.
CELL = """\
from pathlib import Path

from course_lib.shown import answer

with Path("../runs.log").open("a") as log:
    log.write("run\\n")
print("the answer is", answer())"""


@pytest.fixture
def book(tiny_book):
    tiny_book.write("course_lib/__init__.py", "")
    tiny_book.write("course_lib/shown/__init__.py", "from course_lib.shown.deeper import answer\n")
    tiny_book.write("course_lib/shown/deeper.py", "def answer():\n    return 41\n")
    tiny_book.write("course_lib/shown/data.toml", "a = 1\n")
    tiny_book.write("course_lib/other.py", "x = 1\n")
    tiny_book.chapter(("shown", CELL))
    return tiny_book


def build(book):
    done = book.build()
    assert done.returncode == 0, done.stderr
    return (book.folder / "runs.log").read_text().count("run")


def test_what_runs_again(book):
    assert build(book) == 1
    assert "the answer is 41" in book.page()
    assert build(book) == 1, "nothing has changed"

    chapter = book.folder / "lectures" / "07-tiny.ipynb"
    was = chapter.stat().st_mtime
    book.chapter("Words of yesterday.", ("shown", CELL))
    os.utime(chapter, (was - 86400, was - 86400))
    assert build(book) == 1, "only prose has changed"
    assert "Words of yesterday." in book.page(), "also when an older file replaces a newer one"

    book.write("course_lib/other.py", "x = 2\n")
    assert build(book) == 1, "the notebook does not import it"

    book.write("course_lib/shown/deeper.py", "def answer():\n    return 42\n")
    assert build(book) == 2, "a module behind the one it imports has changed"
    assert "the answer is 42" in book.page()
    assert "the answer is 41" not in book.page()

    book.write("requirements.lock", "numpy==2\n")
    assert build(book) == 3, "the locked versions have changed"

    book.write("course_lib/shown/deeper.py", "def answer():\n    return 41\n")
    book.write("requirements.lock", "numpy==1\n")
    assert build(book) == 3, "this state has been run before"
    assert "the answer is 41" in book.page(), "and its own result is shown"


def notebook(source):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])


@pytest.fixture
def library(tmp_path):
    files = {
        "__init__.py": "",
        "a/__init__.py": "from course_lib.a.inner import f\n",
        "a/inner.py": "from ..b import g\n",
        "a/unused.py": "",
        "a/table.toml": "",
        "a/parts/part.js": "",
        "b.py": "def g():\n    from course_lib import c\n",
        "c/__init__.py": "",
        "c/later.py": "",
        "d.py": "import importlib\nimportlib.import_module('course_lib.c.later')\n",
    }
    for name, text in files.items():
        path = tmp_path / "course_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "requirements.lock").write_text("numpy==1\n")
    return tmp_path


@pytest.mark.parametrize(
    "source,expected",
    [
        ("import numpy as np", ""),
        ("import course_lib", "__init__.py"),
        ("from course_lib import c", "__init__.py c/__init__.py"),
        ("%pip list\nfrom course_lib.c import later", "__init__.py c/__init__.py c/later.py"),
        ("import course_lib.d as d", "__init__.py d.py c/__init__.py c/later.py"),
        (
            "from course_lib.a import f",
            "__init__.py a/__init__.py a/inner.py a/table.toml a/parts/part.js b.py c/__init__.py",
        ),
        ("from course_lib.a import", ""),  # not Python: running it will say so
    ],
)
def test_dependencies(library, source, expected):
    found = {
        path.relative_to(library / "course_lib").as_posix()
        for path in dependencies(notebook(source), library)
    }
    assert found == set(expected.split())


def test_fingerprint_reads_the_dependencies_and_the_lock(library):
    nb = notebook("from course_lib.a import f")
    digests = [fingerprint(nb, library)]
    for changed in ("requirements.lock", "course_lib/b.py", "course_lib/a/parts/part.js"):
        Path(library, changed).write_text("# changed\n")
        digests.append(fingerprint(nb, library))
    assert len(set(digests)) == 4
    Path(library, "course_lib/a/unused.py").write_text("# changed\n")
    assert fingerprint(nb, library) == digests[-1]
