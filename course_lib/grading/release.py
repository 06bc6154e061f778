"""Release an assignment, and prove it first.

The reference solution must earn every point, what students get none, and each known mistake must
lose exactly the points it is said to lose; else nothing is released. All of that runs in the
sandbox, as students' work does.
"""

import shutil
import zipfile
from dataclasses import dataclass, field, replace

import nbformat
from nbgrader.converters import GenerateAssignment, NbGraderException
from nbgrader.utils import determine_grade, is_grade

from course_lib.grading import contract as contracts
from course_lib.grading.contract import files_beside
from course_lib.grading.course import CourseError
from course_lib.grading.gradebook import as_judged
from course_lib.grading.mistakes import read_mistakes, read_right, submissions, with_answers
from course_lib.grading.notebooks import code_cells, imported, kind_of
from course_lib.grading.results import Results, key_of
from course_lib.grading.sandbox import Limits, Sandbox

__all__ = ["Proof", "points", "prove", "release"]

EPOCH = (1980, 1, 1, 0, 0, 0)  # of the files in a bundle, so that it is the same each time


@dataclass
class Proof:
    """What the runs of known submissions showed.

    `earned` has the points of each graded cell, by name of the submission; `caught` the cells that
    each mistake loses; `faults` what speaks against a release, in words.
    """

    assignment: str
    possible: dict[str, float] = field(default_factory=dict)
    earned: dict[str, dict[str, float]] = field(default_factory=dict)
    caught: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    contracts: list = field(default_factory=list)

    def table(self):
        """Return rows for people: a graded cell, its points, and the mistakes that it catches."""
        return [
            (cell, worth, sorted(name for name, cells in self.caught.items() if cell in cells))
            for cell, worth in self.possible.items()
        ]


def points(notebook, ran, scores):
    """Return what each graded cell of a notebook earned, by grade id; manual ones are left out.

    Parameters
    ----------
    notebook : NotebookNode
    ran : Run
    scores : collection of str
        Grade ids of cells whose value is a number of points.
    """
    earned = {}
    for number, cell in enumerate(code_cells(notebook), 1):
        if is_grade(cell) and kind_of(cell) == "graded":
            name = cell.metadata.nbgrader.grade_id
            outputs = as_judged(ran.outcomes[number], "graded", has_score=name in scores)
            judged = nbformat.from_dict({**cell, "outputs": outputs})
            earned[name], _ = determine_grade(judged)
    return earned


def prove(course, assignment, *, engine, limits=None, report=lambda event, **_: None):
    """Run everything that is known of an assignment.

    Parameters
    ----------
    course : Course
    assignment : str
    engine : callable
        As in :func:`~.autograde.grade`.
    limits : Limits, optional
    report : callable
        Told of ``"begin", total=n`` and ``"ran", name=str``.

    Returns
    -------
    Proof
    """
    limits, proof = limits or Limits(), Proof(assignment)
    results = Results(course.private / "results" / assignment)
    paths = course.notebooks("source", assignment)
    files = files_beside(course.folder("source", assignment))
    preload = imported(paths)
    with engine(preload=preload, limits=limits) as running:
        for path in paths:
            Prover(course, assignment, path, files, preload, proof).prove(
                running, limits, results, report
            )
    return proof


