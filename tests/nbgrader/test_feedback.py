"""Feedback says what went wrong, and nothing of the hidden tests."""

import re
from html import unescape

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from powers import ASSIGNMENT, CLASS, HIDDEN, SECRETS, cell

from course_lib.grading.feedback import FeedbackExporter, HideTests


def text(page):
    """What one reads on a page."""
    body = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", body))


@pytest.mark.parametrize("student", CLASS)
def test_no_hidden_test_shows(graded, student):
    page = text(graded.feedback(student))
    shown = [secret for secret in SECRETS if re.search(rf"(?<!\w){re.escape(secret)}\b", page)]
    shown += [line for test in HIDDEN.values() for line in test.split("\n") if line in page]
    assert not shown


def test_there_was_something_to_hide(graded):
    """What the test above looks for is in the notebooks that the pages are made from."""
    tests = graded.notebook("autograded", "all-right").read_text()
    assert all(secret in tests for secret in SECRETS)
    for student, told in [("prints", "got 7919"), ("raises-in-hidden", "square(x=7919)")]:
        notebook = nbformat.read(graded.notebook("autograded", student), as_version=4)
        (output,) = cell(notebook, "square").outputs
        said = output.get("text") or "\n".join(output.traceback)
        assert told in re.sub(r"\x1b\[[\d;]*m", "", said)


def test_the_number_of_hidden_checks_is_told(graded):
    page = text(graded.feedback("all-right"))
    assert page.count("# 1 hidden check\n") == 3
    assert page.count("# 2 hidden checks\n") == 1


def test_the_message_of_a_hidden_check_is_kept(graded):
    page = text(graded.feedback("fails-hidden"))
    assert "In [2], a hidden check\nAssertionError: square is wrong for a large number" in page
    assert "In [4], a hidden check\nAssertionError\n" in page


def test_an_error_of_ones_own_is_located(graded):
    page = text(graded.feedback("raises-in-hidden"))
    assert "In [2], a hidden check\nIn [1], line 4: return {3: 9}[x]\nKeyError\n" in page
    assert (
        "In [4], a hidden check\nIn [3], line 3: raise AssertionError(x)\nAssertionError\n" in page
    )


def test_a_visible_check_is_quoted_with_its_error(graded):
    page = text(graded.feedback("half-right"))
    assert 'In [6], line 2: assert halve(4) == 2, "halve(4) is not 2"\n' in page
    page = text(graded.feedback("dies-at-the-top"))
    assert "NameError: name 'halve' is not defined" in page
    assert "DeadKernelError: ended the Python that ran it" in page


def test_a_page_needs_nothing_but_itself(graded, browser):
    address = graded.notebook("feedback", "all-right").with_suffix(".html").as_uri()
    page, requests = browser.new_page(), []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    formula = page.locator("math").bounding_box()
    exponent = page.locator("math msup mn").bounding_box()
    page.close()
    assert requests == [address]
    assert exponent["height"] < formula["height"]  # it is drawn as a formula


def test_it_reaches_the_student(graded, home, account):
    graded.run("nbgrader", "release_feedback", ASSIGNMENT, f"--student={account}")
    graded.student("fetch_feedback", home)
    (page,) = home.glob(f"{ASSIGNMENT}/feedback/*/{ASSIGNMENT}.html")
    assert page.read_text() == graded.feedback(account)


def hidden(*lines):
    return "\n".join(["    ### BEGIN HIDDEN TESTS", *lines, "    ### END HIDDEN TESTS"])


def cleaned(*sources, traceback=(), own=()):
    """Sources of cells after HideTests, and the traceback of the last one.

    Cells with a number in `own` are the student's, the others are locked.
    """
    cells = [new_code_cell(s, execution_count=n) for n, s in enumerate(sources, start=1)]
    for number, code in enumerate(cells, start=1):
        role = {"grade": False, "solution": False, "locked": number not in own}
        code.metadata.nbgrader = role
    error = new_output("error", ename="ValueError", evalue="why", traceback=list(traceback))
    cells[-1].outputs = [error]
    notebook, _ = HideTests().preprocess(new_notebook(cells=cells), {})
    return [c.source for c in notebook.cells], notebook.cells[-1].outputs[0].traceback


