"""Build the site: ``python -m book.build``, which ``make book`` calls.

Jupyter Book does the work, told to fail on every warning: a cell that fails, a traceback on a page,
a reference or citation that leads nowhere, a picture without words. What it complained of is said
again at the end, where it is seen.
"""

import argparse
import contextlib
import io
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path

from sphinx.util.console import nocolor

from book import frontend

__all__ = ["BuildError", "build"]

ROOT = Path(__file__).resolve().parents[1]
SILENCE = 5  # seconds without a word before the progress line counts


class BuildError(Exception):
    """The site could not be built; the message lists why, page by page."""


def build(source=ROOT):
    """Build the book in the folder `source` into ``_build/html`` below it.

    Returns
    -------
    Path
        The folder of the site.

    Raises
    ------
    BuildError
        If anything is wrong with any page.
    """
    # jsonschema loads a grammar of addresses, which takes 1.5 s and which no book needs.
    sys.modules.setdefault("rfc3987_syntax", None)
    from jupyter_book.sphinx import build_sphinx

    source = Path(source).resolve()
    site = source / "_build" / "html"
    prepare_kernels(source)
    logging.getLogger("traitlets").setLevel(logging.WARNING)  # says that it starts a kernel
    if not sys.stdout.isatty():
        nocolor()

    complaints = Copying(sys.stderr)
    with (
        Progress(sys.stdout) as progress,
        contextlib.redirect_stdout(progress),
        contextlib.redirect_stderr(complaints),
    ):
        outcome = build_sphinx(
            source,
            site,
            noconfig=True,
            path_config=source / "_config.yml",
            confoverrides={
                "external_toc_path": str(source / "_toc.yml"),
                "latex_individualpages": False,
                "nitpicky": True,
            },
            warningiserror=True,
            keep_going=True,
        )
    if outcome:
        # Sphinx takes a page with a warning for read: forget that, or the next build would pass.
        (source / "_build" / ".doctrees" / "environment.pickle").unlink(missing_ok=True)
        raise BuildError(explain(complaints.getvalue(), source) or str(outcome))
    return site


def prepare_kernels(source):
    """Set the environment of the notebooks, which is the same whoever builds the book."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["COURSE_PROGRESS"] = "0"  # no bars on a page
    # The library of this folder, whatever else is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source), os.getenv("PYTHONPATH")]))
    # A profile of IPython without the user's start-up files, in which the kernel keeps its warnings
    # about its connection to itself; what a cell prints is not touched.
    profile = source / "_build" / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 50\n")
    os.environ["IPYTHONDIR"] = str(profile.parent)


def explain(complaints, source):
    """Each complaint once, its place first, without the path to `source`."""
    kept = []
    for line in complaints.splitlines():
        line = re.sub(r"\x1b\[[\d;]*m", "", line).replace(f"{source}{os.sep}", "").strip()
        line = re.sub(r"^([^ ]+?)(?:\.rst)?: (?:WARNING|ERROR|CRITICAL): ", r"\1: ", line)
        # myst-nb counts the lines of cell 3 from 30001 on.
        line = re.sub(r"(?<=\.ipynb):(\d+)\d{4}(?=:)", r", cell \1", line)
        if line and line not in kept:
            kept.append(line)
    return "\n".join(f"  {line}" for line in kept)


class Copying(io.StringIO):
    """Text that is kept and also written to `stream`."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def write(self, text):
        self.stream.write(text)
        return super().write(text)


class Progress(io.TextIOBase):
    """Passes text on to `stream`, and counts the seconds while nothing comes."""

    def __init__(self, stream):
        self.stream, self.line, self.since = stream, "", time.monotonic()
        self.counted, self.done = False, threading.Event()

    def write(self, text):
        if "ParserConfig(" in text:  # two screens of settings
            return len(text)
        try:
            self.stream.write(f"\n{text}" if self.counted else text)
        except BrokenPipeError:  # whoever listened, `head` perhaps, has heard enough
            self.stream = io.StringIO()
        self.line = (text.strip().splitlines() or [self.line])[-1]
        self.since, self.counted = time.monotonic(), False
        return len(text)

    def flush(self):
        self.stream.flush()

    def __enter__(self):
        threading.Thread(target=self.count, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.done.set()

    def count(self):
        while not self.done.wait(1):
            seconds = round(time.monotonic() - self.since)
            if seconds >= SILENCE and self.stream.isatty():
                self.stream.write(f"\r  ... {self.line[:60]} {seconds} s")
                self.stream.flush()
                self.counted = True


def main():
    parser = argparse.ArgumentParser(prog="python -m book.build", description=__doc__)
    parser.add_argument("source", nargs="?", default=ROOT, help="folder of the book")
    started = time.monotonic()
    try:
        frontend.install()
        site = build(parser.parse_args().source)
    except (BuildError, RuntimeError) as error:
        sys.exit(f"\nThe book is not built. What is wrong:\n{error}")
    print(
        f"\nThe book is built, in {time.monotonic() - started:.0f} s: {site}\n"
        f"  read it here:  {(site / 'index.html').as_uri()}\n"
        f"  or serve it:   make serve"
    )


if __name__ == "__main__":
    main()
