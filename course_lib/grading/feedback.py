"""Feedback that shows a student no hidden test, and needs no network to be read."""

import re
from itertools import dropwhile, groupby
from pathlib import Path
from typing import NamedTuple

import nbgrader
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor

__all__ = ["FeedbackExporter", "HideTests"]

CHECK = re.compile(r"\s*(assert\b|(\w+\.)*(assert|check)\w*\()")  # the first line of a check
FRAME = re.compile(r"^\s*Cell In\[(\d+)\], line (\d+)", re.MULTILINE)
TEMPLATES = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"


class HideTests(NbGraderPreprocessor):
    """Remove the hidden tests from an autograded notebook, where nbgrader has restored them.

    In place of each stands how many checks it makes. Of what such a cell printed and displayed
    nothing stays: a student's ``print(x)`` would show the arguments. Of an error stay its type, the
    lines of the notebook that led to it instead of the traceback, which quotes those around them,
    and its message, unless the student's code raised it inside a hidden check.
    """

    def preprocess(self, nb, resources):
        """Hide the tests in all cells of `nb`, in place."""
        cells = [cell for cell in nb.cells if cell.cell_type == "code"]
        # IPython drops empty lines at the start of a cell before it counts.
        executed = {cell.execution_count: cell.source.lstrip("\n") for cell in cells}
        sources = {count: self._lines(source) for count, source in executed.items()}
        secret = {count for count, lines in sources.items() if any(hidden for _, hidden in lines)}
        for cell in cells:
            lines = self._lines(cell.source)
            tests = any(hidden for _, hidden in lines)
            if tests:
                cell.source = _visible(lines)
                cell.outputs = [out for out in cell.outputs if out.output_type == "error"]
            for error in (out for out in cell.outputs if out.output_type == "error"):
                frames = _frames(error.traceback, sources)
                if tests or any(frame.cell in secret for frame in frames):
                    error.traceback = _explain(error, frames, secret)
        return nb, resources

    def _lines(self, source):
        """Lines of a cell, each with whether it is hidden; so are the delimiters."""
        delimiters = ClearHiddenTests(parent=self)
        lines, hidden = [], False
        for line in source.split("\n"):
            hidden = hidden or delimiters.begin_test_delimeter in line
            lines.append((line, hidden))
            hidden = hidden and delimiters.end_test_delimeter not in line
        return lines


def _visible(lines):
    """Source of a cell with a note in place of each hidden test."""
    source = []
    for hidden, group in groupby(lines, key=lambda line: line[1]):
        texts = [text for text, _ in group]
        if hidden:
            checks = sum(bool(CHECK.match(text)) for text in texts)
            indent = re.match(r"\s*", texts[0])[0]
            texts = [f"{indent}# {checks or 'some'} hidden check{'s' * (checks != 1)}"]
        source += texts
    return "\n".join(source)


class Frame(NamedTuple):
    """Where in the notebook a traceback passed: execution count of the cell, line, its text."""

    cell: int
    line: int
    text: str
    hidden: bool

    def __str__(self):
        where = "a hidden check" if self.hidden else f"line {self.line}: {self.text.strip()}"
        return f"In [{self.cell}], {where}"


def _frames(traceback, sources):
    """Frames of a traceback that lie in cells of the notebook, outermost first."""
    frames = []
    for cell, line in FRAME.findall(strip_ansi("\n".join(traceback))):
        lines = dict(enumerate(sources.get(int(cell), []), start=1))
        frames.append(Frame(int(cell), int(line), *lines.get(int(line), ("", False))))
    return frames


def _explain(error, frames, secret):
    """Lines to show instead of a traceback."""
    inside = dropwhile(lambda frame: not frame.hidden, frames)
    raised_by_student = any(frame.cell not in secret for frame in inside)
    told = error.evalue and not raised_by_student
    return [*map(str, frames), f"{error.ename}: {error.evalue}" if told else error.ename]


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
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError:
        return f"<code>{tex}</code>"


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

    @pass_context
    def markdown2html(self, context, source):
        """Markdown to HTML, as a filter for the template."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = MathMLRenderer(escape=False, attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)
