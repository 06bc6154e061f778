"""A box dragged over the true one, by every way to move it, against the library's own numbers."""

import json

import numpy as np
import pytest
import torch

from course_lib import web
from course_lib.detection import box_iou
from course_lib.web.overlap import default_presets, measures

H, W = 120, 200
MARGIN = 24  # 0.12 of 200
TRUTH = (60, 30, 120, 90)
START = (40.0, 20.0, 100.0, 80.0)
PRESETS = {"half": (60, 30, 90, 90), "away": (150, 30, 190, 60), "same": TRUTH}
ROWS = ("IoU", "intersection in px²", "union in px²", "L2 of the corners in px")
ROWS += ("smooth L1 in px", "distance of the centres in px")


def figure(**options):
    options = {"size": (H, W), "predicted": START, "presets": PRESETS} | options
    return web.overlap_and_distance(None, TRUTH, **options)


def reference(box, truth=TRUTH, beta=1.0):
    """IoU by the library, L2 and smooth L1 by PyTorch, all of coordinates in pixels."""
    a, b = (torch.tensor([list(x)], dtype=torch.float64) for x in (truth, box))
    smooth = torch.nn.functional.smooth_l1_loss(b, a, beta=beta, reduction="sum")
    centres = [(x[0, :2] + x[0, 2:]) / 2 for x in (a, b)]
    return (
        box_iou(a, b).item(),
        torch.dist(a, b).item(),
        smooth.item(),
        torch.dist(*centres).item(),
    )


def cells(page, column=0):
    """A column of the table: now, or a pixel nearer; as numbers."""
    rows = page.locator(".stage tr:has(td + td)").all()
    assert [row.locator("th").inner_text() for row in rows] == list(ROWS)
    texts = [row.locator("td").nth(column).inner_text() for row in rows]
    return [float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) for text in texts]


def agrees(page, box):
    """The table and the coordinates are those of a box."""
    inputs = [page.get_by_label(name, exact=True) for name in ("x1", "y1", "x2", "y2")]
    assert [float(entry.input_value()) for entry in inputs] == list(box)
    iou, intersection, union, *distances = cells(page)
    expected = reference(box)
    assert iou == pytest.approx(expected[0], abs=6e-4)
    assert distances == pytest.approx(expected[1:], abs=0.06)
    assert intersection / union == pytest.approx(expected[0])
    x1, y1, x2, y2 = box
    assert union == pytest.approx(3600 + (x2 - x1) * (y2 - y1) - intersection)


