"""Setting up: made once, remade when the lock changes, and clear about what is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    """A course of the same files with a lock of one small package."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "environment.py", tmp_path / "tools")
    (tmp_path / "course_lib").mkdir()
    (tmp_path / "course_lib" / "__init__.py").write_text("")
    locked = re.search(r"^iniconfig==.*$", (ROOT / "requirements.lock").read_text(), re.M)
    (tmp_path / "requirements.lock").write_text(locked[0] + "\n")
    dependencies = re.compile(r"^dependencies = \[.*?^\]", re.M | re.S)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(dependencies.sub("dependencies = []", pyproject.read_text()))
    return tmp_path


def set_up(project, **variables):
    script = project / "tools" / "environment.py"
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=project,
        env=os.environ | variables,
    )


@pytest.mark.skipif(not environment.is_locked_platform(), reason="the lock is for Linux x86_64")
def test_made_once_and_again_when_the_lock_changes(project):
    assert "packages: installed" in set_up(project).stdout
    python = project / ".venv" / "bin" / "python"
    found = subprocess.run(
        [python, "-c", "import course_lib, iniconfig; print(course_lib.__file__)"],
        capture_output=True,
        text=True,
        cwd="/",
        check=True,
    )
    assert found.stdout.startswith(str(project))

    keepsake = project / ".venv" / "keepsake"
    keepsake.touch()
    assert set_up(project).stdout == ""
    assert keepsake.exists()

    with (project / "requirements.lock").open("a") as lock:
        lock.write("# another lock\n")
    assert "Setting up .venv from the lock" in set_up(project).stdout
    assert not keepsake.exists()


def test_no_network(project):
    nowhere = "http://127.0.0.1:9/simple"
    variables = {"PIP_INDEX_URL": nowhere, "PIP_EXTRA_INDEX_URL": nowhere, "PIP_NO_CACHE_DIR": "1"}
    done = set_up(project, PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull, **variables)
    assert done.returncode == 1
    assert "Set-up stopped: the package registry cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".venv" / "made-from").exists()


def test_old_python():
    with pytest.raises(environment.SetupError, match=r"needs Python 3\.11 or newer.*is 3\.9"):
        environment.check_python((3, 9, 2))
    environment.check_python((3, 11, 0))
    environment.check_python((3, 13, 1))


def test_small_disk(tmp_path):
    with pytest.raises(environment.SetupError, match=r"needs 1000000000 GB of free disk.*are free"):
        environment.check_disk(tmp_path, needed=10**9)
    environment.check_disk(tmp_path, needed=0)


@pytest.mark.parametrize(
    "output, meaning",
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for torch==9", "no build for this Python"),
        ("ERROR: something else", "pip failed.\nERROR: something else"),
    ],
)
def test_explains_what_pip_says(output, meaning):
    assert meaning in environment.explain(output)


def test_other_platforms_resolve_the_ranges(monkeypatch):
    monkeypatch.setattr(environment.platform, "machine", lambda: "arm64")
    assert environment.requirements(ROOT) == ["-e", f"{ROOT}[torch,lab,book,grading,dev]"]
