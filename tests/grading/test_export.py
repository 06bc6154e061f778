"""Grades go out as tables, and what was not graded is empty, not 0."""

import csv
import io
import json

import pytest
from powers import ASSIGNMENT

from course_lib.grading import export
from course_lib.grading.course import CourseError

ONE = export.Grade("ann", "graded", 9, 10, 0, 1, {"a": (4, 4), "b": (6, 6)})
TWO = export.Grade("=bob", "graded", 2.5, 10, 3600, 0, {"a": (2.5, 4), "b": (0, 6)}, True)
NONE = export.Grade("cy", "needs attention", None, 10, 0, 0, {})
ALL = [ONE, TWO, NONE]


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_csv():
    assert rows(export.write(ALL, "A", format="csv")) == [
        ["student", "state", "score", "max_score", "late_seconds", "penalty", "by_hand", "a", "b"],
        ["ann", "graded", "9", "10", "0", "1", "", "4", "6"],
        ["'=bob", "graded", "2.5", "10", "3600", "0", "waiting", "2.5", "0"],
        ["cy", "needs attention", "", "10", "0", "0", "", "", ""],
    ]


def test_canvas_without_a_roster():
    assert rows(export.write([ONE], "A", format="canvas")) == [
        ["Student", "ID", "SIS Login ID", "Section", "A"],
        ["    Points Possible", "", "", "", "10"],
        ["ann", "", "ann", "", "9"],
    ]


ROSTER = (
    "Student,ID,SIS Login ID,Section,A (17),Other\n"
    "    Points Possible,,,,10,5\n"
    '"Lee, Ann",3,ann,S1,,4\n'
    '"Ray, Dee",4,dee,S1,,5\n'
)


def test_canvas_with_its_own_export():
    assert rows(export.write([ONE], "A", format="canvas", roster=ROSTER)) == [
        ["Student", "ID", "SIS Login ID", "Section", "A (17)", "Other"],
        ["    Points Possible", "", "", "", "10", "5"],
        ["Lee, Ann", "3", "ann", "S1", "9", "4"],
        ["Ray, Dee", "4", "dee", "S1", "", "5"],
    ]
    with pytest.raises(CourseError, match="not in the roster: =bob, cy"):
        export.write(ALL, "A", format="canvas", roster=ROSTER)


def test_gradescope():
    results = json.loads(export.write(ALL, "A", format="gradescope"))
    assert results["ann"]["score"] == 9
    assert results["ann"]["tests"][1] == {
        "name": "b",
        "score": 6,
        "max_score": 6,
        "visibility": "visible",
    }
    assert (results["cy"]["score"], results["cy"]["output"]) == (None, "needs attention")


def test_another_format():
    with pytest.raises(CourseError, match="--format xml, expected one of csv, canvas, gradescope"):
        export.write(ALL, "A", format="xml")


def test_statistics():
    assert [n for _, n in export.histogram(ALL, bins=4)] == [0, 1, 0, 1]
    assert export.histogram(ALL)[-1] == ("90 to 100 %", 1)
    assert export.items(ALL) == [("a", 4, 1, 0.8125), ("b", 6, 1, 0.5)]


def test_grades_of_a_class(graded):
    found = {grade.student: grade for grade in export.grades(graded.course, ASSIGNMENT)}
    assert found["all-right"].score == 15
    assert found["half-right"].cells["last"] == (0, 8)
    assert found["garbled"].score is None
    assert list(found) == sorted(found)


def test_before_anybody_is_graded(graded):
    with pytest.raises(CourseError, match="nobody was graded; course grade cubes"):
        export.grades(graded.course, "cubes")
