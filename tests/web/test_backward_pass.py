"""The backward pass on a graph, by every way of stepping, against the gradients of the engine."""

import numpy as np
import pytest

from course_lib import web
from course_lib.autodiff import trace

MINUS = "\N{MINUS SIGN}"


def diamond(w, x):
    u = w * x
    return u + u * u


def hinge(w, x):
    return np.maximum(1 - w * x, 0) + 0.25 * (w * w)


def neuron(w0, x0, w1, x1, w2):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


GRAPHS = {
    "diamond": trace(diamond, 2.0, 3.0),
    "hinge": trace(hinge, 1.0, 0.5),
    "neuron": trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0),
}


def click_next(page, times):
    for _ in range(times):
        page.get_by_role("button", name="Next").click()


def tap_next(page, times):
    for _ in range(times):
        page.get_by_role("button", name="Next").tap()


def press_on_button(page, times):
    page.get_by_role("button", name="Next").focus()
    for _ in range(times):
        page.keyboard.press("ArrowRight")


def press_on_slider(page, times):
    page.get_by_role("slider").focus()
    for _ in range(times):
        page.keyboard.press("ArrowRight")


WAYS = [click_next, tap_next, press_on_button, press_on_slider]


def open_pass(show, name="diamond", **options):
    page = show(web.backward_pass(GRAPHS), has_touch=True, **options)
    page.get_by_role("combobox").select_option(name)
    return page


def drawn(graph):
    """The nodes that are drawn, by number: all but the constants."""
    return [i for i, node in enumerate(graph.nodes) if node.kind != "constant"]


def arrived(graph, step):
    """What of each gradient has arrived after a step, and how many arrivals are missing."""
    sums = np.zeros(len(graph.nodes))
    missing = np.zeros(len(graph.nodes), int)
    operations = [i for i, node in enumerate(graph.nodes) if node.kind == "operation"]
    done = operations[::-1][: max(step - 1, 0)]
    for i in graph.outputs:
        sums[i] += step > 0
        missing[i] += step == 0
    for i in operations[::-1]:
        node = graph.nodes[i]
        for j, partial in zip(node.operands, node.partials, strict=True):
            if partial is not None:
                sums[j] += node.gradient * partial if i in done else 0
                missing[j] += i not in done
    return sums, missing


def shown(page):
    """What stands in each node as its gradient."""
    texts = page.locator(".node .gradient").all_text_contents()
    return [text.replace(MINUS, "-").removeprefix("\N{PARTIAL DIFFERENTIAL} ") for text in texts]


def node(page, words):
    return page.locator(f'[role=option][aria-label^="{words}"]')


@pytest.mark.parametrize("go_on", WAYS)
@pytest.mark.parametrize("name", GRAPHS)
def test_every_step(show, go_on, name):
    page = open_pass(show, name)
    graph = GRAPHS[name]
    operations = sum(node.kind == "operation" for node in graph.nodes)
    for step in range(operations + 2):
        sums, missing = arrived(graph, step)
        for i, text in zip(drawn(graph), shown(page), strict=True):
            users = [n for n in graph.nodes for j in n.operands if j == i]
            if step == 0 or missing[i] == len(users) + (i in graph.outputs):
                assert text == ""
            else:
                number, _, more = text.partition(" + ")
                assert float(number) == pytest.approx(sums[i], rel=1e-3, abs=1e-12)
                assert bool(more) == bool(missing[i])
        if step < operations + 1:
            go_on(page, 1)
    gradients = [float(graph.nodes[i].gradient) for i in drawn(graph)]
    np.testing.assert_allclose([*map(float, shown(page))], gradients, rtol=1e-3, atol=1e-12)
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == f"{step} of {step}"


