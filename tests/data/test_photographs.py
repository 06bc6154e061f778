import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course_lib.data import PHOTOGRAPHS, photograph


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph(name):
    pixels = photograph(name)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) >= 300
    assert pixels.std() > 20
    pixels[...] = 0  # ours to change
    assert photograph(name).any()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_says_whose_it_is(name):
    known = PHOTOGRAPHS[name]
    assert known.package in ("scikit-image", "scikit-learn", "matplotlib")
    assert all(known)
    assert ("grey" in known.seen) == (photograph(name)[..., 0] == photograph(name)[..., 2]).all()


def test_all_are_inside_the_packages(monkeypatch):
    """scikit-image would fetch what it does not ship, through pooch."""
    for module in ("skimage", "sklearn", "matplotlib"):
        assert Path(importlib.util.find_spec(module).origin).is_file()
    monkeypatch.setattr("skimage.data._fetchers._image_fetcher", None)
    for name in PHOTOGRAPHS:
        photograph(name)


def test_matplotlib_is_not_imported():
    code = "import sys; from course_lib.data import photograph as p; p('grace_hopper')"
    code += "; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_is_no_such_photograph():
    with pytest.raises(
        ValueError, match=r"photograph: there is no 'lena', expected .*chelsea, china"
    ):
        photograph("lena")
