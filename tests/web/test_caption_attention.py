"""A caption's attention on the page, against NumPy."""

import numpy as np
import pytest

from course_lib import web
from course_lib.web.caption_attention import attention_shares

MINUS = "\N{MINUS SIGN}"
SENTENCES = ["a three left of a seven", "an eight"]
BOXES = [[[2, 10, 20, 40], [40, 12, 62, 44]], [[10, 10, 30, 34]]]
NAMES = [["three", "seven"], ["eight"]]


def maps(T, h=4, w=4, seed=0):
    weights = np.random.default_rng(seed).dirichlet(np.full(h * w, 0.5), T)
    return weights.reshape(T, h, w)


WEIGHTS = [maps(6), maps(2, 8, 4, 1)]


def figure(**options):
    rng = np.random.default_rng(2)
    images = [rng.random((64, 64)), rng.random((1, 64, 64))]
    return web.caption_attention(
        images, SENTENCES, WEIGHTS, **({"boxes": BOXES, "names": NAMES} | options)
    )


def by_pixels(weights, boxes, size):
    """The shares by counting tenths of pixels."""
    H, W = (10 * side for side in size)
    h, w = weights.shape[1:]
    fine = weights.repeat(H // h, 1).repeat(W // w, 2) / (H // h) / (W // w)
    corners = np.rint(10 * np.asarray(boxes)).astype(int)
    return np.stack([fine[:, y1:y2, x1:x2].sum((1, 2)) for x1, y1, x2, y2 in corners], 1)


def test_shares():
    boxes = [[0, 0, 16, 16], [3.2, 8.1, 40, 33.3], [8, 8, 8.1, 60]]
    np.testing.assert_allclose(
        attention_shares(WEIGHTS[0], boxes, (64, 48)), by_pixels(WEIGHTS[0], boxes, (64, 48))
    )
    assert attention_shares(WEIGHTS[0], [], (64, 64)).shape == (6, 0)
    whole = attention_shares(WEIGHTS[1], [[-5, -5, 99, 99]], (64, 64))
    np.testing.assert_allclose(whole, 1)


def test_the_arithmetic_is_numpys(show, rng):
    page = show(figure())
    for _ in range(40):
        h, w, H, W = (int(n) for n in rng.integers(1, 9, 4))
        weights = rng.dirichlet(np.ones(h * w))
        box = np.sort(rng.uniform(-1, 10, (2, 2)), 0).ravel()
        given = [weights.tolist(), [h, w], [H, W], box.tolist()]
        got = page.evaluate("given => courseFigures.attention.share(...given)", given)
        expected = attention_shares(weights.reshape(1, h, w), box, (H, W))[0, 0]
        assert got == pytest.approx(expected, abs=1e-12)
        places = page.evaluate("given => courseFigures.attention.half(given)", weights.tolist())
        assert places == 1 + np.searchsorted(np.cumsum(np.sort(weights)[::-1]), 0.5)


def percent(value):
    return "<1%" if 0 < value < 0.005 else f"{100 * value:.0f}%"


def agrees(page, scene, word):
    """The overlay, the sentence and the tables are those of a word."""
    weights = WEIGHTS[scene][word]
    opacity = page.locator(".place").evaluate_all(
        "all => all.map(p => Number(p.style.fillOpacity))"
    )
    expected = 0.85 * weights.ravel() / WEIGHTS[scene].max()
    np.testing.assert_allclose(opacity, expected, atol=0.002)
    r, c = np.unravel_index(weights.argmax(), weights.shape)
    told = page.locator(".told").inner_text()
    assert told.startswith(f"“{SENTENCES[scene].split()[word]}”: ")
    assert f"{weights.max():.0%}, at row {r}, column {c} of the map" in told
    cells = page.locator(".weights td").all_text_contents()[1:]
    np.testing.assert_allclose([float(cell) for cell in cells], 100 * weights.ravel(), atol=0.06)
    shares = attention_shares(WEIGHTS[scene], BOXES[scene], (64, 64))
    for t, row in enumerate(page.locator(".words tr").all()[1:]):
        first, *found, elsewhere, half = row.locator("th, td").all_inner_texts()
        assert first.strip() == SENTENCES[scene].split()[t]
        for text, share in zip([*found, elsewhere], [*shares[t], 1 - shares[t].sum()], strict=True):
            assert text in (percent(share + 5e-4), percent(share - 5e-4), percent(share))
        assert half.endswith(f" of {weights.size}")
    for n, share in enumerate(shares[word]):
        near = [percent(share + by) for by in (-5e-4, 0, 5e-4)]
        assert any(
            f"{text} {'' if n else 'of the weight '}on the {NAMES[scene][n]}" in told
            for text in near
        )


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_choices(show, spoken, theme, width):
    page = show(figure(), theme=theme, width=width)
    agrees(page, 0, 0)
    page.get_by_label("seven").check()
    agrees(page, 0, 5)
    page.keyboard.press("ArrowUp")
    agrees(page, 0, 4)
    said = page.locator("p.unseen[role=status]")
    said.filter(has_text="“a”").wait_for(state="attached")
    assert spoken(page) == page.locator(".told").inner_text()
    page.get_by_label("scene 2").check()
    agrees(page, 1, 1)  # as far as it has words
    said.filter(has_text="Scene 2: an eight. “eight”").wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_where_it_begins(show):
    agrees(show(figure(scene=1, word=1)), 1, 1)


def test_places_lie_on_the_picture(show):
    page = show(figure(scene=1))  # 8 rows, 4 columns of 64 x 64 pixels
    page.get_by_role("checkbox").check()
    rect = page.locator(".place").nth(4 * 2 + 3)
    assert [rect.get_attribute(k) for k in ("x", "y", "width", "height")] == ["48", "16", "16", "8"]
    scene = page.locator(".scene").bounding_box()
    place = rect.bounding_box()
    assert place["x"] - scene["x"] == pytest.approx(0.75 * scene["width"], abs=2)
    assert place["y"] - scene["y"] == pytest.approx(0.25 * scene["height"], abs=2)
    numbers = page.locator(".figure").all_text_contents()
    expected = [f"{100 * w:.0f}" if w >= 0.03 else "" for w in WEIGHTS[1][0].ravel()]
    off = [a for a, b in zip(numbers, expected, strict=True) if a != b]
    assert len(off) <= 1  # one that is rounded twice
    shown = page.locator(".figure:not(:empty)").first
    box = shown.bounding_box()
    middle = (
        page.locator(".place").nth(next(n for n, text in enumerate(numbers) if text)).bounding_box()
    )
    assert box["x"] + box["width"] / 2 == pytest.approx(middle["x"] + middle["width"] / 2, abs=1.5)
    assert box["y"] + box["height"] / 2 == pytest.approx(
        middle["y"] + middle["height"] / 2, abs=1.5
    )


@pytest.mark.parametrize("kind, above", [("ink", False), ("photograph", True)])
def test_colour_lies_under_ink_and_over_photographs(show, kind, above):
    image = np.eye(64) if kind == "ink" else np.zeros((64, 64, 3), np.uint8)
    page = show(web.caption_attention([image], ["a"], [maps(1)]))
    order = page.locator(".scene > *").evaluate_all("all => all.map(e => e.getAttribute('class'))")
    assert (order.index("veil") > order.index("picture")) == above


def test_without_boxes_there_are_no_shares(show):
    page = show(figure(boxes=None, names=None))
    heads = page.locator(".words th[scope=col]").all_inner_texts()
    assert heads == ["word", "half lies on"]
    assert "on the" not in page.locator(".told").inner_text()
    assert "one object to the other" not in page.locator(".question").inner_text()


def test_probabilities(show):
    page = show(figure(probabilities=[np.linspace(0.5, 1, 6), [0.25, 0.75]]))
    cells = page.locator(".words tr td:nth-child(2)").all_inner_texts()
    assert cells == ["50%", "60%", "70%", "80%", "90%", "100%"]


def test_objects_of_one_name_are_told_apart():
    (scene, _) = figure(names=[["two", "two"], ["two"]]).data["scenes"]
    assert scene["names"] == ["first two", "second two"]
    assert figure(names=None).data["scenes"][0]["names"] == ["object 1", "object 2"]


def test_static_form(show):
    page = show(figure(), java_script_enabled=False)
    name = "Scene 1: a three left of a seven"
    rows = page.get_by_role("table", name=name).locator("tr")
    weights, share = WEIGHTS[0][5], attention_shares(WEIGHTS[0], BOXES[0], (64, 64))[5]
    r, c = np.unravel_index(weights.argmax(), weights.shape)
    expected = ["seven", *(f"{s:.0%}" for s in share), f"{weights.max():.0%}", f"{r}, {c}"]
    assert rows.nth(6).locator("th, td").all_inner_texts() == expected
    assert name in repr(figure())


def test_targets_for_a_finger(show):
    page = show(figure(), width=390)
    for part in page.locator(".choice, summary").all():
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


@pytest.mark.parametrize(
    "options, message",
    [
        ({"images": []}, "0 `images`, expected 1 to 6"),
        ({"words": ["a"] * 2}, "2 `words` for 1 `images`, expected one each"),
        ({"words": [""]}, "scene 0 has 0 `words`, expected 1 to 16"),
        (
            {"weights": [maps(2)]},
            r"`weights` of shape \(2, 4, 4\), expected \(T, h, w\) .* T = 1 words",
        ),
        ({"weights": [maps(1)[0]]}, r"`weights` of shape \(4, 4\), expected \(T, h, w\)"),
        ({"weights": [maps(1, 17, 1)]}, "1 to 16 places along each side"),
        ({"weights": [-maps(1)]}, "`weights` that are negative or not numbers"),
        ({"weights": [maps(1) * np.nan]}, "`weights` that are negative or not numbers"),
        ({"weights": [2 * maps(1)]}, "`weights` of the sum 2 at word 0, expected 1"),
        ({"boxes": [[[0, 0, 0, 5]]]}, "`boxes` of scene 0 has the box"),
        ({"boxes": [[[0, 0, 5, 5]] * 5]}, "scene 0 has 5 `boxes`, expected at most 4"),
        ({"names": [["a"]]}, "`names` are given without `boxes`"),
        ({"boxes": [[]], "names": [["a"]]}, "scene 0 has 1 `names` for 0 `boxes`"),
        ({"probabilities": [[0.5, 0.5]]}, r"`probabilities` \[0.5, 0.5\], expected 1 in 0..1"),
        ({"probabilities": [[1.5]]}, r"`probabilities` \[1.5\], expected 1 in 0..1"),
        ({"scene": 1}, "`scene` is 1, expected 0 to 0"),
        ({"word": 1}, "`word` is 1, expected 0 to 0"),
        ({"word": -1}, "`word` is -1, expected 0 to 0"),
    ],
)
def test_what_is_no_caption_is_refused(options, message):
    given = {"images": [np.eye(8)], "words": ["a"], "weights": [maps(1)]} | options
    with pytest.raises(ValueError, match=message):
        web.caption_attention(
            given.pop("images"), given.pop("words"), given.pop("weights"), **given
        )
