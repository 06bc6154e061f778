"""Recorded runs: curves against NumPy, choices, pins, the map, and every refusal."""

import numpy as np
import pytest

from course_lib import web
from course_lib.data import load_recording

AXES = {"layers": "layers", "kind": "network", "norm": "normalisation"}
OPTIONS = {"curve": "errors", "curve_name": "training error", "curve_unit": "%"}
OPTIONS |= {"finals": {"training error": None, "test error": "error"}}
RUNS = load_recording("residual")["runs"]
LINES = """at => document.querySelector("course-recorded-runs").settings.get(at).lines
  .map((line) => line.map(([, y]) => y))"""


def figure(**more):
    start = {"layers": 20, "kind": "plain", "norm": "batch norm"}
    return web.recorded_runs(RUNS, AXES, **OPTIONS | {"start": start} | more)


def words(page):
    return page.locator(".words").inner_text()


@pytest.mark.parametrize(
    "at, setting",
    [("1,0,0", (20, "plain", "batch norm")), ("3,1,1", (56, "residual", "none"))],
)
def test_the_curves_are_the_medians(show, at, setting):
    found = np.array(show(figure()).evaluate(LINES, at), dtype=float)
    group = [r["errors"] for r in RUNS if (r["layers"], r["kind"], r["norm"]) == setting]
    curves = np.array(group, dtype=float)
    worst = np.where(np.isnan(curves), np.inf, curves)
    median = np.sort(worst, axis=0)[1]
    np.testing.assert_allclose(found[0], np.where(np.isinf(median), np.nan, median), atol=0.02)
    np.testing.assert_allclose(found[1], np.nanmin(curves, axis=0), atol=0.02)
    np.testing.assert_allclose(found[2], np.nanmax(curves, axis=0), atol=0.02)


def test_a_logarithmic_axis(show):
    runs = [
        {"a": a, "b": b, "seed": 0, "loss": [1, 0.1 * (1 + a)], "end": b}
        for a in (0, 1)
        for b in (0, 1)
    ]
    page = show(
        web.recorded_runs(
            runs,
            {"a": "a", "b": "b"},
            curve="loss",
            curve_name="loss",
            finals={"end": "end"},
            limits=(0.15, 10),
            logarithmic=True,
        )
    )
    found = 10 ** np.array(page.evaluate(LINES, "0,0"), dtype=float)[0]
    np.testing.assert_allclose(found, [1, 0.15], rtol=2e-3)


def test_choices_the_map_and_words(show, spoken):
    page = show(figure())
    assert words(page).startswith("Layers 20, network plain, normalisation batch norm: training")
    page.get_by_label("residual").check()
    assert "network residual" in words(page)
    cells = page.locator(".map td:not(.corner)")
    assert cells.all_inner_texts() == ["0", "0", "0.14", "0", "0.69", "0", "48", "0"]
    cells.nth(6).click()
    assert page.get_by_label("56", exact=True).is_checked()
    assert "Layers 56, network plain" in words(page)
    page.locator("p.unseen[role=status]").filter(has_text="Layers 56").wait_for(state="attached")
    assert spoken(page) == words(page)
    page.get_by_label("zero start").check()
    assert words(page).endswith("not recorded.")
    assert page.get_by_role("button", name="Pin").get_attribute("aria-disabled") == "true"


FOCUSED = """() => {
  const focused = document.activeElement.shadowRoot.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(focused);
  return [focused.tagName, focused.textContent, outlineStyle, outlineWidth];
}"""


def test_the_map_by_keyboard(show):
    page = show(figure())
    grid = page.get_by_role("grid", name="training error in %; rows: layers")
    cells = page.locator(".map td:not(.corner)")  # 8, 20, 32, 56 layers; plain, residual
    assert grid.count() == 1
    assert [cell.get_attribute("tabindex") for cell in cells.all()].index("0") == 2
    before = words(page)
    page.locator("#final").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == ["TD", "0.14", "solid", "3px"]
    for key, text in [
        ("ArrowUp", "0"),
        ("ArrowUp", "0"),  # there is no row above
        ("ArrowDown", "0.14"),
        ("ArrowDown", "0.69"),
        ("ArrowDown", "48"),
        ("End", "0"),
        ("ArrowRight", "0"),
        ("ArrowLeft", "48"),
        ("End", "0"),
        ("Home", "48"),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED)[1] == text, key
    assert words(page) == before  # looking around chooses nothing
    page.keyboard.press("Enter")
    assert words(page).startswith("Layers 56, network plain")
    assert cells.nth(6).get_attribute("aria-current") == "true"
    assert cells.nth(2).get_attribute("aria-current") is None
    assert page.evaluate(FOCUSED)[1] == "48"  # the focus stays where it was
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert words(page).startswith("Layers 56, network residual")
    assert [cell.get_attribute("tabindex") for cell in cells.all()].count("0") == 1


