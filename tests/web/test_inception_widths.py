"""The widths of an inception module: counts against the paper's and PyTorch's, sliders and keys."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import web
from course_lib.models import googlenet, summary
from course_lib.models.googlenet import TABLE_1
from course_lib.web.inception import MODULES, branches

TIMES = "\N{MULTIPLICATION SIGN}"
LABELS = (
    f"1 {TIMES} 1",
    f"3 {TIMES} 3 reduce",
    f"3 {TIMES} 3",
    f"5 {TIMES} 5 reduce",
    f"5 {TIMES} 5",
    "pool projection",
)
ROWS = (f"1 {TIMES} 1", f"3 {TIMES} 3", f"5 {TIMES} 5", "pool", "module")


def slider(page, part):
    return page.get_by_role("slider", name=LABELS[part], exact=True)


def cells(page, row):
    """What the table says of a branch, or of the module: maps, weights, operations, share."""
    return page.locator(".stage tbody tr").nth(ROWS.index(row)).locator("td").all_inner_texts()


def counts(page):
    """Maps and weights of the four branches and the module, as numbers."""
    texts = (cells(page, row)[:2] for row in ROWS)
    return [tuple(int(text.replace(",", "")) for text in pair) for pair in texts]


def twins(C, widths):
    """The four branches in PyTorch, without biases."""
    one, reduce3, three, reduce5, five, project = widths

    def conv(inputs, outputs, kernel):
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def stack(reduce, outputs, kernel):
        first = [conv(C, reduce, 1)] if reduce else []
        return nn.Sequential(*first, conv(reduce or C, outputs, kernel))

    pool = nn.MaxPool2d(3, stride=1, padding=1)
    last = nn.Sequential(pool, *([conv(C, project, 1)] if project else []))
    return [conv(C, one, 1), stack(reduce3, three, 3), stack(reduce5, five, 5), last]


def counted(C, widths):
    """Maps and weights of the twins' branches and of all together."""
    found = []
    for branch in twins(C, widths):
        y = branch.to("meta")(torch.zeros(1, C, 7, 7, device="meta"))
        assert y.shape[2:] == (7, 7)
        found.append((y.shape[1], sum(p.numel() for p in branch.parameters())))
    return [*found, tuple(map(sum, zip(*found, strict=True)))]


def test_the_example_of_module_3a(show):
    page = show(web.inception_widths())
    assert page.locator(".explanation").inner_text() == (
        f"Every weight works at 28 {TIMES} 28 = 784 places. The 5 {TIMES} 5 branch has 15,872 "
        "weights, not 153,600, and 12.4M multiply-accumulates, not 120M: 9.7 times fewer. The "
        "whole module has 2.4 times fewer."
    )
    assert cells(page, ROWS[2]) == ["32", "15,872", "12.4M", "10 % of 154K"]
    assert cells(page, "pool") == ["32", "6,144", "4.82M", "it has none"]
    page.get_by_label("naive").check()
    assert cells(page, ROWS[2]) == ["32", "153,600", "120M", "100 % of 154K"]
    assert cells(page, "module")[0] == "416"


def test_all_modules_of_the_paper(show):
    page = show(web.inception_widths())
    outputs = {}
    for name, (C, _, widths) in MODULES.items():
        page.get_by_label("module", exact=True).select_option(name)
        assert counts(page) == counted(C, widths)
        outputs[name] = counts(page)[-1][0]
        page.get_by_label("naive").check()
        naive = (widths[0], 0, widths[2], 0, widths[4], 0)
        assert counts(page) == counted(C, naive)
        page.get_by_label("with reductions").check()
        assert counts(page) == counted(C, widths)
    assert list(outputs.values()) == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert {C for C, _, _ in MODULES.values()} <= {192, *outputs.values()}


def test_modules_are_those_of_the_model():
    assert {name: widths for name, (_, _, widths) in MODULES.items()} == TABLE_1
    found = summary(googlenet(auxiliary=False), (3, 224, 224))
    for name, (C, size, widths) in MODULES.items():
        rows = [row for row in found.rows if f"inception{name}." in row.name]
        weights = sum(b.weights for b in branches(C, widths))
        assert sum(row.weights for row in rows) == weights
        assert sum(row.macs for row in rows) == weights * size**2


def test_random_widths(rng):
    for _ in range(20):
        C, *widths = map(int, rng.integers(1, 20, 7))
        for part in (1, 3, 5):
            widths[part] *= int(rng.integers(0, 2))
        plain = [(b.maps, b.weights) for b in branches(C, widths)]
        assert plain == counted(C, widths)[:4]


def test_sliders(show, spoken):
    page = show(web.inception_widths())
    widths = list(MODULES["3a"][2])
    for part, value in [(0, 8), (1, 40), (2, 192), (3, 0), (4, 64), (5, 0)]:
        slider(page, part).fill(str(value))
        widths[part] = value
        assert counts(page) == counted(192, widths)
        words = f"{value} maps" if value else "left out"
        assert spoken(page).startswith(f"{LABELS[part]}: {words}. The module: ")
        assert slider(page, part).get_attribute("aria-valuetext") == words


def test_keys(show):
    page = show(web.inception_widths())
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the first slider, in steps of the paper's widths
    assert slider(page, 0).input_value() == "72"
    page.keyboard.press("Home")
    assert slider(page, 0).input_value() == "8"
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert slider(page, 1).input_value() == "0"
    assert counts(page) == counted(192, (8, 0, 128, 16, 32, 32))


