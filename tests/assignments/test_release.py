"""What lies in assignments/ is what nbgrader makes of solutions/, byte for byte."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from nbgrader.apps import NbGrader
from nbgrader.converters import GenerateAssignment

from assignments.scoring import ROOT

ASSIGNMENTS = sorted(path.name for path in (ROOT / "solutions").iterdir() if path.is_dir())


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_the_release_is_generated(assignment, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "solutions" / assignment, tmp_path / "solutions" / assignment)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    scripts = Path(sys.executable).parent  # where nbgrader looks for alembic
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")

    course = NbGrader()
    course.initialize([])
    course.coursedir.assignment_id = assignment
    GenerateAssignment(coursedir=course.coursedir, parent=course).start()

    made = files(tmp_path / "assignments" / assignment)
    assert made == files(ROOT / "assignments" / assignment), f"run `make release A={assignment}`"
