"""nbgrader inside JupyterLab: what a student and an instructor click, in a real browser."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import pytest
from playwright.sync_api import TimeoutError as TooLate
from playwright.sync_api import expect
from powers import ASSIGNMENT, CLASS, HIDDEN, NOTEBOOK, Course

expect.set_options(timeout=30_000)  # milliseconds; a kernel may have to start


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course whose assignment is released, also to the exchange."""
    course = Course(tmp_path_factory.mktemp("lab"))
    course.run("course_lib.grading", "release", ASSIGNMENT)
    course.run("nbgrader", "release_assignment", ASSIGNMENT)
    return course


@pytest.fixture(scope="module")
def server(course):
    """JupyterLab in the folder of the course: its address, with the token still to be put in."""
    settings = course.root.parent / "jupyter" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    settings.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": quiet}))
    options = ["--no-browser", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=known"]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    log = course.root.parent / "jupyterlab.log"
    with log.open("w") as file:
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=course.root,
            env=course.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address(lab, log)
    finally:
        lab.terminate()
        lab.wait(timeout=20)


def address(lab, log):
    """Wait until the server says where it is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and lab.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture
def lab(browser, server):
    """A function that opens a path in JupyterLab; the test fails on what the page complains of."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if at_home(r.url, server) else problems.append(r.url))

    def open_lab(path=""):
        page.goto(f"{server}/lab{path}?token=known&reset")
        expect(page.get_by_role("menuitem", name="Nbgrader")).to_be_visible()
        return page

    yield open_lab
    context.close()
    assert not problems


def at_home(url, server):
    return url.startswith((server, "data:", "blob:"))


def choose(page, item):
    """Choose from nbgrader's menu."""
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def dismiss(formgrader):
    """Close the dialog. It ignores a click while it still fades in: then click again."""
    button = formgrader.locator(".modal-footer button")
    for _ in range(30):
        if button.count() == 0:
            break
        with contextlib.suppress(TooLate):  # it went as we looked
            button.click(timeout=1000)
        formgrader.owner.page.wait_for_timeout(500)
    expect(formgrader.locator(".modal")).to_have_count(0)


def notebook(step):
    return f"/tree/{step}/{ASSIGNMENT}/{NOTEBOOK}"


def test_a_student_reads_and_validates(lab):
    page = lab(notebook("assignments"))
    expect(page.get_by_role("heading", name="Powers")).to_be_visible()
    expect(page.locator(".katex, mjx-container").first).to_be_visible()
    expect(page.get_by_text("YOUR CODE HERE")).to_have_count(4)
    page.get_by_role("button", name="Validate").click()
    failures = page.get_by_role("dialog").get_by_text("The following cell failed:")
    expect(failures).to_have_count(4)


def test_an_instructor_sees_points_and_validates(lab):
    page = lab(notebook("solutions"))
    expect(page.get_by_text("BEGIN HIDDEN TESTS")).to_have_count(4)
    page.get_by_role("tab", name="Create Assignment").click()
    expect(page.locator(".nbgrader-TotalPointsInput")).to_have_value("15")
    points = page.locator(".nbgrader-CellPoints input:visible")
    assert [box.input_value() for box in points.all()] == list("1248")
    page.get_by_role("button", name="Validate").click()
    success = "Success! Your notebook passes all the tests."
    expect(page.get_by_role("dialog")).to_contain_text(success)


def test_from_fetching_to_feedback(lab, course, account):
    page = lab()
    choose(page, "Assignment List")
    page.locator("#released_assignments_list").get_by_role("button", name="Fetch").click()
    fetched = page.locator("#fetched_assignments_list")
    expect(fetched).to_contain_text(ASSIGNMENT)
    mine = course.root / ASSIGNMENT / NOTEBOOK
    CLASS["dies-in-a-call"].hand_in(mine, mine)
    fetched.get_by_role("button", name="Submit").click()
    expect(page.locator("#submitted_assignments_list")).to_contain_text(ASSIGNMENT)

    choose(page, "Course List")
    expect(page.get_by_role("link", name="gradients-to-detectors")).to_be_visible()
    choose(page, "Formgrader")
    formgrader = page.frame_locator("iframe")
    expect(formgrader.get_by_role("link", name=ASSIGNMENT)).to_be_visible()
    for step in ("collect", "autograde", "generate-feedback"):
        formgrader.locator(f"td.{step} a").click()
        expect(formgrader.locator(".modal-title")).to_have_text("Success")
        dismiss(formgrader)
        if step == "collect":
            formgrader.locator("td.num-submissions a").click()
    expect(formgrader.locator("td.score")).to_contain_text("13 / 15")
    assert not [t for t in HIDDEN.values() if t.split("\n")[0] in course.feedback(account)]
