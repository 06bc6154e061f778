"""The digit that moves, by mouse, keys, sliders and touch, against the networks in NumPy."""

import json
import re

import numpy as np
import pytest

from course_lib import web
from course_lib.data import place_digits
from course_lib.palette import ROLES
from course_lib.web.network import checked, decode, encode, forward, softmax

SIZE, SCALE, REACH = 16, 0.5, 3
RNG = np.random.default_rng(0)
DIGITS = RNG.random((3, 8, 8)).round(2)
LABELS = [1, 0, 1]
REST = {"dx": 0, "dy": 0, "angle": 0, "scale": SCALE}
SLIDERS = {"dx": "right", "dy": "down", "angle": "turn", "scale": "size"}
UNITS = {"dx": 1, "dy": 1, "angle": 5, "scale": 0.05}


def network(seed):
    """A small one with random weights, that answers differently at different places."""
    draw = np.random.default_rng(seed).standard_normal
    return [
        {"kind": "conv2d", "name": "c1", "weight": draw((3, 1, 5, 5)), "bias": draw(3)},
        {"kind": "tanh"},
        {"kind": "max_pool2d", "name": "s2", "kernel_size": 2},
        {"kind": "linear", "name": "f3", "weight": 0.3 * draw((6, 108)), "bias": draw(6)},
        {"kind": "relu"},
        {"kind": "linear", "weight": draw((2, 6)), "bias": [0, 0]},
    ]


NETWORKS = {"one": network(14), "other": network(4)}
LAYERS = {  # as the page runs them
    name: [
        {k: decode(encode(v)) if isinstance(v, np.ndarray) else v for k, v in layer.items()}
        for layer in checked("test", layers, (1, SIZE, SIZE))
    ]
    for name, layers in NETWORKS.items()
}


def figure(**options):
    options = {"size": SIZE, "scale": SCALE, "reach": REACH} | options
    return web.moving_digit(NETWORKS, DIGITS, LABELS, **options)


def outputs(name, digit, move):
    return forward(LAYERS[name], place_digits(DIGITS[digit, None, None], size=SIZE, **move))


def shares(name, digit, move):
    return softmax(outputs(name, digit, move)[-1])[0]


def percent(share):
    return f"{np.floor(100 * share + 0.5):.0f}%"


def answer(name, digit, move):
    probabilities = shares(name, digit, move)
    return f"{probabilities.argmax()}, {percent(probabilities.max())}"


def differences(name, digit, move):
    """How far each shown layer is from itself with the digit in the middle."""
    now, rest = outputs(name, digit, move), outputs(name, digit, REST)
    shown = (1, 2, 4)  # the activations belong to the layers before them
    return [percent(np.linalg.norm(now[i] - rest[i]) / np.linalg.norm(rest[i])) for i in shown]


def settled(page):
    """Wait for the frame that draws what was asked for."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def control(page, name):
    return page.get_by_role("slider", name=name, exact=True)


def by_slider(page, move):
    for what, value in move.items():
        control(page, SLIDERS[what]).fill(str(round(value / UNITS[what])))


def by_keys(page, move):
    keys = {"dx": "ArrowRight", "dy": "ArrowDown"}
    keys |= {"angle": "Shift+ArrowLeft", "scale": "Shift+ArrowUp"}
    opposite = {"Right": "Left", "Left": "Right", "Down": "Up", "Up": "Down"}
    page.get_by_role("button", name="Back").click()
    page.get_by_role("application").focus()
    for what, value in move.items():
        steps = round((value - REST[what]) / UNITS[what])
        key = keys[what]
        if steps < 0:
            key = re.sub("Right|Left|Down|Up", lambda match: opposite[match[0]], key)
        for _ in range(abs(steps)):
            page.keyboard.press(key)


class Canvas:
    """Points of the canvas, in its pixels, on the screen."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".board svg").bounding_box()

    def point(self, x, y):
        side = self.box["width"] / SIZE
        return self.box["x"] + x * side, self.box["y"] + y * side

    def drag(self, start, end):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=4)
        self.page.mouse.up()


