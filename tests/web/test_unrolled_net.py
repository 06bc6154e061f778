"""A recurrent unit over time: forward and back on the page, in NumPy and in PyTorch."""

import numpy as np
import pytest
import torch

from course_lib import web
from course_lib.web.unrolled_net import unrolled

X = [0.8, -0.5, 0.3, 0.9, -0.2]
MINUS = "\N{MINUS SIGN}"


def by_pytorch(x, h0, weight_x, weight_h, bias, loss):
    """States, their gradients, and those of the weights, by automatic differentiation."""
    weights = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (weight_h, weight_x, bias)
    ]
    w_h, w_x, b = weights
    state = start = torch.tensor(h0, dtype=torch.float64, requires_grad=True)
    states = []
    for value in x:
        state = torch.tanh(w_x * float(value) + w_h * state + b)
        state.retain_grad()
        states.append(state)
    (states[-1] if loss == "last" else sum(states)).backward()
    return {
        "h": [s.item() for s in states],
        "dh": [s.grad.item() for s in states],
        "dw_h": w_h.grad.item(),
        "dw_x": w_x.grad.item(),
        "db": b.grad.item(),
        "dh0": start.grad.item(),
    }


def cases(rng, count):
    for n in range(count):
        x = rng.uniform(-2, 2, 2 + n % 5)
        h0, weight_x, weight_h, bias = rng.uniform([-1, -3, -3, -1], [1, 3, 3, 1]).tolist()
        yield x, h0, weight_x, weight_h, bias, ("last", "every")[n % 2]


def test_the_layers_agree_with_pytorch(rng):
    for case in cases(rng, 20):
        ours, theirs = unrolled(*case), by_pytorch(*case)
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-10, atol=1e-12, err_msg=name)
        for total, terms in {"dw_h": "term", "dw_x": "terms_x", "db": "terms_b"}.items():
            assert sum(ours[terms]) == pytest.approx(ours[total], abs=1e-12)


IN_THE_PAGE = """([x, h0, weightX, weightH, bias, loss]) =>
  courseFigures.unrolling.unroll(x, { h0, weightX, weightH, bias, loss })"""


def test_the_arithmetic_is_the_layers(show, rng):
    page = show(web.unrolled_net(X))
    names = {"h": "h", "dh": "dh", "factor": "factors", "dh0": "dh0"}
    names |= {"term": "byState", "terms_x": "byInput", "terms_b": "byBias"}
    for x, *rest in cases(rng, 40):
        ours = unrolled(x, *rest)
        got = page.evaluate(IN_THE_PAGE, [x.tolist(), *rest])
        for name, theirs in names.items():
            np.testing.assert_allclose(got[theirs], ours[name], rtol=1e-12, atol=1e-13)


def numbers(page, row):
    """What the cells of a row of the board show; None where they are empty."""
    texts = page.locator(f".row.{row} .cell").evaluate_all(
        "cells => cells.map(c => (c.querySelector('.value') || c).textContent)"
    )
    return [float(t.replace(MINUS, "-")) if t else None for t in texts]


def near(got, expected):
    assert [value is None for value in got] == [value is None for value in expected]
    pairs = [(g, e) for g, e in zip(got, expected, strict=True) if g is not None]
    np.testing.assert_allclose(*zip(*pairs, strict=True), rtol=0.006, atol=6e-4)


