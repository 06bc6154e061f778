"""Set up `.venv` from the lock, once: what `make book`, `make test` and `make lab` do first.

Plain standard library, in syntax that any Python 3.7 understands, so that an old one gets a
sentence instead of a traceback. The lock is for Linux on x86_64; other platforms resolve the
ranges of `pyproject.toml`.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
DISK_NEEDED = 12  # GB while installing: 6.5 stay, the rest is what pip unpacks on the way
LOCKED_PLATFORM = ("Linux", "x86_64")
EXTRAS = "torch,lab,book,dev"


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
    """Return what pip installs: the lock where it holds, the ranges elsewhere."""
    if is_locked_platform():
        return ["-r", str(root / "requirements.lock")]
    return [f"{root}[{EXTRAS}]"]


def fingerprint(root):
    """Return a hash of all that decides what `.venv` holds."""
    names = ("requirements.lock",) if is_locked_platform() else ("pyproject.toml",)
    parts = [(root / name).read_bytes() for name in names]
    parts.append(f"{root} {sys.version_info[:2]}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def executable(venv, name="python"):
    folder = "Scripts" if os.name == "nt" else "bin"
    return str(venv / folder / name)


def pip_install(venv, arguments, what):
    """Run pip; one line says how far it is; the whole output is kept in `.venv/setup.log`."""
    command = [executable(venv), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    started = said = time.monotonic()
    terminal, collected, state = sys.stdout.isatty(), 0, "looking up"
    lines = []
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with open(str(venv / "setup.log"), "a") as log:
        for line in pip.stdout:
            log.write(line)
            lines.append(line)
            if line.startswith("Collecting"):
                collected, state = collected + 1, "fetching"
            elif line.startswith("Installing collected"):
                state = "unpacking (a minute or two)"
            now = time.monotonic()
            if now - said >= (0.2 if terminal else 20) or state.startswith("unpacking"):
                said = now
                text = f"{what}: {state}, {collected} packages, {now - started:.0f} s"
                print("\r\033[K" + text if terminal else text, end="" if terminal else "\n")
                sys.stdout.flush()
    if terminal:
        print("\r\033[K", end="")
    if pip.wait() != 0:
        raise SetupError(explain("".join(lines), venv / "setup.log"))
    print(f"{what}: done in {time.monotonic() - started:.0f} s")


def explain(output, log):
    """Return what a failure of pip means, in words, with pip's own last lines."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR")][-3:]
    if "NewConnectionError" in output or "Name or service not known" in output:
        reason = "the package registry cannot be reached: check the network, or pip's proxy setting"
    elif "No space left on device" in output:
        reason = "the disk is full"
    elif "No matching distribution" in output:
        reason = "a pinned package has no build for this Python or platform"
    else:
        reason = "pip failed"
    return "\n".join([reason + ".", *errors, f"All that pip said is in {log}"])


def make(root):
    """Make `.venv` anew if what it should hold has changed; return whether it was made."""
    venv = root / ".venv"
    stamp = venv / "made-from"
    wanted = fingerprint(root)
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    check_disk(root)
    kind = "the lock" if is_locked_platform() else "the ranges of pyproject.toml"
    print(f"Setting up .venv from {kind}: once, a few minutes.")
    created = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if created.returncode != 0:
        raise SetupError(
            "Python could not make a virtual environment. On Debian and Ubuntu the package\n"
            "`python3-venv` is missing: sudo apt install python3-venv\n" + created.stdout
        )
    pip_install(venv, requirements(root), "Packages")
    editable = ["--no-deps", "--no-build-isolation", "-e", str(root)]
    pip_install(venv, editable, "course_lib")
    stamp.write_text(wanted)
    return True


def main():
    try:
        check_python()
        make(Path(__file__).resolve().parent.parent)
    except SetupError as error:
        sys.exit(f"\nSet-up stopped: {error}")


if __name__ == "__main__":
    main()
