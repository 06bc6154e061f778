"""axe-core finds nothing to mend in any figure, whatever its state, theme or width."""

import numpy as np
import pytest

from course_lib import web
from course_lib.autodiff import trace

X, K, DY = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [2, -1]], [[1, 2], [3, 4]]
GRAPH = trace(lambda x1, x2: x1 * x2 + np.sin(x1), 2.0, 5.0)


def explorer(show, grid, **page_options):
    page = show(web.convolution_explorer(X, K, dy=DY), **page_options)
    yield page
    grid(page, "x").cell((1, 1)).click()
    yield page
    page.get_by_label("stride").fill("2")
    page.get_by_label("padding").fill("2")
    grid(page, "k").cell((0, 1)).click()
    yield page


def stepper(show, grid, **page_options):
    page = show(web.backward_stepper(X, K, DY), **page_options)
    yield page
    page.get_by_role("button", name="Next").click()
    yield page
    page.get_by_label("flipped").check()
    page.get_by_role("slider").fill("5")
    yield page


def quiz(show, grid, **page_options):
    page = show(web.quiz("03-backprop-convolution"), **page_options)
    yield page
    for question in range(6):
        page.get_by_role("radio").nth(3 * question).check()
        page.get_by_role("button").nth(question).click()
    yield page


def backward_pass(show, grid, **page_options):
    page = show(web.backward_pass({"product and sine": GRAPH}), **page_options)
    yield page
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    page.locator(".node").first.click()
    yield page
    for answer in ("1", "4.58"):
        page.get_by_label("Predict").fill(answer)
        page.get_by_role("button", name="Check").click()
        yield page


def sweep(show, grid, **page_options):
    page = show(web.sweep(GRAPH), **page_options)
    yield page
    page.get_by_label("seed").select_option("2")
    page.get_by_role("slider").fill("7")
    yield page


def cost_map(show, grid, **page_options):
    counts = {"inputs": [1, 4], "outputs": [1], "forward": [[3], [9]], "reverse": [[3], [5]]}
    page = show(web.cost_map(counts), **page_options)
    yield page
    page.get_by_label("inputs n").fill("1")
    yield page


def step_size(show, grid, **page_options):
    page = show(web.step_size(np.sin, np.cos, 1.0, label="sin x"), **page_options)
    yield page
    page.get_by_label("central").check()
    page.get_by_label("step h").fill("20")
    yield page


def inception_widths(show, grid, **page_options):
    page = show(web.inception_widths(), **page_options)
    yield page
    page.get_by_label("naive").check()
    page.get_by_role("slider").first.fill("256")
    yield page


def architecture_editor(show, grid, **page_options):
    page = show(web.architecture_editor(), **page_options)
    yield page
    page.get_by_role("button", name="conv2").click()
    yield page
    page.get_by_role("spinbutton", name="filters").fill("255")
    page.get_by_role("spinbutton", name="kernel").fill("0")
    yield page


def moving_digit(show, grid, **page_options):
    layers = [{"kind": "conv2d", "weight": np.ones((1, 1, 5, 5)), "bias": [0]}]
    layers += [{"kind": "linear", "weight": np.eye(2, 16), "bias": [0, 1]}]
    networks = {"one": layers, "other": layers}
    figure = web.moving_digit(networks, np.eye(8)[None], [0], size=8, reach=1)
    page = show(figure, **page_options)
    yield page
    page.get_by_label("other").check()
    page.get_by_label("Canvas").press("ArrowRight")
    page.locator("p.unseen[role=status]").filter(has_text="reads").wait_for(state="attached")
    yield page


def segmentation_explorer(show, grid, **page_options):
    truth = np.array([[[0, 0, 1, 2]] * 4] * 2)
    predictions = {(4, False): truth * 0, (2, False): truth, (2, True): truth[:, :, ::-1]}
    names = ["background", "one", "two"]
    figure = web.segmentation_explorer(truth / 2, truth, predictions, names=names)
    page = show(figure, **page_options)
    yield page
    page.get_by_label("2", exact=True).check()
    page.get_by_role("checkbox").check()
    page.get_by_label("scene 2").check()
    page.get_by_role("application").press("ArrowRight")
    yield page


