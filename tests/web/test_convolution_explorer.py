"""What the explorer shows, by mouse, keyboard and touch, against impulses through the library."""

import numpy as np
import pytest

from course_lib import web
from course_lib.numpy_layers import conv2d_backward, conv2d_forward

RNG = np.random.default_rng(0)
X = RNG.integers(-9, 10, (5, 6))
K = RNG.integers(-9, 10, (3, 2))
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
GEOMETRIES = [(1, 0), (1, 2), (2, 1), (3, 0)]  # stride, padding
CASES = [("mouse", *pair) for pair in GEOMETRIES] + [("keyboard", 2, 1), ("touch", 1, 2)]
each_case = pytest.mark.parametrize("how, stride, padding", CASES)


def convolve(x, weight, stride, padding):
    x, weight = (np.array(a, float)[None, None] for a in (x, weight))
    y, cache = conv2d_forward(x, weight, np.zeros(1), stride=stride, padding=padding)
    return y[0, 0], cache


def gradients(dy, cache):
    dx, dweight, _ = conv2d_backward(np.array(dy, float)[None, None], cache)
    return dx[0, 0], dweight[0, 0]


def touched(pixel, stride, padding):
    """Output -> the weight that `pixel` meets there, by the response to an impulse."""
    impulse, labels = np.zeros(X.shape), np.arange(1, K.size + 1).reshape(K.shape)
    impulse[pixel] = 1
    y, _ = convolve(impulse, labels, stride, padding)
    return {
        tuple(map(int, at)): tuple(map(int, np.argwhere(labels == y[tuple(at)])[0]))
        for at in np.argwhere(y)
    }


def written(value):
    return f"{value:.0f}".replace("-", MINUS)


def focus(page):
    """The table and the cell, or the control, that has the focus inside the figure."""
    return page.evaluate("""() => {
      const focused = document.activeElement.shadowRoot?.activeElement;
      if (!focused || focused.id) return focused && focused.id;
      const [name] = focused.closest("table").ariaLabel.split(",");
      return `${name} ${focused.dataset.at}`;
    }""")


def tab_to(page, name):
    for _ in range(20):
        if (focus(page) or "").startswith(name):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {name}")


def pick(page, cell, how):
    """Choose one cell of a grid with the mouse, a finger, or the keys."""
    if how == "mouse":
        cell.hover()
    elif how == "touch":
        cell.tap()
    else:
        table = cell.locator("xpath=ancestor::table").get_attribute("aria-label").split(",")[0]
        tab_to(page, table)
        page.keyboard.press("Control+Home")
        row, column = map(int, cell.get_attribute("data-at").split(","))
        for key, times in {"ArrowDown": row, "ArrowRight": column}.items():
            for _ in range(times):
                page.keyboard.press(key)


def open_explorer(show, how, stride, padding):
    """A page with the explorer, and what the library computes for it: y, dy, dx, dweight."""
    y, cache = convolve(X, K, stride, padding)
    dy = np.arange(1, y.size + 1).reshape(y.shape)
    figure = web.convolution_explorer(X, K, dy=dy, stride=stride, padding=padding)
    return show(figure, has_touch=how == "touch"), y, dy, *gradients(dy, cache)


@each_case
def test_pixel(show, grid, spoken, how, stride, padding):
    page, _, _, dx, _ = open_explorer(show, how, stride, padding)
    for pixel in [(0, 0), (2, 3), (4, 5)]:
        pick(page, grid(page, "x").cell(pixel), how)
        expected = touched(pixel, stride, padding)

        assert grid(page, "x").marked("picked") == grid(page, "dx").marked("picked") == {pixel}
        assert grid(page, "dy").marked("touched") == set(expected)
        assert grid(page, "k").marked("touched") == set(expected.values())
        assert grid(page, "dy").corners("note") == {
            output: f"\N{MULTIPLICATION SIGN}{written(K[weight])}"
            for output, weight in expected.items()
        }
        by_letter = {letter: w for w, letter in grid(page, "k").corners("tag").items()}
        letters = grid(page, "dy").corners("tag")
        assert {output: by_letter[letter] for output, letter in letters.items()} == expected
        assert page.locator(".sum .numbers").count() == len(expected)
        assert page.locator(".total").inner_text() == written(dx[pixel])
        name = f"x[{pixel[0]}, {pixel[1]}]"
        if expected:
            assert spoken(page).startswith(f"{name} touches {len(expected)} output")
        else:
            assert spoken(page).startswith(f"No window touches {name}: its gradient is 0.")
        assert spoken(page).endswith(f"{written(dx[pixel])}.")


@each_case
def test_weight(show, grid, spoken, how, stride, padding):
    page, y, _, _, dweight = open_explorer(show, how, stride, padding)
    for weight in [(0, 0), (2, 1)]:
        pick(page, grid(page, "k").cell(weight), how)

        met = {
            pixel
            for pixel in np.ndindex(X.shape)
            if weight in touched(pixel, stride, padding).values()
        }
        for name in ("k", "dweight"):
            assert grid(page, name).marked("picked") == {weight}
        assert grid(page, "x").marked("touched") == met
        assert grid(page, "dy").marked("touched") == set(np.ndindex(y.shape))
        assert page.locator(".sum .numbers").count() == y.size
        assert page.locator(".total").inner_text() == written(dweight[weight])
        assert spoken(page).endswith(f"{written(dweight[weight])}.")


