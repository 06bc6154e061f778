"""Recorded segmentations, by every way to choose one, against the metrics of the library."""

import json
import re

import numpy as np
import pytest
import torch

from course_lib import web
from course_lib.palette import ROLES
from course_lib.training.metrics import class_iou, confusion_counts, mean_iou, pixel_accuracy
from course_lib.web import segmentation
from course_lib.web.network import BASE64

N, H, W = 3, 12, 16
NAMES = ["background", "ring", "bar", "dot"]
RNG = np.random.default_rng(0)


def scene(n):
    labels = np.zeros((H, W), int)
    labels[2:9, 1:8] = 1
    labels[4:7, 3:6] = 0
    if n < 2:
        labels[10:12, 9:16] = 2
    return labels


TRUTH = np.stack([scene(n) for n in range(N)])
IMAGES = RNG.random((N, H, W)).round(3)
KEYS = [(8, False), (4, False), (4, True), (2, True)]
PREDICTIONS = {
    key: np.where(RNG.random(TRUTH.shape) < 0.04 * (n + 1), RNG.integers(0, 4, TRUTH.shape), TRUTH)
    for n, key in enumerate(KEYS)
}
SCORES = {
    (8, False): (0.1, 0.87),
    (4, False): (0.2, 0.9),
    (4, True): (0.3, 0.95),
    (2, True): (1, 1),
}


def figure(**options):
    options = {"names": NAMES, "scores": SCORES, "scored": "99 others"} | options
    return web.segmentation_explorer(IMAGES, TRUTH, PREDICTIONS, **options)


def one_hot(labels):
    return torch.nn.functional.one_hot(torch.tensor(labels), len(NAMES)).movedim(-1, 1)


def reference(truth, predicted):
    """Mean IoU and pixel accuracy by the library, as the figure writes them."""
    scores, truth = one_hot(predicted), torch.tensor(truth)
    return [f"{mean_iou(scores, truth):.2f}", f"{100 * pixel_accuracy(scores, truth):.1f}%"]


def cells(page, name):
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    return row.locator("td").all_inner_texts()


def choose(page, stride, skips, n, how):
    """Take a run and a scene, by the mouse or by keys alone."""
    box = page.get_by_role("checkbox")
    if how == "mouse":
        page.get_by_role("radio", name=f"scene {n + 1}").check()
        page.get_by_role("radio", name=str(stride), exact=True).check()
        if box.is_enabled():
            box.set_checked(skips)
        return
    for name, steps in [("scene 1", n), ("8", [8, 4, 2].index(stride))]:
        page.get_by_role("radio", name=name, exact=True).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        for _ in range(steps):
            page.keyboard.press("ArrowRight")
    if box.is_enabled() and box.is_checked() != skips:
        box.focus()
        page.keyboard.press("Space")


@pytest.mark.parametrize("how, theme, width", [("mouse", "light", 1280), ("keys", "dark", 390)])
def test_every_run_of_every_scene(show, spoken, how, theme, width):
    page = show(figure(), theme=theme, width=width)
    for (stride, skips), found in PREDICTIONS.items():
        for n in (2, 0):
            choose(page, stride, skips, n, how)
            pair = reference(TRUTH[n : n + 1], found[n : n + 1])
            assert cells(page, "this scene") == pair
            assert cells(page, "all 3 scenes") == reference(TRUTH, found)
            given = SCORES[stride, skips]
            assert cells(page, "99 others") == [f"{given[0]:.2f}", f"{100 * given[1]:.1f}%"]
            idle = reference(TRUTH[n : n + 1], np.zeros((1, H, W), int))
            assert cells(page, "all background, this scene") == idle
            words = f"stride {stride}, {'with' if skips else 'without'} skips"
            assert page.locator(".scores caption").inner_text() == words.capitalize()
            wrong = (TRUTH[n] != found[n]).sum()
            assert spoken(page).startswith(
                f"Scene {n + 1}, {words}: mean IoU {pair[0]}, pixel accuracy {pair[1]}, "
                f"{wrong} wrong pixel"
            )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_stride_with_one_run_leaves_no_choice(show):
    page = show(figure())
    box = page.get_by_role("checkbox")
    assert box.is_disabled()
    assert not box.is_checked()
    assert page.locator(".only").inner_text() == "(stride 8: only without)"
    page.get_by_role("radio", name="4", exact=True).check()
    assert box.is_enabled()
    box.check()
    page.get_by_role("radio", name="8", exact=True).check()
    page.get_by_role("radio", name="4", exact=True).check()
    assert box.is_checked()  # what was wanted is kept
    page.get_by_role("radio", name="2", exact=True).check()
    assert box.is_disabled()
    assert box.is_checked()


