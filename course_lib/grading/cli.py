"""The command ``course``: for instructors who release, collect and grade, and for students.

Every command is run in the folder of the course, where ``nbgrader_config.py`` lies, or told of it
by ``--root``. It exits with 1 when it did not do what it was asked for, and says why on stderr.

Each command imports what it needs itself: the sandbox cannot be imported everywhere, and ``course
check`` must run without it.
"""

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from course_lib.grading.course import Course, CourseError

__all__ = ["app", "main"]

app = typer.Typer(
    name="course",
    help="Release, collect, grade and give feedback on nbgrader assignments, in a sandbox.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)

Assignment = Annotated[str, typer.Argument(metavar="A", help="Name of the assignment.")]
Root = Annotated[Path, typer.Option(help="The folder with nbgrader_config.py.")]
Database = Annotated[
    str | None,
    typer.Option("--db", help="The gradebook, for example postgresql+psycopg://host/name."),
]
EngineName = Annotated[str, typer.Option("--engine", help="local, or dask.")]
Workers = Annotated[int | None, typer.Option(help="Sandboxes at a time; one for each core.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, such as tls://host:8786.")
]
Tls = Annotated[
    Path | None,
    typer.Option(help="Folder with ca.pem, cluster.pem and cluster-key.pem, for tls:// addresses."),
]
Plain = Annotated[
    bool, typer.Option("--plain", help="Allow a scheduler elsewhere WITHOUT encryption.")
]


class NoSandboxError(CourseError):
    """This machine has no sandbox; the message says what is missing."""


def main(arguments=None):
    """Run the command; return its exit status."""
    try:
        status = app(arguments, standalone_mode=False)  # of typer.Exit, which it does not raise
    except CourseError as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except typer.Abort:
        return 130
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong argument
            err.print(error.format_message(), markup=False)
            return 2
        raise
    return status or 0


@contextmanager
def sandboxed():
    """Fail with one error, whatever a machine without a sandbox lacks.

    Raises
    ------
    NoSandboxError
    """
    try:
        import pyseccomp  # noqa: F401 (the first thing that is missing outside Linux)

        from course_lib.grading.sandbox import NotAvailableError
    except (ImportError, OSError, RuntimeError) as error:
        raise NoSandboxError(
            f"sandbox: it needs Linux, libseccomp and the extra `grading` of this package: {error}"
        ) from None
    try:
        yield
    except NotAvailableError as error:
        raise NoSandboxError(str(error)) from None


def engine_of(name, workers, scheduler, tls, plain=False):
    """Return the engine that was asked for, as :func:`~.autograde.grade` takes it."""
    if name == "local" and scheduler is None:
        from course_lib.grading.engines import LocalEngine

        return partial(LocalEngine, workers)
    if name not in ("local", "dask"):
        raise CourseError(f"--engine {name}: expected local or dask")
    from course_lib.grading.cluster import ClusterEngine, security

    files = tls and security(tls / "ca.pem", tls / "cluster.pem", tls / "cluster-key.pem")
    return partial(ClusterEngine, scheduler, workers=workers, security=files, plain=plain)


@contextmanager
def progress(what):
    """Show how far it is, how fast, and how long it will take; yield a function for reports."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None, speed="")

        def report(event, total=None, **_):
            if event == "begin":
                bar.update(task, total=total)
                return
            bar.advance(task)
            speed = bar.tasks[0].speed
            bar.update(task, speed=f"{60 * speed:.0f} a minute" if speed else "")

        yield report


@app.command()
def release(
    assignment: Assignment,
    root: Root = Path("."),
    db: Database = None,
    engine: EngineName = "local",
    workers: Workers = None,
    scheduler: Scheduler = None,
    tls: Tls = None,
    plain: Plain = False,
):
    """Make what students get from the source, prove the checks, and pack it."""
    course = Course(root, db)
    with sandboxed(), progress(f"proving {assignment}") as report:
        from course_lib.grading.release import release as make

        chosen = engine_of(engine, workers, scheduler, tls, plain)
        proof, bundle = make(course, assignment, engine=chosen, report=report)
    table = Table(
        "graded cell", "points", "catches", title=f"What the checks of {assignment} catch"
    )
    for cell, worth, caught in proof.table():
        table.add_row(cell, f"{worth:g}", ", ".join(caught) or "nothing known")
    out.print(table)
    out.print(
        f"The reference earns all {sum(proof.possible.values()):g} points, the skeleton none, and "
        f"each of {len(proof.caught)} known mistakes loses just its own.",
        highlight=False,
    )
    out.print(f"For students: {bundle}", highlight=False, soft_wrap=True)


@app.command()
def grade(
    assignment: Assignment,
    student: Annotated[
        list[str] | None, typer.Option(help="Only this student; may be repeated.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on where the last call was; --no-resume runs all anew.")
    ] = True,
    root: Root = Path("."),
    db: Database = None,
    engine: EngineName = "local",
    workers: Workers = None,
    scheduler: Scheduler = None,
    tls: Tls = None,
    plain: Plain = False,
    insecure: Annotated[
        bool,
        typer.Option(help="Run submissions WITHOUT a sandbox, with your rights. Only your own."),
    ] = False,
):
    """Grade what was handed in; only what is new is run."""
    course = Course(root, db)
    options = {"students": student, "again": not resume}
    if insecure:
        from course_lib.grading.insecure import grade as run

        err.print("Without a sandbox: submissions run with your rights.", style="yellow")
        with progress(f"grading {assignment}") as report:
            done = run(course, assignment, report=report, **options)
    else:
        with sandboxed(), progress(f"grading {assignment}") as report:
            from course_lib.grading.autograde import grade as run

            chosen = engine_of(engine, workers, scheduler, tls, plain)
            done = run(course, assignment, engine=chosen, report=report, **options)
    summarize(done)
    if any(state.state == "not graded" for state in done.states.values()):
        raise typer.Exit(1)


def summarize(done):
    """Say what was graded, and list what needs somebody's attention."""
    by_state = {}
    for state in done.states.values():
        by_state.setdefault(state.state, []).append(state)
    graded = by_state.get("graded", [])
    minutes = max(done.seconds / 60, 1e-9)
    out.print(
        f"{len(graded)} graded; {done.executed} notebooks run, {done.reused} known, in "
        f"{done.seconds:.0f} s ({done.executed / minutes:.0f} a minute)",
        highlight=False,
    )
    for kind in ("needs attention", "not graded"):
        for state in by_state.get(kind, []):
            out.print(f"{kind}: {state.student}: {state.reason}", markup=False, soft_wrap=True)


@app.command()
def collect(
    assignment: Assignment,
    source: Annotated[Path, typer.Argument(help="A folder, or a zip file.")],
    root: Root = Path("."),
):
    """Take what students handed in: folders, zip files, nbgrader's exchange, Canvas, Gradescope."""
    from course_lib.grading.collect import collect as take

    collected = take(Course(root), assignment, source)
    out.print(f"{len(collected.students)} submissions of {assignment} collected", highlight=False)
    for name, reason in collected.refused.items():
        out.print(f"refused: {name}: {reason}", markup=False, soft_wrap=True)


@app.command()
def explain(
    student: Annotated[str, typer.Argument(metavar="S", help="The student.")],
    assignment: Assignment,
    root: Root = Path("."),
    db: Database = None,
):
    """Say why each point was lost."""
    from course_lib.grading.explain import explain as look

    found = look(Course(root, db), assignment, student)
    for loss in found:
        if loss.points < loss.max_points or loss.why:
            line = f"{loss.cell}: {loss.points:g} of {loss.max_points:g}. {loss.why}"
            out.print(line, markup=False, highlight=False, soft_wrap=True)
            if loss.diagnosis:
                out.print(f"    {loss.diagnosis}", markup=False, highlight=False, soft_wrap=True)
    earned, worth = sum(loss.points for loss in found), sum(loss.max_points for loss in found)
    out.print(f"{student} earns {earned:g} of {worth:g}", highlight=False)


@app.command()
def feedback(
    assignment: Assignment,
    student: Annotated[list[str] | None, typer.Option(help="Only this student.")] = None,
    root: Root = Path("."),
    db: Database = None,
):
    """Write a page for each student, which shows no hidden check and needs no network."""
    from course_lib.grading.feedback import write_feedback

    course = Course(root, db)
    with progress(f"feedback on {assignment}") as report:
        written = write_feedback(course, assignment, students=student, report=report)
    where = course.folder("feedback", assignment, "STUDENT")
    out.print(f"{written} pages written: {where}", highlight=False, soft_wrap=True)


@app.command()
def export(
    assignment: Assignment,
    format: Annotated[str, typer.Option(help="csv, canvas, or gradescope.")] = "csv",
    to: Annotated[Path | None, typer.Option(help="The file; else grades-ASSIGNMENT.*.")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="What Canvas exported, to be filled in.")
    ] = None,
    root: Root = Path("."),
    db: Database = None,
):
    """Write grades for others, and show how they are spread and which checks were failed."""
    from course_lib.grading import export as exports

    found = exports.grades(Course(root, db), assignment)
    text = exports.write(
        found, assignment, format=format, roster=roster and roster.read_text(encoding="utf-8-sig")
    )
    name = f"grades-{assignment}" if format == "csv" else f"grades-{assignment}-{format}"
    to = to or root / f"{name}.{'json' if format == 'gradescope' else 'csv'}"
    to.write_text(text, encoding="utf-8")
    spread = Table("score", "students", "")
    for label, count in exports.histogram(found):
        spread.add_row(label, str(count), "\u2588" * count if count < 60 else "\u2588" * 60)
    out.print(spread)
    checks = Table("graded cell", "points", "failed by", "mean")
    for cell, worth, failed, mean in exports.items(found):
        checks.add_row(cell, f"{worth:g}", str(failed), f"{100 * mean:.0f} %")
    out.print(checks)
    out.print(f"{len(found)} students: {to}", highlight=False, soft_wrap=True)


