"""The chapters speak with one voice: spelling, numbers, boxes and what opens the exercises."""

import json
import re
from pathlib import Path

import pytest

LECTURES = sorted((Path(__file__).parents[2] / "lectures").glob("*.ipynb"))
NOT_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\[[\w/.]*\]\(.*?\)|\]\(.*?\)|\"[^\"]*\"", re.S
)
AMERICAN = re.compile(
    r"\b(?:(?:normal|regular|optim|initial|local|recogn|general|minim|maxim|standard|summar)iz\w*"
    r"|percent|colou?r(?<!colour)\w*|center\w*|neighbor\w*|behavior\w*|gray\w*|analyz\w*)\b",
    re.I,
)
NO_ZERO = re.compile(r"(?<![\w.,)\]])\.\d")  # .5 in the place of 0.5
HYPE = re.compile(r"\b(?:amazing|exciting|powerful|it is easy to see|obviously|note that)\b", re.I)
OPENING = (
    "Each has a cell for your answer and one that checks it. As long as an answer is `None` the "
    "check says so and goes on. The solutions are folded away."
)
BOXES = {"This chapter", "Predict", "Find out"}


def faults(cells):
    """Yield what a reader of all chapters would stumble over."""
    for cell in cells:
        text = "".join(cell["source"])
        shown = cell["metadata"].get("mystnb", {})
        said = [shown.get("figure", {}).get("caption"), shown.get("image", {}).get("alt")]
        if cell["cell_type"] == "markdown":
            said.append(text)
            boxes = re.findall(r"\{admonition\} (.*)", text)
            yield from (f"{cell['id']}: a box {box!r}" for box in boxes if box not in BOXES)
        for words in filter(None, said):
            prose = NOT_PROSE.sub(" ", words)
            for rule in (AMERICAN, NO_ZERO, HYPE):
                yield from (f"{cell['id']}: {found!r}" for found in rule.findall(prose))
        solves = cell["id"].startswith(("exercise", "solution"))
        if r"\boxed" in text and "**In words" not in text and not solves:
            yield f"{cell['id']}: a boxed result that is not said in words"
        if text.startswith("## Exercises") and OPENING not in " ".join(text.split()):
            yield f"{cell['id']}: exercises that open in other words"


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_one_voice(path):
    assert not list(faults(json.loads(path.read_text())["cells"]))


@pytest.mark.parametrize(
    "source, found",
    [
        ("A regularizer of 5 percent.", ["regularizer", "percent"]),
        ("With .5 it is gray.", ["gray", " .5"]),
        ('"Optimization", `optimizer`, $.5$, [a/localizer.py](../a/localizer.py).', []),
        (":::{admonition} Guess\n:::", ["a box 'Guess'"]),
        ("## Exercises\n\nSolve these.", ["other words"]),
        (r"$$\boxed{x}$$ So it is.", ["said in words"]),
    ],
    ids=["American", "numbers", "quoted", "box", "exercises", "result"],
)
def test_other_voices_are_heard(source, found):
    cell = {"id": "x", "cell_type": "markdown", "metadata": {}, "source": source}
    heard = list(faults([cell]))
    assert len(heard) == len(found)
    assert all(word.strip() in fault for word, fault in zip(found, heard, strict=True))


def test_captions_are_heard_too():
    shown = {"mystnb": {"figure": {"caption": "The center."}, "image": {"alt": "Colors."}}}
    cell = {"id": "x", "cell_type": "code", "metadata": shown, "source": ""}
    assert list(faults([cell])) == ["x: 'center'", "x: 'Colors'"]