def test_the_map_of_other_axes(show):
    page = show(figure())
    page.locator("#map").select_option("1,2")
    cells = page.locator(".map td:not(.corner)")
    assert len(cells.all_inner_texts()) == 6
    cells.nth(4).focus()
    page.keyboard.press("Enter")
    assert words(page).startswith("Layers 20, network residual, normalisation none")


def test_a_run_that_diverged_is_said(show):
    page = show(figure(start={"layers": 56, "kind": "residual", "norm": "none"}))
    diverged = sum(
        r["error"] is None
        for r in RUNS
        if (r["layers"], r["kind"], r["norm"]) == (56, "residual", "none")
    )
    assert f"{diverged} of 3 runs diverged" in words(page)
    gone = "at => document.querySelector('course-recorded-runs').settings.get(at).lines[0].at(-1)"
    page = show(web.recorded_runs(DIVERGED, {"a": "a", "b": "b"}, **FEW))
    assert page.locator(".map td:not(.corner)").all_inner_texts() == ["div.", "1", "0", "1"]
    assert page.evaluate(gone, "0,0") == [2, None]


DIVERGED = [
    {"a": a, "b": b, "seed": 0, "loss": [2, a + b or None], "end": b if a or b else None}
    for a in (0, 1)
    for b in (0, 1)
]
FEW = {"curve": "loss", "curve_name": "loss", "finals": {"end": "end"}}


def test_the_values_of_an_axis_stand_in_a_row(show):
    page = show(figure())
    tops = [page.get_by_label(n, exact=True).bounding_box()["y"] for n in ("8", "20", "32", "56")]
    assert len(set(tops)) == 1
    border = "fieldset => getComputedStyle(fieldset).borderTopWidth"
    assert page.locator("fieldset").first.evaluate(border) == "0px"


def test_pins_by_keyboard(show):
    page = show(figure())
    pin = page.get_by_role("button", name="Pin")
    for n, layers in enumerate(("8", "32", "56")):
        page.get_by_label(layers, exact=True).check()
        pin.press("Enter")
        assert page.locator(".pins .key").nth(n + 1).inner_text().startswith("ABC"[n])
    page.get_by_label("20", exact=True).check()
    assert pin.get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Take B off").press("Enter")
    assert page.locator(".pins .key").count() == 3
    assert pin.get_attribute("aria-disabled") == "false"


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_no_violations(show, violations, theme, width):
    pinned = [{"layers": 56, "kind": kind, "norm": "batch norm"} for kind in ("plain", "residual")]
    page = show(figure(pinned=pinned), theme=theme, width=width)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_static_form(show):
    page = show(figure(), java_script_enabled=False)
    assert "56\t47.6\t0" in page.locator("main").inner_text()
    assert "8 | not run | 0.42" in repr(figure())
    assert len(figure()._repr_html_()) < 60_000


@pytest.mark.parametrize(
    "runs, axes, options, message",
    [
        ([], AXES, {}, "`runs` is empty"),
        (RUNS, {"layers": "layers"}, {}, "`axes` has 1 fields, expected 2 to 5"),
        (RUNS, AXES | {"width": "width"}, {}, "run 0 has no `width`"),
        (RUNS, AXES, {"finals": {}}, "`finals` is empty"),
        (RUNS, AXES, {"x": [1, 2]}, r"the lists of `errors` have the lengths \[15\], expected 2"),
        (RUNS, AXES, {"limits": (2, 1)}, "`limits` are 2 and 1, expected the lower one first"),
        (RUNS, AXES, {"logarithmic": True}, "and above 0, as the axis is logarithmic"),
        (RUNS, AXES, {"start": {"layers": 8}}, "`start` has layers, expected a value for each"),
        (
            RUNS,
            AXES,
            {"start": {"layers": 9, "kind": "plain", "norm": "none"}},
            "`start` has layers 9, expected one of 8, 20, 32, 56",
        ),
        (
            RUNS,
            AXES,
            {"pinned": [{"layers": 8, "kind": "plain", "norm": "zero start"}]},
            "`pinned` has 1 settings, expected up to 3, all of them recorded",
        ),
        (RUNS, AXES, {"map_axes": ("layers", "layers")}, "`map_axes` is .*, expected two of"),
        (RUNS[:15], AXES, {}, "`layers` has 1 values in `runs`, expected 2 to 12"),
    ],
)
def test_says_what_is_wrong(runs, axes, options, message):
    with pytest.raises(ValueError, match=f"recorded_runs: .*{message}"):
        web.recorded_runs(runs, axes, **OPTIONS | options)
