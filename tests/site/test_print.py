"""The book on paper: that every page is whole, and that nothing on it is cut or lost."""

import re
import shutil
import subprocess
from html import unescape
from xml.etree import ElementTree

import pytest
from browser import missing
from contents import CHAPTERS, ROOT
from editions import write_site
from pypdf import PdfReader
from pypdf.generic import ArrayObject

from book.editions import pdf
from book.editions.pages import EditionError, built_site, listed, pages, released, write_zip

POINTS = 72 / 25.4  # in a millimetre
LEFT, RIGHT = 28 * POINTS, (210 - 28) * POINTS
TOP, BOTTOM = 24 * POINTS, (297 - 20) * POINTS
HEAD = 12 * POINTS  # what stands above is the running title
LARGEST = 30 * 2**20  # bytes


def printed(root):
    try:
        return pdf.print_book(root)
    except EditionError as error:
        if "needs a browser" in str(error):
            missing(str(error))
        raise


@pytest.fixture(scope="module")
def file(site):
    return printed(ROOT)


@pytest.fixture(scope="module")
def reader(file):
    return PdfReader(file)


@pytest.fixture(scope="module")
def layout(file):
    """For each page its words with their boxes: ``(word, left, top, right, bottom)`` in points."""
    if not shutil.which("pdftotext"):
        missing("no pdftotext: `sudo apt install poppler-utils` on Debian and Ubuntu")
    command = ["pdftotext", "-bbox", file, "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", said)
    space = "{http://www.w3.org/1999/xhtml}"
    found = []
    for page in ElementTree.fromstring(said).iter(f"{space}page"):
        boxes = []
        for word in page.iter(f"{space}word"):
            box = (float(word.get(name)) for name in ("xMin", "yMin", "xMax", "yMax"))
            boxes.append((word.text, *box))
        found.append(boxes)
    return found


@pytest.fixture(scope="module")
def shell(file):
    """The document that was printed, as text."""
    return (file.parent / "book.html").read_text(encoding="utf-8")


def words_of(page, top=0.0):
    return "".join(word for word, _, y, _, _ in page if y >= top)


def squeezed(text):
    return re.sub(r"\s+", "", text)


def test_says_what_it_is(reader, file):
    assert reader.metadata.title == "From Gradients to Detectors"
    assert reader.root_object["/Lang"] == "en-GB"
    assert reader.root_object["/MarkInfo"]["/Marked"] is not None, "readers for the blind need tags"
    assert reader.metadata.creation_date.timestamp() == released(ROOT)
    assert file.stat().st_size < LARGEST


def test_the_outline_has_every_heading_of_the_book(reader, shell):
    found = [item.title for item in flat(reader.outline)]
    headings = re.findall(r"<h([1-6])[^>]*>(.*?)</h\1>", shell, re.DOTALL)
    expected = [unescape(re.sub(r"<[^>]+>", "", text)) for _, text in headings]
    assert [" ".join(t.split()) for t in found] == [" ".join(t.split()) for t in expected]
    tops = [item.title for item in reader.outline if not isinstance(item, list)]
    assert len(tops) == len([name for name in listed(ROOT) if "pages/reference/" not in name])
    assert len([title for title in tops if re.match(r"\d+\s", title)]) == len(CHAPTERS)


def test_a_heading_that_chromium_says_twice_is_said_once():
    def title(text):
        return b"/Title <FEFF" + text.encode("utf-16-be").hex().upper().encode() + b">"

    data = (
        title("2\u20022\u2002New \xe9raNew \xe9ra")
        + b"/Title (f\\(x\\)f\\(x\\))/Title (papa)/Title (a a n)"
    )
    headings = [["2\u2002", "New \xe9ra"], ["f(x)"], ["papa"], ["a ", "n"]]
    mended = pdf.mend_outline(data, headings)
    assert b" ".join(mended.split()) == (
        title("2\u2002New \xe9ra") + b" /Title (f\\(x\\)) /Title (papa)/Title (a n)"
    )
    assert len(mended) == len(data)


def test_no_page_is_blank(layout):
    bare = [n for n, page in enumerate(layout, start=1) if len(words_of(page, TOP)) < 20]
    assert not bare


def test_no_word_stands_in_the_margins(layout):
    out = [
        f"page {n}: {word}"
        for n, page in enumerate(layout, start=1)
        for word, left, top, right, bottom in page
        if left < LEFT - 1 or right > RIGHT + 1 or top < HEAD or bottom > BOTTOM + 2
    ]
    assert not out


