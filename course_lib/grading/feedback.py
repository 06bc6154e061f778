"""Feedback that shows a student no hidden test, and needs no network to be read."""

import ast
import re
from copy import copy
from html import escape
from itertools import dropwhile, groupby
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import nbgrader
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader.converters import GenerateFeedback, NbGraderException
from nbgrader.preprocessors import ClearHiddenTests, GetGrades, NbGraderPreprocessor
from nbgrader.utils import is_locked

from course_lib.grading.autograde import states
from course_lib.grading.course import CourseError
from course_lib.grading.notebooks import is_diagnosis

__all__ = ["FeedbackExporter", "HideTests", "write_feedback"]

CHECK = re.compile(r"(\w+\.)*_?(assert|check)\w*\(")  # a call that checks something
FRAME = re.compile(r"^\s*Cell In\[(\d+)\], line (\d+)", re.MULTILINE)
TEMPLATES = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"


class HideTests(NbGraderPreprocessor):
    """Remove the hidden tests from an autograded notebook, where nbgrader has restored them.

    In the place of each stands how many checks it makes. Of what its cell printed and displayed
    nothing stays: a student's ``print(x)`` would show the arguments. Of an error stay its type,
    its message unless the student's code raised it inside a hidden check, and instead of the
    traceback, which quotes the lines around, those of the notebook that led to it.
    """

    def preprocess(self, nb, resources):
        """Hide the tests in all cells of `nb`, in place."""
        cells = [(cell, self._read(cell)) for cell in nb.cells if cell.cell_type == "code"]
        sources = {cell.execution_count: source for cell, source in cells}
        for cell, source in cells:
            if source.tests:
                cell.source = _visible(source.lines)
                cell.outputs = [
                    out for out in cell.outputs if out.output_type == "error" or is_diagnosis(out)
                ]
            for error in (out for out in cell.outputs if out.output_type == "error"):
                frames = _frames(error.traceback, sources)
                if source.tests or any(frame.source.tests for frame in frames):
                    error.traceback = _explain(error, frames)
        return nb, resources

    def _read(self, cell):
        """Source of a cell as IPython counts its lines: from the first that is not empty."""
        delimiters = ClearHiddenTests(parent=self)
        lines, hidden = [], False
        for text in cell.source.lstrip("\n").split("\n"):
            hidden = hidden or delimiters.begin_test_delimeter in text
            lines.append(Line(text, hidden))
            hidden = hidden and delimiters.end_test_delimeter not in text
        return Source(lines, tests=any(line.hidden for line in lines), own=not is_locked(cell))


class Line(NamedTuple):
    """A line of a cell, and whether it is part of a hidden test; so are the delimiters."""

    text: str
    hidden: bool


class Source(NamedTuple):
    """Lines of a cell, whether it holds hidden tests, and whether the student wrote it."""

    lines: list[Line]
    tests: bool
    own: bool


class Frame(NamedTuple):
    """Where in the notebook a traceback passed: the cell's execution count and the line."""

    source: Source
    count: int
    number: int

    @property
    def line(self):
        """The line itself; IPython may count one that a magic made up."""
        lines = self.source.lines
        return lines[self.number - 1] if self.number <= len(lines) else Line("", hidden=False)

    def __str__(self):
        line = f"line {self.number}: {self.line.text.strip()}"
        return f"In [{self.count}], {'a hidden check' if self.line.hidden else line}"


def _frames(traceback, sources):
    """Frames of a traceback that lie in cells of the notebook, outermost first."""
    found = FRAME.findall(strip_ansi("\n".join(traceback)))
    numbers = [(int(count), int(number)) for count, number in found]
    return [Frame(sources[count], count, number) for count, number in numbers if count in sources]


def _explain(error, frames):
    """Lines to show instead of a traceback."""
    shown = []
    for hidden, group in groupby(frames, key=lambda frame: frame.line.hidden):
        lines = [str(frame) for frame in group]
        shown += lines[:1] if hidden else lines
    inside = dropwhile(lambda frame: not frame.line.hidden, frames)
    raised_by_student = any(frame.source.own for frame in inside)
    told = error.evalue and not raised_by_student
    return [*shown, f"{error.ename}: {error.evalue}" if told else error.ename]


