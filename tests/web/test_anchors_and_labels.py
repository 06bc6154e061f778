"""Anchors over a scene, by every control, against the library's anchors and their labels."""

import json

import numpy as np
import pytest

from course_lib import web
from course_lib.detection import (
    anchor_grid,
    anchor_shapes,
    anchors_inside,
    box_iou,
    match_anchors,
)
from course_lib.web.anchors import labelled

H, W = 60, 84
STRIDE = 6
CELLS = 10, 14
SIZES, RATIOS = (12, 20), (0.5, 1, 2)
TRUTH = np.array([[10.0, 8, 24, 32], [50, 30, 72, 50], [0, 44, 11, 60], [40, 3, 47, 9.5]])
NAMES = ["seven", "two", "one", "dot"]
SHAPES = anchor_shapes(SIZES, RATIOS)
ANCHORS = anchor_grid(CELLS, STRIDE, SHAPES)
A = len(SHAPES)
KINDS = ("object", "ignored", "background", "across the border")
ORDER = ("object", "aside", "background", "out")


def figure(truth=TRUTH, names=NAMES, **options):
    given = {"stride": STRIDE, "sizes": SIZES, "ratios": RATIOS} | options
    return web.anchors_and_labels(np.zeros((H, W)), truth, names=names, **given)


def reference(positive, negative, best, border, truth=TRUTH, anchors=ANCHORS, size=(H, W)):
    """Labels, with 2 for what is left out; and objects and overlaps; by the library."""
    mine = anchors_inside(anchors, size) if border else np.ones(len(anchors), bool)
    labels = np.full(len(anchors), 2)
    some = match_anchors(anchors[mine], truth, positive=positive, negative=negative, best=best)
    labels[mine] = some.labels
    every = match_anchors(anchors, truth)
    return labels, every.index, every.iou


IN_THE_PAGE = """({ cells, stride, shapes, truth, size, positive, negative, best, border }) => {
  const { grid, inside, matched, overlaps } = courseFigures.anchors;
  const all = grid(cells, stride, shapes);
  const within = inside(all, size);
  const mine = border ? within : within.map(() => true);
  const found = matched(overlaps(all, truth), { positive, negative, best, mine });
  return { all, within, labels: found.map(({ label, out }) => (out ? 2 : label)),
    index: found.map(({ index }) => index), iou: found.map(({ iou }) => iou) };
}"""


def some_truth(rng, size, count):
    """Boxes on whole pixels, among them such as an anchor is equal to, or that two are best for."""
    corners = np.sort(rng.integers(0, min(size) + 1, (count, 2, 2)), 1).reshape(count, 4)
    corners[:, 2:] += corners[:, 2:] == corners[:, :2]
    return corners.astype(float)


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("border", [True, False])
def test_the_arithmetic_is_the_librarys(show, rng, best, border):
    page = show(figure())
    raised = 0
    for _ in range(12):
        cells = tuple(int(n) for n in rng.integers(1, 12, 2))
        stride = tuple(int(n) for n in rng.integers(2, 9, 2))
        shapes = anchor_shapes(rng.integers(4, 30, 2).tolist(), [0.5, 1, 3])
        size = cells[0] * stride[0], cells[1] * stride[1]
        truth = some_truth(rng, size, int(rng.integers(0, 5)))
        negative, positive = np.sort(rng.integers(0, 21, 2)) / 20
        anchors = anchor_grid(cells, stride, shapes)
        labels, index, iou = reference(positive, negative, best, border, truth, anchors, size)
        given = {"cells": cells, "stride": stride, "shapes": shapes.tolist(), "size": size}
        given |= {"truth": truth.tolist(), "best": best, "border": border}
        got = page.evaluate(IN_THE_PAGE, given | {"positive": positive, "negative": negative})
        np.testing.assert_array_equal(got["all"], anchors)
        np.testing.assert_array_equal(got["within"], anchors_inside(anchors, size))
        np.testing.assert_array_equal(got["labels"], labels)
        np.testing.assert_array_equal(got["index"], index)
        np.testing.assert_array_equal(got["iou"], iou)
        inside = anchors_inside(anchors, size) if border else np.ones(len(anchors), bool)
        static = labelled(box_iou(anchors, truth), positive, negative, best, inside)
        np.testing.assert_array_equal(np.where(inside, static, 2), labels)
        raised += ((labels == 1) & (iou <= positive)).sum()
    assert bool(raised) == best


