"""Chapter 1: what it says holds, and its exercises take right answers and refuse wrong ones."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import web

pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", ["01-derivatives-of-programs"], indirect=True),
]
QUIZZES = Path(web.__file__).parent / "quizzes"
INPUTS = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}


def numbers(text):
    """Return the numbers of a text, with real minus signs or not."""
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", text.replace("\u2212", "-"))]


def test_every_comparison_holds(chapter):
    said = {name: chapter.said(name) for name in chapter.code()}
    compared = [name for name, text in said.items() if "True" in text]
    assert len(compared) >= 6
    assert not [name for name, text in said.items() if "False" in text]
    assert [name for name, text in said.items() if re.search(r"\b(nan|inf)\b", text)] == [
        "stable",
        "quiz",
    ]


def test_the_two_tables(chapter):
    """Every number of the pencil's tables, with PyTorch in the place of the pencil."""
    x = {name: torch.tensor(v, dtype=torch.float64) for name, v in INPUTS.items()}
    x |= {name: v.requires_grad_() for name, v in x.items()}
    x["a"], x["c"] = x["w0"] * x["x0"], x["w1"] * x["x1"]
    x["d"] = x["a"] + x["c"]
    x["s"] = x["d"] + x["w2"]
    x["m"] = -x["s"]
    x["u"] = torch.exp(x["m"])
    x["v"] = 1 + x["u"]
    x["p"] = 1 / x["v"]
    for value in x.values():
        value.retain_grad()
    x["p"].backward()

    text = chapter.cells["by-hand"]["source"]
    values = re.findall(r"^\| \$(\w)\$ \|.*\| (\S+) \|$", text, re.M)
    assert [name for name, _ in values] == [*"acdsmuvp"]
    for name, printed in values:
        assert numbers(printed) == [pytest.approx(x[name].item(), abs=5e-5)], name

    rows = re.findall(r"^\| (\$\\bar.*?) \| (\S+) \| (.*?) \| (\S+) \|$", text, re.M)
    gradients = {}
    for bars, above, _, product in rows:
        for name in re.findall(r"\\bar (\w)(?:_(\d))?", bars):
            gradients["".join(name)] = numbers(product)[0]
        assert numbers(above)[0] in {1.0, *gradients.values()}, "handed back by an earlier row"
    assert set(gradients) == set(x) - {"p"}
    for name, printed in gradients.items():
        assert printed == pytest.approx(x[name].grad.item(), abs=5e-5), name
    by_hand = json.loads(chapter.run("print(by_hand.tolist())"))
    assert by_hand == [gradients[name] for name in INPUTS]


def test_the_boxed_gradients(chapter):
    digit = torch.tensor(json.loads(chapter.run("print(five.tolist())")), dtype=torch.float64)
    w = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.softplus(-(w * digit).sum()).backward()
    dw = json.loads(chapter.run("print(dw.tolist())"))
    np.testing.assert_allclose(dw, w.grad, rtol=1e-14)

    W = torch.tensor(json.loads(chapter.run("print(W_random.tolist())"))).double()
    W.requires_grad_()
    target = torch.tensor([5])
    scores = (W @ digit.ravel())[None]
    loss = 10 * torch.nn.functional.multi_margin_loss(scores, target) + 0.01 * (W**2).sum()
    loss.backward()
    run = "g = autodiff.grad(hinge_loss)(W_random, five.ravel()); print(g.tolist())"
    np.testing.assert_allclose(json.loads(chapter.run(run)), W.grad, rtol=1e-5)


def test_mistakes_show_where_the_text_says_and_nowhere_else(chapter):
    neuron, gates = chapter.said("overwrite").splitlines()
    lost, due = np.split(np.array(numbers(neuron)), 2)
    np.testing.assert_array_equal(lost, due)
    assert numbers(gates) == [-4, 6, 0, -2, 6, 0]
    assert [numbers(line) for line in chapter.said("order-run").splitlines()] == [
        [39, 3],
        [26, 2],
        [13, 13],
    ]
    lines = chapter.said("paths-run").replace(",", "").splitlines()
    for maps, edges, steps in map(numbers, lines):
        assert (edges, steps) == (6 * maps, 6 * (2**maps - 1))


