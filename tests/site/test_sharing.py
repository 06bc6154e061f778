"""With one setting the pages say where they are; without it they say nothing false."""

import re
from xml.etree import ElementTree

import pytest
from contents import ROOT
from PIL import Image

from book.ext.sharing import FOLDER, SIZE, Card, fit, plain

URL = "https://example.org/course"
PLACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"


@pytest.fixture
def published(tiny_book):
    config = (ROOT / "_config.yml").read_text()
    assert config.count('  baseurl: ""') == 1, "no address yet: no page claims one"
    tiny_book.write("_config.yml", config.replace('baseurl: ""', f"baseurl: {URL}/"))
    tiny_book.chapter("## A section\n\nText.")
    return tiny_book


def tags(page):
    found = re.findall(r'<meta property="([^"]+)" content="([^"]*)">', page)
    assert len(dict(found)) == len(found)
    return dict(found)


def test_the_address_makes_the_tags(published):
    done = published.build()
    assert done.returncode == 0, done.stderr
    page = published.page()
    assert f'<link rel="canonical" href="{URL}/lectures/07-tiny.html">' in page
    said = tags(page)
    assert said["og:title"] == "A tiny chapter"
    assert said["og:description"] == "A sentence."
    assert said["og:url"] == f"{URL}/lectures/07-tiny.html"
    assert said["og:type"] == "article"
    assert said["og:image:alt"] == "From Gradients to Detectors. Chapter 7: A tiny chapter"
    assert "og:title" not in published.page("search")

    root = published.page("index")
    assert f'<link rel="canonical" href="{URL}/">' in root
    assert tags(root)["og:title"] == "From Gradients to Detectors"
    assert tags(root)["og:type"] == "website"

    site = published.folder / "_build" / "html"
    for said in (tags(page), tags(root)):
        picture = site / said["og:image"].removeprefix(f"{URL}/")
        with Image.open(picture) as card:
            assert card.size == SIZE == (1200, 630)
        assert picture.stat().st_size <= 100 * 1024
    assert len(list((site / FOLDER).iterdir())) == 2

    places = [loc.text for loc in ElementTree.parse(site / "sitemap.xml").iter(PLACE)]
    assert places == [f"{URL}/", f"{URL}/lectures/07-tiny.html"]
    assert (site / "robots.txt").read_text() == f"Sitemap: {URL}/sitemap.xml\n"


def test_without_an_address_nothing_is_said(published):
    assert published.build().returncode == 0
    published.write("_config.yml", (ROOT / "_config.yml").read_text())
    done = published.build()
    assert done.returncode == 0, done.stderr
    for name in ("index", "lectures/07-tiny"):
        assert 'rel="canonical"' not in published.page(name)
        assert "og:" not in published.page(name)
    site = published.folder / "_build" / "html"
    assert not [site / name for name in ("sitemap.xml", FOLDER) if (site / name).exists()]


def test_a_title_has_room_on_its_card():
    title = "How many windows does it take to see everything? Detection as classification"
    size, lines = fit(title, 530)
    assert " ".join(lines) == title
    assert size >= 36
    assert fit("Claims", 530) == (64, ["Claims"])


def test_a_card_is_named_by_what_it_shows():
    card = Card("A course", "A title", "Chapter 3", 3)
    assert card.name_in_site == Card("A course", "A title", "Chapter 3", 3).name_in_site
    assert card.name_in_site != Card("A course", "Another", "Chapter 3", 3).name_in_site
    assert card.says == "A course. Chapter 3: A title"
    assert Card("A course", "A title", "", None).says == "A course. A title"


def test_the_window_moves_from_card_to_card():
    first, second = (Card("A", "B", "", number).draw().tobytes() for number in (1, 2))
    assert first != second


def test_plain_title():
    assert plain('<span class="section-number">3\u2002</span>A <em>b</em> &amp; c') == "A b & c"