@app.command()
def status(assignment: Assignment, root: Root = Path("."), db: Database = None):
    """Show how far each submission is."""
    from course_lib.grading.autograde import states

    course = Course(root, db)
    known = states(course, assignment)
    table = Table("student", "state", "score", "remark")
    waiting = [s for s in course.students(assignment) if s not in known]
    if not known and not waiting:
        raise CourseError(f"status: nothing was handed in for {assignment}")
    with course.gradebook() as gradebook:  # where points given by hand are
        rows = {row["student"]: row for row in gradebook.submission_dicts(assignment)}
    for name, state in known.items():
        row = rows.get(name) if state.state == "graded" else None
        score = f"{row['score']:g} of {row['max_score']:g}" if row else ""
        by_hand = row is not None and row["needs_manual_grade"]
        deleted = [f"deleted: {cell}" for cell in state.missing]
        remarks = [state.reason, *state.deaths, *deleted, by_hand and "waits for a grade by hand"]
        table.add_row(name, state.state, score, "; ".join(filter(None, remarks)))
    for name in waiting:
        table.add_row(name, "handed in", "", f"course grade {assignment}")
    out.print(table)


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, or an assignment's name.")],
    root: Root = Path("."),
):
    """For students: run the checks that you can see."""
    from course_lib.grading import plain

    course = Course(root)
    paths = [notebook] if notebook.is_file() else course.notebooks("release", str(notebook))
    if not paths:
        raise CourseError(f"check: {notebook} is neither a notebook nor an assignment")

    def say(text):
        err.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        with sandboxed():
            from course_lib.grading.student import check as run

            scores = [s for path in paths for s in run(path, seconds=course.seconds, say=say)]
    except NoSandboxError as error:
        first, *more = str(error).split("\n")
        reason = f"{first} ... {more[-1]}" if more else first  # without a traceback's middle
        say(f"Not in a sandbox, but with your rights: {reason}")
        scores = [s for path in paths for s in plain.check(path, seconds=course.seconds)]
    for score in scores:
        out.print(str(score), markup=False, highlight=False, soft_wrap=True)
    failed = sum(score.points < score.max_points for score in scores)
    if failed:
        raise CourseError(f"{failed} of {len(scores)} checks fail")
    out.print(f"All {len(scores)} checks pass. Grading adds hidden ones.", highlight=False)


