"""Chapter 5: its numbers are those of PyTorch's layers and of the papers, and its checks tell."""

import re
import tomllib
from pathlib import Path

import pytest
import torch

from course_lib import web

NAME = "05-alexnet-zfnet-vgg"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]
QUIZ = Path(web.__file__).parent / "quizzes" / f"{NAME}.toml"


def test_every_comparison_holds(chapter):
    said = [chapter.said(name) for name in chapter.code()]
    assert sum(text.count("True") for text in said) >= 8


def test_the_pencil_agrees_with_pytorch(chapter):
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3, stride=2),
        torch.nn.MaxPool2d(2, stride=1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 10),
    )
    x, outputs = torch.zeros(1, 3, 7, 7), []
    for layer in layers:
        x = layer(x)
        outputs.append(x.numel())
    parameters = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    del outputs[2], parameters[2]
    assert chapter.run("print(hand_values, hand_parameters)") == f"{outputs} {parameters}\n"


@pytest.mark.parametrize("side", [223, 224, 227, 231])
def test_places_are_pytorchs(chapter, side):
    conv = torch.nn.Conv2d(3, 1, 11, stride=4)
    places = conv(torch.zeros(1, 3, side, side)).shape[-1]
    code = f'print(count(3, {side}, [conv("conv1", 96, 11, s=4)])[0].side)'
    assert chapter.run(code) == f"{places}\n"


def test_no_row_of_the_slides_is_wrong(chapter):
    for name, rows in (("alexnet-shapes", 11), ("vgg-rows", 21)):
        verdicts = re.findall(r"(right|wrong)$", chapter.said(name), re.M)
        assert verdicts == ["right"] * rows


def test_the_comparison_with_a_slide_can_fail(chapter):
    code = "print(close('3.2M', 3_211_264), close('3.2M', 3_500_000), close('1728', 1729))"
    assert chapter.run(code) == "True False False\n"


def test_the_audit_says_what_the_claims_enforce(chapter):
    audit = chapter.cells["audit-text"]["source"]
    claims = chapter.claims()
    for quantity, printed in {
        "AlexNet, parameters": "60,965,224",
        "AlexNet, outputs of conv1": "290,400",
        "AlexNet, weights of conv1": "34,848",
        "VGG-16, sum of the memory column": "15,237,608",
    }.items():
        assert f"{claims[quantity]['bounds']['equals']:,}" == printed
    assert "60,965,224" in audit
    assert "290,400" in audit
    assert "15.2M, 61 MB" in audit
    assert claims["VGG-16, in float32, bytes"]["bounds"]["equals"] / 1e6 == pytest.approx(61, 2e-3)
    assert claims["ZFNet, parameters"]["bounds"]["equals"] / 1e6 == pytest.approx(62.4, 1e-3)
    assert claims["gain in error, points"]["bounds"]["at_least"] >= 2
    for one in claims.values():
        assert bool(one["published"]) == bool(one["source"])


def test_counts_in_the_text(chapter):
    assert chapter.run("print(55 * 48 * 96, len(x), len(y_test))") == "253440 300 710\n"
    assert (
        chapter.run("print(summary(models.alexnet_small(), (1, 32, 32)).parameters)") == "160618\n"
    )
    assert "160,618" in chapter.cells["train-text"]["source"]
    table2 = re.findall(r"(\d+) M parameters", chapter.said("depth"))
    assert table2 == ["133", "133", "138", "144"], "Simonyan & Zisserman, table 2"
    tanh, relu = re.findall(r"from 4 in (\d+) steps, from -1 in (\d+)", chapter.said("saturated"))
    assert int(tanh[0]) > 1000 > 100 > int(tanh[1])
    assert int(relu[0]) < 20
    assert relu[1] == "10000"
    ways = "[7, 21, 42, 49, 42, 21, 7]"
    assert f"{ways}\nmiddle 49 and corner 1" in chapter.said("view-why")


