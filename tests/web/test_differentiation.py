"""The figures of differentiation: their numbers against the engine's, and their errors."""

import numpy as np
import pytest

from course_lib import web
from course_lib.autodiff import trace
from course_lib.palette import ROLES
from course_lib.web.graph import adjoints, assigned, plain_graph, tangents

GRAPH = trace(lambda x1, x2: x1 * x2 + np.sin(x1), 2.0, 5.0)
COUNTS = {"inputs": [1, 4], "outputs": [1, 2], "forward": [[3, 3], [9, 9]]}
COUNTS["reverse"] = [[3, 6], [5, 10]]


def test_sweeps_equal_the_engine():
    graph = plain_graph("test", GRAPH)
    gradients = [float(node.gradient) for node in GRAPH.nodes]
    np.testing.assert_allclose(adjoints(graph, [4]), gradients, rtol=1e-14)
    np.testing.assert_allclose(tangents(graph, 0)[4], 5 + np.cos(2), rtol=1e-14)
    np.testing.assert_allclose(tangents(graph, 1), [0, 1, 2, 0, 2], rtol=1e-14)


def test_symbols_tell_values_from_weights():
    def f(w, x):
        return np.maximum(1 - w * x, 0) + 0.25 * w**3 + x / -w

    nodes = plain_graph("test", trace(f, 3.0, 0.5))["nodes"]
    names = [assigned(node).replace("\N{MINUS SIGN}", "-") for node in nodes]
    steps = ["v3 = w · x", "v4 = 1 - v3", "v5 = max(v4, 0)", "v6 = w ** 3", "v7 = 0.25 · v6"]
    steps += ["v8 = v5 + v7", "v9 = -w", "v10 = x / v9", "v11 = v8 + v10"]
    assert [name for name in names if "=" in name] == steps
    with_negative = plain_graph("test", trace(lambda x: x * -2.0, 1.0))["nodes"][-1]
    assert assigned(with_negative) == "w2 = x · (\N{MINUS SIGN}2)"


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="`graphs` is empty"):
        web.backward_pass({})
    with pytest.raises(ValueError, match=r"sweep: node 0, x, has the value .* one finite number"):
        web.sweep(trace(lambda x: x * 2, np.ones(3)))
    with pytest.raises(ValueError, match=r"step_size: pole is not finite within 1 of x = 0\.5"):
        web.step_size(lambda x: np.nan, np.cos, 0.5, label="pole")
    with pytest.raises(ValueError, match=r"cost_map: `forward` has shape \(1, 2\), expected"):
        web.cost_map(COUNTS | {"forward": [[1, 2]]})


def by_mouse(page):
    page.locator(".stage td").filter(has_text="R").click()


def by_touch(page):
    page.locator(".stage td").filter(has_text="R").tap()


def by_keyboard(page):
    page.get_by_label("inputs n").press("ArrowRight")


@pytest.mark.parametrize("choose", [by_mouse, by_touch, by_keyboard])
@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_cost_map(show, spoken, choose, theme, width):
    page = show(web.cost_map(COUNTS), theme=theme, width=width, has_touch=True)
    choose(page)
    assert spoken(page).endswith(
        "4 inputs, 1 output: forward 9, reverse 5 operations. Reverse is cheaper, 1.8 times."
    )
    current = page.locator(".stage td.current")
    assert current.inner_text() == "R"
    colour = current.evaluate("cell => getComputedStyle(cell).color")
    assert colour == "rgb{}".format(tuple(bytes.fromhex(getattr(ROLES["gradient"], theme)[1:])))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("go_on", ["click", "tap", "ArrowRight"])
@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_sweep(show, spoken, go_on, theme, width):
    page = show(web.sweep(GRAPH), theme=theme, width=width, has_touch=True)
    forward = [["1", "0", "5", "-0.4161", "4.584"], ["0", "1", "2", "0", "2"]]
    for seed, expected in enumerate([*forward, ["4.584", "2", "1", "1", "1"]]):
        page.get_by_label("seed").select_option(str(seed))
        on = page.get_by_role("button", name="Next")
        for _ in range(10 if seed == 2 else 5):
            on.press(go_on) if go_on == "ArrowRight" else getattr(on, go_on)()
        shown = page.locator(".stage td:last-child").all_inner_texts()
        assert [text.replace("\N{MINUS SIGN}", "-") for text in shown] == expected
    words = spoken(page).replace("\N{MINUS SIGN}", "-")
    assert words == "Step 10 of 10. x1: the adjoint is 1 · 5 + 1 · (-0.4161) = 4.584."
    assert page.evaluate("document.documentElement.scrollWidth") <= width
