"""Every page of the book in a browser: light, dark, on a phone, on paper, from the disk."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from contents import CHAPTERS, PAGES, ROOT, SOURCES, TOC
from pygments.token import Keyword

from book.ext import code

THEMES = ["light", "dark"]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
CHAPTER_WEIGHT = 700 * 1024  # bytes: all that a chapter's page loads, uncompressed

each_page = pytest.mark.parametrize("name", PAGES)


class Visit:
    """A page that was opened, and all that it asked for and complained about."""

    def __init__(self, browser, url, *, theme="light", viewport=DESK, **context):
        self.context = browser.new_context(color_scheme=theme, viewport=viewport, **context)
        self.page = self.context.new_page()
        self.requests, self.weight, self.complaints = [], 0, []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self.listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.goto(url, wait_until="load")

    def listen(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def unfold(self):
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        self.page.wait_for_timeout(100)  # until what scrolls is marked
        return self.page


@pytest.fixture
def visit(browser):
    visits = []

    def open_page(url, **how):
        visits.append(Visit(browser, url, **how))
        return visits[-1]

    yield open_page
    for made in visits:
        made.context.close()


class Anchors(HTMLParser):
    """What a page can be linked to, and what it links to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            assert attributes["id"] not in self.ids, f"id {attributes['id']} stands twice"
            self.ids.add(attributes["id"])
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]


def test_links_lead_somewhere(site):
    found = {page: Anchors(page.read_text()) for page in sorted(site.rglob("*.html"))}
    names = {page.relative_to(site).with_suffix("").as_posix() for page in found}
    assert {n for n in names if not n.startswith("source/")} == {"index", *PAGES} - {*SOURCES}
    assert {*SOURCES} < names
    dead = []
    for page, anchors in found.items():
        for link in anchors.links:
            path, anchor = urldefrag(link)
            if re.match(r"\w+:", path):
                continue
            target = (page.parent / unquote(path.split("?")[0])).resolve() if path else page
            target = found.get(target, target)
            missing = unquote(anchor) not in target.ids if anchor else False
            if missing or not (isinstance(target, Anchors) or target.is_file()):
                dead.append(f"{page.name}: {link}")
    assert not dead


def test_the_front_door_is_the_landing_page(site):
    assert (site / "index.html").read_bytes() == (site / f"{TOC['root']}.html").read_bytes()


# axe looks at each of the 9,000 parts of a chapter's formulas and figures; one word stands for all
# parts of a formula, in a box of the same size, and a figure's parts are hidden behind its words.
# What scrolls then is made to take the focus before the next frame but one.
ATOMS = """async () => {
  const formulas = [...document.querySelectorAll(".katex-html")];
  const sizes = formulas.map(e => [e.scrollWidth, e.scrollHeight]);  // 0 of those in a line
  formulas.forEach((e, i) => {
    const [width, height] = sizes[i].map(size => `${size}px`);
    e.textContent = e.textContent;
    if (sizes[i][0]) {
      Object.assign(e.style, { display: "inline-block", width, height, overflow: "clip" });
    }
  });
  document.querySelectorAll("svg[role=img]").forEach(e => { e.replaceChildren() });
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
}"""


@each_page
@pytest.mark.parametrize("theme,viewport", [("light", DESK), ("dark", PHONE)], ids=THEMES)
def test_no_accessibility_violation(visit, violations, address, name, theme, viewport):
    page = visit(f"{address}{name}.html", theme=theme, viewport=viewport).unfold()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.evaluate(ATOMS)
    assert violations(page) == []


@each_page
def test_asks_nobody_else_and_complains_of_nothing(visit, address, name):
    visited = visit(f"{address}{name}.html")
    page = visited.unfold()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert [url for url in visited.requests if not url.startswith((address, "data:"))] == []
    assert visited.complaints == []


@each_page
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_fits_the_width(visit, address, name, viewport):
    page = visit(f"{address}{name}.html", viewport=viewport).unfold()
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], "the page scrolls sideways"


@each_page
def test_structure(visit, address, name):
    page = visit(f"{address}{name}.html").page
    assert page.get_attribute("html", "lang") == "en-GB"
    assert page.locator("h1").count() == 1
    for landmark in ("banner", "main", "contentinfo", "search"):
        assert page.get_by_role(landmark).count() == 1, landmark
    description = page.get_attribute('meta[name="description"]', "content")
    assert 20 <= len(description) <= 170
    assert page.title().endswith("From Gradients to Detectors")


@each_page
def test_pictures_say_what_they_show(visit, address, name):
    page = visit(f"{address}{name}.html").page
    words = page.evaluate(
        """[...document.querySelectorAll("article img, article svg[role=img]")]
           .map(p => p.getAttribute(p.localName == "img" ? "alt" : "aria-label"))"""
    )
    assert all(word and len(word) > 15 and not re.search(r"\.\w{3,4}$", word) for word in words)


