"""Pages that show the library's source, coloured, with a place to link to for every name."""

import html
import re
from pathlib import Path, PurePosixPath

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from book.library import PACKAGE, Module, library

FOLDER = "source"


class source_link(nodes.TextElement):
    """A link to the line where something is written; `module` and, unless it is a file, `local`."""


def link_to_source(target, text):
    """A node that becomes a link to the source of an :class:`Entry` or a :class:`Module`."""
    if isinstance(target, Module):
        return source_link("", "", nodes.literal(text, text), module=target.name, local="")
    words = nodes.Text(text) if text == "source" else nodes.literal(text, text)
    return source_link("", "", words, module=target.module, local=target.local)


class ReadInsteadOfDownload(SphinxTransform):
    """A chapter's link to a file of the library, which works in JupyterLab, leads to its page."""

    default_priority = 870  # before the files to download are collected

    def apply(self, **kwargs):
        shelf = library(self.env.srcdir)
        for node in list(self.document.findall(addnodes.download_reference)):
            path = self.env.relfn2path(node["reftarget"])[0]
            parts = PurePosixPath(path).with_suffix("").parts
            if parts[0] == PACKAGE and path.endswith(".py") and shelf.module(".".join(parts)).path:
                module = ".".join(parts).removesuffix(".__init__")
                node.replace_self(source_link("", "", *node.children, module=module, local=""))


class LinkSources(SphinxPostTransform):
    """Lead the links to the pages of this site; a format without them keeps the words."""

    default_priority = 200

    def run(self, **kwargs):
        html_pages = self.app.builder.format == "html" and self.app.builder.name != "epub"
        for node in list(self.document.findall(source_link)):
            if not html_pages:
                node.replace_self(node.children if node.astext() != "source" else [])
                continue
            page = page_of(node["module"])
            address = self.app.builder.get_relative_uri(self.env.docname, page)
            anchor = f"#{anchor_of(node['local'])}" if node["local"] else ""
            link = nodes.reference("", "", *node.children, refuri=address + anchor, internal=True)
            if node.astext() == "source":
                link["classes"] = ["source-link"]
                link["reftitle"] = f"Source of {node['local']}"
            node.replace_self(link)


def page_of(module):
    """The page of a module, as Sphinx names pages."""
    return f"{FOLDER}/{module.removeprefix(f'{PACKAGE}.').replace('.', '/')}"


def anchor_of(local):
    """The place on it of a name; a function may be called as a part of every page is, ``main``."""
    return f"def-{local}"


def modules(shelf):
    """The modules that have a page: the files of the rooms, without those that only import."""
    for room in shelf.rooms:
        for path in shelf.files(room):
            name = ".".join(path.relative_to(shelf.root).with_suffix("").parts)
            module = shelf.module(name.removesuffix(".__init__"))
            if path.name != "__main__.py" and module.defined:
                yield module


def coloured(source):
    """The source as lines of HTML, no element of which spans two."""
    marked = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return marked.splitlines()


def with_anchors(module, shelf, links):
    """The coloured source of `module`, with an element around each function, class and method.

    Parameters
    ----------
    links : dict
        By local name, the address of its entry in the reference.

    Returns
    -------
    str
    """
    lines = coloured(module.source)
    opening, closing = {}, {}
    for local in module.defined:
        entry = module.entry(local, f"{module.name}.{local}")
        for part in (entry, *entry.members):
            opening.setdefault(part.line, []).append(part)
            closing[part.end] = closing.get(part.end, 0) + 1
    text = []
    for number, line in enumerate(lines, start=1):
        for part in opening.get(number, ()):
            text.append(f'<span class="block" id="{anchor_of(part.local)}">')
            if part.local in links:
                text.append(
                    f'<a class="to-entry" href="{html.escape(links[part.local])}" '
                    f'aria-label="Reference: {html.escape(part.local)}">reference</a>'
                )
        text += [line, "\n", "</span>" * closing.get(number, 0)]
    return "".join(text)


def write_sources(app):
    """Yield the pages of the sources."""
    if app.builder.format != "html" or app.builder.name == "epub":
        return
    shelf = library(app.srcdir)
    objects = app.env.domaindata["py"]["objects"]
    for module in modules(shelf):
        page = page_of(module.name)
        links = {}
        for public in shelf.public.values():
            for entry in (public, *public.members):
                if entry.module == module.name and entry.name in objects:
                    found = objects[entry.name]
                    to = app.builder.get_relative_uri(page, found.docname)
                    links[entry.local] = f"{to}#{found.node_id}"
        body = body_of(module, shelf, links, app, page)
        yield page, context_of(module, shelf, body), "page.html"


def body_of(module, shelf, links, app, page):
    title = module.path.relative_to(shelf.root).as_posix()
    room = module.name.split(".")[1]
    home = app.env.domaindata["py"]["modules"].get(f"{PACKAGE}.{room}")
    back = ""
    if home:
        address = html.escape(app.builder.get_relative_uri(page, home.docname))
        back = f'<p><a href="{address}">Reference of {PACKAGE}.{room}</a></p>'
    return (
        f'<div class="source"><h1>{html.escape(title)}</h1>{back}'
        f'<div class="highlight"><pre>{with_anchors(module, shelf, links)}</pre></div></div>'
    )


def context_of(module, shelf, body):
    title = module.path.relative_to(shelf.root / PACKAGE).as_posix()
    first = re.sub(r":\w+:`~?([^`]*)`|``?([^`]*)``?", r"\1\2", module.doc.split("\n\n")[0])
    words = f"Source of {title}: {' '.join(first.split())}"
    words = words if len(words) <= 160 else words[:158].rsplit(" ", 1)[0] + " …"
    tag = f'<meta name="description" content="{html.escape(words)}">'
    return {"title": title, "body": body, "metatags": tag, "display_toc": False}


def existing(app):
    """The pages of sources that stand in the site, of files that are still in the library."""
    folder, package = Path(app.outdir) / FOLDER, Path(app.srcdir) / PACKAGE
    for page in folder.rglob("*.html"):
        written = package / page.relative_to(folder).with_suffix("")
        if written.with_suffix(".py").is_file() or (written / "__init__.py").is_file():
            yield page


def setup(app):
    app.add_node(source_link)
    app.add_transform(ReadInsteadOfDownload)
    app.add_post_transform(LinkSources)
    app.connect("html-collect-pages", write_sources)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
