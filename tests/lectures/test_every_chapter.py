"""What holds of each chapter: it runs in silence, draws its figures, solves its exercises."""

import re

import pytest

pytestmark = pytest.mark.lecture


def test_nothing_goes_to_stderr(chapter):
    for name, cell in chapter.code().items():
        assert not [out for out in cell["outputs"] if out.get("name") == "stderr"], name


def test_no_comparison_fails(chapter):
    said = {name: chapter.said(name) for name in chapter.code()}
    assert not [name for name, text in said.items() if re.search(r"\bFalse\b", text)]


def test_every_figure_is_drawn_for_both_readers(chapter):
    figures = [c for c in chapter.code().values() if "figure" in c["metadata"].get("mystnb", {})]
    assert len(figures) >= 5
    for cell in figures:
        (out,) = cell["outputs"]
        assert {"image/svg+xml", "text/html"} <= set(out["data"]), cell["id"]


def test_numbers_are_claimed(chapter):
    assert len(chapter.claims()) >= 5


def test_each_exercise_has_a_solution(chapter):
    exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", chapter.text())
    assert 3 <= len(exercises) <= 6
    assert re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", chapter.text()) == exercises
    assert chapter.text().count("{solution-end}") == len(exercises)


def test_no_exercise_is_answered_yet(chapter):
    checks = {
        name: chapter.said(name)
        for name, cell in chapter.code().items()
        if name.startswith("check-") and "check_answer" in cell["source"]
    }
    assert checks
    for name, said in checks.items():
        assert ": right" not in said, name
