"""The theme of the figures, and each kind of figure, read from the SVG that a page would show."""

import base64
import io
import re
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from PIL import Image

from course_lib import palette, plots
from course_lib.plots import Boxed, Grid, Oriented, Posed, Segmented, Signed, theme
from course_lib.plots.charts import power
from course_lib.plots.segmentations import parts, runs

SVG = "{http://www.w3.org/2000/svg}"
X = np.arange(1.0, 10).reshape(3, 3)
EPOCHS = np.arange(5)

LAYERS = ["conv1", "pool1", "fc6"]
HELD = {"activations (values)": [290_400, 69_984, 4_096], "parameters": [34_944, 0, 37_752_832]}

TRUTH, PREDICTED = np.zeros((2, 12, 16), int)
TRUTH[4:9, 3:8] = PREDICTED[4:9, 3:9] = 1
PICTURE = 0.9 * TRUTH
BOX = [[3, 4, 8, 9]]

FIGURES = {  # one of each kind; a new function of plots has its example here
    "bars": lambda: plots.bars(LAYERS, HELD, roles={"parameters": "weight"}),
    "boxes": lambda: plots.boxes(
        {
            "a box": Boxed(PICTURE, [[4, 5, 9, 9]], BOX, ["three"]),
            "a body": Posed(PICTURE, [(0, 1)], [[3, 4], [8, 9]], [[4, 4], [8, 8]]),
        }
    ),
    "confusion_matrix": lambda: plots.confusion_matrix([[5, 1], [0, 4]]),
    "curves": lambda: plots.curves(
        EPOCHS,
        {"training": EPOCHS / 2, "test": EPOCHS},
        xlabel="epoch",
        ylabel="loss (nats)",
        roles={"training": "prediction"},
    ),
    "filters": lambda: plots.filters(np.linspace(-1, 1, 72).reshape(8, 1, 3, 3)),
    "glyphs": lambda: plots.glyphs(
        {"digit": PICTURE, "its edges": Oriented(np.eye(9)[X.astype(int) - 1])}
    ),
    "images": lambda: plots.images({"digit": X / 9, "its gradient": Signed(X - 5)}),
    "matrix": lambda: plots.matrix(X - 5, role="weight", rows="outputs", columns="pixels"),
    "segmentations": lambda: plots.segmentations(
        {"stride 8": Segmented(PICTURE, PREDICTED, TRUTH), "truth": Segmented(PICTURE, TRUTH)},
        ["paper", "three"],
    ),
    "number_grids": lambda: plots.number_grids(Grid("x", X, "input", [(0, 0)]), "=", Grid("y", X)),
}
WIDE = {
    "a wide matrix": lambda: plots.matrix(
        np.eye(40, 64), role="weight", rows="outputs", columns="pixels"
    ),
    "a wide row": lambda: plots.number_grids(Grid("x", X), "=", Grid("y", X), "+", Grid("z", X)),
    "all digits": lambda: plots.confusion_matrix(np.eye(10, dtype=int)),
    "boxes near the edge": lambda: plots.boxes(
        {"a": Boxed(PICTURE, [[12, 0, 16, 3], [-2, 9, 4, 14]], (), ["top right", "below"])}
    ),
    "bars below one another": lambda: plots.bars(
        LAYERS, HELD | {"weights": [34_848, 0, 37_748_736]}, arrange="grouped"
    ),
    "bars end to end": lambda: plots.bars(LAYERS, HELD, arrange="stacked"),
    "curves with a band": lambda: plots.curves(
        EPOCHS, {"test": EPOCHS}, xlabel="x", ylabel="y", bands={"test": (EPOCHS - 1, EPOCHS + 2)}
    ),
    "powers of ten": lambda: plots.curves(
        10.0**EPOCHS, {"error": 10.0**-EPOCHS}, xlabel="x", ylabel="y", xscale="log", yscale="log"
    ),
}
EACH = pytest.mark.parametrize("name", [*FIGURES, *WIDE])


@lru_cache
def drawn(name):
    """One of the figures, and its SVG."""
    figure = (FIGURES | WIDE)[name]()
    return figure, figure.to_svg()


def svg_of(figure):
    return ElementTree.fromstring(figure.to_svg())


def texts(figure):
    return ["".join(t.itertext()) for t in svg_of(figure).iter(f"{SVG}text")]