def test_says_each_step_with_its_numbers(show, spoken):
    page = open_pass(show, "hinge")
    said = []
    for _ in range(7):
        click_next(page, 1)
        said.append(spoken(page).replace(MINUS, "-"))
    assert said[0] == "Step 1 of 7. Begin at the end: the gradient of v8 is 1."
    assert said[2] == "Step 3 of 7. v7 has gradient 1 and hands back 1 · 0.25 = 0.25 to v6."
    assert said[3] == (
        "Step 4 of 7. v6 has gradient 0.25 and hands back 0.25 · 1 = 0.25 to w; "
        "0.25 · 1 = 0.25 to w, together 0.25 + 0.25 = 0.5."
    )
    assert said[6] == (
        "Step 7 of 7. v3 has gradient -1 and hands back (-1) · 0.5 = -0.5 to w, "
        "together 0.5 + (-0.5) = 0; (-1) · 1 = -1 to x. The gradients of the inputs: w 0, x -1."
    )
    assert page.locator(".explanation").inner_text().replace(MINUS, "-") in said[6]


def test_edges_show_local_derivatives_and_what_goes_along_them(show):
    page = open_pass(show, "diamond")
    graph = GRAPHS["diamond"]
    partials = [float(p) for n in graph.nodes for p in n.partials if p is not None]
    assert [*map(float, page.locator(".edge .local").all_text_contents())] == partials
    click_next(page, 3)
    assert page.locator(".edge.turn .line").count() == 2  # the square has its operand twice
    assert page.locator(".edge.turn .handed").all_text_contents() == ["+6", "+6"]
    assert page.locator(".node.turn .formula").text_content() == "v3 · v3"


def test_predict_by_keyboard(show, spoken):
    page = open_pass(show, "hinge")
    node(page, "w,").focus()
    page.keyboard.press("ArrowDown")  # x
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.get_by_label("Predict the gradient of w:").evaluate(
        "input => input.matches(':focus')"
    )
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    assert spoken(page).replace(MINUS, "-") == (
        "Not 0.25. That is one part of it. "
        "Add 0.25 · 1 from v6, 0.25 · 1 from v6, (-1) · 0.5 from v3."
    )
    page.keyboard.press("Control+A")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    right = "Right. The gradient of w is 0.25 · 1 + 0.25 · 1 + (-1) · 0.5 = 0."
    assert spoken(page).replace(MINUS, "-") == right
    assert page.locator(".verdict.right").inner_text().replace(MINUS, "-") == right
    label = "document.activeElement.shadowRoot.activeElement.getAttribute('aria-label')"
    assert page.evaluate(label) == "w, value 1, gradient 0"


def test_predict_by_mouse(show):
    page = open_pass(show, "neuron")
    node(page, "x0,").click()
    page.keyboard.type(f"{MINUS}0,4")  # the mouse has put the cursor into the box
    page.get_by_role("button", name="Check").click()
    verdict = page.locator(".verdict")
    assert verdict.inner_text() == f"Not {MINUS}0.4. It gets 0.1966 · 2 from v6."
    page.get_by_label("Predict").fill("0.393")
    page.get_by_role("button", name="Check").click()
    assert verdict.inner_text() == "Right. The gradient of x0 is 0.1966 · 2 = 0.3932."
    assert shown(page)[1] == "0.3932"  # before its turn
    click_next(page, 1)
    assert shown(page)[1] == "0.3932"
    page.get_by_role("button", name="Reset").click()
    assert shown(page) == [""] * 13
    assert not page.get_by_label("Predict").is_visible()


def test_predict_by_touch(show):
    page = open_pass(show, "diamond", width=390, is_mobile=True)
    node(page, "v3 =").tap()
    box = page.get_by_label("Predict the gradient of v3 = w · x:")
    assert not box.evaluate("input => input.matches(':focus')")  # no keyboard over the drawing
    box.fill("13")
    page.get_by_role("button", name="Check").tap()
    assert page.locator(".verdict").inner_text() == (
        "Right. The gradient of v3 is 1 · 1 + 1 · 6 + 1 · 6 = 13."
    )


def test_asks_no_more_once_the_gradient_shows(show):
    page = open_pass(show, "diamond")
    node(page, "v4 =").click()
    page.get_by_label("Predict").fill("7")
    page.keyboard.press("Enter")
    assert page.locator(".verdict").inner_text() == "Not 7. It gets 1 · 1 from v5."
    click_next(page, 2)
    assert page.locator(".verdict").inner_text() == "The gradient of v4 is 1 · 1 = 1."
    assert not page.get_by_label("Predict").is_visible()
    node(page, "v5 =").click()
    assert page.locator(".verdict").inner_text() == "The gradient of v5 is 1."


