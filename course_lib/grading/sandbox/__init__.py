"""Run a notebook that nobody trusts, in two jailed processes, and get its outputs as plain data.

Start at :class:`~course_lib.grading.sandbox.supervisor.Sandbox`. ``supervisor``, ``bubblewrap``
and ``cgroup`` run outside; ``zygote``, ``jail``, ``cells``, ``judge``, ``submission``, ``remote``
run inside; ``wire`` and ``limits`` on both sides.
"""

from course_lib.grading.sandbox.bubblewrap import NotAvailableError
from course_lib.grading.sandbox.limits import Limits
from course_lib.grading.sandbox.supervisor import Cell, Job, Outcome, Run, Sandbox, SandboxError

__all__ = [
    "Cell",
    "Job",
    "Limits",
    "NotAvailableError",
    "Outcome",
    "Run",
    "Sandbox",
    "SandboxError",
]
