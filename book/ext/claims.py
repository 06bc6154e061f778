"""The page "Claims": every number of the book, from the outputs of the executed notebooks.

A claim of ``course_lib.claims`` leaves an object for machines beside what is seen. Those of each
page are kept in ``env.course_claims``, with the section in which they stand and the time of the
run. A cell that makes claims and shows none of them fails the build: its numbers would be missing.
(One that leaves its bounds fails it anyway, since its cell does.)

``{collected-claims} summary``, ``published`` and ``chapters`` lay them out, and the role
``{measured}`05/name of the claim``` is one of the values, linked to its cell.
"""

import ast
from datetime import UTC, datetime
from functools import wraps
from html import escape
from pathlib import Path

import myst_nb.core.execute.cache
import nbformat
from docutils import nodes
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.execute.cache import NotebookClientCache
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole, SphinxDirective

from book.ext.outcomes import is_cell, name_of
from book.ext.places import chapters, collects, kept, link, name_of_section
from course_lib.claims import MIME

logger = logging.getLogger(__name__)


# ---- the run ----


@wraps(single_nb_execution)
def timed_execution(notebook, **how):
    """Execute a notebook, and leave beside each claim how long its cell took and when it ended.

    Not in the cell's metadata, where nbclient puts it, since the cache would not know the cell
    again.
    """
    result = single_nb_execution(notebook, **how, record_timing=True)
    for cell in notebook.cells:
        times = cell.metadata.pop("execution", {})
        begun, ended = times.get("iopub.execute_input"), times.get("shell.execute_reply")
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}) and begun and ended:
                seconds = (moment(ended) - moment(begun)).total_seconds()
                output.metadata[MIME] = {"seconds": round(seconds, 3), "ended": ended}
    return result


def start_client(self):
    """Start the client of a notebook; give what came from the cache to the notebook, too.

    Otherwise myst-nb would write the notebook to its folder of executed ones without outputs.
    """
    given = self._notebook
    original_start_client(self)
    for cell, executed in zip(given.cells, self._notebook.cells, strict=True):
        if cell is not executed and cell.cell_type == "code":
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count


original_start_client = NotebookClientCache.start_client


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# ---- what a page claims ----


class Claims(EnvironmentCollector):
    """Keeps the claims of each page, in order, in ``env.course_claims``."""

    def process_doc(self, app, doctree):
        env, docname = app.env, app.env.docname
        outcome = NbMetadataCollector.get_exec_data(env, docname)
        if outcome is None or not outcome["succeeded"]:
            return
        executed = Path(env.mystnb_config.output_folder) / f"{docname}.ipynb"
        cells = nbformat.read(executed, as_version=4).cells
        found = []
        for node in list(doctree.findall(is_cell)):
            cell = cells[node["cell_index"]]
            here = [made for output in cell.outputs for made in claims_of(output)]
            expected = calls(cell.source)
            if len(here) < expected:
                logger.warning(
                    "%s makes %s and shows %s: end the cell with the claim, or with a table of "
                    "them, so that the page of claims has it",
                    name_of(cell, node["cell_index"]),
                    f"{expected} claims" if expected > 1 else "a claim",
                    len(here) or "none",
                    location=docname,
                )
            if here:
                anchor = f"cell-{cell.get('id', node['cell_index'])}"
                node["ids"].append(anchor)
                section = section_of(node)
                found += [{**made, "anchor": anchor, "section": section} for made in here]
        if found:
            when = {"ended": outcome["mtime"], "seconds": outcome["runtime"]}
            kept(env, "course_claims")[docname] = {"run": when, "claims": found}

    def clear_doc(self, app, env, docname):
        kept(env, "course_claims").pop(docname, None)

    def merge_other(self, app, env, docnames, other):
        found = kept(other, "course_claims")
        kept(env, "course_claims").update({doc: found[doc] for doc in docnames if doc in found})


def claims_of(output):
    """Yield what an output of a cell claims, with the texts in which the reader sees it."""
    data = output.get("data", {})
    if MIME not in data:
        return
    made = data[MIME]
    caption, lines = "", data["text/plain"].splitlines()
    if isinstance(made, list):
        caption, *lines = lines
    cell = output.metadata.get(MIME, {}).get("seconds")
    for one, line in zip(made if isinstance(made, list) else [made], lines, strict=True):
        seconds = cell if one["seconds"] is None else one["seconds"]
        yield {**one, **texts(one, line), "caption": caption, "seconds": seconds}


