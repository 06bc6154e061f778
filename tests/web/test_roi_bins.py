"""Regions on a map, moved by every way there is, against the library's RoI pooling and RoIAlign."""

import json

import numpy as np
import pytest

from course_lib import web
from course_lib.numpy_layers import (
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)

H, W = 7, 9
SCALE = 1 / 8
MAP = np.random.default_rng(3).permutation(H * W).reshape(H, W) % 40
BOXES = np.array([[13.0, 9, 51, 44], [35, 20, 66, 52]])
MINUS = "\N{MINUS SIGN}"


def figure(boxes=BOXES, size=(2, 2), **options):
    return web.roi_bins(MAP, boxes, size, **({"spatial_scale": SCALE} | options))


def numbering(count, size):
    """The gradients that the figure takes: 1, 2, 3 .., and ten times as much."""
    each = np.arange(1.0, np.prod(size) + 1).reshape(size)
    return np.stack([10.0**r * each for r in range(count)])


def library(layer, x, boxes, size, scale, dy, ratio=2):
    """y, (R, PH, PW), and dx, (H, W)."""
    given = np.asarray(x, float)[None, None], np.asarray(boxes, float), np.zeros(len(boxes), int)
    if layer == "pool":
        y, cache = roi_pool_forward(*given, size, spatial_scale=scale)
        return y[:, 0], roi_pool_backward(dy[:, None], cache)[0, 0]
    y, cache = roi_align_forward(*given, size, spatial_scale=scale, sampling_ratio=ratio)
    return y[:, 0], roi_align_backward(dy[:, None], cache)[0, 0]


IN_THE_PAGE = """({ layer, x, boxes, size, scale, ratio, dy }) => {
  const { align, backward, pool } = courseFigures.regions;
  const results = boxes.map((box) => layer === "pool" ? pool(x, box, size, scale)
    : align(x, box, size, scale, ratio));
  const dx = backward([x.length, x[0].length], results, dy);
  const sum = ({ from }) => from.reduce((total, { weight, dy }) => total + weight * dy, 0);
  return { y: results.map(({ y }) => y), dx: dx.map((row) => row.map(({ sum }) => sum)),
    terms: dx.map((row) => row.map(sum)) };
}"""


@pytest.mark.parametrize("layer", ["pool", "align"])
def test_the_arithmetic_is_the_librarys(show, rng, layer):
    page = show(figure())
    empty = 0
    for _ in range(60):
        height, width = rng.integers(2, 13, 2)
        scale = float(rng.choice([1, 0.5, 1 / 8, 1 / 16, 0.3]))
        x = rng.integers(-4, 5, (height, width)).astype(float)  # with many equal numbers
        size = tuple(int(n) for n in rng.integers(1, 8, 2))
        count, ratio = int(rng.integers(1, 3)), int(rng.integers(1, 5))
        # Quarters of a cell meet every half, and a few boxes lie outside.
        cells = np.sort(rng.integers(-12, 4 * max(height, width) + 12, (count, 2, 2)), 1) / 4
        boxes = cells.reshape(count, 4) / scale
        dy = rng.integers(-9, 10, (count, *size)).astype(float)
        y, dx = library(layer, x, boxes, size, scale, dy, ratio)
        given = {"layer": layer, "x": x.tolist(), "boxes": boxes.tolist(), "size": size}
        given |= {"scale": scale, "ratio": ratio, "dy": dy.tolist()}
        got = page.evaluate(IN_THE_PAGE, given)
        empty += int((y == 0).all((1, 2)).any())
        if layer == "pool":
            np.testing.assert_array_equal(got["y"], y)
            np.testing.assert_array_equal(got["dx"], dx)
        np.testing.assert_allclose(got["y"], y, rtol=1e-12, atol=1e-12)
        for name in ("dx", "terms"):
            np.testing.assert_allclose(got[name], dx, rtol=1e-12, atol=1e-12)
    assert empty  # some regions lay outside of the map


