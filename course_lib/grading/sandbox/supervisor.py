"""The supervisor, outside: one warm sandbox, in which one submission after the other is run.

It alone decides what a cell's outcome is: by what the judge says, by the clock and by who died.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import selectors
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from course_lib.grading.sandbox import bubblewrap, jail
from course_lib.grading.sandbox.bubblewrap import NotAvailableError
from course_lib.grading.sandbox.cgroup import ControlGroup
from course_lib.grading.sandbox.limits import Limits
from course_lib.grading.sandbox.wire import Channel

__all__ = ["Cell", "Job", "Outcome", "Run", "Sandbox", "SandboxError"]

START_SECONDS = 120  # for the libraries to be imported
GRACE = 5  # seconds that a cell may be late before it is killed
CHUNK = 1 << 20
MAX_PACKET = 1 << 16
SLOT_MEMORY_MB = 6000  # of a sandbox with everything in it, where the machine has control groups
SLOT_PROCESSES = 256

REASONS = {
    "timeout": ("CellTimeoutError", "ran for longer than a cell may, and could not be interrupted"),
    "died": ("DeadKernelError", "ended the Python that ran it"),
    "output": ("OutputLimitError", "wrote and showed more than is kept of a whole notebook"),
    "not run": ("NotExecuted", "was not run: the cells before it ended every process"),
    "late": ("NotExecuted", "was not run: the time for the whole notebook was used up before it"),
}
counter = itertools.count()


class SandboxError(RuntimeError):
    """The sandbox failed, not the submission: nothing is known of it."""


@dataclass(frozen=True)
class Cell:
    """A code cell to run: `number` is its execution count, `kind` says who runs it.

    ``student``: the submission; ``given``: both; ``graded``: the judge. `names` come from the
    submission before the judge runs it.
    """

    number: int
    source: str
    kind: str
    seconds: float = 60
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A notebook to run.

    `files` lie beside it for everybody, `own_files` for the submission only; name to bytes.

    `opaque` lists where an object of the submission may stand, `libraries` what a name means that
    the reference imports; while the reference is recorded, `opaque` is None.
    """

    cells: tuple[Cell, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    own_files: dict[str, bytes] = field(default_factory=dict)
    opaque: tuple[str, ...] | None = None
    libraries: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a cell gave: outputs as a notebook has them, seconds, and sketches of its values."""

    outputs: list
    seconds: float = 0
    sketches: list = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What a notebook gave: :class:`Outcome` by number of cell.

    `opaque` and `libraries` are what was seen of the submission's names, `modules` what the judge
    imported on the way, `deaths` the cells that ended their process, and why.
    """

    outcomes: dict[int, Outcome]
    opaque: tuple[str, ...]
    libraries: dict
    modules: tuple[str, ...] = ()
    deaths: tuple[str, ...] = ()


class Sandbox:
    """A warm process in bubblewrap; a context manager.

    Parameters
    ----------
    preload : sequence of str
        Modules to import once.

    Raises
    ------
    NotAvailableError
        If this machine has no sandbox.
    """

    def __init__(self, preload=("numpy",)):
        self.preload = tuple(preload)
        self.program = jail.system_call_filter()
        self.process = None
        self.start()

    def start(self):
        """Start the warm process, and wait until it is."""
        self.group = ControlGroup(SLOT_MEMORY_MB, SLOT_PROCESSES)
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 (until it is stopped)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            bubblewrap.command(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.complaints,
            env={"PATH": "/usr/bin:/bin"},
        )
        self.group.take(self.process.pid)  # before it is told what to import
        theirs.close()
        self.control.settimeout(START_SECONDS)
        settings = json.dumps({"preload": self.preload}).encode()
        files = [_in_memory(self.program), _in_memory(settings)]  # a packet may be too small
        try:
            socket.send_fds(self.control, [b"begin"], files)
            packet = self.control.recv(MAX_PACKET)
        except OSError:
            packet = b""
        finally:
            for file in files:
                os.close(file)
        if not packet:
            said = self.said()
            self.stop()
            raise NotAvailableError(
                f"sandbox: bubblewrap did not start Python: {said or 'it said nothing'}. "
                f"`course doctor` tells what this machine lacks"
            )
        self.about = json.loads(packet)["ready"]

    def said(self):
        """What the sandbox complained of, the last lines."""
        self.complaints.seek(0)
        return self.complaints.read()[-2000:].decode(errors="replace").strip()

    def stop(self):
        """End the warm process and everything in it."""
        self.control.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.group.remove()
        self.complaints.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self, job, limits=None):
        """Run a notebook to its end, whatever one of its cells does.

        A cell that ends its process, or does not end in its time, is left out when the rest is run
        again.

        Parameters
        ----------
        job : Job
        limits : Limits, optional

        Returns
        -------
        Run
            With an outcome for every cell.

        Raises
        ------
        SandboxError
            If the sandbox itself failed, three times.
        """
        limits = limits or Limits()
        ends = time.monotonic() + limits.total_seconds
        outcomes, dead, reasons, faults = {}, {}, [], 0
        while True:
            left = [cell for cell in job.cells if cell.number not in dead]
            attempt = Attempt(self, dataclasses.replace(job, cells=tuple(left)), limits, ends)
            attempt.run()
            outcomes |= attempt.outcomes
            if attempt.state == "done":
                return self._finished(job, outcomes, dead, reasons, attempt)
            if attempt.running is None:
                faults += 1
                if faults == 3:
                    raise SandboxError(
                        f"sandbox: a run ended before its first cell: {self.said() or 'no reason'}"
                    )
                self.restart()
                continue
            dead[attempt.running] = attempt.state
            reasons.append(f"cell {attempt.running}: {attempt.state} {attempt.reason}".strip())
            outcomes.pop(attempt.running, None)
            if len(dead) > limits.deaths or attempt.state == "late":
                return self._finished(job, outcomes, dead, reasons, attempt)

    def _finished(self, job, outcomes, dead, reasons, attempt):
        """Give each cell an outcome."""
        late = "late" if attempt.state == "late" else "not run"
        for cell in job.cells:
            if cell.number not in outcomes:
                outcomes[cell.number] = failed(dead.get(cell.number, late))
        seen = tuple(attempt.opaque), attempt.libraries, tuple(attempt.modules)
        return Run(outcomes, *seen, tuple(reasons))

    def restart(self):
        """Start a new warm process instead of this one."""
        self.stop()
        self.start()

    def fork(self, name, role, limits, descriptors):
        """Start a process of a job."""
        order = {"start": name, "role": role, "limits": dataclasses.asdict(limits)}
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], descriptors)
        except OSError as error:
            raise SandboxError(f"sandbox: the warm process ended: {self.said()}") from error

    def kill(self, names):
        """Kill processes of a job and wait for their ends."""
        self.control.settimeout(10)
        waiting = set(names)
        with contextlib.suppress(OSError):
            for name in names:
                self.control.send(json.dumps({"kill": name}).encode())
            while waiting:
                packet = self.control.recv(MAX_PACKET)
                if not packet:
                    break
                waiting.discard(json.loads(packet).get("ended"))
        if waiting:
            self.restart()


