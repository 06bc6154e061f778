"""Grading: checks that a student can read, and nbgrader in three commands.

Importing it loads the checks only; :mod:`course_lib.grading.commands` needs nbgrader.
"""

from course_lib.grading.checks import (
    check_answer,
    check_close,
    check_computed,
    check_returns,
    check_unchanged,
    differences,
    own_code,
)

__all__ = [
    "check_answer",
    "check_close",
    "check_computed",
    "check_returns",
    "check_unchanged",
    "differences",
    "own_code",
]
