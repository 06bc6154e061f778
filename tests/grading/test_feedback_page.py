"""A feedback page in a browser: for everybody, on a phone too, without scripts and the network."""

import pytest
from powers import ASSIGNMENT, HIDDEN

from course_lib.grading.feedback import write_feedback

STUDENT = "half-right"
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}


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


@pytest.mark.parametrize("viewport", [PHONE, WIDE], ids=["phone", "wide"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_the_screen(show, violations, viewport, scheme):
    page = show(viewport=viewport, color_scheme=scheme)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


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
