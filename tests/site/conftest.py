"""The built site in a browser, and tiny books that are built to see what the build does."""

import subprocess
import sys
import threading
from shutil import copy

import nbformat
import pytest
from contents import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book.serve import serve


def run_build(source):
    return subprocess.run(
        [sys.executable, "-m", "book.build", str(source)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="session")
def site():
    """The folder of the book's site, built anew where it is stale."""
    done = run_build(ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served on this machine, with a slash at the end."""
    server = serve(site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class TinyBook:
    """A book of a few lines, with the real configuration, to be broken and rebuilt."""

    def __init__(self, folder):
        self.folder = folder
        copy(ROOT / "_config.yml", folder)
        self.write("requirements.lock", "numpy==1\n")
        self.write("book/references.bib", "@misc{known, title = {A paper}, year = {2000}}\n")
        self.write("intro.md", "# A tiny book\n\nOne sentence about it.\n")
        self.write("_toc.yml", "format: jb-book\nroot: intro\n")

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def chapter(self, *cells, name="lectures/07-tiny"):
        """Write a chapter: text cells as strings, code cells as ``(id, source[, metadata])``."""
        notebook = new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
        )
        notebook.cells = [new_markdown_cell("# A tiny chapter\n\nA sentence.", id="title")]
        for number, cell in enumerate(cells):
            if isinstance(cell, str):
                notebook.cells.append(new_markdown_cell(cell, id=f"text-{number}"))
            else:
                name_, source, *metadata = cell
                metadata = metadata[0] if metadata else {}
                notebook.cells.append(new_code_cell(source, id=name_, metadata=metadata))
        self.write(f"{name}.ipynb", nbformat.writes(notebook))
        self.write("_toc.yml", f"format: jb-book\nroot: intro\nchapters:\n  - file: {name}\n")

    def build(self):
        return run_build(self.folder)

    def page(self, name="lectures/07-tiny"):
        return (self.folder / "_build" / "html" / f"{name}.html").read_text()


@pytest.fixture
def tiny_book(tmp_path):
    return TinyBook(tmp_path)
