"""Results of runs, kept by what was run: the same notebook is never run twice.

The key of a result is a digest of everything that decides it: the cells and who runs them, the
contract, the files, the limits, and the code of the sandbox with the versions of the libraries.
"""

import gzip
import json
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

from course_lib.grading.contract import write_atomically
from course_lib.grading.sandbox import Outcome, Run

__all__ = ["Results", "key_of", "run_from_json", "run_to_json"]

SANDBOX = Path(__file__).parent / "sandbox"
LIBRARY = Path(__file__).parents[1]


def key_of(job, limits):
    """Return the key of a job, 64 hexadecimal digits."""
    digest = sha256(environment().encode())
    digest.update(json.dumps([asdict(limits), _as_json(job)], sort_keys=True).encode())
    return digest.hexdigest()


def _as_json(job):
    files = [{n: sha256(d).hexdigest() for n, d in f.items()} for f in (job.files, job.own_files)]
    cells = [asdict(cell) for cell in job.cells]
    return [cells, files, job.opaque, job.libraries]


@cache
def environment():
    """Digest of the library and of the versions of everything installed."""
    digest = sha256()
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(path.read_bytes())
    versions = sorted(f"{d.name}=={d.version}" for d in distributions())
    digest.update("\n".join(versions).encode())
    return digest.hexdigest()


def run_to_json(run):
    """Return a Run as JSON can hold it."""
    outcomes = {str(number): vars(outcome) for number, outcome in run.outcomes.items()}
    return vars(run) | {"outcomes": outcomes}


def run_from_json(data):
    """Return the Run that :func:`run_to_json` turned into `data`."""
    outcomes = {int(number): Outcome(**outcome) for number, outcome in data["outcomes"].items()}
    seen = tuple(data["opaque"]), data["libraries"], tuple(data["modules"])
    return Run(outcomes, *seen, tuple(data["deaths"]))


class Results:
    """The results of an assignment on disk.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder):
        self.folder = folder

    def path(self, key):
        """Return where a result is."""
        return self.folder / key[:2] / f"{key}.json.gz"

    def __contains__(self, key):
        return self.path(key).is_file()

    def __getitem__(self, key):
        with gzip.open(self.path(key), "rt") as file:
            return run_from_json(json.load(file))

    def __setitem__(self, key, run):
        text = json.dumps(run_to_json(run)).encode()
        write_atomically(self.path(key), gzip.compress(text, compresslevel=3, mtime=0))
