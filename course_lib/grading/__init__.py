"""Grading: checks that a student can read, and the command ``course``, which grades with nbgrader.

Importing it loads the checks only; :mod:`course_lib.grading.cli` needs nbgrader.
"""

from course_lib.grading.checks import (
    check_answer,
    check_close,
    check_computed,
    check_returns,
    check_unchanged,
    differences,
    own_code,
    probe,
)

__all__ = [
    "check_answer",
    "check_close",
    "check_computed",
    "check_returns",
    "check_unchanged",
    "differences",
    "own_code",
    "probe",
]
