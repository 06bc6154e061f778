"""How long the site takes to build, and how much its pages weigh."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

from benchmarks.measure import circumstances, write_table
from book.serve import serve

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"cold": "720", "unchanged": "15", "memory": "4096", "chapter": "700"}
NOTE = (
    "Builds of a copy of the book, in seconds; CPU time counts the notebooks' kernels too. A page "
    "weighs all that it loads, uncompressed, in KiB."
)


def main():
    """Build a copy of the book in several states; write one row for each, and one for each page."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "book"
        copy_tracked(copy)
        chapter = min((copy / "lectures").glob("*.ipynb"))
        rows = [["build", "cold", *build(copy), LIMITS["cold"]]]
        rows.append(["build", "unchanged", *build(copy), LIMITS["unchanged"]])
        change_prose(chapter)
        rows.append(["build", "a chapter's prose changed", *build(copy), ""])
        with (copy / "course_lib" / "captioning" / "bleu.py").open("a") as module:
            module.write("# changed\n")
        rows.append(["build", "a module that one chapter imports changed", *build(copy), ""])
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows.append(["memory", "largest process, MiB", f"{largest:.0f}", "", LIMITS["memory"]])
        for page, weight in weights(copy / "_build" / "html"):
            limit = LIMITS["chapter"] if page.startswith("lectures") else ""
            rows.append(["page", page, f"{weight / 1024:.0f}", "", limit])
    header = ["what", "which", "seconds, or size", "CPU seconds", "limit"]
    note = f"{NOTE} {circumstances('sphinx', 'myst-nb')}"
    write_table("book", "The site", note.split("; medians")[0] + ".", header, rows)


def copy_tracked(copy):
    """Copy the tracked files to `copy`, with what npm installed."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in names.split("\n"):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)


def change_prose(chapter):
    """Add a sentence to the first text cell of a notebook."""
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[0].source += "\n\nOne sentence more."
    nbformat.write(notebook, chapter)


def build(source):
    """Build the book in `source`; return seconds and CPU seconds, as text."""
    start, cpu = time.perf_counter(), cpu_of_children()
    subprocess.run(
        [sys.executable, "-m", "book.build", str(source)], cwd=ROOT, check=True, capture_output=True
    )
    return f"{time.perf_counter() - start:.1f}", f"{cpu_of_children() - cpu:.1f}"


def cpu_of_children():
    """Return the CPU seconds of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def weights(site):
    """Yield each page of `site`, sources of the library excepted, and the bytes that it loads."""
    server = serve(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        for path in sorted(site.rglob("*.html")):
            name, loaded = path.relative_to(site).as_posix(), []
            if name.startswith("source/"):
                continue
            page = browser.new_page()
            page.on("response", lambda response, loaded=loaded: loaded.append(response))
            page.goto(f"http://localhost:{server.server_port}/{name}", wait_until="networkidle")
            yield name, sum(len(response.body()) for response in loaded)
            page.close()
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
