"""Both views of the stepper, by buttons, slider and keys, to the result worked by hand."""

import numpy as np
import pytest

from course_lib import web
from course_lib.numpy_layers import conv2d_backward, conv2d_forward

X = np.arange(1, 10).reshape(3, 3)
K = np.array([[1, 0], [2, -1]])
DY = np.array([[1, 2], [3, 4]])
DX = np.array([[1, 2, 0], [5, 7, -2], [6, 5, -4]])
DWEIGHT = np.array([[37, 47], [67, 77]])
FLIPPED = "as one correlation with the flipped kernel"
TIMES = "\N{MULTIPLICATION SIGN}"


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


def open_stepper(show, x=X, weight=K, dy=DY, **options):
    geometry = {key: options.pop(key) for key in ("stride", "padding") if key in options}
    return show(web.backward_stepper(x, weight, dy, **geometry), has_touch=True, **options)


def partial_gradients(x, weight, dy, outputs, stride=1, padding=0):
    """dx and dweight of the first `outputs` numbers of dy, row by row, by the library."""
    x, weight, dy = (np.array(a, float)[None, None] for a in (x, weight, dy))
    _, cache = conv2d_forward(x, weight, np.zeros(1), stride=stride, padding=padding)
    kept = np.where(np.arange(dy.size).reshape(dy.shape) < outputs, dy, 0)
    dx, dweight, _ = conv2d_backward(kept, cache)
    return dx[0, 0], dweight[0, 0]


@pytest.mark.parametrize("go_on", WAYS)
def test_output_by_output(show, grid, spoken, go_on):
    page = open_stepper(show)
    np.testing.assert_array_equal(grid(page, "dx").values(), 0)
    for step in range(1, 5):
        go_on(page, 1)
        before, after = (partial_gradients(X, K, DY, outputs) for outputs in (step - 1, step))
        for name, old, new in zip(("dx", "dweight"), before, after, strict=True):
            np.testing.assert_array_equal(grid(page, name).values(), new)
            gains = grid(page, name).corners("note")
            assert set(gains) == grid(page, name).marked("touched")
            for at, gain in gains.items():
                assert int(gain.replace("\N{MINUS SIGN}", "-")) == new[at] - old[at]
        output = divmod(step - 1, 2)
        assert grid(page, "dy").marked("picked") == grid(page, "y").marked("picked") == {output}
        window = {(output[0] + a, output[1] + b) for a, b in np.ndindex(2, 2)}
        assert grid(page, "x").marked("touched") == grid(page, "dx").marked("touched") == window
    np.testing.assert_array_equal(grid(page, "dx").values(), DX)
    np.testing.assert_array_equal(grid(page, "dweight").values(), DWEIGHT)
    assert spoken(page).startswith("Step 4 of 4. dy[1, 1] is 4. It adds 4 times k to dx[1:3, 1:3]")
    assert spoken(page).endswith("dweight is [[37, 47], [67, 77]].")


@pytest.mark.parametrize("go_on", WAYS)
def test_flipped_kernel(show, grid, spoken, go_on):
    page = open_stepper(show)
    page.get_by_label(FLIPPED).check()
    np.testing.assert_array_equal(grid(page, "k").values(), K)
    go_on(page, 1)
    assert spoken(page).startswith("Step 1 of 10. Turn the kernel by 180 degrees")
    np.testing.assert_array_equal(grid(page, "k").values(), np.rot90(K, 2))
    assert grid(page, "k").corners("tag") == {
        (0, 0): "1,1",
        (0, 1): "1,0",
        (1, 0): "0,1",
        (1, 1): "0,0",
    }
    padded = np.pad(DY, 1)
    np.testing.assert_array_equal(grid(page, "dy").values(), padded)
    for n, pixel in enumerate(np.ndindex(3, 3), start=1):
        go_on(page, 1)
        shown = grid(page, "dx").values()
        np.testing.assert_array_equal(shown.ravel()[:n], DX.ravel()[:n])
        assert np.isnan(shown.ravel()[n:]).all()
        assert grid(page, "dx").marked("picked") == {pixel}
        window = {(pixel[0] + a, pixel[1] + b): np.rot90(K, 2)[a, b] for a, b in np.ndindex(2, 2)}
        assert grid(page, "dy").corners("note") == {
            at: f"{TIMES}{k}".replace("-", "\N{MINUS SIGN}") for at, k in window.items()
        }
        assert spoken(page).endswith(f"which is {DX[pixel]}.".replace("-", "\N{MINUS SIGN}"))


