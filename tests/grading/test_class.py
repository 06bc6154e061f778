"""A whole class, graded in the sandbox: the same points as with a kernel for each, and no more."""

import re
from html import unescape

import nbformat
import pytest
from powers import ASSIGNMENT, CLASS, HIDDEN, REFUSED, SECRETS, Student, cell

from course_lib.grading import autograde
from course_lib.grading.course import CourseError
from course_lib.grading.engines import LocalEngine
from course_lib.grading.explain import explain
from course_lib.grading.feedback import write_feedback


@pytest.mark.parametrize("student", CLASS)
def test_score(graded, student):
    state = graded.done.states[student]
    assert (state.state, state.score) == ("graded", CLASS[student].score)


@pytest.mark.parametrize(
    "student, reason",
    [
        ("garbled", "powers.ipynb: not JSON"),
        ("linked", "powers.ipynb: a symbolic link"),
        ("empty-handed", "there is no powers.ipynb in the folder that was handed in"),
        *((name, "its metadata cannot be read") for name in REFUSED),
    ],
)
def test_what_is_refused_is_listed_with_the_reason(graded, student, reason):
    state = graded.done.states[student]
    assert state.state == "needs attention"
    assert state.score is None
    assert reason in state.reason
    assert graded.files.notebook("submitted", student).parent.exists()


def test_a_link_brings_no_solution(graded):
    assert not graded.files.notebook("autograded", "linked").parent.exists()


def test_a_second_run_executes_nothing(graded):
    again = graded.grade()
    assert again.executed == 0
    assert again.states == graded.done.states


def test_what_was_run_is_known_without_its_state(graded):
    path = graded.course.private / "states" / f"{ASSIGNMENT}.json"
    kept = path.read_text()
    path.unlink()
    try:
        again = graded.grade(students=["all-right", "half-right"])
        assert (again.executed, again.reused) == (0, 2)
        assert again.states["half-right"].score == 3
    finally:
        path.write_text(kept)


def test_the_same_score_when_run_anew(graded):
    again = graded.grade(students=["half-right", "fails-hidden"], again=True)
    assert again.executed == 2
    assert again.states["half-right"].score == CLASS["half-right"].score


def test_nobody_of_that_name(graded):
    with pytest.raises(CourseError, match="nothing was handed in by nobody: no folder"):
        graded.grade(students=["nobody"])


def test_an_assignment_that_was_never_released(graded):
    with pytest.raises(
        CourseError, match="cubes: the gradebook does not know it; release it first"
    ):
        autograde.grade(graded.course, "cubes", engine=LocalEngine)


def test_a_grade_given_by_hand_survives(released):
    released.hand_in("by-hand", CLASS["half-right"])
    released.grade(students=["by-hand"])
    with released.course.gradebook() as gradebook:
        grade = gradebook.find_grade("halve", ASSIGNMENT, ASSIGNMENT, "by-hand")
        grade.manual_score, grade.needs_manual_grade = 3.0, False
        gradebook.db.commit()
    again = released.grade(students=["by-hand"], again=True)
    assert again.states["by-hand"].score == CLASS["half-right"].score + 3


class Broken(LocalEngine):
    """An engine whose sandboxes fail."""

    def run(self, jobs):
        for key, _ in jobs:
            yield key, RuntimeError("the disk is full")


def test_a_fault_of_the_machine_is_no_zero(released):
    released.hand_in("unlucky", CLASS["all-right"])
    only = {"students": ["unlucky"]}
    done = autograde.grade(released.course, ASSIGNMENT, engine=Broken, **only)
    state = done.states["unlucky"]
    assert (state.state, state.reason, state.score) == (
        "not graded",
        "RuntimeError: the disk is full",
        None,
    )
    assert released.grade(**only).states["unlucky"].score == 15


def test_a_deleted_check_costs_itself_and_no_other(graded):
    assert graded.done.states["deletes-a-test"].missing == ["halve"]
    (lost,) = (
        loss
        for loss in explain(graded.course, ASSIGNMENT, "deletes-a-test")
        if loss.points < loss.max_points
    )
    assert (lost.cell, lost.why) == ("halve", "the cell was deleted from the notebook")


def test_explain_says_why_and_what_it_looks_like(released):
    released.hand_in("doubler", Student(14, {"square": "return 2 * x"}))
    released.grade(students=["doubler"])
    losses = explain(released.course, ASSIGNMENT, "doubler")
    assert [(loss.cell, loss.points) for loss in losses if loss.why] == [("square", 0)]
    (loss,) = (loss for loss in losses if loss.why)
    assert loss.why == "AssertionError: square(3) is not 9"


def test_a_known_mistake_is_named_where_the_student_reads(released, monkeypatch):
    # These checks get one number at a time, which is too little to be sure of.
    monkeypatch.setattr("course_lib.grading.diagnosis.LEAST_NUMBERS", 1)
    released.hand_in("twice", Student(14, {"square": "return x * 2"}))
    released.grade(students=["twice"])
    says = "This looks like a known mistake: it doubles the number"
    (loss,) = (loss for loss in explain(released.course, ASSIGNMENT, "twice") if loss.why)
    assert loss.diagnosis.startswith(says)
    write_feedback(released.course, ASSIGNMENT, students=["twice"])
    page = text(released.files.feedback("twice"))
    assert says in page
    assert "chapter 3" in page


def test_explain_says_why_somebody_is_not_graded(graded):
    with pytest.raises(
        CourseError, match=r"garbled, powers: needs attention: powers\.ipynb: not JSON"
    ):
        explain(graded.course, ASSIGNMENT, "garbled")


@pytest.fixture(scope="module")
def pages(graded):
    """The text of the feedback of everybody who may give a check away, by student."""
    chosen = ["fails-hidden", "raises-in-hidden", "prints", "forges-a-result", "dies-in-a-call"]
    assert write_feedback(graded.course, ASSIGNMENT, students=[*chosen, "garbled"]) == 6
    return {name: text(graded.files.feedback(name)) for name in chosen}


def text(page):
    """What one reads on a page."""
    body = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", body))


def test_feedback_shows_no_hidden_check(pages):
    for page in pages.values():
        assert not [s for s in SECRETS if re.search(rf"(?<!\w){re.escape(s)}\b", page)]
        assert not [line for test in HIDDEN.values() for line in test.split("\n") if line in page]
        assert "1 hidden check" in page


def test_who_was_refused_reads_why(graded, pages):
    refused = graded.files.notebook("feedback", "garbled").with_name("not-graded.html").read_text()
    assert "powers.ipynb: not JSON" in refused


def test_the_notebook_shows_what_was_printed(autograded):
    outputs = cell(autograded("prints"), "cube").outputs
    assert [output.output_type for output in outputs] == ["stream"]
    assert "got 2" in outputs[0].text


def test_a_warning_costs_nothing_and_is_kept(autograded):
    (output,) = cell(autograded("warns"), "square").outputs
    assert output.name == "stdout"
    assert "slow" in output.text


def test_the_original_is_not_touched(graded):
    handed_in = nbformat.read(graded.files.notebook("submitted", "prints"), as_version=4)
    assert not any(c.get("outputs") for c in handed_in.cells)
