"""One warm sandbox for all tests of grading that need one."""

import pytest

from course_lib.grading.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox():
    """A sandbox with NumPy in it."""
    with Sandbox(["numpy", "course_lib.grading.checks"]) as started:
        yield started