def test_a_case_by_hand(show):
    """An overlap that equals a threshold is neither above nor below it."""
    given = {"stride": 10, "sizes": 10, "ratios": 1, "best": False, "cell": (0, 0)}
    half = {"positive": 0.5, "negative": 0.5}
    square = "10 \N{MULTIPLICATION SIGN} 10"
    page = show(web.anchors_and_labels(np.zeros((20, 20)), [[0, 0, 10, 5]], **given, **half))
    assert table(page, ".cell table")[square] == ["0.50", "ignored"]
    assert table(page, ".counts table:first-child")["background"] == ["3"]
    page.get_by_label("the best anchors").check()
    assert table(page, ".cell table")[square] == ["0.50", "object 1, as its best"]


def table(page, where):
    """The rows of a table: texts by the first cell."""
    rows = page.locator(f"{where} tr:has(td)").all()
    found = {
        row.locator("th").inner_text(): row.locator("td")
        for row in rows
        if row.locator("th[scope=row]").count()
    }
    return {name: cells.all_inner_texts() for name, cells in found.items()}


def agrees(page, cell, *, positive=0.7, negative=0.3, best=True, border=False):
    labels, index, iou = reference(positive, negative, best, border)
    counts = table(page, ".counts table:first-child")
    raised = ((labels == 1) & (iou <= positive)).sum()
    more = f", {raised} of them as the best only" if raised else ""
    expected = [f"{(labels == 1).sum()}{more}"]
    expected += [str((labels == label).sum()) for label in (-1, 0, 2)]
    assert [counts[kind] for kind in KINDS] == [[text] for text in expected]

    objects = table(page, ".counts table:last-child")
    for k, name in enumerate(NAMES):
        mine = labels != 2
        largest = box_iou(ANCHORS[mine], TRUTH)[:, k].max()
        anchors = ((labels == 1) & (index == k)).sum()
        assert objects[name] == [f"{largest:.2f}", str(anchors)]

    marks = page.evaluate(MARKS)
    assert len(marks) == CELLS[0] * CELLS[1]
    of_cells = labels.reshape(*CELLS, A)
    for r, c in np.ndindex(CELLS):
        has = [label in of_cells[r, c] for label in (1, -1, 0, 2)]
        assert marks[f"{r},{c}"] == ORDER[has.index(True)]

    first = (cell[0] * CELLS[1] + cell[1]) * A
    rows = page.locator(".cell tr:has(th[scope=row])").all()
    for k, row in enumerate(rows):
        n = first + k
        text = {1: NAMES[index[n]], 0: "background", -1: "ignored", 2: "across the border"}
        said = text[int(labels[n])] + (
            ", as its best" if labels[n] == 1 and iou[n] <= positive else ""
        )
        assert row.locator("td").all_inner_texts() == [f"{iou[n]:.2f}", said]
        rect = page.locator(".scene g.anchor").nth(k).locator(".edge")
        x, y, width, height = (float(rect.get_attribute(a)) for a in ("x", "y", "width", "height"))
        np.testing.assert_allclose([x, y, x + width, y + height], ANCHORS[n], atol=1e-9)
        kind = {1: "object", 0: "background", -1: "aside", 2: "out"}[int(labels[n])]
        classes = page.locator(".scene g.anchor").nth(k).get_attribute("class")
        assert classes == f"box anchor {kind}"
    told = page.locator(".told").inner_text()
    assert told.startswith(f"Row {cell[0]}, column {cell[1]}: ")
    top = iou[first : first + A].max()
    assert f"largest IoU {top:.2f}" in told
    values = [page.get_by_role("slider", name=n).input_value() for n in ("row", "column")]
    assert values == [str(n) for n in cell]


MARKS = """() => {
  const root = document.querySelector("course-anchors-and-labels").shadowRoot;
  const kind = (mark) => mark.getAttribute("class").replace("at ", "");
  return Object.fromEntries([...root.querySelectorAll(".marks .at")].map((mark) =>
    [mark.dataset.cell, kind(mark)]));
}"""