def styles(root, tag):
    """Yield the styles of all elements of a kind, with what they inherit (text of formulas)."""

    def walk(element, inherited):
        style = inherited | declarations(element)
        if element.tag == f"{SVG}{tag}":
            yield style
        for child in element:
            yield from walk(child, style)

    yield from walk(root, {})


def declarations(element):
    pairs = (d.split(":", 1) for d in element.get("style", "").split(";") if d)
    return {key.strip(): value.strip() for key, value in pairs}


def letters(name):
    """Return the styles of all that is written: plain text, and the pieces of formulas."""
    root = ElementTree.fromstring(drawn(name)[1])
    found = [style for tag in ("text", "tspan") for style in styles(root, tag)]
    return [style for style in found if "font-size" in style]


def test_every_function_has_an_example():
    functions = {n for n in plots.__all__ if not isinstance(getattr(plots, n), type)}
    assert functions == set(FIGURES)


@EACH
def test_text_is_text_in_the_font_of_the_page(name):
    font = "var(--pst-font-family-base, system-ui, sans-serif)"
    assert {style["font-family"] for style in letters(name)} == {font}


@EACH
def test_every_colour_follows_the_theme(name):
    root = ElementTree.fromstring(drawn(name)[1])
    for tag in ("text", "path"):
        for style in styles(root, tag):
            for key in ("fill", "stroke"):
                value = style.get(key, "none")
                assert value in ("none", "currentColor") or value.startswith("var(--course-"), style


@EACH
def test_no_black_and_no_background(name):
    figure, svg = drawn(name)
    assert not re.search(r"#000|\bblack\b|fill: #|stroke: #", svg)
    for text in letters(name):
        assert "fill" in text, "text without a fill is black"
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        is_marker = path.get("id")  # drawn by <use>, which has the colours
        assert is_marker or "fill" in path.get("style", ""), "a path without fill is black"
    for part in (figure, *figure.axes):
        assert part.patch.get_facecolor()[3] == 0, "the page shows through"


@EACH
def test_the_fallback_is_the_light_colour(name):
    for role, fallback in re.findall(r"var\(--course-(\w+), (#\w+)\)", drawn(name)[1]):
        assert fallback == palette.ROLES[role].light


@EACH
def test_text_is_large_enough_on_a_phone(name):
    root = ElementTree.fromstring(drawn(name)[1])
    width = float(root.get("width").removesuffix("pt"))
    shrunk = min(1, theme.PHONE / width)
    sizes = [float(style["font-size"].removesuffix("px")) for style in letters(name)]
    assert width <= 72 * theme.WIDTH
    assert min(sizes) * shrunk >= 9


@EACH
def test_nothing_sticks_out(name):
    figure, _ = drawn(name)
    width, height = figure.get_size_inches()
    ink = figure.get_tightbbox()
    assert min(ink.x0, ink.y0) >= -0.01
    assert ink.x1 <= width + 0.01
    assert ink.y1 <= height + 0.01


@EACH
def test_equal_figures_give_equal_text(name):
    assert drawn.__wrapped__(name)[1] == drawn(name)[1]


