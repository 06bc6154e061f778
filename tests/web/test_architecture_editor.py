"""The editor of networks: its counts against the papers' and PyTorch's, and every way to edit."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import models, web
from course_lib.web.architecture import FIELDS, PRESETS, count_layers

TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
PUBLISHED = {  # parameters, values with the image, multiply-accumulates; None where none is known
    "lenet5": (61_706, None, 416_520),
    "alexnet": (60_965_224, None, 724_406_816),
    "alexnet-one-tower": (62_378_344, None, 1_135_256_096),
    "zfnet": (62_357_608, None, None),
    "vgg11": (132_863_336, None, 7_609_090_048),
    "vgg13": (133_047_848, None, 11_308_466_176),
    "vgg16": (138_357_544, 15_237_608, 15_470_264_320),
    "vgg19": (143_667_240, None, 19_632_062_464),
    "googlenet-stem": (124_416, None, None),
    "three-3x3": (3 * (9 * 256 * 256 + 256), 4 * 14 * 14 * 256, None),
    "one-7x7": (49 * 256 * 256 + 256, 2 * 14 * 14 * 256, None),
}


def row(page, name):
    """The button of a layer."""
    return page.locator(".row", has=page.locator(f'b:text-is("{name}")'))


def names(page):
    return page.locator(".row b").all_inner_texts()


def cell(page, name, column):
    return row(page, name).locator(f".{column}").inner_text()


def totals(page):
    """The three sums in full, as the cards write them."""
    return page.locator(".total small").all_inner_texts()


def fill(page, layer, **values):
    """Open a layer, and type into its fields."""
    if row(page, layer).get_attribute("aria-expanded") == "false":
        row(page, layer).click()
    for field, value in values.items():
        page.get_by_role("spinbutton", name=field.replace("_", " ")).fill(str(value))


def sums(page):
    """What the open layer works out: name -> text."""
    lines = page.locator("dl").evaluate("dl => [...dl.children].map(line => line.textContent)")
    return dict(zip(lines[::2], lines[1::2], strict=True))


def focused(page):
    """What has the focus, as a screen reader names it in short."""
    return page.evaluate(
        "() => { const f = document.activeElement.shadowRoot?.activeElement;"
        " return f && (f.querySelector('b')?.textContent || f.textContent || f.id); }"
    )


def test_published_totals(show):
    page = show(web.architecture_editor())
    assert set(PUBLISHED) == set(PRESETS)
    for name, known in PUBLISHED.items():
        page.get_by_label("network", exact=True).select_option(name)
        preset = PRESETS[name]
        rows = count_layers(preset["channels"], preset["size"], preset["layers"])
        values = preset["channels"] * preset["size"] ** 2 + sum(r["values"] for r in rows)
        shown = [int(text.split()[0].replace(",", "")) for text in totals(page)]
        assert all(a == b for a, b in zip(shown, known, strict=True) if b is not None), name
        assert shown == [sum(r["parameters"] for r in rows), values, sum(r["macs"] for r in rows)]


def test_sizes_of_the_slides(show):
    page = show(web.architecture_editor("alexnet"))
    outputs = [cell(page, name, "output") for name in names(page)]
    assert outputs[:10] == [
        f"{n} {TIMES} {n} {TIMES} {C}"
        for n, C in zip(
            (227, 55, 27, 27, 13, 13, 13, 13, 6, 1),
            (3, 96, 96, 256, 256, 384, 384, 256, 256, 4096),
            strict=True,
        )
    ]
    assert page.locator(".total b").all_inner_texts() == ["61.0M", "3.75 MB", "724M"]
    assert cell(page, "fc6", "parameters") == "37.8M"
    assert cell(page, "fc6", "percent") == "62 %"
    assert [cell(page, "conv2", name) for name in ("field", "jump")] == ["51 px", "8 px"]


def layer_of(layer, channels, size):
    """The layer in PyTorch."""
    if layer["kind"] == "conv":
        options = {key: layer[key] for key in ("stride", "padding", "groups")}
        return nn.Conv2d(channels, layer["filters"], layer["kernel"], **options)
    if layer["kind"] == "pool":
        return nn.MaxPool2d(layer["kernel"], layer["stride"], layer["padding"])
    if layer["kind"] == "fc":
        units = nn.Linear(channels * size * size, layer["units"])
        return nn.Sequential(nn.Flatten(), units, nn.Unflatten(1, (layer["units"], 1, 1)))
    return nn.AdaptiveAvgPool2d(1)


def random_net(rng):
    layers = []
    for n in range(rng.integers(1, 8)):
        kind = rng.choice(["conv", "conv", "conv", "pool", "pool", "fc", "gap"])
        layer = {"kind": str(kind), "name": f"layer{n}"}
        ranges = {"filters": (1, 13), "kernel": (1, 6), "stride": (1, 4), "padding": (0, 4)}
        ranges |= {"groups": (1, 4), "units": (1, 20)}
        layers.append(layer | {f: int(rng.integers(*ranges[f])) for f in FIELDS[str(kind)]})
    return int(rng.integers(1, 7)), int(rng.integers(8, 65)), layers


TWINS = {
    "lenet5": lambda: models.lenet5(c3="dense", subsampling="average", output="linear"),
    "alexnet": lambda: models.alexnet(device="meta"),
    "alexnet-one-tower": lambda: models.alexnet(towers=1, device="meta"),
    "zfnet": lambda: models.zfnet(device="meta"),
    "vgg11": lambda: models.vgg11(device="meta"),
    "vgg13": lambda: models.vgg13(device="meta"),
    "vgg16": lambda: models.vgg16(device="meta"),
    "vgg19": lambda: models.vgg19(device="meta"),
    "googlenet-stem": lambda: models.googlenet().features[:10],
}


@pytest.mark.parametrize("name", TWINS)
def test_rows_are_those_of_the_models(name):
    channels, size, layers = (PRESETS[name][key] for key in ("channels", "size", "layers"))
    found = models.summary(TWINS[name](), (channels, size, size))
    kinds = ("Conv2d", "MaxPool2d", "AvgPool2d", "Linear")
    rows = [row for row in found.rows if row.kind in kinds]
    assert len(rows) == len(layers)
    for row, layer, counted in zip(rows, layers, count_layers(channels, size, layers), strict=True):
        assert layer["name"] in row.name.split(".")
        shape = (counted["channels"], counted["size"], counted["size"])
        assert row.output_shape in (shape, shape[:1])
        assert row.activations == counted["values"]
        assert row.parameters == counted["parameters"]
        assert row.macs == counted["macs"]
        assert row.receptive_field == counted["field"]
        assert row.stride == counted["stride"]


COUNT = "nets => nets.map(net => courseFigures.counting.count(...net))"


def test_counts_are_those_of_pytorch(show):
    rng = np.random.default_rng(0)
    nets = [random_net(rng) for _ in range(200)]
    shown = show(web.architecture_editor()).evaluate(COUNT, nets)
    impossible = 0
    for (channels, size, layers), rows in zip(nets, shown, strict=True):
        x = torch.zeros(1, channels, size, size, device="meta")
        blocked = None
        for layer, counted in zip(layers, rows, strict=True):
            if blocked:
                assert counted == {"waits": blocked}
                continue
            try:
                twin = layer_of(layer, x.shape[1], x.shape[2]).to("meta")
                y = twin(x)
            except (ValueError, RuntimeError):  # PyTorch refuses it too
                assert set(counted) == {"problem"}
                blocked, impossible = layer["name"], impossible + 1
                continue
            parameters = [p for p in twin.parameters() if p.ndim > 1]
            places = y.shape[2] ** 2
            assert [counted["channels"], counted["size"]] == [y.shape[1], y.shape[2]]
            assert counted["values"] == y.numel()
            assert counted["parameters"] == sum(p.numel() for p in twin.parameters())
            assert counted["macs"] == places * sum(p.numel() for p in parameters)
            x = y
    assert 20 < impossible < 180


def test_python_counts_as_the_page_does(show):
    rng = np.random.default_rng(1)
    nets = [random_net(rng) for _ in range(200)]
    shown = show(web.architecture_editor()).evaluate(COUNT, nets)
    for net, rows in zip(nets, shown, strict=True):
        plain = [{k: v for k, v in one.items() if k not in ("left", "jump")} for one in rows]
        assert plain == count_layers(*net)


@pytest.mark.parametrize("seed", range(3))
def test_a_unit_sees_its_receptive_field(seed):
    rng = np.random.default_rng(seed)
    layers = []
    for n in range(4):
        kind = str(rng.choice(["conv", "pool"]))
        layer = {"kind": kind, "name": f"layer{n}", "filters": 1, "groups": 1, "padding": 0}
        layers.append(
            layer | {"kernel": int(rng.integers(1, 4)), "stride": int(rng.integers(1, 3))}
        )
    size = 60
    last = count_layers(1, size, layers)[-1]
    x = torch.zeros(1, 1, size, size, requires_grad=True)
    y = x
    for layer in layers:  # means and ones have a gradient wherever a window looks
        kernel, stride = layer["kernel"], layer["stride"]
        y = nn.functional.avg_pool2d(y, kernel, stride)
    touched = []
    for unit in (0, 1):
        (gradient,) = torch.autograd.grad(y[0, 0, unit, unit], x, retain_graph=True)
        touched.append(gradient[0, 0].amax(dim=1).nonzero().flatten().tolist())
    assert touched[0][-1] - touched[0][0] + 1 == last["field"]
    assert touched[1][0] - touched[0][0] == last["stride"]


def test_an_open_layer_shows_its_sums(show):
    page = show(web.architecture_editor("alexnet"))
    row(page, "conv2").click()
    assert sums(page) == {
        "size": f"(27 + 2 · 2 {MINUS} 5) / 1 + 1 = 27",
        "output": f"27 {TIMES} 27 {TIMES} 256 = 186,624 values, 746 KB",
        "parameters": "256 · (5 · 5 · 96 / 2) + 256 = 307,456",
        "operations": "27 · 27 · 256 · (5 · 5 · 96 / 2) = 223,948,800",
        "sees": f"19 + (5 {MINUS} 1) · 8 = 51 pixels",
        "stride": "8 · 1 = 8 pixels",
    }
    row(page, "fc6").click()
    assert sums(page) == {
        "output": f"1 {TIMES} 1 {TIMES} 4096 = 4,096 values, 16.4 KB",
        "parameters": "4,096 · (6 · 6 · 256) + 4,096 = 37,752,832",
        "operations": "4,096 · (6 · 6 · 256) = 37,748,736",
        "sees": f"195 + (6 {MINUS} 1) · 32 = 355 pixels, more than the 227 of the image",
    }


def test_the_paper_s_224_does_not_come_out_even(show):
    page = show(web.architecture_editor("alexnet"))
    fill(page, "input", rows_and_columns=224)
    row(page, "conv1").click()
    assert cell(page, "conv1", "output") == f"54 {TIMES} 54 {TIMES} 96"
    assert sums(page)["size"] == (
        f"(224 {MINUS} 11) / 4 + 1 = 54.25, rounded down: 54Not whole: no window reaches the last "
        f"row and column. 223 or 227 would come out even."
    )
    fill(page, "input", rows_and_columns=227)
    row(page, "conv1").click()
    assert sums(page)["size"] == f"(227 {MINUS} 11) / 4 + 1 = 55"


def test_where_most_of_it_is(show, spoken):
    page = show(web.architecture_editor("vgg16"))
    insight = page.locator(".insight")
    assert insight.inner_text().replace("\N{NO-BREAK SPACE}", " ") == (
        "Of the parameters, fc6 alone has 74 %; all convolutions 11 %, all fully connected layers "
        "89 %."
    )
    page.get_by_role("radio", name="memory").check()
    assert insight.inner_text().startswith("Of the memory, conv1_1 and conv1_2 have 21")
    assert spoken(page) == insight.inner_text()
    page.get_by_role("radio", name="multiply-accumulates").check()
    assert insight.inner_text().startswith("Of the operations, 6 layers have 12")


def test_bars_are_as_long_as_their_shares(show):
    page = show(web.architecture_editor("vgg16"), reduced_motion="reduce")
    page.get_by_role("radio", name="memory").check()
    width = {
        name: row(page, name).locator(".bar").evaluate("bar => bar.getBoundingClientRect().width")
        for name in ("conv1_1", "conv2_1", "pool1", "fc8")
    }
    assert width["conv2_1"] == pytest.approx(width["conv1_1"] / 2, abs=0.1)
    assert width["pool1"] == pytest.approx(width["conv1_1"] / 4, abs=0.1)
    assert width["fc8"] < width["conv1_1"] / 1000


@pytest.mark.parametrize(
    "layer, values, problem",
    [
        (
            "conv3",
            {"kernel": 27},
            "A window of 27 does not fit 13 + 2 · 1 = 15 rows and columns. A kernel up to 15 fits, "
            "or padding from 7.",
        ),
        (
            "pool5",
            {"kernel": 14},
            "A window of 14 does not fit 13 rows and columns. A kernel up to 13 fits, or padding "
            "from 1.",
        ),
        (
            "conv2",
            {"groups": 7},
            "96 channels do not divide into 7 groups. 1, 2 or 4 would fit.",
        ),
        ("conv2", {"filters": 255}, "255 filters do not divide into 2 groups. 1 would fit."),
        (
            "pool1",
            {"padding": 2},
            "With padding 2 some windows of 3 would see no pixel at all. Padding up to 1 fits.",
        ),
    ],
)
def test_an_impossible_layer_says_so(show, spoken, layer, values, problem):
    page = show(web.architecture_editor("alexnet"))
    fill(page, layer, **values)
    assert cell(page, layer, "problem") == problem
    assert problem in row(page, layer).get_attribute("aria-label")
    after = names(page)[names(page).index(layer) + 1 :]
    assert [cell(page, name, "output") for name in after] == ["waits"] * len(after)
    assert totals(page) == [f"waits for {layer}"] * 3
    assert page.locator(".insight").inner_text() == (
        f"{layer} does not fit, and {len(after)} layers after it wait."
    )
    assert spoken(page).endswith(f"The network waits for {layer}.")


@pytest.mark.parametrize("padding", [6, 7])
def test_what_would_fit_fits(show, padding):
    page = show(web.architecture_editor("alexnet"))
    fill(page, "conv3", kernel=27, padding=padding)
    assert (cell(page, "conv4", "output") == "waits") == (padding == 6)
    fill(page, "conv3", padding=1, kernel=15)
    assert cell(page, "conv3", "output") == f"1 {TIMES} 1 {TIMES} 384"


@pytest.mark.parametrize("text", ["", "0", "2.5", "99"])
def test_a_number_that_cannot_be_is_not_taken(show, spoken, text):
    page = show(web.architecture_editor("alexnet"))
    fill(page, "conv1", stride=text)
    words = "stride: a whole number from 1 to 64, please."
    assert page.locator(".complaint").inner_text() == spoken(page) == words
    field = page.get_by_role("spinbutton", name="stride")
    assert field.get_attribute("aria-invalid") == "true"
    assert cell(page, "conv1", "output") == f"55 {TIMES} 55 {TIMES} 96"
    field.press("Tab")
    assert field.input_value() == "4"
    assert page.locator(".complaint").inner_text() == ""


def test_a_number_changes_everything_after_it(show, spoken):
    page = show(web.architecture_editor("alexnet-one-tower"))
    fill(page, "conv1", stride=2)
    assert cell(page, "conv1", "output") == f"109 {TIMES} 109 {TIMES} 96"
    assert cell(page, "conv5", "output") == f"26 {TIMES} 26 {TIMES} 256"
    assert totals(page)[0].endswith(", was 62.4M")
    assert "Output 109 by 109 by 96" in spoken(page)
    assert focused(page).startswith("stride")
    assert page.locator(".about").inner_text().startswith("Changed. ")


def test_typing_is_one_step_to_take_back(show):
    page = show(web.architecture_editor("alexnet"))
    row(page, "conv1").click()
    field = page.get_by_role("spinbutton", name="filters")
    field.press("Control+a")
    field.press_sequentially("128")
    page.get_by_role("spinbutton", name="stride").fill("2")
    page.get_by_role("button", name="Undo").click()
    assert cell(page, "conv1", "output") == f"55 {TIMES} 55 {TIMES} 128"
    page.get_by_role("button", name="Undo").click()
    assert totals(page)[0] == "60,965,224"
    assert page.get_by_role("button", name="Undo").get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Undo").press("Enter")  # nothing happens
    for _ in range(2):
        page.get_by_role("button", name="Redo").click()
    assert cell(page, "conv1", "output") == f"109 {TIMES} 109 {TIMES} 128"
    assert page.get_by_role("button", name="Redo").get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Reset").click()
    assert totals(page)[0] == "60,965,224"


def test_taking_back_keeps_the_focus(show):
    page = show(web.architecture_editor("alexnet"))
    fill(page, "conv1", filters=97)
    page.keyboard.press("Control+z")
    assert focused(page).startswith("filters")
    assert page.get_by_role("spinbutton", name="filters").input_value() == "96"
    page.get_by_role("button", name="Add pooling after conv1").click()
    page.keyboard.press("Control+z")  # the focus was on what is gone
    assert focused(page) == "conv1"


def test_add_and_remove(show, spoken):
    page = show(web.architecture_editor("alexnet"))
    row(page, "conv5").click()
    page.get_by_role("button", name="Add convolution after conv5").click()
    assert names(page)[6:9] == ["conv4", "conv5", "conv6"]
    assert focused(page) == "conv6"
    assert row(page, "conv6").get_attribute("aria-expanded") == "true"
    assert cell(page, "conv6", "output") == f"13 {TIMES} 13 {TIMES} 64"
    assert spoken(page).startswith("conv6, convolution, is added. ")
    page.get_by_role("button", name="Add global average after conv6").click()
    assert cell(page, "gap1", "output") == f"1 {TIMES} 1 {TIMES} 64"
    assert "A window of 3 does not fit 1 rows" in cell(page, "pool5", "problem")
    page.get_by_role("button", name="Remove gap1").click()
    assert focused(page) == "pool5"
    assert spoken(page).startswith("gap1 is removed. The network: ")


def test_a_net_may_be_empty(show):
    page = show(web.architecture_editor("one-7x7"))
    row(page, "conv1").click()
    page.get_by_role("button", name="Remove conv1").click()
    assert names(page) == ["input"]
    assert focused(page) == "input"
    assert page.locator(".insight").inner_text() == "No layer has parameters yet."
    row(page, "input").click()
    page.get_by_role("button", name="Add fully connected after input").click()
    assert totals(page)[0] == f"{256 * 14 * 14 * 1000 + 1000:,}, was 3.21M"


def test_move_by_button(show, spoken):
    page = show(web.architecture_editor("alexnet"))
    row(page, "pool1").click()
    page.get_by_role("button", name="Move pool1 down").click()
    assert names(page)[1:4] == ["conv1", "conv2", "pool1"]
    assert spoken(page).startswith("pool1 is now layer 3 of 11. ")
    assert focused(page).endswith("Down")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Move pool1 up").click()
    page.get_by_role("button", name="Move pool1 up").click()
    page.get_by_role("button", name="Move pool1 up").click()
    assert names(page)[1:3] == ["pool1", "conv1"]
    up = page.get_by_role("button", name="Move pool1 up")
    assert up.get_attribute("aria-disabled") == "true"
    up.press("Enter")
    assert names(page)[:3] == ["input", "pool1", "conv1"]


def test_all_by_keyboard(show):
    page = show(web.architecture_editor("alexnet-one-tower"))
    order = []
    for _ in range(7):
        page.keyboard.press("Tab")
        order.append(focused(page))
    assert order[1:4] == ["Undo", "Redo", "Reset"]
    assert order[5] == "input"
    assert order[6] is None, "the layers are one stop"
    page.keyboard.press("Shift+Tab")
    for key, at in [("ArrowDown", "conv1"), ("End", "fc8"), ("ArrowDown", "fc8")]:
        page.keyboard.press(key)
        assert focused(page) == at
    page.keyboard.press("Home")
    assert focused(page) == "input"
    page.keyboard.press("Delete")  # the image stays
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Alt+ArrowDown")
    assert names(page)[:3] == ["input", "pool1", "conv1"]
    assert focused(page) == "conv1"
    page.keyboard.press("Delete")
    assert names(page)[:3] == ["input", "pool1", "conv2"]
    assert focused(page) == "conv2"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page).startswith("filters")
    page.keyboard.press("ArrowUp")
    assert cell(page, "conv2", "output").endswith("257")
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert names(page)[:3] == ["input", "conv1", "pool1"]
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    assert names(page)[:3] == ["input", "pool1", "conv2"]


def test_another_network_can_be_taken_back(show, spoken):
    page = show(web.architecture_editor("alexnet"))
    fill(page, "conv1", filters=64)
    page.get_by_label("network", exact=True).select_option("vgg16")
    assert len(names(page)) == 22
    assert spoken(page).startswith("VGG-16. The network: 138,357,544 parameters, 61.0 MB, ")
    page.get_by_role("button", name="Undo").click()
    assert page.get_by_label("network", exact=True).input_value() == "alexnet"
    assert cell(page, "conv1", "output").endswith("64")


BOXES = """spans => spans.map(span => span.getBoundingClientRect())
  .filter(box => box.width).map(box => [box.left, box.top + box.height / 2, box.right])"""
WIDE_LETTERS = "<style>body { letter-spacing: 0.06em }</style>"  # as in a broad font


@pytest.mark.parametrize("width", [390, 752])
def test_a_broad_font_has_room(show, width):
    figure = web.architecture_editor("vgg19")
    page = show(body=WIDE_LETTERS + figure._repr_html_(), width=width)
    row(page, "fc6").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spans = page.locator(".row > span").evaluate_all(BOXES)
    for one, other in pairwise(spans):  # in the order in which they stand in a row
        if one[1] == other[1] and one[0] < other[0]:
            assert one[2] <= other[0] + 0.5


def test_the_picture_opens_a_layer(show):
    page = show(web.architecture_editor("alexnet"))
    page.locator(".block").nth(1).click()
    assert row(page, "conv1").get_attribute("aria-expanded") == "true"
    assert "picked" in page.locator(".block").nth(1).get_attribute("class")


OWN = [
    {"kind": "conv", "kernel": 5},
    {"kind": "pool"},
    {"kind": "conv", "kernel": 40},
    {"kind": "gap"},
]


def test_one_s_own_network(show):
    figure = web.architecture_editor(layers=OWN, input_shape=(1, 32, 32), measure="memory")
    page = show(figure)
    assert names(page) == ["input", "conv1", "pool1", "conv2", "gap1"]
    assert "A window of 40 does not fit 15 + 2 · 1 = 17" in cell(page, "conv2", "problem")
    assert page.get_by_role("radio", name="memory").is_checked()
    assert "gap1  waits for conv2" in repr(figure)
    fill(page, "conv2", kernel=3)
    assert cell(page, "gap1", "output") == f"1 {TIMES} 1 {TIMES} 64"


def test_the_static_form_has_every_row():
    text = repr(web.architecture_editor("vgg16"))
    assert "60.95 MB in float32" in text
    assert "fc6  1 \N{MULTIPLICATION SIGN} 1 \N{MULTIPLICATION SIGN} 4096  102,764,544" in text
    assert len(text.splitlines()) == 1 + 1 + 21 + 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"preset": "vgg"}, "`preset` is 'vgg', expected one of lenet5, alexnet, "),
        ({"measure": "time"}, "`measure` is 'time', expected one of parameters, memory, oper"),
        ({"layers": OWN}, "give both `layers` and `input_shape`, or neither"),
        ({"layers": [], "input_shape": (1, 8, 8)}, "`layers` is empty, expected at least one"),
        (
            {"layers": OWN, "input_shape": (1, 8, 9)},
            r"`input_shape` is \(1, 8, 9\), expected \(C, H, W\) with H = W",
        ),
        (
            {"layers": OWN, "input_shape": (0, 8, 8)},
            r"expected \(C, H, W\) with H = W, whole numbers from 1 to 4096",
        ),
        (
            {"layers": [{"kind": "relu"}], "input_shape": (1, 8, 8)},
            r"layer 0 is \{'kind': 'relu'\}, expected a dict with a `kind` of conv, pool, fc, gap",
        ),
        (
            {"layers": [{"kind": "fc", "kernel": 3}], "input_shape": (1, 8, 8)},
            "layer 0 is .* expected no more than kind, name, units",
        ),
        (
            {"layers": [{"kind": "pool", "stride": 0}], "input_shape": (1, 8, 8)},
            "layer 0 is .* expected `stride` to be a whole number from 1 to 64",
        ),
    ],
)
def test_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=f"architecture_editor: .*{message}"):
        web.architecture_editor(**options)
