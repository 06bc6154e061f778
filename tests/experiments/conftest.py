import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUIET = os.environ | {
    "PYTHONPATH": str(ROOT),
    "COURSE_DEVICE": "cpu",
    "OMP_NUM_THREADS": "1",
    "COURSE_PROGRESS": "0",
}


@pytest.fixture
def command():
    """A function: run Python with these arguments, and return what it did."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env=QUIET,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def torchrun(command):
    """A function: run a script, or `-m module`, in two processes that speak by gloo."""

    def run(*arguments):
        done = command(
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            *arguments,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