def test_halves_go_away_from_0(show):
    page = show(figure())
    values = [-2.5, -1.5, -0.5, -0.49, 0, 0.49, 0.5, 1.5, 2.5]
    got = page.evaluate("values => values.map(courseFigures.regions.halfAway)", values)
    assert got == [-3, -2, -1, 0, 0, 0, 1, 2, 3]


def test_a_case_by_hand(show, grid):
    """Three rows into two bins: both hold the middle one, whose maximum wins twice."""
    x = [[1, 0, 0, 0], [0, 9, 0, 0], [2, 0, 0, 0], [0, 0, 0, 7]]
    page = show(web.roi_bins(x, [0, 0, 1, 2], (2, 1), spatial_scale=1, dy=[[[3], [4]]]))
    told = page.locator(".explained").inner_text()
    assert told.strip() == (
        "y[0, 0] = 9, the largest in rows 0 to 1, columns 0 to 1: that of x[1, 1]. Its dy, 3, goes "
        "to dx[1, 1], and nowhere else."
    )
    page.get_by_role("grid", name="dx,").locator('td[data-at="1,1"]').click()
    assert page.locator(".sum").inner_text() == (
        "dx[1, 1] = 3 (A, bin [0, 0]) + 4 (A, bin [1, 0]) = 7"
    )
    assert grid(page, "dx").corners("tag") == {(1, 1): "+"}


def agrees(page, grid, boxes, *, layer="pool", size=(2, 2), region=0, bin_=(0, 0), dy=None):
    """The grids, the coordinates and the drawing are those of some boxes."""
    boxes = np.asarray(boxes, float)
    dy = numbering(len(boxes), size) if dy is None else dy
    y, dx = library(layer, MAP, boxes, size, SCALE, dy)
    inputs = [page.get_by_label(name, exact=True) for name in ("x1", "y1", "x2", "y2")]
    assert [float(entry.input_value()) for entry in inputs] == list(boxes[region])
    np.testing.assert_array_equal(grid(page, "x").values(), MAP)
    np.testing.assert_allclose(grid(page, "y").values(), y[region], atol=0.051)
    np.testing.assert_allclose(grid(page, "dy").values(), dy[region])
    np.testing.assert_allclose(grid(page, "dx").values(), dx, rtol=0.006, atol=0.051)
    assert grid(page, "y").marked("picked") == {bin_}
    assert grid(page, "dx").marked("idle") == unreached(layer, boxes, size)
    for n, box in enumerate(boxes):
        rect = page.locator(f".box.region-{n}.plain .edge")
        x, y_, width, height = (float(rect.get_attribute(k)) for k in ("x", "y", "width", "height"))
        np.testing.assert_allclose(
            [x, y_, x + width, y_ + height], np.multiply(box, SCALE), atol=1e-9
        )


def unreached(layer, boxes, size):
    """The cells that nothing is taken from: where a gradient of ones gives 0."""
    _, dx = library(layer, MAP, boxes, size, SCALE, np.ones((len(boxes), *size)))
    return {tuple(at) for at in np.argwhere(dx == 0).tolist()}


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_controls(show, grid, theme, width):
    page = show(figure(), theme=theme, width=width)
    agrees(page, grid, BOXES)
    page.get_by_label("rows of y").fill("3")
    agrees(page, grid, BOXES, size=(3, 2))
    page.get_by_label("columns of y").fill("4")
    agrees(page, grid, BOXES, size=(3, 4))
    page.get_by_label("B", exact=True).check()
    agrees(page, grid, BOXES, size=(3, 4), region=1)
    grid(page, "y").cell((2, 1)).click()
    agrees(page, grid, BOXES, size=(3, 4), region=1, bin_=(2, 1))
    page.get_by_label("RoIAlign").check()
    agrees(page, grid, BOXES, layer="align", size=(3, 4), region=1, bin_=(2, 1))
    page.get_by_label("rows of y").fill("1")
    agrees(page, grid, BOXES, layer="align", size=(1, 4), region=1, bin_=(0, 1))
    grid(page, "y").cell((0, 1)).press("ArrowLeft")
    agrees(page, grid, BOXES, layer="align", size=(1, 4), region=1, bin_=(0, 0))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


