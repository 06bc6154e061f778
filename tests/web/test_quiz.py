"""The quiz in the browser, the rules for its files, and the answers of each, computed anew."""

from pathlib import Path

import numpy as np
import pytest

from course_lib import web
from course_lib.numpy_layers import (
    conv2d_backward,
    conv2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from course_lib.web.quiz import read_quiz

NAME = "03-backprop-convolution"
FOLDER = Path(web.__file__).parent / "quizzes"
QUESTION = """
[[questions]]
ask = "How many?"
{options}
"""
OPTION = """
[[questions.options]]
text = "{0}"
why = "Because {0}."
{1}
"""


def toml(*, questions=4, right=(0,), options=3, title='title = "T"', extra=""):
    written = "".join(
        OPTION.format(n, "right = true" if n in right else "") for n in range(options)
    )
    return title + extra + QUESTION.format(options=written) * questions


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_quiz_of_the_course_keeps_the_rules(path):
    assert 4 <= len(read_quiz(path.stem, path.read_text())["questions"]) <= 6


@pytest.mark.parametrize(
    "text, message",
    [
        ("title = ", r'quiz "q" is not TOML: Invalid value'),
        (toml(questions=3), r'quiz "q" has 3 questions, expected 4 to 6'),
        (toml(questions=7), r"has 7 questions, expected 4 to 6"),
        (toml(title=""), r"lacks \['title'\]; expected \['questions', 'title'\]"),
        (toml(extra="\nauthor = 1"), r"does not know \['author'\]; expected \['questions', 'title"),
        (toml(title="title = 3"), r"`title` is 3, expected a text"),
        (toml(options=2), r'quiz "q", question 1 has 2 options, expected at least 3'),
        (toml(right=()), r"question 1 has 0 right options, expected exactly 1"),
        (toml(right=(0, 2)), r"question 1 has 2 right options, expected exactly 1"),
        (toml().replace('ask = "How many?"', ""), r"question 1 lacks \['ask'\]"),
        (toml().replace("How many?", "` `` "), r"`ask` has a backquote without its partner"),
        (toml().replace("How many?", " "), r"question 1: `ask` is ' ', expected a text"),
        (toml().replace('why = "Because 1."', ""), r"question 1, option 2 lacks \['why'\]"),
        (toml().replace("Because 1.", ""), r"question 1, option 2: `why` is '', expected a text"),
        (
            toml().replace("Because 1.", "Because 0."),
            r"question 1 has two options with the sam",
        ),
        (toml().replace('text = "1"', 'text = "0"'), r"two options with the same `text`"),
        (toml().replace("right = true", "rigth = true"), r"option 1 does not know \['rigth'\]"),
        (toml().replace("right = true", 'right = "yes"'), r"option 1: `right` is not true or fal"),
    ],
)
def test_says_which_rule_a_file_breaks(text, message):
    with pytest.raises(ValueError, match=message):
        read_quiz("q", text)


def test_unknown_quiz():
    with pytest.raises(ValueError, match=f"quiz: there is no '3', expected one of .*{NAME}"):
        web.quiz("3")


@pytest.fixture(scope="module")
def data():
    return read_quiz(NAME, (FOLDER / f"{NAME}.toml").read_text())


def right_answers(data):
    return [next(o["text"] for o in q["options"] if o["right"]) for q in data["questions"]]


def item(page, question):
    return page.locator(".stage > ol > li").nth(question)


def choose(page, question, option, how):
    """Choose an option of a question and check it."""
    radios = item(page, question).get_by_role("radio")
    button = page.get_by_role("button", name=f"Check question {question + 1}")
    if how == "keyboard":
        radios.first.focus()
        page.keyboard.press("Space")
        for _ in range(option):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")  # submits the form
    elif how == "touch":
        radios.nth(option).tap()
        button.tap()
    else:
        radios.nth(option).check()
        button.click()


@pytest.mark.parametrize("how", ["mouse", "keyboard", "touch"])
def test_every_option_is_explained(show, data, how):
    page = show(web.quiz(NAME), has_touch=True)
    for n, question in enumerate(data["questions"]):
        for k, option in enumerate(question["options"]):
            choose(page, n, k, how)
            region = item(page, n).get_by_role("status")
            verdict = "Right." if option["right"] else "Not yet."
            assert region.inner_text() == f"{verdict} {option['why'].replace('`', '')}"
            state = "right" if option["right"] else "wrong"
            marked = item(page, n).locator(f"label.{state}")
            assert marked.inner_text() == option["text"].replace("`", "")
            assert item(page, n).locator("label.right, label.wrong").count() == 1


def test_score(show, data):
    page = show(web.quiz(NAME))
    score = page.locator(".score")
    assert score.inner_text() == "Score: 0 of 6 right, 0 at the first try."
    right = [[o["right"] for o in q["options"]].index(True) for q in data["questions"]]
    choose(page, 0, right[0], "mouse")
    assert score.inner_text() == "Score: 1 of 6 right, 1 at the first try."
    choose(page, 1, (right[1] + 1) % 3, "mouse")
    assert score.inner_text() == "Score: 1 of 6 right, 1 at the first try."
    choose(page, 1, right[1], "mouse")
    assert score.inner_text() == "Score: 2 of 6 right, 1 at the first try."
    choose(page, 0, (right[0] + 1) % 3, "mouse")  # looking around takes the point, not the try
    assert score.inner_text() == "Score: 1 of 6 right, 1 at the first try."


def test_a_new_choice_takes_the_verdict_back(show):
    page = show(web.quiz(NAME))
    choose(page, 0, 0, "mouse")
    page.get_by_role("radio").nth(1).check()
    assert item(page, 0).get_by_role("status").inner_text() == ""
    assert page.locator("label.right, label.wrong").count() == 0


def test_check_without_a_choice(show):
    page = show(web.quiz(NAME))
    page.get_by_role("button", name="Check question 1").click()
    assert item(page, 0).get_by_role("status").inner_text() == "Choose an option first."
    assert page.locator(".score").inner_text().endswith("0 at the first try.")


def test_markup_is_code_and_nothing_else(show):
    text = toml().replace("How many?", "Is `a < b` <b>so</b> & more?")
    figure = web.Figure(
        "course-quiz", ("figure", "quiz"), read_quiz("q", text), fallback="", text=""
    )
    page = show(figure)
    legend = page.locator("legend").first
    assert legend.inner_text() == "1. Is a < b <b>so</b> & more?"
    assert legend.locator("code").all_inner_texts() == ["a < b"]
    assert legend.locator("b").all_inner_texts() == ["1."]


def test_without_scripts_the_answers_are_folded(show, data):
    page = show(web.quiz(NAME), java_script_enabled=False)
    assert page.locator("details").count() == len(data["questions"])
    assert not page.get_by_text("Assigned instead of accumulated").is_visible()
    page.get_by_text("Answers").nth(4).click()
    assert page.get_by_text("Assigned instead of accumulated").is_visible()


# The quiz of chapter 3, question by question: what is called right is what the library computes.


def test_question_1_and_2_weights_and_sums(data):
    x, weight = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[2.0, 3.0], [5.0, 7.0]]]])
    _, cache = conv2d_forward(x, weight, np.zeros(1))
    dy = np.zeros((1, 1, 2, 2))
    dy[0, 0, 0, 0] = 1
    dx, _, _ = conv2d_backward(dy, cache)
    assert dx[0, 0, 1, 1] == weight[0, 0, 1, 1]
    assert right_answers(data)[0] == "`k[1, 1]`"

    dy = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    _, dweight, _ = conv2d_backward(dy, cache)
    assert dweight[0, 0, 0, 0] == (dy[0, 0] * x[0, 0, :2, :2]).sum()
    assert right_answers(data)[1] == "Their sum"