def signal_through_layers(show, grid, **page_options):
    page = show(web.signal_through_layers(depth=10), **page_options)
    yield page
    page.get_by_label("backward").check()
    page.get_by_label("batch normalisation").check()
    page.get_by_label("sigmoid").check()
    yield page


def overlap_and_distance(show, grid, **page_options):
    page = show(web.overlap_and_distance(np.eye(64), (10, 20, 40, 50)), **page_options)
    yield page
    page.get_by_role("button", name="far").click()
    page.get_by_role("application").press("ArrowRight")
    page.get_by_role("slider").fill("1")
    yield page


def recorded_runs(show, grid, **page_options):
    runs = [
        {"depth": d, "norm": n, "seed": s, "loss": [3, 1, d], "end": d if n else None}
        for d in (2, 9)
        for n in (False, True)
        for s in (0, 1)
    ]
    finals = {"loss at the end": None, "test error": "end"}
    axes = {"depth": "layers", "norm": "normalisation"}
    figure = web.recorded_runs(runs, axes, curve="loss", curve_name="loss", finals=finals)
    page = show(figure, **page_options)
    yield page
    page.get_by_role("button", name="Pin this curve").click()
    page.get_by_role("gridcell").last.click()
    page.keyboard.press("ArrowLeft")
    yield page
    page.get_by_label("showing").select_option("test error")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    yield page


def window_and_box(show, grid, **page_options):
    scores, boxes = np.full((2, 3), 0.7), np.tile([10, 20, 40, 50], (2, 3, 1))
    page = show(web.window_and_box(np.eye(64), scores, boxes, window=40, stride=12), **page_options)
    yield page
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("application").first.press("ArrowRight")
    yield page
    page.get_by_label("threshold").fill("15")
    yield page


def scales_and_offsets(show, grid, **page_options):
    scales = [((26, 32), (9, 12)), ((20, 20), (6, 6))]
    scores = [np.full((4, 7), 0.5), np.full((1, 1), 0.5)]
    small = {"window": 20, "cell": 2, "pool": 2, "kernel": 3, "macs": (9, [8, 7], 6)}
    page = show(web.scales_and_offsets(scales, scores=scores, **small), **page_options)
    yield page
    page.get_by_label("offset c").check()
    page.get_by_role("application").first.press("ArrowRight")
    yield page
    page.get_by_role("checkbox").check()
    page.get_by_label("a column").check()
    yield page


def thresholds_and_curve(show, grid, **page_options):
    truth = [{"boxes": [[10, 10, 30, 30], [40, 40, 60, 60]], "labels": [0, 1]}] * 2
    found = {"boxes": [[10, 10, 30, 30], [11, 10, 30, 30], [0, 40, 20, 60]], "labels": [0, 0, 1]}
    found = [found | {"scores": [0.9, 0.8, 0.7]}] * 2
    page = show(web.thresholds_and_curve([np.eye(64)] * 2, found, truth), **page_options)
    yield page
    page.get_by_role("button", name="no NMS").click()
    page.get_by_label("scene 2").check()
    page.get_by_role("checkbox").check()
    yield page
    page.get_by_label("class").select_option("1")
    page.get_by_label("score threshold").fill("100")
    yield page


def roi_bins(show, grid, **page_options):
    boxes = [[1, 1, 5, 5], [3, 2, 7, 6]]
    page = show(web.roi_bins(np.eye(8), boxes, spatial_scale=1), **page_options)
    yield page
    grid(page, "dx").cell((1, 1)).click()
    page.get_by_label("B", exact=True).check()
    page.get_by_role("application").press("ArrowRight")
    yield page
    page.get_by_label("RoIAlign").check()
    grid(page, "y").cell((1, 1)).click()
    yield page


