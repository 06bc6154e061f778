"""Set up `.venv` from the lock, once: what `make book`, `make test` and `make lab` do first.

Plain standard library, in syntax that any Python 3.7 understands, so that an old one gets a
sentence instead of a traceback. The lock is for Linux on x86_64; other platforms resolve the
ranges of `pyproject.toml`.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
DISK_NEEDED = 12  # GB while installing: 6.5 stay, the rest is what pip unpacks on the way
LOCKED_PLATFORM = ("Linux", "x86_64")
EXTRAS = "torch,lab,book,grading,dev"


class SetupError(Exception):
    """A reason that the reader can act on."""


def check_python(version=sys.version_info):
    if tuple(version[:2]) < OLDEST_PYTHON:
        oldest, got = (".".join(map(str, v[:2])) for v in (OLDEST_PYTHON, version))
        name = Path(sys.executable).name
        raise SetupError(
            f"the course needs Python {oldest} or newer, and `{name}` is {got}.\n"
            f"Install a newer one and name it: make book PYTHON=python{oldest}"
        )


def check_disk(root, needed=DISK_NEEDED):
    free = shutil.disk_usage(str(root)).free / 1e9
    if free < needed:
        raise SetupError(
            f"setting up needs {needed} GB of free disk below {root}, and {free:.1f} GB are free.\n"
            "Free some, or move the folder to a larger disk."
        )


def is_locked_platform():
    return (platform.system(), platform.machine()) == LOCKED_PLATFORM


def requirements(root):
    """Return what pip installs: the lock where it holds, the ranges elsewhere, and the course."""
    if is_locked_platform():
        return ["-r", str(root / "requirements.lock"), "-e", str(root)]
    return ["-e", f"{root}[{EXTRAS}]"]


def fingerprint(root):
    """Return a hash of all that decides what `.venv` holds."""
    source = "requirements.lock" if is_locked_platform() else "pyproject.toml"
    place = f"{root} {sys.version_info[:2]}"
    return hashlib.sha256((root / source).read_bytes() + place.encode()).hexdigest()


def make(root):
    """Make `.venv` anew if what it should hold has changed; return whether it was made."""
    venv = root / ".venv"
    stamp = venv / "made-from"
    wanted = fingerprint(root)
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    check_disk(root)
    kind = "the lock" if is_locked_platform() else "the ranges of pyproject.toml"
    print(f"Setting up .venv from {kind}: once, a few minutes.", flush=True)
    create(venv)
    install(venv, requirements(root))
    stamp.write_text(wanted)
    return True


def create(venv):
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    created = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if created.returncode != 0:
        raise SetupError(
            "Python could not make a virtual environment. On Debian and Ubuntu the package\n"
            "`python3-venv` may be missing: sudo apt install python3-venv\n" + created.stdout
        )


def install(venv, what):
    """Run pip; one line says how far it is; all that pip says is kept in `.venv/setup.log`."""
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--progress-bar", "off", "--retries", "1"]
    pip = subprocess.Popen(
        command + what, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    log = venv / "setup.log"
    progress, collected, stage = Progress(), 0, "looking up"
    with log.open("w") as kept:
        for line in pip.stdout:
            kept.write(line)
            if line.startswith("Collecting"):
                collected, stage = collected + 1, "fetching"
            elif line.startswith("Installing collected"):
                stage = "unpacking, a minute or two"
            progress.show(f"{collected} packages: {stage}")
    if pip.wait() != 0:
        raise SetupError(f"{explain(log.read_text())}\nAll that pip said is in {log}")
    progress.show(f"{collected} packages: installed")
    print(flush=True)


class Progress:
    """One line that rewrites itself on a terminal; a line per stage elsewhere."""

    def __init__(self):
        self.started, self.said = time.monotonic(), None

    def show(self, text):
        if text == self.said:
            return
        if sys.stdout.isatty():
            print(f"\r\033[K{text} ({time.monotonic() - self.started:.0f} s)", end="", flush=True)
        elif self.said is None or text.split(":")[1] != self.said.split(":")[1]:
            print(f"{text} ({time.monotonic() - self.started:.0f} s)", flush=True)
        self.said = text


def explain(output):
    """Return what a failure of pip means, in words, with pip's own last lines."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR")][-3:]
    if re.search("new connection|NewConnectionError|name resolution|ProxyError", output):
        reason = "the package registry cannot be reached: check the network, or pip's proxy setting"
    elif "No space left on device" in output:
        reason = "the disk is full"
    elif "No matching distribution" in output:
        reason = "a pinned package has no build for this Python or platform"
    else:
        reason = "pip failed"
    return "\n".join([reason + ".", *errors])


def main():
    try:
        check_python()
        make(Path(__file__).resolve().parent.parent)
    except SetupError as error:
        sys.exit(f"\nSet-up stopped: {error}")


if __name__ == "__main__":
    main()
