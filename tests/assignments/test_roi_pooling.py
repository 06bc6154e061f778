"""The assignment roi-pooling: right answers earn everything, a mistake costs what it breaks."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import nms, roi_pool

from assignments import scoring
from course_lib.grading.mistakes import read_mistakes, split

MISTAKES = Path(__file__).parents[2] / "mistakes" / "roi-pooling"
NOTEBOOK = scoring.read("solutions", "roi-pooling")
RELEASE = scoring.read("assignments", "roi-pooling")
RIGHT = scoring.answers(NOTEBOOK)
POINTS = scoring.possible(NOTEBOOK)
MUTANTS, _ = read_mistakes(MISTAKES)
SUBMISSIONS = sorted((MISTAKES / "right").glob("*.py"))
DETECTOR = {"detector-learns", "detector-boxes"}
PREPARING = {"scenes", "teacher"}  # cells that part 5 needs, whatever the answers


@cache
def prepared():
    """Run once what prepares part 5, and return what it defines."""
    namespace = {"__name__": "__main__"}
    for cell in NOTEBOOK["cells"]:
        if cell["id"] in {"imports", "run-yours"} | PREPARING:
            exec(scoring.source(cell), namespace)
    return namespace


def report(notebook, detector=DETECTOR):
    """Score a submission, of part 5 those cells that are asked for; the teacher is trained once."""
    left_out = PREPARING | (DETECTOR - set(detector))
    cells = [cell for cell in notebook["cells"] if cell["id"] not in left_out]
    return scoring.score(notebook | {"cells": cells}, **(prepared() if detector else {}))


def lost(answers, detector=DETECTOR):
    """Return the grade ids that a submission loses; of part 5, those that are asked for."""
    points = report(scoring.with_answers(NOTEBOOK, answers), detector).points
    return {name for name, earned in points.items() if earned < POINTS[name]}


def test_the_solution_runs_without_an_error():
    scored = scoring.score(NOTEBOOK)
    assert scored.errors == {}
    assert scored.total == sum(POINTS.values()) == 100


def test_there_are_several_ways():
    assert len(SUBMISSIONS) >= 4


@pytest.mark.parametrize("path", SUBMISSIONS, ids=lambda p: p.stem)
def test_a_right_answer_loses_nothing_however_it_is_written(path):
    answers = split(path.read_text())
    assert sorted(answers) == sorted(RIGHT)
    assert lost(answers) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mistake_costs_what_it_breaks(mutant):
    loses = set(mutant.loses)
    assert lost(mutant.answers(RIGHT), DETECTOR & loses) == loses


@pytest.mark.parametrize("hidden", [True, False], ids=["graded", "as handed out"])
def test_no_work_earns_nothing_in_any_cell(hidden):
    skeleton = scoring.with_answers(NOTEBOOK, scoring.answers(RELEASE)) if hidden else RELEASE
    assert report(skeleton).points == dict.fromkeys(POINTS, 0)


@pytest.mark.parametrize(
    "body",
    ["pass", "return None, None", "return np.zeros(1), None", "return np.zeros((1, 4))"],
    ids=["none", "pair", "zero", "box"],
)
def test_nothing_but_a_return_earns_nothing(body):
    stubs = {
        name: re.sub(r"    # YOUR CODE.*", f"    {body}", text, flags=re.S)
        for name, text in scoring.answers(RELEASE).items()
    }
    assert lost(stubs) == set(POINTS)


@pytest.mark.parametrize(
    "written, earned",
    [
        (["roi-pool-forward"], "roi-y-"),
        (["box-encode"], "encode-"),
        (["box-decode"], "decode-"),
        (["box-iou"], "iou-"),
        (["box-iou", "nms"], ("iou-", "nms-")),
    ],
    ids=str,
)
def test_each_function_earns_its_points_alone(written, earned):
    answers = scoring.answers(RELEASE) | {name: RIGHT[name] for name in written}
    kept = set(POINTS) - lost(answers, ()) - DETECTOR
    assert kept == {name for name in POINTS if name.startswith(earned)}


def test_the_library_is_no_answer():
    library = """
from course_lib.detection import box_decode, box_encode, nms
from course_lib.detection import box_iou as overlaps
from course_lib.numpy_layers import roi_pool_backward, roi_pool_forward


def box_iou(box, boxes):
    return overlaps(box[None], boxes)[0]
"""
    answers = dict.fromkeys(RIGHT, "") | {"roi-pool-forward": library}
    assert lost(answers) == set(POINTS)


def test_torchvision_is_no_answer():
    answers = RIGHT | {
        "roi-pool-forward": """
import torch
from torchvision.ops import roi_pool