def test_three_of_nine_tests_pass(chapter):
    lines = chapter.said("bugs-run").splitlines()[1:]
    rows = [numbers(line.split(maxsplit=1)[1]) for line in lines]
    passes = np.array(rows) < 1e-7
    np.testing.assert_array_equal(passes, [[0, 1, 0], [1, 0, 0], [1, 0, 0]])
    assert np.min(np.array(rows)[~passes]) > 1e-3


def test_kinks_and_the_check_of_the_library(chapter):
    assert [numbers(line)[-1] for line in chapter.said("kinks").splitlines()] == [1, 0.55, 0.5]
    complaint = chapter.said("library-check")
    got, due = (float(n) for n in re.findall(r"(?:got|give) (\S+\d)", complaint))
    assert due == pytest.approx(2 * got, rel=1e-4)


def test_the_stable_loss_is_the_one_said_to_be(chapter):
    z = torch.tensor([-800.0, 40.0], dtype=torch.float64, requires_grad=True)
    loss = torch.logaddexp(torch.zeros_like(z), -z)
    loss.sum().backward()
    lines = chapter.said("stable").splitlines()
    printed = [re.findall(r"loss\s+(\S+), slope\s+(\S+)", line)[0] for line in lines]
    assert printed[0] == printed[2] == ("inf", "nan")
    assert float(printed[1][0]) == 0
    for (value, slope), right, grad in zip(printed[4:], loss, z.grad, strict=True):
        assert float(value) == pytest.approx(right.item(), rel=0.1)
        assert float(slope) == pytest.approx(grad.item(), rel=0.1)


def test_the_text_states_what_the_claims_enforce(chapter):
    claims = chapter.claims()
    bounds = {name: one["bounds"] for name, one in claims.items()}
    assert len(claims) >= 30
    title = " ".join(chapter.cells["title"]["source"].split())
    assert f"more than {bounds['test digits right']['at_least']:g} of 100" in title
    assert "little more than two runs" in title
    assert bounds["automatic, in runs"]["at_most"] <= 2.2
    swell = bounds["nodes, 8 times the map"]["at_least"]
    assert f"More than {swell:,}" in chapter.cells["swell-plot-text"]["source"]
    paths = bounds["steps along paths, ten maps"]["at_least"]
    assert f"More than {paths:,} steps" in chapter.cells["paths-why"]["source"]
    for digits, name in [(16, "float64"), (7, "float32")]:
        half, most = (bounds[f"digits right, {way}, {name}"] for way in ("one-sided", "central"))
        assert half["at_least"] <= digits / 2 + 0.5
        assert abs(half["at_most"] - digits / 2) < 1
        assert abs(most["at_least"] - digits * 2 / 3) < 1
    for one in claims.values():
        assert bool(one["published"]) == bool(one["source"])


def test_counts_in_the_text(chapter):
    assert chapter.run("print(len(digits.x_train), len(digits.x_test), is_five.sum())") == (
        "1442 355 36\n"
    )
    assert chapter.run("print(size(p), len(places), learned.size)") == "15 385 65\n"
    assert chapter.run("print(bool((first_gradient >= 0).all()))") == "True\n"
    years = 60e6 / (365 * 24 * 3600)
    assert years == pytest.approx(2, abs=0.1), "for one step of AlexNet, at a second a run"


def test_the_pixels_to_blame_are_where_the_text_says(chapter):
    weights = np.reshape(json.loads(chapter.run("print(learned[:64].tolist())")), (8, 8))
    lowest = {tuple(divmod(int(i), 8)) for i in np.argsort(weights.ravel())[:3]}
    assert lowest == {(2, 5), (2, 4), (5, 2)}
    said = numbers(chapter.said("our-five").splitlines()[0])
    assert {(int(r), int(c)) for r, c in zip(said[::2], said[1::2], strict=True)} == lowest


def test_the_quiz_tells_the_truth(chapter):
    name = "01-derivatives-of-programs.toml"
    first, _, third, *_ = tomllib.loads((QUIZZES / name).read_text())["questions"]
    texts = [option["text"] for option in first["options"]]
    assert [o["text"] for o in first["options"] if o.get("right")] == ["39"]
    overwritten = chapter.run("print(back_overwriting(diamond_graph)[0])")
    assert {f"{float(overwritten):g}", "3", "13"} <= set(texts)
    tiny = chapter.run("print(errors(2.0**-46, np.float64)[1])")  # 1.4e-14
    assert 0.003 < float(tiny) < 0.1
    assert any(option["text"] == "One or two digits are right" for option in third["options"])