def test_classes_of_the_scene(show):
    page = show(figure())
    for n in range(N):
        page.get_by_role("radio", name=f"scene {n + 1}").check()
        found = PREDICTIONS[8, False][n]
        counts = confusion_counts(one_hot(found[None]), torch.tensor(TRUTH[n : n + 1]))
        expected = [
            [name, str((TRUTH[n] == k).sum()), str((found == k).sum()), f"{share:.2f}"]
            for k, (name, share) in enumerate(zip(NAMES, class_iou(counts).tolist(), strict=True))
            if not np.isnan(share)
        ]
        rows = page.locator(".classes tbody tr").all()
        assert [row.locator("th, td").all_inner_texts() for row in rows] == expected


PIXELS = """canvas => {
  const { width, height } = canvas;
  return Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data);
}"""


def pixels(page, panel):
    """What is on a panel, (rows, columns, 4); the last one has 4 x 4 pixels for each."""
    data = np.array(page.locator("figure canvas").nth(panel).evaluate(PIXELS))
    fine = 4 if panel == 3 else 1
    return data.reshape(fine * H, fine * W, 4)


def rgb(role, theme):
    colour = getattr(ROLES[role], theme)
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(show, theme):
    page = show(figure(), theme="light")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    page.get_by_role("radio", name="2", exact=True).check()
    found = PREDICTIONS[2, True][0]
    image = pixels(page, 0)
    np.testing.assert_allclose(image[..., 3] / 255, IMAGES[0], atol=0.5 / 63 + 0.005)
    for panel, labels in [(1, TRUTH[0]), (2, found)]:
        shown = pixels(page, panel)
        np.testing.assert_array_equal(shown[..., 3] > 0, labels > 0)
        colours = {tuple(shown[labels == k][0][:3]) for k in np.unique(labels) if k}
        assert len(colours) == len(np.unique(labels)) - 1
        for k in range(1, 4):
            assert len({tuple(colour) for colour in shown[labels == k]}) <= 1

    wrong = pixels(page, 3).reshape(H, 4, W, 4, 4).transpose(0, 2, 1, 3, 4)
    missed, added = (TRUTH[0] > 0) & (found == 0), (TRUTH[0] == 0) & (found > 0)
    confused = (TRUTH[0] != found) & ~missed & ~added
    for mask, role in [(missed, "wrong"), (added, "input")]:
        assert mask.any()
        blocks = wrong[mask].reshape(-1, 4)
        np.testing.assert_array_equal(
            blocks, np.broadcast_to([*rgb(role, theme), 255], blocks.shape)
        )
    assert confused.any()
    for block in wrong[confused]:
        assert {0, 255} == set(block[..., 3].ravel())  # hatched
    assert (wrong[TRUTH[0] == found][..., 3] < 0.16 * 255).all()

    said = page.locator("figure svg").nth(3).get_attribute("aria-label")
    total = missed.sum() + added.sum() + confused.sum()
    assert said == (
        f"{total} wrong pixels: {missed.sum()} missed; {added.sum()} added; "
        f"{confused.sum()} taken for another class"
    )


def test_photographs_keep_their_colours(show):
    images = RNG.integers(0, 64, (1, 3, H, W)) / 63
    page = show(
        web.segmentation_explorer(images, TRUTH[:1], {(8, True): TRUTH[:1]}, names=NAMES),
        theme="dark",
    )
    expected = 255 * images[0].transpose(1, 2, 0)
    np.testing.assert_allclose(pixels(page, 0)[..., :3], expected, atol=1)
    assert page.locator(".scores tr").count() == 4  # no other scenes


