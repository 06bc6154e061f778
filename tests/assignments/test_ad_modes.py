"""The assignment ad-modes: right answers earn everything, a mistake costs what it breaks."""

import re
from pathlib import Path

import numpy as np
import pytest

from assignments import scoring
from course_lib.grading.mistakes import read_mistakes, split

MISTAKES = Path(__file__).parents[2] / "mistakes" / "ad-modes"
NOTEBOOK = scoring.read("solutions", "ad-modes")
RELEASE = scoring.read("assignments", "ad-modes")
RIGHT = scoring.answers(NOTEBOOK)
ALL_POINTS = scoring.possible(NOTEBOOK)
BY_HAND = {"words"}
POINTS = {name: points for name, points in ALL_POINTS.items() if name not in BY_HAND}
MUTANTS, _ = read_mistakes(MISTAKES)
SUBMISSIONS = sorted((MISTAKES / "right").glob("*.py"))
CODE = [name for name in RIGHT if name not in BY_HAND]


def lost(answers):
    """Return the grade ids that a submission loses, those graded by hand excepted."""
    report = scoring.score(scoring.with_answers(NOTEBOOK, answers))
    return {name for name, earned in report.points.items() if earned < POINTS[name]}


def test_the_solution_runs_without_an_error():
    report = scoring.score(NOTEBOOK)
    assert report.errors == {}
    assert report.points == POINTS
    assert sum(ALL_POINTS.values()) == 100


def test_the_words_are_graded_by_hand():
    (cell,) = (cell for cell in NOTEBOOK["cells"] if cell["id"] == "words")
    assert cell["cell_type"] == "markdown"
    role = scoring.role(cell)
    assert (role["grade"], role["solution"], role["locked"]) == (True, True, False)
    assert scoring.answers(RELEASE)["words"] == "YOUR ANSWER HERE"


def test_there_are_several_designs():
    assert len(SUBMISSIONS) >= 4


@pytest.mark.parametrize("path", SUBMISSIONS, ids=lambda p: p.stem)
def test_a_right_answer_loses_nothing_however_it_is_written(path):
    answers = split(path.read_text())
    assert sorted(answers) == sorted(CODE)
    assert lost(answers) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mistake_costs_what_it_breaks(mutant):
    assert lost(mutant.answers(RIGHT)) == set(mutant.loses)


@pytest.mark.parametrize("hidden", [True, False], ids=["graded", "as handed out"])
def test_no_work_earns_nothing_in_any_cell(hidden):
    skeleton = scoring.with_answers(NOTEBOOK, scoring.answers(RELEASE)) if hidden else RELEASE
    assert scoring.score(skeleton).points == dict.fromkeys(POINTS, 0)


@pytest.mark.parametrize(
    "body",
    ["return None", "return 0.0, 0.0", "return 0.0, lambda dy: (0.0, 0.0)", "return np.zeros(1)"],
    ids=["none", "zeros", "pull", "array"],
)
def test_nothing_but_a_return_earns_nothing(body):
    stubs = {
        name: re.sub(
            r"    # YOUR CODE.*", f"    {body}", scoring.answers(RELEASE)[name], flags=re.S
        )
        for name in ("jvp", "vjp", "jacobian", "hvp")
    }
    assert lost(stubs | {"dual": "", "var": ""}) == set(POINTS)


def test_each_mode_earns_its_points_alone():
    stubs = scoring.answers(RELEASE)
    forward = stubs | {name: RIGHT[name] for name in ("dual", "jvp")}
    earned = {name for name in POINTS if name.startswith("forward-")} | {"arrays-forward"}
    assert set(POINTS) - lost(forward) == earned
    reverse = stubs | {name: RIGHT[name] for name in ("var", "vjp")}
    reverse["var"] += "\n\n\nclass Dual:\n    pass\n"
    earned = {name for name in POINTS if name.startswith(("reverse-", "arrays-", "training-"))}
    assert set(POINTS) - lost(reverse) == earned - {"arrays-forward"}


def test_jacobian_and_hvp_do_not_wait_for_the_engine():
    answers = scoring.answers(RELEASE) | {name: RIGHT[name] for name in ("jacobian", "hvp")}
    earned = {name for name in POINTS if name.startswith("jacobian-")} | {"hvp-product"}
    assert set(POINTS) - lost(answers) == earned


