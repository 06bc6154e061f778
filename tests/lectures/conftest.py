"""Chapters, executed once, with their kernels kept for more questions."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

LECTURES = Path(__file__).parents[2] / "lectures"
CLAIM = "application/vnd.course.claim+json"
SECONDS = {}  # chapter -> how long it took here: said at the end, never judged


def pytest_configure(config):
    config.addinivalue_line("markers", "lecture: executes a whole chapter, for half a minute or so")


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes
        session.config.workeroutput["seconds"] = SECONDS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    SECONDS.update(getattr(node, "workeroutput", {}).get("seconds", {}))


def pytest_terminal_summary(terminalreporter):
    for name, seconds in SECONDS.items():
        terminalreporter.write_line(f"lectures/{name}.ipynb ran in {seconds:.0f} s")


class Chapter:
    """An executed notebook, whose kernel still runs.

    Attributes
    ----------
    cells : dict of str to cell
        By id, in order, with their outputs.
    """

    def __init__(self, client):
        self.client = client
        self.cells = {cell["id"]: cell for cell in client.nb.cells}

    def code(self):
        """Return the code cells by id."""
        return {name: cell for name, cell in self.cells.items() if cell["cell_type"] == "code"}

    def text(self):
        """Return the prose of all cells."""
        cells = self.cells.values()
        return "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")

    def claims(self):
        """Return what the chapter claims, by quantity, as `Claim.to_json` says it."""
        found = {}
        for cell in self.code().values():
            for out in cell["outputs"]:
                made = out.get("data", {}).get(CLAIM, [])
                for one in made if isinstance(made, list) else [made]:
                    assert one["quantity"] not in found, f"two claims: {one['quantity']}"
                    found[one["quantity"]] = one
        return found

    def said(self, name):
        """Return what the cell of an id printed or showed, as text."""
        return text_of(self.cells[name])

    def run(self, source):
        """Run some code, or the cell of an id, in the kernel; return what it prints."""
        source = self.cells[source]["source"] if source in self.cells else source
        cell = nbformat.v4.new_code_cell(source)
        return text_of(self.client.execute_cell(cell, 0, store_history=False))

    def unsolved(self, answer, *checks):
        """Run an answer, then the cells that check it; return the lines that do not say "right"."""
        self.run(answer)
        lines = "".join(self.run(check) for check in checks).splitlines()
        assert lines, f"{checks} said nothing"
        return [line for line in lines if not line.endswith(": right")]


def text_of(cell):
    """Return what a cell printed, and the text of what it showed."""
    shown = [out.get("text", out.get("data", {}).get("text/plain", "")) for out in cell["outputs"]]
    return "".join(shown)


@contextmanager
def executed(name):
    """Execute a chapter from a fresh kernel; a cell that fails raises."""
    notebook = nbformat.read(LECTURES / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(LECTURES)}}
    client = NotebookClient(notebook, timeout=300, resources=where)
    start = time.perf_counter()
    with client.setup_kernel(env=os.environ | {"COURSE_PROGRESS": "0"}):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        SECONDS[name] = time.perf_counter() - start
        yield Chapter(client)


@pytest.fixture(scope="session", params=sorted(path.stem for path in LECTURES.glob("*.ipynb")))
def chapter(request):
    """Each chapter in turn: pytest groups the tests by it, so that one kernel runs at a time.

    A file about one chapter names it: ``parametrize("chapter", ["03-..."], indirect=True)``.
    """
    with executed(request.param) as done:
        yield done
