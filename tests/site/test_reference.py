"""The reference says what the library holds, and leads to the lines in which it is written."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest
from contents import FILES, ROOT

from book.ext.reference import as_rst, constant, pairs_of_twins
from book.library import Library, UnknownNameError, library, summary

SHELF = library(str(ROOT))
ROOMS = [room for room in SHELF.public_rooms if f"pages/reference/{room}" in FILES]


def test_every_room_has_a_page():
    assert SHELF.public_rooms == ROOMS, "a page of the reference, and its line in _toc.yml"
    assert "palette" not in ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_the_names_of_a_room_are_those_that_python_finds(room):
    module = importlib.import_module(f"course_lib.{room}")
    names = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    entries = {entry.short: entry for entry in SHELF.entries(room)}
    assert set(entries) == set(names)
    for name, entry in entries.items():
        thing = getattr(module, name)
        if entry.kind == "data":
            continue
        assert entry.doc == inspect.getdoc(thing)
        lines, first = inspect.getsourcelines(inspect.unwrap(thing))
        assert (entry.line, entry.end) == (first, first + len(lines) - 1), name
        if inspect.isfunction(thing):
            named = re.findall(r"[(,] ?\**(\w+)", entry.signature)
            assert set(named) <= set(inspect.signature(thing).parameters) | set(
                re.findall(r"\w+", entry.signature)
            )
            assert set(inspect.signature(thing).parameters) <= set(named)


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_of_a_room_has_each_name_and_its_source(site, room):
    page = site / "pages" / "reference" / f"{room}.html"
    text = page.read_text()
    for entry in SHELF.entries(room):
        place = re.search(
            rf'<dt class="sig[^"]*" id="{re.escape(entry.name)}">.*?</dt>', text, re.S
        )
        assert place, f"{entry.name} is missing"
        link = re.search(r'class="source-link[^"]*" href="([^"]+)"', place[0])
        assert link, f"{entry.name} does not lead to its source"
        path, _, anchor = link[1].partition("#")
        source = (page.parent / path).resolve().read_text()
        assert f'id="{anchor}"' in source
        assert anchor == f"def-{entry.local}"


def test_twins_stand_side_by_side(site):
    page = (site / "pages" / "reference" / "twins.html").read_text()
    functions = [e for e in SHELF.entries("torch_layers") if e.kind == "function"]
    pairs = dict(pairs_of_twins(SHELF))
    assert set(pairs) == set(functions), "each has a twin"
    assert page.count('<div class="twin docutils container">') == 2 * len(functions)
    for torch, numpy in pairs.items():
        for entry in (torch, numpy):
            assert f"#{entry.name}" in page
            assert f"def {entry.short}(" in SHELF.code(entry)
    assert '"""' not in "".join(map(SHELF.code, functions))


def test_the_source_is_all_there(site):
    page = (site / "source" / "numpy_layers" / "conv.html").read_text()
    (shown,) = re.findall(r"<pre>(.*)</pre>", page, re.S)
    shown = re.sub(r'<a class="to-entry".*?</a>', "", shown)
    words = re.sub(r"<[^>]+>", "", shown)
    for code, letter in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'")]:
        words = words.replace(code, letter)
    assert words.replace("&amp;", "&") == (ROOT / "course_lib/numpy_layers/conv.py").read_text()


def test_pages_of_the_library_are_light(site):
    pages = [*site.glob("pages/reference/*.html"), *site.glob("source/**/*.html")]
    weights = {page.name: page.stat().st_size for page in pages}
    assert len(weights) > len(ROOMS)
    assert {name: size for name, size in weights.items() if size > 700 * 1024} == {}


def test_sources_are_not_searched(site):
    index = (site / "searchindex.js").read_text()
    assert '"source/' not in index
    assert len(index) < 1024 * 1024


def test_a_description_is_of_one_page_only(site):
    found = {}
    for page in sorted(site.rglob("*.html")):
        tag = re.search(r'<meta [^>]*name="description"[^>]*>', page.read_text())
        text = tag and re.search(r'content="([^"]*)"', tag[0])
        assert text, f"{page} has no description"
        assert len(text[1]) >= 20, f"{page}: {text[1]}"
        if page.name != "index.html" or page.parent != site:  # the landing page once more
            found.setdefault(text[1], []).append(page.name)
    assert [pages for pages in found.values() if len(pages) > 1] == []


FILE = '''\
"""A file of a room.

More about it.
"""

from typing import NamedTuple

SMALL = 1 / 3
TABLE = {"a": "the first", "b": "the second"}


def first(x, y: int = 2, *, slope=SMALL, **named) -> float:
    r"""Return one thing.

    .. math:: y = x

    Parameters
    ----------
    x : ndarray, shape (N, C)
    y, slope : float
        In pixels; see :func:`second`, :func:`hidden` and :class:`torch.nn.Module`.
    **named
        Passed on.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `x` is empty.
    """


def second():
    """Return another."""


def hidden():
    """Not listed."""


class Row(NamedTuple):
    """A row.

    one : a number
    two : another, which
        goes on
    """

    one: int
    two: float = 0.5

    def total(self):
        """Add both."""
'''


