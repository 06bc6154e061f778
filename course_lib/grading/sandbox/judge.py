"""The judge's process: runs the given cells and the checks, and never code of the submission.

The names that the reference solution provides come from the submission's process: plain data by
value, everything else as a handle. A :class:`Contract` says which names, and where an object may
stand for plain data.
"""

import io
import math
import os
import pickle
import sys
import types
from functools import lru_cache
from importlib import import_module

import numpy as np

from course_lib.grading.sandbox.remote import (
    Lender,
    Lost,
    Opaque,
    Remote,
    do,
    is_handle,
    named,
)
from course_lib.grading.sandbox.wire import ChannelClosed, MalformedFrame

__all__ = ["run"]

SMALL = 1 << 14  # numbers of an array whose weights are kept
MAX_SKETCHES = 400  # values of a cell that are compared with those of known mistakes
COPIED = ("torch", "pandas", "scipy", "sklearn", "PIL", "networkx", "sympy", "collections")
CLOSED = (  # of these a submission sees nothing but what a call returns
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.ModuleType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    type,
    str,  # str.format looks into everything
    bytes,
    os.PathLike,  # what writes files could write a module for the judge to import
    io.IOBase,
)
CLOSED_NAMES = (
    "tofile",
    "dump",
    "ctypes",
    "cffi",
    "capsule",
)  # files and memory, of NumPy's objects


def run(cells, supervisor, submission, job):
    """Lead through a notebook: let the submission run its cells, and run all others here.

    Parameters
    ----------
    cells : Cells
    supervisor, submission : Channel
    job : dict
        ``cells``, each with number, source, kind (student, given, graded), seconds and names, those
        that it takes from the submission; ``opaque``, paths where an object may come from it, or
        None while the reference solution is recorded; ``libraries``, what names mean that the
        reference imports in a cell of the student's.
    """
    before = set(sys.modules)
    court = Court(cells, submission, job.get("opaque"), job.get("libraries", {}))
    for cell in job["cells"]:
        number, kind = cell["number"], cell["kind"]
        supervisor.send({"begin": number})
        try:
            if kind in ("student", "given"):
                court.let_run(cell)
            if kind != "student":
                supervisor.send({"cell": number, **court.judge(cell)})
        except Lost as loss:
            supervisor.send({"lost": number, "reason": str(loss), "late": loss.late})
            return
    seen = {"opaque": sorted(court.seen), "libraries": court.libraries}
    supervisor.send({"done": True, "modules": sorted(set(sys.modules) - before), **seen})