@pytest.mark.parametrize("stride, padding", [(1, 1), (2, 0), (2, 1), (3, 2)])
def test_other_geometries(show, grid, stride, padding):
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-9, 10, (5, 6)), rng.integers(-9, 10, (3, 2))
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n, k in ((5, 3), (6, 2)))
    dy = rng.integers(-9, 10, (rows, columns))
    dx, dweight = partial_gradients(x, weight, dy, dy.size, stride, padding)

    page = open_stepper(show, x, weight, dy, stride=stride, padding=padding)
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("End")
    np.testing.assert_array_equal(grid(page, "dx").values(), dx)
    np.testing.assert_array_equal(grid(page, "dweight").values(), dweight)
    suffix = "_pad" if padding else ""
    assert f"x{suffix}[" in page.locator("pre").inner_text()

    page.get_by_label(FLIPPED).check()
    page.get_by_role("slider").press("End")
    np.testing.assert_array_equal(grid(page, "dx").values(), dx)


def test_the_lines_of_code_are_what_happens(show):
    page = open_stepper(show)
    dx, dweight = np.zeros(X.shape), np.zeros(K.shape)
    for _ in range(4):
        click_next(page, 1)
        names = {"dx": dx, "dweight": dweight, "x": X, "k": K}
        exec(page.locator("pre").inner_text(), names)  # as a reader would paste them
        dweight = names["dweight"]
    np.testing.assert_array_equal(dx, DX)
    np.testing.assert_array_equal(dweight, DWEIGHT)


def test_ends_keep_the_focus(show):
    page = open_stepper(show)
    back, on = (page.get_by_role("button", name=name) for name in ("Previous", "Next"))
    assert back.get_attribute("aria-disabled") == "true"
    click_next(page, 4)
    page.keyboard.press("Enter")  # one more than there are
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "4 of 4"
    assert on.get_attribute("aria-disabled") == "true"
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "Next"
    back.click()
    assert page.get_by_role("slider").input_value() == "3"


def test_play_walks_to_the_end_and_stops(show):
    page = open_stepper(show)
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(2500)
    assert page.get_by_role("slider").input_value() == "2"
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(5000)
    assert page.get_by_role("slider").input_value() == "2"
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(20_000)
    assert page.get_by_role("slider").input_value() == "4"
    page.get_by_role("button", name="Play").click()  # starts anew
    assert page.get_by_role("slider").input_value() == "0"


@pytest.mark.parametrize("motion, turns", [("no-preference", True), ("reduce", False)])
def test_the_kernel_turns_unless_motion_is_unwanted(show, motion, turns):
    page = open_stepper(show, reduced_motion=motion)
    page.get_by_label(FLIPPED).check()
    click_next(page, 2)
    kernel = page.locator("table[aria-label^='k,']")  # its style says so, also when it has turned
    assert (kernel.evaluate("t => getComputedStyle(t).animationName") == "turn") == turns
    window = page.locator(".window")
    assert (window.evaluate("w => getComputedStyle(w).transitionDuration") != "0s") == turns


def test_the_window_lies_on_its_cells(show, grid):
    page = open_stepper(show, reduced_motion="reduce")
    page.get_by_label(FLIPPED).check()
    page.get_by_role("slider").fill("7")  # dx[1, 2]
    window = page.locator(".window").bounding_box()
    first, last = (grid(page, "dy").cell(at).bounding_box() for at in ((1, 2), (2, 3)))
    assert window["x"] == pytest.approx(first["x"] - 2, abs=1)
    assert window["y"] == pytest.approx(first["y"] - 2, abs=1)
    assert window["x"] + window["width"] == pytest.approx(last["x"] + last["width"] + 2, abs=1)
    assert window["y"] + window["height"] == pytest.approx(last["y"] + last["height"] + 2, abs=1)
