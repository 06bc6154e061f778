"""What the web is told of the pages: their address, a sitemap, and a card for those who share one.

All of it needs to know where the site is published: ``html.baseurl`` in ``_config.yml``. While that
is empty nothing is written, since an address without its beginning leads nowhere.
"""

import hashlib
import importlib.util
import re
import shutil
from html import unescape
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup, escape
from PIL import Image, ImageDraw, ImageFont

from course_lib.palette import ROLES

SIZE = 1200, 630  # pixels, what those who show such cards ask for
FOLDER = "cards"
DRAWN = "1"  # another number draws every card again
MARGIN, CELL = 72, 66
DESCRIPTION = re.compile(r'<meta (?=[^>]*name="description")[^>]*content="([^"]*)"')
CARD_OF_SOURCES = "pages/reference/index"


def base(app):
    """The address of the site, with a slash at its end; empty where it has none."""
    url = (app.config.html_baseurl or "").strip()
    return f"{url.rstrip('/')}/" if url else ""


def address(app, pagename):
    """The full address of a page; the landing page is the folder itself."""
    if pagename in (app.config.root_doc, "index"):
        return base(app)
    return base(app) + quote(app.builder.get_target_uri(pagename))


def add_tags(app, pagename, templatename, context, doctree):
    """Add to the head of a page what others show of it."""
    if not base(app) or pagename == "search":
        return
    root = pagename == app.config.root_doc
    title = app.config.html_title if root else plain(context["title"])
    described = DESCRIPTION.search(context["metatags"])
    card = card_of(app, pagename)
    tags = {
        "og:type": "website" if root else "article",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:url": address(app, pagename),
        "og:description": unescape(described[1]) if described else "",
        "og:image": base(app) + card.name_in_site if card else "",
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": card.says if card else "",
    }
    lines = [f'<link rel="canonical" href="{escape(tags["og:url"])}">']
    lines += [
        f'<meta property="{name}" content="{escape(value)}">'
        for name, value in tags.items()
        if value and (card or "image" not in name)
    ]
    if card:
        lines.append('<meta name="twitter:card" content="summary_large_image">')
    context["metatags"] += "\n  ".join(["", *lines])


def plain(title):
    """A title without its markup and without its number."""
    title = re.sub(r'<span class="section-number">.*?</span>', "", title)
    return " ".join(Markup(title).striptags().split())


class Card:
    """The picture of a page: its title, and where it stands in the course."""

    def __init__(self, course, title, above, number):
        self.course, self.title, self.above, self.number = course, title, above, number
        said = "\n".join([DRAWN, course, title, above, str(number)])
        self.digest = hashlib.sha256(said.encode()).hexdigest()[:10]

    @property
    def name_in_site(self):
        return f"{FOLDER}/{self.digest}.png"

    @property
    def says(self):
        """What there is to see."""
        return f"{self.course}. {self.above + ': ' if self.above else ''}{self.title}"

    def draw(self):
        """Draw the card.

        Returns
        -------
        Image
            `SIZE` pixels, of few colours.
        """
        colours = {role: colour.dark for role, colour in ROLES.items()}
        image = Image.new("RGB", SIZE, colours["surface"])
        pen = ImageDraw.Draw(image)
        draw_grid(pen, colours, self.number)
        width = SIZE[0] - 7 * CELL - 3 * MARGIN
        size, lines = fit(self.title, width)
        top = (SIZE[1] - len(lines) * size * 1.2) / 2
        if self.above:
            pen.text((MARGIN, top - 60), self.above, colours["weight"], font(32))
        for number, line in enumerate(lines):
            pen.text((MARGIN, top + number * size * 1.2), line, colours["ink"], font(size))
        pen.text((MARGIN, SIZE[1] - MARGIN - 24), self.course, colours["muted"], font(28, ""))
        return image.quantize(64)


def draw_grid(pen, colours, number):
    """Draw a picture of seven by seven pixels, and a window that moves on from card to card."""
    left, top = SIZE[0] - 7 * CELL - MARGIN, (SIZE[1] - 7 * CELL) // 2
    row, column = divmod((number or 0) % 25, 5)
    for place in range(49):
        y, x = divmod(place, 7)
        corner = left + x * CELL, top + y * CELL
        inside = row <= y < row + 3 and column <= x < column + 3
        pen.rectangle(
            (*corner, corner[0] + CELL, corner[1] + CELL),
            fill=colours["input"] if inside else None,
            outline=colours["line"],
            width=2,
        )
    corner = left + column * CELL, top + row * CELL
    end = corner[0] + 3 * CELL, corner[1] + 3 * CELL
    pen.rectangle((*corner, *end), outline=colours["weight"], width=8)


def font(size, weight="-Bold"):
    """The font that comes with matplotlib, in pixels."""
    folder = Path(importlib.util.find_spec("matplotlib").origin).parent
    return ImageFont.truetype(folder / f"mpl-data/fonts/ttf/DejaVuSans{weight}.ttf", size)


def fit(title, width):
    """The largest size, and the lines, in which a title has room."""
    for size in range(64, 30, -4):
        lines = [""]
        for word in title.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font(size).getlength(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        if len(lines) * size * 1.2 <= 340 and all(font(size).getlength(x) <= width for x in lines):
            break
    return size, lines


def card_of(app, pagename):
    """The card of a page; pages that no file was read for share that of the library."""
    env = app.env
    if pagename not in env.titles:
        pagename = CARD_OF_SOURCES
        if pagename not in env.titles:
            return None
    course = app.config.html_title
    title = " ".join(env.titles[pagename].astext().split())
    if pagename == app.config.root_doc:
        return Card(app.config.author, title, "", 0)
    number = (env.titles[pagename].get("secnumber") or (None,))[0]
    return Card(course, title, f"Chapter {number}" if number else "", number)


def write_files(app, exception):
    """Write the cards and the sitemap; without an address take away what stands there."""
    site = Path(app.outdir)
    if exception or app.builder.name != "html":
        return
    if not base(app):
        shutil.rmtree(site / FOLDER, ignore_errors=True)
        for name in ("sitemap.xml", "robots.txt"):
            (site / name).unlink(missing_ok=True)
        return
    (site / FOLDER).mkdir(exist_ok=True)
    cards = {card.name_in_site: card for card in (card_of(app, n) for n in app.env.found_docs)}
    for name, card in cards.items():
        if not (site / name).is_file():
            card.draw().save(site / name, optimize=True)
    for path in (site / FOLDER).glob("*.png"):
        if f"{FOLDER}/{path.name}" not in cards:
            path.unlink()
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    places = sorted({address(app, page) for page in pages - {"search"}})
    lines = [f"<url><loc>{escape(place)}</loc></url>" for place in places]
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    text = "\n".join([f'{head}<urlset xmlns="{space}">', *lines, "</urlset>", ""])
    (site / "sitemap.xml").write_text(text, encoding="utf-8")
    (site / "robots.txt").write_text(f"Sitemap: {base(app)}sitemap.xml\n", encoding="utf-8")


def setup(app):
    app.connect("html-page-context", add_tags, priority=600)  # after the description is there
    app.connect("build-finished", write_files, priority=600)  # after old pages are gone
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