ANSWERS = {  # the cell that checks, a right answer, wrong ones, and what of each is refused
    "gates": (
        "check-gates",
        "my_bars = (1, 5, 1)",
        "my_bars = [1, 2, 1]",  # overwritten at b
        ["gradients"],
    ),
    "order": (
        "check-order-run",
        "my_order = order_of",
        "def my_order(operands, end):\n"
        "    order, waiting = [], [end]\n"
        "    while waiting:\n"
        "        order.append(waiting.pop())\n"
        "        waiting += [u for u in operands.get(order[-1], []) if u not in order]\n"
        "    return order[::-1]",
        ["diamond", "tangle"],
    ),
    "order, from the leaf": (
        "check-order-run",
        "my_order = lambda operands, end: order_of(dict(reversed(operands.items())), end)",
        "def my_order(operands, end):\n"
        "    order = [end]\n"
        "    for value in order:\n"
        "        order += [u for u in operands.get(value, []) if u not in order]\n"
        "    return order",
        ["diamond", "chain", "tangle"],
    ),
    "find": (
        "check-find-run",
        "my_find = lambda *given: int(find(*given))",
        "my_find = lambda f, gradient, theta: int(\n"
        "    np.argmax(np.abs(numerical(f, theta, 1e-5, True) - gradient(theta))))",
        ["bug at 0", "bug at 29", "bug at 64"],  # found, but with 130 runs
    ),
    "find, any place": (
        "check-find-run",
        "my_find = find",
        "my_find = lambda f, gradient, theta: 29",
        ["bug at 0", "bug at 64"],
    ),
    "stable": (
        "check-stable-run",
        "my_loss, my_loss_slope = stable_loss, lambda z: -np.exp(-np.logaddexp(0, z))",
        "my_loss, my_loss_slope = (lambda z: np.log1p(np.exp(-z))), (lambda z: sigmoid(z) - 1)",
        ["loss", "slope"],
    ),
    "stable, small numbers lost": (
        "check-stable-run",
        "my_loss, my_loss_slope = stable_loss, stable_slope",
        "my_loss = lambda z: np.maximum(-z, 0) + np.log(1 + np.exp(-np.abs(z)))\n"
        "my_loss_slope = lambda z: 1 / (1 + np.exp(-np.abs(z))) - 1",
        ["loss", "slope"],
    ),
    "sideways": (
        "check-sideways-run",
        "my_sideways, fails_for = sideways, np.abs",
        "my_sideways = lambda f, x: (f(x + 1e-8) - f(x)) / 1e-8\nfails_for = np.exp",
        ["slope of sin", "slope of log", "slope of tanh", "a function that fails"],
    ),
    "stops": (
        "check-stops",
        "guess_at_one, my_root = 0, patient_root",
        "guess_at_one, my_root = 0.5, root",
        ["guess", "slopes"],
    ),
    "stops, a tolerance": (
        "check-stops",
        "guess_at_one = 0.0\n"
        "def my_root(x):\n"
        "    y = 1.0\n"
        "    for _ in range(60):\n"
        "        y = (y + x / y) / 2\n"
        "    return y",
        "guess_at_one = 1\n"
        "def my_root(x):\n"
        "    y = 1.0\n"
        "    while abs(y * y - x) > 1e-15:\n"
        "        y = (y + x / y) / 2\n"
        "        if abs(y * y - x) < 1e-14:\n"
        "            break\n"
        "    return y",
        ["guess", "slopes"],
    ),
}


@pytest.mark.parametrize("check, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong, refused):
    assert [line for line in chapter.unsolved(right, check) if line] == []
    said = chapter.unsolved(wrong, check)
    assert [name for name in refused if any(line.startswith(name) for line in said)] == refused


def test_an_overflow_is_named(chapter):
    chapter.run("my_loss = lambda z: np.where(z > 0, np.log1p(np.exp(-z)), -z)")
    assert "np.where computes both of its sides" in chapter.run("check-stable-run")