def test_pages_are_numbered_and_say_their_chapter(layout, reader):
    starts = [
        reader.get_destination_page_number(item) + 1
        for item in reader.outline
        if not isinstance(item, list)
    ]
    titles = [squeezed(item.title) for item in reader.outline if not isinstance(item, list)]
    chapter = -1
    for number, page in enumerate(layout[starts[0] - 1 :], start=starts[0]):
        chapter += number in starts
        heads = [word for word, _, _, _, bottom in page if bottom < TOP]
        assert heads[-1] == str(number)
        assert squeezed("".join(heads[:-1])) == titles[chapter]


def test_the_contents_name_the_right_pages(file, shell, layout):
    numbers = pdf.page_numbers(file)
    lines = re.findall(r'<a href="#([^"]+)">.*?class="number">(\d*)</span>', shell)
    assert len(lines) > 10 * len(CHAPTERS)
    assert all(numbers[place] == int(number) for place, number in lines)
    titles = dict(
        re.findall(r'<section id="([^"]+)" class="leaf".*?<h1[^>]*>(.*?)</h1>', shell, re.DOTALL)
    )
    for place, title in titles.items():
        title = squeezed(unescape(re.sub(r"<[^>]+>", "", title)))
        assert words_of(layout[numbers[place] - 1], TOP).startswith(title)


def test_no_heading_stands_alone_at_the_bottom(reader, layout):
    alone = []
    for item in flat(reader.outline):
        number = reader.get_destination_page_number(item)
        top = 842 - float(item.top)  # from the top of the page, as poppler counts
        below = [word for word, _, y, _, _ in layout[number] if y > top + 8]
        if len("".join(below)) - len(squeezed(item.title)) < 3:
            alone.append(f"page {number + 1}: {item.title}")
    assert not alone


def flat(outline):
    for item in outline:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


def test_links_lead_somewhere(reader):
    places = reader.named_destinations
    inside, outside = 0, set()
    for page in reader.pages:
        for link in page.get("/Annots", ()):
            link = link.get_object()
            action = link.get("/A", {})
            if "/URI" in action:
                outside.add(str(action["/URI"]))
                continue
            place = link.get("/Dest", action.get("/D"))
            assert isinstance(place, ArrayObject) or str(place).removeprefix("/") in {
                name.removeprefix("/") for name in places
            }, place
            inside += 1
    assert inside > 300
    assert outside
    assert all(re.match(r"https?://|mailto:", address) for address in outside)
    assert not [address for address in outside if "site.invalid" in address]


def test_every_font_is_inside(reader):
    fonts, seen = {}, set()
    for page in reader.pages:
        for reference in page["/Resources"].get("/Font", {}).values():
            if reference.indirect_reference.idnum in seen:
                continue
            seen.add(reference.indirect_reference.idnum)
            font = reference.get_object()
            for part in [font, *(d.get_object() for d in font.get("/DescendantFonts", ()))]:
                if "/FontDescriptor" in part:
                    fonts[font["/BaseFont"]] = part["/FontDescriptor"].keys()
            if font["/Subtype"] == "/Type3":
                fonts[font.get("/BaseFont", "drawn")] = {"/FontFile2"}
    assert len(fonts) > 5
    assert all(keys & {"/FontFile", "/FontFile2", "/FontFile3"} for keys in fonts.values())
    assert any("STIXGeneral" in name for name in fonts)


def test_figures_stand_whole_with_their_captions(shell, layout):
    """The words that a figure draws are on the page of its caption."""
    texts = [words_of(page, TOP) for page in layout]
    figures = re.findall(r"<figure.*?</figure>", shell, re.DOTALL)
    captions, torn = 0, []
    for figure in figures:
        caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.DOTALL)
        if not caption or "<svg" not in figure or "katex" in caption[1]:
            continue
        caption = squeezed(unescape(re.sub(r"<[^>]+>", "", caption[1])))
        where = [text for text in texts if caption in text]
        drawn = re.findall(r"<text(?![^>]*rotate)[^>]*>([^<]+)</text>", figure)
        words = {squeezed(unescape(word)) for word in drawn if len(word.strip("\u200b")) > 2}
        captions += 1
        if not any(all(word in text for word in words) for text in where):
            torn.append(caption[:60])
    assert captions > 3 * len(CHAPTERS)
    assert not torn


def test_solutions_are_unfolded_and_nothing_needs_a_click(shell):
    assert shell.count('class="solution') >= 3 * len(CHAPTERS)
    for tag in ("<details", "<script", "<course-", "<button"):
        assert tag not in shell.split("<body")[1].replace("</script>", "").split("<script>")[0]


