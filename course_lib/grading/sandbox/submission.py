"""The submission's process: runs its cells, and answers what the checks ask of its functions.

It never sees a check. Whatever runs here may be a forgery, so that nothing but plain data and
handles leaves it, and no score is read off here.
"""

import os
import pickle
import sys

from course_lib.grading.sandbox.cells import deadline
from course_lib.grading.sandbox.remote import Borrower, Lost, Remote, do, named

__all__ = ["run"]


def run(cells, supervisor, judge):
    """Serve the judge until it is gone.

    Parameters
    ----------
    cells : Cells
    supervisor, judge : Channel
        Outputs of cells go to the one, answers to the other.
    """
    link = SubmissionsLink(judge, Desk(cells).serve, receive)
    link.cells = cells
    while True:
        try:
            message, buffers = link.receive()
        except Lost:
            return
        match message:
            case ["cell", int(number), str(source), float(seconds)]:
                before = {name: id(value) for name, value in cells.names.items()}
                outputs, took = cells.run(source, number, seconds)
                supervisor.send({"cell": number, "outputs": outputs, "seconds": took})
                names = [n for n, value in cells.names.items() if before.get(n) != id(value)]
                judge.send(["ran", [name for name in names if isinstance(name, str)]])
            case ["ask", verb, arguments, options]:
                try:
                    link.answer(verb, arguments, buffers, options)
                except Lost:
                    return
            case _:
                return


class SubmissionsLink(Borrower):
    """The submission's end: says where in its cells an error was raised."""

    def said(self):
        """Return what cells' functions have printed."""
        text = self.cells.outputs.text()
        self.cells.outputs.clear()
        return text

    def trace(self, error):
        """Return the lines of a traceback that stand between its first and its last."""
        try:
            return [line[:2000] for line in self.cells.trace(error)[2:-1]][-12:]
        except BaseException:  # an error whose __str__ raises another
            return []


def receive(link, handle, plain, path):
    """Make of a handle of the judge a function to call there, or a copy of its object."""
    if handle[0] == "copy":
        return pickle.loads(bytes.fromhex(handle[1]))  # from the judge, which is trusted
    _, number, where = handle
    return plain if plain is not None else named(Remote, where)(link, number, where, where)


class Names:
    """The names of a module, for who changes them: a copy of the dict would change nothing."""

    def __init__(self, names):
        self.names = names

    def __getitem__(self, name):
        return self.names[name]

    def __setitem__(self, name, value):
        self.names[name] = value

    def __delitem__(self, name):
        del self.names[name]

    def __contains__(self, name):
        return name in self.names


class Desk:
    """Answers the judge: looks names up, calls functions, does arithmetic with objects."""

    def __init__(self, cells):
        self.cells = cells

    def serve(self, link, verb, arguments, options):
        """Do what is asked, within its time."""
        seconds = float(options.get("seconds", 60))
        try:
            with deadline(seconds):
                return self.answer(link, verb, arguments, options)
        finally:
            if os.getpid() != 1:
                os._exit(0)  # a clone that a function forked must not answer a second time

    def answer(self, link, verb, arguments, options):
        """Answer one question."""
        match verb, arguments:
            case "name", [name, as_library]:
                return self.look_up(name, as_library)
            case "call", [function, positional, named_]:
                return self.call(function, positional, named_, own=options.get("own"))
            case "attribute", [thing, "__globals__"]:
                return Names(thing.__globals__)
            case "forget", []:
                link.forget()
                self.cells.outputs.clear()
                return None
        return do(verb, arguments)

    def look_up(self, name, as_library):
        """Return whether there is such a name, and its value or where a library has it."""
        if name not in self.cells.names:
            return "missing", None
        value = self.cells.names[name]
        if type(value) is type(os) and as_library:
            return "module", value.__name__
        module, attribute = getattr(value, "__module__", 0), getattr(value, "__qualname__", 0)
        named_ = isinstance(module, str) and isinstance(attribute, str) and module != "__main__"
        if as_library and named_ and getattr(sys.modules.get(module), attribute, None) is value:
            return "library", f"{module}.{attribute}"
        return "value", value

    def call(self, function, positional, named_, *, own):
        """Call a function, without the answers of the library where the check forbids them."""
        checks = sys.modules.get("course_lib.grading.checks")
        if own and checks is not None and not checks.is_own_code():
            with checks.own_code():
                return function(*positional, **named_)
        return function(*positional, **named_)
