"""A mistake is named when it returns the same, and never on a guess."""

import numpy as np
import pytest

from course_lib.grading.contract import Contract
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.sandbox.judge import sketch

RNG = np.random.default_rng(0)
RIGHT, FLIPPED, SHIFTED = RNG.normal(size=(3, 4, 5))


def known(*mistakes):
    """A contract of one cell, with mistakes as name, what they say, and what they return."""
    return Contract(
        "a",
        "n",
        "",
        sketches={"dx": [sketch(RIGHT)]},
        mistakes=[
            {"name": name, "says": says, "section": "S", "sketches": {"dx": [sketch(value)]}}
            for name, says, value in mistakes
        ],
    )


CONTRACT = known(("flip", "unflipped", FLIPPED), ("shift", "shifted", SHIFTED))


@pytest.mark.parametrize(
    "value, name",
    [
        (FLIPPED, "flip"),
        (FLIPPED.astype("f4"), "flip"),
        (SHIFTED.copy(order="F"), "shift"),
        (SHIFTED[::-1], None),
        (FLIPPED + SHIFTED, None),
        (-FLIPPED, None),
        (FLIPPED * 1.001, None),
        (FLIPPED.T, None),
        (np.where(np.arange(5) == 3, 0, FLIPPED), None),
        (np.zeros((4, 5)), None),
        (RIGHT, None),
        (None, None),
        ("text", None),
    ],
)
def test_diagnose(value, name):
    found = diagnose(CONTRACT, "dx", [sketch(value)], {"dx"})
    assert (found and found.name) == name


def test_two_mistakes_that_return_the_same_are_not_told_apart():
    contract = known(("one", "this", FLIPPED), ("other", "that", FLIPPED))
    assert diagnose(contract, "dx", [sketch(FLIPPED)], {"dx"}) is None
    contract = known(("one", "this", FLIPPED), ("other", "this", FLIPPED))
    assert diagnose(contract, "dx", [sketch(FLIPPED)], {"dx"}).says == "this"


def test_a_mistake_that_says_too_little_is_not_named():
    contract = known(("zero", "nothing is computed", np.zeros((4, 5))), ("one", "one", 3.0))
    assert diagnose(contract, "dx", [sketch(np.zeros((4, 5)))], {"dx"}) is None
    assert diagnose(contract, "dx", [sketch(3.0)], {"dx"}) is None


def test_more_answers_than_the_mistake_gave():
    assert diagnose(CONTRACT, "dx", [sketch(FLIPPED), sketch(RIGHT)], {"dx"}) is None
    assert diagnose(CONTRACT, "dx", [], {"dx"}) is None
    assert diagnose(CONTRACT, "dy", [sketch(FLIPPED)], {"dy"}) is None


def test_a_mistake_that_costs_more_is_another_one():
    contract = known(("flip", "unflipped", FLIPPED))
    contract.mistakes[0]["sketches"]["dweight"] = [sketch(SHIFTED)]
    assert diagnose(contract, "dx", [sketch(FLIPPED)], {"dx"}) is None
    assert diagnose(contract, "dx", [sketch(FLIPPED)], {"dx", "dweight", "y"}).name == "flip"


def test_the_output_links_to_the_section():
    made = diagnose(CONTRACT, "dx", [sketch(FLIPPED)], {"dx"})
    assert made.as_output()["data"]["text/plain"] == (
        "This looks like a known mistake: unflipped. See \u201cS\u201d."
    )
    placed = type(made)("n", "a < b", "Where it goes", "lectures/03-backprop")
    html = placed.as_output("https://example.org/book")["data"]["text/html"]
    assert 'href="https://example.org/book/lectures/03-backprop.html#where-it-goes"' in html
    assert "a &lt; b" in html
    assert "chapter 3" in html