def test_equal_in_another_process():
    code = (
        "from course_lib import plots\n"
        "print(plots.curves([0, 1], {'a': [1, 2]}, xlabel='x', ylabel='y').to_svg())"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout.startswith("<svg")
    assert first.stdout == second.stdout


def test_the_theme_leaves_no_trace():
    FIGURES["curves"]().to_svg()
    changed = {key: matplotlib.rcParams[key] for key in theme.RC}
    assert changed == {key: matplotlib.rcParamsDefault[key] for key in theme.RC}


@EACH
def test_no_title_in_the_image(name):
    assert not any(ax.get_title() for ax in drawn(name)[0].axes)


def test_ids_are_only_those_in_use():
    svg = FIGURES["curves"]().to_svg()
    for name in re.findall(r' id="([^"]+)"', svg):
        assert f"#{name}" in svg


def test_plotting_does_not_load_pyplot():
    code = "import course_lib.plots, sys; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_notebook_gets_svg_and_the_same_inside_html():
    figure = FIGURES["curves"]()
    shown = figure._repr_mimebundle_()
    assert shown["image/svg+xml"] == figure.to_svg()
    assert 'role="img" aria-label="loss (nats) against epoch: training, test"' in shown["text/html"]
    assert "--course-gradient" in shown["text/html"]
    assert shown["text/plain"] == figure.description


def test_roles_with_one_colour_stay_apart():
    assert palette.ROLES["ink"].light == palette.ROLES["truth"].light
    assert len(set(theme.STAND_INS.values())) == len(palette.ROLES)
    for role, stand_in in theme.STAND_INS.items():
        light, drawn = colors.to_rgb(palette.ROLES[role].light), colors.to_rgb(stand_in)
        np.testing.assert_allclose(drawn, light, atol=0.02, err_msg=role)


def test_unknown_role():
    with pytest.raises(ValueError, match=r"no colour for 'blame', expected one of ink, muted"):
        theme.colour("blame")


def test_number_grids_show_their_numbers():
    assert texts(FIGURES["number_grids"]())[:4] == ["x", "1", "2", "3"]
    shown = texts(plots.number_grids(Grid("dx", [[-4, 0.5], [np.nan, 1 / 3]])))
    assert shown == ["dx", "\N{MINUS SIGN}4", "0.5", "0.333"]


def test_marked_cells_are_bold():
    root = svg_of(FIGURES["number_grids"]())
    bold = [
        "".join(t.itertext())
        for t in root.iter(f"{SVG}text")
        if "font-weight: 700" in t.get("style")
    ]
    assert bold == ["x", "1", "y"]


def test_matrix_with_names_and_numbers():
    figure = plots.matrix(
        [[1, 0], [-2, 3]],
        role="weight",
        rows="outputs",
        columns="pixels",
        row_names=["p", "q"],
        column_names=["a", "b"],
    )
    shown = texts(figure)
    assert {"1", "\N{MINUS SIGN}2", "3", "p", "q", "a", "b", "outputs", "pixels"} <= set(shown)
    assert "0" not in shown
    assert not strokes(figure), "a number shows its sign itself"


def strokes(figure):
    return [p for ax in figure.axes for p in ax.patches if p.get_facecolor()[3] == 0]


def test_a_wide_matrix_shows_no_numbers_but_signs():
    values = np.zeros((2, 40))
    values[0, 0], values[1, 1] = -1, 1
    figure = plots.matrix(values, role="weight", rows="outputs", columns="pixels")
    assert len(strokes(figure)) == 1, "one dash, on the negative cell"


def test_numbers_stand_in_their_cells():
    figure = plots.matrix([[0, 1], [0, -2]], role="weight", rows="r", columns="c")
    places = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    assert places == {"1": (1, 0), "\N{MINUS SIGN}2": (1, 1)}  # (column, row)


def test_confusions_stand_out():
    figure = FIGURES["confusion_matrix"]()
    (ax,) = figure.axes
    counts = {t.get_text(): (t.get_position(), t.get_weight()) for t in ax.texts}
    assert counts == {
        "5": ((0, 0), "normal"),
        "1": ((1, 0), "bold"),  # (predicted, true)
        "4": ((1, 1), "normal"),
    }
    fills = [colors.to_hex(patch.get_facecolor()) for patch in ax.patches]
    assert fills == [theme.colour(role) for role in ("right", "wrong", "right")]


def test_curves_are_told_apart_without_colour():
    figure = FIGURES["curves"]()
    dashes = [line.get_linestyle() for line in figure.axes[0].lines]
    assert len(set(map(str, dashes))) == 2
    assert {"training", "test", "epoch", "loss (nats)"} <= set(texts(figure))


def test_a_band_lies_around_its_curve():
    (ax,) = drawn("curves with a band")[0].axes
    (band,) = ax.patches
    (line,) = ax.lines
    corners = band.get_xy()
    for x, y in line.get_xydata():
        edges = corners[corners[:, 0] == x, 1]
        assert (edges.min(), edges.max()) == (y - 1, y + 2)
    assert band.get_facecolor()[:3] == colors.to_rgb(line.get_color())
    assert band.get_facecolor()[3] < 0.3, "the curves behind it show"


def test_powers_of_ten_are_written_out():
    shown = texts(drawn("powers of ten")[0])
    assert {"1", "10", "100", "0.01", "0.1"} <= set(shown)
    assert [power(v) for v in (0.01, 1000, 1e5, 1e7)] == ["0.01", "1,000", "100,000", "1e+07"]


def test_names_of_curves_do_not_touch():
    series = {name: np.full(5, 1.0) for name in "abc"}
    figure = plots.curves(EPOCHS, series, xlabel="x", ylabel="y")
    figure.to_svg()
    boxes = sorted((t.get_window_extent() for t in figure.axes[0].texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))


def lengths_of_bars(name):
    """Lengths by what stands at their ends, and the figure's texts."""
    (ax,) = drawn(name)[0].axes
    found = {}
    for bar in ax.patches:
        ends = [
            t for t in ax.texts if abs(t.get_position()[0] - bar.get_x() - bar.get_width()) < 0.05
        ]
        middle = bar.get_y() + bar.get_height() / 2
        for text in ends:
            if abs(text.get_position()[1] - middle) < 0.02:
                found[text.get_text()] = bar.get_width()
    return found


def test_bars_are_as_long_as_their_numbers():
    lengths = lengths_of_bars("bars")
    assert lengths["290K"] / lengths["70.0K"] == pytest.approx(290_400 / 69_984)
    assert lengths["37.8M"] / lengths["34.9K"] == pytest.approx(37_752_832 / 34_944)
    assert {"0", "4,096", *LAYERS, "activations (values)"} <= set(texts(drawn("bars")[0]))


def test_bars_in_a_row_add_up():
    (ax,) = drawn("bars end to end")[0].axes
    rows = {}
    for bar in ax.patches[len(HELD) :]:  # after the key
        rows.setdefault(round(bar.get_y(), 3), []).append((bar.get_x(), bar.get_width()))
    first, _, last = sorted(rows.items())
    (start, width), (then, _) = first[1]
    assert then == pytest.approx(start + width)
    totals = [sum(width for _, width in row) for _, row in (first, last)]
    assert totals[1] / totals[0] == pytest.approx((37_752_832 + 4_096) / (290_400 + 34_944))
    assert {"325K", "70.0K", "37.8M"} <= set(texts(drawn("bars end to end")[0]))


def test_bars_are_told_apart_without_colour():
    (ax,) = drawn("bars below one another")[0].axes
    assert [patch.get_facecolor()[3] for patch in ax.patches[:3]] == [1, 0.3, 0]
    assert all(patch.get_edgecolor()[3] == 1 for patch in ax.patches)


def test_a_number_of_a_bar_in_other_words():
    figure = plots.bars(["VGG-16"], {"memory": [60.95]}, write=lambda mb: f"{mb:.0f} MB")
    assert "61 MB" in texts(figure)


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0K"),
        (999_499, "999K"),
        (999_950, "1.00M"),
        (138_357_544, "138M"),
        (15_470_264_320, "15.5G"),
        (0.25, "0.25"),
    ],
)
def test_counts_are_short(count, text):
    assert texts(plots.bars(["a"], {"b": [count]}))[-1] == text


