"""A window that moves over a scene, by every way to move it, against the arrays handed in."""

import json

import numpy as np
import pytest

from course_lib import web
from course_lib.detection import box_iou, merge_boxes
from course_lib.web.windows import mean_box, spread

H, W = 60, 90
h, w = 4, 6
WINDOW, STRIDE, ORIGIN = (24, 30), (12, 12), (0, 0)
RNG = np.random.default_rng(0)
TRUTH = np.array([30.0, 18, 54, 40])
SCORES = RNG.random((h, w)).round(3)
SCORES[1, 2] = 0.999
BOXES = (TRUTH + RNG.normal(0, 3, (h, w, 4))).round(1)
ROWS, COLUMNS = np.indices((h, w))
WINDOWS = np.stack([12 * COLUMNS, 12 * ROWS, 12 * COLUMNS + 30, 12 * ROWS + 24], -1).astype(float)


def figure(**options):
    given = {"window": WINDOW, "stride": STRIDE, "truth": TRUTH} | options
    return web.window_and_box(RNG.random((H, W)), SCORES, BOXES, **given)


def centre(box):
    return np.reshape(box, (-1, 2, 2)).mean(1)


def far(a, b):
    return np.linalg.norm(centre(a) - centre(b))


def pixels(length):
    text = f"{length:.1f}"
    return f"{text.removesuffix('.0')} px"


def iou(box, truth=TRUTH):
    return box_iou(np.reshape(box, (-1, 4)), np.reshape(truth, (-1, 4))).max()


def drawn(page, role):
    """A box as it is drawn, x1 y1 x2 y2."""
    rect = page.locator(f"g.box.{role} .edge").first
    x, y, width, height = (float(rect.get_attribute(n)) for n in ("x", "y", "width", "height"))
    return [x, y, x + width, y + height]


def stands(page, cell, before=None):
    """The figure shows a cell, having come from another."""
    assert drawn(page, "window") == WINDOWS[cell].tolist()
    np.testing.assert_allclose(drawn(page, "predicted"), BOXES[cell])
    values = [page.get_by_role("slider", name=n).input_value() for n in ("row", "column")]
    assert values == [str(at + 1) for at in cell]
    here = page.locator(".here")
    assert [here.get_attribute("y"), here.get_attribute("x")] == [str(10 * at) for at in cell]
    told = page.locator(".told").inner_text()
    assert told.startswith(f"Row {cell[0] + 1}, column {cell[1] + 1}: score {SCORES[cell]:.2f}.")
    assert f"IoU of the box with the true one: {iou(BOXES[cell]):.2f}." in told
    if before is not None:
        window = pixels(far(WINDOWS[before], WINDOWS[cell]))
        box = pixels(far(BOXES[before], BOXES[cell]))
        assert f"The window moved {window}, the box {box}." in told