def by_drag(page, move):
    """Drag the digit by its middle, then its knob, from the upper right corner of its frame."""
    page.get_by_role("button", name="Back").click()
    settled(page)
    canvas = Canvas(page)
    middle = SIZE / 2 + np.array([move["dx"], move["dy"]])
    canvas.drag((SIZE / 2, SIZE / 2), middle)
    settled(page)
    half = SCALE * SIZE / 2
    turn = np.deg2rad(45 + move["angle"])
    reach = np.sqrt(2) * half * move["scale"] / SCALE
    end = middle + reach * np.array([np.cos(turn), -np.sin(turn)])
    canvas.drag((middle[0] + half, middle[1] - half), end)


MOVES = [
    {"dx": 2, "dy": -1, "angle": 30, "scale": 0.4},
    {"dx": -1, "dy": 1, "angle": -45, "scale": 0.55},
]


@pytest.mark.parametrize("go", [by_slider, by_keys, by_drag])
@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_every_way_to_move(show, go, theme, width):
    page = show(figure(), theme=theme, width=width)
    for move in MOVES:
        go(page, move)
        settled(page)
        read = shares("one", 0, move)
        verdict = "right" if read.argmax() == LABELS[0] else "wrong"
        assert page.locator(".verdict").inner_text() == (
            f"Reads {read.argmax()} with {percent(read.max())}: {verdict}"
        )
        assert page.locator(".verdict").get_attribute("class") == f"verdict {verdict}"
        got = page.locator(".bars").get_attribute("aria-label")
        assert got == f"Probability of each class: 0 {percent(read[0])}, 1 {percent(read[1])}"
        for what, value in move.items():
            assert control(page, SLIDERS[what]).input_value() == f"{value / UNITS[what]:.0f}"
        told = page.locator(".change").all_inner_texts()
        assert told == [f"differs by {text}" for text in differences("one", 0, move)]