class Court:
    """What the judge knows of the submission while a notebook is run."""

    def __init__(self, cells, channel, opaque, libraries):
        self.cells, self.channel = cells, channel
        self.allowed = None if opaque is None else set(opaque)
        self.libraries = dict(libraries)
        self.seen, self.sketches = set(), []
        self.link = JudgesLink(channel, self.serve, self.wrap)
        self.link.court = self

    def let_run(self, cell):
        """Let the submission run a cell, and wait for the end."""
        try:
            self.channel.send(["cell", cell["number"], cell["source"], float(cell["seconds"])])
            message, _ = self.channel.receive()
        except (ChannelClosed, MalformedFrame) as error:
            raise Lost(str(error)) from error
        match message:
            case ["ran", [*_]]:
                return
        raise Lost("no word that a cell has run")

    def judge(self, cell):
        """Run a cell here; return its outputs, its time and sketches of what came into it."""
        self.sketches.clear()
        self.link.forget()
        self.link.seconds = cell["seconds"]
        self.link.ask("forget")
        for name in cell.get("names", ()):
            self.fetch(name)
        outputs, seconds = self.cells.run(cell["source"], cell["number"], cell["seconds"] + 2)
        if self.link.lost is not None:
            raise self.link.lost
        return {"outputs": outputs, "seconds": seconds, "sketches": list(self.sketches)}

    def fetch(self, name):
        """Take a name from the submission."""
        try:
            as_library = self.allowed is None or name in self.libraries
            kind, value = self.link.ask("name", name, as_library, path=name)
        except Exception as error:  # a value that the contract refuses, or that cannot be packed
            kind, value = "error", error
        self.cells.names.pop(name, None)
        if kind in ("module", "library") and self.allowed is None:
            self.libraries[name] = [kind, value]
        if name in self.libraries:
            kind, value = self.libraries[name]
            self.cells.names[name] = _from_library(kind, value)
        elif kind == "value":
            self.sketches.append(sketch(value))
            self.cells.names[name] = value

    def serve(self, link, verb, arguments, options):
        """Answer the submission, which may call a function that it was given, and not more."""
        match verb, arguments:
            case "call" | "attribute" | "set attribute" | "next", [thing, *_]:
                self.require_passed(thing)
            case "apply", [_, [thing]]:
                self.require_passed(thing)
        match verb, arguments:
            case "attribute" | "set attribute", [thing, str(name), *_]:
                if isinstance(thing, CLOSED) or name.startswith("_") or name in CLOSED_NAMES:
                    raise AttributeError(f"{name}: a check shows no more than it passes")
            case "operate", [_, [*operands]] if not any(map(self.is_passed, operands)):
                raise ValueError("an operation without an object of a check")
        return do(verb, arguments)

    def require_passed(self, thing):
        """Refuse a value that the submission made: a method of its own text would run here."""
        if not self.is_passed(thing):
            raise ValueError("a question about something that no check has passed")

    def is_passed(self, thing):
        """Whether the submission has a handle of this object."""
        return self.link.objects.get(id(thing)) is thing

    def is_allowed(self, path):
        """Whether an object may come from there; a function's names are never plain data."""
        return path in self.allowed or path.endswith(".__globals__")

    def wrap(self, link, handle, plain, path):
        """Make a value of a handle: the submission's object, unless plain data is expected."""
        if handle[0] == "copy":
            raise MalformedFrame("a copy from the submission")
        _, number, where = handle
        if self.allowed is not None and not self.is_allowed(path):
            return plain if plain is not None else named(Opaque, where)(link, number, where, path)
        if self.allowed is None and plain is not None:
            return plain
        self.seen.add(path)
        return named(Remote, where)(link, number, where, path)


class JudgesLink(Lender):
    """The judge's end: tells the time that is left, and keeps sketches of the answers."""

    seconds = 60.0

    def circumstances(self):
        """Return whether the library's answers are forbidden now, and the time that a call has."""
        checks = sys.modules.get("course_lib.grading.checks")
        return {"own": bool(checks and checks.is_own_code()), "seconds": self.seconds}

    def copy_of(self, value):
        """Pack an object of some libraries, a network or a table say; others are used from afar."""
        if type(value).__module__.split(".")[0] not in COPIED or isinstance(value, CLOSED):
            return None
        try:
            return ["copy", pickle.dumps(value).hex()]
        except Exception:  # pickle raises whatever the object raises
            return None

    def ask(self, verb, *arguments, **options):
        """As Link.ask; note the answer."""
        value = super().ask(verb, *arguments, **options)
        if verb == "call" and len(self.court.sketches) < MAX_SKETCHES:
            self.court.sketches.append(sketch(value))
        return value

    def hear(self, text):
        """Print what the submission printed, in the cell that called it."""
        if text:
            sys.stdout.write(text)


def _from_library(kind, name):
    if kind == "module":
        return import_module(name)
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def sketch(value):
    """Return a few numbers that two values share only if they are equal, to rounding.

    Returns
    -------
    list
        ``["array", shape, size, three sums]`` for numbers and arrays of numbers; a list for lists,
        tuples and dicts; the name of its type for anything else.
    """
    if type(value) in (list, tuple):
        return ["list", *(sketch(part) for part in value[:20])]
    if type(value) is dict:
        parts = list(value.items())[:20]
        return ["dict", *([str(sketch(key)), sketch(part)] for key, part in parts)]
    if is_handle(value) or value is None or type(value) is str:
        return ["other", type(value).__name__]
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, float)
    except Exception:  # too large an int, a tensor on its way; a sketch is never worth a point
        return ["other", type(value).__name__]
    flat = array.ravel()
    with np.errstate(all="ignore"):
        waves = (_waves if flat.size <= SMALL else _waves.__wrapped__)(flat.size)
        sums = [float(np.abs(flat).sum()), *waves.dot(flat).tolist()]
    return ["array", list(array.shape), *(s if math.isfinite(s) else str(s) for s in sums)]


@lru_cache(maxsize=256)
def _waves(size):
    """Two rows of weights that no two places share."""
    places = np.arange(1, size + 1)
    return np.array([np.cos(places), np.sin(2 * places)])
