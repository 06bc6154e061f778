"""Where the cells of a chapter stand, for the pages that collect something from the chapters.

The role ``{cell}`03/derive``` links to the section of chapter 3 in which the cell ``derive``
stands, under that section's number and title. It goes by the name of a cell, since titles change.
A page that collects is written again when what it collects has changed, and only then.
"""

import hashlib
import json
from pathlib import Path

from docutils import nodes
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole

from book.ext.freshness import as_notebook
from book.ext.numbering import CHAPTER

LINES_OF_CELL = 10_000  # myst-nb counts the lines of cell k, from 1, from here on times k

logger = logging.getLogger(__name__)


class place(nodes.Inline, nodes.TextElement):
    """A link to the section of a cell, to be written when all chapters have been read."""


class CellRole(ReferenceRole):
    """``{cell}`03/derive``` or ``{cell}`words <03/derive>```."""

    def run(self):
        collects(self.env)
        words = self.title if self.has_explicit_title else ""
        node = place("", to=self.target, words=words)
        self.set_source_info(node)
        return [node], []


class Places(EnvironmentCollector):
    """Keeps, of each page with cells, the section of each in ``env.course_places``.

    An entry has the `title` of the page, its `sections` (anchor to title, in order) and the
    `cells` (name to anchor and to what stands under ``course`` in the cell's metadata).
    """

    def process_doc(self, app, doctree):
        docname = app.env.docname
        path = Path(app.env.doc2path(docname))
        notebook = as_notebook(path, path.read_text(encoding="utf-8"))
        if notebook is not None:
            kept(app.env, "course_places")[docname] = places(doctree, notebook)

    def clear_doc(self, app, env, docname):
        kept(env, "course_places").pop(docname, None)
        kept(env, "course_collecting").pop(docname, None)

    def merge_other(self, app, env, docnames, other):
        for name in ("course_places", "course_collecting"):
            found = kept(other, name)
            kept(env, name).update({doc: found[doc] for doc in docnames if doc in found})

    def get_updated_docs(self, app, env):
        """Pages to write again: those that collect, if what they collect has changed."""
        found = [kept(env, name) for name in COLLECTED]
        digest = hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()
        if digest == getattr(env, "course_collected", None):
            return []
        env.course_collected = digest
        return sorted(kept(env, "course_collecting"))


COLLECTED = ["course_places", "course_claims"]


def kept(env, name):
    """The dictionary `name`, page to what was found on it, which the environment keeps."""
    if not hasattr(env, name):
        setattr(env, name, {})
    return getattr(env, name)


def collects(env):
    """Note that the page that is being read shows what stands on others."""
    kept(env, "course_collecting")[env.docname] = True


def places(doctree, notebook):
    """Say which section each cell of a page stands in; see :class:`Places`."""
    sections = [
        (section.line // LINES_OF_CELL - 1, section["ids"][0], section[0].astext())
        for section in doctree.findall(nodes.section)
        if section.line  # those of exercises have none
    ]
    cells, current = {}, sections[0][1] if sections else ""
    for index, cell in enumerate(notebook.cells):
        begun = [anchor for first, anchor, _ in sections if first == index]
        name = cell.get("id", str(index))
        cells[name] = {
            "anchor": begun[0] if begun else current,
            "course": cell.metadata.get("course", {}),
        }
        current = begun[-1] if begun else current
    titles = {anchor: title for _, anchor, title in sections}
    return {"title": next(iter(titles.values()), ""), "sections": titles, "cells": cells}


def chapters(env):
    """Number and page of each chapter of the book, in order."""
    numbered = ((CHAPTER.match(docname), docname) for docname in kept(env, "course_places"))
    return dict(sorted((int(match[1]), docname) for match, docname in numbered if match))


def find(env, target):
    """Page and section of a target like ``03/derive``.

    Raises
    ------
    LookupError
        If there is no such chapter or cell.
    """
    chapter, _, cell = target.partition("/")
    docname = chapters(env).get(int(chapter) if chapter.isdigit() else chapter)
    if docname is None:
        raise LookupError(f"there is no chapter {chapter}")
    cells = env.course_places[docname]["cells"]
    if cell not in cells:
        raise LookupError(f"{docname} has no cell `{cell}`")
    return docname, cells[cell]["anchor"]


def name_of_section(env, docname, anchor):
    """Number of a section, and how its title goes on: ``3.6`` and `` Every index said in words``.

    A section inside of that has no number of its own, and gets that one and a comma.
    """
    numbers, number = env.toc_secnumbers.get(docname, {}), ""
    for other, title in env.course_places[docname]["sections"].items():
        its_own = ".".join(map(str, numbers.get(f"#{other}") or ()))
        number = its_own or number
        if other == anchor:
            joint = "\N{NO-BREAK SPACE}" if its_own else ", "
            return number, joint + title if number else title
    return "", env.course_places[docname]["title"]


def link(app, fromdoc, docname, anchor, words=""):
    """A reference node from one page to a section of another."""
    address = app.builder.get_relative_uri(fromdoc, docname) + (f"#{anchor}" if anchor else "")
    if words:
        return nodes.reference("", words, internal=True, refuri=address)
    number, title = name_of_section(app.env, docname, anchor)
    reference = nodes.reference("", number, internal=True, refuri=address)
    reference += nodes.inline("", title, classes=["title"])  # narrow tables do with the number
    return reference


def resolve(app, doctree, fromdoc):
    for node in list(doctree.findall(place)):
        try:
            docname, anchor = find(app.env, node["to"])
        except LookupError as error:
            logger.warning("{cell}`%s`: %s", node["to"], error, location=node)
            node.replace_self(nodes.Text(node["to"]))
        else:
            node.replace_self(link(app, fromdoc, docname, anchor, node["words"]))


def setup(app):
    app.add_node(place)
    app.add_role("cell", CellRole())
    app.add_env_collector(Places)
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