def test_regions_have_their_names(show):
    page = show(figure())
    truth = page.locator("figure svg").nth(1)
    assert truth.locator("text").all_text_contents() == ["ring"]  # the bar is small
    assert truth.get_attribute("aria-label") == "truth: ring at the left, 40 pixels"
    outline = truth.locator("path.outline").get_attribute("d")
    edges = re.findall(r"M(\d+) (\d+)([vh])1", outline)
    drawn = {(kind, int(x), int(y)) for x, y, kind in edges}
    right, down = np.diff(TRUTH[0], axis=1) != 0, np.diff(TRUTH[0], axis=0) != 0
    expected = {("v", c + 1, r) for r, c in np.argwhere(right).tolist()}
    expected |= {("h", c, r + 1) for r, c in np.argwhere(down).tolist()}
    assert drawn == expected


def pixel_words(n, found, row, column):
    is_, taken = NAMES[TRUTH[n, row, column]], NAMES[found[row, column]]
    verdict = "right" if is_ == taken else "wrong"
    return f"Row {row}, column {column} is {is_}, and was taken for {taken}: {verdict}."


@pytest.mark.parametrize("how", ["mouse", "touch"])
def test_point_at_a_pixel(show, spoken, how):
    page = show(figure(), has_touch=True)
    assert page.locator(".pixel").inner_text().startswith("Point at a pixel")
    found = PREDICTIONS[8, False][0]
    wrong = tuple(np.argwhere(TRUTH[0] != found)[0].tolist())
    for panel, (row, column) in enumerate([(0, 0), (5, 7), wrong, (11, 15)]):
        box = page.locator("figure svg").nth(panel).bounding_box()
        side = box["width"] / W
        at = box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side
        if how == "mouse":
            page.mouse.move(*at)
        else:
            page.touchscreen.tap(*at)
        assert page.locator(".pixel").inner_text() == pixel_words(0, found, row, column)
        for cross in page.locator("path.cross").all():
            expected = f"M{column + 0.5} 0V{H}M0 {row + 0.5}H{W}"
            assert cross.get_attribute("d") == expected
    page.locator("p.unseen[role=status]").filter(has_text="Row 11").wait_for(state="attached")
    assert spoken(page) == pixel_words(0, found, 11, 15)


def test_keys_move_the_cross_hair(show):
    page = show(figure())
    found = PREDICTIONS[8, False][0]
    page.get_by_role("application").focus()
    row, column = H // 2, W // 2
    for key, (dr, dc) in {
        "ArrowUp": (-1, 0),
        "ArrowLeft": (0, -1),
        "Shift+ArrowUp": (-8, 0),
        "Shift+ArrowRight": (0, 8),
        "ArrowRight": (0, 1),
        "Shift+ArrowDown": (8, 0),
        "ArrowDown": (1, 0),
    }.items():
        page.keyboard.press(key)
        row, column = min(max(row + dr, 0), H - 1), min(max(column + dc, 0), W - 1)
        assert page.locator(".pixel").inner_text() == pixel_words(0, found, row, column)
    page.keyboard.press("Control+ArrowUp")
    assert page.locator(".pixel").inner_text() == pixel_words(0, found, row, column)


def test_static_form(show):
    page = show(figure(), java_script_enabled=False)
    rows = page.locator("tr").all()
    assert len(rows) == 2 + len(KEYS)
    for key, row in zip(KEYS, rows[1:], strict=False):
        scores, truth = one_hot(PREDICTIONS[key]), torch.tensor(TRUTH)
        expected = [f"{mean_iou(scores, truth):.3f}", f"{pixel_accuracy(scores, truth):.1%}"]
        expected += [f"{SCORES[key][0]:.3f}", f"{SCORES[key][1]:.1%}"]
        assert row.locator("td").all_inner_texts() == expected
    assert rows[-1].locator("th").inner_text() == "all background"
    assert rows[-1].locator("td").nth(1).inner_text() == f"{(TRUTH == 0).mean():.1%}"