def test_reductions_come_back_as_they_were(show, spoken):
    page = show(web.inception_widths())
    slider(page, 1).fill("40")
    page.get_by_label("naive").check()
    assert spoken(page).startswith("Without reductions. The module: 416 maps, 387,072 weights, ")
    assert [slider(page, part).input_value() for part in (1, 3, 5)] == ["0", "0", "0"]
    page.get_by_label("with reductions").check()
    assert [slider(page, part).input_value() for part in (1, 3, 5)] == ["40", "16", "32"]
    for part in (1, 3, 5):
        slider(page, part).fill("0")
    assert page.get_by_label("naive").is_checked()
    page.get_by_role("button", name="Reset").click()
    assert page.get_by_label("with reductions").is_checked()
    assert counts(page) == counted(192, MODULES["3a"][2])


def test_another_module_stays_naive(show):
    page = show(web.inception_widths())
    page.get_by_label("naive").check()
    page.get_by_label("module", exact=True).select_option("4a")
    assert counts(page) == counted(480, (192, 0, 208, 0, 48, 0))


def test_bands_are_as_broad_as_there_are_maps(show):
    page = show(web.inception_widths())
    inputs, outputs, between = (
        [breadths(path) for path in page.locator(f".band.{role}").all()]
        for role in ("input", "prediction", "between")
    )
    unit = inputs[0][0] / 192
    assert all(np.allclose(ends[:2], 192 * unit) for ends in inputs)
    np.testing.assert_allclose([ends[0] for ends in outputs], unit * np.array([64, 128, 32, 32]))
    np.testing.assert_allclose([ends[0] for ends in between], unit * np.array([96, 16]))
    edges = [ends[2:] for ends in outputs]  # at the bottom they lie side by side
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(edges))


def breadths(path):
    """Breadth of a band above and below, and its edges below."""
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get_attribute("d"))]
    left, right_top = numbers[0], numbers[13]
    lower_left, lower_right = numbers[6], numbers[8]
    return right_top - left, lower_right - lower_left, lower_left, lower_right


WIDE_LETTERS = "<style>body { letter-spacing: 0.06em }</style>"  # as in a broad font


@pytest.mark.parametrize("width", [390, 752])
def test_a_broad_font_has_room(show, width):
    figure = web.inception_widths(*MODULES["5b"])
    page = show(body=WIDE_LETTERS + figure._repr_html_(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.locator(".box").evaluate_all(
        "boxes => boxes.map(box => [box.scrollWidth, box.clientWidth])"
    )
    assert all(needed <= there for needed, there in boxes)


def test_the_drawing_is_told(show):
    page = show(web.inception_widths())
    assert page.locator(".module").get_attribute("aria-label") == (
        f"192 maps go into four branches: 1 {TIMES} 1 to 64 maps; 1 {TIMES} 1 to 96 maps, then "
        f"3 {TIMES} 3 to 128 maps; 1 {TIMES} 1 to 16 maps, then 5 {TIMES} 5 to 32 maps; "
        f"3 {TIMES} 3 max pooling, then 1 {TIMES} 1 to 32 maps. Side by side they are 256 maps."
    )
    boxes = page.locator(".box")
    assert boxes.count() == 7
    assert "12.8K weights" in boxes.all_inner_texts()[4]
    page.get_by_label("naive").check()
    assert boxes.count() == 4


def test_a_module_of_one_s_own(show):
    page = show(web.inception_widths(5, 9, [1, 2, 3, 0, 5, 7]))
    assert page.get_by_label("module", exact=True).input_value() == "own"
    assert counts(page) == counted(5, (1, 2, 3, 0, 5, 7))
    slider(page, 0).press("ArrowRight")
    assert counts(page) == counted(5, (2, 2, 3, 0, 5, 7))
    page.get_by_label("module", exact=True).select_option("5b")
    assert counts(page) == counted(832, MODULES["5b"][2])


def test_a_reduction_that_does_not_pay(show):
    page = show(web.inception_widths(8, 4, (1, 64, 8, 64, 8, 8)))
    text = page.locator(".explanation").inner_text()
    assert "No branch saves weights. The whole module has 8.5 times as many." in text


def test_the_static_form():
    text = repr(web.inception_widths())
    assert text.splitlines()[0].endswith(
        "256 maps and 163,328 weights, where the naive module has 387,072."
    )
    assert "5x5  32  15,872  12,443,648  153,600" in text
    assert "3x3  128  129,024  101,154,816  221,184" in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0,), "`in_channels` is 0, expected a whole number from 1 to 1024"),
        ((192, 2.5), "`size` is 2.5, expected a whole number from 1 to 512"),
        ((192, 28, 64), r"`widths` is \(64,\), expected six numbers: 1x1, 3x3 reduce, 3x3, "),
        ((192, 28, (1, 2)), r"`widths` is \(1, 2\), expected six numbers"),
        (
            (192, 28, (64, 96, 0, 16, 32, 32)),
            "`widths` of the 3x3, `3x3` is 0, expected a whole number from 1 to 1024",
        ),
        ((192, 28, (64, -1, 9, 16, 32, 32)), "is -1, expected a whole number from 0 to 1024"),
    ],
)
def test_says_what_is_wrong(arguments, message):
    with pytest.raises(
        ValueError, match=f"inception_widths: {message}|inception_widths: .*{message}"
    ):
        web.inception_widths(*arguments)