class Board:
    """Points of the picture, in its pixels, on the screen."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".scene svg").bounding_box()

    def point(self, x, y):
        scale = self.box["width"] / (W + 2 * MARGIN)
        return self.box["x"] + (x + MARGIN) * scale, self.box["y"] + (y + MARGIN) * scale

    def drag(self, start, end):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=4)
        self.page.mouse.up()


@pytest.mark.parametrize("beta", [1.0, 8.5])
def test_the_arithmetic_is_the_librarys(show, rng, beta):
    page = show(figure())
    corners = np.sort(rng.integers(0, 2 * W, (300, 2, 2, 2)) / 2, axis=2)
    pairs = corners.transpose(0, 1, 2, 3).reshape(300, 2, 4)
    sized = (pairs[..., 2:] > pairs[..., :2]).all((1, 2))
    pairs = pairs[sized]
    found = page.evaluate(
        """([pairs, beta]) => pairs.map(([a, b]) => {
          const { iou, l2, smooth, centres } = courseFigures.overlap.measures(a, b, beta);
          return [iou, l2, smooth, centres];
        })""",
        [pairs.tolist(), beta],
    )
    expected = [reference(box, truth, beta) for truth, box in pairs.tolist()]
    assert 0.2 < np.mean(np.array(expected)[:, 0] > 0) < 0.95
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    static = [measures(truth, box, beta) for truth, box in pairs]
    np.testing.assert_allclose(static, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_drag(show, theme, width):
    page = show(figure(), theme=theme, width=width)
    agrees(page, START)
    board = Board(page)
    board.drag((70, 50), (90, 65))
    agrees(page, (60, 35, 120, 95))
    for corner, to, box in [
        ((120, 95), (150, 110), (60, 35, 150, 110)),
        ((60, 35), (30, 15), (30, 15, 150, 110)),
        ((150, 15), (140, 25), (30, 25, 140, 110)),
        ((30, 110), (45, 100), (45, 25, 140, 100)),
    ]:
        board.drag(corner, to)
        agrees(page, box)
    board.drag((175, 110), (100, 50))  # beside the box: nothing is held
    agrees(page, (45, 25, 140, 100))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_drags_too(show):
    page = show(figure(), has_touch=True, width=390)
    board = Board(page)
    session = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", (70, 50)), ("touchMove", (72, 52)), ("touchMove", (80, 45))]:
        x, y = board.point(*at)
        points = [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    agrees(page, (50, 15, 110, 75))
    action = "element => getComputedStyle(element).touchAction"
    assert page.locator(".body").evaluate(action) == "none"
    assert page.locator(".scene").evaluate(action) == "auto"  # beside the box the page scrolls


def test_keys(show):
    page = show(figure())
    page.get_by_role("application").focus()
    for key, by in {
        "ArrowRight": (1, 0, 1, 0),
        "ArrowUp": (0, -1, 0, -1),
        "ArrowDown": (0, 1, 0, 1),
        "ArrowLeft": (-1, 0, -1, 0),
        "Shift+ArrowRight": (0, 0, 1, 0),
        "Shift+ArrowUp": (0, 0, 0, -1),
        "Control+ArrowRight": (0, 0, 0, 0),
        "Home": (0, 0, 0, 0),
    }.items():
        before = [float(entry.input_value()) for entry in page.get_by_role("spinbutton").all()]
        page.keyboard.press(key)
        agrees(page, np.add(before, by))


def test_coordinates_typed(show):
    page = show(figure())
    page.get_by_label("x2", exact=True).fill("150.5")
    page.get_by_label("y1", exact=True).fill("-10")
    agrees(page, (40, -10, 150.5, 80))
    page.get_by_label("x2", exact=True).fill("30")  # left of x1: no box, the last one stays
    assert cells(page)[0] == pytest.approx(reference((40, -10, 150.5, 80))[0], abs=6e-4)
    page.get_by_label("y1", exact=True).focus()
    agrees(page, (40, -10, 150.5, 80))
    page.get_by_label("x1", exact=True).fill("-25")  # beyond the margin
    page.get_by_label("y1", exact=True).focus()
    agrees(page, (40, -10, 150.5, 80))


def test_the_box_ends_where_its_limits_are(show):
    page = show(figure())
    board = Board(page)
    board.drag((70, 50), (300, 300))
    agrees(page, (164, 84, 224, 144))
    board.drag((164, 84), (300, 300))  # a corner stops before the opposite one
    agrees(page, (223, 143, 224, 144))


def test_what_a_pixel_nearer_changes(show):
    page = show(figure())
    for name in ("away", "half"):
        page.get_by_role("button", name=name).click()
        box = np.array(PRESETS[name], float)
        way = (np.add(TRUTH[:2], TRUTH[2:]) - box[:2] - box[2:]) / 2
        nearer = box + np.tile(way / np.linalg.norm(way), 2)
        change = np.subtract(reference(nearer), reference(box))
        found = cells(page, 1)
        assert found[0] == pytest.approx(change[0], abs=6e-4)
        assert found[3:] == pytest.approx(change[1:], abs=0.06)
        told = page.locator(".told").inner_text()
        if name == "away":
            assert found[:3] == [0, 0, 0]
            assert "IoU is still 0 and has no gradient, but L2 is 1.4 px less." in told
        else:
            assert told.endswith("counts this box as right: IoU is at least 0.5.")  # it is 0.5
    page.get_by_role("button", name="same").click()
    assert page.locator(".told").inner_text().endswith("the boxes are the same.")
    assert page.locator(".iou td").nth(1).inner_text() == ""


def test_large_and_small_changes(show):
    far = {"predicted": (1500, 100, 3000, 1600), "presets": {}}
    page = show(web.overlap_and_distance(None, (0, 100, 1500, 1600), size=(2000, 3000), **far))
    assert page.locator(".intersection td").all_inner_texts() == ["0", "+1,500"]
    near = {"predicted": (0, 101, 1500, 1601), "presets": {}}
    page = show(web.overlap_and_distance(None, (0, 100, 1500, 1600), size=(2000, 3000), **near))
    assert page.locator(".iou td").all_inner_texts() == ["0.999", "+0.001"]
    page.get_by_label("y1", exact=True).fill("100.001")
    page.get_by_label("y2", exact=True).fill("1600.001")
    assert page.locator(".iou td").all_inner_texts() == ["1.000", "< +0.001"]


def dots(page):
    """The dots of the chart as L2 and IoU."""
    ticks = page.locator(".tick.x")
    texts = ticks.all_inner_texts()
    boxes = [ticks.nth(n).bounding_box() for n in (0, 1)]
    a, b = (box["x"] + box["width"] / 2 for box in boxes)
    frame = page.locator(".frame").bounding_box()
    path = page.locator(".chart .dots").first.get_attribute("d")
    points = np.array([piece.split() for piece in path.replace("h0", "").split("M")[1:]], float)
    unit = (b - a) / (float(texts[1]) - float(texts[0]))
    zero = a - frame["x"]
    l2 = (points[:, 0] / 1000 * frame["width"] - zero) / unit
    return np.stack([l2, 1.04 - 1.08 * points[:, 1] / 1000], 1)


def test_the_chart_remembers_where_the_box_was(show):
    page = show(figure())
    tried = [START]
    for name in ("half", "away", "half"):
        page.get_by_role("button", name=name).click()
        tried += [PRESETS[name]] if PRESETS[name] not in tried else []
    page.get_by_role("application").focus()
    for _ in range(5):  # one rest, not five
        page.keyboard.press("ArrowRight")
    page.locator(".again output").filter(has_text="4 of 4").wait_for()
    tried.append((65, 30, 95, 90))
    expected = np.array([reference(box)[:2] for box in tried])[:, ::-1]
    assert (abs(dots(page) - expected) < [2, 0.01]).all()
    said = page.locator(".chart svg").get_attribute("aria-label")
    assert said.startswith(f"IoU over L2 of the boxes tried: {expected[0, 1]:.2f} at")
    level = page.locator(".level").bounding_box()
    frame = page.locator(".frame").bounding_box()
    line = frame["y"] + frame["height"] * (1 - (0.5 + 0.04) / 1.08)
    assert level["y"] + level["height"] == pytest.approx(line, abs=3)

    page.get_by_role("slider").fill("1")
    agrees(page, START)
    path = page.locator(".chart .dots").first.get_attribute("d").split("M")[3]
    x, y = (float(part) for part in path.replace("h0", "").split())
    page.mouse.click(
        frame["x"] + x / 1000 * frame["width"], frame["y"] + y / 1000 * frame["height"]
    )
    agrees(page, PRESETS["away"])
    assert page.get_by_role("slider").input_value() == "3"
    page.get_by_role("button", name="Forget").click()
    assert page.locator(".again output").inner_text() == "1 of 1"
    assert len(dots(page)) == 1
    agrees(page, PRESETS["away"])


def test_it_is_told_when_the_box_has_come_to_rest(show, spoken):
    page = show(figure())
    page.get_by_role("application").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        assert spoken(page) == ""
    page.locator("p.unseen[role=status]").filter(has_text="IoU").wait_for(state="attached")
    iou, l2, *_ = reference((43, 20, 103, 80))
    assert spoken(page) == (
        f"The predicted box is x1 43, y1 20, x2 103, y2 80. IoU {iou:.3f}, L2 {l2:.1f} px. "
        "ImageNet counts this box as wrong: IoU is below 0.5."
    )


@pytest.mark.parametrize(
    "truth", [(60, 30, 120, 90), (0, 0, 200, 120), (170, 80, 200, 120), (3, 50, 20, 58)]
)
@pytest.mark.parametrize("step", [1, 0.5])
def test_default_presets(truth, step):
    groups = dict(default_presets(np.array(truth, float), (H, W), MARGIN, step))
    same = next(iter(groups.values()))
    found = np.array([reference(box, truth)[:2] for box in same.values()])
    assert list(same) == ["moved", "too large", "too small", "one side out"]
    np.testing.assert_allclose(found[:, 1], found[0, 1], rtol=1e-12)
    assert next(iter(groups)) == f"L2 {found[0, 1]:g} px"
    assert np.ptp(found[:, 0]) > 0.15
    apart = groups.get("IoU 0", {})
    assert len(apart) == (0 if truth[:2] == (0, 0) and step == 99 else 2)
    far = [reference(box, truth) for box in apart.values()]
    assert all(iou == 0 for iou, *_ in far)
    assert far[0][3] < far[1][3]
    for box in (*same.values(), *apart.values()):
        assert (box[:2] >= -MARGIN).all()
        assert (box[2:] <= np.array([W, H]) + MARGIN).all()
        assert (box[2:] > box[:2]).all()


def test_the_presets_say_what_the_chapter_says():
    """With the same L2 a side too far out is right by ImageNet's rule, the others are wrong."""
    data = web.overlap_and_distance(size=(H, W), truth=TRUTH).data
    same = data["groups"][0]["boxes"]
    ious = {name: reference(box)[0] for name, box in same.items()}
    assert [name for name, iou in ious.items() if iou >= 0.5] == ["one side out"]
    assert min(ious.values()) < 0.12
    assert data["start"] == same["moved"]


