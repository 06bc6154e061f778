"""Chapter 6: its pencil agrees with PyTorch, its prose with its claims, and its checks tell."""

import re

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

NAME = "06-fully-convolutional-networks"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]


def test_every_comparison_holds(chapter):
    said = [chapter.said(name) for name in chapter.code()]
    assert sum(text.count("True") for text in said) >= 6


def test_the_pencil_agrees_with_pytorch(chapter):
    convolve, spread = torch.nn.functional.conv1d, torch.nn.functional.conv_transpose1d
    kernel = torch.tensor([[[1.0, 2, 1]]])
    five = spread(torch.tensor([[[1.0, 3]]]), kernel, stride=2)
    assert chapter.run("print(five_by_hand.tolist())") == f"{five[0, 0].tolist()}\n"
    again = convolve(five, kernel, stride=2)
    assert again[0, 0].tolist() == [9, 19]
    assert "$(9, 19)$" in chapter.cells["inverse-why"]["source"]
    tent = torch.tensor([[[0.25, 0.75, 0.75, 0.25]]])
    doubled = spread(torch.tensor([[[0.0, 4, 8]]]), tent, stride=2, padding=1)
    assert chapter.run("print(doubled.tolist())") == f"{doubled[0, 0].tolist()}\n"

    large, folded = torch.tensor([[1.0, 2, 0], [3, 4, 1], [2, 0, 5]]), torch.tensor([1.0, 0, -1, 2])
    outputs = torch.nn.functional.conv2d(large[None, None], folded.reshape(1, 1, 2, 2))
    assert chapter.run("print(by_hand.tolist())") == f"{outputs[0, 0].tolist()}\n"


def test_the_twelve_pixels_agree_with_scikit_learn(chapter):
    truth, guess = (
        np.array(eval(chapter.run(f"print({name}.tolist())"))) for name in ("truth", "guess")
    )
    ious = jaccard_score(truth.ravel(), guess.ravel(), average=None)
    assert ious == pytest.approx([7 / 9, 1 / 3, 1])
    blind = jaccard_score(truth.ravel(), 0 * guess.ravel(), average="macro", zero_division=0)
    text = chapter.cells["metric-derive"]["source"]
    assert f"${ious.mean():.3f}$" in text
    assert f"= {blind:.3f}$" in text


def test_counts_in_the_text(chapter):
    sizes = chapter.run("print(reader[:6](image).numel(), matrix.shape[1], scene.size)").split()
    assert sizes == ["2704", "400", "4096"]
    assert "2,704 numbers" in chapter.text()
    assert chapter.run("print(tuple(score_map.shape), tuple(heat.shape[1:]))") == (
        "(10, 9, 9) (13, 19)\n"
    )
    rows = "models.summary(small_net, (1, 64, 64))"
    code = f"t = {rows}; print(*(t.row(n).parameters for n in ('score_pool2', 'score_pool1')))"
    assert chapter.run(code) == "187 99\n"
    code = f"t = {rows}; print(*(t.row(n).receptive_field for n in ('score', 'score_pool1')))"
    assert chapter.run(code) == "54 4\n"


def test_the_text_states_what_the_claims_enforce(chapter):
    claims = chapter.claims()
    bounds = {name: one["bounds"] for name, one in claims.items()}
    least = bounds["test digits read right"]["at_least"]
    assert f"more than {least:g} of 100" in chapter.cells["refuse-text"]["source"]
    assert 1.4 <= claims["the latter over the former"]["measured"] < 3.5
    assert "about twice" in " ".join(chapter.cells["results-why"]["source"].split())
    assert bounds["ratio"]["at_least"] == 8
    why = " ".join(chapter.cells["cost-dense-why"]["source"].split())
    assert why.startswith("Eight times fewer")
    folded, dense = (
        claims[name]["measured"] for name in ("of them in the full connections", "MACs, dense")
    )
    assert folded / dense == pytest.approx(2 / 5, abs=0.03)
    assert "two fifths of what is left" in why
    assert bounds["second skip over first"]["at_least"] >= 0.3, "several times a tenth"
    assert bounds["parameters of FCN-8s, trained"]["equals"] == 134_376_863


def test_paper_numbers_stand_as_quoted(chapter):
    rows = re.findall(
        r"^\| (FCN-\S+) \| ([\d.]+) \| ([\d.]+) \|$", chapter.cells["paper"]["source"], re.M
    )
    expected = [
        ("FCN-32s", "89.1", "59.4"),
        ("FCN-16s", "90.0", "62.4"),
        ("FCN-8s", "90.3", "62.7"),
    ]
    assert rows == expected


def test_skips_raise_every_score(chapter):
    numbers = re.findall(r"IoU (\S+), pixels right (\S+)", chapter.said("train-fine"))
    assert len(numbers) == 5
    without, with_skips = (list(map(float, numbers[n])) for n in (2, 4))
    assert with_skips[0] > without[0]
    assert with_skips[1] > without[1]


ANSWERS = {  # answers to an exercise, the cell that checks them, right ones and wrong ones
    "hand": (
        "check-hand",
        "my_spread, my_count = (2, 0, -5, 0, 5, 0, -6), 5",
        "my_spread, my_count = [2, 0, -4, 0, 2, 0, -6], 7",  # written over; nothing cut off
    ),
    "absent": (
        "check-absent-run",
        "my_number, my_mean_iou = 29 / 63, mean_iou",
        "my_number = 29 / 84\n"
        "def my_mean_iou(counts):\n"
        "    return np.nan_to_num(class_iou(counts), nan=0.0)[[3, 4]].mean()",
    ),
    "last": (
        "check-last",
        "my_fold = lambda m, D, H, W: np.moveaxis(m.reshape(-1, H, W, D), -1, 1)",
        "my_fold = lambda m, D, H, W: m.reshape(-1, D, H, W)",
    ),
    "layer": (
        "check-layer-run",
        "my_conv_transpose2d = conv_transpose2d",
        "my_conv_transpose2d = lambda x, k, s, p: conv_transpose2d(x, k[..., ::-1, ::-1], s, p)",
    ),
    "nineteen": (
        "check-nineteen",
        "my_rows, my_least_padding, my_margin = rows, 97, 19",
        "my_rows, my_least_padding, my_margin = lambda H: (H + 197) // 32, 96, 18",
    ),
}


@pytest.mark.parametrize("check, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(chapter.run(check).splitlines()), lines


def test_a_weight_can_be_tried(chapter):
    chapter.run("my_weight = 0.5")
    lines = chapter.run("check-open").splitlines()
    assert re.fullmatch(r"mean IoU 0\.\d{3}, pixel accuracy 0\.\d{3}", lines[0])
    added, missed = map(int, re.findall(r"\d+", lines[1]))
    fewer, more, _ = eval(chapter.run("print(errors[8, False].tolist())"))
    assert added < fewer
    assert missed > more
    assert lines[2] == f"with weight 1: added {fewer}, missed {more}"
