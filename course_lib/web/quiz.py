"""The self-check quiz at the end of a chapter, from a file of ``quizzes/``."""

import tomllib
from html import escape
from importlib.resources import files

from course_lib.web.figure import Figure

QUIZZES = files(__package__) / "quizzes"
QUESTIONS = range(4, 7)  # how many a quiz has


def quiz(name):
    """Show a quiz whose every option, right or wrong, has its own explanation.

    Parameters
    ----------
    name : str
        The file ``quizzes/NAME.toml``. It has a ``title`` and 4 to 6 ``[[questions]]``, each with
        what it asks (``ask``) and its ``[[questions.options]]``; an option has ``text``, ``why``,
        and, if it is the right one, ``right = true``. In each of these texts backquotes mark
        ``code``; there is no other markup.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such quiz, or its file breaks one of the rules above.
    """
    path = QUIZZES / f"{name}.toml"
    if not path.is_file():
        known = sorted(entry.name.removesuffix(".toml") for entry in QUIZZES.iterdir())
        raise ValueError(f"quiz: there is no {name!r}, expected one of {', '.join(known)}")
    data = read_quiz(name, path.read_text("utf-8"))
    return Figure(
        tag="course-quiz",
        parts=("figure", "quiz"),
        data=data,
        fallback=_static_form(data),
        text=_text(data),
    )


def read_quiz(name, toml):
    """Parse a quiz and check that it keeps the rules; `name` is for the messages."""
    where = f'quiz "{name}"'
    try:
        data = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where} is not TOML: {error}") from error
    _check_keys(where, data, {"title", "questions"})
    _check_text(where, data, "title")
    if len(data["questions"]) not in QUESTIONS:
        raise ValueError(f"{where} has {len(data['questions'])} questions, expected 4 to 6")
    for number, question in enumerate(data["questions"], start=1):
        _check_question(f"{where}, question {number}", question)
    return data


def _check_question(where, question):
    _check_keys(where, question, {"ask", "options"})
    _check_text(where, question, "ask")
    options = question["options"]
    for number, option in enumerate(options, start=1):
        _check_keys(f"{where}, option {number}", option, {"text", "why"}, optional={"right"})
        for key in ("text", "why"):
            _check_text(f"{where}, option {number}", option, key)
        if not isinstance(option.setdefault("right", False), bool):
            raise ValueError(f"{where}, option {number}: `right` is not true or false")
    if len(options) < 3:
        raise ValueError(f"{where} has {len(options)} options, expected at least 3")
    right = sum(option["right"] for option in options)
    if right != 1:
        raise ValueError(f"{where} has {right} right options, expected exactly 1")
    for key in ("text", "why"):
        if len({option[key] for option in options}) < len(options):
            raise ValueError(f"{where} has two options with the same `{key}`")


def _check_keys(where, table, needed, optional=frozenset()):
    missing, unknown = needed - table.keys(), table.keys() - needed - optional
    if missing or unknown:
        problem = f"lacks {sorted(missing)}" if missing else f"does not know {sorted(unknown)}"
        raise ValueError(f"{where} {problem}; expected {sorted(needed | optional)}")


def _check_text(where, table, key):
    text = table[key]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: `{key}` is {text!r}, expected a text")
    if text.count("`") % 2:
        raise ValueError(f"{where}: `{key}` has a backquote without its partner: {text!r}")


def _static_form(data):
    """The quiz for paper and for pages without scripts: the answers are folded away."""
    questions = "\n".join(_static_question(question) for question in data["questions"])
    return f"<p><strong>{_inline(data['title'])}</strong></p>\n<ol>\n{questions}\n</ol>"


def _static_question(question):
    options = "".join(f"<li>{_inline(option['text'])}</li>" for option in question["options"])
    answers = "".join(
        f"<li><strong>{'Right' if option['right'] else 'Wrong'}:</strong> "
        f"{_inline(option['text'])}. {_inline(option['why'])}</li>"
        for option in question["options"]
    )
    return (
        f"<li>{_inline(question['ask'])}<ul>{options}</ul>"
        f"<details><summary>Answers</summary><ul>{answers}</ul></details></li>"
    )


def _inline(text):
    """HTML of a text in which backquotes mark code."""
    pieces = text.strip().split("`")
    return "".join(
        f"<code>{escape(piece)}</code>" if n % 2 else escape(piece)
        for n, piece in enumerate(pieces)
    )


def _text(data):
    lines = [data["title"]]
    for number, question in enumerate(data["questions"], start=1):
        lines.append(f"{number}. {question['ask'].strip()}")
        lines += [f"   - {option['text'].strip()}" for option in question["options"]]
    return "\n".join(lines)
