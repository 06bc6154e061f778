"""A signal through many layers: what the page computes against PyTorch and against theory."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch.nn import functional as F

from course_lib import web
from course_lib.web.through_layers import ACTIVATIONS, normals, propagate

TORCH = {
    "ReLU": torch.relu,
    "leaky ReLU": lambda z: F.leaky_relu(z, 0.1),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "none": lambda z: z,
}
MEASURE = """setting => {
  const p = courseFigures.propagation;
  const drawn = p.draw(setting);
  const made = p.forward(drawn, setting);
  const squares = (all) => all.map((values) => p.meanSquare(values));
  return {
    numbers: [drawn.x, drawn.dy, ...drawn.weights].map((values) => [...values]),
    signal: squares(made.h),
    difference: made.h.map((values) => p.difference(values, setting.width)),
    gradient: squares(p.backward(drawn, setting, made)),
  };
}"""
EXPECT = "setting => courseFigures.propagation.expected(setting)"


def setting(activation, gain=1.0, depth=50, normalised=False, **more):
    given = {"activation": activation, "gain": gain, "depth": depth, "normalised": normalised}
    return given | {"width": 12, "inputs": 9, "seed": 3, "most": depth} | more


def twin(measured, activation, gain, normalised, width, **_):
    """The same network in PyTorch: mean squares of signal, gradient and differences, by layer."""
    x, dy, *weights = (torch.tensor(values, dtype=torch.float64) for values in measured["numbers"])
    h = x.reshape(-1, width).requires_grad_()
    layers = [h]
    for weight in weights:
        z = F.linear(h, gain * weight.reshape(width, width))
        z = F.batch_norm(z, None, None, training=True) if normalised else z
        h = TORCH[activation](z)
        layers.append(h)
    gradients = torch.autograd.grad(h, layers, dy.reshape(-1, width))
    difference = [layer.var(0, correction=0).mean().item() for layer in layers]
    return *([v.square().mean().item() for v in values] for values in (layers, gradients)), (
        difference
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_page_computes_what_pytorch_does(show, activation):
    page = show(web.signal_through_layers(depth=1))
    for gain, normalised in [(0.1, False), (1.0, False), (2.0, False), (1.0, True)]:
        given = setting(activation, gain, normalised=normalised)
        measured = page.evaluate(MEASURE, given)
        signal, gradient, difference = map(np.array, twin(measured, **given))
        found = {name: np.array(measured[name], float) for name in ("signal", "gradient")}
        np.testing.assert_allclose(found["signal"], signal, rtol=1e-6)
        np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-6)
        real = difference > 1e-20 * signal  # what is less is rounding
        of_page = np.array(measured["difference"], float)
        np.testing.assert_allclose(of_page[real], difference[real], rtol=1e-6)
        sizes = {name: given[name] for name in ("width", "inputs", "seed")}
        squares, gradients = propagate(activation, gain, 50, normalised, **sizes)
        np.testing.assert_allclose(squares, signal, rtol=1e-6)
        np.testing.assert_allclose(gradients, gradient, rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_both_generators_are_one(show, seed):
    page = show(web.signal_through_layers())
    script = "seed => [...courseFigures.propagation.normals(seed, 999)]"
    np.testing.assert_allclose(page.evaluate(script, seed), normals(seed, 999), rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_numbers_are_normal(seed):
    x = normals(seed, 200_000)
    assert x.shape == (200_000,)
    moments = [np.mean(x**n) for n in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
    assert abs(np.mean(x[1:] * x[:-1])) < 0.01
    inside = [np.mean(np.abs(x) < bound) for bound in (0.5, 1, 2)]
    np.testing.assert_allclose(inside, [math.erf(b / 2**0.5) for b in (0.5, 1, 2)], atol=0.005)


@pytest.mark.parametrize(
    "activation, gain, normalised, signal, gradient",
    [
        ("ReLU", 1, False, 0.5**50, 0.5**50),
        ("ReLU", 2**0.5, False, 1, 1),
        ("none", 2, False, 4.0**50, 4.0**50),
        ("leaky ReLU", 1, False, 0.505**50, 0.505**50),
        ("none", 0.3, True, 1, 1),
        # The gradient of a normalised ReLU grows by pi / (pi - 1) in each layer but the first.
        ("ReLU", 3, True, 0.5, 0.5 * (math.pi / (math.pi - 1)) ** 49),
    ],
)
def test_theory_in_closed_form(show, activation, gain, normalised, signal, gradient):
    page = show(web.signal_through_layers())
    found = page.evaluate(EXPECT, setting(activation, gain, normalised=normalised))
    assert found["signal"][0] == found["gradient"][-1] == 1
    assert found["signal"][-1] == pytest.approx(signal)
    assert found["gradient"][0] == pytest.approx(gradient)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_theory_of_one_layer_by_quadrature(show, activation):
    page = show(web.signal_through_layers())
    function, derivative = ACTIVATIONS[activation]

    def mean(f):
        return quad(lambda t: norm.pdf(t) * f(t), -12, 12)[0]

    for gain in (0.5, 1.7):
        found = page.evaluate(EXPECT, setting(activation, gain, depth=1))
        square = mean(lambda t, gain=gain: function(gain * t) ** 2)
        slopes = mean(lambda t, gain=gain: gain**2 * derivative(gain * t) ** 2)
        assert found["signal"][1] == pytest.approx(square, rel=1e-6)
        assert found["gradient"][0] == pytest.approx(slopes, rel=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_wide_layers_do_as_theory_expects(show, activation):
    page = show(web.signal_through_layers(depth=1))
    for gain, normalised in [(1.0, False), (2**0.5, False), (1.0, True)]:
        found = page.evaluate(EXPECT, setting(activation, gain, depth=6, normalised=normalised))
        runs = [
            propagate(activation, gain, 6, normalised, width=128, inputs=128, seed=seed)
            for seed in range(3)
        ]
        for name, measured in zip(("signal", "gradient"), zip(*runs, strict=True), strict=True):
            ratios = np.log(np.mean(measured, axis=0) / found[name])
            np.testing.assert_allclose(ratios, 0, atol=0.25)


def decades(page, name):
    """The heights of a line on the page, as decimal logarithms, by its own ticks."""
    points = np.reshape(
        [float(n) for n in re.findall(r"-?[\d.]+", line(page, name).get_attribute("d"))], (-1, 2)
    )
    ticks = [
        (float(tick.get_attribute("style").split()[1].rstrip("%;")), logarithm(tick.inner_text()))
        for tick in page.locator(".tick.y").all()
    ]
    slope, start = np.polyfit(*zip(*ticks, strict=True), 1)
    return slope * (100 - points[:, 1] / 10) + start


def logarithm(text):
    return math.log10(float(text.replace("\N{MINUS SIGN}", "-")))


def line(page, name):
    return page.locator(f".chart path.{name}")


def words(page):
    return plain(page.locator(".words").inner_text())


def plain(text):
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def test_the_lines_stand_on_the_numbers(show):
    page = show(web.signal_through_layers())
    sizes = {"width": 64, "inputs": 64, "seed": 1}
    squares, gradients = propagate("ReLU", 1.0, 50, False, **sizes)
    np.testing.assert_allclose(decades(page, "signal"), np.log10(squares), atol=0.02)
    halves = np.log10(squares[0] * 0.5 ** np.arange(51))
    np.testing.assert_allclose(decades(page, "expected"), halves, atol=0.02)
    assert (decades(page, "difference") <= decades(page, "signal") + 0.02).all()
    page.get_by_label("backward").check()
    np.testing.assert_allclose(decades(page, "gradient"), np.log10(gradients), atol=0.02)
    assert line(page, "difference").count() == 0


def test_theory_begins_where_the_numbers_do(show):
    few = {"width": 3, "inputs": 2, "seed": 3}  # far from a mean square of 1
    page = show(web.signal_through_layers(depth=4, **few))
    squares, gradients = propagate("ReLU", 1.0, 4, False, **few)
    starts = np.log10([squares[0], gradients[-1]])
    assert (np.abs(starts) > 0.1).all()
    assert decades(page, "expected")[0] == pytest.approx(starts[0], abs=0.02)
    page.get_by_label("backward").check()
    assert decades(page, "expected")[-1] == pytest.approx(starts[1], abs=0.02)


def test_the_example_of_the_chapter(show, spoken):
    page = show(web.signal_through_layers())
    assert words(page) == (
        "After 50 layers: 4.7e-16 times the input's mean square; theory expects 8.9e-16. The "
        "signal vanishes. Of it 10 % differs from input to input; the rest is the same for all. "
        "Half precision would round such numbers to 0."
    )
    page.get_by_role("button", name="1.41 (He)").click()
    assert words(page).startswith("After 50 layers: 0.53 times the input's mean square")
    assert "The signal keeps about its size." in words(page)
    page.get_by_label("batch normalisation").check()
    page.get_by_label("backward").check()
    assert "theory expects 7.1e7. The gradient explodes." in words(page)
    told = page.locator("p.unseen[role=status]").filter(has_text="explodes")
    told.wait_for(state="attached")
    assert plain(spoken(page)) == words(page)


def test_a_sigmoid_forgets_its_input(show):
    page = show(web.signal_through_layers(activation="sigmoid"))
    assert "keeps about its size. But the outputs are the same whatever the input" in words(page)
    page.get_by_label("batch normalisation").check()
    assert "whatever the input" not in words(page)


def ratio(page):
    return float(re.search(r"([\d.e-]+) times", words(page))[1])


def test_gains_depths_and_weights(show):
    page = show(web.signal_through_layers(activation="none", depth=10))
    gain = page.get_by_label("gain", exact=True)
    gain.press("Home")
    assert gain.get_attribute("aria-valuetext") == "0.1"
    assert ratio(page) == pytest.approx(1e-20, rel=0.9)
    gain.press("End")
    assert gain.get_attribute("aria-valuetext") == "3"
    assert ratio(page) == pytest.approx(9.0**10, rel=0.9)
    assert "The signal explodes." in words(page)
    page.get_by_label("layers", exact=True).fill("3")
    assert words(page).startswith("After 3 layers: ")
    assert ratio(page) == pytest.approx(9.0**3, rel=0.5)
    assert page.locator(".histogram b").all_inner_texts() == ["layer 1", "layer 2", "layer 3"]
    before = words(page)
    page.get_by_role("button", name="New weights").click()
    assert words(page) != before
    expected = propagate("none", 3.0, 3, False, width=64, inputs=64, seed=2)[0]
    assert ratio(page) == pytest.approx(expected[3] / expected[0], rel=0.05)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"gain": 0.4, "activation": "none"}, "Half precision would round such numbers to 0."),
        ({"gain": 0.1}, "Single precision would round such numbers to 0."),
        ({"gain": 3, "activation": "none"}, "Half precision could not hold such numbers."),
    ],
)
def test_precisions(show, options, said):
    assert words(show(web.signal_through_layers(**options))).endswith(said)


def test_histograms_count(show):
    page = show(web.signal_through_layers(depth=2, width=40, inputs=50, seed=5))
    x, _ = np.split(normals(5, 4000), 2)
    weights = normals(5, 4000 + 2 * 1600)[4000:].reshape(2, 40, 40) / 40**0.5
    h = x.reshape(50, 40)
    for n, weight in enumerate(weights):
        h = np.maximum(h @ weight.T, 0)
        panel = page.locator(".histogram").nth(n)
        assert f"{100 * np.mean(h == 0):.0f} % are 0" in panel.inner_text()
        most = 4 * np.sqrt(np.mean(h**2))
        counts, _ = np.histogram(np.minimum(h[h > 0], 0.999 * most), 24, (0, most))
        bars = re.findall(r"M(\d+) 100v-([\d.]+)h1", panel.locator("path").get_attribute("d"))
        found = np.zeros(24)
        for at, height in bars:
            found[int(at)] = float(height)
        np.testing.assert_allclose(found, 95 * counts / counts.max(), rtol=1e-9)
    page.get_by_label("tanh").check()
    assert "% saturated" in panel.inner_text()
    page.get_by_label("leaky ReLU").check()
    assert "% below 0" in panel.inner_text()
    page.get_by_label("ReLU", exact=True).check()
    page.get_by_label("backward").check()
    assert "% of the gates closed" in panel.inner_text()


def test_an_own_gain_has_its_stop(show):
    page = show(web.signal_through_layers(gain=5 / 3, activation="tanh", backward=True))
    gain = page.get_by_label("gain", exact=True)
    assert gain.get_attribute("aria-valuetext") == "1.67"
    gain.press("ArrowRight")
    assert gain.get_attribute("aria-valuetext") == "1.7"
    assert page.get_by_label("backward").is_checked()


def test_the_static_form():
    lines = repr(web.signal_through_layers()).splitlines()
    assert "ReLU | 4.7e-16 | 5.3e-01 | 4.8e-01" in lines
    assert "sigmoid | 2.2e-63 | 6.0e-51 | 8.1e-01" in lines
    assert lines[0].startswith("What 50 layers of width 64 leave of a signal's mean square")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"gain": 0}, "`gain` is 0, expected a number from 0.1 to 3"),
        ({"gain": "He"}, "`gain` is 'He', expected a number from 0.1 to 3"),
        ({"activation": "relu"}, "`activation` is 'relu', expected one of ReLU, leaky ReLU, tanh"),
        ({"depth": 51}, "`depth` is 51, expected a whole number from 1 to 50"),
        ({"width": 0}, "`width` is 0, expected a whole number from 1 to 256"),
        ({"inputs": 1}, "`inputs` is 1, expected a whole number from 2 to 256"),
        ({"seed": -1}, "`seed` is -1, expected a whole number from 0 to 4294967295"),
    ],
)
def test_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=f"signal_through_layers: {message}"):
        web.signal_through_layers(**options)