def roi_pool_forward(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    rows = torch.tensor(np.column_stack([image_index, boxes]))
    return roi_pool(torch.tensor(x), rows, output_size, spatial_scale).numpy(), None
"""
    }
    kept = set(POINTS) - lost(answers, ()) - DETECTOR
    assert not [name for name in kept if name.startswith("roi-")]


def hidden():
    """Return what the hidden tests define."""
    namespace = {"__name__": "__main__"}
    for cell in NOTEBOOK["cells"]:
        if cell["id"] in ("imports", "run-yours", *RIGHT, "roi-y-corners"):
            exec(scoring.source(cell), namespace)
    return namespace


def in_bin(cell, p, length, parts):
    """Whether a cell, counted from the box, is from floor(p L / P) up to ceil((p + 1) L / P)."""
    return p * length // parts <= cell < -(-(p + 1) * length // parts)


def pooled_by_definition(x, boxes, index, bins, scale):
    """Pool by the words of the statement, cell by cell, in whole numbers wherever it rounds."""
    (_, C, H, W), (PH, PW) = x.shape, bins
    y = np.zeros((len(boxes), C, PH, PW))
    for r, box in enumerate(np.asarray(boxes) * scale):
        x1, y1, x2, y2 = (int(np.trunc(v + 0.5 * np.sign(v))) for v in box)
        for p in range(PH):
            for q in range(PW):
                rows = [i for i in range(H) if in_bin(i - y1, p, y2 - y1 + 1, PH)]
                columns = [j for j in range(W) if in_bin(j - x1, q, x2 - x1 + 1, PW)]
                if rows and columns:
                    y[r, :, p, q] = x[index[r]][:, rows][:, :, columns].max(axis=(1, 2))
    return y


def test_the_hidden_cases_have_one_answer_in_every_precision():
    names = hidden()
    count = 0
    for cases in names["_CASES"].values():
        for case in cases:
            _, right, run = names["_roi_case"](**case)
            x, boxes, bins = given(run)
            index = np.array(case.get("index", [0] * len(boxes)))
            scale = case.get("scale", 1.0)
            exact = pooled_by_definition(x, boxes, index, bins, scale)
            np.testing.assert_allclose(right["y"], exact, rtol=1e-6)
            short = torch.tensor(np.column_stack([index, boxes]), dtype=torch.float32)
            y = roi_pool(torch.tensor(x, dtype=torch.float32), short, bins, scale)
            np.testing.assert_allclose(y, exact, rtol=1e-6)
            count += 1
    assert count > 100


def given(run):
    """Return the maps, boxes and bins of a hidden case."""
    return dict(zip(run.__code__.co_freevars, run.__closure__, strict=True))["given"].cell_contents


def test_the_examples_of_the_statement_are_torchvision_s():
    names = hidden()
    for top, expected in [(24.0, [[9, 6], [6, 7]]), (16.0, [[9, 8], [9, 7]])]:
        rows = torch.tensor([[0, 14.0, top, 66.0, 40.0]], dtype=torch.float64)
        y = roi_pool(torch.tensor(names["MAP"]), rows, (2, 2), 1 / 16)
        assert y.tolist() == [[expected]]
    chain = torch.tensor([[0.0, 0, 10, 10], [4.0, 0, 14, 10], [8.0, 0, 18, 10]])
    assert nms(chain, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_mutants_are_many_and_told_apart():
    assert len(MUTANTS) >= 100
    for told in ("name", "says"):
        assert len({getattr(mutant, told) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({str(mutant.answers(RIGHT)) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.loses for mutant in MUTANTS)


def test_every_graded_cell_is_lost_to_some_mutant():
    assert {name for mutant in MUTANTS for name in mutant.loses} == set(POINTS)


def test_a_mutant_names_a_section_of_the_assignment():
    text = "\n".join(scoring.source(cell) for cell in NOTEBOOK["cells"])
    headings = set(re.findall(r"^## (.+)$", text, flags=re.M))
    assert {mutant.section for mutant in MUTANTS} <= headings


@pytest.mark.parametrize(
    "name, cell, message",
    [
        (
            "y-half-even",
            "roi-y-rounding",
            "y of a box from 0.5 on is wrong in 1 of 1 places, first",
        ),
        (
            "y-empty-infinite",
            "roi-y-outside",
            "y holds -inf in 3 of 4 places, first at [0, 0, 0, 0]",
        ),
        ("dx-last-box", "roi-dx-rois", "got 300, expected 321. A cell that is the maximum in"),
        ("dx-empty-to-the-last", "roi-dx-empty", "got 60, expected 0. The 0 of an empty bin"),
        ("encode-by-the-box", "encode-units", "got 0.06, expected 0.3. The same step is a small"),
        (
            "nms-dropped-drop",
            "nms-chain",
            "kept, sorted, has shape (1,), expected (2,). A drops B. B is gone",
        ),
    ],
)
def test_a_failing_check_says_what_was_got_and_expected(name, cell, message):
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    scored = report(scoring.with_answers(NOTEBOOK, mutant.answers(RIGHT)), ())
    assert isinstance(scored.errors[cell], AssertionError)
    assert message in str(scored.errors[cell])


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

    manners = points("roi-arguments", "roi-memory")
    for row in (
        f"forward | {points('roi-y-')} |",
        f"backward {points('roi-dx-')}, manners of both {manners} | "
        f"{points('roi-dx-') + manners} |",
        f"`box_encode` {points('encode-')}, `box_decode` {points('decode-')} | "
        f"{points('encode-', 'decode-')} |",
        f"Overlap {points('iou-')}, suppression {points('nms-')}, manners of parts 3 and 4 "
        f"{points('boxes-')} | {points('iou-', 'nms-', 'boxes-')} |",
        f"A detector | {points('detector-')} |",
    ):
        assert row in table


def test_the_release_tells_no_secret():
    text = "\n".join(scoring.source(cell) for cell in RELEASE["cells"])
    assert not re.search("HIDDEN|SOLUTION|_CASES|_reference", text)
    assert scoring.possible(RELEASE) == POINTS
