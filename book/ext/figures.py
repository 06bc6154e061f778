"""Put a notebook's SVG figures into the page, and see that every picture says what it shows.

Inside the page, a figure follows the theme: its colours are CSS variables. Outside it, as
``<img>``, it would stay light in the dark.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)

logger = logging.getLogger(__name__)


class InlineFigures(SphinxPostTransform):
    """Runs after myst-nb (4) has chosen one format of each output."""

    default_priority = 6
    formats = ("html",)

    def run(self, **kwargs):
        made_here = Path(self.env.mystnb_config.output_folder)
        for number, image in enumerate(list(self.document.findall(nodes.image)), start=1):
            if not says_what_it_shows(image):
                logger.warning(
                    "image %d on the page has no alt text: say in the cell's metadata "
                    "`mystnb.image.alt`, or in `:alt:`, what there is to see",
                    number,
                    location=image if image.line else self.env.docname,
                )
            path = (Path(self.app.srcdir) / image["uri"]).resolve()
            if path.suffix == ".svg" and path.is_relative_to(made_here):
                svg = inline(path.read_text(encoding="utf-8"), image.get("alt", ""), f"f{number}-")
                image.replace_self(nodes.raw("", svg, format="html"))


def says_what_it_shows(image):
    """Whether the alt text is one: myst-nb falls back on the file's path, which is none."""
    alt = image.get("alt", "").strip()
    return bool(alt) and not re.search(r"\.(svg|png|webp|jpe?g|gif)$", alt)


def inline(svg, alt, prefix):
    """Rewrite the SVG file `svg` as an element for the inside of a page.

    Parameters
    ----------
    svg : str
        The text of the file.
    alt : str
        What there is to see, for those who do not.
    prefix : str
        Put before every id, so that the figures of one page do not share any.

    Returns
    -------
    str
    """
    root = ElementTree.fromstring(svg)
    referred = dict.fromkeys(re.findall(r"#([\w-]+)(?=[\")])", svg))
    names = {name: f"{prefix}{number}" for number, name in enumerate(referred)}
    _slim(root, names)
    width = re.match(r"[\d.]+", root.get("width", ""))
    root.attrib.pop("height", None)
    root.attrib.update({"role": "img", "aria-label": alt, "class": "figure-svg"})
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    if width:  # in points, at 96 pixels per 72 points; no wider than the page
        root.set("width", f"{float(width[0]) * 4 / 3:.0f}")
    return ElementTree.tostring(root, encoding="unicode")


def _slim(element, names):
    """Drop, from `element` down, what is not seen, and give what is referred to short `names`."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            if value in names:
                element.set(key, names[value])
            else:
                del element.attrib[key]
        elif key == "d":
            element.set(key, re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip())
        elif value.startswith("rotate(-0 "):
            del element.attrib[key]
        else:
            value = re.sub(r"#([\w-]+)(?=$|\))", lambda m: f"#{names.get(m[1], m[1])}", value)
            # The variables are always defined in the book, and a hundredth is seen by nobody.
            value = re.sub(r"var\((--course-\w+),[^)]*\)", r"var(\1)", value)
            element.set(key, re.sub(r"(\.\d\d)\d+", r"\1", value))
    kept = []
    for child in element:
        name = child.tag.removeprefix(f"{{{SVG}}}")
        # matplotlib's style sheet would reach out of the figure
        if name in ("metadata", "title", "desc", "style"):
            continue
        _slim(child, names)
        if name == "g" and not child.attrib:
            kept += child
        elif name not in ("g", "defs") or len(child):
            kept.append(child)
    element[:] = kept
    if element.tag not in (f"{{{SVG}}}text", f"{{{SVG}}}tspan"):
        element.text = None
        for child in element:
            child.tail = None


def setup(app):
    app.add_post_transform(InlineFigures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
