"""Chapter 4: what it says holds, and its exercises take right answers and refuse wrong ones."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import models, web

pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", ["04-lenet-and-invariance"], indirect=True),
]
QUIZZES = Path(web.__file__).parent / "quizzes"


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", text.replace("\u2212", "-"))]


def test_every_comparison_holds(chapter):
    said = {name: chapter.said(name) for name in chapter.code()}
    compared = [name for name, text in said.items() if "True" in text]
    assert len(compared) >= 4
    assert not [name for name, text in said.items() if re.search(r"False|\bnan\b|\binf\b", text)]


def test_the_row_that_moves(chapter):
    """The table of the pencil, with PyTorch in the place of the pencil."""
    rows = re.findall(r"^\| \w+.*? \| ([\d, ]+) \| ([\d, \u2212]+) \|$", by_hand(chapter), re.M)
    assert len(rows) == 3
    kernel = torch.tensor([[[2.0, -1.0]]])
    for pixels, outputs in rows:
        x = torch.tensor(numbers(pixels))[None, None]
        y = torch.nn.functional.conv1d(x, kernel)[0, 0]
        assert y.tolist() == numbers(outputs)
    assert [max(numbers(outputs)) for _, outputs in rows] == [6, 6, 6]


def by_hand(chapter):
    return chapter.cells["by-hand"]["source"]


def test_counts_of_lenet_in_the_text(chapter):
    model = models.lenet5(device="meta")
    counts = {
        name.upper(): sum(p.numel() for p in part.parameters())
        for name, part in model.named_children()
    }
    text = chapter.cells["lenet"]["source"].replace("{,}", "")
    for layer, trained in re.findall(r"^\| ([CSF]\d) \|.*= (\d+)\$ \|$", text, re.M):
        assert counts[layer] == int(trained)
    text = chapter.cells["c3-predict"]["source"].replace("{,}", "")
    assert f"&= {counts['C3']} ." in text
    parts = [int(n) for n in re.findall(r"1\) &= (\d+)", text)]
    assert sum(parts) == counts["C3"]
    dense = models.lenet5(c3="dense", device="meta").c3
    assert f"= {sum(p.numel() for p in dense.parameters())}$" in text


def test_the_text_states_what_the_claims_enforce(chapter):
    made = chapter.claims()
    bounds = {name: one["bounds"] for name, one in made.items()}
    assert len(made) >= 35
    title = " ".join(chapter.cells["title"]["source"].split())
    assert f"more than {bounds['all six, at rest']['at_least']:g} of 100" in title
    lost = bounds["five of them, 4 pixels away"]["at_most"]
    assert title.count(f"fewer than {lost:g}") == 2
    assert bounds["4 pixels"]["at_most"] < 1e-3, "all of its scores are what they were"
    for one in made.values():
        assert bool(one["published"]) == bool(one["source"])


def test_three_seeds_stand_behind_every_curve_but_one(chapter):
    counted = "import json; print(json.dumps({k: len(v) for k, v in taught.items()}))"
    seeds = json.loads(chapter.run(counted))
    assert seeds.pop("LeNet-5+") == 1
    assert set(seeds.values()) == {3}


def test_where_the_strides_are_followed(chapter):
    zeros = json.loads(chapter.run("print((unexplained_by < 1e-9).astype(int).tolist())"))
    strides = [1, 2, 2, 4]
    assert zeros == [[int(u % s == 0) for u in range(1, 9)] for s in strides]


def test_the_maximum_is_the_one_that_stands_shifts(chapter):
    """And holds on longer than the others on the small side, as the text says, not in turns."""
    run = "print(results[{!r}][{!r}].mean(axis=0).round(1).tolist())"
    curves = {
        (name, way): np.array(json.loads(chapter.run(run.format(name, way))))
        for name in ("linear", "two layers", "convolution", "pooling", "maximum")
        for way in ("shift", "turn", "scale")
    }
    others = ("linear", "two layers", "convolution", "pooling")
    assert curves["maximum", "shift"].min() > 90
    small = {name: curves[name, "scale"][2] for name in (*others, "maximum")}
    assert small["maximum"] > 20 + max(small[name] for name in others)
    assert all(curves[name, "shift"][4] < 25 for name in others)


def test_most_networks_misread_the_five(chapter):
    every = "[n for group in taught.values() for n in group]"
    run = f"print([int(training.predict(n, sheet(five)).argmax()) for n in {every}])"
    read = json.loads(chapter.run(run))
    assert read.count(5) < len(read) / 2


def test_the_estimates_of_the_paper_are_wider(chapter):
    run = "print(json.dumps({way: limit[way]['LeNet-5+'] for way in limit}))"
    reached = json.loads(chapter.run(f"import json; {run}"))
    assert reached["shift"] < 8
    assert reached["turn"] < 30
    assert 0.5 < reached["down"] < 1 < reached["up"] < 2


def test_the_moves_that_are_played_with(chapter):
    """Of the 289 shifts of the 6: few for pooling, more for pooling+, nearly all for maximum."""
    lines = [
        "six = digits.x_test[chosen[0]][None]",
        "spots = [(dx, dy) for dy in range(-8, 9) for dx in range(-8, 9)]",
        "dx, dy = np.array(spots).T",
        "sheets = sheet(np.repeat(six, 289, axis=0), dx=dx, dy=dy)",
        "for name in ('pooling', 'pooling+', 'maximum'):",
        "    read = training.predict(taught[name][0], sheets).argmax(1)",
        "    upside = training.predict(taught[name][0], sheet(six, angle=180)).argmax()",
        "    print(int((read == 6).sum()), int(upside))",
    ]
    found = [numbers(line) for line in chapter.run("\n".join(lines)).splitlines()]
    assert [upside for _, upside in found] == [9, 9, 9]
    pooling, plus, maximum = (right for right, _ in found)
    assert pooling < 80 < plus < maximum
    assert maximum > 250


def test_the_quiz_tells_the_truth(chapter):
    name = "04-lenet-and-invariance.toml"
    questions = tomllib.loads((QUIZZES / name).read_text())["questions"]
    right = [next(o["text"] for o in q["options"] if o.get("right")) for q in questions]
    assert right[1] == str(4 * 25 + 1)
    fields = json.loads(chapter.run("print(json.dumps(fields))"))
    assert right[2] == str(fields["c3"][0])
    assert right[3] == f"For multiples of {fields['s4'][1]}"
    at_3 = json.loads(chapter.run("print(at('shift', 3, 'pooling').tolist())"))
    assert 20 < min(at_3) <= max(at_3) < 45, "30 of 100"
    assert min(json.loads(chapter.run("print(at('shift', 3, 'maximum').tolist())"))) > 94
    at_7 = chapter.run("print(at('shift', 7, 'pooling+').tolist())")
    assert max(json.loads(at_7)) < 50, "most of them are lost"


def test_each_exercise_has_a_solution_that_ran(chapter):
    text = chapter.text()
    exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", text)
    assert 5 <= len(exercises) <= 6
    assert re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text) == exercises
    assert text.count("{solution-end}") == len(exercises)
    for name, cell in chapter.code().items():
        if name.startswith("check-") and cell["metadata"].get("tags") == ["hide-input"]:
            assert ": right" not in chapter.said(name), "nothing is answered yet"


ANSWERS = {  # the cell that checks, a right answer, wrong ones, and what of each is refused
    "count": (
        "check-count",
        "my_counts = (456, 2416, 48120, 10164, 8500)",
        "my_counts = [450, 2400, 48000, 10080, 8400]",  # without biases
        ["counts"],
    ),
    "equivariance": (
        "check-test-run",
        "my_equivariant_shifts = lambda layer, n: np.array(equivariant_shifts(layer, n))",
        "def my_equivariant_shifts(layer, length):\n"
        "    x = np.tile([1.0, 0.0], length // 2)\n"  # a row of period 2
        "    return [u for u in range(1, 9)\n"
        "            if any(np.allclose(layer(np.roll(x, u)), np.roll(layer(x), v))\n"
        "                   for v in range(length))]",
        ["stride 4", "pooling by 3", "weights for each position"],
    ),
    "equivariance, no move": (
        "check-test-run",
        "my_equivariant_shifts = equivariant_shifts",
        "def my_equivariant_shifts(layer, length):\n"
        "    x = np.random.default_rng(0).normal(size=length)\n"
        "    return [u for u in range(1, 9) if np.allclose(layer(np.roll(x, u)), layer(x))]",
        ["stride 1", "stride 2", "stride 4", "pooling by 3"],
    ),
    "field": (
        "check-field-run",
        "my_convolutions, my_rounds, my_seen = 112, 7, seen",
        "my_convolutions, my_rounds = 75, 6\n"
        "def my_seen(windows, unit):\n"
        "    r, d = 1, 1\n"
        "    for kernel, stride in windows:\n"
        "        d = stride * d\n"
        "        r = r + (kernel - 1) * d\n"  # the stride taken a layer too early
        "    return [d * unit, d * unit + r - 1]",
        ["convolutions", "rounds", "kernel 5 first", "kernel 7 first"],
    ),
    "stride": (
        "check-stride-run",
        "hides, reveals, my_blur = [1, 1, 0, 0] * 4, np.eye(16)[3], (0, 0.5, 0.5)",
        "hides, reveals, my_blur = np.eye(16)[4], [1, 1, 0, 0] * 4, [0.25, 0.5, 0.25]",
        ["change of `hides`", "change of `reveals`", "sum and change"],
    ),
}


@pytest.mark.parametrize("check, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong, refused):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(refused), lines
    for what, line in zip(refused, lines, strict=True):
        assert line.startswith(what)


def test_a_constant_row_is_no_answer(chapter):
    chapter.run("hides, reveals, my_blur = [1] * 16, None, None")
    lines = chapter.run("check-stride-run").splitlines()
    assert {line.split(": ")[1] for line in lines} == {"not answered yet"}


def test_turning_costs_most_where_digits_turn_into_one_another(chapter):
    run = "print([float((four[0] == digits.y_test)[digits.y_test == k].mean()) for k in range(10)])"
    right = np.array(json.loads(chapter.run(run)))
    assert {1, 9} <= set(right.argsort()[:3].tolist())


def test_a_guess_is_answered(chapter):
    chapter.run("guess_upright, guess_quarter = 50, 10")
    upright, quarter = chapter.run("check-open").splitlines()
    assert numbers(upright) == numbers(quarter)