@each_case
def test_output(show, grid, spoken, how, stride, padding):
    page, y, _, _, _ = open_explorer(show, how, stride, padding)
    output = (y.shape[0] - 1, 0)
    pick(page, grid(page, "y").cell(output), how)

    window = {pixel for pixel in np.ndindex(X.shape) if output in touched(pixel, stride, padding)}
    assert grid(page, "x").marked("touched") == window
    assert grid(page, "k").marked("touched") == set(np.ndindex(K.shape))
    assert page.locator(".total").inner_text() == written(y[output])
    assert f"y[{output[0]}, 0] is " in spoken(page)
    assert spoken(page).endswith(f"which is {written(y[output])}.")


@pytest.mark.parametrize("stride, padding", GEOMETRIES)
def test_values(show, grid, stride, padding):
    page, y, dy, dx, dweight = open_explorer(show, "mouse", stride, padding)
    shown = {"x": X, "k": K, "y": y, "dy": dy, "dx": dx, "dweight": dweight}
    for name, expected in shown.items():
        np.testing.assert_array_equal(grid(page, name).values(), expected, err_msg=name)


@pytest.mark.parametrize(
    "moves, stride, padding",
    [
        ([("stride", "ArrowRight")], 2, 0),
        ([("padding", "End")], 1, 2),
        ([("stride", "End"), ("padding", "ArrowRight"), ("padding", "ArrowLeft")], 3, 0),
    ],
)
def test_sliders(show, grid, spoken, moves, stride, padding):
    page = show(web.convolution_explorer(X, K))
    for name, key in moves:
        tab_to(page, name)
        page.keyboard.press(key)

    y, cache = convolve(X, K, stride, padding)
    dx, dweight = gradients(np.ones(y.shape), cache)
    for name, expected in {"y": y, "dx": dx, "dweight": dweight}.items():
        np.testing.assert_array_equal(grid(page, name).values(), expected, err_msg=name)
    idle = {pixel for pixel in np.ndindex(X.shape) if not touched(pixel, stride, padding)}
    assert grid(page, "x").marked("idle") == grid(page, "dx").marked("idle") == idle
    size = f"the output is {y.shape[0]} by {y.shape[1]}."
    assert spoken(page).startswith(f"Stride {stride}, padding {padding}: {size}")
    assert (f"No window touches {len(idle)} pixels" in spoken(page)) == bool(idle)


def test_dy_is_repeated_to_the_new_size(show, grid):
    dy = np.arange(1, 16).reshape(3, 5)
    page = show(web.convolution_explorer(X, K, dy=dy))
    page.get_by_label("padding").fill("2")
    np.testing.assert_array_equal(grid(page, "dy").values(), np.tile(dy, (3, 2))[:7, :9])


def test_a_pick_survives_as_long_as_it_exists(show, grid):
    page = show(web.convolution_explorer(X, K))
    grid(page, "y").cell((2, 4)).click()
    page.get_by_label("padding").fill("1")
    assert grid(page, "y").marked("picked") == {(2, 4)}
    page.get_by_label("stride").fill("3")
    assert grid(page, "y").marked("picked") == set()
    assert page.locator(".explanation").inner_text().startswith("Point at a pixel of x")


@pytest.mark.parametrize("twin, name", [("dx", "x"), ("dweight", "k"), ("dy", "y")])
def test_a_gradient_picks_what_it_belongs_to(show, grid, twin, name):
    page = show(web.convolution_explorer(X, K))
    grid(page, twin).cell((1, 1)).hover()
    assert grid(page, name).marked("picked") == {(1, 1)}


def test_keys(show, grid, spoken):
    page = show(web.convolution_explorer(X, K))
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(focus(page))
    assert order == ["stride", "padding", "x 0,0", "k 0,0", "y 0,0", None]

    tab_to(page, "x")
    for key, expected in [
        ("ArrowRight", "0,1"),
        ("ArrowDown", "1,1"),
        ("End", "1,5"),
        ("ArrowRight", "1,5"),  # stays at the edge
        ("Home", "1,0"),
        ("Control+End", "4,5"),
        ("ArrowUp", "3,5"),
        ("ArrowLeft", "3,4"),
    ]:
        page.keyboard.press(key)
        assert focus(page) == f"x {expected}"
        assert grid(page, "x").marked("picked") == {tuple(map(int, expected.split(",")))}

    page.keyboard.press("Escape")
    assert grid(page, "x").marked("picked") == set()
    assert spoken(page).startswith("Nothing is picked.")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert focus(page) == "x 3,4"  # back where one was


def test_terms_on_the_padding_say_so(show, grid):
    page = show(web.convolution_explorer(X, K, padding=1))
    grid(page, "y").cell((0, 0)).click()
    names = page.locator(".names").all_inner_texts()
    assert names[0] == "A padding · k[0, 0]"
    assert names[3] == "D x[0, 0] · k[1, 1]"


def test_a_short_sum_is_read_out(show, grid, spoken):
    page = show(web.convolution_explorer([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [2, -1]]))
    grid(page, "y").cell((1, 0)).click()
    sum_ = f"4 times 1 plus 5 times 0 plus 7 times 2 plus 8 times {MINUS}1, which is 10."
    assert spoken(page) == f"y[1, 0] sees 4 pixels, each under its weight. y[1, 0] is {sum_}"


def test_a_long_sum_is_not_read_out(show, grid, spoken):
    page = show(web.convolution_explorer(X, K))
    grid(page, "k").cell((0, 0)).click()
    assert page.locator(".sum .numbers").count() == 15
    assert "times" not in spoken(page).split("dweight")[1]


def test_numbers_that_are_not_whole(show, grid):
    page = show(web.convolution_explorer([[0.5, -1 / 3]], [[2.0]]))
    assert grid(page, "x").table.locator(".value").all_inner_texts() == ["0.5", f"{MINUS}0.333"]