def test_pictures(show):
    ink = np.linspace(0, 1, 200).reshape(10, 20)
    page = show(web.overlap_and_distance(ink[None], (2, 2, 8, 8)))
    shown = page.locator(".scene canvas").evaluate(
        "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    )
    opacity = np.reshape(shown, (10, 20, 4))[..., 3] / 255
    np.testing.assert_allclose(opacity, ink, atol=0.5 / 63 + 0.005)

    light = np.full((3, 300, 600), 0.25)
    page = show(web.overlap_and_distance(light, (20, 20, 80, 80)))
    picture = page.locator(".scene img")
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [480, 240]
    scene = page.locator(".scene svg").bounding_box()
    assert picture.bounding_box()["width"] == pytest.approx(scene["width"] * 600 / 744, abs=1.5)


def test_large_ink_is_made_smaller(show):
    page = show(web.overlap_and_distance(np.eye(321, 400), (20, 20, 80, 80)))
    assert page.locator(".scene canvas").evaluate("c => [c.width, c.height]") == [133, 107]
    scene = page.locator(".scene svg").bounding_box()
    canvas = page.locator(".scene canvas").bounding_box()
    assert canvas["width"] / scene["width"] == pytest.approx(399 / 496, abs=2e-3)


def test_static_form(show):
    page = show(figure(), java_script_enabled=False)
    rows = page.locator("tr").all()[1:]
    for row, box in zip(rows, [START, *PRESETS.values()], strict=True):
        iou, *distances = reference(box)
        expected = [f"{iou:.3f}", *(f"{distance:.1f}" for distance in distances)]
        assert row.locator("td").all_inner_texts() == expected
    assert rows[1].locator("th").inner_text() == "half: 60, 30, 90, 90"
    assert page.locator("caption").inner_text() == "The true box is 60, 30, 120, 90"


def test_data_is_small(rng):
    noise = rng.random((600, 800, 3))
    smooth = np.linspace(0, 1, 480)[:, None] * np.ones((480, 640))
    assert len(json.dumps(web.overlap_and_distance(smooth, (5, 5, 90, 90)).data)) < 20_000
    gradient = np.stack([smooth] * 3) * 0.5
    assert len(json.dumps(web.overlap_and_distance(gradient, (5, 5, 90, 90)).data)) < 5_000
    assert len(json.dumps(web.overlap_and_distance(noise, (5, 5, 90, 90)).data)) < 200_000


@pytest.mark.parametrize(
    "change, message",
    [
        ({"truth": (60, 30, 60, 90)}, r"`truth` has the box \[60.*expected finite x1 y1 x2 y2"),
        ({"truth": (60, 30, np.nan, 90)}, "`truth` has the box .* expected finite"),
        ({"truth": (60, 30, 201, 90)}, "`truth` has the box .* inside the picture of 120 x 200"),
        ({"truth": (1, 2, 3)}, r"`truth` is \(1, 2, 3\), expected x1 y1 x2 y2 in pixels"),
        ({"truth": "box"}, "`truth` is 'box', expected x1 y1 x2 y2 in pixels"),
        ({"truth": [TRUTH, TRUTH]}, "`truth` has 2 boxes, expected one: x1 y1 x2 y2"),
        ({"predicted": (-30, 0, 9, 9)}, "`predicted` has the box .* or 24 pixels around it"),
        ({"presets": {"far": (0, 0, 300, 9)}}, "`presets` has the box .* or 24 pixels around it"),
        ({"size": None}, r"`truth` has the box \[260"),
        ({"size": (0, 9)}, r"`size` is \(0, 9\), expected \(H, W\), 1 to 4096 pixels each"),
        ({"picture": np.zeros((2, 9, 9))}, r"the picture has shape \(2, 9, 9\), expected \(H, W\)"),
        ({"picture": np.full((9, 9), 255.0)}, r"numbers outside 0\.\.1; photographs of 0 to 255"),
        ({"beta": 0}, "`beta` is 0, expected pixels above 0"),
        ({"threshold": 1}, "`threshold` is 1, expected an IoU between 0 and 1"),
    ],
)
def test_says_what_is_wrong(change, message):
    good = {"picture": None, "truth": TRUTH, "size": (H, W)}
    if change == {"size": None}:
        good["truth"] = (260, 30, 330, 90)  # the size without one is 200 x 320
    with pytest.raises(ValueError, match="overlap_and_distance: .*" + message):
        web.overlap_and_distance(**(good | change))