@pytest.mark.parametrize(
    "lines, note",
    [
        (["    assert f(1)"], "1 hidden check"),
        (
            ["    check_close(f(1), 2)", "    np.testing.assert_equal(", "        f(1), 2)"],
            "2 hidden",
        ),
        (["    for x in y:", "        if x:", "            _check(x)"], "1 hidden check"),
        (["    def check_all():", "        assert f(1)", "    check_all()"], "1 hidden check"),
        (["    for x in y:", "        run(x)"], "hidden code"),
        (["    return ("], "hidden code"),
    ],
)
def test_a_region_becomes_a_note(lines, note):
    before, after = "with numpy.errstate():", "assert f(0)"
    (source,), _ = cleaned("\n".join([before, hidden(*lines), after]))
    assert source.startswith(f"{before}\n    # {note}")
    assert source.endswith(f"\n{after}")
    assert source.count("\n") == 2


def test_a_cell_that_calls_what_a_hidden_region_defines():
    helper = "### BEGIN HIDDEN TESTS\ndef helper(x):\n    return 7919 / x\n### END HIDDEN TESTS"
    quoting = [
        "\x1b[31mValueError\x1b[39m   Traceback (most recent call last)",
        "\x1b[36mCell\x1b[39m \x1b[32mIn[2]\x1b[39m\x1b[32m, line 1\x1b[39m\n----> 1 helper(0)",
        "Cell In[1], line 3, in helper(x)\n      2 def helper(x):\n----> 3    return 7919 / x",
        "ValueError: why",
    ]
    told = ["In [2], line 1: helper(0)", "In [1], a hidden check", "ValueError: why"]
    assert cleaned(helper, "helper(0)", traceback=quoting, own={2})[1] == told


def test_hidden_code_on_the_way_is_told_once():
    traceback = ["Cell In[2], line 3\n", "Cell In[2], line 2\n", "Cell In[1], line 1\n"]
    test = "### BEGIN HIDDEN TESTS\ndef run(): call()\nrun()\n### END HIDDEN TESTS"
    _, shown = cleaned("call = print", test, traceback=traceback)
    assert shown == ["In [2], a hidden check", "In [1], line 1: call = print", "ValueError: why"]


@pytest.mark.parametrize("own, told", [((), "ValueError: why"), ({1}, "ValueError")])
def test_only_what_the_students_code_says_is_kept_back(own, told):
    run = "def run():\n    raise ValueError"
    test = "### BEGIN HIDDEN TESTS\nrun()\n### END HIDDEN TESTS"
    traceback = ["Cell In[2], line 2\n----> 2 run()", "Cell In[1], line 2\n----> 2     raise"]
    _, shown = cleaned(run, test, traceback=traceback, own=own)
    assert shown == ["In [2], a hidden check", "In [1], line 2: raise ValueError", told]


def test_other_cells_stay_as_they_are():
    traceback = ["Cell In[2], line 1\n----> 1 f()", "ValueError: why"]
    assert cleaned("1", "f()", traceback=traceback) == (["1", "f()"], traceback)


@pytest.mark.parametrize(
    "tex, shown",
    [
        (r"\frac{a}{b}", "<mfrac>"),
        (r"a < b", "&lt;"),
        (r"\nonsense < 1", r"<code>\nonsense &lt; 1</code>"),
        (r"\right) ^", r"<code>\right) ^</code>"),
        (r"a & b", "<code>a &amp; b</code>"),
    ],
)
def test_formulas(tex, shown):
    notebook = new_notebook(cells=[new_markdown_cell(f"A formula: ${tex}$")])
    exporter = FeedbackExporter()
    html = exporter.markdown2html({"cell": notebook.cells[0]}, notebook.cells[0].source)
    assert shown in html
