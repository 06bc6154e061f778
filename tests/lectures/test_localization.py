"""Chapter 10: its overlaps are torchvision's, its text says what it measured, its checks tell."""

import json
import re
import tomllib
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from course_lib import web

NAME = "10-localization"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]
QUIZ = Path(web.__file__).parent / "quizzes" / f"{NAME}.toml"


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+\.\d+|-?\d+", text.replace("\N{MINUS SIGN}", "-"))]


def test_the_pencil_counts_as_torchvision_does(chapter):
    a, b = torch.tensor([[0.0, 0, 4, 3]]), torch.tensor([[2.0, 1, 6, 4]])
    assert numbers(chapter.said("hand")) == [4, 20, 0.2]
    assert box_iou(a, b).item() == pytest.approx(0.2)
    code = (
        "lows, sizes = rng.uniform(0, 9, (2, 50, 2, 2))\n"
        "some = np.concatenate([lows, lows + sizes], axis=2)\n"
        "print(some.tolist(), [float(iou(a, b)) for a, b in some])"
    )
    found = re.fullmatch(r"(\[\[\[.*\]\]\]) (\[.*\])\n", chapter.run(code))
    pairs, overlaps = map(json.loads, found.groups())
    first, second = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    assert overlaps == pytest.approx(box_iou(first, second).diag().tolist(), abs=1e-12)
    assert 0 in overlaps


def test_each_mistake_shows_where_the_text_says(chapter):
    rows = [line.split()[-4:] for line in chapter.said("wrong-run").splitlines()[1:]]
    right, no_max, plus, sizes = np.array(rows, float).T
    assert right.tolist() == [0.2, 0.2, 0.6, 0.0]
    assert (no_max != right).tolist() == [False, False, False, True]
    assert [no_max[3], plus[0], plus[1]] == [0.14, 0.29, 0.21]
    assert (sizes == right).tolist() == [False, False, True, False]
    for printed in ("an overlap of 0.14", "0.29 against 0.20 first, then 0.21"):
        assert printed in chapter.text()


def test_of_four_boxes_at_one_distance_one_is_right(chapter):
    said = chapter.said("distance")
    rows = {line.split(":")[0]: line for line in said.splitlines() if ": " in line and "|" in line}
    names = ["moved", "too large", "too small", "one side out"]
    found = {name: numbers(rows[name].split("|", 1)[1])[:2] for name in names}
    assert len({distance for _, distance in found.values()}) == 1
    assert [name for name in names if found[name][0] >= 0.5] == ["one side out"]
    assert min(names, key=lambda name: found[name][0]) == "too small"


def test_limits_of_half(chapter):
    s = 24.0
    for d, across, down in ((s / 3, 1, 0), ((1 - np.sqrt(2 / 3)) * s, 1, 1)):
        here = torch.tensor([[0, 0, s, s]], dtype=torch.float64)
        way = d * torch.tensor([across, down, across, down])
        assert box_iou(here, here + way).item() == pytest.approx(0.5)
    assert 4 < (1 - np.sqrt(2 / 3)) * s < 5, "4 pixels off to the right and 4 down is the limit"


def test_the_heads_have_as_many_parameters_as_the_table_says(chapter):
    said = chapter.said("heads-print")
    for inputs, boxes in ((1600, 1), (1600, 10), (128, 1), (128, 10)):
        count = 64 * inputs + 64 + 4 * boxes * (64 + 1)
        assert f"{count:,}" in said
        assert f"{count:,}".replace(",", "{,}") in chapter.text() or f"{count:,}" in chapter.text()


def test_the_order_of_the_heads_is_that_of_every_seed(chapter):
    rows = [numbers(line)[-3:] for line in chapter.said("heads-print").splitlines()[1:]]
    for better, worse in pairwise(rows):
        assert all(a > b for a, b in zip(better, worse, strict=True))


def test_body_and_head_cost_what_the_ledger_says(chapter):
    code = (
        "from course_lib.models import summary\n"
        "net, head = readers[0].features, nn.Sequential(nn.Flatten(), models[0].box_head)\n"
        "print(summary(net, (1, 36, 36)).macs, summary(head, (64, 5, 5)).macs)"
    )
    counted = [int(n) for n in chapter.run(code).split()]
    claims = chapter.claims()
    claimed = [claims[f"MACs of the {part}"]["measured"] for part in ("body", "head")]
    assert counted == claimed


def test_what_wrong_labels_do_to_two_losses(chapter):
    rng = np.random.default_rng(0)
    others = rng.uniform(0.2, 0.8, 20_001)
    true, share, grid = 0.3, 0.4, np.linspace(0, 1, 1001)
    errors = grid[:, None] - others
    squared = (1 - share) * (grid - true) ** 2 + share * (errors**2).mean(1)
    absolute = (1 - share) * abs(grid - true) + share * abs(errors).mean(1)
    shrunk = (1 - share) * true + share * others.mean()
    assert grid[squared.argmin()] == pytest.approx(shrunk, abs=1e-3)
    assert grid[absolute.argmin()] == pytest.approx(true, abs=1e-3)
    assert chapter.claims()["squared: slope"]["measured"] == pytest.approx(1 - share, abs=0.08)


