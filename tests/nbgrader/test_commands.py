"""The commands behind ``make release``, ``make check`` and ``make grade``, as make calls them."""

import runpy
import subprocess
import sys

import nbformat
import pytest
from powers import ASSIGNMENT, CLASS, HIDDEN, NOTEBOOK, ROOT, Course, Student, cell, source_notebook

from course_lib.grading import cli


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course whose assignment is not released."""
    course = Course(tmp_path)
    monkeypatch.chdir(course.root)
    return course


@pytest.fixture
def refused(capfd):
    """Return a function that runs a command that should fail, and returns what it says."""

    def run(*arguments):
        assert cli.main([*arguments]) == 1
        return capfd.readouterr().err

    return run


def write_source(course, edit):
    notebook = source_notebook()
    edit(notebook)
    nbformat.write(notebook, course.notebook("solutions"))


def test_what_is_released(released):
    notebook = nbformat.read(released.notebook("assignments"), as_version=4)
    assert cell(notebook, "square-code").source == (
        "def square(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert cell(notebook, "square").source == (
        '"""square, 1 points."""\nassert square(3) == 9, "square(3) is not 9"'
    )
    text = released.notebook("assignments").read_text()
    assert not [line for test in HIDDEN.values() for line in test.split("\n") if line in text]


def test_the_same_source_is_released_as_the_same_bytes(released, monkeypatch):
    monkeypatch.chdir(released.root)
    before = released.notebook("assignments").read_bytes()
    assert cli.main(["release", ASSIGNMENT]) == 0
    assert released.notebook("assignments").read_bytes() == before


def test_a_solution_that_misses_points_is_not_released(course, refused):
    def edit(notebook):
        cell(notebook, "cube-code").source = "def cube(x):\n    return 8"

    write_source(course, edit)
    said = refused("release", ASSIGNMENT)
    assert "powers is not released:\nthe reference earns 0 of 2 in cube\n" in said
    assert not (course.root / "bundles").exists()


def test_points_for_no_work_are_found(course, refused):
    def edit(notebook):
        cell(notebook, "cube").source = "cube"

    write_source(course, edit)
    said = refused("release", ASSIGNMENT)
    assert "what students get earns points for no work in cube" in said
    assert not (course.root / "bundles").exists()


def test_a_source_that_nbgrader_refuses(course, refused):
    def edit(notebook):
        cell(notebook, "cube").source += "\n### BEGIN HIDDEN TESTS"

    write_source(course, edit)
    said = refused("release", ASSIGNMENT)
    assert f"nbgrader does not accept {course.root / 'solutions' / ASSIGNMENT}" in said


@pytest.mark.parametrize(
    "command, said",
    [
        (["release", "roots"], "release: there is no notebook in "),
        (["check", "roots"], "check: roots is neither a notebook nor an assignment"),
        (["grade", "roots"], "roots: the gradebook does not know it; release it first"),
        (["grade", "roots", "--insecure"], "roots: the gradebook does not know it; release it"),
        (["feedback", "roots"], "feedback: nobody was graded; course grade roots"),
    ],
)
def test_no_such_assignment(course, refused, command, said):
    assert said in refused(*command)


@pytest.mark.parametrize("how", [[], ["--insecure"]])
def test_nobody_handed_in(released, refused, how):
    root = ["--root", str(released.root)]
    said = refused("grade", ASSIGNMENT, "--student", "nobody", *how, *root)
    assert "grade: nothing was handed in by nobody" in said


def test_grading_before_the_release(course, refused):
    Student(15).hand_in(course.notebook("solutions"), course.notebook("submitted", "early"))
    for how in ([], ["--insecure"]):
        said = refused("grade", ASSIGNMENT, *how)
        assert "powers: the gradebook does not know it; release it first" in said


@pytest.fixture(params=["sandbox", "kernel"])
def check(request, released, monkeypatch, capfd):
    """Return a function that runs ``course check``, with a sandbox and without."""
    monkeypatch.chdir(released.root)
    if request.param == "kernel":
        monkeypatch.setitem(sys.modules, "course_lib.grading.sandbox", None)

    def run(work):
        status = cli.main(["check", str(work)])
        said = capfd.readouterr()
        warned = "Not in a sandbox, but with your rights: sandbox: it needs Linux" in said.err
        assert warned is (request.param == "kernel")
        return status, said.out, said.err

    return run


def test_check_of_right_work(released, tmp_path, check):
    mine = tmp_path / NOTEBOOK
    CLASS["all-right"].hand_in(released.notebook("assignments"), mine)
    status, out, _ = check(mine)
    assert status == 0
    assert "All 4 checks pass. Grading adds hidden ones." in out


def test_check_says_which_fail(released, tmp_path, check):
    mine = tmp_path / NOTEBOOK
    CLASS["half-right"].hand_in(released.notebook("assignments"), mine)
    notebook = nbformat.read(mine, as_version=4)
    cell(notebook, "last").source += "\n"
    nbformat.write(notebook, mine)
    status, out, err = check(mine)
    assert status == 1
    assert "square                   1 of 1\n" in out
    assert "halve                    0 of 4  NotImplementedError" in out
    assert "last                     0 of 8  this cell was changed; grading restores it" in out
    assert err.endswith("2 of 4 checks fail\n")


def test_check_by_the_name_of_an_assignment(check):
    status, _, err = check(ASSIGNMENT)
    assert status == 1
    assert err.endswith("4 of 4 checks fail\n")


def test_check_of_what_is_no_notebook(tmp_path, check):
    (tmp_path / "a.ipynb").write_text("x")
    status, _, err = check(tmp_path / "a.ipynb")
    assert status == 1
    assert "a.ipynb: not " in err


def test_check_beside_many_files(released, tmp_path, check, request):
    """As where the whole book is unpacked: the notebook stands beside its site."""
    mine = tmp_path / NOTEBOOK
    CLASS["all-right"].hand_in(released.notebook("assignments"), mine)
    for number in range(201):
        (tmp_path / f"{number}.html").touch()
    status, out, err = check(mine)
    assert status == 0
    assert "All 4 checks pass" in out
    if "sandbox" in request.node.callspec.id:
        assert "The files beside powers.ipynb are left out: more than 200 files" in err


ELSEWHERE = """
import sys

