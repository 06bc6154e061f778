"""What an edition is made of: the pages of the built site, in the order of the book."""

import os
import re
import shutil
import subprocess
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import yaml

from book.build import ROOT

__all__ = [
    "EditionError",
    "browser_page",
    "built_site",
    "notes",
    "pages",
    "released",
    "write_zip",
]

HERE = Path(__file__).parent
ONLY_ON_THE_SITE = ("pages/reference/",)  # the library's reference changes with the library
PATIENCE = 180_000  # milliseconds: the machine may be busy
EARLIEST = 315532800  # 1980: a zip archive knows no earlier date


class EditionError(Exception):
    """An edition cannot be made; the message says why, and what to do."""


def built_site(root=ROOT):
    """The folder of the built site below `root`.

    Raises
    ------
    EditionError
        If there is none.
    """
    site = Path(root) / "_build" / "html"
    if not (site / "index.html").is_file():
        raise EditionError(f"there is no site in {site}: run `make book` first")
    return site


def listed(root=ROOT):
    """The pages that `_toc.yml` lists, in its order, the landing page first."""
    toc = yaml.safe_load((Path(root) / "_toc.yml").read_text(encoding="utf-8"))
    return list(_files({"file": toc["root"], **toc}))


def _files(entry):
    if "file" in entry:
        yield entry["file"]
    for key in ("parts", "chapters", "sections"):
        for below in entry.get(key, ()):
            yield from _files(below)


def pages(site, root=ROOT):
    """Read the pages of an edition, as ``pages.js`` wants them.

    Parameters
    ----------
    site : Path
        The built site.
    root : Path
        The folder with its `_toc.yml`.

    Returns
    -------
    list of dict
        For each page its ``name`` (``lectures/03-backprop-convolution``), its ``key``, which is
        its short name in the edition, and its ``html``.

    Raises
    ------
    EditionError
        If a page that is listed was not built.
    """
    found = []
    for name in listed(root):
        if name.startswith(ONLY_ON_THE_SITE):
            continue
        path = site / f"{name}.html"
        if not path.is_file():
            raise EditionError(f"the site lacks {name}, which _toc.yml lists: run `make book`")
        key = re.sub(r"^(?=\d)", "chapter-", name.rsplit("/", 1)[-1])
        found.append({"name": name, "key": key, "html": path.read_text(encoding="utf-8")})
    return found


def released(root=ROOT):
    """Seconds since 1970 of the edition: `SOURCE_DATE_EPOCH`, or the last commit, or 2000."""
    epoch = os.getenv("SOURCE_DATE_EPOCH")
    if not epoch and shutil.which("git"):
        command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
        epoch = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return int(epoch or 946684800)


def notes(root):
    """What stands before the contents."""
    day = datetime.fromtimestamp(released(root), UTC)
    return {
        "line": "An executable course on how gradients, convolutions and detectors work",
        "about": [
            f"This edition is of {day.day} {day:%B %Y}. It is made from the pages of the site: "
            "every number in it was computed when the site was built.",
            "Figures that one plays with on the site stand here as what they show at first. The "
            "code that draws a figure is left out, and the reference of the library; both are on "
            "the site. Solutions follow their exercises: try first.",
            "The text is under CC BY 4.0, the code under the BSD 3-Clause License.",
        ],
    }


def write_zip(file, content, seconds, stored=()):
    """Write `content` as a zip archive that depends on nothing else.

    Parameters
    ----------
    file : Path
        What to write.
    content : dict
        By path inside the archive, in this order: text, bytes, or the :class:`Path` of a file.
    seconds : int
        The date of every file, since 1970.
    stored : set of str
        The paths that are not compressed.
    """
    when = datetime.fromtimestamp(max(seconds, EARLIEST), UTC).timetuple()[:6]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, what in content.items():
            entry = zipfile.ZipInfo(path, when)
            entry.compress_type = zipfile.ZIP_STORED if path in stored else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, what.read_bytes() if isinstance(what, Path) else what)


@contextmanager
def browser_page(**context):
    """A page in a headless Chromium, the system's or the one that playwright brought.

    Raises
    ------
    EditionError
        If there is no browser.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise EditionError("an edition needs playwright: run `make setup`") from error
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--disable-gpu", *sandbox]
            )
        except Error as error:
            raise EditionError(
                "an edition needs a browser: `sudo apt install chromium` on Debian and Ubuntu, "
                f"or `.venv/bin/playwright install chromium` ({error.message.splitlines()[0]})"
            ) from error
        try:
            page = chromium.new_page(**context)
            page.set_default_timeout(PATIENCE)
            yield page
        finally:
            chromium.close()