def agrees(page, *, step, weight_h, size=1.0, loss="last", h0=0.0):
    """Board and table are those of so many steps forth and back."""
    T = len(X)
    run = unrolled(np.array(X) * size, h0, 1.0, weight_h, 0.0, loss)
    near(numbers(page, "state"), [h0, *(h if t < step else None for t, h in enumerate(run["h"]))])
    known = [t >= 2 * T - step for t in range(T)]
    gradients = [g if k else None for g, k in zip(run["dh"], known, strict=True)]
    dh0 = run["dh0"] if all(known) else None
    if step > T:
        near(numbers(page, "gradient"), [dh0, *gradients])
        terms = [t if k else None for t, k in zip(run["term"], known, strict=True)]
        near(numbers(page, "term"), [None, *terms])
        told = page.locator(".summed").inner_text().replace(MINUS, "-")
        total = sum(term for term in terms if term is not None)
        last = float(told.rstrip(".").split(" = ")[-1].split(", so far")[0])
        assert last == pytest.approx(total, rel=0.006, abs=6e-4)
        assert ("so far" in told) == (step < 2 * T)
    else:
        assert numbers(page, "gradient") == [None] * (T + 1)
    factors = page.locator(".between").all_text_contents()
    assert [bool(text) for text in factors] == [dh0 is not None, *known[:-1]]
    product = np.prod(run["factor"][1:])
    told = page.locator(".product").inner_text().replace(MINUS, "-")
    assert float(told.split(", ")[0].split(" = ")[-1]) == pytest.approx(product, rel=0.06, abs=6e-4)


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_controls(show, theme, width):
    page = show(web.unrolled_net(X, weight_h=0.8), theme=theme, width=width)
    agrees(page, step=5, weight_h=0.8)
    page.get_by_label("step", exact=True).fill("2")
    agrees(page, step=2, weight_h=0.8)
    page.get_by_label("step", exact=True).fill("8")
    agrees(page, step=8, weight_h=0.8)
    page.get_by_label("w_h", exact=True).first.fill("-15")
    agrees(page, step=8, weight_h=-1.5)
    page.get_by_label("size of the inputs").fill("3")
    agrees(page, step=8, weight_h=-1.5, size=0.3)
    page.get_by_label("the sum of all states").check()
    agrees(page, step=8, weight_h=-1.5, size=0.3, loss="every")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    agrees(page, step=10, weight_h=-1.5, size=0.3, loss="every")
    page.get_by_role("button", name="Next").press("Enter")  # there is nothing after the end
    agrees(page, step=10, weight_h=-1.5, size=0.3, loss="every")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_keys(show):
    page = show(web.unrolled_net(X))
    page.get_by_role("button", name="Next").focus()
    for key, step in {"ArrowRight": 6, "End": 10, "ArrowLeft": 9, "Home": 0}.items():
        page.keyboard.press(key)
        assert page.get_by_label("step", exact=True).input_value() == str(step)
    page.get_by_label("step", exact=True).press("ArrowRight")
    assert page.get_by_label("step", exact=True).input_value() == "1"


def test_a_case_by_hand(show, spoken):
    """h1 = tanh(0.5) = 0.462, h2 = tanh(0.2 h1) = 0.0922; its slope is 0.992."""
    page = show(web.unrolled_net([0.5, 0], weight_h=0.2))
    told = page.locator(".explained")
    page.get_by_label("step", exact=True).fill("2")
    assert told.inner_text() == "h₂ = tanh(w_x x₂ + w_h h₁) = tanh(1 · 0 + 0.2 · 0.462) = 0.092."
    page.get_by_role("button", name="Next").click()
    assert told.inner_text() == (
        f"dL/dh₂ = 1 from the loss. The slope of tanh there is 1 {MINUS} h₂² = 0.992; what it "
        "hands back is multiplied by w_h times that, 0.198."
    )
    assert page.locator(".summed").inner_text() == "dw_h = 0.458, so far, from step 2."
    page.get_by_role("button", name="Next").click()
    assert told.inner_text().startswith("dL/dh₁ = 1 · 0.198 from step 2 = 0.198. The slope")
    assert told.inner_text().endswith("And dL/dh₀ = 0.198 · 0.157 = 0.031.")
    assert page.locator(".summed").inner_text() == "dw_h = 0.458 + 0 = 0.458."
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="dL/dh₁").wait_for(state="attached")
    assert spoken(page) == f"{told.inner_text()} dw_h = 0.458 + 0 = 0.458."


