"""Everyone gets the points of the cells that they got right, whatever they or others did."""

import nbformat
import pytest
from powers import CLASS, REFUSED


@pytest.mark.parametrize("student", CLASS)
def test_score(graded, student):
    assert graded.scores()[student] == CLASS[student].score


def test_one_who_handed_in_through_the_exchange(graded, account):
    assert graded.scores()[account] == CLASS["half-right"].score


def test_what_cannot_be_graded_is_named(graded):
    refused = sorted([*REFUSED, "garbled"])
    assert (
        f"not graded (0 in grades.csv), see the log above: {', '.join(refused)}"
        in graded.said.stderr
    )
    assert "Warning" not in graded.said.stderr
    for student in refused:
        assert student not in graded.said.stdout
        assert not graded.notebook("feedback", student).parent.exists()


@pytest.mark.parametrize(
    "student, name, error",
    [
        ("loops-in-a-call", "cube", "CellTimeoutError"),
        ("loops-at-the-top", "halve-code", "CellTimeoutError"),
        ("loops-stubbornly-in-a-call", "cube", "CellTimeoutError"),
        ("loops-stubbornly-at-the-top", "halve-code", "CellTimeoutError"),
        ("floods", "cube", "CellTimeoutError"),
        ("dies-in-a-call", "cube", "DeadKernelError"),
        ("dies-at-the-top", "halve-code", "DeadKernelError"),
        ("exits", "halve-code", "DeadKernelError"),
    ],
)
def test_the_cell_that_did_it_says_so(graded, student, name, error):
    notebook = nbformat.read(graded.notebook("autograded", student), as_version=4)
    ended = {
        c.metadata.nbgrader.grade_id
        for c in notebook.cells
        if any(output.get("ename") == error for output in c.get("outputs", []))
    }
    assert ended == {name}
