"""Bring what students handed in to the place where it is graded, whichever way it came.

Taken are folders and zip files in these layouts, told apart by what is in them:

- ``STUDENT/ASSIGNMENT/*.ipynb``, nbgrader's own, and ``STUDENT/*.ipynb``;
- ``STUDENT.zip``, one for each student;
- nbgrader's exchange: ``STUDENT+ASSIGNMENT+TIMESTAMP[+RANDOM]/*.ipynb``;
- Canvas: ``STUDENT[_LATE]_NUMBER_NUMBER_FILE.ipynb``, all in one folder;
- Gradescope: ``submission_NUMBER/*.ipynb`` beside ``submission_metadata.yml``.

Nothing is executed and no link is followed; a zip file is unpacked with limits.
"""

import re
import shutil
import stat
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from course_lib.grading.course import CourseError
from course_lib.grading.intake import IntakeError, read_files

__all__ = ["Collected", "collect"]

MAX_FILES = 20_000  # in one zip file
MAX_UNPACKED = 4 << 30  # bytes
MAX_RATIO = 200  # unpacked to packed, of one file
STUDENT = re.compile(r"[\w.@+-]{1,100}")
CANVAS = re.compile(r"(?P<student>[^_]+)(?:_LATE)?_\d+_\d+_(?P<file>.+?)(?:-\d+)?\.ipynb")
EXCHANGE = re.compile(
    r"(?P<student>[^+]+)\+(?P<assignment>[^+]+)"
    r"\+(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \w+)(?:\+.*)?"
)


@dataclass
class Collected:
    """Who was collected, and what was refused: by name, with the reason."""

    students: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def collect(course, assignment, source):
    """Copy what lies in `source` to ``submitted/STUDENT/ASSIGNMENT``.

    What a student handed in before is replaced; the other students' work stays.

    Parameters
    ----------
    course : Course
    assignment : str
    source : path
        A folder, or a zip file of one.

    Returns
    -------
    Collected

    Raises
    ------
    CourseError
        If there is nothing of a known layout.
    """
    source, collected = Path(source), Collected()
    with opened(source) as folder:
        found = list(submissions_in(folder, assignment, collected))
        if not found and not collected.refused:
            raise CourseError(
                f"collect: nothing in {source} is laid out as nbgrader, its exchange, Canvas or "
                f"Gradescope lay it out; see `course collect --help`"
            )
        for student, files, when in sorted(found, key=lambda one: (one[0], one[2])):
            if not STUDENT.fullmatch(student) or student.startswith("."):
                collected.refused[student] = "not a name that a folder can have"
                continue
            target = course.folder("submitted", assignment, student)
            try:
                read = files()
            except (IntakeError, CourseError) as refusal:
                collected.refused[student] = str(refusal)
                continue
            put(target, read, when)
            if student not in collected.students:
                collected.students.append(student)
    return collected


def put(target, files, when):
    """Write the files of a submission into an empty folder."""
    if target.is_symlink():
        target.unlink()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if when:
        (target / "timestamp.txt").write_text(when)


@contextmanager
def opened(source):
    """Give the folder itself, or a temporary one with what a zip file holds."""
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise CourseError(f"collect: there is no {source}")
    with tempfile.TemporaryDirectory(prefix="course-collect-") as folder:
        try:
            unpack(source, Path(folder))
        except IntakeError as refusal:
            raise CourseError(f"collect: {refusal}") from None
        yield Path(folder)


def unpack(archive, folder):
    """Unpack a zip file whose names and sizes are not trusted.

    Raises
    ------
    IntakeError
        If it is none, or a name leads out of it, or it is far larger than it looks.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > MAX_FILES or size > MAX_UNPACKED:
                raise IntakeError(f"{archive.name}: too many files, or too large unpacked")
            for member in members:
                name = PurePosixPath(member.filename)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
                    raise IntakeError(f"{archive.name}: {member.filename} leads out of it")
                if member.is_dir() or kind not in (0, stat.S_IFREG):
                    continue  # a link or a device is not a file to hand in
                if member.file_size > MAX_RATIO * max(member.compress_size, 1000):
                    raise IntakeError(f"{archive.name}: {member.filename} is a bomb")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise IntakeError(f"{archive.name}: not a zip file that can be read: {error}") from None


def submissions_in(folder, assignment, collected):
    """Yield student, a function that reads the files, and when it was handed in."""
    metadata = next(iter(sorted(folder.rglob("submission_metadata.yml"))), None)
    if metadata is not None:
        yield from of_gradescope(metadata, collected)
        return
    entries = sorted(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not list(entries[0].glob("*.ipynb")):
        entries = sorted(entries[0].iterdir()) or entries  # a zip of one folder
    for path in entries:
        if path.is_symlink():
            collected.refused[path.name] = "a symbolic link"
        elif path.is_dir():
            yield from of_folder(path, assignment)
        elif path.suffix == ".zip":
            yield path.stem, lambda path=path: of_archive(path, assignment), ""
        elif match := CANVAS.fullmatch(path.name):
            name = f"{match['file']}.ipynb"
            yield match["student"], lambda path=path, name=name: of_file(path, name), ""


def of_folder(path, assignment):
    """A student's folder, or one of the exchange."""
    if match := EXCHANGE.fullmatch(path.name):
        if match["assignment"] == assignment:
            yield match["student"], lambda: everything(path), match["when"]
        return
    inner = path / assignment
    chosen = inner if inner.is_dir() and not inner.is_symlink() else path
    if list(chosen.glob("*.ipynb")):
        stamp = chosen / "timestamp.txt"
        readable = stamp.is_file() and not stamp.is_symlink()
        yield path.name, lambda: everything(chosen), stamp.read_text()[:100] if readable else ""


def of_archive(path, assignment):
    """Files of one student's zip file, from its first folder that holds a notebook."""
    with tempfile.TemporaryDirectory(prefix="course-collect-") as folder:
        unpack(path, Path(folder))
        notebooks = sorted(Path(folder).rglob("*.ipynb"), key=lambda p: (len(p.parts), p))
        if not notebooks:
            raise IntakeError(f"{path.name}: there is no notebook in it")
        preferred = [n for n in notebooks if n.parent.name == assignment]
        return everything((preferred or notebooks)[0].parent)


def of_gradescope(metadata, collected):
    """The folders that Gradescope names by number, whose students stand in a file beside."""
    try:
        known = yaml.safe_load(metadata.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CourseError(f"collect: {metadata.name} cannot be read: {error}") from None
    for name, about in sorted((known or {}).items()):
        path = metadata.parent / str(name)
        people = about.get(":submitters") or about.get("submitters") or []
        if not people or not path.is_dir():
            collected.refused[str(name)] = "no student, or no folder, by this name"
            continue
        when = str(about.get(":created_at") or about.get("created_at") or "")
        for person in people:
            student = person.get(":sid") or person.get(":email") or person.get("email") or ""
            yield str(student), lambda path=path: everything(path), when


def of_file(path, name):
    """One notebook, by the name that it had."""
    files = read_files(path.parent, without=(), only=path.name)
    return {name: files[path.name]}


def everything(folder):
    """All files of a submission, notebooks too."""
    return read_files(folder, without=())