def test_question_3_stride_spreads_dy(data):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(1, 1, 7, 7)), rng.normal(size=(1, 1, 3, 3))
    y, cache = conv2d_forward(x, weight, np.zeros(1), stride=2)
    dy = rng.normal(size=y.shape)
    dx, _, _ = conv2d_backward(dy, cache)
    spread = np.zeros((1, 1, 9, 9))
    spread[:, :, 2:-2:2, 2:-2:2] = dy  # one zero between neighbours, two around
    slid, _ = conv2d_forward(spread, weight[:, :, ::-1, ::-1], np.zeros(1))
    np.testing.assert_allclose(slid, dx, rtol=1e-10, atol=1e-12)
    assert right_answers(data)[2] == "One zero between neighbours, and zeros around it"


def test_question_4_what_no_window_covers(data):
    x, weight = np.ones((1, 1, 1, 8)), np.ones((1, 1, 1, 3))
    y, cache = conv2d_forward(x, weight, np.zeros(1), stride=2)
    dx, _, _ = conv2d_backward(np.ones(y.shape), cache)
    assert dx.shape[-1] == 8
    assert dx[0, 0, 0, 6] == 1
    assert dx[0, 0, 0, 7] == 0
    assert right_answers(data)[3] == "8 numbers, the last one 0"


def test_question_5_one_maximum_of_two_windows(data):
    x = np.zeros((1, 1, 3, 5))
    x[0, 0, 1, 2] = 1
    _, cache = max_pool2d_forward(x, 3, stride=2)
    dx = max_pool2d_backward(np.array([[[[2.0, 5.0]]]]), cache)
    assert dx[0, 0, 1, 2] == 7
    assert right_answers(data)[4] == "7"


def test_question_6_dbias(data):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 5, 5)), rng.normal(size=(4, 3, 2, 2))
    y, cache = conv2d_forward(x, weight, np.zeros(4))
    dy = rng.normal(size=y.shape)
    _, _, dbias = conv2d_backward(dy, cache)
    np.testing.assert_allclose(dbias, dy.sum(axis=(0, 2, 3)))
    assert right_answers(data)[5].startswith("The sum of `dy` over images, rows and columns")
