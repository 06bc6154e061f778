"""Chapter 3: what it says holds, and its exercises take right answers and refuse wrong ones."""

import json
import re

import numpy as np
import pytest
import torch

pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", ["03-backprop-convolution"], indirect=True),
]


def test_every_comparison_holds(chapter):
    said = {name: chapter.said(name) for name in chapter.code()}
    compared = [name for name, text in said.items() if "True" in text]
    assert len(compared) >= 8
    assert not [name for name, text in said.items() if re.search(r"False|nan|inf", text)]


def test_the_numbers_worked_by_hand(chapter):
    x, k, dy, dx, dk = (
        torch.tensor(json.loads(chapter.run(f"print({name}.tolist())")), dtype=float)
        for name in ("x", "k", "dy", "dx_by_hand", "dk_by_hand")
    )
    x, k = (t[None, None].requires_grad_() for t in (x, k))
    y = torch.nn.functional.conv2d(x, k)
    y.backward(dy[None, None])
    np.testing.assert_array_equal(x.grad[0, 0], dx)
    np.testing.assert_array_equal(k.grad[0, 0], dk)
    assert chapter.run("print(y_by_hand.tolist())").strip() == str(y[0, 0].tolist())


def test_relative_errors_are_where_the_text_says(chapter):
    steps = [float(e) for e in re.findall(r"error (\S+)", chapter.said("check-five"))]
    assert steps == sorted(steps), "the largest step gives the smallest error"
    assert steps[0] < 1e-13 < 1e-8 < steps[-1]

    random, symmetric = re.findall(
        r"error (\S+),\s+off by (\S+), predicted (\S+)", chapter.said("check-flip")
    )
    assert float(random[0]) > 0.01
    assert random[1] == random[2] != "0.000000000"
    assert float(symmetric[0]) < 1e-12

    errors = re.findall(r"error (\S+)", chapter.said("others-check-run"))
    assert len(errors) == 5
    assert max(map(float, errors)) < 1e-8

    at_kinks, moved = re.findall(r"\de[-+]\d+", chapter.said("network-check-run"))
    assert float(moved) < 1e-8 < 1e-4 < float(at_kinks)


def test_the_text_states_what_the_claims_enforce(chapter):
    bounds = {name: made["bounds"] for name, made in chapter.claims().items()}
    assert len(bounds) >= 10
    title = chapter.cells["title"]["source"]
    assert f"more than {bounds['test digits read right']['at_least']:g} of" in title
    wrong = chapter.cells["wrong-plot-text"]["source"]
    assert f"More than {bounds['read right without flip']['at_least']:g}" in wrong
    assert bounds["back"]["equals"] == 2 * bounds["there"]["equals"]


def test_counts_in_the_text(chapter):
    assert chapter.run("print(T.size, np.count_nonzero(T))") == "36 12\n"
    counts = chapter.run("print(T_five.size, np.count_nonzero(T_five), T_five.shape)")
    assert counts == "2304 324 (36, 64)\n"
    assert chapter.run("print(len(np.unique(T_five[T_five != 0])))") == "9\n"
    assert chapter.run("print(len(digits.x_train), len(digits.x_test))") == "1442 355\n"


ANSWERS = {  # answers to an exercise, the cell that checks them, right ones and wrong ones
    "conv1d": (
        "check-conv1d",
        "my_dx, my_dk = (1, -3, 4, -4), [4, 5]",
        "my_dx, my_dk = [1, -3, 4, 4], [4, 6]",  # a sign; a mean would be another mistake
    ),
    "conv2d": (
        "check-conv2d-mine",
        "my_conv2d_back = conv2d_back",
        "def my_conv2d_back(pulls, images, weight, stride, padding):\n"
        "    dx, dw, db = conv2d_back(pulls, images, weight[..., ::-1, ::-1], stride, padding)\n"
        "    return dx, dw / pulls[0, 0].size, db / pulls[0, 0].size",
    ),
    "dilation": (
        "check-dilation",
        "my_strided_dx = strided_dx",
        "my_strided_dx = lambda pull, k, shape, s: strided_dx(pull, k[::-1], shape, s)",
    ),
    "overlap": (
        "check-overlap",
        "reveals, hides = np.array(tests['middle']), tests['corners']",
        "reveals, hides = tests['corners'], tests['middle']",
    ),
    "average": (
        "check-average",
        "my_average_back = average_back",
        "my_average_back = lambda pull, *rest: average_back(pull, *rest) * rest[1] ** 2",
    ),
}


@pytest.mark.parametrize("check, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong):
    chapter.run(right)
    lines = chapter.run(check).splitlines()
    assert lines
    assert all(line.endswith((": right", ": yes")) for line in lines), lines
    chapter.run(wrong)
    refused = chapter.run(check).splitlines()
    assert len(refused) == len(lines)
    assert not any(line.endswith((": right", ": yes")) for line in refused), refused


def test_a_shape_is_refused_with_a_reason(chapter):
    chapter.run("my_dx, my_dk = [1, 2], None")
    dx, dk = chapter.run("check-conv1d").splitlines()
    assert "dx has shape (2,), expected (4,)" in dx
    assert dk == "dk: not answered yet"