def first_cell():
    _, _, iou = reference(0.7, 0.3, True, False)
    return divmod(int(iou.argmax()) // A, CELLS[1])


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_every_control(show, theme, width):
    page = show(figure(), theme=theme, width=width)
    cell = first_cell()
    agrees(page, cell)
    page.get_by_label("object above").fill("12")
    agrees(page, cell, positive=0.6)
    page.get_by_label("background below").fill("8")
    agrees(page, cell, positive=0.6, negative=0.4)
    page.get_by_label("the best anchors").uncheck()
    agrees(page, cell, positive=0.6, negative=0.4, best=False)
    page.get_by_label("leave out").check()
    agrees(page, cell, positive=0.6, negative=0.4, best=False, border=True)
    page.get_by_label("the best anchors").check()
    agrees(page, cell, positive=0.6, negative=0.4, border=True)
    page.get_by_role("slider", name="row").fill("9")
    page.get_by_role("slider", name="column").fill("0")
    agrees(page, (9, 0), positive=0.6, negative=0.4, border=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_threshold_pushes_the_other(show):
    page = show(figure())
    page.get_by_label("object above").fill("4")
    assert page.get_by_label("background below").input_value() == "4"
    page.get_by_label("background below").fill("15")
    assert page.get_by_label("object above").input_value() == "15"
    agrees(page, first_cell(), positive=0.75, negative=0.75)


@pytest.mark.parametrize("width", [1280, 390])
def test_press_and_keys(show, width):
    page = show(figure(cell=(0, 0)), width=width)
    box = page.locator(".scene svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 50 / W, box["y"] + box["height"] * 27 / H)
    cell = (27 // STRIDE, 50 // STRIDE)
    agrees(page, cell)
    page.get_by_role("application").focus()
    for key, (dr, dc) in {
        "ArrowRight": (0, 1),
        "ArrowDown": (1, 0),
        "ArrowLeft": (0, -1),
        "ArrowUp": (-1, 0),
        "Control+ArrowUp": (0, 0),
    }.items():
        page.keyboard.press(key)
        cell = cell[0] + dr, cell[1] + dc
        agrees(page, cell)
    for _ in range(CELLS[0]):
        page.keyboard.press("ArrowDown")
    agrees(page, (CELLS[0] - 1, cell[1]))
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()  # a finger that scrolls does not press
    page.mouse.move(box["x"] + 5, box["y"] + 60)
    page.mouse.up()
    agrees(page, (CELLS[0] - 1, cell[1]))


def test_the_histogram(show):
    page = show(figure())
    _, _, iou = reference(0.7, 0.3, True, False)
    heights, _ = np.histogram(iou, np.arange(21) / 20)
    said = page.locator(".chart svg").get_attribute("aria-label")
    parts = [f"{n} from {k / 20:.2f}" for k, n in enumerate(heights) if n]
    assert said == f"Largest IoU of all anchors: {', '.join(parts)}"
    assert page.locator(".bars").get_attribute("d").count("z") == (heights > 0).sum()
    for name, at in (("positive", 0.7), ("negative", 0.3)):
        path = page.locator(f".threshold.{name}").get_attribute("d")
        assert float(path.split()[0].removeprefix("M")) == pytest.approx(1000 * at)
    frame = page.locator(".frame").bounding_box()
    label = page.locator(".level.positive").bounding_box()
    assert label["x"] == pytest.approx(frame["x"] + 0.7 * frame["width"], abs=3)
    page.get_by_label("leave out").check()
    inside = anchors_inside(ANCHORS, (H, W))
    heights, _ = np.histogram(iou[inside], np.arange(21) / 20)
    assert f": {heights[0]} from 0.00" in page.locator(".chart svg").get_attribute("aria-label")


def test_kinds_differ_in_more_than_colour(show):
    page = show(figure(border=True, cell=(0, 0)))
    forms = [page.locator(f".counts tr.{kind} .mark > *").evaluate(FORM) for kind in ORDER]
    assert len(set(map(str, forms))) == 4
    dashes = {page.locator(".swatch").first.evaluate(DASHES, kind) for kind in ORDER}
    assert len(dashes) == 4


FORM = "mark => [mark.tagName, (mark.getAttribute('d') || '').length]"
DASHES = """(swatch, kind) => {
  swatch.setAttribute("class", `swatch box ${kind}`);
  return getComputedStyle(swatch.firstChild).strokeDasharray;
}"""


def test_no_objects(show):
    page = show(figure(truth=[], names=[]))
    assert page.locator(".counts p").inner_text() == "There is no object: all is background."
    assert table(page, ".counts table")["background"] == [str(len(ANCHORS))]
    assert page.locator(".told").inner_text() == (
        f"Row 0, column 0: {A} background; largest IoU 0.00."
    )


def test_it_is_told_when_it_has_come_to_rest(show, spoken):
    page = show(figure())
    page.get_by_label("the best anchors").uncheck()
    assert spoken(page) == ""
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="stand for an object").wait_for(state="attached")
    labels, index, _ = reference(0.7, 0.3, False, False)
    alone = 4 - len(np.unique(index[labels == 1]))
    assert spoken(page) == (
        f"{(labels == 1).sum()} anchors stand for an object, 0 of them as the best only; "
        f"{(labels == -1).sum()} are ignored, {(labels == 0).sum()} are background. "
        f"{alone} of 4 objects have no anchor."
    )
    page.get_by_role("application").press("ArrowUp")
    said.filter(has_text="Row").wait_for(state="attached")
    assert spoken(page) == page.locator(".told").inner_text()


def test_targets_for_a_finger(show):
    page = show(figure(), width=390)
    for part in page.locator(".choice, .slider input").all():
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


@pytest.mark.parametrize("best, border", [(True, False), (False, True)])
def test_static_form(show, best, border):
    page = show(figure(best=best, border=border), java_script_enabled=False)
    rows = page.locator("tr").all()[1:]
    ways = [(best, border), (not best, border), (best, not border)]
    for row, way in zip(rows, ways, strict=True):
        labels, index, _ = reference(0.7, 0.3, *way)
        counts = [str((labels == label).sum()) for label in (1, -1, 0, 2)]
        alone = str(4 - len(np.unique(index[labels == 1])))
        assert row.locator("td").all_inner_texts() == [*counts, alone]


def test_data_is_small():
    data = web.anchors_and_labels(
        np.random.default_rng(0).random((64, 64)), TRUTH[:2] / 2, stride=4, sizes=SIZES, ratios=(1,)
    ).data
    assert len(json.dumps(data)) < 64 * 64 + 1000


def test_maps_and_cells_of_ones_own():
    data = figure(map_size=(3, 4), stride=(5, 7), cell=(2, 1)).data
    assert (data["cells"], data["stride"], data["cell"]) == ([3, 4], [5, 7], [2, 1])
    assert data["shapes"] == SHAPES.tolist()
    assert figure().data["cell"] == list(first_cell())


GOOD = {"image": np.zeros((H, W)), "truth": TRUTH, "stride": 6, "sizes": SIZES, "ratios": RATIOS}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((2, 9, 9))}, "the picture has shape"),
        ({"truth": [[0, 0, 90, 9]]}, "`truth` has the box .* inside the picture of 60 x 84"),
        ({"truth": TRUTH[:, ::-1]}, "`truth` has the box .* expected finite x1 y1 x2 y2"),
        ({"truth": np.tile(TRUTH, (4, 1))}, "`truth` has 16 boxes, expected at most 12"),
        ({"names": ["a"]}, "1 `names` for 4 boxes of `truth`"),
        ({"stride": 0}, "`stride` is 0, expected one or two ints above 0"),
        ({"stride": 2.5}, r"`stride` is 2\.5, expected one or two ints above 0"),
        ({"stride": 100}, r"`map_size` is \(0, 0\), expected one or two ints above 0"),
        ({"map_size": (1, 2, 3)}, r"`map_size` is \(1, 2, 3\), expected one or two ints"),
        ({"sizes": (0, 9)}, r"`sizes` is \[0, 9\], expected positive numbers"),
        ({"ratios": ()}, r"`ratios` is \[\], expected positive numbers"),
        ({"sizes": range(1, 6)}, "5 `sizes` in 3 `ratios` are 15 anchors a cell, expected at most"),
        ({"stride": 1}, "60 x 84 cells of 6 anchors are 30,240, expected at most 9,000"),
        ({"positive": 0.72}, r"`positive` is 0\.72, expected a multiple of 0\.05"),
        ({"negative": -0.1}, r"`negative` is -0\.1, expected an IoU in 0\.\.1"),
        ({"negative": 0.8}, r"`negative` is 0\.8 and `positive` 0\.7, expected negative <= pos"),
        ({"cell": (10, 0)}, r"`cell` is \(10, 0\), expected row and column of \(10, 14\) cells"),
    ],
)
def test_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match="(?s)anchors_and_labels: .*" + message):
        web.anchors_and_labels(**(GOOD | change))