@each_page
def test_formulas_are_drawn(visit, address, name):
    page = visit(f"{address}{name}.html").page
    assert page.locator(".katex-error").count() == 0
    text = page.evaluate(
        """(() => {
          const copy = document.querySelector("article").cloneNode(true);
          copy.querySelectorAll(".katex, code, pre, script, style").forEach(e => e.remove());
          return copy.textContent;
        })()"""
    )
    assert not re.search(r"\\[a-z]{2,}|\$[^$\n]+\$|\\\(|\{(numref|cite|eq|doc)", text)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_light(visit, address, name):
    visited = visit("about:blank")
    sizes = []
    visited.page.on("response", lambda response: sizes.append(len(response.body())))
    visited.page.goto(f"{address}{name}.html", wait_until="networkidle")
    assert sum(sizes) <= CHAPTER_WEIGHT, f"{sum(sizes) / 1024:.0f} KiB"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_can_be_downloaded(visit, address, name):
    page = visit(f"{address}{name}.html").page
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the notebook").click()
    source = ROOT / f"{name}.ipynb"
    assert download.value.suggested_filename == source.name
    assert download.value.path().read_bytes() == source.read_bytes()


def test_the_theme_follows_the_system_until_it_is_chosen(visit, address):
    page = visit(f"{address}index.html", theme="dark").page
    is_light, is_dark = (page.locator(f"html[data-theme={theme}]") for theme in THEMES)
    is_dark.wait_for()
    page.emulate_media(color_scheme="light")
    is_light.wait_for()
    page.get_by_role("button", name="Dark theme").click()
    page.goto(f"{address}pages/references.html")
    is_dark.wait_for()  # the choice holds on other pages
    page.get_by_role("button", name="Light theme").click()
    page.emulate_media(color_scheme="dark")
    is_dark.wait_for()  # who chooses the system's theme follows the system again


@pytest.mark.parametrize("origin", ["server", "disk"])
def test_search_finds_a_word(visit, address, site, origin):
    start = address if origin == "server" else f"{site.as_uri()}/"
    (chapter,) = [name for name in CHAPTERS if name.endswith("-convolution")]
    visited = visit(f"{start}index.html")
    page = visited.page
    page.keyboard.press("/")
    page.keyboard.type("convolution")
    page.keyboard.press("Enter")
    result = page.locator(f"#search-results a[href*='{chapter}.html']").first
    result.wait_for()  # results come one after the other
    link = urljoin(page.url, result.get_attribute("href"))
    assert link.split("#")[0] == f"{start}{chapter}.html"
    page.wait_for_load_state("networkidle")
    assert visited.complaints == []


@each_page
def test_works_from_the_disk(visit, site, name):
    visited = visit((site / f"{name}.html").as_uri())
    visited.unfold().wait_for_load_state("networkidle")
    assert visited.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in visited.requests)


def test_the_contents_open_on_a_phone(visit, address):
    page = visit(f"{address}index.html", viewport=PHONE).page
    contents = page.get_by_role("navigation", name="Contents of the book")
    button = page.get_by_role("button", name="Contents")
    assert not contents.is_visible()
    button.click()
    box = contents.bounding_box()
    assert (box["width"], box["y"] + box["height"]) == (PHONE["width"], PHONE["height"])
    page.keyboard.press("Escape")
    assert not contents.is_visible()
    assert button.evaluate("button => button == document.activeElement")


def test_the_keyboard_reaches_the_content_first(visit, address):
    page = visit(f"{address}index.html").page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_are_folded_and_a_link_unfolds(visit, address, name):
    page = visit(f"{address}{name}.html").page
    folded = page.locator("details.solution")
    assert folded.count() >= 3
    assert page.locator("details.solution[open]").count() == 0
    anchor = folded.first.get_attribute("id")
    page.goto(f"{address}{name}.html#{anchor}")
    assert page.locator(f"details[id='{anchor}'][open]").count() == 1
    assert page.locator("details.solution .cell").count() >= 1, "solutions have cells that were run"


@pytest.mark.parametrize("name", CHAPTERS)
def test_paper_is_light_and_unfolded(visit, address, name):
    page = visit(f"{address}{name}.html", theme="dark").page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    # Of the page, not inside its figures, which print their first state.
    folded = "document.querySelectorAll('article details:not([open])').length"
    assert page.evaluate(folded) == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    keyword = page.locator(".highlight .k, .highlight .kn").first
    colour = keyword.evaluate("word => getComputedStyle(word).color")
    light = re.findall("..", code.STYLES["light"].styles[Keyword].removeprefix("#"))
    assert [int(c) for c in re.findall(r"\d+", colour)] == [int(c, 16) for c in light]
    assert not page.locator("header.top").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.solution[open]").count() == 0


@each_page
def test_reads_without_scripts(visit, address, name):
    page = visit(f"{address}{name}.html", java_script_enabled=False, viewport=PHONE).page
    assert page.locator("h1").is_visible()
    assert page.get_by_role("navigation", name="Contents of the book").is_visible()
