"""Links back and forth: where a chapter derives a function, its entry, source and assignment.

A text cell of a chapter says in its metadata what its section derives and who tests it::

    "course": {"library": ["course_lib.numpy_layers.conv2d_backward"],
               "assignment": ["conv-backprop/conv2d-backward"]}

where an assignment is followed by the id of the cell that a student fills. The section is that of
the first heading in the cell, or else the one in which the cell stands. From this come a line at
the end of the section, one in the entry of each function, and the tables of the assignments. A
name that does not exist fails the build.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book.assignments import parts
from book.ext.reference import TWINS, pairs_of_twins
from book.ext.sources import LinkSources, link_to_source
from book.library import PACKAGE, UnknownNameError, library

ASSIGNMENTS = "pages/assignments"
BESIDE = "pages/reference/twins"
LINES_OF_CELL = 10_000  # myst-nb counts the lines of cell k, from 1, from here on times k

logger = logging.getLogger(__name__)


class links(nodes.General, nodes.Element):
    """A place for links, `kind` of a "section", an "entry" or an "assignment", and which."""


class LibraryLinks(SphinxDirective):
    """``.. library-links:: NAME``: who derives, tests and mirrors an entry of the reference."""

    required_arguments = 1

    def run(self):
        return [links(kind="entry", of=self.arguments[0])]


class AssignmentParts(SphinxDirective):
    """A table of the parts of an assignment, with the sections and functions behind each."""

    required_arguments = 1

    def run(self):
        try:
            parts(self.env.srcdir, self.arguments[0])
        except FileNotFoundError as error:
            raise self.error(f"there is no assignment {self.arguments[0]}") from error
        path = Path(self.env.srcdir, "assignments", self.arguments[0])
        self.env.note_dependency(str(path / f"{self.arguments[0]}.ipynb"))
        return [links(kind="assignment", of=self.arguments[0])]


class Derivations(EnvironmentCollector):
    """Keeps what each chapter derives, in ``env.course_derivations``: dicts, by page."""

    def process_doc(self, app, doctree):
        docname = app.env.docname
        path = Path(app.env.doc2path(docname))
        if path.suffix != ".ipynb":
            return
        found = []
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            said = cell["metadata"].get("course", {})
            if said.get("library") or said.get("assignment"):
                where = f"{docname}, cell {number + 1}, `{cell.get('id', '')}`"
                check(app, said, where)
                section = section_of(doctree, number)
                if section is None:
                    logger.warning("stands in no section", location=where)
                else:
                    merge(found, section, said)
        for derivation in found:
            place(derivation.pop("section"), docname, derivation)
        _known(app.env)[docname] = found

    def clear_doc(self, app, env, docname):
        _known(env).pop(docname, None)

    def merge_other(self, app, env, docnames, other):
        _known(env).update({n: _known(other)[n] for n in docnames if n in _known(other)})


def _known(env):
    if not hasattr(env, "course_derivations"):
        env.course_derivations = {}
    return env.course_derivations


def check(app, said, where):
    """Warn of each name that leads nowhere."""
    shelf = library(app.srcdir)
    for name in said.get("library", ()):
        try:
            shelf.find(name)
        except UnknownNameError as error:
            logger.warning("%s", error, location=where)
    for name in said.get("assignment", ()):
        assignment, _, gap = name.partition("/")
        try:
            gaps = [gap for part in parts(app.srcdir, assignment) for gap in part.gaps]
        except FileNotFoundError:
            logger.warning("there is no assignment `%s`", assignment, location=where)
            continue
        if gap not in gaps:
            expected = ", ".join(gaps)
            logger.warning(
                "assignment %s has no gap `%s`, only %s", assignment, gap, expected, location=where
            )


def section_of(doctree, cell):
    """The section of the first heading in cell number `cell`, else the one it stands in."""
    first, behind = (cell + 1) * LINES_OF_CELL, (cell + 2) * LINES_OF_CELL
    sections = [section for section in doctree.findall(nodes.section) if section.line]
    inside = [section for section in sections if first <= section.line < behind]
    before = [section for section in sections if section.line < first]
    return inside[0] if inside else before[-1] if before else None


def merge(found, section, said):
    """Add what a cell says to what other cells of its section say."""
    derivation = next((d for d in found if d["section"] is section), None)
    if derivation is None:
        derivation = {
            "section": section,
            "anchor": section["ids"][0],
            "numbered": numbered(section),
            "title": section[0].astext(),
            "library": [],
            "assignment": [],
        }
        found.append(derivation)
    for key in ("library", "assignment"):
        new = [name for name in said.get(key, ()) if name not in derivation[key]]
        derivation[key] += new


def numbered(section):
    """The anchor of the section that has a number: itself, or the one around it."""
    while section.parent and isinstance(section.parent.parent, nodes.section):
        section = section.parent
    return section["ids"][0]


def place(section, docname, derivation):
    """Put the section's line at its end, before the sections inside it."""
    inner = next((i for i, child in enumerate(section) if isinstance(child, nodes.section)), None)
    mark = links(kind="section", of=docname, **derivation)
    section.insert(len(section) if inner is None else inner, mark)


