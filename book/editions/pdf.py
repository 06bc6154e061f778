"""The whole book as a PDF: ``python -m book.editions.pdf``, which ``make pdf`` calls.

The pages of the built site are laid out as one document and printed by a browser, twice: first to
learn on which page each section begins, then with these numbers in the contents.
"""

import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import yaml
from pypdf import PdfReader

from book.build import ROOT
from book.editions.pages import (
    HERE,
    EditionError,
    browser_page,
    built_site,
    notes,
    pages,
    released,
)
from course_lib.web.figure import ELEMENTS

__all__ = ["print_book"]

PIXELS = 96 / 25.4  # in a millimetre
WIDTH, HEIGHT = 154 * PIXELS, 253 * PIXELS  # of the text on a page, as print.css sets it
SMALLEST = 0.7  # no formula or table is shrunk below this; then its source has to change
SCALE = 0.84  # of figures, which are drawn for a screen
TALLEST = 0.6  # of the height of the text: no figure with its caption takes more
FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
NAME = "gradients-to-detectors.pdf"


def print_book(root=ROOT):
    """Print the built site as ``_build/pdf/gradients-to-detectors.pdf``.

    Parameters
    ----------
    root : Path
        The folder of the book.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EditionError
        If there is no site or no browser, or if something is too wide or too tall for a page.
    """
    site = built_site(root)
    book = pages(site, root)
    folder = Path(root, "_build", "pdf")
    folder.mkdir(parents=True, exist_ok=True)
    title = yaml.safe_load(Path(root, "_config.yml").read_text(encoding="utf-8"))["title"]
    shell = folder / "book.html"
    shell.write_text(shell_of(title, site), encoding="utf-8")
    file = folder / NAME
    with browser_page(viewport={"width": round(WIDTH), "height": round(HEIGHT)}) as page:
        page.emulate_media(media="print", color_scheme="light")
        page.goto(shell.as_uri())
        for script in ("pages.js", "print.js"):
            page.add_script_tag(content=(HERE / script).read_text(encoding="utf-8"))
        page.evaluate("layOut", {"pages": book, "title": title, "notes": notes(root)})
        page.evaluate("document.fonts.ready")
        complaints = page.evaluate(
            "fit", {"height": HEIGHT, "smallest": SMALLEST, "tallest": TALLEST, "scale": SCALE}
        )
        if complaints:
            raise EditionError("does not fit the page:\n  " + "\n  ".join(complaints))
        numbers = page_numbers(print_page(page, file))
        page.evaluate("numberContents", numbers)
        if page_numbers(print_page(page, file)) != numbers:
            raise EditionError("the contents with their page numbers move the pages")
        headings = page.evaluate("headings()")
        shell.write_text(page.content(), encoding="utf-8")
    data = mend_outline(file.read_bytes(), headings)
    file.write_bytes(fix_dates(data, released(root)))
    return file


def shell_of(title, site):
    """The document before it has any content."""
    css = (ELEMENTS / "static.css").read_text("utf-8")
    css += (HERE / "print.css").read_text(encoding="utf-8").replace("FONTS", FONTS.as_uri())
    sheets = [
        site / "_static" / name for name in ("colours.css", "book.css", "katex/katex.min.css")
    ]
    reference = site / "_static" / "reference.css"
    sheets += [reference] if reference.is_file() else []
    links = "".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">\n' for sheet in sheets)
    return (
        f'<!DOCTYPE html>\n<html lang="en-GB" data-theme="light">\n<head><meta charset="utf-8">\n'
        f"<title>{title}</title>\n{links}<style>{css}</style></head>\n<body></body></html>\n"
    )


def print_page(page, file):
    page.pdf(path=file, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
    return file


def page_numbers(file):
    """On which page, from 1, each place is that something in the book links to."""
    reader = PdfReader(file)
    index = {page.indirect_reference.idnum: n for n, page in enumerate(reader.pages, start=1)}
    return {
        name.removeprefix("/"): index[place.page.idnum]
        for name, place in reader.named_destinations.items()
    }


def mend_outline(data, headings):
    """Say each heading once in the list of bookmarks.

    Chromium says every text of a heading twice that it has moved to the next page.

    Parameters
    ----------
    data : bytes
        The PDF.
    headings : list of list of str
        The texts of each heading.

    Returns
    -------
    bytes
        The PDF, as long as before: what was too much is spaces outside of the texts.
    """
    known = {"".join(texts) for texts in headings}
    patterns = ["".join(f"(?:{re.escape(text)}){{1,2}}" for text in texts) for texts in headings]
    twice = [
        (re.compile(pattern), texts) for pattern, texts in zip(patterns, headings, strict=True)
    ]

    def once(match):
        title = _text(match[1])
        found = [] if title in known else [t for pattern, t in twice if pattern.fullmatch(title)]
        return b"/Title " + _title("".join(found[0])).ljust(len(match[1])) if found else match[0]

    return re.sub(rb"/Title (<[0-9A-F]+>|\((?:\\.|[^\\()])*\))", once, data)


def _title(text):
    """A text as Chromium writes it into a PDF."""
    if text.isascii():
        return b"(" + re.sub(r"([\\()])", r"\\\1", text).encode() + b")"
    return b"<FEFF" + text.encode("utf-16-be").hex().upper().encode() + b">"


def _text(title):
    """The reverse of :func:`_title`."""
    if title.startswith(b"("):
        return re.sub(r"\\(.)", r"\1", title[1:-1].decode("latin-1"))
    return bytes.fromhex(title[1:-1].decode()).decode("utf-16")


def fix_dates(data, seconds):
    """Say when the edition is of, not when it was printed: the same book is the same file."""
    when = f"D:{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%S}+00'00'".encode()
    data, found = re.subn(rb"D:\d{14}\+00'00'", lambda _: when, data)
    if found != 2:
        raise EditionError(f"the PDF has {found} dates, expected those of making and changing")
    return data


def main():
    started = time.monotonic()
    try:
        file = print_book()
    except EditionError as error:
        sys.exit(f"\nThe PDF is not made: {error}")
    size, length = file.stat().st_size / 2**20, len(PdfReader(file).pages)
    print(
        f"The book is printed, in {time.monotonic() - started:.0f} s: {file}\n"
        f"  {length} pages, {size:.1f} MiB"
    )


if __name__ == "__main__":
    main()
