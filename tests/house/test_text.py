"""Lint, format, the licences' and environments' agreement, and words that do not belong here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split("\n")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_conda_installs_the_lock():
    assert "-r requirements.lock" in (ROOT / "environment.yml").read_text()


def test_the_lock_pins_every_requirement():
    lock = (ROOT / "requirements.lock").read_text()
    pins = {re.sub(r"[-_.]+", "-", n).lower() for n in re.findall(r"^([\w.-]+)==", lock, re.M)}
    wanted = re.findall(r'"([\w.-]+)\s*[>=!<]', (ROOT / "pyproject.toml").read_text())
    missing = {re.sub(r"[-_.]+", "-", n).lower() for n in wanted} - pins - {"hatchling"}
    assert not missing, f"run `make lock`: {sorted(missing)}"
    assert not re.search(r"https?://", lock), "the lock names packages, not addresses"


def test_no_module_for_leftovers():
    names = {Path(f).stem for f in TRACKED if f.endswith(".py")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}
