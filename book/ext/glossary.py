"""Link the words of the glossary from the chapters: the first use in the prose of each.

The notebooks themselves stay as they are, since JupyterLab knows no glossary. Left aside are words
that also mean something else, and all that is not running prose: titles, boxes, tables, captions,
code, what already is a link.
"""

import hashlib
import re

from docutils import nodes
from sphinx.environment.collectors import EnvironmentCollector

from book.ext.numbering import CHAPTER

# Words that also occur in another sense than that of their entries: anywhere, and in one chapter.
AMBIGUOUS = {"baseline", "groups", "precision", "recall", "residual", "skip", "tangent"}
OTHER_SENSE = {10: {"mean iou"}, 12: {"gradient"}}
NOT_PROSE = (
    nodes.reference,
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.Admonition,
    nodes.caption,
    nodes.table,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.rubric,
)

SET_APART = {"cell", "admonition"}  # classes; folded exercises and solutions have the second


class Words(EnvironmentCollector):
    """Has the chapters written again when the words of the glossary have changed."""

    def process_doc(self, app, doctree):
        pass

    def clear_doc(self, app, env, docname):
        pass

    def merge_other(self, app, env, docnames, other):
        pass

    def get_updated_docs(self, app, env):
        digest = hashlib.sha256(repr(sorted(words(env).items())).encode()).hexdigest()
        if digest == getattr(env, "course_words", None):
            return []
        env.course_words = digest
        return sorted(filter(CHAPTER.match, env.found_docs))


def words(env):
    """Each word of the glossary, in lower case, with the page and anchor of its entry."""
    objects = env.domaindata["std"]["objects"]
    return {name.lower(): place for (kind, name), place in objects.items() if kind == "term"}


def pattern(names):
    """What finds one of some words in a text, the longest first, also with an s at its end."""
    longest = sorted(names, key=lambda name: (-len(name), name))
    alternatives = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in longest)
    return re.compile(rf"(?<![\w-])({alternatives})s?(?![\w-])", re.IGNORECASE)


def link_words(app, doctree, fromdoc):
    chapter = CHAPTER.match(fromdoc)
    if not chapter:
        return
    aside = AMBIGUOUS | OTHER_SENSE.get(int(chapter[1]), set())
    left = {name: place for name, place in words(app.env).items() if name not in aside}
    if not left:
        return
    find = pattern(left)
    for text in list(doctree.findall(nodes.Text)):
        if not left:
            break
        if find.search(text) and is_prose(text):
            text.parent.replace(text, linked(app, fromdoc, str(text), find, left))


def is_prose(node):
    """Whether a text stands in a paragraph, and in nothing that is set apart."""
    within, parent = False, node.parent
    while parent is not None:
        if isinstance(parent, NOT_PROSE) or not SET_APART.isdisjoint(parent.get("classes", ())):
            return False
        within = within or isinstance(parent, nodes.paragraph)
        parent = parent.parent
    return within


def linked(app, fromdoc, text, find, left):
    """The nodes of a text with links on the words that are `left`, which then are no more."""
    found, end = [], 0
    for match in find.finditer(text):
        place = left.pop(re.sub(r"\s+", " ", match[1].lower()), None)
        if place:
            docname, anchor = place
            address = f"{app.builder.get_relative_uri(fromdoc, docname)}#{anchor}"
            found.append(nodes.Text(text[end : match.start()]))
            found.append(
                nodes.reference("", match[0], internal=True, refuri=address, classes=["term"])
            )
            end = match.end()
    return [*found, nodes.Text(text[end:])]


def setup(app):
    app.add_env_collector(Words)
    app.connect("doctree-resolved", link_words)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
