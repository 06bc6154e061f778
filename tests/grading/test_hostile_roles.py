"""Cells that claim to be tests: the judge runs graded cells, so that a claim is refused."""

import re
from copy import deepcopy

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from powers import cell, source_notebook

from course_lib.grading.course import CourseError
from course_lib.grading.gradebook import check_roles


def manual():
    """A notebook with a cell that a person grades."""
    marks = {"grade_id": "essay", "grade": True, "solution": True, "locked": False, "task": False}
    notebook = source_notebook()
    notebook.cells.append(new_code_cell("answer = 1", metadata={"nbgrader": marks}))
    return notebook


def test_what_was_released_is_taken():
    handed_in = deepcopy(manual())
    handed_in.cells.append(new_code_cell("more = 1"))
    check_roles(handed_in, manual())


@pytest.mark.parametrize(
    "name, change",
    [
        ("essay", {"solution": False}),
        ("essay", {"solution": False, "grade": False, "locked": True}),
        ("square-code", {"solution": False, "locked": True}),
        ("square-code", {"solution": False, "grade": True}),
        ("square", {"grade": False, "locked": False}),
        ("square", {"solution": True}),
    ],
)
def test_another_role_is_refused(name, change):
    handed_in = manual()
    cell(handed_in, name).metadata.nbgrader.update(change)
    expected = f"its metadata cannot be read: cell {name} is marked otherwise than it was released"
    with pytest.raises(CourseError, match=re.escape(expected)):
        check_roles(handed_in, manual())


@pytest.mark.parametrize("more", [{"grade_id": "mine"}, {"grade_id": None}, {}])
def test_a_cell_of_their_own_is_no_test(more):
    marks = {"grade": True, "solution": False, "locked": True, "task": False, **more}
    handed_in = new_notebook(cells=[new_code_cell("x", metadata={"nbgrader": marks})])
    with pytest.raises(CourseError, match="is marked otherwise than it was released"):
        check_roles(handed_in, manual())
