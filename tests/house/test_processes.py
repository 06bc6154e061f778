"""Tests that share something costly go to one process: it is made once."""

from collections import Counter
from pathlib import Path

import pytest
from processes import shared

LECTURES, SITE = "tests/lectures/test_", "tests/site/test_"


@pytest.mark.parametrize(
    "one, other",
    [
        (f"{LECTURES}every_chapter.py::test_a[07-x-y]", f"{LECTURES}x.py::test_b[4 of 5-07-x-y]"),
        (f"{SITE}pages.py::test_a[light]", f"{SITE}lean.py::test_b"),
        ("tests/nbgrader/test_lab.py::test_a", "tests/nbgrader/test_class.py::test_b"),
        ("tests/web/test_quiz.py::test_a[07-x]", "tests/web/test_quiz.py::test_b"),
    ],
)
def test_what_stays_together(one, other):
    assert shared(one) == shared(other)


@pytest.mark.parametrize(
    "one, other",
    [
        (f"{LECTURES}every_chapter.py::test_a[07-x]", f"{LECTURES}every_chapter.py::test_a[08-x]"),
        (f"{SITE}colab.py::test_a[07-x]", f"{SITE}colab.py::test_a[08-x]"),
        (f"{SITE}colab.py::test_a[07-x]", f"{SITE}pages.py::test_a"),
        ("tests/web/test_quiz.py::test_a", "tests/web/test_figure.py::test_a"),
    ],
)
def test_what_goes_apart(one, other):
    assert shared(one) != shared(other)


def test_every_file_has_a_name_of_its_own():
    """Pytest imports the files by name alone: of two it would refuse the second."""
    names = Counter(path.name for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