@app.command()
def pack(
    notebook: Annotated[Path, typer.Argument(help="Your notebook.")],
    to: Annotated[Path | None, typer.Option(help="The zip file; else beside this folder.")] = None,
    incomplete: Annotated[bool, typer.Option(help="Also if something is missing.")] = False,
    root: Root = Path("."),
):
    """For students: pack a notebook and its files to hand in; refuse what is not complete."""
    from course_lib.grading.student import pack as make

    released = None
    if (root / "nbgrader_config.py").is_file():
        released = Course(root).folder("release", notebook.stem) / notebook.name
        released = released if released.is_file() else None
    target = to or Path(f"{notebook.stem}.zip")
    made = make(notebook, target, released=released, incomplete=incomplete)
    out.print(f"To hand in: {made}", highlight=False, soft_wrap=True)


@app.command()
def certificates(
    folder: Annotated[Path, typer.Argument(help="Where to write them; for all machines.")],
    days: Annotated[int, typer.Option(help="How long they are valid.")] = 200,
):
    """Make what locks the channel to a cluster: ca.pem, cluster.pem, cluster-key.pem."""
    from course_lib.grading.certificates import FILES, make_certificates

    made = make_certificates(folder, days=days)
    out.print(f"{', '.join(FILES)}, valid for {days} days: {made}", soft_wrap=True, highlight=False)


@app.command()
def doctor(root: Root = Path("."), db: Database = None):
    """Say what this machine lacks for grading, and how to get it."""
    from course_lib.grading.doctor import examine

    course = Course(root, db) if (root / "nbgrader_config.py").is_file() else None
    findings = examine(course)
    for finding in findings:
        mark = "ok     " if finding.good else ("LACKING" if finding.needed else "note   ")
        out.print(f"{mark} {finding.what}: {finding.found}", markup=False, highlight=False)
        if not finding.good:
            out.print(f"        remedy: {finding.remedy}", markup=False, highlight=False)
    if any(finding.needed and not finding.good for finding in findings):
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(main())
