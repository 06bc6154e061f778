"""The examples in the docstrings do what they show."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from course_lib import autodiff

MODULES = [m.name for m in pkgutil.walk_packages(autodiff.__path__, "course_lib.autodiff.")]


@pytest.mark.parametrize("name", ["course_lib.autodiff", *MODULES])
def test_examples(name):
    public = {word: getattr(autodiff, word) for word in autodiff.__all__}
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np, **public})
    assert not failed
