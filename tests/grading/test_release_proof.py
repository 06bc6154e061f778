"""A release is proved first: full marks, none, and each mistake just its own points."""

import zipfile

import pytest
from powers import ASSIGNMENT, POINTS

from course_lib.grading import release
from course_lib.grading.contract import load
from course_lib.grading.course import Course, CourseError
from course_lib.grading.engines import LocalEngine


def test_what_the_checks_catch(released):
    assert released.proof.table() == [
        ("square", 1, ["doubled"]),
        ("cube", 2, []),
        ("halve", 4, []),
        ("last", 8, ["first"]),
    ]
    assert released.proof.earned["what students get"] == dict.fromkeys(POINTS, 0)
    assert released.proof.earned["doubled"] == POINTS | {"square": 0}


def test_the_contract_is_kept_until_the_source_changes(released):
    contract = load(released.course, ASSIGNMENT, ASSIGNMENT)
    assert contract.names["cube"] == ["cube"]
    assert {"cube", "halve", "last", "square"} == set(contract.opaque)
    source = released.files.notebook("solutions")
    text = source.read_text()
    source.write_text(text.replace("return x**3", "return x * x * x"))
    try:
        assert load(released.course, ASSIGNMENT, ASSIGNMENT) is None
    finally:
        source.write_text(text)


def test_the_bundle_holds_what_students_may_see(released):
    with zipfile.ZipFile(released.bundle) as packed:
        assert packed.namelist() == [f"{ASSIGNMENT}/{ASSIGNMENT}.ipynb"]
        text = packed.read(packed.namelist()[0]).decode()
    assert "HIDDEN" not in text
    assert "return x**3" not in text
    assert "square(3) is not 9" in text


@pytest.mark.parametrize(
    "old, new, fault",
    [
        ('loses = ["last"]', "loses = []", "first loses last, expected nothing"),
        ('loses = ["last"]', 'loses = ["last", "cube"]', "first loses last, expected cube, last"),
        ("return x + x", "return x**2", "doubled loses nothing, expected square"),
    ],
)
def test_a_mistake_that_loses_other_points_stops_the_release(released, old, new, fault):
    path = released.root / "mistakes" / ASSIGNMENT / "mutants.toml"
    kept = path.read_text()
    path.write_text(kept.replace(old, new))
    try:
        with pytest.raises(CourseError, match=fault):
            release.release(released.course, ASSIGNMENT, engine=LocalEngine)
    finally:
        path.write_text(kept)


def test_a_wrong_solution_stops_the_release(released):
    source = released.files.notebook("solutions")
    text = source.read_text()
    source.write_text(text.replace("return x / 2", "return x // 2"))
    try:
        with pytest.raises(CourseError, match="the reference earns 0 of 4 in halve"):
            release.release(released.course, ASSIGNMENT, engine=LocalEngine)
    finally:
        source.write_text(text)


def test_nothing_to_release(released):
    with pytest.raises(CourseError, match="release: there is no notebook in"):
        release.release(Course(released.root), "cubes", engine=LocalEngine)


def test_a_cell_that_a_mistake_may_lose_is_no_fault(released):
    path = released.root / "mistakes" / ASSIGNMENT / "mutants.toml"
    kept = path.read_text()
    without = kept.replace('loses = ["last"]', "loses = []")
    path.write_text(f'may_lose = ["last", "cube"]\n{without}')
    try:
        proof, _ = release.release(released.course, ASSIGNMENT, engine=LocalEngine)
    finally:
        path.write_text(kept)
    assert proof.caught["first"] == ["last"]
