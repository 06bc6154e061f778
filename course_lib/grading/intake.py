"""Read what students hand in, which may be anything: no link is followed, no size trusted.

What is refused is refused with a reason, and its original stays where it is.
"""

import json
import os
import stat
import warnings
from pathlib import Path

import nbformat

__all__ = ["IntakeError", "read_files", "read_notebook"]

MAX_NOTEBOOK = 20 << 20  # bytes
MAX_CELLS = 2000
MAX_DEPTH = 60  # of lists and objects in one another
OPEN = os.O_RDONLY  # follows no link, waits for no pipe; Windows has neither, but marks lines
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    OPEN |= getattr(os, _flag, 0)
MAX_FILES, MAX_FILE, MAX_ALL = 200, 10 << 20, 50 << 20


class IntakeError(ValueError):
    """A submission is refused; the message says why, for its student to read."""


def read_bytes(path, limit):
    """Read an ordinary file of limited size.

    Raises
    ------
    IntakeError
        If it is a link, a pipe, a device or a folder, or larger than `limit`, or not readable.
    """
    try:
        descriptor = os.open(path, OPEN)
    except OSError as error:
        reason = "a symbolic link" if Path(path).is_symlink() else (error.strerror or "unreadable")
        raise IntakeError(f"{Path(path).name}: {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IntakeError(f"{Path(path).name}: not an ordinary file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise IntakeError(f"{Path(path).name}: larger than {limit >> 20} MiB")
    return data


def read_notebook(path):
    """Read a notebook that somebody handed in.

    Parameters
    ----------
    path : path

    Returns
    -------
    NotebookNode
        Of format 4, valid; its outputs are still there.

    Raises
    ------
    IntakeError
        If it cannot be read, or is no notebook; the message says what is wrong with it.
    """
    name, data = Path(path).name, read_bytes(path, MAX_NOTEBOOK)
    if not data.strip():
        raise IntakeError(f"{name}: empty")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise IntakeError(f"{name}: not text in UTF-8, so no notebook") from None
    _check_depth(name, text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntakeError(f"{name}: not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("nbformat"), int):
        raise IntakeError(f"{name}: JSON, but not a notebook")
    if found["nbformat"] not in (3, 4):
        raise IntakeError(f"{name}: a notebook of format {found['nbformat']}, expected 4")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two cells of one id get new ones
            notebook = nbformat.reads(text, as_version=4)
            nbformat.validate(notebook)
    except Exception as error:  # nbformat raises whatever broken data leads to
        reason = str(error).split("\n")[0][:200]
        raise IntakeError(f"{name}: not a valid notebook: {reason}") from None
    _check_cells(name, notebook)
    return notebook


def _check_depth(name, text):
    """Refuse text with many brackets in one another, on which parsers give up or crash."""
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise IntakeError(
            f"{name}: lists and objects are nested {deepest} deep, at most {MAX_DEPTH}"
        )


def _check_cells(name, notebook):
    """Refuse what nbformat lets pass."""
    if len(notebook.cells) > MAX_CELLS:
        raise IntakeError(f"{name}: {len(notebook.cells)} cells, at most {MAX_CELLS}")
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type not in ("code", "markdown", "raw") or not isinstance(cell.source, str):
            raise IntakeError(f"{name}: cell {number} is neither code nor text")
        if not isinstance(cell.metadata.get("nbgrader", {}), dict):
            raise IntakeError(f"{name}: cell {number} has metadata that nbgrader cannot read")


def read_files(folder, *, without=(".ipynb",), only=None):
    """Read the files beside a notebook, name to bytes; folders are entered, links are not.

    Parameters
    ----------
    folder : path
    without : collection of str
        Endings of names that are passed over.
    only : str, optional
        The one file of `folder` that is read.

    Raises
    ------
    IntakeError
        If there are too many, or they are too large, or one is no ordinary file.
    """
    found, size = {}, 0
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(n for n in folders if not n.startswith((".", "__")))
        for name in sorted(names):
            path = Path(root, name)
            if only is not None and path != Path(folder, only):
                continue
            if name.startswith(".") or path.suffix in without:
                continue
            data = read_bytes(path, MAX_FILE)
            size += len(data)
            found[path.relative_to(folder).as_posix()] = data
            if len(found) > MAX_FILES or size > MAX_ALL:
                raise IntakeError(
                    f"more than {MAX_FILES} files, or more than {MAX_ALL >> 20} MiB of them"
                )
    return found
