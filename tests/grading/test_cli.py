"""The command `course`, as one types it."""

import pytest
from powers import ASSIGNMENT

from course_lib.grading.cli import main


@pytest.fixture
def course(graded, capsys):
    """Return a function that runs the command in the course of the class."""

    def run(*arguments):
        status = main([*arguments, "--root", str(graded.root)])
        said = capsys.readouterr()
        return status, " ".join(said.out.split()), " ".join(said.err.split())

    return run


def test_status(course):
    status, out, _ = course("status", ASSIGNMENT)
    assert status == 0
    for said in ("all-right", "15 of 15", "needs attention", "deleted: halve"):
        assert said in out


def test_explain(course):
    status, out, _ = course("explain", "half-right", ASSIGNMENT)
    assert status == 0
    assert "halve: 0 of 4. NotImplementedError" in out
    assert out.endswith("half-right earns 3 of 15")


def test_grade_again(course):
    status, out, _ = course("grade", ASSIGNMENT)
    assert status == 0
    assert "19 graded; 0 notebooks run, 19 known" in out
    assert "needs attention: linked: powers.ipynb: a symbolic link" in out


def test_export(course, tmp_path):
    status, out, _ = course("export", ASSIGNMENT, "--to", str(tmp_path / "grades.csv"))
    assert status == 0
    assert "90 to 100 %" in out
    assert "all-right,graded,15" in (tmp_path / "grades.csv").read_text()


def test_doctor(course):
    status, out, _ = course("doctor")
    assert status == 0
    assert "ok sandbox: runs code, and lets no network be reached" in out
    assert "ok powers: released, with a contract that fits its source" in out


def test_collect(course, tmp_path):
    (tmp_path / "in").mkdir()
    status, _, err = course("collect", ASSIGNMENT, str(tmp_path / "in"))
    assert status == 1
    assert "is laid out as nbgrader" in err


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["status", "cubes"], 1, "status: nothing was handed in for cubes"),
        (["grade", "cubes"], 1, "cubes: the gradebook does not know it; release it first"),
        (["grade", ASSIGNMENT, "--engine", "magic"], 1, "--engine magic: expected local or dask"),
        (["explain", "nobody", ASSIGNMENT], 1, "explain: nobody, powers: nobody graded it"),
        (["export", ASSIGNMENT, "--format", "xml"], 1, "--format xml, expected one of"),
        (["grade"], 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_said(course, arguments, status, said):
    got, _, err = course(*arguments)
    assert got == status
    assert said in err
