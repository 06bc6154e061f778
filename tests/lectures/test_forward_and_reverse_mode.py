"""Chapter 2: what it says holds, and its exercises take right answers and refuse wrong ones."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import torch

from course_lib import web

pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", ["02-forward-and-reverse-mode"], indirect=True),
]
QUIZZES = Path(web.__file__).parent / "quizzes"


def test_every_comparison_holds(chapter):
    said = {name: chapter.said(name) for name in chapter.code()}
    compared = [name for name, text in said.items() if "True" in text]
    assert len(compared) >= 6
    assert not [name for name, text in said.items() if re.search(r"False|\bnan\b|\binf\b", text)]


def test_the_two_tables(chapter):
    x1, x2 = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (2.0, 5.0))
    (x1 * x2 + torch.sin(x1)).backward()
    by_hand = json.loads(chapter.run("print(by_hand.tolist())"))
    assert by_hand == pytest.approx([float(x1.grad), float(x2.grad)], rel=1e-15)
    text = chapter.cells["two-tables"]["source"]
    for number in (by_hand[0], torch.cos(x1).item(), 10 + torch.sin(x1).item()):
        assert f"{number:.4f}".replace("-", "\N{MINUS SIGN}") in text
    assert "4.5839 + 2 = 6.5839" in chapter.cells["sweep-answer"]["source"]
    assert "f: 6.5839, the sum of the gradient 6.5839" in chapter.said("ones")


def test_the_tape_has_five_entries_and_five_edges(chapter):
    assert chapter.run("print(len(tape.entries), sum(map(len, tape.entries)))") == "5 5\n"


def test_mistakes_show_where_the_text_says_and_nowhere_else(chapter):
    sin, softmax = re.findall(r"off by up to (\S+)", chapter.said("ones"))
    assert float(sin) == 0 < 0.1 < float(softmax)
    random, *hidden = map(float, re.findall(r"up to (\S+)", chapter.said("transpose")))
    assert max(hidden) < 1e-15 < 0.1 < random
    assert chapter.said("overwrite") == "[5.0, 2.0]"
    gaps = [float(gap) for gap in re.findall(r"gap (\d\S*?)(?:,|\n|$)", chapter.said("dot-run"))]
    assert len(gaps) == 6
    assert max(gaps[:1] + gaps[2:]) < 1e-13 < 0.1 < gaps[1]


def test_the_text_states_what_the_claims_enforce(chapter):
    made = chapter.claims()
    bounds = {name: one["bounds"] for name, one in made.items()}
    assert len(made) >= 20
    net = bounds["operations forward over reverse"]["at_least"]
    title = " ".join(chapter.cells["title"]["source"].split())
    assert f"more than {net:g} times" in title
    turn = bounds["reverse over forward"]["at_least"]
    assert f"more than {turn:g} times" in title
    read = bounds["test digits read right"]["at_least"]
    assert f"More than {read:g} of 100" in chapter.cells["turn-text"]["source"]
    assert made["one sweep over one run of the function"]["measured"] < 6
    for one in made.values():
        assert bool(one["published"]) == bool(one["source"])


def test_counts_in_the_text(chapter):
    assert chapter.run("print(len(theta), theta.size**2)") == "2410 5808100\n"
    assert chapter.run("print(batch.nbytes)") == "16384\n"
    assert chapter.run("print(speeds.size)") == "106\n"
    won = chapter.run("print((forward_costs < reverse_costs)[[3, 6]].astype(int).tolist())")
    wins_with_8, wins_with_64 = json.loads(won)
    assert wins_with_8 == [0, 0, 0, 0, 1, 1, 1], "from 16 outputs on"
    assert not any(wins_with_64)
    crossing = chapter.run("print((forward_costs < reverse_costs)[:, 4].astype(int).tolist())")
    assert json.loads(crossing) == [1, 1, 1, 1, 0, 0, 0], "below about 8 inputs"
    orders = re.findall(r"\d\S*", chapter.said("chain-run"))
    assert orders == ["2,560", "33,792", "2,560", "5,120", "5,120", "1,088"]


def test_eight_segments_keep_least(chapter):
    peaks = json.loads(chapter.run("print([float(m[1]) for m in measured.values()])"))
    assert min(range(7), key=peaks.__getitem__) == 3
    assert "all gradients equal: True" in chapter.said("checkpoint-run")


def test_the_layer_of_the_library_can_be_differentiated_again(chapter):
    """The pair made in the chapter cannot; the text says both."""
    lines = [
        "def library_loss(x):",
        "    no_bias = np.zeros(4)",
        "    return np.mean(np.tanh(layers.conv2d(x, kernels, no_bias, padding=1)) ** 2)",
        "step = 1e-5 * x_dot",
        "ahead, behind = (autodiff.grad(library_loss)(image + s) for s in (step, -step))",
        "curved = autodiff.hvp(library_loss, image, x_dot)",
        "print(np.allclose(curved, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9))",
        "try:",
        "    autodiff.hvp(lambda x: conv_loss(x, kernels), image, x_dot)",
        "except TypeError as error:",
        "    print(error)",
    ]
    agrees, refused = chapter.run("\n".join(lines)).splitlines()
    assert agrees == "True"
    assert refused


def test_the_bold_descent_ends_lower(chapter):
    assert chapter.run("print(bool(bold[-1] < safe[-1]))") == "True\n"


def test_the_quiz_tells_the_truth(chapter):
    questions = tomllib.loads((QUIZZES / "02-forward-and-reverse-mode.toml").read_text())
    options = [question["options"] for question in questions["questions"]]
    right = [next(o for o in group if o.get("right")) for group in options]
    assert "direction (1, 1)" in right[1]["text"]
    assert "4.5839 + 2" in right[1]["why"]
    plain, segments = (
        json.loads(chapter.run(f"print(list(map(float, measure({k}, 100)[1:])))")) for k in (1, 10)
    )
    assert segments[0] / plain[0] == pytest.approx(1 / 5, abs=0.02)
    assert (plain[1], segments[1]) == (100, 190), "all but the last 10 layers run twice"


ANSWERS = {  # the cell that checks, a right answer, wrong ones, and what of each is refused
    "dual": (
        "check-dual",
        "my_quotient = quotient",
        "my_quotient = lambda a, b: Dual(a.value / b.value, a.tangent / b.tangent)",
        ["a / b", "b / a"],
    ),
    "dual, half the rule": (
        "check-dual",
        "my_quotient = quotient",
        "my_quotient = lambda a, b: Dual(a.value / b.value, a.tangent / b.value)",
        ["a / b", "b / a"],
    ),
    "tape, slope of the input": (
        "check-tape",
        "my_tanh = tanh",
        "my_tanh = lambda x: x.tape.add(np.tanh(x.value), (x.number, 1 - x.value**2))",
        ["gradient"],
    ),
    "jacobian, always rows": (
        "check-jacobian",
        "my_jacobian = jacobian",
        "my_jacobian = lambda f, x: autodiff.jacrev(f)(x)",
        ["cost, 40 x 2"],
    ),
    "jacobian, the line m = n": (
        "check-jacobian",
        "my_jacobian = jacobian",
        "def my_jacobian(f, x):\n"
        "    mode = autodiff.jacfwd if x.size < f(x).size else autodiff.jacrev\n"
        "    return mode(f)(x)",
        ["cost, 28 x 20"],
    ),
    "checkpoints": (
        "check-checkpoint",
        "my_segments, my_sets_kept, my_runs = 12, 25, 276",
        "my_segments, my_sets_kept, my_runs = 72, 12, 288",
        ["segments", "sets kept", "runs"],
    ),
    "hvp": (
        "check-hvp",
        "my_hvp = reverse_over_forward",
        "my_hvp = lambda f, x, v: autodiff.grad(f)(x) * v",
        ["logistic", "network"],
    ),
    "seeds": ("check-open-run", "my_seeds = three", "my_seeds = three[:2]", ["Jacobian"]),
    "seeds that overlap": (
        "check-open-run",
        "my_seeds = np.eye(60)",
        "my_seeds = np.ones((1, 60))",
        ["Jacobian"],
    ),
}


@pytest.mark.parametrize("check, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong, refused):
    assert [line for line in chapter.unsolved(right, check) if ":" in line] == []
    said = chapter.unsolved(wrong, check)
    assert [name for name in refused if any(line.startswith(name) for line in said)] == refused
