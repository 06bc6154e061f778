"""What all figures share: a snippet that is complete, safe and polite to the page around it."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib import web
from course_lib.autodiff import trace
from course_lib.palette import ROLES
from course_lib.web.figure import ELEMENTS

X, K, DY = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [2, -1]], [[1, 2], [3, 4]]
GRAPH = trace(lambda x1, x2: x1 * x2 + np.sin(x1), 2.0, 5.0)
COUNTS = {"inputs": [1, 4], "outputs": [1, 2], "forward": [[3, 3], [9, 9]]}
COUNTS["reverse"] = [[3, 6], [5, 10]]
READS_ONE = [{"kind": "linear", "weight": np.zeros((2, 64)), "bias": [0, np.log(3)]}]
TRUTH = np.eye(4, dtype=int)[None]
LENET_SIZED = [
    {"kind": "conv2d", "weight": np.ones((16, 1, 19, 19)), "bias": np.zeros(16)},
    {"kind": "conv2d", "weight": np.ones((120, 16, 14, 14)), "bias": np.zeros(120)},
    {"kind": "linear", "weight": np.ones((10, 120)), "bias": np.zeros(10)},
]
RECORDED = {"curve": "loss", "curve_name": "loss", "finals": {"error": None}}
OBJECTS = {"boxes": [[10, 10, 30, 30], [40, 40, 60, 60]], "labels": [0, 1]}
FOUND = OBJECTS | {"boxes": [[10, 10, 30, 30], [11, 10, 30, 30]], "labels": [0, 0]}
FOUND |= {"scores": [0.9, 0.8]}
FIRST = {"parent": 0, "tokens": [0], "log_probability": -0.5, "finished": False, "kept": True}
LAST = FIRST | {"tokens": [0, 0], "log_probability": -1.5}
OTHER = FIRST | {"tokens": [1], "log_probability": -1.0, "finished": True}
OTHERS = OTHER | {"parent": 1}
FIGURES = {
    "explorer": web.convolution_explorer(X, K, dy=DY),
    "stepper": web.backward_stepper(X, K, DY),
    "quiz": web.quiz("03-backprop-convolution"),
    "pass": web.backward_pass({"product and sine": GRAPH}),
    "sweep": web.sweep(GRAPH),
    "cost": web.cost_map(COUNTS),
    "step": web.step_size(np.sin, np.cos, 1.0, label="sin x"),
    "digit": web.moving_digit(READS_ONE, np.eye(8)[None], [1], size=8, reach=1),
    "segmentation": web.segmentation_explorer(
        np.eye(4)[None], TRUTH, {(2, False): TRUTH, (2, True): 0 * TRUTH}, names=["nothing", "ink"]
    ),
    "architecture": web.architecture_editor(),
    "inception": web.inception_widths(),
    "signal": web.signal_through_layers(depth=20),
    "recorded": web.recorded_runs(
        [
            {"depth": d, "rate": r, "seed": 0, "loss": [3, 1, d * r]}
            for d in (2, 9)
            for r in (0.1, 0.5)
        ],
        {"depth": "layers", "rate": "rate"},
        **RECORDED,
    ),
    "overlap": web.overlap_and_distance(size=(60, 90)),
    "window": web.window_and_box(
        np.eye(60), [[0.25, 0.75]], [[[1, 2, 30, 40], [3, 4, 32, 42]]], window=50, stride=10
    ),
    "scales": web.scales_and_offsets(),
    "thresholds": web.thresholds_and_curve([np.eye(64)], [FOUND], [OBJECTS]),
    "roi": web.roi_bins(np.eye(6), [[1, 1, 4, 4], [2, 2, 6, 6]], spatial_scale=1),
    "anchors": web.anchors_and_labels(
        np.eye(64), [[10, 8, 30, 40]], stride=8, sizes=(16, 32), ratios=(1, 2)
    ),
    "beam": web.beam_search({1: [[FIRST], [LAST]], 2: [[FIRST, OTHER], [OTHERS, LAST]]}, "ab"),
    "attention": web.caption_attention(
        [np.eye(8)], ["a two"], [np.full((2, 2, 2), 0.25)], boxes=[[[0, 0, 4, 6]]]
    ),
    "unrolled": web.unrolled_net([1, -0.5], weight_h=0.5),
}
WIDE = trace(lambda *x: np.sin(sum(x)) * sum(x), *np.arange(9.0))
SIZES = [2**n for n in range(8)]
MILLIONS = np.full((8, 8), 10**7)
LARGEST = FIGURES | {
    "explorer": web.convolution_explorer(np.full((8, 8), -8), np.ones((4, 4)), padding=2),
    "stepper": web.backward_stepper(
        np.full((8, 8), -8), np.ones((4, 4)), np.ones((9, 9)), padding=2
    ),
    "pass": web.backward_pass({"nine inputs": WIDE}),
    "sweep": web.sweep(WIDE),
    "cost": web.cost_map(
        {"inputs": SIZES, "outputs": SIZES, "forward": MILLIONS, "reverse": MILLIONS}
    ),
    "digit": web.moving_digit(
        {"a network with a long name": LENET_SIZED, "another one, longer": LENET_SIZED},
        np.ones((12, 8, 8)),
        [8] * 12,
    ),
    "segmentation": web.segmentation_explorer(
        np.ones((12, 3, 64, 128)),
        np.arange(12 * 64 * 128).reshape(12, 64, 128) % 32,
        {(s, k): np.ones((12, 64, 128), int) for s in (32, 16, 8, 4, 2) for k in (False, True)},
        names=["background", *(f"a class, number {k}" for k in range(31))],
    ),
    "architecture": web.architecture_editor("vgg19", measure="operations"),
    "inception": web.inception_widths(1024, 512, [1024] * 6),
    "signal": web.signal_through_layers(gain=0.1, backward=True, activation="sigmoid"),
    "recorded": web.recorded_runs(
        [
            {"a": a, "b": b, "c": c, "seed": 0, "loss": [12345.6, c or None], "end": 0.0012345}
            for a in range(12)
            for b in range(12)
            for c in (0, 1)
        ],
        {
            "a": ("an axis with a long name", {n: f"setting number {n}" for n in range(12)}),
            "b": ("another axis", {n: f"choice number {n}" for n in range(12)}),
            "c": "c",
        },
        curve="loss",
        curve_name="the loss of training",
        finals={"error": "end", "error of the end, in words": "end"},
        pinned=[{"a": n, "b": n, "c": 0} for n in range(3)],
    ),
    "overlap": web.overlap_and_distance(
        np.zeros((400, 2000, 3)),
        (1000.5, 100.5, 1900.5, 300.5),
        presets={f"a box with a long name, number {k}": (k, 0, 2000, 400) for k in range(9)},
    ),
    "window": web.window_and_box(
        np.zeros((400, 400, 3)),
        np.ones((30, 30)),
        np.tile([-500, -600.5, 900, 1000], (30, 30, 1)),
        window=110,
        stride=10,
        truth=[[0, 0, 400, 400]] * 9,
        merge=lambda boxes, scores: boxes[:99],
    ),
    "scales": web.scales_and_offsets(
        [((1000, 2000), (64, 64))] * 8,
        window=640,
        cell=5,
        macs=(10**12, [10**13] * 8, 10**11),
        picture=np.zeros((400, 100)),
    ),
    "thresholds": web.thresholds_and_curve(
        [np.zeros((400, 100))] * 12,
        [
            {
                "boxes": [[-50, -50, 500, 100 + n] for n in range(200)],
                "labels": np.arange(200) % 2,
                "scores": 1234.5 * np.arange(-100, 100),
            }
        ]
        * 12,
        [OBJECTS] * 12,
        names=["a class with a long name", "another class, whose name is longer"],
        nms_threshold=1.0,
        score_threshold=-9999,
        presets={f"a setting with a long name, number {k}": {"picture": k} for k in range(9)},
    ),
    "roi": web.roi_bins(
        np.full((12, 12), -0.123),
        [[-300, -300, 3900, 3900]] * 2,
        7,
        spatial_scale=1 / 300,
        layer="align",
    ),
    "anchors": web.anchors_and_labels(
        np.zeros((300, 300, 3)),
        [[0, 0, 299.5, 299.5]] * 12,
        stride=(10, 12),
        sizes=(128.5, 256.25, 512.125),
        ratios=(0.33, 0.5, 1, 2),
        names=[f"an object with a long name, number {n}" for n in range(12)],
    ),
    "beam": web.beam_search(
        {
            w: [
                [
                    {"parent": 0, "tokens": [0] * n, "log_probability": -12.3 * n}
                    | {"finished": False, "score": -1234.5, "kept": k < w}
                    for k in range(10)
                ]
                for n in range(1, 17)
            ]
            for w in range(1, 7)
        },
        ["Donaudampfschifffahrt"],
        width=6,
    ),
    "attention": web.caption_attention(
        [np.zeros((400, 100))] * 6,
        [["Donaudampfschifffahrt"] * 16] * 6,
        [np.full((16, 16, 16), 1 / 256)] * 6,
        boxes=[[[0, 0, 100, 400]] * 4] * 6,
        names=[["an object with a long name"] * 4] * 6,
        probabilities=[np.ones(16)] * 6,
    ),
    "unrolled": web.unrolled_net(
        [-2.345] * 6, h0=-0.987, weight_x=-1.234, weight_h=-2.9, bias=-1.234, loss="every"
    ),
}
each_figure = pytest.mark.parametrize("name", FIGURES)
PARTS = r'<(?:script|style) data-course-part="([\w-]+)">'


def rgb(colour):
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def put_by_script(page, figure):
    """Insert a figure as JupyterLab does: first the HTML, then every script anew."""
    page.evaluate(
        """html => {
          const output = document.createElement("div");
          output.innerHTML = html;
          document.querySelector("main").append(output);
          for (const old of output.querySelectorAll("script")) {
            const script = document.createElement("script");
            script.textContent = old.textContent;
            old.replaceWith(script);
          }
        }""",
        figure._repr_html_(),
    )


@each_figure
def test_the_snippet_is_well_formed_xml(name):
    root = ElementTree.fromstring(f"<div>{FIGURES[name]._repr_html_()}</div>")
    assert root[-1].tag == FIGURES[name].tag


@pytest.mark.parametrize("path", sorted(ELEMENTS.iterdir()), ids=lambda path: path.name)
def test_no_part_ends_its_own_script(path):
    text = path.read_text("utf-8")
    assert "</script" not in text
    assert "]]>" not in text
    assert max(map(len, text.splitlines())) <= 100
    if path.suffix == ".js":
        assert text.startswith("/* ")  # what a person can do with it
        assert '*/\n"use strict";\n' in text


def test_data_cannot_break_out(show):
    data = {"text": "</script><script>alert(1)</script> <!-- ' \" & &amp; \\ \u2028"}
    figure = web.Figure("course-no-element", ("figure",), data, fallback="<p>Static.</p>", text="")
    page = show(figure)
    found = page.locator("course-no-element").get_attribute("data-figure")
    assert json.loads(found) == data


def test_numbers_that_json_lacks_are_refused():
    figure = web.Figure("course-no-element", (), {"x": float("nan")}, fallback="", text="")
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        figure._repr_html_()


@pytest.mark.parametrize("path", sorted(ELEMENTS.glob("*.js")), ids=lambda path: path.name)
def test_no_template_in_a_template_begins_or_ends_with_a_space(path):
    """The site's scripts are shortened by a program that takes the inner text for code."""
    inner = re.findall(r"`[^`\n]*\$\{[^}`\n]*`( [^`\n]*|[^`\n]* )`", path.read_text("utf-8"))
    assert not inner, "give the inner template a name of its own"


