"""Imports point one way only: a room never imports one above it, nor a framework too many."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "course_lib"
MAY_IMPORT = {  # room -> the rooms below it, and the frameworks, that it may use
    "shapes": set(),
    "palette": set(),
    "autodiff": {"numpy"},
    "numpy_layers": {"shapes", "autodiff", "numpy"},
    "torch_layers": {"shapes", "torch"},
    "models": {"torch_layers", "shapes", "numpy", "torch", "torchvision"},
    "detection": {
        *("models", "torch_layers", "training", "shapes"),
        *("numpy", "torch", "sklearn", "skimage"),
    },
    "captioning": {"models", "torch_layers", "training", "shapes", "numpy", "torch"},
    "data": {"numpy", "sklearn", "skimage", "torchvision"},
    "training": {"numpy", "torch", "tqdm"},
    "plots": {"palette", "numpy", "matplotlib", "IPython"},
    "web": {"autodiff", "data", "numpy_layers", "palette", "numpy"},
    "claims": {"numpy"},
    "grading": {
        *("numpy", "torch", "IPython", "traitlets"),
        *("nbgrader", "nbformat", "nbclient", "nbconvert", "distributed", "typer", "rich"),
    },
}
FRAMEWORKS = set().union(*MAY_IMPORT.values()) | {"torchvision", "skimage", "scipy", "pandas"}
WATCHED = set(MAY_IMPORT) | FRAMEWORKS


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree, path):
    """Yield the first name of everything imported, relative imports and functions included."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join(("course_lib", *above, *filter(None, [base])))
            names = [f"{base}.{a.name}" for a in node.names]
        for name in names:
            yield name.removeprefix("course_lib.").split(".")[0]


FILES = sorted(p for p in ROOT.rglob("*.py") if room_of(p) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in MAY_IMPORT, f"{room} is a new room: say here and in DESIGN what it may import"
    used = set(imports(ast.parse(path.read_text()), path)) & WATCHED
    forbidden = used - MAY_IMPORT[room] - {room}
    assert not forbidden, f"{path.name} must not import {sorted(forbidden)}"


def test_a_relative_import_upwards_is_seen():
    path = ROOT / "shapes" / "window.py"
    tree = ast.parse("from ..plots import curves\nfrom .. import web\nfrom . import axes\n")
    assert set(imports(tree, path)) == {"plots", "web", "shapes"}


LIGHT = [
    "course_lib",
    "course_lib.numpy_layers",
    "course_lib.captioning",
    "course_lib.web",
    "course_lib.claims",
]


@pytest.mark.parametrize("module", LIGHT)
def test_the_numpy_half_loads_no_heavy_framework(module):
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "torchvision", "matplotlib", "sklearn", "scipy"} & set(done.stdout.split())
    assert not heavy


def test_detection_loads_what_few_of_its_functions_need_only_there():
    code = "import course_lib.detection, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torchvision", "matplotlib", "sklearn", "skimage"} & set(done.stdout.split())