class Board:
    """Points of the image, in its pixels, on the screen."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".scene svg").bounding_box()

    def point(self, x, y):
        cell = self.box["width"] / (W + 2)
        return self.box["x"] + (x * SCALE + 1) * cell, self.box["y"] + (y * SCALE + 1) * cell

    def drag(self, start, end):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=4)
        self.page.mouse.up()


@pytest.mark.parametrize("width", [1280, 390])
def test_drag(show, grid, width):
    page = show(figure(), width=width)
    board = Board(page)
    board.drag((25, 25), (33, 15))
    moved = np.add(BOXES, [[8, -10, 8, -10], [0, 0, 0, 0]])
    agrees(page, grid, moved)
    board.drag(moved[0, 2:], moved[0, 2:] + [-20, 12])
    moved[0, 2:] += [-20, 12]
    agrees(page, grid, moved)
    board.drag((62, 48), (62, 44))  # in B alone: chosen, and moved
    moved[1] += [0, -4, 0, -4]
    agrees(page, grid, moved, region=1)
    board.drag((62, 40), (200, 200))  # as far as it goes: a cell outside
    moved[1] += [80 - moved[1, 2], 64 - moved[1, 3]] * 2
    agrees(page, grid, moved, region=1)


def test_a_finger_drags_too(show, grid):
    page = show(figure(), has_touch=True, width=390)
    board = Board(page)
    session = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", (25, 25)), ("touchMove", (27, 27)), ("touchMove", (29, 31))]:
        x, y = board.point(*at)
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    agrees(page, grid, np.add(BOXES, [[4, 6, 4, 6], [0, 0, 0, 0]]))
    action = "element => getComputedStyle(element).touchAction"
    assert page.locator(".body").evaluate(action) == "none"
    assert page.locator(".scene").evaluate(action) == "auto"  # beside the region the page scrolls


def test_keys_and_numbers(show, grid):
    page = show(figure())
    page.get_by_role("application").focus()
    boxes = BOXES.copy()
    for key, by in {
        "ArrowRight": (1, 0, 1, 0),
        "ArrowUp": (0, -1, 0, -1),
        "Shift+ArrowDown": (0, 0, 0, 1),
        "Shift+ArrowLeft": (0, 0, -1, 0),
        "Control+ArrowRight": (0, 0, 0, 0),
    }.items():
        page.keyboard.press(key)
        boxes[0] += by  # an eighth of a cell is one pixel here
        agrees(page, grid, boxes)
    page.get_by_label("x1", exact=True).fill("20.5")
    boxes[0, 0] = 20.5
    agrees(page, grid, boxes)
    page.get_by_label("x1", exact=True).fill("70")  # right of x2: the last one stays
    page.get_by_label("y1", exact=True).focus()
    agrees(page, grid, boxes)


def test_rounded_region_and_bins(show, grid):
    page = show(figure(size=(2, 3)))
    # x 1.625 to 6.375, y 1.125 to 5.5 in cells: columns 2 to 6, rows 1 to 6 (half goes up).
    told = page.locator(".side > p").inner_text()
    assert told == (
        "Region A lies, in cells, at x 1.625 to 6.375, y 1.125 to 5.5. Rounded, it is rows 1 to 6, "
        "columns 2 to 6."
    )
    round_ = page.locator(".box.region-0.round .edge")
    assert [round_.get_attribute(k) for k in ("x", "y", "width", "height")] == ["2", "1", "5", "6"]
    bins = page.locator("rect.bin")
    assert bins.count() == 6
    place = {}
    for rect in bins.all():
        x, y, width, height = (float(rect.get_attribute(k)) for k in ("x", "y", "width", "height"))
        corners = [x - 0.05, y - 0.05, x + width + 0.05, y + height + 0.05]
        place[rect.get_attribute("data-bin")] = np.round(corners, 6).tolist()
    # Five columns in three bins: 2-3, 3-5, 5-6, so that neighbours share one.
    assert place["0,0"] == [2, 1, 4, 4]
    assert place["0,1"] == [3, 1, 6, 4]
    assert place["1,2"] == [5, 4, 7, 7]
    winners = grid(page, "x").marked("touched")
    expected = set()
    for rows in (slice(1, 4), slice(4, 7)):
        for columns in (slice(2, 4), slice(3, 6), slice(5, 7)):
            r, c = np.unravel_index(MAP[rows, columns].argmax(), MAP[rows, columns].shape)
            expected.add((r + rows.start, c + columns.start))
    assert winners == expected
    (picked,) = grid(page, "x").marked("picked")
    assert MAP[picked] == MAP[1:4, 2:4].max()


def test_an_empty_bin(show, grid):
    page = show(figure(boxes=[[-8, -8, -5, -5]], size=1))
    assert page.get_by_label("A", exact=True).count() == 0  # there is but one region
    assert grid(page, "y").values().tolist() == [[0]]
    assert (
        page.locator(".explained p").inner_text() == "y[0, 0] = 0: its bin has no cell of the map."
    )
    assert f"row {MINUS}1, column {MINUS}1." in page.locator(".side > p").inner_text()
    assert grid(page, "dx").values().sum() == 0


def test_the_points_of_align(show, grid):
    page = show(figure(layer="align"))
    assert page.locator(".dots").get_attribute("d").count("M") == 16
    grid(page, "y").cell((1, 0)).click()
    page.get_by_label("point").fill("3")
    # Bin [1, 0] of y 1.125 to 5.5, x 1.625 to 6.375; its third point is the lower left one.
    row, column = 1.125 + 4.375 * (0.5 + 0.75 / 2) - 0.5, 1.625 + 4.75 * 0.25 / 2 - 0.5
    ring = page.locator("circle.chosen")
    place = [float(ring.get_attribute(k)) for k in ("cy", "cx")]
    np.testing.assert_allclose(place, [row + 0.5, column + 0.5])
    r, c = int(row), int(column)
    a, b = row - r, column - c
    weights = {
        (r, c): (1 - a) * (1 - b),
        (r, c + 1): (1 - a) * b,
        (r + 1, c): a * (1 - b),
        (r + 1, c + 1): a * b,
    }
    notes = grid(page, "x").corners("note")
    assert notes.keys() == weights.keys() == grid(page, "x").marked("touched")
    for at, weight in weights.items():
        assert float(notes[at]) == pytest.approx(weight, abs=0.0051)
    value = sum(weight * MAP[at] for at, weight in weights.items())
    told = page.locator(".explained p").inner_text()
    assert told.startswith("y[1, 0] = ")
    assert float(told.removesuffix(".").split(" = ")[-1]) == pytest.approx(value, abs=6e-4)
    assert page.locator(".box.round:visible").count() == 0


def test_the_sum_of_a_cell(show, grid):
    page = show(figure(layer="align"))
    _, dx = library("align", MAP, BOXES, (2, 2), SCALE, numbering(2, (2, 2)))
    grid(page, "dx").cell((4, 5)).click()
    told = page.locator(".sum").inner_text()
    assert told.startswith("dx[4, 5] = ")
    head, *parts, total = told.replace("dx[4, 5] = ", "= ").replace(" + ", " = ").split(" = ")
    assert float(total) == pytest.approx(dx[4, 5], abs=6e-4)
    assert (4, 5) in grid(page, "dx").corners("tag")
    terms = [
        float(p.split(" · ")[0].removeprefix("= ")) * float(p.split("· ")[1].split(" ")[0])
        for p in (head, *parts)
    ]
    assert sum(terms) == pytest.approx(dx[4, 5], abs=0.01)
    grid(page, "dx").cell((0, 0)).click()
    assert page.locator(".sum").inner_text() == "dx[0, 0] = 0: no bin took anything from this cell."


def test_a_gradient_of_ones_own(show, grid):
    dy = np.arange(8.0).reshape(2, 2, 2) - 3
    page = show(figure(dy=dy))
    agrees(page, grid, BOXES, dy=dy)
    page.get_by_label("rows of y").fill("1")
    agrees(page, grid, BOXES, size=(1, 2))  # it was for another size


def test_it_is_told_when_it_has_come_to_rest(show, spoken, grid):
    page = show(figure())
    page.get_by_role("application").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        assert spoken(page) == ""
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="Region A").wait_for(state="attached")
    assert page.locator(".explained p").inner_text() in spoken(page)
    grid(page, "dx").cell((0, 0)).click()
    said.filter(has_text="dx[0, 0]").wait_for(state="attached")


@pytest.mark.parametrize("side", [5, 12])
def test_targets_for_a_finger(show, grid, side):
    page = show(web.roi_bins(np.ones((side, side)), [1, 1, 3, 3], 4, spatial_scale=1), width=390)
    parts = [grid(page, name).cell((0, 0)) for name in ("y", "dx")]
    for part in (*parts, *page.locator(".knob, .choice, input[type=number]").all()):
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_the_board_lies_on_the_cells(show, grid):
    for width in (390, 1280):
        page = show(figure(), width=width)
        board = Board(page)
        for at in ((0, 0), (H - 1, W - 1)):
            cell = grid(page, "x").cell(at).bounding_box()
            x, y = board.point(8 * at[1] + 4, 8 * at[0] + 4)
            assert x == pytest.approx(cell["x"] + cell["width"] / 2, abs=0.6)
            assert y == pytest.approx(cell["y"] + cell["height"] / 2, abs=0.6)


@pytest.mark.parametrize("layer", ["pool", "align"])
def test_static_form(show, layer):
    page = show(figure(layer=layer), java_script_enabled=False)
    y, dx = library(layer, MAP, BOXES, (2, 2), SCALE, numbering(2, (2, 2)))
    for name, array in {"x, features": MAP, "y of region B": y[1]}.items():
        cells = page.get_by_role("table", name=name, exact=True).locator("td").all_inner_texts()[1:]
        np.testing.assert_allclose([float(c) for c in cells], np.ravel(array), rtol=0.006)
    cells = page.get_by_role("table", name="dx, the sum of all").locator("td").all_inner_texts()[1:]
    np.testing.assert_allclose([float(c) for c in cells], dx.ravel(), rtol=0.02, atol=0.01)


def test_data_is_small():
    large = web.roi_bins(np.random.default_rng(0).random((12, 12)) / 3, BOXES, 7, spatial_scale=0.1)
    assert len(json.dumps(large.data)) < 2_000


GOOD = {"feature_map": MAP, "boxes": BOXES, "spatial_scale": SCALE}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"feature_map": np.ones((13, 4))},
            r"`feature_map` has shape \(13, 4\), expected \(H, W\)",
        ),
        ({"feature_map": np.ones((2, 4, 4))}, r"has shape \(2, 4, 4\).* of one channel"),
        ({"feature_map": np.full((4, 4), np.nan)}, "`feature_map` has numbers that are not finite"),
        ({"spatial_scale": 0}, "`spatial_scale` is 0, expected a number above 0"),
        ({"spatial_scale": "1"}, "`spatial_scale` is '1', expected a number above 0"),
        ({"boxes": [0, 0, 90, 9]}, "`boxes` has the box .* or 8 pixels around it"),
        ({"boxes": [9, 9, 9, 20]}, "`boxes` has the box .* expected finite x1 y1 x2 y2"),
        ({"boxes": [[0, 0, 9, 9]] * 3}, "`boxes` has 3 boxes, expected one or two"),
        ({"output_size": 8}, "`output_size` is 8, expected one or two ints, 1 to 7"),
        ({"output_size": (2, 0)}, r"`output_size` is \(2, 0\), expected one or two ints"),
        ({"output_size": 2.0}, r"`output_size` is 2\.0, expected one or two ints"),
        ({"layer": "max"}, "`layer` is 'max', expected 'pool' or 'align'"),
        ({"sampling_ratio": 0}, "`sampling_ratio` is 0, expected 1 to 4"),
        ({"dy": np.ones((1, 2, 2))}, r"`dy` has shape \(1, 2, 2\), expected \(2, 2, 2\), as the"),
        ({"dy": np.full((2, 2, 2), np.inf)}, "`dy` has numbers that are not finite"),
    ],
)
def test_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match="(?s)roi_bins: .*" + message):
        web.roi_bins(**(GOOD | change))
