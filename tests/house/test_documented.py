"""Whatever a reader can import has a docstring in the house's form."""

import importlib
import inspect
import pkgutil
import re

import pytest

import course_lib

MIRRORS = "course_lib.autodiff.rules."  # stand-ins for NumPy's functions, which NumPy documents


def modules():
    for found in pkgutil.walk_packages(course_lib.__path__, "course_lib."):
        if not found.name.endswith("__main__") and not found.name.startswith(MIRRORS):
            yield found.name


def public(module):
    """Yield the functions and classes that a module defines and does not hide."""
    for name, thing in vars(module).items():
        mine = getattr(thing, "__module__", None) == module.__name__
        if (
            mine
            and not name.startswith("_")
            and (inspect.isfunction(thing) or inspect.isclass(thing))
        ):
            yield name, thing


@pytest.mark.parametrize("name", sorted(modules()))
def test_documented(name):
    module = importlib.import_module(name)
    faults = [] if inspect.getdoc(module) else ["the module itself"]
    for public_name, thing in public(module):
        faults += [public_name] if not thing.__doc__ else list(stale_parameters(public_name, thing))
    assert not faults, f"{name}: no docstring, or a wrong one: {', '.join(faults)}"


def stale_parameters(name, thing):
    """Yield parameters that a numpydoc section names and the signature does not have."""
    section = re.search(
        r"^\s*Parameters\n\s*-+\n(.*?)(?:\n\s*\w+\n\s*-+\n|\Z)", thing.__doc__, re.M | re.S
    )
    if not section:
        return
    indent = re.match(r"\s*", section[1])[0]
    entries = re.findall(rf"^{indent}(\*{{0,2}}\w+(?:, \*{{0,2}}\w+)*) :", section[1], re.M)
    documented = {word.strip(" *") for entry in entries for word in entry.split(",")}
    stale = documented - set(inspect.signature(thing).parameters)
    yield from (f"{name} has no parameter {word}" for word in sorted(stale))


@pytest.mark.parametrize("name", sorted(n for n in modules() if n.count(".") == 1))
def test_a_room_lists_what_is_public(name):
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        return
    listed = getattr(module, "__all__", None)
    assert listed, f"{name} needs an explicit __all__"
    for word in listed:
        assert getattr(module, word).__doc__, f"{name}.{word}: no docstring"