# ---- what the tiny books show ----

FORMULA = (
    '<span class="katex-display" style="display:block;overflow:hidden"><span class="katex">'
    '<span class="katex-mathml"><math></math></span><span class="katex-html" aria-hidden="true">'
    '<span style="display:inline-block;width:{}em">x</span></span></span></span>'
)


def test_a_link_leads_to_its_place_on_another_page(tmp_path):
    root = write_site(
        tmp_path,
        **{
            "01-first": '<p id="a/b">First.</p><p><a href="02-second.html#a">to</a> '
            '<a href="02-second.html">top</a> <a href="../search.html">none</a> '
            '<a href="https://example.org/">out</a> <a href="#a/b">own</a></p>',
            "02-second": '<p id="a">Second.</p><p><a href="../index.html">home</a></p>',
        },
    )
    file = printed(root)
    text = (file.parent / "book.html").read_text()
    links = re.findall(r'<a href="([^"]*)">(\w+)</a>', text)
    assert links == [
        ("#chapter-02-second--a", "to"),
        ("#chapter-02-second", "top"),
        ("https://example.org/", "out"),
        ("#chapter-01-first--a-b", "own"),
        ("#intro", "home"),
    ]
    assert set(pdf.page_numbers(file)) >= {"chapter-02-second--a", "chapter-01-first--a-b"}
    assert len(PdfReader(file).pages) == 6


def test_what_leads_to_the_source_goes_with_its_brackets(tmp_path):
    link = '<a class="source-link" href="../source/conv.html#pad">source</a>'
    entry = '<a href="../pages/reference/conv.html"><code>pad</code></a>'
    body = f"<p>In the library: {entry} ({link}), {entry}.</p>"
    text = (printed(write_site(tmp_path, **{"01-first": body})).parent / "book.html").read_text()
    assert "<p>In the library: <code>pad</code>, <code>pad</code>.</p>" in text


def test_the_same_book_is_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    root = write_site(tmp_path, **{"01-first": "<p>First.</p>"})
    first = printed(root).read_bytes()
    assert b"D:19700102000000+00'00'" in first
    assert printed(root).read_bytes() == first


def test_long_lines_of_code_hang_and_long_formulas_shrink(tmp_path):
    code = (
        '<pre><span></span><span class="k">def</span> f():\n    '
        + "long_name + " * 12
        + "1\n</pre>"
    )
    root = write_site(tmp_path, **{"01-first": code + FORMULA.format(50)})
    text = (printed(root).parent / "book.html").read_text()
    assert re.search(r'<span class="line"[^>]*padding-left: 8ch; text-indent: -8ch', text)
    assert re.search(r'katex-display" style="[^"]*font-size: 0\.[78]\d*em', text)


def test_what_cannot_fit_stops_the_printing(tmp_path):
    wide = '<img alt="x" style="min-width: 900px; height: 9px" src="x.png">'
    table = f"<div><table><tr><td>{'m' * 300}</td></tr></table></div>"
    root = write_site(tmp_path, **{"01-first": FORMULA.format(300) + wide + table})
    with pytest.raises(EditionError, match="does not fit the page:") as caught:
        pdf.print_book(root)
    said = str(caught.value)
    assert "lectures/01-first: span.katex-display" in said
    assert "lectures/01-first: img" in said
    assert "lectures/01-first: table" in said


def test_a_site_must_be_there(tmp_path):
    with pytest.raises(EditionError, match="run `make book` first"):
        built_site(tmp_path)
    root = write_site(tmp_path, **{"01-first": ""})
    (root / "_build/html/lectures/01-first.html").unlink()
    with pytest.raises(EditionError, match="the site lacks lectures/01-first"):
        pages(root / "_build/html", root)


def test_the_reference_of_the_library_stays_on_the_site(tmp_path):
    root = write_site(tmp_path, **{"01-first": ""})
    toc = root / "_toc.yml"
    toc.write_text(toc.read_text() + "  - file: pages/reference/shapes\n")
    assert listed(root)[-1] == "pages/reference/shapes"
    assert [page["key"] for page in pages(built_site(root), root)] == ["intro", "chapter-01-first"]


def test_an_archive_depends_on_nothing_but_its_content(tmp_path):
    content = {"b": "text", "a": b"bytes", "c": tmp_path / "c"}
    (tmp_path / "c").write_text("from a file")
    for name in ("one.zip", "two.zip"):
        write_zip(tmp_path / name, content, 0, stored={"b"})
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
