"""Tables about the book itself, ``:::{about} NAME``: of its own files, and of what was measured.

``plan``, ``assignments``, ``mistakes`` and ``citation`` are known when a page is read. ``record``
waits until every chapter has been run, and the weight of the pages until they are written.
"""

import re
from functools import partial
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urldefrag

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from book.ext.folding import details, summary
from book.facts import Citation, assignments, chapters

VERSIONS = ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "jupyter-book", "sphinx")
TOO_LONG = 2  # times what is stated: then the table says so
WEIGHT = re.compile(r'<span data-weight="([^"]+)"></span>')
LOADED = re.compile(r'<(?:script|img)\b[^>]*? src="([^"]+)"|<link\b[^>]*?>')


class record(nodes.General, nodes.Element):
    """Stands where the record of the run will be."""


class About(SphinxDirective):
    """``:::{about} plan``: something about the book that is not typed."""

    required_arguments = 1

    def run(self):
        make, *sources = MAKERS[self.arguments[0]]
        root = Path(self.env.srcdir)
        for pattern in sources:
            for path in sorted(root.glob(pattern)):
                self.env.note_dependency(str(path))
        return make(root, self)


def plan(root, directive):
    """Weeks, chapters, slides, times, what a chapter needs, and the assignments after it."""
    set_after = {}
    for work in assignments(root):
        set_after.setdefault(work.after, []).append(work.name)
    rows = []
    for week, chapter in enumerate(chapters(root), start=1):
        names = (nodes.literal("", name) for name in set_after.get(chapter.number, []))
        rows.append(
            [
                right(week),
                link(chapter),
                chapter.slides,
                right(chapter.reading),
                right(chapter.running),
                parsed(directive, chapter.needed)[0].children,
                list(names),
            ]
        )
    header = ["Week", "Chapter", "Slides", "Reading, min", "Running, s", "Needed", "Assignment"]
    return [table(header, rows)]


def graded(root, directive):
    """What each assignment asks for, in numbers."""
    header = ["Assignment", "Time", "Points", "By hand", "Gaps", "Checks", "Wrong answers"]
    rows = []
    for work in assignments(root):
        caught = sum(map(len, work.mistakes.values()))
        numbers = work.points, work.by_hand, work.gaps, work.checks, caught
        rows.append([nodes.literal("", work.name), work.time, *map(right, numbers)])
    return [table(header, rows)]


def mistakes(root, directive):
    """A folded list for each assignment: the mistakes that it tells apart, in words."""
    folded = []
    for work in assignments(root):
        number = sum(map(len, work.mistakes.values()))
        line = summary("", "", nodes.literal("", work.name), nodes.Text(f": {number} mistakes"))
        line["classes"] = ["admonition-title"]
        node = details("", line, classes=["admonition"], ids=[f"mistakes-{work.name}"])
        for section, said in work.mistakes.items():
            node += nodes.paragraph("", "", nodes.strong("", section))
            items = [nodes.list_item("", nodes.paragraph("", "", *inline(s))) for s in said]
            node += nodes.bullet_list("", *items)
        folded.append(node)
    return folded


def inline(text):
    """Words with code between backquotes."""
    parts = text.split("`")
    return [nodes.literal("", p) if i % 2 else nodes.Text(p) for i, p in enumerate(parts) if p]


def cite(root, directive):
    """The two forms of the citation, and the licences."""
    citation = Citation.read(root / "CITATION.cff")
    text = (
        f"```bibtex\n{citation.bibtex()}\n```\n\n"
        f"In the style of the APA:\n\n> {citation.apa()}\n\n"
        f"The text is under CC BY 4.0, the code under the licence `{citation.licence}`."
    )
    return parsed(directive, text)


def benchmark(root, directive):
    """The stored table of ``make bench``, without its title."""
    stored = (root / "benchmarks/results/book.md").read_text(encoding="utf-8")
    return parsed(directive, stored.split("\n", 1)[1])


MAKERS = {  # name: what makes it, and the files that it depends on
    "plan": (plan, "lectures/*.ipynb", "_toc.yml"),
    "assignments": (graded, "assignments/*/*.ipynb", "mistakes/*/mutants.toml"),
    "mistakes": (mistakes, "assignments/*/*.ipynb", "mistakes/*/mutants.toml"),
    "citation": (cite, "CITATION.cff"),
    "benchmark": (benchmark, "benchmarks/results/book.md"),
    "record": (lambda root, directive: [record()],),
}


def parsed(directive, text):
    """Markdown as nodes."""
    node = nodes.container()
    directive.state.nested_parse(text.splitlines(), directive.content_offset, node)
    return node.children


def link(chapter):
    """A reference to a chapter, by its number and topic."""
    words = nodes.inline("", f"{chapter.number}.\N{NO-BREAK SPACE}{chapter.topic}")
    where = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{chapter.docname}"}
    return pending_xref("", words, refexplicit=True, refwarn=True, **where)


