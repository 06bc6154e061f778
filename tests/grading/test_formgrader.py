"""What a person grades in nbgrader's formgrader, after `course grade`, stays there."""

import os
import re
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect
from text_statistics import ASSIGNMENT, NOTEBOOKS, Texts

from course_lib.grading.export import grades
from course_lib.grading.feedback import write_feedback

STUDENT = "ada"
REMARK = "A dict, yes; but why is it fast?"
# The formgrader loads MathJax from the network, and begins when that is there.
MATHJAX = """window.MathJax = {Hub: {
    Config() {}, Configured() {}, Queue() {},
    Startup: {signal: {Interest(listener) { listener("End"); }}},
}};"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A course with one submission, graded in the sandbox."""
    made = Texts(tmp_path_factory.mktemp("by-hand"))
    made.hand_in(STUDENT)
    assert made.grade().states[STUDENT].state == "graded"
    return made


@pytest.fixture(scope="module")
def server(texts):
    """A Jupyter server in the folder of the course; its address."""
    options = ["--no-browser", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=known"]
    options += ["--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    log = texts.root.parent / "server.log"
    with log.open("w") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            cwd=texts.root,
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(texts.root / "jupyter")},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address(running, log)
    finally:
        running.terminate()
        running.wait(timeout=20)


def address(running, log):
    """Wait until the server says where it is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture
def page(browser, server):
    """A page on which nothing from elsewhere is loaded, and nothing goes wrong."""
    page, problems = browser.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.route(
        lambda url: not url.startswith(server),
        lambda route: route.fulfill(body=MATHJAX, content_type="text/javascript"),
    )
    page.goto(f"{server}/formgrader/?token=known")
    yield page
    page.close()
    assert not problems


def grade_of(texts, name, notebook="counting"):
    """Points by hand, and the comment, of a cell in the gradebook."""
    with texts.course.gradebook() as gradebook:
        where = (name, notebook, ASSIGNMENT, STUDENT)
        grade = gradebook.find_grade(*where)
        comment = gradebook.find_comment(*where)
        return grade.manual_score, grade.needs_manual_grade, comment.comment


def save(page, field, text):
    """Type into a field, leave it, and wait until the server has it."""
    with page.expect_response(lambda answer: answer.request.method == "PUT") as saved:
        field.fill(text)
        field.blur()
    assert saved.value.ok


def test_points_and_a_comment_by_hand_survive(texts, page):
    assert grade_of(texts, "why") == (None, True, None)
    page.get_by_role("link", name="Manual Grading").click()
    page.get_by_role("link", name=ASSIGNMENT).click()
    for name in NOTEBOOKS:
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    page.get_by_role("link", name="counting", exact=True).click()
    page.get_by_role("link", name="Submission #1").click()

    expect(page.locator("#words-check")).to_have_attribute("placeholder", "2")
    points, remark = page.locator("#why"), page.locator("#why-comment")
    save(page, points, "1.5")
    save(page, remark, REMARK)
    assert grade_of(texts, "why") == (1.5, False, REMARK)

    again = texts.grade(again=True)
    assert (again.executed, again.states[STUDENT].score) == (2, 23.5)
    kept = grade_of(texts, "why")
    assert (kept[0], kept[2]) == (1.5, REMARK)
    page.reload()
    expect(points).to_have_value("1.5")
    expect(remark).to_have_value(REMARK)

    (grade,) = grades(texts.course, ASSIGNMENT)
    assert grade.cells["why"] == (1.5, 3)
    write_feedback(texts.course, ASSIGNMENT)
    feedback = texts.course.folder("feedback", ASSIGNMENT, STUDENT) / "counting.html"
    assert REMARK in feedback.read_text()