def test_the_editor_gives_the_answers_of_the_text(chapter):
    """With 224 pixels 54, 26, 12, 5; 55 with padding 2; one more pooling leaves 54 million."""
    code = "print([row.side for row in count(3, 224, alexnet_layers(2)) if row.side > 1])"
    assert chapter.run(code) == "[54, 26, 26, 12, 12, 12, 12, 5]\n"
    code = "print([count(3, 224, [conv('c', 96, 11, s=4, p=p)])[0].side for p in (1, 2)])"
    assert chapter.run(code) == "[54, 55]\n"
    code = (
        "layers = vgg_layers(2, 2, 3, 3, 3)\n"
        "layers.insert(-3, pool('pool6', 2, 2))\n"
        "print(round(parameters(count(3, 224, layers)) / 1e6), round(parameters(slim) / 1e6))"
    )
    assert chapter.run(code) == "54 38\n"


def test_a_stack_without_relu_is_one_window(chapter):
    linear, bent = re.findall(r"off by up to (\S+)", chapter.said("linear"))
    assert float(linear) < 1e-10 < 1 < float(bent)


ANSWERS = {  # the cell that checks, a right answer, wrong ones, and what of each is refused
    "sizes": (
        "check-sizes",
        "my_sizes = sizes",
        "my_sizes = lambda out, K, s=1, p=0: [s * (out - 1) + K - 2 * p]",
        ["AlexNet's conv1", "ZFNet's pool1", "a pool that tiles"],
    ),
    "slide, as it was": (
        "check-slide-run",
        "my_sides, my_weights = [64, 32, 32, 15, 1], [2_400, 0, 9_216, 0, 1_440_000]\n"
        "my_views = [5, 6, 10, 14]",
        "my_sides, my_weights = [64, 32, 32, 16, 1], [2_400, 0, 18_432, 0, 1_638_400]\n"
        "my_views = [5, 6, 8, 14]",
        ["sides", "weights", "views"],
    ),
    "top, the smallest scores": (
        "check-top",
        "my_top_error, my_blind_thousand, my_blind_ten = top_error, 0.995, 0.5",
        "my_top_error = lambda scores, labels, m: top_error(-scores, labels, m)\n"
        "my_blind_thousand, my_blind_ten = 0.005, 0.05",
        ["80 of 10, m = 1", "80 of 10, m = 3", "80 of 1000, m = 5", "blind, 1,000", "blind, 10"],
    ),
    "grouped, interleaved": (
        "check-grouped",
        "my_grouped = grouped",
        "def my_grouped(images, filters, groups):\n"
        "    y = grouped(images, filters, groups)\n"
        "    N, F, H, W = y.shape\n"
        "    return y.reshape(N, groups, F // groups, H, W).transpose(1, 2).reshape(y.shape)",
        ["2 groups", "3 groups", "6 groups"],
    ),
    "ensemble, always the mean": (
        "check-ensemble",
        "my_winners, my_combined = [0, 2, 1], combined",
        "my_winners = [2, 2, 2]\n"
        "my_combined = lambda P: np.stack([P.mean(axis=0).argmax(axis=1)] * 3)",
        ["winners", "the table", "five networks"],
    ),
}


@pytest.mark.parametrize("check, right, wrong, refused", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong, refused):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(refused), lines
    for line, what in zip(lines, refused, strict=True):
        assert line.startswith(what)


def test_a_network_beyond_the_budget_is_told_so(chapter):
    chapter.run(
        "my_network = nn.Sequential(nn.Flatten(), nn.Linear(1024, 20), nn.Linear(20, 10))\n"
        "judge = lambda network: (sum(w.numel() for w in network.parameters()), 50.0)"
    )
    assert chapter.run("check-open-run").startswith("20,710 parameters, beyond the budget")


def test_the_quiz_tells_the_truth(chapter):
    questions = tomllib.loads(QUIZ.read_text())["questions"]
    right = [next(o for o in q["options"] if o.get("right"))["text"] for q in questions]
    one = torch.nn.Conv2d(3, 10, 5, padding=2)
    assert right[0] == str(sum(p.numel() for p in one.parameters()))
    pooled = torch.nn.MaxPool2d(3, stride=2)(torch.zeros(1, 1, 13, 13))
    assert right[1] == f"{pooled.shape[2]} x {pooled.shape[3]}"
    layers = 'conv("a", 1, 3), conv("b", 1, 3), pool("c", 2, 2), conv("d", 1, 3)'
    assert chapter.run(f"print(count(1, 32, [{layers}])[-1].sees)") == f"{right[2]}\n"
    assert "42 %" in right[3]
    assert chapter.run("print(round(float(spread(22, 710)), 1))") == "1.6\n"
