"""What a student does alone: run the visible checks, and pack a complete notebook."""

import copy
import shutil
import zipfile

import pytest
from powers import NOTEBOOK, RIGHT, Student

from course_lib.grading.cli import main
from course_lib.grading.course import CourseError
from course_lib.grading.sandbox import NotAvailableError
from course_lib.grading.student import check, pack, what_is_missing


@pytest.fixture
def mine(released, tmp_path):
    """Return a function that writes a notebook with answers into a student's folder."""

    def write(student):
        path = tmp_path / "mine" / NOTEBOOK
        student.hand_in(released.files.notebook("assignments"), path)
        return path

    return write


def test_right(mine):
    scores = check(mine(Student(15)), seconds=10)
    assert [(s.points, s.max_points) for s in scores] == [(1, 1), (2, 2), (4, 4), (8, 8)]


def test_wrong_says_where(mine):
    scores = check(mine(Student(11, {"halve": "return x / 3"})), seconds=10)
    (wrong,) = (s for s in scores if s.points == 0)
    assert str(wrong).endswith("0 of 4  AssertionError: halve(4) is not 2")


def test_no_notebook(tmp_path):
    (tmp_path / "a.ipynb").write_text("x")
    with pytest.raises(CourseError, match=r"a\.ipynb: not JSON"):
        check(tmp_path / "a.ipynb", seconds=1)


def test_the_command(mine, released, capsys):
    assert main(["check", str(mine(Student(15))), "--root", str(released.root)]) == 0
    assert "All 4 checks pass. Grading adds hidden ones." in capsys.readouterr().out
    wrong = mine(Student(14, {"square": "return 9 - x"}))
    assert main(["check", str(wrong), "--root", str(released.root)]) == 1
    assert "1 of 4 checks fail" in capsys.readouterr().err


def test_without_a_sandbox_it_says_so(mine, released, capsys, monkeypatch):
    def nowhere(*_, **__):
        raise NotAvailableError("sandbox: bubblewrap said\nFile a.py\nit may not")

    monkeypatch.setattr("course_lib.grading.student.Sandbox", nowhere)
    monkeypatch.chdir(released.root)
    assert main(["check", str(mine(Student(15)))]) == 0
    said = capsys.readouterr()
    assert "with your rights: sandbox: bubblewrap said ... it may not\n" in said.err
    assert "All 4 checks pass" in said.out


def test_a_complete_notebook_is_packed(mine, tmp_path):
    path = mine(Student(15))
    (path.parent / "notes.txt").write_text("x")
    made = pack(path, tmp_path / "powers.zip")
    with zipfile.ZipFile(made) as packed:
        assert packed.namelist() == ["powers/notes.txt", "powers/powers.ipynb"]
        assert RIGHT["cube"] in packed.read("powers/powers.ipynb").decode()


def drop(name):
    """An edit that deletes a cell."""

    def edit(notebook):
        notebook.cells = [
            c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") != name
        ]

    return edit


def double(notebook):
    notebook.cells.append(copy.deepcopy(notebook.cells[-1]))
    notebook.cells[-1].id = "again"


def weaken(notebook):
    notebook.cells[-1].source = "pass"


@pytest.mark.parametrize(
    "edit, reason",
    [
        (drop("halve"), "halve was deleted"),
        (drop("halve-code"), "halve-code was deleted"),
        (double, "last is there twice"),
        (weaken, "last was changed: it is a check, or given"),
    ],
)
def test_what_is_missing(mine, released, edit, reason):
    path = mine(Student(0, edit=edit))
    assert reason in what_is_missing(path, released.files.notebook("assignments"))


def test_an_answer_that_is_not_there(released, tmp_path):
    path = tmp_path / NOTEBOOK
    shutil.copy(released.files.notebook("assignments"), path)
    with pytest.raises(CourseError, match="square-code has no answer yet"):
        pack(path, tmp_path / "powers.zip")
    assert not (tmp_path / "powers.zip").exists()
    assert pack(path, tmp_path / "powers.zip", incomplete=True).exists()


def test_pack_by_command(mine, released, tmp_path, capsys):
    path = mine(Student(0, edit=drop("halve")))
    target = ["--to", str(tmp_path / "p.zip"), "--root", str(released.root)]
    assert main(["pack", str(path), *target]) == 1
    assert "halve was deleted" in capsys.readouterr().err
    assert main(["pack", str(mine(Student(15))), *target]) == 0
