"""The first values of weights: the variances of the papers, from either framework."""

import numpy as np
import pytest
import torch

from course_lib import numpy_layers, torch_layers
from course_lib.shapes import fans

WEIGHTS = {"linear": (400, 300), "conv": (40, 30, 5, 3)}
DRAWS = {  # initializer: its options, and the variance for fan_in, fan_out
    "normal": ({"std": 0.02}, lambda fan_in, fan_out: 0.0004),
    "xavier_normal": ({}, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "xavier_normal, gain": ({"gain": 3.0}, lambda fan_in, fan_out: 18 / (fan_in + fan_out)),
    "he_normal": ({}, lambda fan_in, fan_out: 2 / fan_in),
    "he_normal, leaky": ({"negative_slope": 0.5}, lambda fan_in, fan_out: 1.6 / fan_in),
}
LIBRARIES = {"numpy": numpy_layers, "torch": torch_layers}


def draw(library, name, shape, **options):
    rng = np.random.default_rng(0) if library == "numpy" else torch.Generator().manual_seed(0)
    initializer = vars(LIBRARIES[library])[name.partition(",")[0]]
    return np.asarray(initializer(shape, rng=rng, **options))


def test_fans_by_hand():
    """C3 of a dense LeNet-5: 6 maps of 5x5 make an output, 16 maps of 5x5 read an input."""
    assert fans("here", (16, 6, 5, 5)) == (150, 400)
    assert fans("here", (10, 84)) == (84, 10)


@pytest.mark.parametrize("shape", [(3,), (), (3, 0), (3, 2, 0, 3)])
def test_what_is_no_weight_is_refused(shape):
    with pytest.raises(ValueError, match=r"he_normal: `shape` is .*at least two axes"):
        draw("numpy", "he_normal", shape)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("name", DRAWS)
def test_variances(library, kind, name):
    shape, (options, variance) = WEIGHTS[kind], DRAWS[name]
    weight = draw(library, name, shape, **options)
    assert weight.shape == shape
    # 18,000 draws or more: the standard error of a variance is 1 % of it at most.
    assert weight.var() == pytest.approx(variance(*fans("here", shape)), rel=0.04)
    assert abs(weight.mean()) < 4 * weight.std() / weight.size**0.5


@pytest.mark.parametrize("library, dtype", [("numpy", np.float64), ("torch", torch.float64)])
def test_precision(library, dtype):
    assert draw(library, "he_normal", (3, 2)).dtype == np.float32
    assert draw(library, "he_normal", (3, 2), dtype=dtype).dtype == np.float64


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("layer, arguments", [("Linear", (300, 400)), ("Conv2d", (30, 40, (5, 3)))])
def test_layers_take_an_initializer(library, layer, arguments):
    def weight(**options):
        rng = np.random.default_rng(0) if library == "numpy" else torch.Generator().manual_seed(0)
        made = vars(LIBRARIES[library])[layer](*arguments, rng=rng, **options)
        weight = made.params["weight"] if library == "numpy" else made.weight.detach().numpy()
        return np.asarray(weight)

    he, xavier = weight(), weight(initializer=vars(LIBRARIES[library])["xavier_normal"])
    fan_in, fan_out = fans("here", he.shape)
    assert he.var() == pytest.approx(2 / fan_in, rel=0.04)
    np.testing.assert_allclose(xavier, he * (fan_in / (fan_in + fan_out)) ** 0.5, rtol=1e-6)