class Prover:
    """Proves one notebook of an assignment."""

    def __init__(self, course, assignment, path, files, preload, proof):
        self.course, self.assignment, self.path = course, assignment, path
        self.files, self.preload, self.proof = files, preload, proof
        self.folder = course.mistakes(assignment)
        self.reference = nbformat.read(path, as_version=4)

    def prove(self, engine, limits, results, report):
        """Record the contract, run the known submissions, and note what they earned."""
        contract = self.record()
        self.proof.possible |= {
            cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points)
            for cell in code_cells(self.reference)
            if kind_of(cell) == "graded"
        }
        released = self.course.folder("release", self.assignment) / self.path.name
        known = list(submissions(self.path, self.folder))
        known.append(("what students get", None, self.skeleton(released)))
        report("begin", total=len(known))
        notebooks, jobs = {}, {}
        for name, mistake, notebook in known:
            job = contract.job(notebook, seconds=self.course.seconds, files=self.files)
            key = key_of(job, limits)
            notebooks.setdefault(key, []).append((name, mistake, notebook))
            jobs[key] = job
        mistakes = []
        for key in [key for key in jobs if key in results]:
            mistakes += self.note(contract, notebooks[key], results[key], report)
        waiting = ((key, job) for key, job in jobs.items() if key not in results)
        for key, ran in engine.run(waiting):
            if isinstance(ran, Exception):
                raise CourseError(f"release: {notebooks[key][0][0]} could not be run: {ran}")
            results[key] = ran
            mistakes += self.note(contract, notebooks[key], ran, report)
        mistakes.sort(key=lambda mistake: mistake["name"])
        self.proof.contracts.append(replace(contract, mistakes=mistakes))

    def record(self):
        """Record the contract; the reference must earn all points twice, the second time by it."""
        right = [with_answers(self.reference, a) for a in read_right(self.folder).values()]
        with Sandbox(self.preload) as sandbox:
            contract, ran = contracts.record(
                sandbox,
                self.assignment,
                self.path,
                seconds=self.course.seconds,
                files=self.files,
                more=right,
            )
            job = contract.job(self.reference, seconds=self.course.seconds, files=self.files)
            again = sandbox.run(job)
        for run, which in ((ran, "the reference"), (again, "the reference, by its contract,")):
            self.full_marks(which, points(self.reference, run, contract.scores))
        return contract

    def skeleton(self, released):
        """Return what students get, with the checks of the source in it."""
        notebook = nbformat.read(released, as_version=4)
        sources = {
            cell.metadata.nbgrader.grade_id: cell.source
            for cell in code_cells(self.reference)
            if kind_of(cell) != "student"
        }
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = sources.get(name, cell.source)
        return notebook

    def full_marks(self, name, earned):
        """Note what a right submission has lost."""
        for cell, got in earned.items():
            worth = self.worth(cell)
            if got < worth:
                self.proof.faults.append(f"{name} earns {got:g} of {worth:g} in {cell}")

    def worth(self, grade_id):
        """Return the points of a cell."""
        (cell,) = (
            c
            for c in self.reference.cells
            if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id
        )
        return float(cell.metadata.nbgrader.points)

    def note(self, contract, known, ran, report):
        """Note what submissions earned; return what the mistakes among them return, by cell."""
        found, page = [], read_mistakes(self.folder)[1]
        for name, mistake, notebook in known:
            earned = points(notebook, ran, contract.scores)
            self.proof.earned[name] = earned
            lost = [cell for cell, got in earned.items() if got < self.worth(cell)]
            if mistake is not None:
                self.proof.caught[name] = lost
                least = set(mistake.loses)
                if not least <= set(lost) <= least | set(mistake.may_lose):
                    expected = ", ".join(sorted(mistake.loses)) or "nothing"
                    self.proof.faults.append(
                        f"{name} loses {', '.join(lost) or 'nothing'}, expected {expected}"
                    )
                found.append(
                    {
                        "name": name,
                        "says": mistake.says,
                        "section": mistake.section,
                        "page": page,
                        "sketches": self.sketches(notebook, ran, lost),
                    }
                )
            elif name == "what students get":
                free = [cell for cell, got in earned.items() if got > 0]
                self.proof.faults += [f"{name} earns points for no work in {cell}" for cell in free]
            else:
                self.full_marks(name, earned)
            report("ran", name=name)
        return found

    @staticmethod
    def sketches(notebook, ran, cells):
        """Return the sketches of some graded cells, by grade id."""
        numbered = enumerate(code_cells(notebook), 1)
        roles = {cell.metadata.get("nbgrader", {}).get("grade_id"): n for n, cell in numbered}
        return {cell: ran.outcomes[roles[cell]].sketches for cell in cells}


def release(course, assignment, *, engine, limits=None, report=lambda event, **_: None):
    """Make what students get from the source, prove it, and pack it.

    Parameters
    ----------
    course, assignment, engine, limits, report
        As in :func:`prove`.

    Returns
    -------
    Proof
        Without faults.
    Path
        The bundle for students, a zip file; beside it lies a folder with the same files.

    Raises
    ------
    CourseError
        If there is no source, nbgrader refuses it, or the proof has faults: they are listed, and
        nothing that was released before is touched by then but the released notebook itself.
    """
    if not course.notebooks("source", assignment):
        where = course.folder("source", assignment)
        raise CourseError(f"release: there is no notebook in {where}")
    generate(course, assignment)
    proof = prove(course, assignment, engine=engine, limits=limits, report=report)
    if proof.faults:
        raise CourseError("\n".join([f"{assignment} is not released:", *proof.faults]))
    for contract in proof.contracts:
        contracts.save(course, contract)
    return proof, pack(course, assignment)


def generate(course, assignment):
    """Let nbgrader make the released notebooks, and note the cells in the gradebook.

    Raises
    ------
    CourseError
        If nbgrader refuses the source.
    """
    course.directory.assignment_id = assignment
    converter = GenerateAssignment(coursedir=course.directory, parent=course.app, force=True)
    try:
        converter.start()
    except NbGraderException as error:
        source = course.folder("source", assignment)
        raise CourseError(f"release: nbgrader does not accept {source}: {error}") from None


def pack(course, assignment):
    """Pack what students get, as a folder and as a zip file; return the path of the zip file."""
    released = course.folder("release", assignment)
    target = course.root / "bundles" / assignment
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(released, target, ignore=ignored)
    archive = target.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(target.rglob("*")):
            if path.is_file():
                name = path.relative_to(target.parent).as_posix()
                packed.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes())
    return archive