def test_a_page_carries_each_part_once(show, spoken):
    separate = "\n".join(figure._repr_html_() for figure in FIGURES.values())
    shared = web.once_per_page(separate)
    parts = re.findall(PARTS, shared)
    assert sorted(parts) == sorted(set(re.findall(PARTS, separate)))
    bodies = re.sub(PARTS + ".*?</(script|style)>", "", shared, flags=re.DOTALL)
    assert bodies.count("<course-") == len(FIGURES)
    assert web.once_per_page(shared) == shared
    page = show(body=shared)
    assert page.locator("course-quiz .stage, course-backward-stepper .stage").count() == 2


def test_two_figures_do_not_interfere(show, grid, spoken):
    page = show(*FIGURES.values(), FIGURES["explorer"], FIGURES["quiz"])
    first, second = (page.locator("course-convolution-explorer").nth(n) for n in (0, 1))
    grid(first, "x").cell((1, 1)).click()
    assert spoken(first).startswith("x[1, 1] touches 4 outputs.")
    assert spoken(second) == ""
    assert not grid(second, "x").marked("picked")
    second.get_by_label("stride").fill("2")
    assert first.get_by_label("stride").input_value() == "1"

    quizzes = [page.locator("course-quiz").nth(n) for n in (0, 1)]
    for n, quiz in enumerate(quizzes):
        quiz.get_by_role("radio").nth(n).check()
    assert all(quiz.get_by_role("radio").nth(n).is_checked() for n, quiz in enumerate(quizzes))