def test_runs_by_hand():
    assert segmentation.runs([[1, 1, 0], [0, 0, 2]]) == "BACAADCAB"
    assert segmentation.runs(np.zeros((65, 64), int)) == "A//ABB"  # 4,095 pixels, and 65 more
    assert segmentation.levels([[0, 1], [0.5, 1 / 63]]) == "A/gB"


def read_runs(text):
    numbers = np.searchsorted(np.sort(BASE64), np.frombuffer(text.encode(), np.uint8))
    values = np.argsort(BASE64)[numbers].reshape(-1, 3)
    return np.repeat(values[:, 0], values[:, 1:] @ [64, 1])


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (90, 91), (128, 128)])
@pytest.mark.parametrize("classes", [1, 2, 32])
def test_runs_are_the_labels(shape, classes, rng):
    for labels in (rng.integers(0, classes, shape), np.full(shape, classes - 1)):
        np.testing.assert_array_equal(read_runs(segmentation.runs(labels)), labels.ravel())


def test_metrics_are_those_of_the_library(rng):
    truth, found = rng.integers(0, 3, (2, 5, 6, 7))  # the fourth class does not occur
    counts = segmentation.confusion(truth, found, 4)
    expected = confusion_counts(one_hot(found), torch.tensor(truth))
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(segmentation.class_iou(counts), class_iou(expected))


def test_data_is_small():
    data = json.dumps(figure().data)
    assert len(data) < N * H * W + (1 + len(KEYS)) * N * 3 * 120 + 800


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": IMAGES[0]}, r"`images` has shape \(12, 16\), expected \(N, H, W\), \(N, 1,"),
        ({"images": np.zeros((1, 2, H, W))}, r"`images` has shape \(1, 2, 12, 16\), expected"),
        ({"images": np.zeros((13, H, W))}, "`images` has 13 scenes of 12 x 16 pixels, expected 1"),
        ({"images": np.zeros((1, 200, W))}, "has 1 scenes of 200 x 16 pixels, .* most 128 x 128"),
        ({"images": 2 * IMAGES}, r"`images` has numbers outside 0\.\.1"),
        ({"names": ["background"]}, "`names` has 1 names, expected 2 to 32, the background first"),
        ({"truth": TRUTH[:2]}, r"`truth` has shape \(2, 12, 16\) and type int64, expected ints of"),
        ({"truth": 0.5 * TRUTH}, "`truth` has shape .* and type float64, expected ints"),
        ({"truth": TRUTH - 1}, "`truth` has classes -1 to 1, expected 0 to 3 as in `names`"),
        ({"names": NAMES[:2]}, "`truth` has classes 0 to 2, expected 0 to 1 as in `names`"),
        ({"predictions": {}}, "`predictions` is empty, expected at least one"),
        ({"predictions": {8: TRUTH}}, r"`predictions` has the key 8, expected \(stride, skips\)"),
        ({"predictions": {(0, True): TRUTH}}, r"`predictions` has the key \(0, True\), expected"),
        ({"predictions": {(8, 1): TRUTH}}, r"`predictions` has the key \(8, 1\), expected"),
        (
            {"predictions": {(8, True): TRUTH[..., :3]}},
            r"`predictions` of \(8, True\) has shape \(3, 12, 3\) and type int64",
        ),
        ({"scores": {(8, True): (0.1, 0.2)}}, r"`scores` has \[\(8, True\)\], expected those of"),
        ({"scores": {(8, False): 0.1}}, r"`scores` of \(8, False\) is 0\.1, expected mean IoU and"),
        ({"scores": {(8, False): (0.1, 90)}}, r"is \(0\.1, 90\), .* pixel accuracy in 0\.\.1"),
    ],
)
def test_says_what_is_wrong(change, message):
    good = {"images": IMAGES, "truth": TRUTH, "predictions": PREDICTIONS, "names": NAMES}
    with pytest.raises(ValueError, match="segmentation_explorer: .*" + message):
        web.segmentation_explorer(**(good | change))