def texts(claim, line):
    """Take the line of a claim apart: ``name: 5 measured here (at least 4); published: 6 (...)``.

    The numbers are as the chapter shows them, in its format and with their unit.
    """
    rest = line.removeprefix(f"{claim['quantity']}: ")
    shown, _, rest = rest.partition(" measured here (")
    bounds, published = rest.removesuffix(")"), ""
    if claim["source"]:
        bounds, _, published = rest.removesuffix(f" ({claim['source']})").rpartition(
            "); published: "
        )
    return {"shown": shown, "checked": bounds, "printed": published}


def calls(source):
    """How many claims a cell has to leave: its calls of ``claim``, those in a loop once.

    What stands in a function is left aside: the cell that calls it shows the claim.
    """
    tree = ast.parse(TransformerManager().transform_cell(source))

    def count(node):
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            return 0
        called = isinstance(node, ast.Call) and ast.unparse(node.func) in ("claim", "claims.claim")
        return called + sum(map(count, ast.iter_child_nodes(node)))

    return count(tree)


def section_of(node):
    """The anchor of the section in which a node stands, exercises and solutions set aside."""
    while node is not None:
        if isinstance(node, nodes.section) and node.line:
            return node["ids"][0]
        node = node.parent
    return ""


# ---- the page ----


class collected(nodes.General, nodes.Element):
    """Tables of claims of some `kind`, to be written when all chapters have been read."""


class measured(nodes.Inline, nodes.TextElement):
    """One measured value, linked to its cell."""


class CollectedClaims(SphinxDirective):
    """``{collected-claims} KIND`` with a kind of :data:`KINDS`."""

    required_arguments = 1

    def run(self):
        if self.arguments[0] not in KINDS:
            raise self.error(f"expected one of {', '.join(KINDS)}")
        collects(self.env)
        return [collected(kind=self.arguments[0])]


class MeasuredRole(ReferenceRole):
    """``{measured}`05/name of the claim```, or with other words before it in the usual way."""

    def run(self):
        collects(self.env)
        words = self.title if self.has_explicit_title else ""
        node = measured("", to=self.target, words=words)
        self.set_source_info(node)
        return [node], []


def claims_by_chapter(env):
    """Yield chapter number, page, and what :class:`Claims` kept of it."""
    for number, docname in chapters(env).items():
        if docname in kept(env, "course_claims"):
            yield number, docname, env.course_claims[docname]


def resolve(app, doctree, fromdoc):
    for node in list(doctree.findall(collected)):
        html = KINDS[node["kind"]](Page(app, fromdoc))
        node.replace_self(nodes.raw("", html, format="html"))
    for node in list(doctree.findall(measured)):
        chapter, _, name = node["to"].partition("/")
        docname = chapters(app.env).get(int(chapter) if chapter.isdigit() else chapter)
        made = kept(app.env, "course_claims").get(docname, {"claims": []})["claims"]
        claim = next((one for one in made if one["quantity"] == name), None)
        if claim is None:
            logger.warning("chapter %s has no claim %r", chapter, name, location=node)
            node.replace_self(nodes.Text(name))
        else:
            words = node["words"] or claim["shown"]
            node.replace_self(link(app, fromdoc, docname, claim["anchor"], words))


class Page:
    """The page that shows claims: its links, and what all of its parts need."""

    def __init__(self, app, docname):
        self.app, self.env, self.docname = app, app.env, docname

    def link(self, docname, anchor, words):
        address = self.app.builder.get_relative_uri(self.docname, docname)
        address += f"#{anchor}" if anchor else ""
        return f'<a href="{escape(address)}">{escape(words)}</a>'

    def section(self, docname, anchor):
        return self.link(docname, anchor, "".join(name_of_section(self.env, docname, anchor)))

    def title(self, number, docname):
        return f"{number}\N{NO-BREAK SPACE}{self.env.course_places[docname]['title']}"


