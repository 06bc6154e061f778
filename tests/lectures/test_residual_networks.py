"""Chapter 9: its gradients are PyTorch's, its counts the papers', and its checks tell."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import models, web
from course_lib.data import load_recording

NAME = "09-residual-networks"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]
QUIZ = Path(web.__file__).parent / "quizzes" / f"{NAME}.toml"


def test_the_pencil_agrees_with_pytorch(chapter):
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    first, second = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([[1.0, 3.0], [-1.0, 2.0]])
    y = (x + (x @ first.T).relu() @ second.T).relu()
    (dx,) = torch.autograd.grad((y * torch.tensor([[1.0, 2.0]])).sum(), x)
    assert y.tolist() == [[4.0, 0.0]]
    assert chapter.run("print(dx_by_hand.tolist())") == f"{dx.tolist()}\n"
    assert "(True, True)" in chapter.said("hand-check")


def test_one_number_by_hand(chapter):
    x, w1, w2 = (torch.tensor(v, requires_grad=True) for v in (2.0, 0.5, -1.0))
    y = (x + w2 * (w1 * x).relu()).relu()
    gradients = torch.autograd.grad(4 * y, (x, w1, w2))
    assert [y.item(), *(g.item() for g in gradients)] == [1.0, 2.0, -8.0, 4.0]
    text = chapter.cells["stay-why"]["source"]
    for printed in (
        r"\bar x = 4 + (-2) = 2",
        r"\bar w_2 = 4 \cdot h = 4",
        r"\bar w_1 = -4 \cdot 2 = -8",
    ):
        assert printed in text


def test_block_back_is_pytorchs_on_random_rows(chapter):
    code = (
        "a, b, c, d = (rng.normal(size=s) for s in ((6, 5), (3, 5), (5, 3), (6, 5)))\n"
        "A, B, C = (torch.tensor(v, requires_grad=True) for v in (a, b, c))\n"
        "out = (A + (A @ B.T).relu() @ C.T).relu()\n"
        "right = torch.autograd.grad((out * torch.tensor(d)).sum(), (A, B, C))\n"
        "print(max(np.abs(g - r.numpy()).max() for g, r in zip(block_back(d, a, b, c), right)))"
    )
    assert float(chapter.run(code)) < 1e-12


def test_the_mistake_shows_in_dx_alone_and_hides_twice(chapter):
    numbers = re.findall(r"dx off by (\S+), dW1 (\S+), dW2 (\S+)", chapter.said("forget"))
    assert numbers == [("1", "0", "0"), ("0", "0", "0"), ("0", "0", "0")]


def test_the_constructed_network_is_the_shallow_one(chapter):
    said = chapter.said("construct-run").splitlines()
    assert said[0] == "True"
    errors = [float(re.search(r"([\d.]+) %", line)[1]) for line in said[1:]]
    assert errors[0] == errors[1] < 1
    assert errors[2] > 85


def test_small_steps_keep_the_solution_and_large_ones_lose_it(chapter):
    small, large = re.findall(r"error ([\d.]+) %", chapter.said("stay"))
    assert float(small) < 2 < 50 < float(large)


def test_paths_are_counted_by_binomials(chapter):
    assert chapter.said("paths") == "True [ 1  5 10 10  5  1]\n"


def test_what_the_text_says_of_the_recording(chapter):
    runs = load_recording("residual")["runs"]
    assert len(runs) == 60
    assert "all 60 recorded runs" in chapter.text()

    def ends(*setting):
        keys = "layers", "kind", "norm"
        return [r["errors"][-1] for r in runs if tuple(r[k] for k in keys) == setting]

    worst = {n: max(ends(n, "plain", "batch norm")) for n in (8, 20, 32, 56)}
    assert worst[8] < worst[20] < worst[32] < worst[56]
    low = [
        (kind, norm)
        for kind, norm in sorted({(r["kind"], r["norm"]) for r in runs})
        if None not in (e := ends(56, kind, norm)) and np.median(e) < 1
    ]
    assert low == [("residual", "batch norm"), ("residual", "zero start")]
    assert max(ends(20, "residual", "none")) == 0
    assert max(ends(32, "residual", "none")) > 85
    assert 0.1 < np.median(ends(8, "residual", "zero start")) < 0.6
    assert None in ends(56, "residual", "none")


def test_published_figures_have_a_source(chapter):
    claims = chapter.claims()
    assert [claims[f"{n} layers"]["published"] for n in (18, 34, 50, 101, 152)] == [
        1.8, 3.6, 3.8, 7.6, 11.3,
    ]  # fmt: skip
    assert [claims[f"CIFAR, {n}"]["published"] for n in (20, 32, 44, 56, 110)] == [
        0.27, 0.46, 0.66, 0.85, 1.7,
    ]  # fmt: skip
    for one in claims.values():
        assert (one["published"] is None) == (one["source"] is None)


def test_parameters_of_shortcut_b(chapter):
    more = [
        sum(w.numel() for w in models.resnet.BasicBlock(c, 2 * c, stride=2).shortcut.parameters())
        for c in (64, 128, 256)
    ]
    assert sum(more) == chapter.claims()["34 layers, B over A"]["bounds"]["equals"]
    assert more[0] == 8448


def test_weight_decay_halves_a_weight_in_so_many_steps(chapter):
    weight = torch.nn.Parameter(torch.ones(1))
    how = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    optimizer, steps = torch.optim.SGD([weight], **how), 0
    weight.grad = torch.zeros(1)
    while weight.item() > 0.5:
        optimizer.step()
        steps += 1
    assert steps == pytest.approx(chapter.claims()["paper"]["measured"], rel=0.01)


ANSWERS = {  # the cell that checks, a right answer, a wrong one, and what of it is refused
    "preact, mask on the shortcut": (
        "check-preact-run",
        "my_preact_back = preact_back",
        "def my_preact_back(dy, x, W1, W2):\n"
        "    dx, dW1, dW2 = preact_back(dy, x, W1, W2)\n"
        "    return dx - dy * (x <= 0), dW1, dW2",
        ["dx"],
    ),
    "preact, no shortcut": (
        "check-preact-run",
        "my_preact_back = preact_back",
        "def my_preact_back(dy, x, W1, W2):\n"
        "    dx, dW1, dW2 = preact_back(dy, x, W1, W2)\n"
        "    return dx - dy, dW1, dW2",
        ["dx"],
    ),
    "shortcuts, spread evenly": (
        "check-shortcuts",
        "my_a_back, my_b_parameters = a_back, 8448",
        "my_a_back = lambda dy, shape: np.repeat(np.repeat("
        "dy[:, :shape[1]], 2, 2), 2, 3)[:, :, :shape[2], :shape[3]]\n"
        "my_b_parameters = 8192",
        ["A, dx", "B"],
    ),
    "bottleneck, places of the input": (
        "check-bottleneck",
        "my_stride_first, my_stride_middle = stride_first, stride_middle",
        "my_stride_first, my_stride_middle = stride_middle, 4 * stride_first",
        ["stride in the first", "stride in the middle"],
    ),
    "zero, all learn": (
        "check-zero",
        "my_six = [0, 0, 0, 0, 1, 1]",
        "my_six = [1, 1, 1, 1, 1, 1]",
        ["the six"],
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
    chapter.run("guess_two, guess_four = 10, 50")
    said = chapter.run("check-open-run")
    two, four = (float(number) for number in re.findall(r"removed: ([\d.]+) %", said))
    assert two < four


def test_the_quiz_tells_the_truth(chapter):
    questions = tomllib.loads(QUIZ.read_text())["questions"]
    right = [next(o for o in q["options"] if o.get("right"))["text"] for q in questions]
    x = torch.tensor(0.0, requires_grad=True)
    (dx,) = torch.autograd.grad(4 * (x - 0.5 * x), x)
    assert right[2] == f"{dx.item():.0f}"
    assert right[4] == str(2**10)
    neck, pair = models.resnet.Bottleneck(512, 128), models.resnet.BasicBlock(512, 512)
    count = [sum(w.numel() for w in p.parameters() if w.ndim == 4) for p in (pair, neck)]
    assert right[5] == f"About {count[0] / count[1]:.0f}"