def test_part_3_costs_only_itself_and_the_training():
    answers = dict(RIGHT)
    for cell in ("dual", "var"):
        for method in ("__matmul__", "__rmatmul__", "sum"):
            answers[cell], count = re.subn(rf"\bdef {method}\(", "def later(", answers[cell])
            assert count == 1
    arrays = {"arrays-forward", "arrays-matmul", "arrays-total", "training-digits"}
    assert lost(answers) == arrays


def test_mutants_are_many_and_told_apart():
    assert len(MUTANTS) >= 60
    for told in ("name", "says"):
        assert len({getattr(mutant, told) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({str(mutant.answers(RIGHT)) for mutant in MUTANTS}) == len(MUTANTS)


def test_every_graded_cell_is_lost_to_some_mutant():
    assert {name for mutant in MUTANTS for name in mutant.loses} == set(POINTS)


def test_a_mutant_names_a_section_of_the_assignment():
    text = "\n".join(scoring.source(cell) for cell in NOTEBOOK["cells"])
    headings = set(re.findall(r"^## (.+)$", text, flags=re.M))
    assert {mutant.section for mutant in MUTANTS} <= headings


@pytest.mark.parametrize(
    "name, cell, message",
    [
        ("dual-half-product", "forward-mul", "tangent is wrong: got 5, expected 7. Each factor"),
        ("fan-out-overwritten", "reverse-fan-out", "dx0 is wrong: got 1, expected 2. A value"),
        ("recursion", "reverse-depth", "RecursionError: expected a gradient. Go over the tape"),
        ("jacobian-always-forward", "jacobian-reverse", "took 6 sweeps, expected 2 (or one more)"),
        ("hvp-gradient", "hvp-product", "H v is wrong: got 12, expected 120. It is the tangent"),
    ],
)
def test_a_failing_check_says_what_was_got_and_expected(name, cell, message):
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    report = scoring.score(scoring.with_answers(NOTEBOOK, mutant.answers(RIGHT)))
    assert isinstance(report.errors[cell], AssertionError)
    assert message in str(report.errors[cell])


def test_a_graded_cell_opens_with_its_property_and_its_points():
    for cell in NOTEBOOK["cells"]:
        name = scoring.role(cell).get("grade_id")
        if name in POINTS:
            points = re.match(r'""".+ \((\d+) points?\).*"""$', scoring.source(cell), flags=re.M)
            assert points, cell["id"]
            assert int(points[1]) == POINTS[name], cell["id"]
            assert name == cell["id"]


def test_the_number_of_cells_with_hidden_tests_is_true():
    hidden = sum("BEGIN HIDDEN TESTS" in scoring.source(cell) for cell in NOTEBOOK["cells"])
    text = next(scoring.source(c) for c in NOTEBOOK["cells"] if c["id"] == "grading")
    assert f"{hidden} of the {len(POINTS)} cells run more" in text


def test_the_table_of_points_is_true():
    table = next(scoring.source(c) for c in NOTEBOOK["cells"] if c["id"] == "title")
    rows = dict(re.findall(r"^\| (\d)\. .+ \| (\d+) \|$", table, flags=re.M))
    parts = ("forward-", "reverse-", "arrays-", "jacobian-", "hvp-", "words", "training-")
    for number, beginning in enumerate(parts, start=1):
        points = sum(p for name, p in ALL_POINTS.items() if name.startswith(beginning))
        assert int(rows[str(number)]) == points, beginning


def test_the_example_is_the_one_of_the_chapter():
    text = "\n".join(scoring.source(cell) for cell in NOTEBOOK["cells"])
    assert f"the value is {10 + np.sin(2):.4f}" in text
    assert text.count(rf"5 + \cos 2 = {5 + np.cos(2):.4f}") == 2


def test_the_release_tells_no_secret():
    text = "\n".join(scoring.source(cell) for cell in RELEASE["cells"])
    assert not re.search("HIDDEN|SOLUTION|_FUNCTIONS|a million columns", text)
    assert scoring.possible(RELEASE) == ALL_POINTS
