"""The step of a difference quotient, by slider, keys and touch, against NumPy and Taylor."""

import numpy as np
import pytest

from course_lib import web

EPS = np.finfo(float).eps
STEPS = 2.0 ** np.arange(-54, 1)
X = 1.0
KINDS = ("one-sided", "central")


def quotients(f, x, h):
    return (f(x + h) - f(x)) / h, (f(x + h) - f(x - h)) / (2 * h)


def by_value(page, n):
    page.get_by_label("step h").fill(str(n))


def by_keys(page, n):
    page.get_by_label("step h").press("Home")
    for _ in range(n):
        page.keyboard.press("ArrowRight")


def place(page, n):
    """Where step n lies on the chart of the errors, in the pixels of the screen."""
    chart = page.locator("svg.pressed")
    at = Scale(chart).pixel(np.log10(STEPS[n]))
    box = chart.bounding_box()
    return box["x"] + at * box["width"] / 340, box["y"] + box["height"] / 2


def by_mouse(page, n):
    page.mouse.click(*place(page, n))


def by_drag(page, n):
    page.mouse.move(*place(page, 54))
    page.mouse.down()
    page.mouse.move(*place(page, n), steps=5)
    page.mouse.up()


def by_touch(page, n):
    page.touchscreen.tap(*place(page, n))


class Scale:
    """The axes of a chart, from its tick labels: pixels of the drawing to decimal logarithms."""

    def __init__(self, chart):
        ticks = [
            (float(text.text_content()), float(text.get_attribute("x")))
            for text in chart.locator("text").all()
            if text.get_attribute("text-anchor") is None and text.text_content()[0] == "1"
        ]
        heights = [
            (float(text.text_content()), float(text.get_attribute("y")) - 4)
            for text in chart.locator("text[text-anchor=end]").all()
        ]
        self.x = np.polyfit([px for _, px in ticks], np.log10([h for h, _ in ticks]), 1)
        self.y = np.polyfit([py for _, py in heights], np.log10([e for e, _ in heights]), 1)
        inside = chart.locator("svg")
        self.origin = float(inside.get_attribute("x")), float(inside.get_attribute("y"))

    def pixel(self, log):
        return (log - self.x[1]) / self.x[0]

    def read(self, px, py):
        """The step and the error at a point of the inside, as logarithms."""
        left, top = self.origin
        return np.polyval(self.x, px + left), np.polyval(self.y, py + top)


def open_figure(show, **options):
    return show(web.step_size(np.sin, np.cos, X, label="sin x"), **options)


def cells(page, name):
    row = page.locator(".stage tr").filter(has_text=name)
    return [text.replace("\N{MINUS SIGN}", "-") for text in row.locator("td").all_inner_texts()]


@pytest.mark.parametrize("go", [by_value, by_keys, by_mouse, by_drag, by_touch])
@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_every_way_to_a_step(show, spoken, go, theme, width):
    page = open_figure(show, theme=theme, width=width, has_touch=True)
    for n in (2, 28, 41):
        go(page, n)
        h = STEPS[n]
        for kind, quotient in zip(KINDS, quotients(np.sin, X, h), strict=True):
            value, error = cells(page, kind)
            assert float(value) == pytest.approx(quotient, rel=1e-9)
            assert float(error) == pytest.approx(abs(quotient - np.cos(X)), rel=0.05)
            assert f"{kind} {value}, error {error}" in spoken(page)
        assert cells(page, "derivative") == [f"{np.cos(X):.10f}", ""]
        assert spoken(page).startswith(f"h is {h:.1e}:".replace("e-0", "e-"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("n", [10, 30, 50])
def test_the_marks_stand_on_the_numbers(show, n):
    page = open_figure(show)
    by_value(page, n)
    chart = page.locator("svg.pressed")
    scale = Scale(chart)
    for circle, quotient in zip(
        chart.locator("circle").all(), quotients(np.sin, X, STEPS[n]), strict=True
    ):
        at = (float(circle.get_attribute(name)) for name in ("cx", "cy"))
        expected = np.log10([STEPS[n], abs(quotient - np.cos(X))])
        np.testing.assert_allclose(scale.read(*at), expected, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_are_those_of_taylor_and_of_rounding(show, kind):
    page = open_figure(show)
    page.get_by_label(kind).check()
    chart = page.locator("svg.pressed")
    scale = Scale(chart)
    one_sided = kind == "one-sided"
    expected = {
        "truncation": (np.sin(X) / 2, 1) if one_sided else (np.cos(X) / 6, 2),
        "rounding": ((2 if one_sided else 1) * EPS * np.sin(X), -1),
    }
    for law in chart.locator(".law").all():
        factor, power = expected.pop(law.locator("text").text_content().split()[0])
        ends = law.locator("path").get_attribute("d").removeprefix("M").split("L")
        for end in ends:
            h, error = scale.read(*map(float, end.split(",")))
            assert error == pytest.approx(np.log10(factor) + power * h, abs=0.1)
    assert not expected


def test_the_chord_goes_through_its_points_and_has_the_slope_of_the_table(show):
    page = open_figure(show)
    for n, kind in ((54, 0), (54, 1), (3, 0)):
        page.get_by_role("radio").nth(kind).check()
        by_value(page, n)
        slopes = {}
        for name in ("tangent", "chord"):
            path = page.locator(f"path.{name}").get_attribute("d").removeprefix("M")
            (ax, ay), (bx, by) = (map(float, end.split(",")) for end in path.split("L"))
            slopes[name] = (ay - by) / (bx - ax)
        for point in page.locator(".charts > :first-child circle").all():
            px, py = (float(point.get_attribute(at)) for at in ("cx", "cy"))
            assert py == pytest.approx(ay - slopes["chord"] * (px - ax), abs=0.5)
        expected = quotients(np.sin, X, STEPS[n])[kind] / np.cos(X)
        assert slopes["chord"] / slopes["tangent"] == pytest.approx(expected, abs=0.01)


def test_says_which_error_rules(show):
    page = open_figure(show)
    told = page.locator(".explanation")
    by_value(page, 50)  # h = 1/16
    assert told.inner_text() == (
        "One-sided: truncation makes about 0.026, rounding up to about 6.0e-15. "
        "A smaller step helps."
    )
    by_value(page, 20)
    assert told.inner_text().endswith("A larger step helps.")
    by_value(page, 29)  # twice the root of eps, as f and its bend are equal
    assert told.inner_text().endswith("Both are about equal: the best step is near.")
    page.get_by_label("central").check()
    assert told.inner_text().startswith("Central: ")
    assert told.inner_text().endswith("A larger step helps.")
    by_value(page, 0)
    assert told.inner_text() == "x + h is x: the step is lost, and with it the slope."


def test_without_error_and_without_bend(show):
    page = show(web.step_size(lambda x: 0 * x, lambda x: 0 * x, 1.0, label="0"))
    by_value(page, 30)
    assert cells(page, "central") == ["0.000000000", "0"]
    assert page.locator(".law").count() == 0
    assert page.locator(".explanation").inner_text() == (
        "Here f and its bend are 0: neither law says anything."
    )


def test_bends_are_found_from_the_derivative():
    data = web.step_size(np.exp, np.exp, 0.5, label="exp x").data
    for kind, factor in zip(KINDS, (1 / 2, 1 / 6), strict=True):
        assert data["truncation"][kind][0] == pytest.approx(factor * np.exp(0.5), rel=1e-6)
