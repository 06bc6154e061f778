"""Chapter 12: its pencil agrees with other programs, its prose with its claims, its checks tell."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from torchvision.ops import nms

NAME = "12-detection-as-classification"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]


def prose(chapter, name):
    """Return the text of a cell in one line."""
    return " ".join(chapter.cells[name]["source"].split())


def rows_of(chapter, name):
    """Return the cells of the table in a cell, row by row, without its head."""
    lines = re.findall(r"^\|(.*)\|$", chapter.cells[name]["source"], re.M)
    return [[part.strip() for part in line.split("|")] for line in lines[2:]]


def test_every_comparison_holds(chapter):
    said = [chapter.said(name) for name in chapter.code()]
    assert sum(text.count("True") for text in said) >= 12


def test_all_windows_by_another_count(chapter):
    edges = {L: sum(1 for _ in itertools.combinations(range(L + 1), 2)) for L in (4, 480, 640)}
    assert edges[4] ** 2 == 100
    assert "100 windows" in prose(chapter, "count-hand")
    bounds = chapter.claims()["windows of 640 x 480"]["bounds"]
    assert bounds["equals"] == edges[480] * edges[640] == 23_679_052_800
    assert chapter.said("steps") == "10"
    assert "9 steps and 10 places" in prose(chapter, "steps-text")
    at = np.linspace(0, 100 - 32, 10)
    assert np.diff(at).max() <= 32 / 4 < 68 / 8  # nine steps are few enough, eight would be too few


def test_the_step_that_is_enough(chapter):
    text = prose(chapter, "steps-text")
    step = float(re.search(r"t \\le ([\d.]+)", text)[1])
    for t, seen in ((step - 0.001, True), (step + 0.001, False)):
        common = (1 - t / 2) ** 2
        assert (common / (2 - common) >= 0.5) == seen


def test_suppression_by_hand_is_torchvisions(chapter):
    boxes = torch.tensor([[0.0, 0, 9, 9], [3, 0, 12, 9], [6, 0, 15, 9]])
    rows = rows_of(chapter, "nms-hand")
    assert len(rows) == 3
    for name, scores, threshold, _, kept in rows:
        scores = torch.tensor([float(s) for s in scores.split(", ")])
        by_torchvision = sorted(nms(boxes, scores, float(threshold)).tolist())
        assert re.findall(r"[ABC]", kept) == ["ABC"[i] for i in by_torchvision]
        assert re.search(rf"{name}: [ABC]+, True", chapter.said("nms-run"))


def test_the_ranking_by_hand(chapter):
    hits, found = [], 0
    for rank, row in enumerate(rows_of(chapter, "judge-table"), start=1):
        assert int(row[0]) == rank
        hits.append(row[4] == "yes")
        found += hits[-1]
        assert int(row[5]) == found
        assert Fraction(row[6]) == Fraction(found, rank)
        assert Fraction(row[7]) == Fraction(found, 5)
    assert hits == [False, True, True, False, True, False, True, False]

    precision = [Fraction(sum(hits[:n]), n) for n in range(1, 9)]
    recall = [Fraction(sum(hits[:n]), 5) for n in range(1, 9)]

    def best(r):
        return max((p for p, at in zip(precision, recall, strict=True) if at >= r), default=0)

    eleven = sum(best(Fraction(n, 10)) for n in range(11)) / 11
    area = sum(best(Fraction(n, 5)) for n in range(1, 6)) / 5
    coco = sum(best(Fraction(n, 100)) for n in range(101)) / 101
    shown = [float(re.search(r"= ([\d.]+)\$", row[2])[1]) for row in rows_of(chapter, "envelope")]
    assert shown == [round(float(ap), 3) for ap in (eleven, area, coco)]
    claims = chapter.claims()
    assert claims["11 points"]["measured"] == pytest.approx(float(eleven))
    assert claims["area"]["measured"] == pytest.approx(float(area))
    assert claims["101 points, COCO's hits"]["measured"] == pytest.approx(
        float((41 * Fraction(2, 3) + 60 * Fraction(5, 8)) / 101)
    )


def test_wrong_averages_are_those_in_the_text(chapter):
    claims = chapter.claims()
    raw = (Fraction(1, 2) + Fraction(2, 3) + Fraction(3, 5) + Fraction(4, 7)) / 5
    assert claims["no envelope"]["measured"] == pytest.approx(float(raw))
    doubles = (4 * Fraction(4, 5) + 2 * Fraction(6, 8)) / 5
    assert claims["doubles as hits"]["measured"] == pytest.approx(float(doubles))
    assert "a recall of 120 %" in prose(chapter, "judge-wrong-why")
    assert claims["recall with doubles"]["bounds"]["equals"] == 1.2
    text = prose(chapter, "judge-coco")
    assert f"{claims['the second best']['measured']:.3f} in the place of 0.503" in text


def test_the_cell_by_hand(chapter):
    rows = rows_of(chapter, "hog-hand")
    assert len(rows) == 4
    for _, gx, gy, length, angle, bin_ in rows:
        gx, gy = (
            int(side.replace("\N{MINUS SIGN}", "-").split("=")[-1].replace(" ", ""))
            for side in (gx, gy)
        )
        assert float(length) == pytest.approx(np.hypot(gx, gy), abs=5e-3)
        degrees = int(re.findall(r"(\d+)°", angle)[-1])
        assert degrees == np.degrees(np.arctan2(gy, gx)) % 180
        assert int(bin_) == degrees // 20


def test_the_mergers_by_hand(chapter):
    text = prose(chapter, "propose-text")
    first = [float(n) for n in re.findall(r"\\frac\{\d+\}\{16\} = ([\d.]+)", text)]
    assert first[:3] == [1.125, 1.25, 0.375]
    said = chapter.said("group-loop").splitlines()
    assert said == [
        "merge 1 and 2, at 1.250",
        "merge 0 and 4, at 0.750",
        "merge 3 and 5, at 0.625",
    ]


def test_the_text_states_what_the_claims_enforce(chapter):
    bounds = {name: one["bounds"] for name, one in chapter.claims().items()}
    assert bounds["plan 3, seen at 0.5"]["at_least"] >= 99
    assert bounds["plan 3, seen at 0.7"]["at_most"] <= 50
    assert bounds["digits lost with two slots"]["at_most"] < 100 / 3 + 2
    assert bounds["numbers for 64 x 128 pixels"]["equals"] == 7 * 15 * 36
    assert bounds["selective search, 50 boxes"]["at_least"] >= 95
    assert bounds["boxes of the grid for as much"]["at_least"] >= 200
    plans = [bounds[f"windows of plan {n}"]["equals"] for n in (3, 4, 5)]
    assert [round(n / plans[0]) for n in plans] == [1, 3, 19]
    assert "nineteen times as many windows; for nine of ten, three" in prose(chapter, "plans-why")
    assert "3,780" in chapter.text()


def test_mining_and_suppression_are_told_as_measured(chapter):
    claims = chapter.claims()
    bounds = {name: one["bounds"] for name, one in claims.items()}
    rounds = eval(chapter.run("print([float(m) for m in maps])"))
    assert claims["gain"]["measured"] == pytest.approx(rounds[-1] - rounds[0])
    assert bounds["boxes, after"]["at_most"] < bounds["boxes, before"]["at_least"]
    assert bounds["paper, of worst"]["at_most"] <= 10
    lost, doubles, alone = eval(chapter.run("print(fates[:, 1:].T.tolist())"))
    assert lost == sorted(lost, reverse=True)
    assert doubles[0] == 0
    assert not any(a == 0 and b == 0 for a, b in zip(lost, doubles, strict=True))
    assert all(part <= whole for part, whole in zip(alone, lost, strict=True))
    assert 1 / 5 <= 1 - alone[0] / lost[0] <= 1 / 2  # "a third", to a neighbour


def test_who_silences_whom_on_two_digits(chapter):
    truth = "np.array([[0.0, 0, 20, 20], [18.0, 0, 38, 20]])"
    boxes = {
        "a neighbour": [[18, 0, 38, 20], [1, 0, 21, 20]],  # IoU of 3/37 with the hit on the first
        "its own": [[0, 0, 10, 10], [0, 0, 20, 20]],  # a quarter of the digit, scoring better
    }
    fates = {}
    for name, pair in boxes.items():
        found = f"{{'boxes': torch.tensor({pair}).double(), 'scores': torch.tensor([2.0, 1.0])}}"
        said = chapter.run(f"print([int(n) for n in fate({found}, {truth}, 0.05)])")
        fates[name] = eval(said)
    assert fates == {"a neighbour": [2, 1, 0, 0], "its own": [1, 1, 0, 1]}


def test_the_scores_of_the_figure_are_those_of_the_library(chapter):
    claims = chapter.claims()
    assert claims["0.3 over none"]["measured"] > claims["0.3 over 0"]["measured"] > 0
    assert claims["largest gain by a score"]["measured"] <= 0


ANSWERS = {  # answers to an exercise, the cells that check them, right ones and wrong ones
    "count": (
        "check-count-two",
        "my_factor, my_pyramid = 2.78, pyramid",
        "my_factor = 5.0\n"
        "def my_pyramid(H, W, K, stride, shrink):  # one level only\n"
        "    return ((H - K) // stride + 1) * ((W - K) // stride)",
    ),
    "cell": (
        "check-cell-mine",
        "my_histogram = [0.5, 0, 0, 0, 0, 0, 0, 0, 0.5]\nmy_votes = divided_votes",
        "my_histogram = [1, 0, 0, 0, 0, 0, 0, 0, 0]\n"
        "def my_votes(gx, gy, bins=9, signed=False):  # not divided\n"
        "    turn = 360 if signed else 180\n"
        "    angles = np.degrees(np.arctan2(gy, gx)) % turn\n"
        "    votes = np.zeros(bins)\n"
        "    np.add.at(votes, (angles * bins / turn).astype(int), np.hypot(gx, gy))\n"
        "    return votes",
    ),
    "nms": (
        "check-nms",
        "my_class_nms = class_nms",
        "def my_class_nms(boxes, scores, labels, threshold):  # classes compete\n"
        "    return nms(boxes, scores, threshold)",
    ),
    "ap": (
        "check-ap-run",
        "my_ap, eleven_says_more, eleven_says_less = two_means, [1, 1], [1, 1, 1]",
        "eleven_says_more, eleven_says_less = [1, 1, 1], [1, 0, 1]\n"
        "def my_ap(hits, num_objects):  # the mean of the precisions, and the teeth\n"
        "    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)\n"
        "    steps = np.diff(np.cumsum(hits) / num_objects, prepend=0)\n"
        "    return precision.mean(), (steps * precision).sum() - 0.01",
    ),
    "recall": (
        "check-recall-mine",
        "my_recall, my_mabo = recall_of, mabo_of",
        "def my_recall(proposals, boxes, threshold):  # of pictures, not of objects\n"
        "    rows = [best_of_each([p], [b]) for p, b in zip(proposals, boxes) if len(b)]\n"
        "    return np.mean([(row >= threshold).mean() for row in rows]) + 0.01\n"
        "def my_mabo(proposals, boxes, labels):  # over objects, not over classes\n"
        "    return best_of_each(proposals, boxes).mean()",
    ),
}


@pytest.mark.parametrize("checks, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, checks, right, wrong):
    assert chapter.unsolved(right, checks) == []
    lines = chapter.unsolved(wrong, checks)
    assert len(lines) == len(chapter.run(checks).splitlines()), lines


def test_an_offset_that_forgets_the_left_is_refused(chapter):
    chapter.run(
        "def my_class_nms(boxes, scores, labels, threshold):\n"
        "    return nms(boxes + labels[:, None] * boxes.max(), scores, threshold)"
    )
    assert "right" not in chapter.run("check-nms").splitlines()[0]


@pytest.mark.parametrize("ranking", [[1] * 6, [1, 1, 0, 0, 0, 0, 0], [2, 1], []])
def test_a_ranking_beyond_the_exercise_is_refused(chapter, ranking):
    lines = chapter.run(f"check_rankings({ranking}, None, check_answer)").splitlines()
    assert "six at most" in " ".join(lines)


def test_an_objectness_can_be_tried(chapter):
    chapter.run("my_objectness = objectness")
    first, second = chapter.run("check-open").splitlines()
    share = [int(re.search(r": (\d+) %", line)[1]) for line in (first, second)]
    assert share[0] < share[1]