def test_a_finger_drags_too(show):
    page = show(figure(), has_touch=True, width=390)
    page.get_by_role("application").scroll_into_view_if_needed()
    canvas = Canvas(page)
    session = page.context.new_cdp_session(page)
    points = [canvas.point(8, 8), canvas.point(9, 9), canvas.point(11, 9)]
    for kind, at in zip(["touchStart", "touchMove", "touchMove"], points, strict=True):
        touch = [{"x": at[0], "y": at[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touch})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settled(page)
    assert control(page, "right").input_value() == "3"
    assert control(page, "down").input_value() == "1"


def test_moves_end_where_the_controls_end(show):
    page = show(figure())
    page.get_by_role("application").focus()
    for key in ["ArrowUp", "ArrowLeft", "Shift+ArrowDown"]:
        for _ in range(8):
            page.keyboard.press(key)
    settled(page)
    ends = {"right": str(-REACH), "down": str(-REACH), "size": "6"}
    assert {name: control(page, name).input_value() for name in ends} == ends
    page.get_by_role("button", name="Back to the middle").click()
    settled(page)
    assert page.locator(".change").all_inner_texts() == ["differs by 0%"] * 3
    assert control(page, "size").input_value() == "10"


def test_keys_of_the_browser_stay_its_own(show):
    page = show(figure())
    page.get_by_role("application").focus()
    for key in ["Control+ArrowRight", "Alt+ArrowDown", "Home"]:
        page.keyboard.press(key)
    settled(page)
    assert control(page, "right").input_value() == control(page, "down").input_value() == "0"


def test_another_digit_and_another_network(show):
    page = show(figure())
    move = REST | {"dx": 2, "angle": 90}
    by_slider(page, {"dx": 2, "angle": 90})
    page.get_by_label("a 0").check()
    page.get_by_label("other").check()
    settled(page)
    assert page.locator(".answer[aria-hidden]").all_inner_texts() == [
        answer(name, 1, move) for name in NETWORKS
    ]
    read = shares("other", 1, move)
    assert page.locator(".verdict").inner_text().startswith(f"Reads {read.argmax()} with")
    told = page.locator(".change").all_inner_texts()
    assert told == [f"differs by {text}" for text in differences("other", 1, move)]
    assert page.locator(".truth .class").inner_text() == "0"
    assert page.locator(".column.answer .class").inner_text() == str(read.argmax())


def test_digits_of_one_class_have_different_names(show):
    page = show(figure())
    for name in ("a 1", "a 0", "a 1, number 2"):
        assert page.get_by_role("radio", name=name, exact=True).count() == 1


def test_one_network_needs_no_choice(show):
    one = web.moving_digit(NETWORKS["one"], DIGITS, LABELS, size=SIZE, scale=SCALE, reach=REACH)
    page = show(one)
    assert page.get_by_role("radio").count() == len(DIGITS)
    by_slider(page, {"dx": 1})
    settled(page)
    read = shares("one", 0, REST | {"dx": 1})
    assert page.locator(".verdict").inner_text().startswith(f"Reads {read.argmax()} with")


def test_what_networks_see_for_paper_and_ink(show):
    page = show(figure(values=(-0.1, 1.175)))
    images = place_digits(DIGITS[0, None, None], size=SIZE, scale=SCALE)
    read = softmax(forward(LAYERS["one"], -0.1 + 1.275 * images)[-1])[0]
    assert percent(read.max()) in page.locator(".verdict").inner_text()


PIXELS = """canvas => {
  const { width, height } = canvas;
  return Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data);
}"""


def pixels(canvas):
    """What is on a canvas: colours (n, 3), and opacities (n,) in 0..1."""
    data = np.reshape(canvas.evaluate(PIXELS), (-1, 4))
    return data[:, :3], data[:, 3] / 255


def rgb(role, theme):
    colour = getattr(ROLES[role], theme)
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_show_the_numbers_in_the_colours_of_the_theme(show, theme):
    page = show(figure(), theme="light")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    move = MOVES[0]
    by_slider(page, move)
    settled(page)
    colours, opacity = pixels(page.locator(".board canvas"))
    image = place_digits(DIGITS[0, None, None], size=SIZE, **move)
    np.testing.assert_allclose(opacity, image.ravel(), atol=0.01)
    for colour in colours[opacity > 0.9]:
        np.testing.assert_allclose(colour, rgb("ink", theme), atol=2)

    found = outputs("one", 0, move)
    at_rest = [outputs("one", n, REST) for n in range(3)]
    rows = page.locator(".row").all()
    assert len(rows) == 3
    for row, layer in zip(rows, (1, 2, 4), strict=True):
        maps = row.locator("canvas").all()
        values = found[layer][0].reshape(len(maps), -1)
        most = max(np.abs(rest[layer]).max() for rest in at_rest)
        for canvas, value in zip(maps, values, strict=True):
            colours, opacity = pixels(canvas)
            np.testing.assert_allclose(opacity, np.minimum(abs(value) / most, 1), atol=0.01)
            for sign, role in [(1, "prediction"), (-1, "gradient")]:
                strong = (np.sign(value) == sign) & (opacity > 0.8)
                np.testing.assert_allclose(
                    colours[strong], np.broadcast_to(rgb(role, theme), (strong.sum(), 3)), atol=2
                )


def test_the_map_of_shifts(show):
    page = show(figure())
    turned = {"angle": 40, "scale": 0.6}
    by_slider(page, turned)
    told = page.locator(".told")
    told.filter(has_text="Right at").wait_for()
    across = range(-REACH, REACH + 1)
    right = np.array(
        [
            [shares("one", 0, turned | {"dx": dx, "dy": dy}).argmax() == LABELS[0] for dx in across]
            for dy in across
        ]
    )
    assert 0 < right.sum() < right.size
    assert told.inner_text().startswith(f"Right at {right.sum()} of {right.size} shifts")
    _, opacity = pixels(page.locator(".plane canvas"))
    np.testing.assert_array_equal(opacity.reshape(right.shape) > 0, right)

    box = page.locator(".plane svg").bounding_box()
    side = box["width"] / len(across)
    page.mouse.click(box["x"] + 5.5 * side, box["y"] + 0.5 * side)
    settled(page)
    assert control(page, "right").input_value() == "2"
    assert control(page, "down").input_value() == str(-REACH)
    assert page.locator(".spot").get_attribute("x") == "5"


def test_the_answer_is_told_when_the_moves_have_ended(show, spoken):
    page = show(figure())
    page.get_by_role("application").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        assert spoken(page) == ""
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    page.locator("p.unseen[role=status]").filter(has_text="reads").wait_for(state="attached")
    move = REST | {"dx": 3, "dy": -1, "angle": -5}
    reads = [
        f"{name} reads {shares(name, 0, move).argmax()} with {percent(shares(name, 0, move).max())}"
        for name in NETWORKS
    ]
    assert spoken(page) == (
        "The digit is a 1, moved 3 right and 1 up, turned 5 degrees clockwise, at 50%: "
        f"{'; '.join(reads)}."
    )


def test_static_form(show):
    page = show(figure(), java_script_enabled=False)
    moves = [{}, {"dx": 2}, {"dx": 4, "dy": 4}, {"angle": 30}, {"scale": 0.7 * SCALE}]
    for name in NETWORKS:
        rows = page.get_by_role("table", name=name, exact=True).locator("tr").all()
        assert len(rows) == 1 + len(DIGITS)
        for digit, row in enumerate(rows[1:]):
            expected = [answer(name, digit, REST | move) for move in moves]
            got = [text.replace(" (", ", ").replace(")", "") for text in cells(row)]
            assert got == expected


def cells(row):
    return row.locator("td").all_inner_texts()


def test_data_is_small():
    data = figure().data
    assert len(json.dumps(data["digits"])) < 3 * (2 * 64 + 200)
    weights = sum(a.size for layers in LAYERS.values() for layer in layers for a in arrays(layer))
    assert len(json.dumps(data["networks"])) < 2 * weights + 2500


def arrays(layer):
    return [value for value in layer.values() if isinstance(value, np.ndarray)]


GOOD = {"networks": NETWORKS, "digits": DIGITS, "labels": LABELS, "size": SIZE}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"networks": {}}, "`networks` is empty, expected at least one network"),
        ({"networks": [{"kind": "relu"}]}, "moving_digit: network: the network ends with"),
        ({"size": 20}, r"moving_digit: one: layer 3, f3, .* expected \(F, D\) with D = 192"),
        ({"size": 4}, "`size` is 4, expected an int of 8 to 64 pixels"),
        ({"scale": 2}, r"`scale` is 2, expected 0\.3 to 1\.2"),
        ({"reach": 9}, "`reach` is 9, expected an int of 1 to 8 pixels, half the canvas"),
        ({"values": (0, np.inf)}, "`values` is .*, expected two finite numbers, for paper and ink"),
        ({"digits": DIGITS[0]}, r"`digits` has shape \(8, 8\), expected \(N, 1, H, W\) with 1 to"),
        ({"digits": np.zeros((13, 8, 8))}, r"`digits` has shape \(13, 1, 8, 8\), expected"),
        ({"digits": 2 * DIGITS}, r"`digits` has numbers outside 0\.\.1"),
        ({"labels": [1, 0]}, r"`labels` has shape \(2,\) and type int64, expected 3 ints"),
        ({"labels": [1.0, 0, 1]}, "and type float64, expected 3 ints, one for each digit"),
        ({"labels": [1, 0, 2]}, r"`labels` has \[2\], expected classes 0 to 1 of the networks"),
    ],
)
def test_says_what_is_wrong(change, message):
    with pytest.raises(
        ValueError, match="moving_digit: .*" + message.removeprefix("moving_digit: ")
    ):
        web.moving_digit(**(GOOD | change))


def test_networks_must_have_the_same_classes():
    last = {"kind": "linear", "weight": np.ones((3, 6)), "bias": [0] * 3}
    three = [*NETWORKS["one"][:-1], last]
    with pytest.raises(ValueError, match=r"return \{'one': 2, 'three': 3\}, expected as many"):
        web.moving_digit({"one": NETWORKS["one"], "three": three}, DIGITS, LABELS, size=SIZE)


def test_a_model_that_is_no_chain_is_refused():
    with pytest.raises(TypeError, match="moving_digit: network: the network is a int, expected"):
        web.moving_digit(3, DIGITS, LABELS)
