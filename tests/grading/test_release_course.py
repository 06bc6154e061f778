"""The course's own assignments, proved in the sandbox: every right solution, every known mistake.

roi-pooling is left out: each of its submissions trains a detector, for ten seconds. `course release
roi-pooling` proves it in the same way.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from course_lib.grading import release
from course_lib.grading.course import Course
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.engines import LocalEngine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["conv-backprop", "ad-modes"])
def proof(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proof")
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for part in ("solutions", "mistakes"):
        shutil.copytree(ROOT / part / request.param, folder / part / request.param)
    for slow in (folder / "mistakes").rglob("pixel_loops.py"):
        slow.unlink()  # trains for most of a cell's minute, which a busy machine has not
    course = Course(folder)
    release.generate(course, request.param)
    return release.prove(course, request.param, engine=LocalEngine)


def test_each_mistake_loses_its_points_and_a_right_solution_none(proof):
    assert proof.faults == []
    assert len(proof.caught) > 60


def test_a_mistake_is_never_taken_for_another(proof):
    (contract,) = proof.contracts
    named = set()
    for mistake in contract.mistakes:
        others = [other for other in contract.mistakes if other is not mistake]
        failed = set(mistake["sketches"])
        for cell, sketches in mistake["sketches"].items():
            found = diagnose(contract, cell, sketches, failed)
            named |= {mistake["name"]} if found else set()
            left_out = diagnose(replace(contract, mistakes=others), cell, sketches, failed)
            for says in (found and found.says, left_out and left_out.says):
                assert says in (None, mistake["says"]), (mistake["name"], cell)
    assert len(named) > len(contract.mistakes) / 3