STYLES = "tag => [...document.querySelectorAll(tag)].map(e => e.shadowRoot.firstChild.textContent)"


@each_figure
def test_jupyterlab_puts_the_html_before_the_scripts(show, name):
    tag = FIGURES[name].tag
    (css,) = show(FIGURES[name]).evaluate(STYLES, tag)
    page = show(body="<p>A notebook.</p>")
    for _ in range(2):  # the cell is run again
        put_by_script(page, FIGURES[name])
    assert page.locator(f"{tag} .stage").count() == 2
    assert page.evaluate(STYLES, tag) == [css, css]  # drawn with all of its styles


@each_figure
def test_a_figure_that_is_moved_stays_as_it_is(show, name):
    page = show(FIGURES[name])
    page.evaluate("main => main.append(main.children[1])", page.locator("main").element_handle())
    page.evaluate("tag => document.body.append(document.querySelector(tag))", FIGURES[name].tag)
    assert page.locator(".stage").count() == 1


@each_figure
def test_without_scripts_the_numbers_can_be_read(show, name):
    page = show(FIGURES[name], java_script_enabled=False)
    text = page.locator("main").inner_text()
    if name == "quiz":
        assert "Answers" in text
        return
    for table in page.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("th:not([scope])").count() == 0
    if name in ("explorer", "stepper"):
        cells = page.get_by_role("table", name="dx, the gradient of x").locator("td")
        texts = [cell.replace("\N{MINUS SIGN}", "-") for cell in cells.all_inner_texts()]
        assert texts == ["", "1", "2", "0", "5", "7", "-2", "6", "5", "-4"]
    worked = {
        "explorer": "2·2 + 3·0 + 4·1",
        "stepper": "[[37, 47], [67, 77]]",
        "pass": "to x1: 1 · 5 = 5; to x2: 1 · 2 = 2",
        "sweep": "w4 = sin x1\t0.9093\t\N{MINUS SIGN}0.4161\t0\t1",
        "cost": "9 / 5: reverse",
        "step": "The derivative of sin x at 1 is 0.540302.",
        "digit": "a 1\t1 (75%)",
        "segmentation": "stride 2, with skips\t0.375\t75.0%",
        "inception": "5x5\t32\t15,872\t12,443,648\t153,600",
        "architecture": "37,752,832\t4,096\t37,748,736\t355 px",
        "signal": "ReLU\t5.1e-06\t5.4e+00\t4.8e-01",
        "recorded": "9\t0.9\t4.5",
        "overlap": "too small: 36, 26, 45, 34\t0.120\t16.0\t30.0\t0.0",
        "window": "0.1\t2\t5.0 px\t1.4 px\t2, 4, 32, 42",
        "scales": "12 px\t7,840,647,168\t48,199,021,056",
        "roi": "dy = [[10, 20], [30, 40]]",
        "anchors": "without those across the border\t1\t12\t87\t156\t0",
        "beam": "2\ta a \N{MINUS SIGN}1.50",
        "attention": "two\t38%\t25%\t0, 0",
        "unrolled": "dw_h = ",
        "thresholds": "no NMS\t1\t1\t0\t1\t0.50\t0.50\t0.500\t0.545",
    }
    assert worked[name] in text


