"""Chapter 3: what it says holds, and its exercises take right answers and refuse wrong ones."""

import json
import re

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.lecture
CLAIM = "application/vnd.course.claim+json"


def test_every_comparison_holds(backprop):
    said = {name: backprop.said(name) for name in backprop.code()}
    compared = [name for name, text in said.items() if "True" in text]
    assert len(compared) >= 8
    assert not [name for name, text in said.items() if re.search(r"False|nan|inf", text)]


def test_nothing_goes_to_stderr(backprop):
    for name, cell in backprop.code().items():
        assert not [out for out in cell["outputs"] if out.get("name") == "stderr"], name


def test_every_figure_is_drawn_for_both_readers(backprop):
    figures = [c for c in backprop.code().values() if "figure" in c["metadata"].get("mystnb", {})]
    assert len(figures) >= 10
    for cell in figures:
        (out,) = cell["outputs"]
        assert {"image/svg+xml", "text/html"} <= set(out["data"]), cell["id"]


def test_the_numbers_worked_by_hand(backprop):
    x, k, dy, dx, dk = (
        torch.tensor(json.loads(backprop.run(f"print({name}.tolist())")), dtype=float)
        for name in ("x", "k", "dy", "dx_by_hand", "dk_by_hand")
    )
    x, k = (t[None, None].requires_grad_() for t in (x, k))
    y = torch.nn.functional.conv2d(x, k)
    y.backward(dy[None, None])
    np.testing.assert_array_equal(x.grad[0, 0], dx)
    np.testing.assert_array_equal(k.grad[0, 0], dk)
    assert backprop.run("print(y_by_hand.tolist())").strip() == str(y[0, 0].tolist())


def test_relative_errors_are_where_the_text_says(backprop):
    steps = [float(e) for e in re.findall(r"error (\S+)", backprop.said("check-five"))]
    assert steps == sorted(steps), "the largest step gives the smallest error"
    assert steps[0] < 1e-13 < 1e-8 < steps[-1]

    random, symmetric = re.findall(
        r"error (\S+),\s+off by (\S+), predicted (\S+)", backprop.said("check-flip")
    )
    assert float(random[0]) > 0.01
    assert random[1] == random[2] != "0.000000000"
    assert float(symmetric[0]) < 1e-12

    errors = re.findall(r"error (\S+)", backprop.said("others-check-run"))
    assert len(errors) == 5
    assert max(map(float, errors)) < 1e-8

    at_kinks, moved = re.findall(r"\de[-+]\d+", backprop.said("network-check-run"))
    assert float(moved) < 1e-8 < 1e-4 < float(at_kinks)


def test_the_text_states_what_the_claims_enforce(backprop):
    bounds = {}
    for cell in backprop.code().values():
        for out in cell["outputs"]:
            found = out.get("data", {}).get(CLAIM, [])
            for made in found if isinstance(found, list) else [found]:
                bounds[made["quantity"]] = made["bounds"]
    assert len(bounds) >= 10
    title = backprop.cells["title"]["source"]
    assert f"more than {bounds['test digits read right']['at_least']:g} of" in title
    wrong = backprop.cells["wrong-plot-text"]["source"]
    assert f"More than {bounds['read right without flip']['at_least']:g}" in wrong
    assert bounds["back"]["equals"] == 2 * bounds["there"]["equals"]


def test_counts_in_the_text(backprop):
    assert backprop.run("print(T.size, np.count_nonzero(T))") == "36 12\n"
    counts = backprop.run("print(T_five.size, np.count_nonzero(T_five), T_five.shape)")
    assert counts == "2304 324 (36, 64)\n"
    assert backprop.run("print(len(np.unique(T_five[T_five != 0])))") == "9\n"
    assert backprop.run("print(len(digits.x_train), len(digits.x_test))") == "1442 355\n"


def test_each_exercise_has_a_solution_that_ran(backprop):
    text = "\n".join(c["source"] for c in backprop.cells.values() if c["cell_type"] == "markdown")
    exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", text)
    assert 5 <= len(exercises) <= 6
    assert re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text) == exercises
    assert text.count("{solution-end}") == len(exercises)
    for name, cell in backprop.code().items():
        if name.startswith("check-") and cell["metadata"].get("tags") == ["hide-input"]:
            assert "right" not in backprop.said(name), "nothing is answered yet"


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
def test_checks_take_right_answers_and_refuse_wrong_ones(backprop, check, right, wrong):
    backprop.run(right)
    lines = backprop.run(check).splitlines()
    assert lines
    assert all(line.endswith((": right", ": yes")) for line in lines), lines
    backprop.run(wrong)
    refused = backprop.run(check).splitlines()
    assert len(refused) == len(lines)
    assert not any(line.endswith((": right", ": yes")) for line in refused), refused


def test_a_shape_is_refused_with_a_reason(backprop):
    backprop.run("my_dx, my_dk = [1, 2], None")
    dx, dk = backprop.run("check-conv1d").splitlines()
    assert "dx has shape (2,), expected (4,)" in dx
    assert dk == "dk: not answered yet"