def test_the_mean_costs_least_where_the_order_is_random(chapter):
    grid = np.arange(0, 40.5, 0.5)
    q1, q2 = np.meshgrid(grid, grid, indexing="ij")
    cost = sum((q1 - a) ** 2 + (q2 - b) ** 2 for a, b in permutations((10, 30)))
    best = np.unravel_index(cost.argmin(), cost.shape)
    assert [grid[i] for i in best] == [20, 20]
    assert "so $q_1 = 20$, and $q_2 = 20$" in chapter.text()


def test_the_mixed_rule_hides_behind_one_box(chapter):
    one, ten = chapter.said("mixed-run").splitlines()[:2]
    rule, mixed = re.findall(r"([\d.]+) %", one)
    assert rule == mixed
    rule, mixed = map(float, re.findall(r"([\d.]+) %", ten))
    assert mixed < rule


def test_each_stage_gains(chapter):
    rows = [numbers(line)[1:] for line in chapter.said("pose").splitlines()[1:]]
    assert len(rows) == 3
    assert all(first > second > third for first, second, third in rows)


def test_quoted_errors_are_those_of_the_paper(chapter):
    text = chapter.cells["errors-why"]["source"]
    quoted = {"OverFeat": "29.9", "VGG": "25.3", "GoogLeNet": "26.7", "ResNet": "9.0"}
    for entry, error in quoted.items():
        assert f"{error} % for {entry}" in text
    assert re.search(r"34\.2 % for\s+AlexNet", text)


ANSWERS = {  # the cell that checks, a right answer, a wrong one, and what of it is refused
    "iou, sides not cut": (
        "check-iou-run",
        "my_iou = all_pairs",
        "def my_iou(a, b):\n"
        "    low = np.maximum(a[:, None, :2], b[:, :2])\n"
        "    common = (np.minimum(a[:, None, 2:], b[:, 2:]) - low).prod(2)\n"
        "    area = [(z[:, 2:] - z[:, :2]).prod(1) for z in (a, b)]\n"
        "    union = area[0][:, None] + area[1] - common\n"
        "    return common / np.where(union == 0, 1, union)",
        ["all pairs", "nothing covered"],
    ),
    "rule, two guesses mixed": (
        "check-rule-ours",
        "my_error = rule_error",
        "def my_error(guesses, guessed, labels, truth):\n"
        "    good = [(all_pairs(g, t) >= 0.5).any() for g, t in zip(guessed, truth)]\n"
        "    named = (guesses == labels[:, None]).any(1)\n"
        "    return 1 - (named & np.array(good)).mean()",
        ["three pictures", "our pictures"],
    ),
    "encode, centre read as corner": (
        "check-encode",
        "my_decode, my_iou_wider, my_iou_aside = decode, np.exp(-0.1), 0.9 / 1.1",
        "def my_decode(t, anchors):\n"
        "    size = anchors[:, 2:] - anchors[:, :2]\n"
        "    low = anchors[:, :2] + t[:, :2] * size\n"
        "    return np.concatenate([low, low + size * np.exp(t[:, 2:])], 1)\n"
        "my_iou_wider, my_iou_aside = 0.9, 0.9",
        ["decoded", "wider", "aside"],
    ),
    "orders, as they come": (
        "check-orders",
        "my_outputs_any, my_outputs_two = [4, 4, 4], [3, 3, 6]\nmy_best_loss = best_loss",
        "my_outputs_any, my_outputs_two = [0, 3, 9], [0, 3, 9]\n"
        "my_best_loss = lambda said, truth: ((said - truth) ** 2).sum((1, 2)).mean()",
        ["six orders", "two orders", "best", "in another order"],
    ),
    "refine, side forgotten": (
        "check-refine-run",
        "my_refine, my_pixels_off = refine, 0.08",
        "def my_refine(joints, look, stages):\n"
        "    for _ in range(stages):\n"
        "        sides = np.linalg.norm(joints[:, 9] - joints[:, 2], axis=1)\n"
        "        joints = joints + look(joints, sides)\n"
        "    return joints\n"
        "my_pixels_off = 2.0",
        ["refined", "pixels"],
    ),
}


@pytest.mark.parametrize("check, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong, refused):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(refused), lines
    for line, what in zip(lines, refused, strict=True):
        assert line.startswith(what)


def test_a_guess_is_measured(chapter):
    chapter.run("guess_iou = 0.8")
    iou, squares = (float(n) for n in re.findall(r": ([\d.]+)", chapter.run("check-open-run")))
    assert iou == pytest.approx(squares, abs=0.05)


def test_the_quiz_tells_the_truth(chapter):
    questions = tomllib.loads(QUIZ.read_text())["questions"]
    assert all(sum(o.get("right", False) for o in q["options"]) == 1 for q in questions)
    side = 4 - 6
    assert "IoU of 1/7" in questions[0]["ask"]
    assert side * side / (16 + 16 - side * side) == pytest.approx(1 / 7)
    plus = (side + 1) ** 2 / (2 * 25 - (side + 1) ** 2)
    assert plus == pytest.approx(1 / 49)
    assert "1/49" in questions[0]["options"][2]["why"]
