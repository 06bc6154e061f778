"""Glyphs of oriented gradients: where the strokes stand, and what is refused."""

import re

import numpy as np
import pytest

from course_lib import plots
from course_lib.plots.glyphs import LENGTH, LEVELS, strokes


def svg_of(figure):
    return figure._repr_mimebundle_()["image/svg+xml"]


def opacities(figure):
    """Return how dark the paths are that are drawn and not filled."""
    return sorted(set(map(float, re.findall(r"opacity: ([\d.]+)", svg_of(figure)))))


def test_a_stroke_stands_across_the_gradient():
    level, falling = strokes(
        np.array([0.5, 2.5]), np.array([0.5, 1.5]), np.pi * np.array([0.5, 0.25])
    ).vertices.reshape(2, 2, 2)
    np.testing.assert_allclose(level, [[0.5 + LENGTH, 0.5], [0.5 - LENGTH, 0.5]], atol=1e-12)
    # Brighter to the right and down: the edge goes from the lower left to the upper right.
    side = LENGTH / np.sqrt(2)
    np.testing.assert_allclose(falling, [[2.5 + side, 1.5 - side], [2.5 - side, 1.5 + side]])


def test_the_darkest_is_the_largest_and_small_ones_are_left_out():
    histograms = np.zeros((2, 3, 9))
    histograms[0, 0, 0], histograms[1, 2, 4], histograms[1, 1, 8] = 8.0, 4.0, 0.9
    figure = plots.glyphs({"cells": plots.Oriented(histograms)})
    assert opacities(figure)[:1] == [2 / LEVELS]
    histograms[1, 1, 8] = 1.1
    assert opacities(plots.glyphs({"cells": plots.Oriented(histograms)}))[:1] == [1 / LEVELS]


def test_glyphs_stand_beside_pictures():
    figure = plots.glyphs(
        {"a digit": np.eye(8), "its cells": plots.Oriented(np.ones((2, 2, 9)), "weight")}
    )
    svg = svg_of(figure)
    assert "--course-weight" in svg
    assert "image/webp" in svg
    assert "a digit" in svg


def test_nothing_but_zeros_is_an_empty_grid():
    assert "--course-input" not in svg_of(
        plots.glyphs({"flat": plots.Oriented(np.zeros((2, 2, 9)))})
    )


@pytest.mark.parametrize(
    "pictures, message",
    [
        ({}, "nothing to draw"),
        ({"cells": plots.Oriented(np.ones((2, 9)))}, r"'cells' has histograms of \(2, 9\)"),
        ({"cells": plots.Oriented(-np.ones((1, 1, 9)))}, "negative or not finite"),
        ({"cells": plots.Oriented(np.full((1, 1, 9), np.nan))}, "negative or not finite"),
        ({"picture": np.ones(3)}, r"expected \(H, W\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pictures, message):
    with pytest.raises(ValueError, match=message):
        plots.glyphs(pictures)
