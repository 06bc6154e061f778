"""Whatever would be wrong on a page fails the build, and the last words say where it is."""

import re

import pytest

PICTURE = """\
import matplotlib.pyplot as plt
plt.plot([1, 2]);"""
TRACEBACK = """\
import sys, traceback
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc(file=sys.stdout)"""

FAULTS = {
    "failing cell": (
        [("good", "x = 1"), ("division", "y = x / 0\ny")],
        r"07-tiny.*cell 3, `division` \(y = x / 0\) failed: ZeroDivisionError: division by zero",
    ),
    "traceback": ([("caught", TRACEBACK)], r"07-tiny.*cell 2, `caught` .* shows a traceback"),
    "warning": ([("warns", "import warnings\nwarnings.warn('look')")], r"07-tiny.*stderr"),
    "reference": (["See {numref}`fig-nowhere`."], r"07-tiny.*undefined label: 'fig-nowhere'"),
    "page": (["See {doc}`nowhere`."], r"07-tiny.ipynb, cell 2: unknown document: 'nowhere'"),
    "link": (["See [there](nowhere.md)."], r"07-tiny.*nowhere.md"),
    "anchor": (["See [there](#no-such-section)."], r"07-tiny.*no-such-section"),
    "citation": (["As {cite:t}`unknown2099` said."], r'could not find bibtex key "unknown2099"'),
    "picture": ([("plot", PICTURE)], r"07-tiny.*image 1 on the page has no alt text"),
    "formula": (["A formula, $\\fraq{1}{2}$."], r"07-tiny.*not TeX: .*fraq"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_the_build(tiny_book, fault):
    cells, expected = FAULTS[fault]
    tiny_book.chapter(*cells)
    done = tiny_book.build()
    last_words = done.stderr.split("The book is not built.")[-1]
    assert done.returncode == 1, done.stdout[-2000:]
    assert re.search(expected, last_words), last_words


def test_a_fault_is_found_again_by_the_next_build(tiny_book):
    tiny_book.chapter("See {numref}`fig-nowhere`.")
    assert tiny_book.build().returncode == 1
    assert tiny_book.build().returncode == 1
    tiny_book.chapter("See nothing.")
    done = tiny_book.build()
    assert done.returncode == 0, done.stderr


def test_a_cell_may_fail_on_purpose(tiny_book):
    tiny_book.chapter(("division", "1 / 0", {"tags": ["raises-exception"]}))
    done = tiny_book.build()
    assert done.returncode == 0, done.stderr
    assert "ZeroDivisionError" in tiny_book.page()
