"""The whole book as an EPUB 3: ``python -m book.editions.epub``, which ``make epub`` calls.

Its formulas are MathML, its figures SVG, its interactive figures what they show at first; nothing
in it needs a script, and everything is inside.
"""

import base64
import io
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import yaml
from PIL import Image

from book.build import ROOT
from book.editions.pages import (
    HERE,
    EditionError,
    browser_page,
    built_site,
    notes,
    pages,
    released,
    write_zip,
)
from course_lib import palette

__all__ = ["write_epub"]

NAME = "gradients-to-detectors.epub"
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml", ".gif": "image/gif"}
XHTML = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
      lang="en-GB" xml:lang="en-GB">
<head>
<title>{title}</title>
<link rel="stylesheet" type="text/css" href="book.css"/>
{style}</head>
<body>
{body}
</body>
</html>
"""
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""


def write_epub(root=ROOT):
    """Write the built site as ``_build/epub/gradients-to-detectors.epub``.

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
        If there is no site, or no browser to read it with.
    """
    site = built_site(root)
    config = yaml.safe_load(Path(root, "_config.yml").read_text(encoding="utf-8"))
    with browser_page() as page:
        for script in ("pages.js", "epub.js"):
            page.add_script_tag(content=(HERE / script).read_text(encoding="utf-8"))
        chapters = page.evaluate("writeChapters", pages(site, root))

    content = {"EPUB/book.css": (HERE / "epub.css").read_text(encoding="utf-8")}
    content["EPUB/title.xhtml"] = XHTML.format(
        title=escape(config["title"]), style="", body=title_page(config["title"], root)
    )
    content["EPUB/nav.xhtml"] = XHTML.format(title="Contents", style="", body=contents_of(chapters))
    for chapter in chapters:
        style = plain_colours(chapter["style"])
        content[f"EPUB/{chapter['key']}.xhtml"] = XHTML.format(
            title=escape(chapter["title"]),
            style=f'<style type="text/css">{style}</style>\n' if style else "",
            body=as_png(plain_colours(chapter["body"])),
        )
        for image in chapter["images"]:
            content[f"EPUB/images/{Path(image).name}"] = (site / image).read_bytes()
    content["EPUB/book.opf"] = package(chapters, content, config, released(root))
    content["META-INF/container.xml"] = CONTAINER

    file = Path(root, "_build", "epub", NAME)
    file.parent.mkdir(parents=True, exist_ok=True)
    ordered = {"mimetype": "application/epub+zip", **dict(sorted(content.items()))}
    write_zip(file, ordered, released(root), stored={"mimetype"})
    return file


def plain_colours(text):
    """Put the light theme's colours where their names stand, which few e-readers know."""
    text = re.sub(
        r"var\(--course-(\w+)(?:,[^()]*)?\)", lambda match: palette.ROLES[match[1]].light, text
    )
    return re.sub(r"var\(--[\w-]+,\s*([^()]*)\)", r"\1", text)


def as_png(text):
    """Turn the WebP pictures inside the figures into PNG, which every e-reader shows."""

    def convert(match):
        picture, buffer = Image.open(io.BytesIO(base64.b64decode(match[1]))), io.BytesIO()
        picture.save(buffer, "png", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    return re.sub(r"data:image/webp;base64,([\w+/=]+)", convert, text)


def title_page(title, root):
    said = notes(root)
    about = "\n".join(f"<p>{escape(text)}</p>" for text in said["about"])
    return (
        f'<section epub:type="titlepage"><h1>{escape(title)}</h1>\n'
        f'<p class="book-line">{escape(said["line"])}</p>\n'
        f'<div class="edition">{about}</div></section>'
    )


def contents_of(chapters):
    """The table of contents, for readers and for their devices."""
    lines = []
    for chapter in chapters:
        page = f"{chapter['key']}.xhtml"
        sections = "".join(
            f'<li><a href="{page}#{section["id"]}">{escape(section["title"])}</a></li>\n'
            for section in chapter["sections"]
        )
        inside = f"\n<ol>\n{sections}</ol>" if sections else ""
        lines.append(f'<li><a href="{page}">{escape(chapter["title"])}</a>{inside}</li>')
    listed = "\n".join(lines)
    return f'<nav epub:type="toc" id="toc"><h1>Contents</h1>\n<ol>\n{listed}\n</ol></nav>'


def package(chapters, content, config, seconds):
    """What is in the EPUB, in which order, and what it is."""
    properties = {"nav.xhtml": ["nav"]}
    for chapter in chapters:
        found = [word for key, word in [("math", "mathml"), ("svg", "svg")] if chapter[key]]
        properties[f"{chapter['key']}.xhtml"] = found
    kinds = {".xhtml": "application/xhtml+xml", ".css": "text/css", **KINDS}
    items, names = [], {}
    for number, path in enumerate(sorted(content)):
        href = path.removeprefix("EPUB/")
        names[href] = f"item-{number}"
        said = f' properties="{" ".join(properties[href])}"' if properties.get(href) else ""
        kind = kinds[Path(href).suffix]
        items.append(f'<item id="{names[href]}" href="{href}" media-type="{kind}"{said}/>')
    order = ["title.xhtml", "nav.xhtml", *(f"{chapter['key']}.xhtml" for chapter in chapters)]
    spine = "\n".join(f'<itemref idref="{names[href]}"/>' for href in order)
    when = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    book = uuid.uuid5(uuid.NAMESPACE_URL, config["title"])
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book"
         xml:lang="en-GB">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="book">urn:uuid:{book}</dc:identifier>
<dc:title>{escape(config["title"])}</dc:title>
<dc:language>en-GB</dc:language>
<dc:creator>{escape(config["author"])}</dc:creator>
<dc:rights>Text CC BY 4.0, code BSD 3-Clause</dc:rights>
<dc:date>{when}</dc:date>
<meta property="dcterms:modified">{when}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">structuralNavigation</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>
{chr(10).join(items)}
</manifest>
<spine>
{spine}
</spine>
</package>
"""


def main():
    started = time.monotonic()
    try:
        file = write_epub()
    except EditionError as error:
        sys.exit(f"\nThe EPUB is not made: {error}")
    print(
        f"The EPUB is made, in {time.monotonic() - started:.0f} s: {file}\n"
        f"  {file.stat().st_size / 2**20:.1f} MiB"
    )


if __name__ == "__main__":
    main()