for linux_only in ("resource", "fcntl", "pyseccomp", "course_lib.grading.sandbox"):
    sys.modules[linux_only] = None  # importing it fails

from course_lib.grading.cli import main

sys.exit(main(["check", sys.argv[1]]))
"""


def test_check_needs_nothing_of_the_sandbox(released, tmp_path):
    mine = tmp_path / NOTEBOOK
    CLASS["all-right"].hand_in(released.notebook("assignments"), mine)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(mine)],
        cwd=tmp_path,
        env=released.environment,
        capture_output=True,
        text=True,
    )
    assert "All 4 checks pass" in done.stdout, done.stderr


def test_without_a_sandbox_nothing_is_graded_by_accident(released, refused, monkeypatch):
    monkeypatch.chdir(released.root)
    monkeypatch.setitem(sys.modules, "course_lib.grading.sandbox", None)
    assert "sandbox: it needs Linux" in refused("grade", ASSIGNMENT)
    assert "sandbox: it needs Linux" in refused("release", ASSIGNMENT)


def test_what_the_machine_did_not_grade_is_a_failure(released, tmp_path, monkeypatch, capfd):
    work = tmp_path / "submitted"
    CLASS["all-right"].hand_in(
        released.notebook("assignments"), work / "unlucky" / ASSIGNMENT / NOTEBOOK
    )
    here = Course(tmp_path / "here")
    for name in ("assignments", "gradebook.db"):
        (here.root / name).symlink_to(released.root / name)
    (here.root / "submitted").symlink_to(work)

    def broken(*_):
        raise OSError("no kernel")

    monkeypatch.setattr("course_lib.grading.insecure.execute", broken)
    assert cli.main(["grade", ASSIGNMENT, "--insecure", "--root", str(here.root)]) == 1
    assert "not graded: unlucky: OSError: no kernel" in capfd.readouterr().out


def test_the_module_is_the_command(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["course", "status", "roots", "--root", str(ROOT)])
    with pytest.raises(SystemExit, match="1"):
        runpy.run_module("course_lib.grading", run_name="__main__")
    assert "status: nothing was handed in for roots" in capfd.readouterr().err


@pytest.mark.parametrize(
    "target, commands",
    [
        ("release", ["course release roots"]),
        ("check", ["course check roots"]),
        ("grade", ["course grade roots", "course feedback roots", "course export roots"]),
    ],
)
def test_make_calls_the_command(target, commands):
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-C", ROOT, target, "A=roots"],
        capture_output=True,
        text=True,
        check=True,
    )
    called = [line.partition("course ") for line in done.stdout.splitlines()]
    assert ["".join(found[1:]) for found in called if found[1]] == commands