def summary(page):
    """How many numbers, and on which machine, if it is one for all."""
    found = list(claims_by_chapter(page.env))
    made = [one for _, _, entry in found for one in entry["claims"]]
    published = sum(one["published"] is not None for one in made)
    where = surroundings(made)
    text = (
        f"<p>{len(made)} numbers in {len(found)} chapters, {published} of them beside a published "
        f"one."
    )
    if len(where) == 1:
        return f"{text} All were computed on {escape(where[0])}.</p>"
    return (
        f"{text} They were computed on different machines or versions, said chapter by chapter.</p>"
    )


def surroundings(claims):
    """The machines and versions of some claims, each once."""
    texts = (f"{one['machine']}, Python {one['python']}, NumPy {one['numpy']}" for one in claims)
    return list(dict.fromkeys(texts))


def published(page):
    """The claims beside a published number, chapter by chapter."""
    bodies = []
    for number, docname, entry in claims_by_chapter(page.env):
        rows = [one for one in entry["claims"] if one["published"] is not None]
        if rows:
            title = page.link(docname, "", page.title(number, docname))
            bodies.append(heading(title) + "".join(published_row(page, docname, r) for r in rows))
    return html_table("published", ("Quantity", "Published", "This build"), bodies)


def published_row(page, docname, one):
    return (
        f'<tr><th scope="row">{named(page, docname, one)}</th>'
        f"<td>{escape(one['printed'])}<small>{escape(one['source'])}</small></td>"
        f"<td>{escape(one['shown'])}<small>{escape(one['checked'])}</small></td></tr>"
    )


def by_chapter(page):
    """All claims, a fold for each chapter, in it a part of the table for each section."""
    alike = len(surroundings([c for _, _, e in claims_by_chapter(page.env) for c in e["claims"]]))
    folds = []
    for number, docname, entry in claims_by_chapter(page.env):
        bodies, claims = [], entry["claims"]
        for section in dict.fromkeys(one["section"] for one in claims):
            rows, caption = [heading(page.section(docname, section))], ""
            for one in (one for one in claims if one["section"] == section):
                if one["caption"] != caption and one["caption"]:
                    rows.append(
                        f'<tr><td colspan="3" class="of">{escape(one["caption"])}</td></tr>'
                    )
                caption = one["caption"]
                rows.append(row(page, docname, one))
            bodies.append("".join(rows))
        table = html_table("claims", ("Quantity", "Measured", "Seconds"), bodies)
        run = "" if alike == 1 else f" {' and '.join(map(escape, surroundings(claims)))}."
        folds.append(
            f'<details class="admonition" id="claims-{number}"><summary class="admonition-title">'
            f"{escape(page.title(number, docname))} "
            f'<span class="count">{len(claims)} numbers</span></summary>'
            f"<p>{ran(entry['run'])}{run}</p><div>{table}</div></details>"
        )
    return "".join(folds)


def row(page, docname, one):
    seconds = "" if one["seconds"] is None else f"{one['seconds']:.3g}"
    return (
        f'<tr><th scope="row">{named(page, docname, one)}</th>'
        f"<td>{escape(one['shown'])}<small>{escape(one['checked'])}</small></td>"
        f"<td>{seconds}</td></tr>"
    )


def ran(run):
    """When and how long a chapter ran."""
    when = datetime.fromtimestamp(run["ended"], UTC)
    took = f", in {run['seconds']:.0f}\N{NO-BREAK SPACE}s" if run["seconds"] else ""
    return f"Run on {when.day} {when:%B %Y at %H:%M} UTC{took}."


def named(page, docname, one):
    return page.link(docname, one["anchor"], one["quantity"])


def heading(html):
    return f'<tr><th scope="rowgroup" colspan="3">{html}</th></tr>'


def html_table(name, headers, bodies):
    head = "".join(f'<th scope="col">{header}</th>' for header in headers)
    body = "".join(f"<tbody>{rows}</tbody>" for rows in bodies)
    return f'<table class="{name}"><thead><tr>{head}</tr></thead>{body}</table>'


KINDS = {"summary": summary, "published": published, "chapters": by_chapter}


def setup(app):
    myst_nb.core.execute.cache.single_nb_execution = timed_execution
    NotebookClientCache.start_client = start_client
    app.add_node(collected)
    app.add_node(measured)
    app.add_directive("collected-claims", CollectedClaims)
    app.add_role("measured", MeasuredRole())
    app.add_env_collector(Claims)
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
