"""Every chapter says in its box how long it takes and what it needs, in the same words."""

import json
import re
from pathlib import Path

import pytest

from book.facts import BOX, FORM, BoxError, chapter

LECTURES = sorted((Path(__file__).parents[2] / "lectures").glob("*.ipynb"))


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_the_box_is_there(path):
    found = chapter(path)
    assert found.device == "any CPU", "no chapter asks for more"
    assert found.reading % 5 == 0
    assert found.running % 5 == 0
    assert found.reading >= found.words_take, "nobody reads derivations faster than words"
    slides = [int(number) for number in re.findall(r"\d+", found.slides)]
    assert slides == sorted(set(slides))
    assert 1 <= slides[0] <= slides[-1] <= 84
    assert all(int(n) < found.number for n in re.findall(r"chapters? (\d+)", found.needed))


def test_the_form_is_one():
    assert BOX.fullmatch(FORM)


@pytest.mark.parametrize(
    "old, new",
    [
        ("60 minutes", "an hour"),
        ("45 seconds", "a minute"),
        ("on two cores", ""),
        ("any CPU", ""),
        ("**Slides** 2\N{EN DASH}6. ", ""),
    ],
)
def test_other_words_are_refused(tmp_path, old, new):
    box = FORM.replace(old, new)
    cell = {"cell_type": "markdown", "metadata": {}, "source": f"# Title\n\n:::{{x}}\n{box}\n:::"}
    path = tmp_path / "04-x.ipynb"
    path.write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(BoxError, match=r"04-x\.ipynb: the box of the first cell says these words"):
        chapter(path)


def test_what_is_read(tmp_path):
    text = f"# A title\n\n:::{{admonition}} This chapter\n{FORM.replace('. ', '.' + chr(10))}\n:::"
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": text},
        {"cell_type": "markdown", "metadata": {}, "source": "word " * 201},
        {"cell_type": "code", "metadata": {"mystnb": {"figure": {}}}, "source": "plots.f()"},
        {"cell_type": "code", "metadata": {}, "source": 'web.f()\nweb.quiz("x")'},
    ]
    path = tmp_path / "04-x.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    found = chapter(path)
    assert (found.docname, found.number, found.title) == ("lectures/04-x", 4, "A title")
    assert (found.slides, found.reading, found.running) == ("2\N{EN DASH}6", 60, 45)
    assert (found.device, found.needed) == ("any CPU", "chapter 3")
    assert (found.figures, found.played, found.words_take) == (1, 1, 2)
