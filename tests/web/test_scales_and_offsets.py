"""Scales and offsets, chosen by mouse and keys, against pooling and sliding done by PyTorch."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import web
from course_lib.detection import dense_costs, scale_table
from course_lib.models import overfeat_accurate, summary
from course_lib.web.scales import accurate_macs, overfeat_scales

TIMES = "\N{MULTIPLICATION SIGN}"
# A small network: windows of 20 px, 2 px from cell to cell, pooled by 2, 3 pooled cells a score.
SMALL = {"window": 20, "cell": 2, "pool": 2, "kernel": 3}
SCALES = [((26, 32), (9, 12)), ((20, 22), (6, 7))]
MACS = (1000, [5000, 2000], 70)


def small(**options):
    return web.scales_and_offsets(SCALES, **(SMALL | {"macs": MACS} | options))


def offset_maps(before, pool, kernel):
    """Of each offset the numbers of the windows it has scores for, rows before columns, by PyTorch.

    The maps before the pooling hold the number of each cell, the pooling takes the upper left one,
    and so does the classifier: what comes out says where its window starts.
    """
    rows, columns = before
    cells = torch.arange(float(rows * columns)).view(1, 1, rows, columns)
    first = torch.zeros(1, 1, kernel, kernel)
    first[..., 0, 0] = 1
    maps = {}
    for down in range(pool):
        for right in range(pool):
            pooled = -nn.functional.max_pool2d(-cells[..., down:, right:], pool)
            fits = min(pooled.shape[2:]) >= kernel
            starts = nn.functional.conv2d(pooled, first)[0, 0] if fits else torch.empty(0, 0)
            maps[down, right] = starts.int().numpy()
    return maps


@pytest.mark.parametrize("image, before", overfeat_scales())
def test_the_scale_table_is_what_the_network_does(image, before):
    with torch.device("meta"):
        model = overfeat_accurate(device="meta")
        maps = model.features(torch.empty(1, 3, *image))
    assert tuple(maps.shape[2:]) == before


def test_the_counts_are_those_of_the_network():
    rows = summary(overfeat_accurate(device="meta"), (3, 221, 221)).rows
    macs = {row.name: row.macs for row in rows if row.macs}
    total = [sum(n for name, n in macs.items() if (kind in name)) for kind in ("conv", "fc")]
    assert accurate_macs((221, 221)) == tuple(total)
    rows = summary(overfeat_accurate(device="meta").features, (3, 425, 497)).rows
    assert accurate_macs((425, 497))[0] == sum(row.macs or 0 for row in rows)


def test_the_static_form_is_the_librarys_table():
    model = overfeat_accurate(device="meta")
    lines = web.scales_and_offsets().text.splitlines()[2:]
    for line, row in zip(lines, scale_table(model), strict=True):
        costs = dense_costs(model, row.image)
        sizes = (row.image, row.pre_pool, row.post_pool, row.classifier_map, row.output)
        texts = [f"{rows} {TIMES} {columns}" for rows, columns in sizes]
        texts += [str(costs.windows), "12 px", f"{costs.dense:,}", f"{costs.crops:,}"]
        assert line.split(" | ") == texts


def radio(page, name):
    return page.get_by_role("radio", name=name, exact=True)


def offset_radio(page, n):
    return page.get_by_role("radio", name=f"offset {'abcdefghi'[n]}:")


def drawn_window(page):
    rect = page.locator("g.box.window .edge:visible").first
    return [float(rect.get_attribute(name)) for name in ("x", "y", "width", "height")]


def here(page):
    rect = page.locator(".here")
    return [int(rect.get_attribute(name)) // 10 for name in ("y", "x")]


def points(page, n):
    """Starts of the windows whose middles are drawn for an offset."""
    path = page.locator(f".centres.offset-{n}").get_attribute("d")
    return np.array([p.split() for p in path.replace("h0", "").split("M")[1:]], float).reshape(
        -1, 2
    )


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("scale", [0, 1])
def test_each_offset_has_the_windows_that_pooling_gives(show, scale, theme, width):
    page = show(small(), theme=theme, width=width)
    image, before = SCALES[scale]
    radio(page, f"{image[0]} {TIMES} {image[1]}").check()
    pool, kernel = SMALL["pool"], SMALL["kernel"]
    maps = offset_maps(before, pool, kernel)
    every = [side - pool * kernel + 1 for side in before]
    letters = np.full(every, " ")
    for n, ((down, right), starts) in enumerate(maps.items()):
        offset_radio(page, n).check()
        found = 2 * np.stack([starts % before[1], starts // before[1]], -1).reshape(-1, 2)
        np.testing.assert_array_equal(points(page, n) - 10, found)  # half a window
        assert page.locator(".outlines").get_attribute("d").count("z") == starts.size
        assert sum(len(points(page, other)) for other in range(4)) == starts.size
        size = f"{starts.shape[0]} {TIMES} {starts.shape[1]} = {starts.size}"
        apart = "window" if starts.size == 1 else "windows, 4 px apart"
        what = f"{size} {apart}. Dense: " if starts.size else "no window fits."
        told = page.locator(".told").inner_text()
        where = f"{down} down, {right} right, on {image[0]} {TIMES} {image[1]}"
        assert told.startswith(f"Offset {'abcd'[n]}, {where}: {what}")
        letters[starts // before[1], starts % before[1]] = "abcd"[n]
        texts = page.locator(".map text").all_text_contents()
        assert texts == ["abcd"[n]] * starts.size
        strips = page.locator(".strip p").all_inner_texts()
        assert strips[1 + right].startswith(f"{right} right: {(before[1] - right) // pool} pooled,")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    radio(page, "all four").check()
    assert page.locator(".map text").all_text_contents() == letters.ravel().tolist()
    assert " " not in letters
    told = page.locator(".told").inner_text()
    assert f": {every[0]} {TIMES} {every[1]} = {every[0] * every[1]} windows, 2 px apart." in told


def cells(page, row):
    name = page.get_by_role("rowheader", name=row, exact=True)
    return page.get_by_role("row").filter(has=name).locator("td").all_inner_texts()


def test_counts(show):
    page = show(small())
    offset_radio(page, 3).check()
    starts = offset_maps((9, 12), 2, 3)[1, 1]
    assert starts.shape == (2, 3)
    assert cells(page, "score map") == [f"2 {TIMES} 3", f"4 {TIMES} 7"]
    assert cells(page, "windows") == ["6", "28"]
    assert cells(page, "their stride") == ["4 px", "2 px"]
    assert cells(page, "multiply-accumulates, dense") == ["5,420", "6,960"]  # 5000 + windows * 70
    assert cells(page, "crop by crop") == ["6,420", "30.0K"]  # windows * 1070
    assert cells(page, "crops against dense") == [f"1.2 {TIMES}", f"4.3 {TIMES}"]
    assert page.locator("th.chosen").inner_text() == "offset d"
    assert f"Dense: 5,420 multiply-accumulates; crop by crop: 6,420, 1.2 {TIMES} as many." in (
        page.locator(".told").inner_text()
    )


def test_without_costs_there_are_none(show):
    page = show(small(macs=None))
    assert page.get_by_role("rowheader").count() == 3
    assert "multiply" not in page.locator(".told").inner_text()


def test_the_windows_of_the_paper(show):
    page = show(web.scales_and_offsets())
    finer = {}
    for image, _ in overfeat_scales():
        radio(page, f"{image[0]} {TIMES} {image[1]}").check()
        finer[image] = cells(page, "score map")
    expected = ["3x3", "6x9", "9x15", "15x21", "18x24", "21x30"]
    assert [pair[1] for pair in finer.values()] == [e.replace("x", f" {TIMES} ") for e in expected]
    assert cells(page, "their stride") == ["36 px", "12 px"]
    assert cells(page, "crop by crop")[1] == "3.37T"
    assert points(page, 0).max() + 221 / 2 <= 569


@pytest.mark.parametrize("place", [0, 1])
def test_keys_step_from_window_to_window(show, place):
    page = show(small())
    assert here(page) == [2, 3]
    page.get_by_role("application").nth(place).focus()
    for key, at in {"ArrowRight": [2, 4], "ArrowDown": [3, 4], "ArrowLeft": [3, 3]}.items():
        page.keyboard.press(key)
        assert here(page) == at
        assert drawn_window(page) == [2 * at[1], 2 * at[0], 20, 20]
    offset_radio(page, 0).check()
    row, column = here(page)
    assert row % 2 == column % 2 == 0
    page.get_by_role("application").nth(place).focus()
    page.keyboard.press("ArrowUp")
    assert here(page) == [row - 2, column]
    for key in ("ArrowUp", "Control+ArrowRight", "Home", "ArrowUp"):
        page.keyboard.press(key)
    assert here(page) == [0, column]
    assert f"column {column + 1}, offset a, starts at x = {2 * column}, y = 0 px." in (
        page.locator(".told").inner_text()
    )


def test_drag_press_and_touch(show):
    page = show(small(), has_touch=True, width=390)
    box = page.locator(".scene svg").bounding_box()
    scale = box["width"] / 32

    def point(x, y):
        return box["x"] + x * scale, box["y"] + y * scale

    page.mouse.move(*point(16, 14))
    page.mouse.down()
    page.mouse.move(*point(20.3, 11), steps=4)
    page.mouse.up()
    assert here(page) == [0, 5]
    page.mouse.click(*point(3, 24))
    assert here(page) == [3, 0]
    session = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", (10, 20)), ("touchMove", (13, 20)), ("touchMove", (16, 16))]:
        x, y = point(*at)
        spots = [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert here(page) == [1, 3]
    page.locator(".map .cell").nth(3 * 7 + 6).click()
    assert here(page) == [3, 6]
    offset_radio(page, 0).check()
    page.locator(".map .cell").nth(0).click()
    page.locator(".map .cell").nth(1 * 7 + 3).click()  # not of this offset: the nearest one is
    assert here(page) == [2, 4]


def test_strips_show_where_the_chosen_score_comes_from(show):
    page = show(small())
    page.locator(".map .cell").nth(1 * 7 + 4).click()
    for axis, start in (("a row", 4), ("a column", 1)):
        radio(page, axis).check()
        strips = page.locator(".strip").all()
        length = SCALES[0][1][axis == "a row"]
        assert len(strips) == 4
        first = strips[0].locator(".part").all()
        assert len(first) == length
        seen = [n for n, part in enumerate(first) if "seen" in part.get_attribute("class")]
        assert seen == list(range(start, start + 6))  # 3 pooled cells of 2
        left = [part.bounding_box() for part in first]
        for d in (0, 1):
            marked = strips[1 + d].locator(".part.seen").all()
            assert len(marked) == (4 if d == start % 2 else 0)  # 3 pooled cells and their score
            if marked:
                boxes = [part.bounding_box() for part in marked]
                assert boxes[0]["x"] == pytest.approx(left[start]["x"], abs=0.5)
                end = left[start + 5]["x"] + left[start + 5]["width"]
                assert boxes[2]["x"] + boxes[2]["width"] == pytest.approx(end, abs=0.5)
        last = strips[3].locator(".part").all()
        assert len(last) == length - 5
        assert ["seen" in part.get_attribute("class") for part in last].index(True) == start


def test_recorded_scores_colour_the_cells(show):
    maps = [np.linspace(0, 1, 28).reshape(4, 7), np.full((1, 2), 0.5)]
    page = show(small(scores=maps))
    assert page.locator(".cell.scored").count() == 0
    page.get_by_label("scores", exact=True).check()
    shares = [cell.get_attribute("style") for cell in page.locator(".cell.scored").all()]
    assert shares == [f"--share: {np.rint(100 * s):.0f}%" for s in maps[0].ravel()]
    page.locator(".map .cell").nth(2).click()
    assert page.locator(".told").inner_text().endswith("y = 0 px, score 0.07.")
    page.locator(".map .cell").nth(27).click()
    assert page.locator(".told").inner_text().endswith("y = 6 px, score 1.00.")


def test_it_is_told_when_the_window_has_come_to_rest(show, spoken):
    page = show(small())
    page.wait_for_timeout(700)
    page.get_by_role("application").first.focus()
    before = spoken(page)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        assert spoken(page) == before
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="column 7").wait_for(state="attached")
    assert spoken(page) == page.locator(".told").inner_text()


def test_nothing_is_told_before_anything_is_done(show, spoken):
    page = show(small())
    page.wait_for_timeout(900)
    assert spoken(page) == ""


def test_static_form(show):
    page = show(web.scales_and_offsets(), java_script_enabled=False)
    rows = page.locator("tr").all()
    texts = rows[5].locator("th, td").all_inner_texts()
    sizes = ["425x497", "32x38", "10x12", "6x8", "18x24"]
    assert texts[:7] == [*(size.replace("x", f" {TIMES} ") for size in sizes), "432", "12 px"]
    features, classifier = accurate_macs((425, 497))
    assert texts[7] == f"{features + 432 * classifier:,}"
    assert texts[8] == f"{432 * sum(accurate_macs((221, 221))):,}"


def test_data_is_small():
    picture = np.linspace(0, 1, 640)[:, None] * np.ones((480, 640, 3))
    scores = [np.full([side - 14 for side in before], 0.99) for _, before in overfeat_scales()]
    data = web.scales_and_offsets(picture=picture, scores=scores).data
    assert len(json.dumps(data)) < 15_000


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"scales": [((26, 32), (9,))]},
            r"scale 0 is .*, expected the image \(H, W\) and its maps",
        ),
        ({"scales": [((26, 32), (5, 12))]}, "scale 0 has maps of 5 x 12 cells, expected 6 to 64"),
        ({"scales": [((26, 32), (9, 65))]}, "scale 0 has maps of 9 x 65 cells, expected 6 to 64"),
        ({"scales": [((26, 31), (9, 12))]}, "scale 0 has windows up to pixel 32 of 31; the map,"),
        ({"scales": SCALES * 5}, "`scales` has 10 scales, expected 1 to 8"),
        ({"scales": []}, "`scales` has 0 scales, expected 1 to 8"),
        ({"window": 0}, "`window` is 0, expected an int above 0"),
        ({"cell": 2.5}, "`cell` is 2.5, expected an int above 0"),
        ({"kernel": "3"}, "`kernel` is '3', expected an int above 0"),
        ({"pool": 4}, "`pool` is 4, expected 2 or 3"),
        (
            {"macs": (1, [2], 3)},
            r"`macs` is \(1, \[2\], 3\), expected .* a list of 2 for the images",
        ),
        ({"macs": 3}, "`macs` is 3, expected those before"),
        ({"scores": [np.ones((4, 7))]}, "`scores` has 1 maps, expected 2"),
        ({"scores": [np.ones((4, 6))]}, r"map 0 of `scores` has shape \(4, 6\), expected \(4, 7\)"),
        ({"scores": [np.full((4, 7), 2)]}, r"map 0 of `scores` has numbers outside 0\.\.1"),
        (
            {"scores": [np.ones((4, 7)), np.ones((1, 2)), np.ones((1, 1))]},
            r"map 2 of `scores` has shape \(1, 1\), expected no more",
        ),
        ({"picture": np.ones(3)}, r"the picture has shape \(3,\), expected"),
    ],
)
def test_says_what_is_wrong(change, message):
    good = {"scales": SCALES, "macs": MACS} | SMALL
    if "scales" in change:
        good["macs"] = None
    with pytest.raises(ValueError, match="(?s)scales_and_offsets: .*" + message):
        web.scales_and_offsets(**(good | change))