def anchors_and_labels(show, grid, **page_options):
    given = {"stride": 8, "sizes": (16, 32), "ratios": (1, 2), "names": ["one"]}
    page = show(web.anchors_and_labels(np.eye(64), [[10, 8, 30, 40]], **given), **page_options)
    yield page
    for box in page.get_by_role("checkbox").all():
        box.click()
    page.get_by_role("application").press("ArrowRight")
    yield page
    page.get_by_label("object above").fill("8")
    yield page


def beam_search(show, grid, **page_options):
    first = {"parent": 0, "tokens": [0], "log_probability": -0.5, "finished": False, "kept": True}
    cut = first | {"tokens": [1], "log_probability": -0.7, "finished": True, "kept": False}
    found = {1: [[first, cut]], 2: [[first, cut | {"kept": True}]]}
    page = show(web.beam_search(found, ["word", "end"]), **page_options)
    yield page
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="end: ").click()
    yield page
    page.get_by_label("beam width").fill("1")
    page.get_by_role("button", name="word: ").press("ArrowRight")
    yield page


def caption_attention(show, grid, **page_options):
    maps = np.full((2, 2, 2), 0.25)
    given = {"boxes": [[[0, 0, 20, 30], [30, 30, 60, 60]]] * 2, "probabilities": [[0.5, 1]] * 2}
    figure = web.caption_attention([np.eye(64)] * 2, ["a two"] * 2, [maps] * 2, **given)
    page = show(figure, **page_options)
    yield page
    page.get_by_role("checkbox").check()
    page.get_by_label("scene 2").check()
    page.get_by_label("two", exact=True).check()
    page.locator("summary").click()
    yield page


def unrolled_net(show, grid, **page_options):
    page = show(web.unrolled_net([1, -0.5, 0.2]), **page_options)
    yield page
    page.locator("summary").click()
    page.get_by_role("button", name="Next").click()
    yield page
    page.get_by_label("step", exact=True).fill("6")
    page.get_by_label("w_x", exact=True).check()
    yield page


FIGURES = [
    explorer,
    stepper,
    quiz,
    backward_pass,
    sweep,
    cost_map,
    step_size,
    architecture_editor,
    inception_widths,
    moving_digit,
    segmentation_explorer,
    signal_through_layers,
    recorded_runs,
    overlap_and_distance,
    window_and_box,
    scales_and_offsets,
    thresholds_and_curve,
    roi_bins,
    anchors_and_labels,
    beam_search,
    caption_attention,
    unrolled_net,
]


@pytest.mark.parametrize("states", FIGURES)
@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_no_violations(show, grid, violations, states, theme, width):
    for page in states(show, grid, theme=theme, width=width, reduced_motion="reduce"):
        assert violations(page) == []


def test_axe_sees_into_the_shadow(show, violations):
    page = show(web.quiz("03-backprop-convolution"))
    page.locator("legend").first.evaluate("legend => { legend.style.color = '#ccc'; }")
    assert "color-contrast" in violations(page)[0]


@pytest.mark.parametrize(
    "name, role", [("x", "grid"), ("k", "grid"), ("y", "grid"), ("dx", "table")]
)
def test_grids_are_named(show, name, role):
    page = show(web.convolution_explorer(X, K))
    assert page.get_by_role(role, name=f"{name}, ").count() == 1


def test_forced_colours_keep_the_states_apart(show, grid):
    page = show(web.convolution_explorer(X, K), forced_colors="active")
    grid(page, "x").cell((1, 1)).click()
    look = (
        "cell => { const s = getComputedStyle(cell); return [s.backgroundColor, s.outlineStyle]; }"
    )
    plain = grid(page, "dweight").cell((0, 0)).evaluate(look)
    touched = grid(page, "k").cell((0, 0)).evaluate(look)
    picked = grid(page, "dx").cell((1, 1)).evaluate(look)
    assert touched[1] == "solid" != plain[1]
    assert picked[0] not in (plain[0], touched[0])
