"""axe-core finds nothing to mend in any figure, whatever its state, theme or width."""

import pytest

from course_lib import web

X, K, DY = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [2, -1]], [[1, 2], [3, 4]]


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


@pytest.mark.parametrize("states", [explorer, stepper, quiz])
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