def test_filters_share_one_scale():
    figure = plots.filters(np.array([1.0, 0.5]).reshape(2, 1, 1, 1))
    strengths = [p.get_alpha() for ax in figure.axes for p in ax.patches]
    assert strengths == [1.0, 0.5]


def test_ink_is_dark_on_paper():
    figure = plots.images({"dot": [[1.0, 0.0]]})
    picture = figure.axes[0].images[0]
    np.testing.assert_array_equal(picture.to_rgba(picture.get_array())[0, :, 0], [0, 1])


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plots.images({}), "no picture to draw"),
        (lambda: plots.images({"x": [1, 2]}), r"'x' has shape \(2,\), expected \(H, W\)"),
        (lambda: plots.filters(X), r"`weight` has shape \(3, 3\), expected \(F, C, KH, KW\)"),
        (
            lambda: plots.matrix([1], role="weight", rows="r", columns="c"),
            r"`values` has shape \(1,\), expected \(rows, columns\)",
        ),
        (
            lambda: plots.matrix(X, role="blame", rows="r", columns="c"),
            "no colour for 'blame'",
        ),
        (
            lambda: plots.confusion_matrix([[1, 2]]),
            r"`counts` has shape \(1, 2\), expected \(K, K\)",
        ),
        (lambda: plots.bars([], {"a": []}), "nothing to draw, expected at least one name"),
        (
            lambda: plots.bars(["a"], {"b": [1]}, arrange="piled"),
            "`arrange` is 'piled', expected one of panels, stacked, grouped",
        ),
        (
            lambda: plots.bars(["a"], {name: [1] for name in "bcde"}, arrange="stacked"),
            '4 series are too many .* expected at most 3; use arrange="panels"',
        ),
        (
            lambda: plots.bars(["a"], {"b": [1, 2]}),
            r"'b' has shape \(2,\), expected \(1,\), a number for each name",
        ),
        (lambda: plots.bars(["a"], {"b": [-1]}), "'b' has numbers that are negative"),
        (
            lambda: plots.curves([1], {"a": [1]}, xlabel="x", ylabel="y", bands={"b": ([1], [1])}),
            "`bands` has 'b', expected names of curves: a",
        ),
        (
            lambda: plots.curves([1], {"a": [1]}, xlabel="x", ylabel="y", bands={"a": ([1], 2)}),
            r"the band of 'a' has shapes \(1,\) and \(\), expected \(1,\) as `x`",
        ),
        (
            lambda: plots.curves([1], {"a": [1]}, xlabel="x", ylabel="y", bands={"a": ([2], [1])}),
            r"the band of 'a' is \(low, high\), but low exceeds high at position 0",
        ),
        (
            lambda: plots.curves([1], {}, xlabel="x", ylabel="y"),
            "`series` is empty",
        ),
        (
            lambda: plots.curves([1, 2], {"loss": [1]}, xlabel="x", ylabel="y"),
            r"'loss' has shape \(1,\), expected \(2,\) as `x`",
        ),
        (
            lambda: plots.number_grids(Grid("x", np.ones((2, 2, 2)))),
            r"'x' has shape \(2, 2, 2\), expected \(rows, columns\)",
        ),
        (
            lambda: plots.number_grids(Grid("x", np.ones(30))),
            "30 cells in a row are too many for a page of 4.5 inches",
        ),
        (lambda: plots.number_grids("="), "no Grid among the items"),
        (lambda: plots.boxes({}), "no picture to draw, expected captions and Boxed"),
        (
            lambda: plots.boxes({"b": Boxed([1, 2])}),
            r"'b' has a picture of \(2,\), expected \(H, W\) or \(H, W, 3\)",
        ),
        (
            lambda: plots.boxes({"b": Boxed(X, [1, 2, 3, 4])}),
            r"'b' has `predicted` of shape \(4,\), expected \(R, 4\)",
        ),
        (
            lambda: plots.boxes({"b": Posed(X, (), (), BOX)}),
            r"'b' has `truth` of shape \(1, 4\), expected \(R, 2\)",
        ),
        (lambda: plots.segmentations({}, []), "`pictures` is empty, expected captions"),
        (
            lambda: plots.segmentations({"s": Segmented(X, X[:2])}, ["0"]),
            r"'s' has a picture of \(3, 3\), predictions of \(2, 3\) and a truth of",
        ),
    ],
)
def test_says_what_is_wrong(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_right_and_wrong_pixels_are_told_apart_without_colour():
    svg = plots.segmentations({"s": Segmented(PICTURE, PREDICTED, TRUTH)}, ["0", "three"]).to_svg()
    filled = re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--course-(right|wrong)', svg)
    assert [(role, d.count("M")) for d, role in filled] == [("right", 5), ("wrong", 5)]
    crossed = re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--course-wrong', svg)
    assert [d.count("M") for d in crossed] == [5], "one line through each run"
    assert svg.count(">three<") == 1


def lines_of(axes):
    """Each line that is not a casing, as its role, its dashes and its points."""
    roles = {stand_in: role for role, stand_in in theme.STAND_INS.items()}
    lines = [line for line in axes.lines if line.get_alpha() is None]
    return [(roles[line.get_color()], line.get_linestyle(), line.get_xydata()) for line in lines]


def test_true_boxes_are_dashed_and_predicted_ones_drawn_through():
    figure = plots.boxes({"a": Boxed(PICTURE, [[4, 5, 9, 9]], BOX, ["three"])})
    (true, dashes, there), (predicted, whole, here) = lines_of(figure.axes[0])
    assert (true, dashes, predicted, whole) == ("truth", "--", "prediction", "-")
    np.testing.assert_array_equal(there, [[3, 4], [8, 4], [8, 9], [3, 9], [3, 4]])
    np.testing.assert_array_equal(here[[0, 2]], [[4, 5], [9, 9]])
    picture = figure.axes[0].images[0]
    assert picture.get_extent() == [0, 16, 12, 0], "pixel 0 reaches from 0 to 1, as a box does"


def test_a_name_stands_at_its_box_and_true_boxes_have_names_where_nothing_is_predicted():
    figure = plots.boxes(
        {
            "a": Boxed(PICTURE, [[4, 5, 9, 9]], BOX, ["three"], role="wrong"),
            "b": Boxed(PICTURE, (), [[12, 0, 16, 3]], ["top"]),
        }
    )
    (three,), (top,) = (ax.texts for ax in figure.axes)
    assert (three.get_text(), three.get_position(), three.get_va()) == ("three", (4, 5), "bottom")
    assert three.get_color() == theme.colour("wrong")
    assert (top.get_position(), top.get_va()) == ((16, 3), "top"), "no room above, nor to the right"
    assert top.get_color() == theme.colour("truth")


def test_limbs_join_their_joints():
    joints = [[3, 4], [8, 9], [5, 1]]
    figure = plots.boxes({"a": Posed(PICTURE, [(0, 2), (1, 2)], joints)})
    first, second, dots = (points.tolist() for _, _, points in lines_of(figure.axes[0]))
    assert (first, second, dots) == ([[3, 4], [5, 1]], [[8, 9], [5, 1]], joints)


def test_runs_and_parts():
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1]], bool)
    rows, starts, ends = runs(mask)
    assert (rows.tolist(), starts.tolist(), ends.tolist()) == ([0, 0, 1], [0, 3, 3], [2, 4, 4])
    large = np.kron(mask, np.ones((4, 4), bool))
    assert sorted(len(part) for part in parts(large)) == [32, 32]
    assert not list(parts(mask)), "too small for a name"