@each_figure
def test_paper_shows_the_static_form(show, name):
    page = show(FIGURES[name], theme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".stage").is_visible()
    assert page.locator(f"{FIGURES[name].tag} > p").first.is_visible()
    line = page.locator(FIGURES[name].tag).evaluate(COLOUR)
    assert line == rgb(ROLES["ink"].light)


COLOUR = "element => getComputedStyle(element).color"


@pytest.mark.parametrize(
    "page_says, theme",
    [
        ('document.documentElement.dataset.theme = "light"', "light"),
        ('document.documentElement.dataset.theme = "dark"', "dark"),
        ('document.body.dataset.jpThemeLight = "true"', "light"),
        ('document.body.dataset.jpThemeLight = "false"', "dark"),
        ('document.documentElement.setAttribute("theme", "dark")', "dark"),
        ('document.body.dataset.vscodeThemeKind = "vscode-dark"', "dark"),
    ],
)
def test_colours_follow_the_theme(show, grid, page_says, theme):
    page = show(FIGURES["explorer"])
    page.evaluate(page_says)
    grid(page, "x").cell((1, 1)).click()
    colours = {name: getattr(colour, theme) for name, colour in ROLES.items()}
    background = "cell => getComputedStyle(cell).backgroundColor"
    assert grid(page, "x").cell((1, 1)).evaluate(background) == rgb(colours["input"])
    assert grid(page, "dx").cell((1, 1)).evaluate(background) == rgb(colours["gradient"])
    assert grid(page, "x").cell((1, 1)).evaluate(COLOUR) == rgb(colours["surface"])
    assert page.locator(".numbers span").nth(1).evaluate(COLOUR) == rgb(colours["weight"])
    scheme = "stage => getComputedStyle(stage).colorScheme"
    assert page.locator(".stage").evaluate(scheme) == theme


