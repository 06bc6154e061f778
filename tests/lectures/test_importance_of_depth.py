"""Chapter 8: its numbers are those of PyTorch and of the recording, and its checks tell."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import web
from course_lib.data import load_recording

NAME = "08-importance-of-depth"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]
QUIZ = Path(web.__file__).parent / "quizzes" / f"{NAME}.toml"


def test_the_pencil_agrees_with_pytorch(chapter):
    x = torch.tensor([[1.0], [3.0], [3.0], [9.0]], dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-12)
    (dx,) = torch.autograd.grad(y[0, 0] * 4, x)
    assert np.allclose(dx.ravel(), [2 / 3, -4 / 9, -4 / 9, 2 / 9])
    assert chapter.run("print(np.allclose(dx_by_hand.ravel(), [2/3, -4/9, -4/9, 2/9]))") == "True\n"
    assert "[ 7 -1  1 -7] 25.0 12.5" in chapter.said("hand")


def test_nothing_arrives(chapter):
    lines = chapter.said("fifty").splitlines()
    assert re.findall(r"(\d+)% zeros", lines[0]) == ["100"]
    assert re.findall(r"(\d+)% not finite", lines[1]) == ["100"]


def test_published_figures_have_a_source(chapter):
    claims = chapter.claims()
    assert claims["only BN at its best"]["published"] == 14
    assert claims["both at rate 0.03"]["published"] == pytest.approx(31.0 / 13.3, rel=0.02)
    for one in claims.values():
        assert (one["published"] is None) == (one["source"] is None)


def test_the_recorded_figures_are_the_recordings(chapter):
    runs = load_recording("normalisation")["runs"]
    alt = chapter.cells["recorded-plot"]["metadata"]["mystnb"]["image"]["alt"]
    counts, best = [], []
    for normalised in (False, True):
        for depth in (2, 5, 10, 20):
            errors = {}
            for run in runs:
                if (run["depth"], run["normalised"]) == (depth, normalised):
                    errors.setdefault((run["gain"], run["rate"]), []).append(run["error"])
            medians = [np.median(three) for three in errors.values()]
            counts.append(sum(error < 10 for error in medians))
            best.append(min(medians))
    assert [int(n) for n in re.findall(r"\d+", alt)][4:] == counts
    assert f"reached {best[6]} % error, our twenty {best[7]} %" in chapter.cells["next"]["source"]


ANSWERS = {  # the cells that check, a right answer, a wrong one, and what of it is refused
    "gains": (
        ["check-leaky"],
        "my_gains = gains",
        "my_gains = [1, 1, 1]",
        ["gains"],
    ),
    "batch norm, a mean over images only": (
        ["check-bn"],
        "my_bn_back = bn_back_maps",
        "def my_bn_back(dy, x_hat, gamma, std):\n"
        "    dx, dgamma, dbeta = bn_back_maps(dy, x_hat, gamma, std)\n"
        "    return (gamma / std)[:, None, None] * dy, dgamma, dbeta",
        ["dx"],
    ),
    "running, reversed": (
        ["check-running-run"],
        "my_running, my_blind_momentum = running, 0.5",
        "my_running = lambda batches, momentum: running(batches, 1 - momentum)\n"
        "my_blind_momentum = 0.1",
        ["mean, momentum 0.1", "variance, momentum 0.1", "blind"],
    ),
    "fold, no bias": (
        ["check-fold-run"],
        "my_fold, my_padding_works = fold_before, False",
        "def my_fold(*given):\n"
        "    weight, bias = fold_before(*given)\n"
        "    return weight, 0 * bias\n"
        "my_padding_works = True",
        ["outputs", "padding"],
    ),
    "newton, signs": (
        ["check-newton"],
        "my_a, my_b, my_c = [2, 0], [0, 0], [2 / 3, 2]",
        "my_a, my_b, my_c = [0, 0], [2, 2], [0.8, 1.2]",
        ["a", "b", "c"],
    ),
}


@pytest.mark.parametrize("checks, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, checks, right, wrong, refused):
    assert chapter.unsolved(right, *checks) == []
    lines = chapter.unsolved(wrong, *checks)
    assert len(lines) == len(refused), lines
    for line, what in zip(lines, refused, strict=True):
        assert line.startswith(what)


def test_a_recipe_is_cooked(chapter):
    chapter.run('my_recipe = recipe | {"orthogonal": True}')
    assert re.match(r"recipe: \d\d\.\d % read right", chapter.run("check-open-run"))


def test_the_quiz_tells_the_truth(chapter):
    questions = tomllib.loads(QUIZ.read_text())["questions"]
    right = [next(o for o in q["options"] if o.get("right"))["text"] for q in questions]
    assert right[0] == "2/100"
    assert len(right) == 6
