"""Train what a recording lists, and write down what came of it."""

import argparse
import importlib
import json
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version

import torch
from tqdm import tqdm

from course_lib.data.recordings import FOLDER

NAMES = ("normalisation", "residual")


def record(name, workers):
    """Run a recording's whole grid in `workers` processes, and write it to its file."""
    module = importlib.import_module(f"recordings.{name}")
    grid, started = module.grid(), time.perf_counter()
    with ProcessPoolExecutor(workers, initializer=one_thread) as pool:
        runs = list(tqdm(pool.map(module.run, grid), total=len(grid), desc=name))
    content = {
        "name": name,
        "made by": f"python -m recordings {name}",
        "settings": module.SETTINGS,
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "runs": [setting | run for setting, run in zip(grid, runs, strict=True)],
    }
    lines = ",\n".join(f"  {json.dumps(run)}" for run in content.pop("runs"))
    head = json.dumps(content, indent=1).removesuffix("\n}")
    (FOLDER / f"{name}.json").write_text(f'{head},\n "runs": [\n{lines}\n ]\n}}\n')


def one_thread():
    """Let each process compute with one thread, which makes its runs repeatable."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # vanishing signals would be a hundred times slower


def main():
    parser = argparse.ArgumentParser(prog="python -m recordings", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="which; all by default")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    given = parser.parse_args()
    for name in given.names:
        if name not in NAMES:
            parser.error(f"no recording {name!r}; there are {', '.join(NAMES)}")
        record(name, given.workers)


if __name__ == "__main__":
    main()