class WriteLinks(SphinxPostTransform):
    """Runs when all pages are read, before the links to the sources are led to their pages."""

    default_priority = LinkSources.default_priority - 1

    def run(self, **kwargs):
        for node in list(self.document.findall(links)):
            write = {"section": self.section, "entry": self.entry, "assignment": self.assignment}
            node.replace_self(write[node["kind"]](node))

    def section(self, node):
        """The line in a chapter."""
        items = []
        if node["library"]:
            items.append(self.item("In the library", map(self.to_entry, node["library"])))
        if node["assignment"]:
            items.append(self.item("Tested by", self.to_assignments(node["assignment"])))
        return nodes.paragraph("", "", *_spread(items), classes=["course-links"])

    def entry(self, node):
        """The lines of a function's entry."""
        name = node["of"]
        shelf = library(self.env.srcdir)
        items = []
        twins = [twin for twin in twins_of(name) if twin in shelf.public]
        if twins:
            framework = "PyTorch" if TWINS[0] in name.split(".") else "NumPy"
            item = self.item(f"In {framework}", (self.to_entry(t, False) for t in twins))
            pair = next((t for t, n in pairs_of_twins(shelf) if name in (t.name, n.name)), None)
            if pair and BESIDE in self.env.found_docs:
                anchor = nodes.make_id(pair.short)
                beside = self.link(BESIDE, anchor, nodes.Text("side by side"))
                item += [nodes.Text(" ("), beside, nodes.Text(")")]
            items.append(item)
        own = shelf.find(name)
        origin = (own.module, own.local)
        derived, tests = [], []
        for docname, derivation in self.derivations():
            for other in derivation["library"]:
                found = shelf.find(other)
                if (found.module, found.local.split(".")[0]) == origin:
                    derived.append(self.to_section(docname, derivation))
                    tests += [t for t in derivation["assignment"] if names(self, t, own.short)]
        if derived:
            items.append(self.item("Derived in", derived))
        if tests:
            items.append(self.item("Tested by", self.to_assignments(dict.fromkeys(tests))))
        return [nodes.paragraph("", "", *_spread(items), classes=["course-links"])] if items else []

    def assignment(self, node):
        """The table of an assignment."""
        name = node["of"]
        rows = []
        for part in parts(self.env.srcdir, name):
            sections, functions = {}, {}
            for docname, derivation in self.derivations():
                if {f"{name}/{gap}" for gap in part.gaps} & set(derivation["assignment"]):
                    sections[docname, derivation["anchor"]] = derivation
                    for function in derivation["library"]:
                        if any(names(self, f"{name}/{gap}", function) for gap in part.gaps):
                            functions[function] = None
            written = [nodes.literal(w, w) for gap in part.gaps.values() for w in gap]
            title = [nodes.Text(part.title)]
            if written:
                title += [nodes.Text(": "), *_between(", ", ([word] for word in written))]
            rows.append(
                [
                    title,
                    [nodes.Text(str(part.points))],
                    _between(", ", (self.to_section(d, s) for (d, _), s in sections.items())),
                    _between(", ", (self.to_entry(name, False) for name in functions)),
                ]
            )
        return table(["Part", "Points", "Derived in", "In the library"], rows)

    def derivations(self):
        """Every page and derivation, in the order of the book."""
        known = _known(self.env)
        for docname in sorted(known):
            for derivation in known[docname]:
                yield docname, derivation

    def item(self, label, targets):
        return [nodes.Text(f"{label}: "), *_between(", ", targets)]

    def to_entry(self, name, source=True):
        """A link to the entry of a name, and one to its source in brackets."""
        shelf = library(self.env.srcdir)
        found = shelf.find(name)
        short = name.removeprefix(f"{PACKAGE}.").split(".", 1)[-1]
        short = short.rsplit(".", 1)[-1] if short[0].islower() else short
        home = self.env.domaindata["py"]["objects"].get(name)
        if home is None:
            return [link_to_source(found, short)]
        link = self.link(home.docname, home.node_id, nodes.literal(short, short))
        if not source:
            return [link]
        return [link, nodes.Text(" ("), link_to_source(found, "source"), nodes.Text(")")]

    def to_section(self, docname, derivation):
        anchor = derivation["anchor"]
        numbers = self.env.toc_secnumbers.get(docname, {})
        number = numbers.get(f"#{derivation['numbered']}") or numbers.get("") or ()
        number = ".".join(map(str, number))
        title = derivation["title"]
        return [self.link(docname, anchor, nodes.Text(f"{number} {title}".strip()))]

    def to_assignments(self, tests):
        """Of each assignment the parts to which its gaps belong."""
        found = {}
        for test in tests:
            assignment, _, gap = test.partition("/")
            for part in parts(self.env.srcdir, assignment):
                if gap in part.gaps:
                    found.setdefault(assignment, {})[part.title] = None
        for assignment, titles in found.items():
            words = [nodes.Text("assignment "), nodes.literal(assignment, assignment)]
            yield [
                self.link(ASSIGNMENTS, f"assignment-{assignment}", *words),
                nodes.Text(f", {' and '.join(_quoted(title) for title in titles)}"),
            ]

    def link(self, docname, anchor, *words):
        if docname not in self.env.found_docs:
            return nodes.inline("", "", *words)
        address = self.app.builder.get_relative_uri(self.env.docname, docname)
        return nodes.reference("", "", *words, refuri=f"{address}#{anchor}", internal=True)


