"""A control group around a sandbox, where the machine lets us make one; else nothing.

Source: cgroups(7). The limits of each process (`jail`) hold also where there is no control group.
"""

import contextlib
import os
import time
import uuid
from pathlib import Path

__all__ = ["ControlGroup"]

ROOT = Path("/sys/fs/cgroup")
PREFIX = "course-grading-"


class ControlGroup:
    """Memory and number of processes of everything that runs in one sandbox.

    Parameters
    ----------
    memory_mb, processes : int
    """

    def __init__(self, memory_mb, processes):
        name = f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        memory = str(memory_mb << 20)
        if (ROOT / "memory").is_dir():  # version 1: a tree for each resource
            wanted = [
                (ROOT / "memory" / name, "memory.limit_in_bytes", memory),
                (ROOT / "pids" / name, "pids.max", str(processes)),
            ]
        else:
            wanted = [
                (ROOT / name, "memory.max", memory),
                (ROOT / name, "pids.max", str(processes)),
            ]
        self.folders = []
        for folder, file, value in wanted:
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                (folder / file).write_text(value)
                self.folders.append(folder)

    def take(self, process):
        """Put a process into the group, and all that it will start."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                (folder / "cgroup.procs").write_text(str(process))

    def remove(self):
        """Remove the group; its processes have ended, or are about to."""
        for folder in self.folders:
            for _ in range(20):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.05)


def sweep():
    """Remove the groups that killed graders have left."""
    for folder in ROOT.glob(f"*/{PREFIX}*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
