"""The parts of the build that are functions: figures, links, descriptions, colours, references."""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from contents import CHAPTERS, ROOT
from docutils import nodes
from pybtex.database import parse_file

from book.build import explain
from book.colab import binder_address, colab_address, colab_copy
from book.ext import code
from book.ext.figures import inline, says_what_it_shows
from book.ext.lean import share_styles, shorten_katex, shorten_katex_css, shorten_markup
from book.ext.pages import THEME, description, links

URL = "https://github.com/someone/course"

SVG = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
     width="36pt" height="18pt" viewBox="0 0 36 18">
 <metadata>who made it</metadata>
 <defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
 <defs><path id="m1" d="M0 0"/><clipPath id="c1"><path d="M0 0"/></clipPath></defs>
 <g id="axes" clip-path="url(#c1)" style="fill: url(#c1)"><use xlink:href="#m1"/></g>
</svg>"""


def test_an_inlined_figure_keeps_to_itself():
    svg = inline(SVG, 'Two "bars" & a line', "f1-")
    assert svg.startswith("<svg ")
    assert 'role="img" aria-label="Two &quot;bars&quot; &amp; a line"' in svg
    ids = set(re.findall(r' id="([^"]+)"', svg))
    assert len(ids) == 2, "of the clip path and the marker; nothing refers to the other"
    assert all(name.startswith("f1-") for name in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)', svg)) == ids
    assert "<style" not in svg, "its rules would reach the whole page"
    assert "who made it" not in svg


def test_an_inlined_figure_drops_what_is_not_seen():
    figure = """<svg xmlns="http://www.w3.org/2000/svg" width="36pt" height="18pt">
      <g><g id="unused"><path d="M 1.5 2  L 3 4  z " style="opacity: 0.12345"/></g></g> <g/>
      <text transform="rotate(-0 1 2)" style="fill: var(--course-input, #0072b2)">a b</text>
    </svg>"""
    svg = inline(figure, "Alt", "f1-")
    assert re.search(r">(.*)</svg>", svg)[1] == (
        '<path d="M1.5 2L3 4z" style="opacity: 0.12" />'
        '<text style="fill: var(--course-input)">a b</text>'
    )


def test_an_inlined_figure_has_its_size_in_pixels():
    root = inline(SVG, "", "").split(">")[0]
    assert ' width="48"' in root
    assert " height=" not in root
    assert 'viewBox="0 0 36 18"' in root


@pytest.mark.parametrize(
    "alt,good",
    [("A curve that falls", True), ("", False), ("  ", False), ("../x/figure.svg", False)],
)
def test_says_what_it_shows(alt, good):
    assert says_what_it_shows(nodes.image(alt=alt)) is good
    assert says_what_it_shows(nodes.image()) is False


def test_description_ends_between_words():
    page = nodes.section("", nodes.paragraph("", "Some words " * 30), nodes.paragraph("", "More."))
    assert description(page) == ("Some words " * 14 + "Some …")
    assert description(nodes.section("", nodes.paragraph("", "Short\none."))) == "Short one."
    assert description(nodes.section()) == ""


def test_no_repository_no_links():
    options = {"repository_url": "", "repository_branch": "main"}
    assert links(options, "lectures/03-x", Path("lectures/03-x.ipynb")) == []


def test_one_setting_makes_the_links():
    options = {"repository_url": f"{URL}/", "repository_branch": "main"}
    assert links(options, "search", Path()) == []
    assert links(options, "intro", Path("/a/intro.md")) == [
        ("Edit this page", f"{URL}/edit/main/intro.md")
    ]
    assert dict(links(options, "lectures/03-x", Path("/a/lectures/03-x.ipynb"))) == {
        "Edit this page": f"{URL}/edit/main/lectures/03-x.ipynb",
        "Open in Colab": colab_address(URL, "colab/03-x.ipynb"),
        "Open in Binder": binder_address(URL, "main", "lectures/03-x.ipynb"),
    }


def test_addresses():
    assert colab_address(f"{URL}.git", "colab/03-x.ipynb") == (
        "https://colab.research.google.com/github/someone/course/blob/gh-pages/colab/03-x.ipynb"
    )
    assert binder_address(URL, "main", "lectures/03-x.ipynb") == (
        "https://mybinder.org/v2/gh/someone/course/main?urlpath=lab%2Ftree%2Flectures%2F03-x.ipynb"
    )


def test_the_colab_copy_installs_the_library_first():
    original = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# É"),
            nbformat.v4.new_code_cell("import course_lib", execution_count=3),
            nbformat.v4.new_code_cell("1 + 1"),
        ]
    )
    copy = nbformat.reads(colab_copy(nbformat.writes(original), URL, "v1"), as_version=4)
    nbformat.validate(copy)
    assert [cell.cell_type for cell in copy.cells] == ["markdown", "code", "code", "code"]
    install = f'%pip install -q "gradients-to-detectors @ git+{URL}@v1"'
    assert install in copy.cells[1].source
    assert copy.cells[2].source == "import course_lib"
    assert copy.cells[2].execution_count is None
    assert copy.cells[0].source == "# É"
    original.cells[2].source = "import torch"
    copy = nbformat.reads(colab_copy(nbformat.writes(original), URL, "v1"), as_version=4)
    assert "gradients-to-detectors[torch] @" in copy.cells[1].source


def test_pages_have_the_links_of_the_setting_and_the_number_of_their_file(tiny_book):
    config = (ROOT / "_config.yml").read_text()
    assert '\n  url: ""\n' in config, "no public address yet: the pages have no links to it"
    tiny_book.write("_config.yml", config.replace('url: ""', f"url: {URL}", 1))
    formula = "## A section\n\n$$1 = 1$$ (eq-one)\n\n{eq}`eq-one` stands here."
    tiny_book.chapter(formula, ("one", "1 + 1"))
    done = tiny_book.build()
    assert done.returncode == 0, done.stderr
    page = tiny_book.page()
    for label in ("Edit this page", "Open in Colab", "Open in Binder"):
        assert label in page
    copy = tiny_book.folder / "_build" / "html" / "colab" / "07-tiny.ipynb"
    sources = ["".join(cell["source"]) for cell in json.loads(copy.read_text())["cells"]]
    assert URL in sources[-2], "the cell before the first"

    text = re.sub(r"<[^>]+>", "", page)
    assert "7\u2002A tiny chapter" in text
    assert "7.1\u2002A section" in text
    assert "(7.1) stands here" in text


def test_explain_says_each_thing_once_and_where():
    said = (
        "\x1b[91m/b/lectures/03-x.ipynb:30002: WARNING: undefined label: 'a'\x1b[39m\n"
        "/b/lectures/03-x.ipynb:30002: WARNING: undefined label: 'a'\n"
        "/b/lectures/03-x.rst: WARNING: cell 2 failed\n"
    )
    assert explain(said, Path("/b")).splitlines() == [
        "  lectures/03-x.ipynb, cell 3: undefined label: 'a'",
        "  lectures/03-x: cell 2 failed",
    ]


def test_a_style_that_repeats_becomes_a_class():
    page = (
        '<span style="top:1em;left: 2em">a</span><span class="b" style="top:1em;left: 2em">b</span>'
        '<span style="top:3em">c</span><div style="top:1em">d</div><path style="top:3em"/>'
    )
    assert share_styles(page) == (
        '<span class="y0">a</span><span class="y0 b">b</span>'
        '<span class="y1">c</span><div style="top:1em">d</div><path class="y1"/>'
        "<style>.y0{top:1em!important;left:2em!important}.y1{top:3em!important}</style>"
    )
    assert share_styles("<p>plain</p>") == "<p>plain</p>"


def test_markup_says_nothing_twice():
    formula = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mi>x</mi>'
        '<annotation encoding="application/x-tex">x</annotation></semantics></math>'
    )
    assert shorten_markup(formula) == "<math><mi>x</mi></math>"
    name = '<code class="docutils literal notranslate"><span class="pre">dx</span> <i>y</i></code>'
    assert shorten_markup(name) == "<code>dx <i>y</i></code>"
    tokens = '<span class="n">x</span> <span class="o">=</span> <span class="mi">1</span>'
    assert code.unwrap_plain_tokens(tokens) == 'x = <span class="mi">1</span>'


def test_formulas_and_their_style_sheet_use_the_same_short_names():
    short = shorten_katex('<span class="y3 vlist"><span class="mord"><span class="mord mine">')
    y3_vlist, mord, again = re.fullmatch(
        r'<span class="(y3 k\d+)"><span class=(k\d+)><span class="(k\d+) mine">', short
    ).groups()
    assert mord == again
    css = shorten_katex_css(".katex .vlist>span{top:.5em}.katex .mord.mathbf{}.vlist-t2{}")
    vlist = y3_vlist.removeprefix("y3 ")
    assert css.startswith(f".katex .{vlist}>span{{top:.5em}}.katex .{mord}.mathbf{{}}")
    assert f".{vlist}-t2" not in css


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_can_be_read(theme):
    css = (THEME / "static" / "book.css").read_text()
    grounds = dict(zip(("light", "dark"), re.findall(r"--raised: (#\w{6})", css), strict=False))
    for token, look in code.STYLES[theme]:
        if look["color"]:
            ratio = contrast(f"#{look['color']}", grounds[theme])
            assert ratio >= 4.5, f"{token} {look['color']} on {grounds[theme]}: {ratio:.2f}"


def contrast(a, b):
    """WCAG 2.2, "contrast ratio"."""
    darker, lighter = sorted(map(luminance, (a, b)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_chapter_stands_in_the_contents():
    listed = subprocess.run(
        ["git", "ls-files", "lectures/*.ipynb"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert sorted(listed) == [f"{name}.ipynb" for name in CHAPTERS]


REFERENCES = parse_file(ROOT / "book" / "references.bib").entries


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_a_reference_can_be_found(key):
    entry = REFERENCES[key]
    year = entry.fields.get("year", "")  # notes on the web may have none
    # the first author, the year, and a letter for the same author's second work of that year
    assert re.fullmatch(rf"[a-z]+{year}[b-z]?" if year else r"[a-z0-9]+", key)
    found = {
        "doi": re.fullmatch(r"10\.\d{4,}/\S+", entry.fields.get("doi", "")),
        "eprint": re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields.get("eprint", "")),
        "url": re.fullmatch(r"https://\S+", entry.fields.get("url", "")),
    }
    assert any(found.values()), f"{key} needs a DOI, an arXiv number or an address"