def _visible(lines):
    """Source of a cell with a note in place of each hidden test."""
    source = []
    for hidden, group in groupby(lines, key=lambda line: line.hidden):
        texts = [line.text for line in group]
        if hidden:
            indent = re.match(r"\s*", texts[0])[0]
            checks = _count_checks("\n".join(texts))
            note = f"{checks} hidden check{'s' * (checks != 1)}" if checks else "hidden code"
            texts = [f"{indent}# {note}"]
        source += texts
    return "\n".join(source)


def _count_checks(source):
    """How many statements of a hidden test are checks, those of functions it defines excepted."""
    try:
        statements = ast.parse(dedent(source)).body
    except SyntaxError:  # part of a statement that begins or ends outside
        return 0
    checks = 0
    while statements:
        statement = statements.pop()
        called = ast.unparse(statement.value) if isinstance(statement, ast.Expr) else ""
        checks += isinstance(statement, ast.Assert) or bool(CHECK.match(called))
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            statements += [s for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt)]
    return checks


class MathMLRenderer(IPythonRenderer):
    """Markdown to HTML with the formulas as MathML, which browsers draw without a script."""

    def inline_math(self, body):
        """Formula in a line of text."""
        return _mathml(body, as_block=False)

    def block_math(self, body):
        """Formula on lines of its own."""
        return _mathml(body, as_block=True)

    def latex_environment(self, name, body):
        r"""Formula between ``\begin{name}`` and ``\end{name}``."""
        return _mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", as_block=True)


def _mathml(tex, *, as_block):
    """MathML of a formula; its source where docutils, which meets broken TeX so, cannot read it."""
    try:
        return tex2mathml(tex, as_block=as_block)
    except (MathError, AttributeError, IndexError):
        return f"<code>{escape(tex)}</code>"


class FeedbackExporter(HTMLExporter):
    """nbgrader's feedback page, without the MathJax that it would load from the network."""

    @property
    def default_config(self):
        """The template beside this file, over nbgrader's own."""
        config = super().default_config
        config.FeedbackExporter.template_name = "feedback_offline"
        config.FeedbackExporter.extra_template_basedirs = [
            str(Path(__file__).parent),
            str(TEMPLATES),
        ]
        return config

    def from_notebook_node(self, nb, resources=None, **options):
        """Export a notebook; say what language it is in, and where its content is."""
        html, resources = super().from_notebook_node(nb, resources, **options)
        html = html.replace("<html>", '<html lang="en">', 1)
        heading = '<div class="panel-heading"'  # the first one has the score and the contents
        return html.replace(heading, f'{heading} role="banner"', 1), resources

    @pass_context
    def markdown2html(self, context, source):
        """Markdown to HTML, as a filter for the template."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = MathMLRenderer(escape=False, attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)


def write_feedback(course, assignment, *, students=None, report=lambda event, **_: None):
    """Write the feedback of everybody who is graded; return how many pages were written.

    Who was refused gets a page that says why. No page shows a hidden check, or needs the network,
    whatever nbgrader is configured to do.

    Parameters
    ----------
    course : Course
    assignment : str
    students : sequence of str, optional
        Only these.
    report : callable
        Told of ``"begin", total=n`` and ``"student"``.

    Raises
    ------
    CourseError
        If nobody is graded, or nbgrader cannot write a page.
    """
    known = states(course, assignment)
    chosen = sorted(set(known) & set(students or known))
    if not chosen:
        raise CourseError(f"feedback: nobody was graded; course grade {assignment}")
    report("begin", total=len(chosen))
    for student in chosen:
        if known[student].state == "graded":
            directory = copy(course.directory)
            directory.assignment_id, directory.student_id = assignment, student
            converter = GenerateFeedback(
                coursedir=directory,
                parent=course.app,
                force=True,
                exporter_class=FeedbackExporter,
            )
            converter.preprocessors = [GetGrades, HideTests, CSSHTMLHeaderPreprocessor]
            try:
                converter.start()
            except NbGraderException as error:
                raise CourseError(f"feedback: {student}: {error}") from None
        else:
            _say_why(course.folder("feedback", assignment, student), assignment, known[student])
        report("student")
    return len(chosen)


REFUSED = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{assignment}: {state}</title></head>
<body>
<main>
<h1>{assignment}: {state}</h1>
<p>{reason}</p>
</main>
</body>
</html>
"""


def _say_why(folder, assignment, state):
    """Write a page for a submission that was not graded."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"assignment": assignment, "state": state.state, "reason": state.reason}
    page = REFUSED.format(**{name: escape(text) for name, text in fields.items()})
    (folder / "not-graded.html").write_text(page, encoding="utf-8")
