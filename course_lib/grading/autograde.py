"""Grade everybody: read, restore, run what was not run before, and save.

Nothing is graded twice, nothing is lost: what was run lies on disk by its key, and what was saved
is noted, so that a command that was stopped goes on where it was. What never ran is *not graded*,
never 0 points.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_lib.grading import contract as contracts
from course_lib.grading import gradebook
from course_lib.grading.contract import files_beside, write_atomically
from course_lib.grading.course import CourseError
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.intake import IntakeError, read_files, read_notebook
from course_lib.grading.notebooks import code_cells, imported, kind_of
from course_lib.grading.results import Results, key_of
from course_lib.grading.sandbox import Limits, Sandbox, SandboxError

__all__ = ["Grading", "Session", "State", "grade", "states"]


@dataclass
class State:
    """How far a student's submission is.

    `state` is ``graded``, ``needs attention`` (refused, with the reason for the student), or
    ``not graded`` (the machine's fault, with the reason). `keys` are those of the results that the
    gradebook has, by notebook; `deaths` the cells that ended their process; `missing` the cells
    that were deleted.
    """

    student: str
    state: str
    reason: str = ""
    score: float | None = None
    max_score: float | None = None
    keys: dict = field(default_factory=dict)
    deaths: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    seconds: float = 0


@dataclass
class Grading:
    """What :func:`grade` did: the states of all students, and how many notebooks were executed."""

    assignment: str
    states: dict[str, State] = field(default_factory=dict)
    executed: int = 0
    reused: int = 0
    seconds: float = 0


def states(course, assignment):
    """Return the states that are on disk, by student."""
    path = course.private / "states" / f"{assignment}.json"
    if not path.is_file():
        return {}
    return {name: State(**state) for name, state in json.loads(path.read_text()).items()}


def grade(
    course,
    assignment,
    *,
    engine: Callable,
    students=None,
    again=False,
    limits=None,
    session=None,
    report: Callable = lambda event, **_: None,
):
    """Grade what was handed in for an assignment.

    Parameters
    ----------
    course : Course
    assignment : str
    engine : callable
        ``engine(preload=..., limits=...)`` returns an engine, as in :mod:`~.engines`.
    students : sequence of str, optional
        Only these.
    again : bool
        Run also what was run before.
    limits : Limits, optional
    session : type, optional
        Instead of :class:`Session`.
    report : callable
        Told of ``"begin", total=n`` and ``"student", state=State, waiting=n``.

    Returns
    -------
    Grading

    Raises
    ------
    CourseError
        If nothing was handed in, or the assignment was never released.
    """
    started, limits = time.monotonic(), limits or Limits()
    names = gradebook.notebooks_of(course, assignment)
    everybody = course.students(assignment)
    unknown = sorted(set(students or ()) - set(everybody))
    if unknown or not everybody:
        who = ", ".join(unknown) or "anybody"
        where = course.folder("submitted", assignment, "STUDENT")
        raise CourseError(f"grade: nothing was handed in by {who}: no folder {where}")
    session = (session or Session)(course, assignment, names, limits, again, report)
    session.prepare_contracts()
    with tempfile.TemporaryDirectory(prefix="course-grading-") as folder:
        session.staging = Path(folder)
        chosen = list(students or everybody)
        report("begin", total=len(chosen))
        with engine(preload=session.preload, limits=limits) as running:
            session.run(chosen, running)
    session.grading.seconds = time.monotonic() - started
    return session.grading


class Session:
    """One call of :func:`grade`."""

    def __init__(self, course, assignment, names, limits, again, report):
        self.course, self.assignment, self.names = course, assignment, names
        self.limits, self.again, self.report = limits, again, report
        self.results = Results(course.private / "results" / assignment)
        self.grading = Grading(assignment, states(course, assignment))
        self.waiting, self.by_key, self.noted = {}, {}, 0
        self.contracts, self.files, self.preload = {}, {}, ("numpy",)

    def prepare_contracts(self):
        """Load the contracts; record those that are not there, or whose source has changed."""
        self.files = files_beside(self.course.folder("source", self.assignment))
        sources = self.course.folder("source", self.assignment)
        self.preload = imported([sources / f"{name}.ipynb" for name in self.names])
        for name in self.names:
            found = contracts.load(self.course, self.assignment, name)
            if found is None:
                with Sandbox(self.preload) as sandbox:
                    found, _ = contracts.record(
                        sandbox,
                        self.assignment,
                        sources / f"{name}.ipynb",
                        seconds=self.course.seconds,
                        files=self.files,
                    )
                contracts.save(self.course, found)
            self.contracts[name] = found
        modules = {module for found in self.contracts.values() for module in found.modules}
        self.preload = tuple(sorted({*self.preload, *modules}))

    def run(self, students, engine):
        """Run what has to be, and save each student as soon as all of a submission has run."""
        for key, ran in engine.run(self.jobs(students)):
            if not isinstance(ran, Exception):
                self.results[key] = ran
                self.grading.executed += 1
            for student in self.by_key.pop(key):
                submission = self.waiting[student]
                submission.ran[key] = ran
                if submission.is_complete():
                    self.finish(self.waiting.pop(student))
        self.keep_states()

    def jobs(self, students):
        """Yield the jobs that must be run; finish with all others on the way."""
        for student in students:
            try:
                submission = self.read(student)
            except (IntakeError, CourseError) as refusal:
                self.note(State(student, "needs attention", str(refusal)))
                continue
            before = self.grading.states.get(student)
            if not self.again and submission.is_saved(before):
                self.grading.reused += len(submission.keys)
                self.note(before)
                continue
            known = {k for k in submission.keys.values() if k in self.results and not self.again}
            submission.ran = {key: self.results[key] for key in known}
            self.grading.reused += len(known)
            if submission.is_complete():
                self.finish(submission)
                continue
            self.waiting[student] = submission
            for name, key in submission.keys.items():
                if key in known:
                    continue
                if key in self.by_key:  # somebody else's notebook is the same
                    self.by_key[key].append(student)
                else:
                    self.by_key[key] = [student]
                    yield key, submission.jobs[name]

    def read(self, student):
        """Read and restore what a student handed in."""
        folder = self.course.folder("submitted", self.assignment, student)
        if folder.is_symlink() or not folder.is_dir():
            raise IntakeError(f"{folder.name}: not a folder")
        own_files = read_files(folder)
        submission = Submission(student, own_files)
        for name in self.names:
            path = folder / f"{name}.ipynb"
            if not path.exists() and not path.is_symlink():
                continue
            notebook = read_notebook(path)
            restored = gradebook.restore(self.course, self.assignment, student, name, notebook)
            job = self.contracts[name].job(
                restored.notebook,
                seconds=self.course.seconds,
                files=self.files,
                own_files=own_files,
            )
            submission.add(name, notebook, restored, job, key_of(job, self.limits))
        if not submission.jobs:
            expected = " or ".join(f"{name}.ipynb" for name in self.names)
            raise IntakeError(f"there is no {expected} in the folder that was handed in")
        return submission

    def finish(self, submission):
        """Save the results of a submission, and note its state."""
        failed = [ran for ran in submission.ran.values() if isinstance(ran, Exception)]
        if failed:
            self.note(State(submission.student, "not graded", _why(failed[0])))
            return
        outcomes = {name: list(self.outputs(name, submission)) for name in submission.jobs}
        staged = gradebook.stage(
            self.staging,
            submission.student,
            self.assignment,
            submission.notebooks,
            submission.own_files,
        )
        try:
            self._copy_timestamp(submission.student, staged)
            gradebook.save(self.course, self.assignment, submission.student, staged, outcomes)
        except CourseError as error:
            self.note(State(submission.student, "needs attention", str(error)))
            return
        finally:
            shutil.rmtree(staged.parent, ignore_errors=True)
        runs = submission.ran.values()
        state = State(
            submission.student,
            "graded",
            keys=dict(submission.keys),
            deaths=[death for ran in runs for death in ran.deaths],
            missing=[n for restored in submission.restored.values() for n in restored.missing],
            seconds=sum(o.seconds for ran in runs for o in ran.outcomes.values()),
        )
        with self.course.gradebook() as book:
            found = book.find_submission(self.assignment, submission.student)
            state.score, state.max_score = found.score, found.max_score
        self.note(state)

    def _copy_timestamp(self, student, staged):
        """Keep when it was handed in, by which nbgrader counts how late it is."""
        stamp = self.course.folder("submitted", self.assignment, student) / "timestamp.txt"
        if stamp.is_file() and not stamp.is_symlink():
            (staged / "timestamp.txt").write_text(stamp.read_text()[:100])

    def outputs(self, name, submission):
        """Yield execution count and outputs for each code cell that was handed in."""
        ran = submission.ran[submission.keys[name]]
        scores, judged = set(self.contracts[name].scores), {}
        for number, cell in enumerate(code_cells(submission.restored[name].notebook), 1):
            if cell.metadata.get("course_missing"):
                continue
            grade_id, outcome = _grade_id(cell), ran.outcomes[number]
            outputs = gradebook.as_judged(outcome, kind_of(cell), has_score=grade_id in scores)
            judged[number] = grade_id, outputs, outcome.sketches
        failed = {grade_id for grade_id, outputs, _ in judged.values() if _has_failed(outputs)}
        for number, (grade_id, outputs, sketches) in judged.items():
            if _has_failed(outputs):
                found = diagnose(self.contracts[name], grade_id, sketches, failed)
                outputs += [found.as_output(self.course.site)] if found else []
            yield number, outputs

    def note(self, state):
        """Remember a state and tell of it; keep all of them on disk now and then."""
        self.grading.states[state.student] = state
        self.noted += 1
        if self.noted % 20 == 0:
            self.keep_states()
        self.report("student", state=state, waiting=len(self.waiting))

    def keep_states(self):
        """Write the states down."""
        path = self.course.private / "states" / f"{self.assignment}.json"
        found = {name: asdict(state) for name, state in sorted(self.grading.states.items())}
        write_atomically(path, json.dumps(found, indent=1).encode())


class Submission:
    """What one student handed in, read and restored, while it is run."""

    def __init__(self, student, own_files):
        self.student, self.own_files = student, own_files
        self.notebooks, self.restored, self.jobs, self.keys, self.ran = {}, {}, {}, {}, {}

    def add(self, name, notebook, restored, job, key):
        """Add a notebook."""
        self.notebooks[name], self.restored[name] = notebook, restored
        self.jobs[name], self.keys[name] = job, key

    def is_complete(self):
        """Whether each of its notebooks has been run."""
        return set(self.ran) == set(self.keys.values())

    def is_saved(self, state):
        """Whether this very submission is in the gradebook already."""
        return state is not None and state.state == "graded" and state.keys == self.keys


def _has_failed(outputs):
    return any(output["output_type"] == "error" for output in outputs)


def _grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _why(error):
    kind = "" if isinstance(error, SandboxError) else f"{type(error).__name__}: "
    return f"{kind}{error}"
