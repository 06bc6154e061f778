"""Chapter 7: its pencil agrees with PyTorch, its prose with its claims, and its checks tell."""

import re

import pytest
import torch
from torch.nn import functional

NAME = "07-googlenet"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]


def test_the_pencil_agrees_with_pytorch(chapter):
    x = torch.tensor([[[[1.0, 2], [0, 1]], [[0, 1], [2, 1]], [[1, 0], [1, 3]]]])
    w = torch.tensor([[1.0, 2, 0], [0, 1, -1]])
    y = functional.conv2d(x, w[:, :, None, None])
    assert chapter.run("print(y_by_hand.tolist())") == f"{y[0].tolist()}\n"
    map_ = torch.tensor([[[[1.0, 2, 3], [2, 4, 6]]]], requires_grad=True)
    (12 * map_.mean()).backward()
    assert chapter.run("print(by_code.tolist())") == f"{map_.grad.tolist()}\n"


def test_the_table_of_3a_adds_up(chapter):
    text = chapter.cells["module"]["source"]
    naive, slim = re.search(r"\| \*sum\* \| ([\d,]+) \| ([\d,]+) \|", text).groups()
    assert chapter.run("print(f'{sum(naive):,} {sum(slim):,}')") == f"{naive} {slim}\n"
    assert (naive, slim) == ("387,072", "163,328")


def test_printed_and_computed_stand_side_by_side(chapter):
    rows = re.findall(
        r"^(\w+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+)$", chapter.said("printed"), re.M
    )
    assert len(rows) == 12
    # Table 1 of the paper, its columns of parameters in K and of operations in M
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("conv1", "2.7", "34"),
        ("conv2", "112", "360"),
        ("3a", "159", "128"),
        ("3b", "380", "304"),
        ("4a", "364", "73"),
        ("4b", "437", "88"),
        ("4c", "463", "100"),
        ("4d", "580", "119"),
        ("4e", "840", "170"),
        ("5a", "1072", "54"),
        ("5b", "1388", "71"),
        ("linear", "1000", "1"),
    ]
    text = chapter.cells["printed-why"]["source"]
    four_c, conv1 = rows[6], rows[0]
    assert f"{float(four_c[2]):.0f}K by us" in text
    assert round(100e6 / 14**2 / 1e3) == 510
    assert float(conv1[2]) == 9.4
    assert "9,408" in text
    assert 64 * 3 * 14 == 2688
    assert 112 * 1024 == 64 * 64 + 9 * 64 * 192


def test_the_text_states_what_the_claims_enforce(chapter):
    claims = chapter.claims()
    bounds = {name: one["bounds"] for name, one in claims.items()}
    assert bounds["parameters of GoogLeNet"]["equals"] == 6_998_552
    assert bounds["weights, with a waist"]["equals"] == 15_872
    assert bounds["gain of conv1, 0.01"]["at_least"] == 1000
    assert chapter.cells["sides-why"]["source"].startswith("More than a thousand")
    fewer = claims["times fewer than AlexNet"]
    assert f"{fewer['measured']:.1f} to 9.0 times fewer" in chapter.cells["audit-why"]["source"]
    assert bounds["widest waist that saves"]["equals"] == 154
    assert "up to 154 it saves" in chapter.cells["widths-answer"]["source"]
    ratio = claims["parameters, full"]["measured"] / claims["parameters, mean"]["measured"]
    assert f"{int(ratio)} times as many parameters" in chapter.cells["heads-predict"]["source"]
    assert 547_430 - 22_374 == 525_056
    assert claims["peak in the box"]["measured"] > 3 * claims["by chance"]["measured"]
    assert "eleven powers of ten" in " ".join(chapter.cells["next"]["source"].split())
    assert 1e10 < claims["conv1 alone, best over worst"]["measured"] < 1e12
    heads = [claims[name]["measured"] for name in ("mean, in place", "full, in place")]
    assert max(heads) - min(heads) < 5, "alike in place"


def test_both_mistakes_hide_where_the_text_says(chapter):
    measured, right, swapped = (
        float(number) for number in re.findall(r"-?\d+\.\d+", chapter.said("concat-wrong"))[:3]
    )
    assert measured == right != swapped
    said = chapter.said("gap-wrong-run")
    assert "right 12, forgotten 12" in said
    assert re.search(r"^fit: the loss is (nan|inf) at step \d+ ", said, re.M), "plain descent"


ANSWERS = {  # answers to an exercise, the cell that checks them, right ones and wrong ones
    "count": (
        "check-count",
        "my_count = count",
        "def my_count(C, size, widths):\n"
        "    maps, held, macs = count(C, size, widths)\n"
        "    return maps, held - sum(widths), macs",
    ),
    "even": (
        "check-even",
        "my_widest = widest",
        "my_widest = lambda C, F, K: K * K * C * F / (C + K * K * F)",
    ),
    "concat": (
        "check-concat-mine",
        "my_module_back = module_back",
        "def my_module_back(pull, maps, weights):\n"
        "    swapped = np.concatenate([pull[:, 5:], pull[:, 3:5], pull[:, :3]], axis=1)\n"
        "    return module_back(swapped, maps, weights)",
    ),
    "mean": (
        "check-mean",
        "my_weighted_back = weighted_back",
        "def my_weighted_back(pull, maps, q):\n"
        "    dx, dq = weighted_back(pull, maps, q)\n"
        "    return dx * q.sum(), np.einsum('nd,ndrc->rc', pull, maps) / q.sum()",
    ),
}


@pytest.mark.parametrize("check, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong):
    assert chapter.unsolved(right, check) == []
    assert chapter.unsolved(wrong, check)