@each_figure
@pytest.mark.parametrize("width", [390, 768])
def test_nothing_sticks_out(show, name, width):
    for figure in (FIGURES[name], LARGEST[name]):
        page = show(figure, width=width)
        if name == "stepper":
            page.get_by_role("button", name="Next").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.get_by_label("flipped").check()
            page.get_by_role("slider").fill("3")
        if name == "architecture":
            page.locator(".row").nth(-1).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_a_finger_hits_one_cell(show, grid, width):
    page = show(LARGEST["explorer"], width=width)
    for name in ("x", "k", "y"):
        box = grid(page, name).cell((0, 0)).bounding_box()
        assert min(box["width"], box["height"]) >= 24, name  # WCAG 2.2, criterion 2.5.8


@each_figure
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_can_be_seen(show, name, theme):
    page = show(FIGURES[name], theme=theme)
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("""() => {
          const focused = document.activeElement.shadowRoot?.activeElement;
          if (!focused) return null;
          const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(focused);
          return [focused.tagName, outlineStyle, outlineWidth, outlineColor];
        }""")
        if style:
            assert style[1:] == ["solid", "3px", rgb(getattr(ROLES["ink"], theme))]
            seen.add(style[0])
    assert (
        seen
        == {
            "explorer": {"INPUT", "TD"},
            "stepper": {"INPUT", "BUTTON"},
            "quiz": {"INPUT", "BUTTON"},
            "pass": {"SELECT", "g", "BUTTON", "INPUT"},
            "sweep": {"SELECT", "BUTTON", "INPUT"},
            "cost": {"INPUT"},
            "step": {"INPUT"},
            "digit": {"INPUT", "DIV", "BUTTON"},
            "segmentation": {"INPUT", "DIV"},
            "architecture": {"SELECT", "BUTTON", "INPUT"},
            "inception": {"SELECT", "BUTTON", "INPUT"},
            "signal": {"BUTTON", "INPUT"},
            "recorded": {"INPUT", "BUTTON", "TD"},
            "overlap": {"INPUT", "DIV", "BUTTON"},
            "window": {"INPUT", "DIV"},
            "scales": {"INPUT", "DIV"},
            "thresholds": {"INPUT", "SELECT", "BUTTON"},
            "roi": {"INPUT", "DIV", "TD"},
            "anchors": {"INPUT", "DIV"},
            "beam": {"INPUT", "BUTTON"},
            "attention": {"INPUT", "SUMMARY"},
            "unrolled": {"INPUT", "BUTTON", "SUMMARY"},
        }[name]
    )


@each_figure
def test_text(name):
    assert repr(FIGURES[name]) == FIGURES[name].text
    if name in ("explorer", "stepper"):
        assert "[[37. 47.]\n [67. 77.]]" in repr(FIGURES[name])
