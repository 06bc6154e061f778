"""How the benchmarks measure."""

import datetime
import os
import platform
import time
import tracemalloc
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

RESULTS = Path(__file__).parent / "results"
ROUNDS = 25
PAUSE = 0.01  # seconds
AT_LEAST = 0.005  # seconds; shorter calls are timed several at once


def compare(**contenders):
    """Time functions side by side; return the median of each, in seconds of CPU time.

    Every round takes all contenders in turn, each after a pause and an untimed call, so that
    whatever else the machine does meets them alike. CPU time, unlike the time on the wall, does
    not count the moments when another process had the core.
    """
    repeats = {
        name: 1 + int(AT_LEAST / max(cpu_time(f, 1), 1e-6)) for name, f in contenders.items()
    }
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, f in contenders.items():
            time.sleep(PAUSE)
            f()
            times[name].append(cpu_time(f, repeats[name]))
    return {name: median(values) for name, values in times.items()}


def cpu_time(f, repeats):
    """Return the CPU time of one call in seconds, the mean over some."""
    start = time.process_time()
    for _ in range(repeats):
        f()
    return (time.process_time() - start) / repeats


def extra_memory(f):
    """Return the bytes that a call allocates at its peak, beyond the array it returns first.

    Counts what Python and NumPy allocate, but not the buffers inside the BLAS library.
    """
    tracemalloc.start()
    y, *_ = f()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - y.nbytes


def circumstances(*packages):
    """Return a line that says where, when and with what a table was measured."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    versions = [f"{name} {version(name)}" for name in ("numpy", *packages)]
    return (
        f"{datetime.date.today()}; {processor()}, {os.cpu_count()} cores, one thread used, "
        f"{os.getloadavg()[0]:.1f} processes running on average; Python "
        f"{platform.python_version()}, {', '.join(versions)}, {blas['name']} {blas['version']}; "
        f"medians of {ROUNDS} rounds, CPU time."
    )


def processor():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:  # not Linux
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def write_table(name, title, note, header, rows):
    """Print a Markdown table, and write it to ``results/name.md``."""
    lines = [f"# {title}", "", note, ""]
    lines += [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