@pytest.mark.parametrize("text", ["", "six", "1 2"])
def test_wants_a_number(show, spoken, text):
    page = open_pass(show)
    node(page, "w,").click()
    page.get_by_label("Predict").fill(text)
    page.keyboard.press("Enter")
    assert spoken(page) == f"Type a number, such as {MINUS}0.5."


def test_an_answer_may_be_rounded_but_not_wrong(show):
    page = open_pass(show, "neuron")
    node(page, "w0,").click()
    box = page.get_by_label("Predict")
    for answer in ("0.1966", "-0.19", "-0.2"):
        box.fill(answer)
        page.keyboard.press("Enter")
        assert page.locator(".verdict.wrong").inner_text().startswith("Not")
    box.fill("-0.197")
    page.keyboard.press("Enter")
    assert page.locator(".verdict.right").inner_text().startswith("Right")


def test_another_graph_begins_anew(show, spoken):
    page = open_pass(show, "diamond")
    click_next(page, 2)
    page.get_by_role("combobox").select_option("neuron")
    assert shown(page) == [""] * 13
    assert spoken(page).startswith("Step 0 of 9. The values are there")
    assert page.get_by_role("slider").get_attribute("max") == "9"


def test_several_results_and_an_input_without_use(show):
    graph = trace(lambda x, y: (2.0 * x, x * x), 3.0, 4.0)
    page = show(web.backward_pass({"two results": graph}))
    node(page, "y,").click()
    page.get_by_label("Predict").fill("1")
    page.keyboard.press("Enter")
    assert page.locator(".verdict").inner_text() == "Not 1. The result does not depend on it."
    click_next(page, 1)
    assert page.locator(".explanation").inner_text() == (
        "Begin at the end: the gradient of w3 and w4 is 1."
    )
    click_next(page, 2)
    assert shown(page) == ["8", "0", "1", "1"]


def test_ends_keep_the_focus(show):
    page = open_pass(show)
    assert page.get_by_role("button", name="Previous").get_attribute("aria-disabled") == "true"
    press_on_button(page, 6)  # two more than there are
    assert page.get_by_role("button", name="Next").get_attribute("aria-disabled") == "true"
    page.keyboard.press("Home")
    assert page.get_by_role("slider").input_value() == "0"
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "Next"


def test_nodes_do_not_overlap_and_stay_inside(show):
    page = open_pass(show, "neuron", width=390)
    boxes = [box.bounding_box() for box in page.locator(".node rect").all()]
    for n, a in enumerate(boxes):
        assert a["x"] >= 0
        assert a["x"] + a["width"] <= 390
        for b in boxes[:n]:
            assert (
                a["x"] + a["width"] <= b["x"]
                or b["x"] + b["width"] <= a["x"]
                or a["y"] + a["height"] <= b["y"]
                or b["y"] + b["height"] <= a["y"]
            )


def test_labels_stay_inside_the_drawing(show):
    def f(*x):
        return np.sin(sum(x)) * sum(x)

    page = show(web.backward_pass({"wide": trace(f, *np.arange(9.0))}))
    drawing = page.locator("svg").bounding_box()
    for label in page.locator(".edge text").all():
        box = label.bounding_box()
        assert box["x"] >= drawing["x"] - 0.5
        assert box["x"] + box["width"] <= drawing["x"] + drawing["width"] + 0.5


def test_on_a_phone_the_turn_comes_into_view_above_the_panel(show):
    page = open_pass(show, "neuron", width=390)
    page.set_viewport_size({"width": 390, "height": 660})
    for step in range(2, 10):
        tap_next(page, 1 if step > 2 else 2)
        turn = page.locator(".node.turn").bounding_box()
        panel = page.locator(".panel").bounding_box()
        assert turn["y"] >= 0
        assert turn["y"] + turn["height"] <= panel["y"] + 1
        assert panel["y"] + panel["height"] <= 661


@pytest.mark.parametrize("motion, moves", [("no-preference", True), ("reduce", False)])
def test_edges_move_unless_motion_is_unwanted(show, motion, moves):
    page = open_pass(show, reduced_motion=motion)
    click_next(page, 2)
    name = page.locator(".edge.turn .line").first.evaluate("e => getComputedStyle(e).animationName")
    assert (name != "none") == moves
