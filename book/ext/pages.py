"""The look of the pages: theme, colours, formulas, descriptions, and the links out of the book."""

import re
import shutil
import socket
import time
from html import unescape
from pathlib import Path
from subprocess import PIPE, Popen

import sphinxcontrib.katex
from docutils import nodes
from markupsafe import escape
from rjsmin import jsmin
from sphinx.util import logging

from book import colab
from book.ext import code, sources
from book.ext.lean import (
    share_styles,
    shorten_css,
    shorten_katex,
    shorten_katex_css,
    shorten_markup,
    shorten_scripts,
)
from book.frontend import NODE_BIN, NODE_MODULES
from course_lib import palette
from course_lib.web import once_per_page

THEME = Path(__file__).parents[1] / "theme"
REFERENCE_STYLE = "_static/reference.css"
STYLES = ("_static/colours.css", "_static/book.css", "_static/katex/katex.min.css", REFERENCE_STYLE)
OF_REFERENCE = re.compile(r'<dl class="py |class="(?:source"|twins )|<dl class="[^"]*rooms')
# What KaTeX makes of a formula that it cannot read, and of a macro that it does not know.
NOT_TEX = re.compile(r'class="katex-error" title="([^"]*)"|style="color:#cc0000;?">([^<]*)<')
DESCRIPTION_LENGTH = 160  # characters; search engines cut there

logger = logging.getLogger(__name__)


def prepare(app, config):
    katex = sphinxcontrib.katex
    katex.NODEJS_BINARY = str(NODE_BIN / "node")
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: the machine may be busy
    katex.KaTeXServer.start_server_process = start_katex
    config.katex_js_path = str(NODE_MODULES / "katex" / "dist" / "katex.min.js")
    config.katex_css_path = "katex/katex.min.css"


def read_only_what_is_listed(app, config):
    """Leave aside the files that `_toc.yml` does not list: a chapter that somebody is writing."""
    config.include_patterns = [f"{name}.*" for name in config.external_site_map]


def start_katex(rundir, timeout):
    """Start KaTeX's server, and connect to it when it listens.

    sphinxcontrib-katex connects when the socket is there, which is earlier, and now and then is
    refused. Its way over the network waits, but costs 40 ms a formula.
    """
    server, path = sphinxcontrib.katex.KaTeXServer, rundir / "katex.sock"
    process = Popen(server.build_command(socket=path), stdin=PIPE, stdout=PIPE, cwd=rundir)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    give_up = time.monotonic() + timeout
    while connection.connect_ex(str(path)):
        if time.monotonic() > give_up:
            raise server.timeout_error(timeout)
        time.sleep(0.01)
    return process, connection


def write_generated(app):
    """Write the style sheets that have their source elsewhere, and KaTeX's fonts, for `_static`."""
    folder = Path(app.outdir).parent / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    katex = NODE_MODULES / "katex" / "dist"
    (folder / "katex" / "fonts").mkdir(parents=True)
    for font in katex.glob("fonts/*.woff2"):  # what every browser takes
        shutil.copy(font, folder / "katex" / "fonts")
    css = (katex / "katex.min.css").read_text(encoding="utf-8")
    css = re.sub(r",url\(fonts/[^)]*\.(woff|ttf)\) format\(\"\w+\"\)", "", css)
    (folder / "katex" / "katex.min.css").write_text(shorten_katex_css(css), encoding="utf-8")
    colours = f"{palette.css()}\n{code.css()}\n"
    (folder / "colours.css").write_text(colours, encoding="utf-8")
    app.config.html_static_path.append(str(folder))
    app.add_css_file("colours.css")
    app.add_css_file("reference.css")


def complete_page(app, pagename, templatename, context, doctree):
    body = context.get("body", "")
    for title, macro in NOT_TEX.findall(body):
        logger.warning("a formula is not TeX: %s", unescape(title or macro), location=pagename)
    # On a <div>, the role that docutils gives to a reference is none; it stands in a list.
    body = once_per_page(body).replace('role="doc-biblioentry"', 'role="listitem"')
    body = re.sub(
        r'(<table class="docutils.*?</table>)', r'<div class="scroll">\1</div>', body, flags=re.S
    )
    body = shorten_scripts(shorten_markup(code.unwrap_plain_tokens(body)))
    body = share_styles(body)
    context["body"] = shorten_katex(body)
    context["css_files"] = [
        style
        for style in context["css_files"]
        if style.filename in STYLES
        and ("katex" not in style.filename or 'class="katex"' in body)
        and (style.filename != REFERENCE_STYLE or OF_REFERENCE.search(body))
    ]
    if doctree and 'name="description"' not in context["metatags"]:
        context["metatags"] += f'<meta name="description" content="{escape(description(doctree))}">'
    source = Path(app.env.doc2path(pagename)) if doctree else Path()
    context["notebook"] = source.suffix == ".ipynb"
    context["launch"] = links(app.config.html_theme_options, pagename, source)


def description(doctree):
    """The first sentences of a page, as many as a search engine shows."""
    text = next((p.astext() for p in doctree.findall(nodes.paragraph)), "")
    text = re.sub(r"\s+", " ", text)
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"


def links(options, pagename, source):
    """Label and address of a page's places elsewhere; none while `repository.url` is empty."""
    url, branch = options.get("repository_url", "").rstrip("/"), options.get("repository_branch")
    if not url or not source.suffix:
        return []
    found = [("Edit this page", f"{url}/edit/{branch}/{pagename}{source.suffix}")]
    if source.suffix == ".ipynb":
        found += [
            ("Open in Colab", colab.colab_address(url, f"colab/{source.name}")),
            ("Open in Binder", colab.binder_address(url, branch, f"{pagename}.ipynb")),
        ]
    return found


def write_colab_copies(app, exception):
    options = app.config.html_theme_options
    url = options.get("repository_url", "").rstrip("/")
    folder = Path(app.outdir) / "colab"
    shutil.rmtree(folder, ignore_errors=True)
    if url and not exception:
        folder.mkdir()
        for docname in sorted(app.env.found_docs):
            source = Path(app.env.doc2path(docname))
            if source.suffix == ".ipynb":
                text = source.read_text(encoding="utf-8")
                copy = colab.colab_copy(text, url, options["repository_branch"])
                (folder / source.name).write_text(copy, encoding="utf-8")


def finish_site(app, exception):
    """Make the root page the site's front door, and drop pages that are no longer in the book."""
    if exception:
        return
    site = Path(app.outdir)
    shutil.copy(site / f"{app.config.root_doc}.html", site / "index.html")
    for style in (site / "_static").glob("*.css"):
        style.write_text(shorten_css(style.read_text(encoding="utf-8")), encoding="utf-8")
    script = site / "_static" / "book.js"
    script.write_text(jsmin(script.read_text(encoding="utf-8")), encoding="utf-8")
    current = {site / f"{name}.html" for name in {*app.env.found_docs, "search", "index"}}
    for page in {*site.rglob("*.html")} - current - {*sources.existing(app)}:
        page.unlink()


def setup(app):
    app.add_config_value("comments_config", {}, "html")  # Jupyter Book sets it, we do not load it
    app.add_html_theme("book", str(THEME))
    app.connect("config-inited", prepare)
    app.connect("config-inited", read_only_what_is_listed, priority=950)  # the list is read at 900
    app.connect("builder-inited", write_generated)
    app.connect("html-page-context", complete_page)
    app.connect("build-finished", write_colab_copies)
    app.connect("build-finished", finish_site)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