def test_a_picture_in_colour():
    svg = plots.images({"photo": np.ones((4, 6, 3))}).to_svg()
    assert "image/webp" in svg


def test_a_photograph_is_small_and_other_pictures_are_exact():
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.uniform(size=(14, 14, 3)), np.ones((16, 16, 1)))
    photo = np.clip(smooth + 0.02 * rng.standard_normal(smooth.shape), 0, 1)
    svg = plots.images({"photo": photo}).to_svg()
    assert "image/webp" in svg
    assert "pixelated" not in svg
    assert len(svg) < 60_000
    assert svg == plots.images({"photo": photo}).to_svg(), "equal figures, equal text"
    exact = plots.images({"blocks": smooth}).to_svg()
    assert "pixelated" in exact
    data = re.search(r"data:image/webp;base64,([^\"]*)", exact)[1]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    colours = np.unique(shown.reshape(-1, 3), axis=0)
    expected = np.unique((255 * smooth.reshape(-1, 3)).astype(np.uint8), axis=0)
    np.testing.assert_array_equal(colours, expected)


def test_a_picture_is_lit_where_a_map_is_large():
    picture = np.full((4, 4, 3), 0.8)
    lit = plots.Lit(picture, [[4.0, -2.0], [0.0, 2.0]]).pixels()
    np.testing.assert_allclose(lit[0, 0], 0.8)
    np.testing.assert_allclose(lit[0, 3], 0.8 * 0.15)
    np.testing.assert_allclose(lit[3, 0], 0.8 * 0.15)
    np.testing.assert_allclose(lit[3, 3], 0.8 * (0.15 + 0.85 / 2))
    np.testing.assert_allclose(lit[0, 1], 0.8 * (0.15 + 0.85 * 2.5 / 4))  # a quarter of the way
    grey = plots.Lit(np.ones((2, 2)), [[0.0]]).pixels()
    np.testing.assert_allclose(grey, 0.15)
    assert "image/webp" in plots.images({"lit": plots.Lit(picture, [[1.0]])}).to_svg()


def test_a_lit_picture_of_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"a Lit has a picture of shape \(3,\) and values of"):
        plots.images({"lit": plots.Lit([1, 2, 3], [[1.0]])})