@pytest.fixture
def small(tiny_book):
    """A book with a library of one room, and its page."""
    tiny_book.write("course_lib/__init__.py", '"""A library."""\n')
    tiny_book.write(
        "course_lib/room/__init__.py",
        '"""A room to read in, and more."""\n\n'
        "from course_lib.room.file import TABLE, Row, first  # `second` only when it is asked for\n"
        '__all__ = ["TABLE", "Row", "first", "second"]\n',
    )
    tiny_book.write("course_lib/room/file.py", FILE)
    tiny_book.write("pages/reference/room.rst", "A room\n======\n\n.. room:: room\n")
    tiny_book.chapter("Text.")
    toc = tiny_book.folder / "_toc.yml"
    toc.write_text(f"{toc.read_text()}  - file: pages/reference/room\n")
    return tiny_book


def test_a_small_library(small):
    done = small.build()
    assert done.returncode == 0, done.stderr
    text = re.sub(r"<[^>]+>", "", small.page("pages/reference/room"))
    assert "first(x, y=2, *, slope=1 / 3, **named)" in text
    assert "class Row(one, two=0.5)" in text
    assert "total()" in text
    assert "the second" in text
    assert "torch.nn.Module" in text
    page = small.page("pages/reference/room")
    assert 'href="#course_lib.room.second"' in page
    assert 'href="../../source/room/file.html#def-hidden"' in page
    assert 'href="../../source/room/file.html#def-Row.total"' in page
    source = small.page("source/room/file")
    assert 'id="def-hidden"' in source
    assert "pages/reference/room.html#course_lib.room.first" in source

    path = small.write(
        "course_lib/room/file.py", FILE.replace("Return another.", "Return a third.")
    )
    os.utime(path, (0, 0))  # also when an older file replaces a newer one
    assert small.build().returncode == 0
    assert "Return a third." in small.page("pages/reference/room")
    assert "Return a third." in small.page("source/room/file")


@pytest.mark.parametrize(
    "old,new,complaint",
    [
        (":func:`hidden`", ":func:`hiddne`", r"course_lib.room.first:\d+.*not found: hiddne"),
        (".. math:: y = x", ".. math:: \\fraq{x}", r"pages/reference/room: .*not TeX: .*fraq"),
        ("def second", "def third", r"course_lib.room lists `second`, which it does not define"),
    ],
)
def test_a_fault_of_a_docstring_fails_the_build(small, old, new, complaint):
    small.write("course_lib/room/file.py", FILE.replace(old, new))
    done = small.build()
    assert done.returncode == 1
    assert re.search(complaint, done.stderr.split("The book is not built.")[-1]), done.stderr


def test_a_page_of_no_room_fails_the_build(small):
    small.write("pages/reference/room.rst", "A room\n======\n\n.. room:: rom\n")
    done = small.build()
    assert done.returncode == 1
    assert re.search("room: course_lib has no rom, only room", done.stderr)


def test_a_name_that_is_not_there():
    with pytest.raises(UnknownNameError, match=r"no `course_lib.numpy_layers.conv2d_bakward`; did"):
        SHELF.find("course_lib.numpy_layers.conv2d_bakward")
    with pytest.raises(UnknownNameError, match=r"the library has no `nothing`$"):
        SHELF.find("nothing")
    assert SHELF.find("course_lib.detection.RCNN.fit").kind == "method"
    assert SHELF.find("course_lib.numpy_layers.windows.columns").local == "columns"


def test_an_empty_folder_is_an_empty_library(tmp_path):
    assert Library(tmp_path).rooms == []


def test_a_docstring_becomes_plain_text():
    doc = "Return y.\n\nReturns\n-------\ny : ndarray, shape (N,)\n    In pixels.\nz : int\n"
    assert as_rst(doc).splitlines() == [
        *("Return y.", "", ".. rubric:: Returns", "", ".. rst-class:: parameters", ""),
        *("``y`` : ndarray, shape (N,)", "    In pixels.", "``z`` : int", "    .."),
    ]
    assert summary("One\ntwo.\n\nThree.") == "One two."


@pytest.mark.parametrize(
    "source,shown",
    [
        ("1 / 3", "``1 / 3``"),
        ("('a', 'b')", "2 entries: ``'a'``, ``'b'``."),
        ("{'a': 'one'}", ".. rst-class:: parameters\n\n``'a'``\n    one"),
        (f"{{'a': ({'1, ' * 200}), 'b': ()}}", "A dictionary; its keys are ``'a'``, ``'b'``."),
    ],
)
def test_a_constant_is_shown(source, shown):

    assert constant(ast.parse(source, mode="eval").body) == shown


def test_the_build_imports_no_framework():
    code = "import book.ext.reference, book.ext.crosslinks, sys; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "skimage", "sklearn"} & set(done.stdout.split())
