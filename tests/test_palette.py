"""The palette can be read by everyone: contrast, colour blindness, both themes."""

import re
from itertools import combinations

import numpy as np
import pytest

from course_lib.palette import DARK, ROLES, Colour, css

PAGES = {"light": ["#ffffff"], "dark": ["#121212", "#14181e"]}  # what the colours stand on
TEXT = set(ROLES) - {"surface", "line"}
QUANTITIES = ["input", "weight", "gradient", "prediction"]
# Machado, Oliveira & Fernandes (2009), table 1, severity 1.0: what linear RGB looks like to ...
SIMULATED = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def linear(colour):
    """Linear RGB of ``#rrggbb``, each in 0..1 (IEC 61966-2-1)."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    """Ratio of WCAG 2.2, 1 to 21."""
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    """CIELAB (D65) of linear RGB; a distance of 2.3 is just noticeable."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_contrast_of_known_pairs():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # WCAG's example grey


@pytest.mark.parametrize("theme", PAGES)
@pytest.mark.parametrize("role", sorted(set(ROLES) - {"surface"}))
def test_contrast(role, theme):
    needed = 4.5 if role in TEXT else 3.0
    for page in PAGES[theme]:
        assert contrast(getattr(ROLES[role], theme), page) >= needed, f"{role} on {page}"


@pytest.mark.parametrize("theme", PAGES)
def test_surface_is_the_page(theme):
    assert getattr(ROLES["surface"], theme) in PAGES[theme]


@pytest.mark.parametrize("theme", PAGES)
@pytest.mark.parametrize("a, b", list(combinations(QUANTITIES, 2)))
@pytest.mark.parametrize("matrix", [np.eye(3), *SIMULATED.values()], ids=["all", *SIMULATED])
def test_quantities_can_be_told_apart(matrix, a, b, theme):
    seen = [lab(matrix @ linear(getattr(ROLES[role], theme))) for role in (a, b)]
    assert np.linalg.norm(seen[0] - seen[1]) > 20


def test_css_defines_every_role_in_every_theme():
    light, dark, paper = css().split("\n")
    for rule, theme in [(light, "light"), (dark, "dark"), (paper, "light")]:
        defined = dict(re.findall(r"--course-(\w+): ([^;]+);", rule))
        assert defined.pop("scheme") == theme
        assert defined == {role: getattr(colour, theme) for role, colour in ROLES.items()}
    for selector in DARK:  # paper is light, whatever the screen was
        assert selector in dark
        assert selector in paper


@pytest.mark.parametrize("colour", [c for pair in ROLES.values() for c in pair])
def test_colours_are_hexadecimal(colour):
    assert re.fullmatch(r"#[0-9a-f]{6}", colour)


def test_colour_fields_are_the_themes():
    assert Colour._fields == tuple(PAGES)