def names(transform, test, function):
    """Whether what is written in a gap bears the name of a function of the library."""
    assignment, _, gap = test.partition("/")
    known = {g: w for part in parts(transform.env.srcdir, assignment) for g, w in part.gaps.items()}
    return function.rsplit(".", 1)[-1] in known.get(gap, ())


def twins_of(name):
    """What the other of the two rooms of layers calls it."""
    package, room, *rest = name.split(".")
    if room not in TWINS or len(rest) != 1:
        return []
    here = TWINS.index(room)
    word = rest[0].removesuffix("_forward").removesuffix("_backward")
    other = f"{package}.{TWINS[1 - here]}"
    if here == 0:
        return [f"{other}.{word}"]
    return [f"{other}.{word}{ending}" for ending in ("_forward", "_backward", "")]


def table(heads, rows):
    """A table of nodes; `rows` hold lists of nodes."""
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=1) for _ in heads]
    group += nodes.thead("", _row([[nodes.Text(head)] for head in heads]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["docutils"])


def _row(cells):
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def _quoted(title):
    return f"\N{LEFT DOUBLE QUOTATION MARK}{title}\N{RIGHT DOUBLE QUOTATION MARK}"


def _between(separator, groups):
    """The nodes of all groups, with a text between one group and the next."""
    found = []
    for group in groups:
        found += [nodes.Text(separator)] if found else []
        found += group
    return found


def _spread(items):
    return [nodes.inline("", "", *item, classes=["item"]) for item in items]


def rewrite_what_links(app, env):
    """Let the pages that show links be written again when a chapter derives something else."""
    numbers = {name: env.toc_secnumbers.get(name) for name in _known(env)}
    state = repr((sorted(_known(env).items()), sorted(numbers.items())))
    if getattr(env, "course_links_state", None) == state:
        return []
    env.course_links_state = state
    return [name for name in env.found_docs if name.startswith(("pages/reference/", ASSIGNMENTS))]


def setup(app):
    app.add_node(links)
    app.add_directive("library-links", LibraryLinks)
    app.add_directive("assignment-parts", AssignmentParts)
    app.add_env_collector(Derivations)
    app.add_post_transform(WriteLinks)
    app.connect("env-get-updated", rewrite_what_links, priority=900)  # after the numbers
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
