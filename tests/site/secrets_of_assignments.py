"""Find the answers and the hidden checks of assignments in a folder of files.

An answer is known by *windows*: three lines or more in a row, 60 characters or more, without the
spaces. A window that the library or the released assignments hold as well is public by intent,
and is not looked for; that a chapter holds one is no excuse.
"""

import html
import io
import json
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

LINES, CHARACTERS = 3, 60
SHORT = 40  # characters of an answer that is too short for a window and still tells itself
KEY = 24  # characters by which a window is found
STEP = SHORT - KEY + 1  # whatever place a window has, a key of it begins at a multiple of this
BLOCKS = {
    "answer": re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.S),
    "hidden check": re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.S),
}
TEXT = {".html", ".ipynb", ".md", ".js", ".json", ".css", ".txt", ".xml", ".py", ".toml", ".svg"}
TEXT |= {".rst", ".bib", ".cff", ".csv", ".yml", ".xhtml", ".opf", ".ncx", ""}
PICTURES = {".png", ".webp", ".jpg", ".gif", ".ico", ".woff2", ".npz", ".npy"}


def squeeze(text):
    """Take all spaces and line breaks off a text."""
    return re.sub(r"\s+", "", text)


def windows(block):
    """Yield the windows of a piece of code, without its remarks and empty lines."""
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in block.splitlines()]
    lines = [line for line in map(squeeze, lines) if line]
    for first in range(len(lines)):
        for last in range(first + LINES, len(lines) + 1):
            window = "".join(lines[first:last])
            if len(window) >= CHARACTERS:
                yield window
                break
    whole = "".join(lines)
    if len(lines) < LINES and len(whole) >= SHORT:
        yield whole


def sentences(text):
    """Yield the long sentences of an answer in words."""
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        if len(squeeze(sentence)) >= CHARACTERS:
            yield squeeze(sentence)


def secrets(root):
    """Return what must not be found: window to the assignment, cell and kind that it is from."""
    found = {}
    for path in sorted(Path(root).glob("solutions/*/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source, role = "".join(cell["source"]), cell["metadata"].get("nbgrader", {})
            pieces = [(kind, text) for kind, b in BLOCKS.items() for text in b.findall(source)]
            for kind, text in pieces:
                found |= dict.fromkeys(windows(text), f"{path.stem}, {cell['id']}, {kind}")
            if role.get("solution") and cell["cell_type"] == "markdown":
                found |= dict.fromkeys(sentences(source), f"{path.stem}, {cell['id']}, answer")
    return found


def public(root):
    """Return the text of all that may be known: the library, and what students get."""
    root = Path(root)
    files = [*root.glob("course_lib/**/*.py"), *root.glob("assignments/*/*.ipynb")]
    code = (re.sub(r"(^|\s)#.*", "", p.read_text("utf-8"), flags=re.M) for p in sorted(files))
    return "\n".join(view for text in code for view in views(text))


def views(text):
    """Yield a text as it is, out of JSON, and out of HTML, each squeezed."""
    decoded = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    decoded = re.sub(r'",\s*\n\s*"', "\n", decoded)  # the lines of a cell, one string each
    shown = html.unescape(re.sub(r"<[^<>]*>", "", decoded))
    for view in dict.fromkeys([text, decoded, shown]):
        yield squeeze(re.sub(r"(^|\s)# .*", "", view, flags=re.M))


def texts(name, data):
    """Yield the name and text of a file, and of the files in it where it is an archive.

    Raises
    ------
    ValueError
        If it is of a kind that cannot be searched.
    """
    suffix = Path(name).suffix.lower()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                if not inner.endswith("/"):
                    yield from texts(f"{name}/{inner}", archive.read(inner))
    elif name.endswith((".tar.gz", ".tgz", ".tar")):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                if member.isfile():
                    yield from texts(f"{name}/{member.name}", archive.extractfile(member).read())
    elif suffix == ".inv":  # Sphinx: four lines, the rest compressed
        yield name, zlib.decompress(data.split(b"\n", 4)[4]).decode()
    elif suffix in TEXT:
        yield name, data.decode("utf-8", errors="replace")
    elif suffix not in PICTURES:
        raise ValueError(f"{name}: no test can search a {suffix} file; say here how to read it")


def leaks(folder, wanted, pattern="*"):
    """Return which of the windows `wanted` stand in the files of a folder, and where.

    `pattern` says which files; in archives all are searched.

    Returns
    -------
    list of str
        ``file: assignment, cell, kind``, each once.
    """
    keys = {}
    for window in wanted:
        for offset in range(STEP):
            keys.setdefault(window[offset : offset + KEY], []).append((window, offset))
    found = {}
    for path in sorted(Path(folder).rglob(pattern)):
        if not path.is_file():
            continue
        for name, text in texts(path.relative_to(folder).as_posix(), path.read_bytes()):
            for view in views(text):
                found |= {f"{name}: {wanted[w]}": None for w in _standing(view, keys)}
    return list(found)


def _standing(view, keys):
    for place in range(0, len(view) - KEY + 1, STEP):
        for window, offset in keys.get(view[place : place + KEY], ()):
            if place >= offset and view.startswith(window, place - offset):
                yield window
