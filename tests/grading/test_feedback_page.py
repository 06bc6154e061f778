"""A feedback page in a browser: without scripts, without the network, without hidden checks."""

import pytest
from powers import ASSIGNMENT, HIDDEN

from course_lib.grading.feedback import write_feedback

STUDENT = "half-right"


@pytest.fixture(scope="module")
def feedback(graded):
    """The file of a student who lost points."""
    write_feedback(graded.course, ASSIGNMENT, students=[STUDENT])
    return graded.files.notebook("feedback", STUDENT).with_suffix(".html")


@pytest.fixture
def show(browser, feedback):
    """Return a function that opens the page; it may load nothing but itself."""
    contexts, elsewhere = [], []

    def show(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: elsewhere.append(request.url))
        page.goto(feedback.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert set(elsewhere) == {feedback.as_uri()}


def test_readable_without_scripts(show):
    page = show(java_script_enabled=False)
    text = page.locator("body").inner_text()
    assert "powers (Score: 3.0 / 15.0)" in text
    assert "NotImplementedError" in text


def test_hidden_checks_are_counted_and_not_shown(show, feedback):
    text = show().locator("body").inner_text()
    assert (text.count("# 1 hidden check\n"), text.count("# 2 hidden checks")) == (3, 1)
    source = feedback.read_text()
    assert not [line for test in HIDDEN.values() for line in test.split("\n") if line in source]
    assert "HIDDEN" not in source
