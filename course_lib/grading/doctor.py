"""What this machine lacks for grading, and how to get it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from course_lib.grading.course import CourseError
from course_lib.grading.sandbox import Cell, Job, NotAvailableError, Sandbox
from course_lib.grading.sandbox.bubblewrap import find

__all__ = ["Finding", "examine"]

LEAST_FREE = 2  # GB of disk


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty if it is in order.

    Without what is `needed` nothing can be graded.
    """

    what: str
    found: str
    remedy: str = ""
    needed: bool = True

    @property
    def good(self):
        """Whether it is in order."""
        return not self.remedy


def examine(course=None):
    """Look at everything that grading needs.

    Parameters
    ----------
    course : Course, optional
        Its gradebook and disk are looked at too.

    Returns
    -------
    list of Finding
    """
    findings = [_python(), _bubblewrap(), _user_namespaces(), _sandbox(), _control_groups()]
    if course is not None:
        findings += [_gradebook(course), _disk(course), *_assignments(course)]
    return findings


def _python():
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", f"{version}, {sys.executable}")


def _bubblewrap():
    try:
        path = find()
    except NotAvailableError as error:
        return Finding("bubblewrap", "not here", str(error))
    said = subprocess.run([path, "--version"], capture_output=True, text=True)
    return Finding("bubblewrap", f"{said.stdout.strip()}, {path}")


def _user_namespaces():
    """Whether an ordinary user may make namespaces; some systems forbid it to most programs."""
    settings = {
        "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
        "/proc/sys/kernel/unprivileged_userns_clone": (
            "0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "allow bwrap in AppArmor (Ubuntu 24.04: install the profile bwrap-userns-restrict), "
            "or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    }
    for path, (forbidding, remedy) in settings.items():
        if Path(path).is_file() and Path(path).read_text().strip() == forbidding:
            return Finding("user namespaces", f"{path} is {forbidding}", remedy)
    return Finding("user namespaces", "allowed")


def _sandbox():
    cells = (
        Cell(1, "def f(x):\n    return x + 1", "student", 20),
        Cell(2, "assert f(1) == 2", "graded", 20, ("f",)),
        Cell(3, "import socket\nsocket.socket()", "student", 20),
    )
    try:
        with Sandbox() as sandbox:
            ran = sandbox.run(Job(cells, opaque=("f",)))
    except Exception as error:  # whatever keeps it from working is what is asked for
        remedy = "see above; in a container: run it with --security-opt seccomp=unconfined"
        return Finding("sandbox", f"{type(error).__name__}: {error}", remedy)
    refused = any(output["output_type"] == "error" for output in ran.outcomes[3].outputs)
    if ran.outcomes[2].outputs or not refused:
        return Finding("sandbox", "it runs, but does not hold", "do not grade on this machine")
    return Finding("sandbox", "runs code, and lets no network be reached")


def _control_groups():
    from course_lib.grading.sandbox.cgroup import ControlGroup

    group = ControlGroup(100, 10)
    made = bool(group.folders)
    group.remove()
    if made:
        return Finding("control groups", "limit memory and processes of a whole sandbox")
    return Finding(
        "control groups",
        "this user may make none; each process is limited, all together are not",
        "run as root, or under `systemd-run --user --scope -p Delegate=yes`",
        needed=False,
    )


def _gradebook(course):
    try:
        with course.gradebook() as gradebook:
            count = len(gradebook.assignments)
    except Exception as error:  # every driver raises errors of its own
        remedy = "check CourseDirectory.db_url; `nbgrader db upgrade` after an update"
        return Finding("gradebook", f"{type(error).__name__}: {error}".split("\n")[0], remedy)
    kind = course.directory.db_url.split(":")[0]
    return Finding("gradebook", f"{kind}, {count} assignments")


def _disk(course):
    free = shutil.disk_usage(course.root).free / 1e9
    if free < LEAST_FREE:
        return Finding("disk", f"{free:.1f} GB free", f"free some: at least {LEAST_FREE} GB")
    return Finding("disk", f"{free:.0f} GB free")


def _assignments(course):
    from course_lib.grading import contract

    for assignment in course.assignments():
        try:
            recorded = [
                contract.load(course, assignment, path.stem)
                for path in course.notebooks("source", assignment)
            ]
        except CourseError as error:
            yield Finding(assignment, str(error), f"course release {assignment}", needed=False)
            continue
        if all(recorded):
            yield Finding(assignment, "released, with a contract that fits its source")
        else:
            found = "not released, or its source has changed since"
            yield Finding(assignment, found, f"course release {assignment}", needed=False)
