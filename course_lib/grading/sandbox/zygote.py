"""The warm process inside bubblewrap: imports the libraries once, and forks a jail for each job.

It never runs code of a submission, and has one thread, so that a fork of it is whole. Over a
socket of packets, ``python -m course_lib.grading.sandbox.zygote FD`` is told by the supervisor

- ``{"start": name, "role": "judge" or "submission", "limits": ...}`` with two descriptors, those
  of the supervisor and of the other process;
- ``{"kill": name}``;

and tells ``{"ready": {...}}`` once, and ``{"ended": name, "code": n}`` for each process.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys

from course_lib.grading.sandbox import jail, judge, submission
from course_lib.grading.sandbox.cells import Cells
from course_lib.grading.sandbox.limits import Limits
from course_lib.grading.sandbox.wire import Channel

MAX_PACKET = 1 << 16


def main(descriptor, user):
    """Serve until the supervisor is gone."""
    control = socket.socket(fileno=descriptor)
    _, files, _, _ = socket.recv_fds(control, MAX_PACKET, 2)
    program, settings = (_read(file) for file in files)
    if user:
        become(user)
    loaded = preload(json.loads(settings)["preload"])
    cells = Cells()
    cells.describe(ValueError())  # finds out where modules have their source, which takes long
    gc.collect()
    gc.freeze()  # or each job would look through all that was imported, and copy its memory
    about = {"loaded": len(loaded), "python": sys.version}
    control.send(json.dumps({"ready": about}).encode())
    Zygote(control, cells, program).serve()


def _read(descriptor):
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def become(user):
    """Give up root, after showing this process and its jails what only root can: /proc."""
    jail.mount_proc()
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    jail.own_proc_files()


def preload(names):
    """Import what the assignments import; return what could be imported."""
    loaded = []
    for name in names:
        with contextlib.suppress(Exception):  # it is imported where it is needed, or fails there
            importlib.import_module(name)
            loaded.append(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return loaded


class Zygote:
    """Forks jails, and tells of their ends."""

    def __init__(self, control, cells, program):
        self.control, self.cells, self.program = control, cells, program
        self.children = {}

    def serve(self):
        """Do what the supervisor says."""
        ended, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        while True:
            ready, _, _ = select.select([self.control, ended], [], [])
            if ended in ready:
                os.read(ended, 4096)
                self.reap()
            if self.control in ready:
                packet, descriptors, _, _ = socket.recv_fds(self.control, MAX_PACKET, 4)
                if not packet:
                    return
                self.obey(json.loads(packet), descriptors, [ended, wake])

    def obey(self, order, descriptors, own):
        """Start a process or kill one."""
        if "kill" in order:
            for child, name in self.children.items():
                if name == order["kill"]:
                    os.kill(child, signal.SIGTERM)  # it kills number 1 of the jail, and waits
            return
        child = os.fork()
        if child == 0:
            self.become_job(order, descriptors, own)
        self.children[child] = order["start"]
        for descriptor in descriptors:
            os.close(descriptor)

    def reap(self):
        """Tell of the children that have ended."""
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            name, code = self.children.pop(child, None), os.waitstatus_to_exitcode(status)
            self.control.send(json.dumps({"ended": name, "code": code}).encode())

    def become_job(self, order, descriptors, own):
        """Be the process of a job, in a jail, and end."""
        code = 97
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            self.control.close()
            for descriptor in own:
                os.close(descriptor)
            jail.enter(Limits(**order["limits"]), self.program, descriptors)
            supervisor, other = (Channel(socket.socket(fileno=d)) for d in descriptors)
            job, _ = supervisor.receive()
            self.cells.take_over()
            prepare(job)
            if order["role"] == "judge":
                judge.run(self.cells, supervisor, other, job)
            else:
                submission.run(self.cells, supervisor, other)
            code = 0
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(2, f"{order.get('role')}: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)


def prepare(job):
    """Write the files that come with a notebook, and fix the seeds."""
    for name, data in job.get("files", {}).items():
        path = os.path.normpath(os.path.join("/scratch", name))
        if not path.startswith("/scratch/"):
            raise ValueError(f"a file outside the folder of the notebook: {name}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(bytes.fromhex(data))
    sys.path.insert(0, "/scratch")
    random.seed(0)
    for name, seed in {"numpy.random": "seed", "torch": "manual_seed"}.items():
        if name in sys.modules:
            getattr(sys.modules[name], seed)(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