class Scene:
    """Points of the scene, in its pixels, on the screen."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".scene svg").bounding_box()

    def point(self, x, y):
        scale = self.box["width"] / W
        return self.box["x"] + x * scale, self.box["y"] + y * scale

    def drag(self, start, end):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=5)
        self.page.mouse.up()


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_drag_and_press(show, theme, width):
    page = show(figure(), theme=theme, width=width)
    stands(page, (1, 2))  # the best score
    scene = Scene(page)
    scene.drag((40, 25), (40 + 25, 25 + 14))
    stands(page, (2, 4), (1, 2))  # counted from where the drag began
    scene.drag((60, 30), (200, 200))
    stands(page, (3, 5), (2, 4))
    page.mouse.click(*scene.point(16, 20))  # beside the window: its middle goes there
    stands(page, (1, 0), (3, 5))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_drags_too(show):
    page = show(figure(), has_touch=True, width=390)
    scene = Scene(page)
    session = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", (40, 25)), ("touchMove", (45, 25)), ("touchMove", (53, 13))]:
        x, y = scene.point(*at)
        points = [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    stands(page, (0, 3), (1, 2))
    action = "element => getComputedStyle(element).touchAction"
    assert page.locator(".body").evaluate(action) == "none"
    assert page.locator(".scene").evaluate(action) == "auto"  # beside the window the page scrolls
    page.touchscreen.tap(*scene.point(16, 50))
    page.locator(".told").filter(has_text="Row 4").wait_for()
    stands(page, (3, 0), (0, 3))


@pytest.mark.parametrize("place", [0, 1])
def test_keys(show, place):
    page = show(figure())
    page.get_by_role("application").nth(place).focus()
    cell = (1, 2)
    for key, (dr, dc) in {
        "ArrowRight": (0, 1),
        "ArrowDown": (1, 0),
        "ArrowLeft": (0, -1),
        "ArrowUp": (-1, 0),
    }.items():
        page.keyboard.press(key)
        after = cell[0] + dr, cell[1] + dc
        stands(page, after, cell)
        cell = after
    for key in ("Control+ArrowUp", "Alt+ArrowRight", "Home"):
        page.keyboard.press(key)
    stands(page, cell)
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    stands(page, (0, 2), (1, 2))


def test_sliders_and_map(show):
    page = show(figure())
    page.get_by_role("slider", name="row").fill("4")
    stands(page, (3, 2), (1, 2))
    page.get_by_role("slider", name="column").fill("1")
    stands(page, (3, 0), (3, 2))
    page.locator(".cell").nth(11).click()
    stands(page, (1, 5), (3, 0))
    assert page.locator("text.score").all_text_contents()[:2] == [
        f"{score:.2f}"[1:] for score in SCORES[0, :2]
    ]


def all_boxes(page, what):
    rects = page.locator(f".of-{what} rect").all()
    found = [[float(r.get_attribute(n)) for n in ("x", "y", "width", "height")] for r in rects]
    boxes = [[x, y, x + width, y + height] for x, y, width, height in found]
    return sorted(np.round(boxes, 6).tolist())


@pytest.mark.parametrize("stop", [0, 9, 17])
def test_all_at_once(show, stop):
    page = show(figure())
    page.get_by_role("slider", name="threshold").fill(str(stop))
    threshold = (stop + 1) / 20
    over = threshold <= SCORES
    assert page.locator(".every rect").count() == 0
    for name in ("all windows", "all boxes", "merged box"):
        page.get_by_label(name).check()
    assert all_boxes(page, "windows") == sorted(WINDOWS[over].tolist())
    np.testing.assert_allclose(all_boxes(page, "boxes"), sorted(BOXES[over].tolist()), atol=1e-6)
    shares = [r.get_attribute("style") for r in page.locator(".of-boxes rect").all()]
    assert shares == [f"--share: {np.floor(100 * s + 0.5):.0f}%" for s in sorted(SCORES[over])]
    framed = page.locator("path.over").get_attribute("d").count("M")
    assert framed == over.sum()

    weights = SCORES[over] / SCORES[over].sum()
    merged = (weights[:, None] * BOXES[over]).sum(0)
    np.testing.assert_allclose(drawn(page, "merged"), merged, atol=0.051)
    windows, boxes = (
        np.sqrt(((centre(b[over]) - centre(b[over]).mean(0)) ** 2).sum(1).mean())
        for b in (WINDOWS, BOXES)
    )
    many = f"{over.sum()} window{'s' if over.sum() > 1 else ''}"
    assert page.locator(".summary").inner_text() == (
        f"{many} with a score of {threshold:.2f} or more: their centres spread over "
        f"{pixels(windows)}, those of their boxes over {pixels(boxes)}. IoU of the merged box with "
        f"the true one: {iou(merged.round(1)):.2f}."
    )
    page.get_by_label("merged box").uncheck()
    assert not page.locator("g.box.merged").is_visible()


def test_two_objects_and_a_merge_of_their_own(show):
    boxes = BOXES.copy()
    boxes[:, 3:] += [30, 5, 30, 5]
    calls = []

    def merge(found, scores):
        calls.append(len(found))
        right = found[:, 0] > 45
        groups = [found[side].mean(0) for side in (~right, right) if side.any()]
        return np.array(groups), "what else it returns"

    truth = [TRUTH, TRUTH + np.array([30, 5, 30, 5])]
    given = {"window": WINDOW, "stride": STRIDE, "truth": truth, "merge": merge}
    page = show(web.window_and_box(np.zeros((H, W)), SCORES, boxes, threshold=0.3, **given))
    assert calls == [(t / 20 <= SCORES).sum() for t in range(1, 20)]
    over = SCORES >= 0.3
    found = boxes[over]
    right = found[:, 0] > 45
    merged = np.stack([found[side].mean(0) for side in (~right, right)]).round(1)
    groups = np.linalg.norm(centre(found)[:, None] - centre(merged), axis=2).argmin(1)
    expected = []
    for b in (WINDOWS[over], found):
        parts = [centre(b[groups == g]) for g in (0, 1)]
        apart = np.concatenate([part - part.mean(0) for part in parts])
        expected.append(pixels(np.sqrt((apart**2).sum(1).mean())))
    text = page.locator(".summary").inner_text()
    fits = ", ".join(f"{iou(box, truth):.2f}" for box in merged)
    assert text == (
        f"{over.sum()} windows with a score of 0.30 or more: their centres spread over "
        f"{expected[0]}, those of their boxes over {expected[1]} around 2 merged boxes. IoU of the "
        f"merged boxes with the true ones: {fits}."
    )
    page.get_by_label("merged box").check()
    assert page.locator("g.box.merged:visible").count() == 2
    assert spread(found, merged) == pytest.approx(float(expected[1].removesuffix(" px")), abs=0.051)


def test_the_librarys_merge(show):
    """What `merge_boxes` returns can be shown as it is."""
    page = show(figure(merge=merge_boxes, threshold=0.7))
    over = SCORES >= 0.7
    expected = merge_boxes(BOXES[over], SCORES[over]).boxes
    page.get_by_label("merged box").check()
    assert page.locator("g.box.merged:visible").count() == len(expected)
    np.testing.assert_allclose(drawn(page, "merged"), expected[0], atol=0.051)


def test_a_threshold_that_nothing_reaches(show):
    low = web.window_and_box(np.zeros((H, W)), 0.5 * SCORES, BOXES, window=WINDOW, stride=STRIDE)
    page = show(low)
    assert "IoU" not in page.locator(".told").inner_text()  # no truth is known
    page.get_by_role("slider", name="threshold").fill("14")
    for name in ("all windows", "all boxes", "merged box"):
        page.get_by_label(name).check()
    assert page.get_by_text("No window reaches a score of 0.75.").count() >= 1
    assert page.locator(".every rect").count() == 0
    assert not page.locator("g.box.merged").is_visible()


def test_it_begins_in_the_middle_of_the_best(show):
    scores = np.zeros((h, w))
    scores[0:3, 2:5] = 0.995
    scores[0, 2] = scores[0, 4] = 1
    page = show(web.window_and_box(np.zeros((H, W)), scores, BOXES, window=WINDOW, stride=STRIDE))
    assert drawn(page, "window") == WINDOWS[1, 3].tolist()


def test_a_large_map_has_no_numbers(show):
    scores, boxes = np.full((18, 24), 0.25), np.tile([1.0, 2, 30, 40], (18, 24, 1))
    page = show(
        web.window_and_box(np.zeros((3, 60, 80)), scores, boxes, window=8, stride=3, origin=(1, 1))
    )
    assert page.locator("text.score").count() == 0
    page.get_by_role("slider", name="row").fill("1")
    page.get_by_role("slider", name="column").fill("24")
    assert drawn(page, "window") == [1 + 3 * 23, 1, 1 + 3 * 23 + 8, 9]


def test_it_is_told_when_the_window_has_come_to_rest(show, spoken):
    page = show(figure())
    page.get_by_role("application").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        assert spoken(page) == ""
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="moved").wait_for(state="attached")
    assert spoken(page) == page.locator(".told").inner_text()
    page.get_by_label("all boxes").check()
    said.filter(has_text="spread over").wait_for(state="attached")


def test_static_form(show):
    page = show(figure(), java_script_enabled=False)
    rows = page.locator("tr").all()[1:]
    for row, threshold in zip(rows, [0.1, 0.3, 0.5, 0.7, 0.9], strict=True):
        over = threshold <= SCORES
        merged = mean_box(BOXES[over], SCORES[over]).round(1)
        spreads = [
            f"{np.sqrt(((centre(b[over]) - centre(b[over]).mean(0)) ** 2).sum(1).mean()):.1f} px"
            for b in (WINDOWS, BOXES)
        ]
        box = ", ".join(f"{at:.0f}" for at in merged[0].round())
        assert row.locator("td").all_inner_texts() == [
            str(over.sum()),
            *spreads,
            box,
            f"{iou(merged):.2f}",
        ]


def test_data_is_small():
    big = np.full((18, 24), 0.123), np.tile([100.1, 200.2, 300.3, 400.4], (18, 24, 1))
    smooth = np.linspace(0, 1, 497)[:, None] * np.ones((425, 497, 3))
    large = web.window_and_box(smooth, *big, window=221, stride=12)
    assert len(json.dumps(large.data)) < 25_000
    assert len(json.dumps(figure().data)) < H * W + 3_000


GOOD = {"picture": np.zeros((H, W)), "scores": SCORES, "boxes": BOXES}
GOOD |= {"window": WINDOW, "stride": STRIDE}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": SCORES[0]}, r"`scores` has shape \(6,\), expected \(h, w\) with 1 to 900"),
        ({"scores": np.zeros((31, 30))}, r"`scores` has shape \(31, 30\), expected"),
        ({"scores": 9 * SCORES}, r"`scores` has numbers outside 0\.\.1; take the softmax"),
        ({"boxes": BOXES[:2]}, r"`boxes` has shape \(2, 6, 4\), expected \(4, 6, 4\), x1 y1"),
        ({"boxes": BOXES[..., ::-1]}, "`boxes` has the box .* expected finite x1 y1 x2 y2 with"),
        ({"picture": None}, "`size` is None, expected"),
        ({"picture": np.zeros((30, 90))}, "the windows go from 0 to 60 along the 30 rows"),
        ({"origin": (-20, 0)}, "the windows go from -20 to 70 along the 90 columns of the scene"),
        ({"window": 0}, "`window` is 0, expected one or two positive numbers"),
        ({"stride": (1, 2, 3)}, r"`stride` is \(1, 2, 3\), expected one or two positive"),
        ({"truth": (0, 0, 91, 9)}, "`truth` has the box .* inside the picture of 60 x 90"),
        ({"threshold": 0.52}, "`threshold` is 0.52, expected a multiple of 0.05 between 0 and 1"),
        ({"merge": lambda b, s: b[:, :3]}, "what `merge` returns is .* expected x1 y1 x2 y2"),
    ],
)
def test_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match="(?s)window_and_box: .*" + message):
        web.window_and_box(**(GOOD | change))
