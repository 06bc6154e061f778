"""The pages that collect from the chapters: all slides, all claims, notation, glossary, errata."""

import json
import re
from itertools import chain

import pytest
from contents import CHAPTERS, FILES, ROOT
from nbformat.v4 import new_output

from book.ext.claims import MIME, calls, claims_of
from book.ext.glossary import AMBIGUOUS, OTHER_SENSE, pattern
from book.ext.slides import BOX, deck_file, numbers, read_deck
from course_lib import autodiff, detection, numpy_layers, shapes, torch_layers
from course_lib.claims import claim, table

DECK = list(range(1, 85))
SHOWS, ROWS = read_deck(ROOT / "book" / "slides.toml")


def cells_of(name):
    return json.loads((ROOT / f"{name}.ipynb").read_text("utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def slides_taught(name):
    return {
        number: cell["id"]
        for cell in cells_of(name)
        for number in cell["metadata"].get("course", {}).get("slides", [])
    }


# ---- slides ----


def test_numbers():
    assert numbers("7, 21\N{EN DASH}24,9-10") == [7, 21, 22, 23, 24, 9, 10]
    assert numbers("1") == [1]


def test_every_slide_is_described_once():
    assert list(SHOWS) == DECK
    lines = [line for line, _ in SHOWS.values()]
    assert len(set(lines)) == len(lines)
    assert all(8 < len(line) < 170 for line in lines)


def test_every_slide_is_on_the_page_once():
    page = (ROOT / "pages" / "slides.md").read_text("utf-8")
    shown = [numbers(group) for group in re.findall(r"```\{slides\} (.*)", page)]
    assert list(chain(*shown)) == DECK


def test_every_slide_is_taught():
    taught = {number for name in CHAPTERS for number in slides_taught(name)}
    assert sorted(taught) == DECK


@pytest.mark.parametrize("name", CHAPTERS)
def test_box_cells_and_syllabus_agree(name):
    (box,) = BOX.findall("\n".join(source(cell) for cell in cells_of(name)))
    chapter = int(name.removeprefix("lectures/")[:2])
    assert sorted(slides_taught(name)) == numbers(box) == ROWS[chapter]


@pytest.mark.parametrize("name", CHAPTERS)
def test_slides_stand_at_headings(name):
    at_headings = set(slides_taught(name).values())
    found = {cell["id"]: cell for cell in cells_of(name)}
    for cell in (found[key] for key in sorted(at_headings)):
        assert re.search(r"(?m)^#{2,3} ", source(cell)), cell["id"]


def teaching(*slides, box=None):
    """A chapter that teaches some slides, as `tiny_book.chapter` takes it."""
    text = f"**Slides** {box}. **Reading** a minute.\n\n" if box else ""
    return f"{text}## A section of it", {"course": {"slides": list(slides)}}


SLIDES_PAGE = "# Slides\n\nOne sentence about them.\n\n```{slides} 1-2\n```\n"
TINY_DECK = '[rows]\n7 = "1-2"\n8 = "3"\n[text]\n1 = "A title"\n2 = "A net"\n3 = "A demo"\n'


@pytest.fixture
def slides_book(tiny_book):
    tiny_book.write("book/slides.toml", TINY_DECK)
    tiny_book.write("pages/slides.md", SLIDES_PAGE)

    def chapter(text, metadata, *cells):
        tiny_book.chapter(text, *cells)
        path = tiny_book.folder / "lectures" / "07-tiny.ipynb"
        notebook = json.loads(path.read_text())
        notebook["cells"][1]["metadata"] = metadata
        path.write_text(json.dumps(notebook))
        with (tiny_book.folder / "_toc.yml").open("a") as toc:
            toc.write("  - file: pages/slides\n")

    tiny_book.teach = chapter
    return tiny_book


@pytest.mark.parametrize(
    "taught,box,complaints",
    [
        ([1], None, ["no section teaches slide 2"]),
        ([1, 2, 9], None, ["07-tiny.ipynb: slide 9 is not in the deck"]),
        ([1, 2, 3], None, ["07-tiny.ipynb: slide 3 is not among those of chapter 07"]),
        ([1, 2], "1", ["names the slides 1, the cells teach 1, 2: change one"]),
    ],
    ids=["untaught", "unknown", "outside", "box"],
)
def test_slides_that_do_not_fit_fail_the_build(slides_book, taught, box, complaints):
    slides_book.teach(*teaching(*taught, box=box))
    done = slides_book.build()
    last_words = done.stderr.split("The book is not built.")[-1]
    assert done.returncode == 1, done.stdout[-2000:]
    assert all(complaint in last_words for complaint in complaints), last_words


def test_the_page_of_slides_follows_the_chapters(slides_book):
    slides_book.teach(*teaching(1, 2, box="1\N{EN DASH}2"))
    done = slides_book.build()
    assert done.returncode == 0, done.stderr
    page = slides_book.page("pages/slides")
    link = '<a href="../lectures/07-tiny.html#a-section-of-it">'
    title = "<span class=title>\N{NO-BREAK SPACE}A section of it</span>"
    assert page.count(f"{link}7.1{title}</a>") == 2
    assert "A title." in page

    text, metadata = teaching(1, 2)
    slides_book.teach(text.replace("of it", "renamed"), metadata)
    assert slides_book.build().returncode == 0
    page = slides_book.page("pages/slides")
    assert "#a-section-renamed" in page
    assert "#a-section-of-it" not in page


# ---- claims ----


def output_of(made):
    data = {"text/plain": repr(made), **made._repr_mimebundle_()}
    return new_output("execute_result", data=data)


def test_what_an_output_claims():
    at_most = claim("error (top-5), points", 7.25, at_most=8, unit="%", format=".1f")
    cited = claim(
        "a name: with (all)", 3, at_least=2, published="about 5 (five)", source="A (1999), table 2"
    )
    (one,) = claims_of(output_of(cited))
    assert one["printed"] == "about 5 (five)"
    assert (one["shown"], one["checked"], one["caption"]) == ("3", "at least 2", "")
    first, second = claims_of(output_of(table(at_most, cited, caption="Two of them")))
    assert (first["shown"], first["checked"]) == ("7.2\N{NO-BREAK SPACE}%", "at most 8.0\xa0%")
    assert first["printed"] == ""
    assert {first["caption"], second["caption"]} == {"Two of them"}
    assert list(claims_of(new_output("stream", text="nothing"))) == []


def test_time_of_the_cell_unless_the_claim_has_its_own():
    plain, timed = claim("a", 1, equals=1), claim("b", 1, equals=1, seconds=9)
    for made, seconds in [(plain, 0.5), (timed, 9)]:
        output = output_of(made)
        output.metadata[MIME] = {"seconds": 0.5}
        assert [one["seconds"] for one in claims_of(output)] == [seconds]


@pytest.mark.parametrize(
    "cell,expected",
    [
        ("x = 1", 0),
        ("claim('a', 1, equals=1)", 1),
        ("table(claim('a', 1, equals=1), claims.claim('b', 2, equals=2))", 2),
        ("[claim(n, 1, equals=1) for n in names]", 1),
        ("def later():\n    return claim('a', 1, equals=1)", 0),
        ("%matplotlib inline\nclaim('a', 1, equals=1)", 1),
        ("print('claim(1)')", 0),
    ],
)
def test_how_many_claims_a_cell_has_to_leave(cell, expected):
    assert calls(cell) == expected


IMPORT = ("load", "from course_lib.claims import claim, table")
CLAIMS_PAGE = """\
# Claims

One sentence about {measured}`07/a number`, see {cell}`07/here`.

```{collected-claims} summary
```

```{collected-claims} published
```

```{collected-claims} chapters
```
"""


@pytest.fixture
def claims_book(tiny_book):
    tiny_book.write("pages/claims.md", CLAIMS_PAGE)

    def chapter(*sources):
        named = [("here" if n == 0 else f"here-{n}", text) for n, text in enumerate(sources)]
        tiny_book.chapter("## A section", IMPORT, *named)
        with (tiny_book.folder / "_toc.yml").open("a") as toc:
            toc.write("  - file: pages/claims\n")

    tiny_book.claim = chapter
    return tiny_book


@pytest.mark.parametrize(
    "cell,complaint",
    [
        (
            "made = claim('a number', 1, equals=1)",
            r"cell 4, `here` \(made = .*\) makes a claim and shows none",
        ),
        (
            "claim('a number', 0.5, at_least=0.9)",
            r'cell 4, `here` .*ClaimError: claim "a number": measured 0.5, expected >= 0.9',
        ),
    ],
    ids=["without a run", "outside"],
)
def test_a_claim_that_is_not_kept_fails_the_build(claims_book, cell, complaint):
    claims_book.claim(cell)
    done = claims_book.build()
    last_words = done.stderr.split("The book is not built.")[-1]
    assert done.returncode == 1, done.stdout[-2000:]
    assert re.search(complaint, last_words), last_words


def test_the_page_of_claims_follows_the_chapters(claims_book):
    cited = "claim('b', 2, at_most=3, published=1, source='A (1999), table 2')"
    claims_book.claim("claim('a number', 4321, at_least=4)", cited)
    done = claims_book.build()
    assert done.returncode == 0, done.stderr
    page = claims_book.page("pages/claims")
    link = '<a href="../lectures/07-tiny.html#cell-here">a number</a>'
    assert f'<th scope="row">{link}</th><td>4,321<small>at least 4</small></td><td>0.' in page
    assert "2 numbers in 1 chapters, 1 of them beside a published one" in page
    assert "<td>1<small>A (1999), table 2</small></td><td>2<small>at most 3</small></td>" in page
    assert re.search(r"Run on \d+ \w+ 20\d\d at \d\d:\d\d UTC, in \d+\W*s\.", page)
    chapter = claims_book.page()
    assert 'id="cell-here"' in chapter

    before = (claims_book.folder / "_build/html/pages/claims.html").stat().st_mtime_ns
    assert claims_book.build().returncode == 0
    after = (claims_book.folder / "_build/html/pages/claims.html").stat().st_mtime_ns
    assert after == before, "nothing has changed"

    claims_book.claim("claim('a number', 9876, at_least=4)")
    assert claims_book.build().returncode == 0
    page = claims_book.page("pages/claims")
    assert "9,876" in page
    assert "4,321" not in page
    assert "1 numbers in 1 chapters, 0 of them" in page


# ---- notation, glossary, errata ----


def page_of(name):
    return (ROOT / "pages" / f"{name}.md").read_text("utf-8")


def prose():
    """The prose of all chapters, emphasis and line breaks taken out, in lower case."""
    texts = [source(c) for name in CHAPTERS for c in cells_of(name) if c["cell_type"] == "markdown"]
    return re.sub(r"\s+", " ", "\n".join(texts).replace("*", "")).lower()


PAGES_WITH_CELLS = ["errata", "glossary", "notation"]
CELLS = {
    f"{name.removeprefix('lectures/')[:2]}/{cell['id']}": cell
    for name in CHAPTERS
    for cell in cells_of(name)
}
TERMS = re.findall(r"(?m)^(\S.*)\n  \S", page_of("glossary").split("```{glossary}")[1])


@pytest.mark.parametrize("name", PAGES_WITH_CELLS)
def test_cells_that_pages_link_to_exist(name):
    targets = re.findall(r"\{cell\}`(?:[^`<]*<)?([^`>]*)", page_of(name))
    assert len(targets) >= 15
    assert [target for target in targets if target not in CELLS] == []


def test_the_glossary_is_in_alphabetic_order():
    assert 80 <= len(TERMS) <= 130
    plain = [term.lower().replace("-", " ") for term in TERMS]
    assert plain == sorted(plain)
    assert len(set(plain)) == len(plain)


def test_each_entry_of_the_glossary_is_short_and_says_where():
    for entry in page_of("glossary").split("```{glossary}")[1].split("```")[0].split("\n\n"):
        _, _, definition = entry.strip().partition("\n")
        text = re.sub(r" \{cell\}`[^`]*`", "", definition)
        assert definition.count("{cell}`") == 1, entry
        assert text.endswith("."), entry
        assert len(re.findall(r"\.(?: |$)", text.replace("e.g.", ""))) <= 3, entry


def test_each_word_of_the_glossary_occurs_in_a_chapter():
    text = prose()
    assert [term for term in TERMS if term.lower() not in text] == []


def test_words_that_are_set_aside_are_in_the_glossary():
    plain = {term.lower() for term in TERMS}
    assert plain >= AMBIGUOUS.union(*OTHER_SENSE.values())


@pytest.mark.parametrize(
    "text,found",
    [
        ("A convolution, and two convolutions.", ["convolution", "convolutions"]),
        ("Transposed\nconvolutions", ["Transposed\nconvolutions"]),
        ("deconvolution, convolution-like, convolutional", []),
    ],
)
def test_pattern(text, found):
    finds = pattern(["convolution", "transposed convolution"]).finditer(text)
    assert [match[0] for match in finds] == found


GLOSSARY = """\
# Glossary

One sentence about it.

```{glossary}
kernel
  What slides. {cell}`07/text-0`

precision
  A share.
```
"""


def test_chapters_link_to_the_glossary_at_the_first_use(tiny_book):
    def chapter(*texts):
        tiny_book.chapter(*texts, ("code", "kernel = 1"))
        tiny_book.write("pages/glossary.md", GLOSSARY)
        with (tiny_book.folder / "_toc.yml").open("a") as toc:
            toc.write("  - file: pages/glossary\n")
        done = tiny_book.build()
        assert done.returncode == 0, done.stderr
        return tiny_book.page()

    box = ":::{note}\nA kernel in a box.\n:::"
    page = chapter(
        "## The kernel", f"{box}\n\n`kernel` and *kernels* and kernel, in float precision."
    )
    link = '<a class="term" href="../pages/glossary.html#term-kernel">'
    assert f"<em>{link}kernels</a></em> and kernel" in page
    assert page.count("#term-") == 1
    assert "7.1<span class=title>" in tiny_book.page("pages/glossary")

    tiny_book.write("pages/glossary.md", GLOSSARY.replace("kernel\n", "filter\n"))
    assert tiny_book.build().returncode == 0
    assert "#term-" not in tiny_book.page(), "the chapter is written again"


@pytest.mark.parametrize(
    "text,complaint",
    [
        ("See {cell}`07/nowhere`.", r"lectures/07-tiny has no cell `nowhere`"),
        ("See {cell}`12/title`.", r"there is no chapter 12"),
        ("See {measured}`07/a number`.", r"chapter 07 has no claim 'a number'"),
    ],
    ids=["cell", "chapter", "claim"],
)
def test_a_link_to_nothing_fails_the_build(tiny_book, text, complaint):
    tiny_book.chapter(("code", "1 + 1"))
    tiny_book.write("intro.md", f"# A tiny book\n\n{text}\n")
    done = tiny_book.build()
    assert done.returncode == 1, done.stdout[-2000:]
    assert re.search(complaint, done.stderr.split("The book is not built.")[-1])


def axes_of_code():
    """The letters that `course_lib.shapes` gives to axes."""
    text = re.sub(r"\s+", " ", shapes.__doc__.split("The letters of the course:")[1])
    marked = re.findall(r"``([A-Z ]+)``", text.split("The checks take")[0])
    return {letter for group in marked for letter in group.split()}


def test_notation_has_the_letters_of_the_code():
    letters = set(re.findall(r"`([A-Z]{1,2})`", page_of("notation").split("## Gradients")[0]))
    assert letters == axes_of_code()


def test_notation_names_what_the_library_has():
    rooms = (autodiff, numpy_layers, torch_layers, detection)
    parameters = {"dx", "dy", "dweight", "dbias", "loss", "weight", "bias", "logits", "labels"}
    parameters |= {"x", "y", "gamma", "beta", "groups", "boxes", "parameters", "macs", "stride"}
    rows = re.findall(r"(?m)^\|([^|\n]*)\|([^|\n]*)\|[^|\n]*\|[^|\n]*\|$", page_of("notation"))
    names = {name for _, code in rows for name in re.findall(r"`([a-z_0-9]+)`", code)}
    assert len(names) >= 30
    missing = [n for n in names - parameters if not any(hasattr(room, n) for room in rooms)]
    assert sorted(missing) == ["probabilities", "receptive_field"]


def test_errata_name_slides_of_the_deck():
    wrong = page_of("errata").split("## Where a paper")[0]
    entries = re.findall(r"(?m)^Slides? (\d+)(?:(?:\u2013| and )(\d+))?: .*\n: ", wrong)
    assert len(entries) >= 12
    assert {int(number) for pair in entries for number in pair if number} <= set(DECK)


# ---- the book's own ----


def test_the_collecting_pages_are_in_the_book():
    names = ("slides", "claims", "errata", "notation", "glossary")
    assert {f"pages/{name}" for name in names} <= set(FILES)
    assert deck_file(type("Env", (), {"srcdir": ROOT})).is_file()


@pytest.mark.parametrize("name", CHAPTERS)
def test_cells_with_claims_can_be_linked_to(site, name):
    page = (site / f"{name}.html").read_text("utf-8")
    collected = (site / "pages" / "claims.html").read_text("utf-8")
    claiming = [c["id"] for c in cells_of(name) if c["cell_type"] == "code" and calls(source(c))]
    assert len(claiming) >= 5
    for cell in claiming:
        assert f'id="cell-{cell}"' in page
        assert f'{name}.html#cell-{cell}"' in collected


def test_the_page_of_claims_is_light(site):
    assert (site / "pages" / "claims.html").stat().st_size <= 500 * 1024
