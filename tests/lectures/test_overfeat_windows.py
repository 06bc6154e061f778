"""Chapter 11: its pencil agrees with PyTorch, its prose with its claims, and its checks tell."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional

NAME = "11-overfeat"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]


def test_every_comparison_holds(chapter):
    said = [chapter.said(name) for name in chapter.code()]
    assert sum(text.count("True") for text in said) >= 2


def test_the_pencil_agrees_with_pytorch(chapter):
    cells = torch.tensor([[1.0, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]])
    maxima = functional.max_pool1d(cells, 3, stride=1)[0]  # of every group of three
    dense = (maxima[:-3] - maxima[3:]).int().tolist()  # a window's groups are three cells apart
    assert dense == [-5, -4, 3, 3, 4, -2]
    assert chapter.run("print(interleaved.tolist())") == f"{dense}\n"
    table = chapter.cells["offset-text"]["source"].replace("\N{MINUS SIGN}", "-")
    rows = re.findall(r"^\| \d \|.*\| (-?\d), (-?\d) \|$", table, re.M)
    by_offset = [[int(answer) for answer in row] for row in rows]
    assert [by_offset[n % 3][n // 3] for n in range(6)] == dense


def test_sizes_and_strides_in_the_text(chapter):
    assert chapter.said("convert").split("\n")[:3] == [
        "221 -> (1, 1000, 1, 1)",
        "256 -> (1, 1000, 1, 1)",
        "257 -> (1, 1000, 2, 2)",
    ]
    last = chapter.said("field").splitlines()[-1]
    assert re.fullmatch(r"classifier sees 317 pixels, neighbours 36 apart", last)
    assert "the other 96" in chapter.cells["field-predict"]["source"]
    assert 317 - 221 == 96 == 2 * 4 * 12
    field = chapter.run("print(models.summary(accurate, (3, 221, 221)).row('fc7').receptive_field)")
    assert field == "317\n"


def test_the_odd_row(chapter):
    rows = chapter.said("table-run").splitlines()
    assert [row.endswith("differs") for row in rows] == [False] * 4 + [True, False]
    assert "32x35, 10x11, 6x7 and 18x24" in " ".join(chapter.cells["table-seen"]["source"].split())
    before = np.arange(425, 569)
    columns = ((before - 7) // 2 + 1) // 3 - 6
    columns //= 2
    assert columns[before == 497] == 38
    assert columns[before == 461] == 35


def test_match_scores_by_hand(chapter):
    A, B, C = (0, 0, 10, 10), (2, 0, 12, 10), (40, 0, 50, 10)
    literal = {"AB": 2 + 8 * 10, "AC": 40 + 0, "BC": 38 + 0}
    said = [float(number) for number in re.findall(r"\d+\.\d", chapter.said("match-literal"))]
    assert said == list(literal.values())
    assert min(literal, key=literal.get) == "BC"
    source = chapter.cells["match-why"]["source"]
    assert "with 38" in source
    assert "$0.2 + 0.2 = 0.4$" in source
    assert all(str(box) in chapter.text() for box in (A, B, C))


def test_the_text_states_what_the_claims_enforce(chapter):
    bounds = {name: one["bounds"] for name, one in chapter.claims().items()}
    most = bounds["largest of boxes over windows"]["at_most"]
    assert chapter.cells["spread-why"]["source"].startswith(f"Less than {most:g} of it")
    assert f"less than {most:g} of what the windows do" in chapter.cells["audit"]["source"]
    points = bounds["points fewer wrong at 0.7"]["at_least"]
    assert f"at least {points:g} points fewer" in chapter.cells["methods-why"]["source"]
    assert bounds["surest with three, over merged with one"]["at_least"] > 0
    assert bounds["scores added"]["equals"] == pytest.approx(sum((0.5, 0.75, 0.6, 0.8)))
    assert "accumulation gives 2.65" in chapter.cells["audit"]["source"]
    assert bounds["windows of P-Net"]["at_least"] == 40_000
    assert "more than 40,000 times" in chapter.cells["faces-why"]["source"]


def test_one_face_each_and_none_elsewhere(chapter):
    ends = dict(re.findall(r"^(\w+) .*-> (\d)$", chapter.said("faces-others"), re.M))
    assert ends == {"grace_hopper": "1", "coffee": "0", "chelsea": "0", "rocket": "0"}


def test_the_false_alarm_is_told(chapter):
    alarm = chapter.claims()["faces on the motorcycle"]
    assert alarm["measured"] == alarm["bounds"]["equals"] == 1
    assert "with no person in it" in chapter.cells["faces-others-why"]["source"].replace("\n", " ")


def test_paper_numbers_stand_as_quoted(chapter):
    source = chapter.cells["faces-wrong-why"]["source"]
    rows = re.findall(r"^\| (\w+), (\d{4}) \| ([\d.]+) \|", source, re.M)
    assert rows == [
        ("AlexNet", "2012", "34.2"),
        ("OverFeat", "2013", "29.9"),
        ("VGG", "2014", "25.3"),
        ("ResNet", "2015", "9.0"),
    ]


ANSWERS = {  # answers to an exercise, the cell that checks them, right ones and wrong ones
    "head": (
        "check-head",
        "my_dense_head = dense_head",
        "def my_dense_head(maps, first, second):  # channels last\n"
        "    folded = first.reshape(-1, 3, 3, len(maps)).transpose(0, 3, 1, 2)\n"
        "    return dense_head(maps, folded.reshape(first.shape), second)",
    ),
    "row": (
        "check-row",
        "my_strides, my_row = (32, 16), fast_row",
        "my_strides = (36, 12)\n"
        "def my_row(H):\n"
        "    n = H // 16\n"
        "    return n, n // 2, n // 2 - 4, n - 12",
    ),
    "deal": (
        "check-deal",
        "my_interleave = deal",
        "def my_interleave(maps):  # side by side\n    return np.block(maps)",
    ),
    "merge": (
        "check-merge",
        "my_match, my_merge = 0.748, merge",
        "my_match = 0.414\n"
        "def my_merge(boxes, scores, limit=0.5):  # suppression\n"
        "    kept = detection.nms(boxes, scores, 0.3)\n"
        "    return boxes[kept], scores[kept]",
    ),
    "cell": (
        "check-cell",
        "my_window, my_place = window_of, place_of",
        "def my_window(i, j, S, enlarged):  # not scaled back, and offset\n"
        "    return np.array([6 * j, 6 * i, 6 * j + 30, 6 * i + 30])\n"
        "def my_place(box, i, j, S, enlarged):\n"
        "    return 30 * np.asarray(box)",
    ),
}


@pytest.mark.parametrize("check, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(chapter.run(check).splitlines()), lines


def test_a_transposed_cell_is_refused_off_the_diagonal(chapter):
    chapter.run("my_window, my_place = (lambda i, j, *s: window_of(j, i, *s)), place_of")
    lines = [line for line in chapter.run("check-cell").splitlines() if line.startswith("window")]
    assert [line.endswith(": right") for line in lines] == [True, False, False]


def test_a_threshold_can_be_tried(chapter):
    chapter.run("my_threshold = 0.3")
    said = chapter.run("check-open")
    groups = float(re.match(r"(\d+\.\d\d) groups per scene, exactly three in \d+%", said)[1])
    few, middle, _ = eval(chapter.run("print([float(n) for n in (few, middle, many)])"))
    assert middle < groups < few
