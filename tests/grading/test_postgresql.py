"""The gradebook on a real PostgreSQL server: grades, grades by hand, export, formgrader."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from powers import ASSIGNMENT, CLASS, Course

from course_lib.grading import autograde, course, export, release
from course_lib.grading.doctor import examine
from course_lib.grading.engines import LocalEngine
from course_lib.grading.feedback import write_feedback

STUDENTS = ("all-right", "half-right", "fails-hidden", "prints")
SECONDS = 60  # until a server answers, on a busy machine
HOW = (
    "no PostgreSQL server is installed; on Debian and Ubuntu: "
    "sudo apt install --no-install-recommends postgresql"
)


def program(name):
    """Return the path of one of the server's programs, the newest."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=_version)
    path = found[-1] if found else shutil.which(name)
    if path is None:
        pytest.skip(HOW)
    return path


def _version(path):
    return int(re.search(r"postgresql/(\d+)", path)[1])


def unprivileged(command):
    """Return the command as a user who is not root, whom the server refuses to serve."""
    if os.geteuid() != 0:
        return command
    nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    return ["setpriv", *nobody, *command]


def call(*command, cwd):
    done = subprocess.run(
        unprivileged(command), cwd=cwd, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def db_url():
    """Address of a database of a server of its own, on a Unix socket in a temporary folder."""
    initdb, control = program("initdb"), program("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:  # short: the socket's path is limited
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        data, log = str(folder / "data"), str(folder / "log")
        call(initdb, "-D", data, "-U", "grader", "-A", "trust", "-E", "UTF8", "-N", cwd=folder)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        call(control, "-D", data, "-l", log, "-w", "-o", options, "start", cwd=folder)
        try:
            call(program("createdb"), "-h", name, "-U", "grader", "gradebook", cwd=folder)
            yield f"postgresql+psycopg://grader@/gradebook?host={name}"
        finally:
            call(control, "-D", data, "-m", "immediate", "-w", "stop", cwd=folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory, db_url):
    """The files of a course whose configuration names that database."""
    made = Course(tmp_path_factory.mktemp("postgresql"))
    with (made.root / "nbgrader_config.py").open("a") as config:
        config.write(f"\nc.CourseDirectory.db_url = {db_url!r}\n")
    return made


@pytest.fixture(scope="module")
def graded(files, db_url):
    """The course, released and graded; `done` says how it went."""
    made = course.Course(files.root, db_url)
    release.release(made, ASSIGNMENT, engine=LocalEngine)
    for name in STUDENTS:
        CLASS[name].hand_in(files.notebook("assignments"), files.notebook("submitted", name))
    made.done = grade(made)
    return made


def grade(made, **options):
    return autograde.grade(made, ASSIGNMENT, engine=LocalEngine, **options)


def test_scores(graded):
    found = {name: (s.state, s.score, s.max_score) for name, s in graded.done.states.items()}
    assert found == {name: ("graded", CLASS[name].score, 15) for name in STUDENTS}


def test_no_file_of_sqlite_was_written(graded):
    assert not list(graded.root.rglob("*.db"))


def test_a_second_run_executes_nothing(graded):
    again = grade(graded)
    assert (again.executed, again.states) == (0, graded.done.states)


def test_grades_are_exported(graded):
    text = export.write(export.grades(graded, ASSIGNMENT), ASSIGNMENT, format="csv")
    for name in STUDENTS:
        assert re.search(rf"\b{name}\b.*\b{CLASS[name].score}(\.0)?\b", text)


def test_feedback_is_written(graded, files):
    assert write_feedback(graded, ASSIGNMENT, students=["half-right"]) == 1
    assert "half-right" in str(files.notebook("feedback", "half-right"))
    assert files.feedback("half-right")


def test_the_doctor_reads_it(graded):
    (finding,) = (found for found in examine(graded) if found.what == "gradebook")
    assert (finding.found, finding.good) == ("postgresql+psycopg, 1 assignments", True)


@pytest.fixture(scope="module")
def formgrader(graded, files):
    """Return a function that asks the ordinary formgrader app: path to JSON or text."""
    options = ["--no-browser", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=known"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    log = files.root.parent / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=files.root,
            env=files.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = address_of(server, log)

        def ask(path):
            headers = {"Authorization": "token known"}
            request = urllib.request.Request(f"{address}/formgrader/{path}", headers=headers)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.read().decode()

        yield ask
    finally:
        server.terminate()
        server.wait(timeout=SECONDS)


def address_of(server, log):
    """Wait until the server says where it is."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


def test_formgrader_shows_the_scores(formgrader):
    found = json.loads(formgrader(f"api/submissions/{ASSIGNMENT}"))
    scores = {row["student"]: (row["score"], row["max_score"]) for row in found}
    assert scores == {name: (CLASS[name].score, 15) for name in STUDENTS}
    assert {row["autograded"] for row in found} == {True}


def test_formgrader_shows_a_submission(formgrader):
    found = json.loads(formgrader(f"api/submitted_notebooks/{ASSIGNMENT}/{ASSIGNMENT}"))
    page = formgrader(f"submissions/{found[0]['id']}/")
    assert "square" in page


def test_a_grade_given_by_hand_survives(graded, formgrader):
    with graded.gradebook() as gradebook:
        grade_of = gradebook.find_grade("halve", ASSIGNMENT, ASSIGNMENT, "half-right")
        grade_of.manual_score = 3.0
        gradebook.db.commit()
    again = grade(graded, students=["half-right"], again=True)
    assert again.states["half-right"].score == CLASS["half-right"].score + 3
    found = json.loads(formgrader(f"api/submissions/{ASSIGNMENT}"))
    (score,) = (row["score"] for row in found if row["student"] == "half-right")
    assert score == CLASS["half-right"].score + 3
