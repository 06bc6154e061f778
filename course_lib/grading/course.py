"""The folders and settings of a course: those of nbgrader, and a private folder beside them.

Everything is read from ``nbgrader_config.py`` in the folder of the course, as nbgrader reads it.
"""

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.apps import NbGrader

__all__ = ["Course", "CourseError"]

MISTAKES = "mistakes"
PRIVATE = ".grading"  # contracts, results, states: the instructor's alone


class CourseError(Exception):
    """A command did not do what it was asked for; the message says why, and what to do."""


class Course:
    """A course: where its files are, and how its cells are timed.

    Parameters
    ----------
    root : path, optional
        The folder with ``nbgrader_config.py``; else the current one.
    db_url : str, optional
        The gradebook, as SQLAlchemy writes it; else nbgrader's setting, a file of SQLite.
    """

    def __init__(self, root=".", db_url=None):
        _find_commands()
        root = Path(root).resolve()
        before = Path.cwd()
        os.chdir(root)  # nbgrader looks for its configuration where it is started
        try:
            self.app = NbGrader(log_level=logging.ERROR)
            self.app.initialize([])
        finally:
            os.chdir(before)
        self.directory = self.app.coursedir
        if db_url:
            self.directory.db_url = db_url
        self.root = Path(self.directory.root)
        self.private = self.root / PRIVATE

    @property
    def seconds(self):
        """The time that a cell has at most: nbgrader's ``ExecutePreprocessor.timeout``."""
        for section in ("Execute", "ExecutePreprocessor"):
            timeout = self.app.config[section].get("timeout")
            if isinstance(timeout, int) and timeout > 0:
                return float(timeout)
        return 60.0

    @property
    def site(self):
        """Where the book is on the web, for links in feedback: ``c.CourseFeedback.site``."""
        return str(self.app.config["CourseFeedback"].get("site", "")).rstrip("/")

    def folder(self, step, assignment, student="."):
        """Return one of nbgrader's folders: source, release, submitted, autograded, feedback."""
        directory = getattr(self.directory, f"{step}_directory")
        return Path(self.directory.format_path(directory, student, assignment))

    def mistakes(self, assignment):
        """Return the folder of the known mistakes of an assignment, which need not be there."""
        return self.root / MISTAKES / assignment

    def notebooks(self, step, assignment, student="."):
        """Return the notebooks in such a folder, sorted."""
        return sorted(self.folder(step, assignment, student).glob("*.ipynb"))

    def assignments(self):
        """Return the names of the assignments that have a source."""
        return sorted(
            {path.parent.name for path in self.folder("source", "x").parent.glob("*/*.ipynb")}
        )

    def students(self, assignment, step="submitted"):
        """Return who has a folder of this assignment, sorted."""
        pattern = str(self.folder(step, assignment, student="*"))
        return sorted(path.parent.name for path in Path("/").glob(pattern.lstrip("/")))

    @contextmanager
    def gradebook(self):
        """Open the gradebook; it is closed at the end of the block."""
        with Gradebook(self.directory.db_url, self.directory.course_id) as gradebook:
            yield gradebook


def _find_commands():
    """Put the folder of this Python on the PATH, where nbgrader looks for `alembic`."""
    folder = str(Path(sys.executable).parent)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