def right(value):
    """A number, or a node, which stands at the right of its cell."""
    words = value if isinstance(value, nodes.Node) else nodes.Text(str(value))
    return nodes.entry("", nodes.paragraph("", "", words), classes=["text-right"])


def table(header, rows):
    """A table; a cell is text, a node, a list of nodes, or an entry."""
    head = nodes.thead("", nodes.row("", *map(entry, header)))
    body = nodes.tbody("", *(nodes.row("", *map(entry, cells)) for cells in rows))
    columns = [nodes.colspec(colwidth=1) for _ in header]
    group = nodes.tgroup("", *columns, head, body, cols=len(header))
    return nodes.table("", group, classes=["colwidths-auto"])


def entry(cell):
    if isinstance(cell, nodes.entry):
        return cell
    content = nodes.Text(cell) if isinstance(cell, str) else cell
    content = content if isinstance(content, list) else [content]
    return nodes.entry("", nodes.paragraph("", "", *content))


class RecordRun(SphinxPostTransform):
    """Put the record of the run in its place; runs before the references are resolved (10)."""

    default_priority = 5

    def run(self, **kwargs):
        for node in list(self.document.findall(record)):
            node.replace_self(recorded(self.env))


def recorded(env):
    """What each chapter says, and what was measured in the run whose outputs its page shows."""
    header = ["Chapter", "Words", "Reading", "Running", "Measured", "Claims", "Figures", "Page"]
    rows, total, claimed, devices = [], 0, [], {}
    for chapter in chapters(env.srcdir):
        seconds = (NbMetadataCollector.get_exec_data(env, chapter.docname) or {}).get("runtime")
        made = claims(env, chapter.docname)
        claimed += made
        devices.setdefault(chapter.device, []).append(str(chapter.number))
        total += seconds or 0
        measured = "not run" if seconds is None else f"{seconds:.1f}"
        if seconds and seconds > TOO_LONG * chapter.running:
            measured = f"too long: {measured}"
        weight = nodes.raw("", f'<span data-weight="{chapter.docname}"></span>', format="html")
        stated = [chapter.words_take, chapter.reading, chapter.running]
        figures = f"{chapter.figures} + {chapter.played}"
        rows.append(
            [
                link(chapter),
                *map(right, stated),
                right(measured),
                right(len(made)),
                right(figures),
                right(weight),
            ]
        )
    machines = sorted({f"{c['machine']}, Python {c['python']}" for c in claimed})
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    device = "; ".join(f"{name}: chapters {', '.join(n)}" for name, n in devices.items())
    device = f"Every chapter runs on {chapter.device}" if len(devices) == 1 else f"Device: {device}"
    words = (
        f"{device}. All chapters together ran in {total:.0f} seconds, one after the "
        f"other, and made {len(claimed)} claims. Machine: {'; '.join(machines) or 'unknown'}. "
        f"Versions: {versions}."
    )
    return [table(header, rows), nodes.paragraph("", words)]


def claims(env, docname):
    """The claims of a chapter, which book/ext/claims.py has collected."""
    return getattr(env, "course_claims", {}).get(docname, {}).get("claims", [])


def find_records(app, doctree):
    """Remember the pages that show the record; they are written in each build."""
    pages = about_pages(app.env)
    pages.discard(app.env.docname)
    if any(True for _ in doctree.findall(record)):
        pages.add(app.env.docname)


def about_pages(env):
    if not hasattr(env, "course_records"):
        env.course_records = set()
    return env.course_records


def write_again(app, env):
    return sorted(about_pages(env) & set(env.found_docs))


def merge(app, env, docnames, other):
    about_pages(env).update(about_pages(other) & set(docnames))


def weigh_pages(app, exception):
    """Write the weight of each page where the record asks for it."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for docname in about_pages(app.env):
        page = site / f"{docname}.html"
        if page.is_file():
            weighed = WEIGHT.sub(partial(_weigh, site), page.read_text(encoding="utf-8"))
            page.write_text(weighed, encoding="utf-8")


def _weigh(site, match):
    page = site / f"{match[1]}.html"
    return f"{weight(page) / 1024:,.0f}" if page.is_file() else "not written"


def weight(page):
    """Bytes of a page with its style sheets, scripts and pictures; not of fonts."""
    text = page.read_text(encoding="utf-8")
    found = {page}
    for match in LOADED.finditer(text):
        if match[0].startswith("<link"):
            address = re.search(r' href="([^"]+)"', match[0])
            if 'rel="stylesheet"' not in match[0] or not address:
                continue
            address = address[1]
        else:
            address = match[1]
        path = page.parent / unquote(urldefrag(address)[0].split("?")[0])
        if not address.startswith("data:") and path.is_file():
            found.add(path.resolve())
    return sum(path.stat().st_size for path in found)


def setup(app):
    app.add_directive("about", About)
    app.add_post_transform(RecordRun)
    app.connect("doctree-read", find_records)
    app.connect("env-updated", write_again)
    app.connect("env-merge-info", merge)
    app.connect("build-finished", weigh_pages, priority=900)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