@pytest.mark.parametrize("name, total", [("w_x", "dw_x"), ("b", "db")])
def test_the_other_gradients(show, name, total):
    page = show(web.unrolled_net(X, weight_h=0.8))
    page.get_by_label(name, exact=True).check()
    page.get_by_label("step", exact=True).fill("10")
    run = unrolled(np.array(X), 0.0, 1.0, 0.8, 0.0, "last")
    told = page.locator(".summed").inner_text().replace(MINUS, "-")
    assert told.startswith(f"{total} = ")
    assert float(told.rstrip(".").split(" = ")[-1]) == pytest.approx(run[total], rel=0.006)


def test_what_there_is_to_find_out():
    """Without inputs each step multiplies by w_h; with them a large w_h saturates the unit."""
    still = unrolled(np.zeros(5), 0.0, 1.0, 1.5, 0.0, "last")
    np.testing.assert_allclose(still["dh"], 1.5 ** np.arange(4, -1, -1))
    large = [unrolled(np.array(X), 0.0, 1.0, w, 0.0, "last")["dh"][0] for w in (0.5, 1.0, 3.0)]
    assert large[2] < large[0]


def test_static_form(show):
    page = show(web.unrolled_net(X, weight_h=0.8), java_script_enabled=False)
    run = unrolled(np.array(X), 0.0, 1.0, 0.8, 0.0, "last")
    cells = page.get_by_role("table").locator("tr").nth(1).locator("th, td").all_inner_texts()
    numbers = [float(cell.replace(MINUS, "-")) for cell in cells]
    expected = [1, *(run[name][0] for name in ("x", "h", "dh", "factor", "term"))]
    np.testing.assert_allclose(numbers, expected, rtol=0.006, atol=1e-9)
    assert f"dw_h = {run['dw_h']:.3g}" in page.locator("main").inner_text()


def test_the_bars_are_logarithmic(show):
    page = show(web.unrolled_net([0, 0], weight_h=0.1))
    page.get_by_label("step", exact=True).fill("4")
    tall = [bar.bounding_box() for bar in page.locator(".bar").all()]
    whole = page.locator(".row.bars").bounding_box()["height"] - 2
    heights = [bar["height"] for bar in tall]  # 0.01, 0.1 and 1
    np.testing.assert_allclose(heights, [whole / 2, whole / 4, 3], atol=1.5)
    assert tall[0]["y"] == pytest.approx(tall[1]["y"], abs=0.6)  # both hang from the line of 1


def test_targets_for_a_finger(show):
    page = show(web.unrolled_net(X), width=390)
    for part in page.locator(".choice, button, summary, input[type=range]").all():
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


@pytest.mark.parametrize(
    "x, options, message",
    [
        ([1], {}, r"`x` has shape \(1,\), expected \(T,\), one input for each of 2 to 6 steps"),
        ([[1, 2]], {}, r"`x` has shape \(1, 2\), expected \(T,\)"),
        ([1, np.nan], {}, r"`x` is \[1.0, nan\], expected numbers in -3..3"),
        (X, {"h0": 2}, r"`h0` is 2, expected a number in -1..1"),
        (X, {"weight_x": "1"}, r"`weight_x` is '1', expected a number in -3..3"),
        (X, {"weight_h": 3.1}, r"`weight_h` is 3.1, expected a number in -3..3"),
        (X, {"weight_h": 0.25}, r"`weight_h` is 0.25, expected a multiple of 0.1"),
        (X, {"bias": np.inf}, r"`bias` is inf, expected a number in -3..3"),
        (X, {"loss": "first"}, r"`loss` is 'first', expected 'last' or 'every'"),
    ],
)
def test_what_is_no_unit_is_refused(x, options, message):
    with pytest.raises(ValueError, match=message):
        web.unrolled_net(x, **options)
