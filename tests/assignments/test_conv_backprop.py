"""The assignment conv-backprop: right answers earn everything, a mistake costs what it breaks."""

import json
import re
from pathlib import Path

import pytest

from assignments import scoring
from course_lib.grading.mistakes import read_mistakes, split

MISTAKES = Path(__file__).parents[2] / "mistakes" / "conv-backprop"
NOTEBOOK = scoring.read("solutions", "conv-backprop")
RELEASE = scoring.read("assignments", "conv-backprop")
RIGHT = scoring.answers(NOTEBOOK)
POINTS = scoring.possible(NOTEBOOK)
MUTANTS, _ = read_mistakes(MISTAKES)
SUBMISSIONS = sorted((MISTAKES / "right").glob("*.py"))


def lost(answers):
    """Return the grade ids that a submission loses."""
    report = scoring.score(scoring.with_answers(NOTEBOOK, answers))
    return {name for name, earned in report.points.items() if earned < POINTS[name]}


def test_the_solution_runs_without_an_error():
    report = scoring.score(NOTEBOOK)
    assert report.errors == {}
    assert report.total == sum(POINTS.values()) == 100


@pytest.mark.parametrize("path", SUBMISSIONS, ids=lambda p: p.stem)
def test_a_right_answer_loses_nothing_however_it_is_written(path):
    assert lost(split(path.read_text())) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mistake_costs_what_it_breaks(mutant):
    assert lost(mutant.answers(RIGHT)) == set(mutant.loses)


@pytest.mark.parametrize(
    "cell, exact, float32",
    [
        ("conv2d-forward", "np.zeros((N, F, HO, WO), x.dtype)", "np.zeros((N, F, HO, WO), 'f4')"),
        ("conv2d-backward", "np.zeros_like(x_pad)", "np.zeros_like(x_pad, 'f4')"),
    ],
    ids=["y", "dx"],
)
def test_sums_in_float32_lose_nothing(cell, exact, float32):
    assert exact in RIGHT[cell]
    assert lost(RIGHT | {cell: RIGHT[cell].replace(exact, float32)}) == set()


@pytest.mark.parametrize("hidden", [True, False], ids=["graded", "as handed out"])
def test_no_work_earns_nothing_in_any_cell(hidden):
    skeleton = scoring.with_answers(NOTEBOOK, scoring.answers(RELEASE)) if hidden else RELEASE
    assert set(scoring.score(skeleton).points.values()) == {0}


@pytest.mark.parametrize(
    "body", ["pass", "return None, None", "return np.zeros(1), None"], ids=["none", "pair", "zero"]
)
def test_nothing_but_a_return_earns_nothing(body):
    stubs = {
        name: re.sub(r"    # YOUR CODE.*", f"    {body}", text, flags=re.S)
        for name, text in scoring.answers(RELEASE).items()
    }
    assert lost(stubs) == set(POINTS)


def test_forward_alone_earns_its_points():
    stubs = scoring.answers(RELEASE)
    stubs["conv2d-forward"] = RIGHT["conv2d-forward"]
    assert set(POINTS) - lost(stubs) == {name for name in POINTS if name.startswith("conv-y-")}


def test_dx_alone_earns_its_points():
    answers = RIGHT | scoring.answers(RELEASE)
    for name in ("conv2d-forward", "conv2d-backward"):
        answers[name] = RIGHT[name]
    returned = "return dx, dweight, dy.sum(axis=(0, 2, 3))"
    assert returned in answers["conv2d-backward"]
    answers["conv2d-backward"] = answers["conv2d-backward"].replace(
        returned, "return dx, None, None"
    )
    earned = set(POINTS) - lost(answers)
    assert earned == {name for name in POINTS if name.startswith(("conv-y-", "conv-dx-"))}


def test_the_library_is_no_answer():
    library = """
from course_lib.numpy_layers import (
    conv2d_backward,
    conv2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
"""
    cells = dict.fromkeys(["conv2d-backward", "max-pool2d-forward", "max-pool2d-backward"], "")
    kept = set(POINTS) - lost({"conv2d-forward": library} | cells)
    assert kept == {"train-step", "train-epoch"}


def test_mutants_are_many_and_told_apart():
    assert len(MUTANTS) >= 35
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({mutant.says for mutant in MUTANTS}) == len(MUTANTS)
    assert len({str(mutant.answers(RIGHT)) for mutant in MUTANTS}) == len(MUTANTS)


def test_every_graded_cell_is_lost_to_some_mutant():
    assert {name for mutant in MUTANTS for name in mutant.loses} == set(POINTS)


def test_a_mutant_names_a_section_of_the_chapter():
    chapter = json.loads((scoring.ROOT / "lectures/03-backprop-convolution.ipynb").read_text())
    text = "\n".join(scoring.source(cell) for cell in chapter["cells"])
    headings = set(re.findall(r"^##+ (.+)$", text, flags=re.M))
    assert {mutant.section for mutant in MUTANTS} <= headings


def test_a_graded_cell_opens_with_its_property_and_its_points():
    for cell in NOTEBOOK["cells"]:
        if "points" in scoring.role(cell):
            points = re.match(r'""".+ \((\d+) points?\).*"""$', scoring.source(cell), flags=re.M)
            assert points, cell["id"]
            assert int(points[1]) == scoring.role(cell)["points"], cell["id"]
            assert scoring.role(cell)["grade_id"] == cell["id"]


def test_the_number_of_cells_with_hidden_tests_is_true():
    hidden = sum("BEGIN HIDDEN TESTS" in scoring.source(cell) for cell in NOTEBOOK["cells"])
    text = next(scoring.source(c) for c in NOTEBOOK["cells"] if c["id"] == "grading")
    assert f"{hidden} of the {len(POINTS)} cells run more" in text


def test_the_table_of_points_is_true():
    table = next(scoring.source(c) for c in NOTEBOOK["cells"] if c["id"] == "title")

    def points(*beginnings):
        return sum(POINTS[name] for name in POINTS if name.startswith(beginnings))

    manners = points("pool-arguments", "pool-memory")
    for row in (
        f"forward | {points('conv-y-')} |",
        f"`dbias` {points('conv-dbias')}, `dweight` {points('conv-dweight-')}, "
        f"`dx` {points('conv-dx-')} | {points('conv-d')} |",
        f"nothing remembered | {points('conv-arguments', 'conv-memory')} |",
        f"forward {points('pool-y-')}, backward {points('pool-dx-')}, manners {manners} | "
        f"{points('pool-')} |",
        f"Training | {points('train-')} |",
    ):
        assert row in table


def test_the_release_tells_no_secret():
    text = "\n".join(scoring.source(cell) for cell in RELEASE["cells"])
    assert not re.search("HIDDEN|SOLUTION", text)
    assert "_conv_case" not in text
    assert scoring.possible(RELEASE) == POINTS
