"""What every interactive figure is on the Python side: data, a fallback, and the parts it loads."""

import json
import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from course_lib import palette

ELEMENTS = files(__package__) / "elements"
PART = re.compile(r'<(style|script) data-course-part="([\w-]+)">.*?</\1>\n?', re.DOTALL)


@dataclass(frozen=True, repr=False)
class Figure:
    """An interactive figure: one custom element with all that it needs.

    Its HTML is complete in itself: colours, scripts, data, and inside the element a static form
    of the same numbers, which is what paper and pages without scripts show. A script defines
    what it brings only where the page does not have it yet, so that any number of figures, in
    any order, get along.

    Attributes
    ----------
    tag : str
        Name of the custom element, ``course-...``.
    parts : tuple of str
        The files of ``elements/`` that it loads, in this order, without their endings.
    data : dict
        What the element draws, as JSON.
    fallback, text : str
        The same in HTML, for paper and for pages without scripts, and in plain text.
    """

    tag: str
    parts: tuple[str, ...]
    data: dict
    fallback: str
    text: str

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        scripts = "".join(_script(part) for part in self.parts)
        # Without this attribute JupyterLab takes the arrow keys for its own.
        return (
            f'<style data-course-part="palette">{palette.css()}</style>\n'
            f'<style data-course-part="static">{_read("static.css")}</style>\n{scripts}'
            f'<{self.tag} data-lm-suppress-shortcuts="true" '
            f"data-figure='{_attribute(self.data)}'>\n{self.fallback}\n</{self.tag}>"
        )


def once_per_page(html: str) -> str:
    """Drop from a page the parts that an earlier figure of it has brought already.

    Parameters
    ----------
    html : str
        A page, or the body of one, with any number of figures.

    Returns
    -------
    str
        The same page, each shared script and style only where it comes first.
    """
    seen = set()

    def keep_first(match):
        if match[0] in seen:
            return ""
        seen.add(match[0])
        return match[0]

    return PART.sub(keep_first, html)


def _script(part):
    """One part as a script: its code, if any, and the styles for its shadow root, if any.

    The styles come first: where the element stands on the page already, as in JupyterLab, the code
    draws it at once. The CDATA marks are comments in HTML; in an EPUB, which is XML, they let the
    code be code.
    """
    code = _read(f"{part}.js") if (ELEMENTS / f"{part}.js").is_file() else ""
    if (ELEMENTS / f"{part}.css").is_file():
        sheets = "globalThis.courseStyles"
        sheet = json.dumps(_read(f"{part}.css"))
        code = f'({sheets} = {sheets} || {{}})["{part}"] = {sheet};\n{code}'
    return f'<script data-course-part="{part}">//<![CDATA[\n{code}//]]></script>\n'


def _read(name):
    return (ELEMENTS / name).read_text("utf-8")


def _attribute(data):
    """JSON for an attribute in single quotes, so that its own double quotes stay short."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return escape(text, quote=False).replace("'", "&#39;")
