"""The page "Slide by slide", from what the cells of the chapters say of themselves.

A text cell says which slides its section teaches, ``"course": {"slides": [8, 9]}``, and
``book/slides.toml`` what each slide shows. The section is that of the first heading in the cell,
or else the one in which the cell stands. What does not fit together fails the build: a slide that
no section teaches, one that does not exist, a chapter that teaches what its first box does not
name.
"""

import re
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book.ext.freshness import as_notebook
from book.ext.numbering import CHAPTER
from book.ext.places import chapters, collects, kept, link

BOX = re.compile(r"\*\*Slides\*\*\s+(?P<numbers>\d[\d\u2013,\s]*)\.")
MARKS = {"text": "", "order": "order inferred", "topic": "inferred from the topic"}

logger = logging.getLogger(__name__)


class slide_list(nodes.General, nodes.Element):
    """A table of the slides `first` to `last`, to be written when all chapters have been read."""


class Slides(SphinxDirective):
    """``{slides} 7, 21-28`` (or with a dash): what these show, and the sections that teach them."""

    required_arguments = 1

    def run(self):
        collects(self.env)
        self.env.note_dependency(str(deck_file(self.env)))
        node = slide_list(numbers=numbers(self.arguments[0]))
        self.set_source_info(node)
        return [node]


def deck_file(env):
    return Path(env.srcdir, "book", "slides.toml")


def read_deck(path):
    """Read what the slides show.

    Returns
    -------
    shows : dict of int to (str, str)
        Of each slide the line, and how far it is known: ``"text"``, ``"order"`` or ``"topic"``.
    rows : dict of int to list of int
        The slides of each chapter.
    """
    deck = tomllib.loads(path.read_text(encoding="utf-8"))
    shows = {int(n): (line, known) for known in MARKS for n, line in deck.get(known, {}).items()}
    rows = {int(chapter): numbers(text) for chapter, text in deck["rows"].items()}
    return dict(sorted(shows.items())), rows


def numbers(text):
    """The numbers of a text like ``7, 21-28``, with a hyphen or a dash."""
    found = []
    for part in text.split(","):
        first, _, last = part.replace("\N{EN DASH}", "-").strip().partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def taught(env, docname):
    """The slides of a chapter: of each the anchors of the sections that teach it, in order."""
    found = {}
    for cell in kept(env, "course_places")[docname]["cells"].values():
        for number in cell["course"].get("slides", []):
            anchors = found.setdefault(number, [])
            if cell["anchor"] not in anchors:
                anchors.append(cell["anchor"])
    return found


def check_chapter(app, doctree):
    """Hold what a chapter's cells say to its first box, the deck, and its row."""
    env, docname = app.env, app.env.docname
    chapter = CHAPTER.match(docname)
    if not chapter or docname not in kept(env, "course_places"):
        return
    path = Path(env.doc2path(docname))
    notebook = as_notebook(path, path.read_text(encoding="utf-8"))
    box = BOX.search("\n".join(cell.source for cell in notebook.cells))
    here = sorted(taught(env, docname))
    if box and numbers(box["numbers"]) != here:
        logger.warning(
            "the first box names the slides %s, the cells teach %s: change one of them",
            box["numbers"],
            ", ".join(map(str, here)) or "none",
            location=docname,
        )
    if here and deck_file(env).is_file():
        shows, rows = read_deck(deck_file(env))
        row = rows.get(int(chapter[1]), [])
        for number in here:
            if number not in shows:
                logger.warning("slide %s is not in the deck", number, location=docname)
            elif number not in row:
                logger.warning(
                    "slide %d is not among those of chapter %s; if it should be, say so in `rows` "
                    "of book/slides.toml",
                    number,
                    chapter[1],
                    location=docname,
                )


def resolve(app, doctree, fromdoc):
    lists = list(doctree.findall(slide_list))
    if not lists:
        return
    shows, _ = read_deck(deck_file(app.env))
    sections = {number: [] for number in shows}
    for docname in chapters(app.env).values():
        for number, anchors in taught(app.env, docname).items():
            sections.setdefault(number, []).extend((docname, anchor) for anchor in anchors)
    for node in lists:
        for number in node["numbers"]:
            if number not in shows:
                logger.warning("slide %d is not in book/slides.toml", number, location=node)
            elif not sections[number]:
                logger.warning("no section teaches slide %d", number, location=node)
        known = [number for number in node["numbers"] if number in shows]
        node.replace_self(table(app, fromdoc, {n: (*shows[n], sections[n]) for n in known}))


def table(app, fromdoc, rows):
    """The table of some slides; `rows` has of each the line, how it is known, and its sections."""
    body = nodes.tbody()
    for number, (line, known, sections) in rows.items():
        shown = nodes.paragraph("", line if line.endswith("?") else f"{line}.")
        if MARKS[known]:
            shown += nodes.Text(" ")
            shown += nodes.inline("", MARKS[known], classes=["inferred"])
        places = nodes.paragraph("", classes=["places"])
        for docname, anchor in sections:
            if len(places):
                places += nodes.Text(" · ")
            places += link(app, fromdoc, docname, anchor)
        first = nodes.entry("", nodes.paragraph("", str(number)))
        body += nodes.row("", first, nodes.entry("", shown, places), ids=[f"slide-{number}"])
    head = nodes.row()
    for words in ("Slide", "What it shows, and where it is taught"):
        head += nodes.entry("", nodes.paragraph("", words))
    group = nodes.tgroup("", cols=2)
    group += [nodes.colspec(colwidth=1, stub=1), nodes.colspec(colwidth=12)]
    group += [nodes.thead("", head), body]
    return nodes.table("", group, classes=["slides"])


def setup(app):
    app.add_node(slide_list)
    app.add_directive("slides", Slides)
    app.connect("doctree-read", check_chapter, priority=600)  # after the places are known
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
