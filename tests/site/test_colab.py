"""A chapter's copy for Colab runs where nothing of the course is installed."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from contents import CHAPTERS, ROOT

from book.colab import colab_copy


def run(*command, **how):
    """Run a command without what this environment would lend it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=env | {"LC_ALL": "C"}, **how
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of its own with the files as they are here, committed or not."""
    clone = tmp_path_factory.mktemp("published")
    tracked = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    author = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    run("git", "init", "-q", "-b", "published", cwd=clone)
    run("git", "add", "--all", cwd=clone)
    run("git", *author, "commit", "-q", "-m", "as it is", cwd=clone)
    return clone


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python with what Colab has: what runs a notebook, PyTorch, and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "-q", "ipykernel", "nbclient")
    (packages,) = folder.glob("lib/python*/site-packages")
    lend(packages, "torchvision")
    return folder / "bin" / "python"


def lend(packages, name):
    """Link an installed package, and all that it requires, into another `site-packages`."""
    try:
        lent = distribution(name)
    except PackageNotFoundError:  # required on another platform
        return
    for part in {Path(file).parts[0] for file in lent.files} - {"..", "__pycache__"}:
        if not (packages / part).exists():
            (packages / part).symlink_to(lent.locate_file(part))
    for required in lent.requires or []:
        other = re.match(r"[\w.-]+", required)[0]
        if "extra ==" not in required and not list(packages.glob(f"{other.replace('-', '_')}-*")):
            lend(packages, other)


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_colab_copy_runs(repository, python, tmp_path, name):
    chapter = ROOT / f"{name}.ipynb"
    copy = tmp_path / chapter.name
    text = chapter.read_text(encoding="utf-8")
    address = repository.as_uri().replace("file://", "file://localhost", 1)  # pip wants a host
    copy.write_text(colab_copy(text, address, "published"), encoding="utf-8")
    command = python.with_name("jupyter"), "execute", "--timeout=300", copy.name
    try:
        run(*command, cwd=tmp_path)
    except AssertionError as error:
        # A busy machine kills a kernel now and then, which says nothing of the copy; twice does.
        if "Kernel died" not in str(error):
            raise
        run(*command, cwd=tmp_path)