def failed(reason):
    """Return the outcome of a cell that gave none."""
    name, message = REASONS[reason]
    error = {"ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}
    return Outcome([{"output_type": "error", **error}])


class Attempt:
    """One run of a notebook in two new processes.

    `state` is ``done``, or why it ended; `running` is the cell that ran then, None if none did.
    """

    def __init__(self, sandbox, job, limits, ends):
        self.sandbox, self.job, self.limits, self.ends = sandbox, job, limits, ends
        self.cells = {cell.number: cell for cell in job.cells}
        self.outcomes, self.state, self.running, self.reason = {}, "died", None, ""
        self.opaque, self.libraries, self.modules = (), {}, ()
        self.deadline, self.received = None, 0

    def run(self):
        """Run it."""
        number = next(counter)
        names = [f"judge {number}", f"submission {number}"]
        pairs = [socket.socketpair() for _ in range(3)]
        (judge, judges), (student, students), (one, other) = pairs
        try:
            self.sandbox.fork(names[0], "judge", self.limits, [judges.fileno(), one.fileno()])
            self.sandbox.fork(
                names[1], "submission", self.limits, [students.fileno(), other.fileno()]
            )
            for end in (judges, students, one, other):
                end.close()
            self._tell(judge, {"files": _hex(self.job.files), **self._as_json()})
            self._tell(student, {"files": _hex(self.job.own_files | self.job.files)})
            self._follow({judge: "judge", student: "submission"})
        except SandboxError:
            self.running = None
        finally:
            for end in itertools.chain(*pairs):
                end.close()
            self.sandbox.kill(names)

    def _as_json(self):
        cells = [dataclasses.asdict(cell) for cell in self.job.cells]
        opaque = None if self.job.opaque is None else list(self.job.opaque)
        return {"cells": cells, "opaque": opaque, "libraries": self.job.libraries}

    @staticmethod
    def _tell(end, message):
        end.settimeout(30)
        with contextlib.suppress(OSError, EOFError):
            Channel(end).send(message)
        end.setblocking(False)

    def _follow(self, ends):
        """Listen to both processes until the judge is done, something ends, or time is up."""
        buffers = {end: bytearray() for end in ends}
        with selectors.DefaultSelector() as listening:
            for end in ends:
                listening.register(end, selectors.EVENT_READ)
            while True:
                left = min(self.ends, self.deadline or self.ends) - time.monotonic()
                ready = listening.select(max(left, 0))
                if left <= 0 and not any(ends[key.fileobj] == "judge" for key, _ in ready):
                    self.state = "late" if time.monotonic() >= self.ends else "timeout"
                    return
                for key, _ in ready:
                    end = key.fileobj
                    data = self._read(end)
                    if data is None:
                        continue
                    buffers[end] += data
                    self.received += len(data)
                    if self.received > self.limits.output_bytes:
                        self.state = "output"
                        return
                    for message in frames(buffers[end]):
                        if self._heed(message, ends[end]):
                            self._hear_out(buffers, ends)
                            return
                    if not data:
                        if ends[end] == "judge":
                            return
                        listening.unregister(end)

    def _hear_out(self, buffers, ends):
        """Take note of what the submission told before the judge's last message."""
        (end,) = (end for end, role in ends.items() if role == "submission")
        while (data := self._read(end)) and self.received <= self.limits.output_bytes:
            buffers[end] += data
            self.received += len(data)
        for message in frames(buffers[end]):
            self._heed(message, "submission")

    @staticmethod
    def _read(end):
        """Return what came: nothing at the end, None if there is nothing yet."""
        try:
            return end.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _heed(self, message, role):
        """Take note of a message; return whether it is the last one."""
        match message, role:
            case {"begin": int(number)}, "judge" if number in self.cells:
                self.running = number
                self.deadline = time.monotonic() + self.cells[number].seconds + GRACE
            case {"cell": int(number), "outputs": list(outputs), **more}, _:
                self._keep(number, outputs, more, role)
            case {"lost": int(number), "reason": str(reason), "late": late}, "judge":
                self.running, self.reason = number, reason
                self.state = "timeout" if late else "died"
                return True
            case {"done": True, "opaque": opaque, "libraries": libraries, **more}, "judge":
                self.state, self.running = "done", None
                self.opaque, self.libraries = opaque, libraries
                self.modules = more.get("modules", [])
                return True
        return False

    def _keep(self, number, outputs, more, role):
        """Keep the outcome of a cell, of a student's cell from the submission only."""
        cell = self.cells.get(number)
        expected = "submission" if cell and cell.kind == "student" else "judge"
        if cell is None or role != expected or number in self.outcomes:
            return
        seconds = more.get("seconds")
        self.outcomes[number] = Outcome(
            list(clean(outputs)),
            seconds if type(seconds) is float and 0 <= seconds < 1e6 else 0.0,
            more.get("sketches", []) if role == "judge" else [],
        )


def _in_memory(data):
    """Return a descriptor from which `data` can be read."""
    file = os.memfd_create("course")
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(data)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _hex(files):
    return {name: data.hex() for name, data in files.items()}


def frames(buffer):
    """Yield the messages that are complete in `buffer`, and remove them from it."""
    while len(buffer) >= 4:
        length = int.from_bytes(buffer[:4], "little")
        if len(buffer) < 4 + length:
            return
        text = bytes(buffer[4 : 4 + length])
        del buffer[: 4 + length]
        try:
            message, _ = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            continue
        yield message


def clean(outputs):
    """Yield those outputs that a notebook can hold, with nothing in them but texts and pictures."""
    kinds = {
        "stream": ("name", "text"),
        "error": ("ename", "evalue", "traceback"),
        "display_data": ("data", "metadata"),
        "execute_result": ("data", "metadata", "execution_count"),
    }
    shown = ("text/plain", "text/html", "text/latex", "text/markdown", "image/png", "image/svg+xml")
    for output in outputs[:500]:
        kind = output.get("output_type") if isinstance(output, dict) else None
        if not isinstance(kind, str) or kind not in kinds:
            continue
        kept = {key: encodable(output[key]) for key in kinds[kind] if key in output}
        match {"output_type": kind, **kept}:
            case {"output_type": "stream", "name": "stdout" | "stderr", "text": str()} as good:
                yield good
            case {
                "output_type": "error",
                "ename": str(),
                "evalue": str(),
                "traceback": list(),
            } as good:
                if all(isinstance(line, str) for line in good["traceback"]):
                    yield good
            case {"data": dict(data), **rest}:
                texts = {k: v for k, v in data.items() if k in shown and isinstance(v, str)}
                count = rest.get("execution_count")
                extra = {"execution_count": count if type(count) is int else None}
                yield {
                    "output_type": kind,
                    "data": texts,
                    "metadata": {},
                    **(extra if kind == "execute_result" else {}),
                }


def encodable(value):
    """Return a text, or the texts in a list or dict, so that a file can hold it: no surrogates."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case list():
            return [encodable(part) if isinstance(part, str) else part for part in value]
        case dict():
            return {
                k: encodable(part) if isinstance(part, str) else part for k, part in value.items()
            }
    return value
