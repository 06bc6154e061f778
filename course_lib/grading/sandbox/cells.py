"""Run the cells of a notebook in this process, and keep what they write and show.

What a kernel does for a notebook, without a kernel: IPython's shell with outputs that are collected
instead of sent. Made once, in the zygote, before any code of a submission.
"""

import io
import json
import os
import signal
import sys
import time
import types

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

__all__ = ["CellTimeout", "Cells", "Outputs"]

MAX_OUTPUTS = 200  # of one cell
MAX_TEXT = 1 << 20  # characters of one cell
MAX_FRAMES = 12  # of a traceback
HERE = os.path.dirname(__file__) + os.sep
TRUNCATED = "\n... more was written than is kept\n"


class CellTimeout(BaseException):
    """The time of a cell is up; no `except Exception` catches it."""


class Outputs:
    """Outputs of one cell in the form of a notebook; `room` is left for characters."""

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget everything."""
        self.kept, self.room = [], MAX_TEXT

    def write(self, name, text):
        """Add text to a stream."""
        if self.room <= 0:
            return
        if len(text) > self.room:
            text = text[: self.room] + TRUNCATED
        self.room -= len(text)
        last = self.kept[-1] if self.kept else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"].append(text)
        else:
            self.add({"output_type": "stream", "name": name, "text": [text]})

    def add(self, output):
        """Add an output."""
        if len(self.kept) < MAX_OUTPUTS:
            self.kept.append(output)

    def text(self):
        """All that was written to the streams."""
        return "".join("".join(o["text"]) for o in self.kept if o["output_type"] == "stream")

    def finish(self):
        """Return the outputs as JSON can hold them."""
        finished = []
        for output in self.kept:
            if output["output_type"] == "stream":
                output = output | {"text": "".join(output["text"])}
            try:
                json.dumps(output)
            except (TypeError, ValueError):
                continue
            finished.append(output)
        return finished


class Stream(io.TextIOBase):
    """A stream that writes into `outputs`."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, outputs, name):
        self.outputs, self.name = outputs, name

    def writable(self):
        """Yes."""
        return True

    def write(self, text):
        """Keep `text`."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.outputs.write(self.name, text)
        return len(text)


class Publisher(DisplayPublisher):
    """Keep what ``display`` shows."""

    def publish(self, data, metadata=None, *, transient=None, update=False, **_):
        """Keep one display."""
        shown = {"output_type": "display_data", "data": dict(data), "metadata": metadata or {}}
        self.shell.collected.add(shown)

    def clear_output(self, wait=False):
        """Nothing is on a screen."""


class Hook(DisplayHook):
    """Keep the value of the last expression of a cell."""

    def write_output_prompt(self):
        """No prompt."""

    def write_format_data(self, format_dict, md_dict=None):
        """Keep the value's texts and pictures."""
        shown = {"data": dict(format_dict), "metadata": md_dict or {}}
        count = self.shell.execution_count
        self.shell.collected.add(
            {"output_type": "execute_result", "execution_count": count, **shown}
        )

    def finish_displayhook(self):
        """Nothing is to be flushed."""


class Shell(InteractiveShell):
    """IPython without a terminal, a history and a kernel."""

    displayhook_class = Hook
    display_pub_class = Publisher

    def showtraceback(self, *_, **__):
        """Leave errors to :meth:`Cells.run`."""

    showsyntaxerror = showtraceback

    def enable_gui(self, gui=None):
        """No windows: figures are drawn into pictures."""

    def ask_exit(self):
        """End the cell, and not more."""
        raise SystemExit("exit() was called")


class Cells:
    """A shell with a module of its own, in which cells are run one after the other."""

    def __init__(self):
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        module = types.ModuleType("__main__")
        self.shell = Shell.instance(config=config, user_module=module)
        self.outputs = self.shell.collected = Outputs()
        sys.modules["__main__"] = module

    @property
    def names(self):
        """The names that cells have defined: a dict."""
        return self.shell.user_ns

    def take_over(self):
        """Let what is written in this process go into the outputs from now on."""
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        sys.stdout, sys.stderr = Stream(self.outputs, "stdout"), Stream(self.outputs, "stderr")

    def run(self, source, number, seconds):
        """Run a cell.

        Parameters
        ----------
        source : str
        number : int
            Its execution count.
        seconds : float
            It is interrupted after.

        Returns
        -------
        outputs : list of dict
            As a notebook has them; an error is the last.
        seconds : float
            How long it ran.
        """
        self.outputs.clear()
        self.shell.execution_count = number
        started, error = time.monotonic(), None
        try:
            with deadline(seconds):
                result = self.shell.run_cell(source, store_history=False, silent=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if os.getpid() != 1:
            os._exit(0)  # a clone that a cell forked must not go on with the notebook
        end_other_processes()
        if error is not None:
            self.outputs.kept.append(self.describe(error))  # however much was shown before
        return self.outputs.finish(), time.monotonic() - started

    def describe(self, error):
        """Return an error as the output of a cell."""
        try:
            kind, message = type(error).__name__, str(error)[:4000]
            traceback = self.trace(error)
        except BaseException:  # an error whose __str__ raises another
            kind, message, traceback = "Error", "", []
        return {"output_type": "error", "ename": kind, "evalue": message, "traceback": traceback}

    def trace(self, error):
        """Return the traceback of an error, without the frames of this machinery."""
        frames = _of_notebook(error.__traceback__)
        format_ = self.shell.InteractiveTB.structured_traceback
        lines = [str(line)[:4000] for line in format_(type(error), error, frames)]
        if len(lines) > MAX_FRAMES:
            lines = [*lines[:3], "...", *lines[-MAX_FRAMES:]]
        return [*lines[:-1], *getattr(error, "far_traceback", []), *lines[-1:]]


def _of_notebook(traceback):
    """Leave out the frames of this package."""
    if traceback is None:
        return None
    rest = _of_notebook(traceback.tb_next)
    if traceback.tb_frame.f_code.co_filename.startswith(HERE):
        return rest
    return types.TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


class deadline:
    """Raise CellTimeout in the block when `seconds` have passed, and each second after that."""

    def __init__(self, seconds):
        self.seconds = max(seconds, 0.01)

    def __enter__(self):
        signal.signal(signal.SIGALRM, self.ring)
        self.before = signal.setitimer(signal.ITIMER_REAL, self.seconds, 1.0)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, *self.before)

    @staticmethod
    def ring(*_):
        raise CellTimeout("ran longer than the time of a cell and was stopped")


def end_other_processes():
    """Kill what a cell has left running in this jail."""
    try:
        others = sum(name.isdigit() for name in os.listdir("/proc")) > 1
    except OSError:
        others = True
    if others:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
