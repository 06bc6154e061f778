"""One look for every figure of the book, in the light theme and in the dark one.

A colour is asked for by what it means, ``colour("gradient")``. matplotlib draws with a stand-in,
and when the figure becomes SVG the stand-in becomes a CSS variable with the light colour as its
fallback: ``var(--course-gradient, #902a70)``. A page that defines the variables
(:func:`course_lib.palette.css`) thus recolours a figure with its theme; a viewer that does not
shows the light one. Text stays text, in the page's font.

Sizes are chosen for the narrowest screen: a figure is at most :data:`WIDTH` inches wide, so that
on a phone, where it shrinks to :data:`PHONE` points, its smallest text is still 9 points high.
"""

import base64
import functools
import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from course_lib import palette

WIDTH = 4.5  # inches
PHONE = 268.0  # points: a screen of 390 pixels, less the page's margins
FONT_SIZE = 11.0  # points; 11 * 268 / (72 * 4.5) = 9.1 on a phone


def stand_ins():
    """Return one ``#rrggbb`` per role: its light colour, nudged where two roles share one."""
    found = {}
    for role, (light, _) in palette.ROLES.items():
        number = int(light.removeprefix("#"), 16)
        while f"#{number:06x}" in found.values():
            number ^= 1 if number % 2 else 3  # the next blue that is free
        found[role] = f"#{number:06x}"
    return found


STAND_INS = stand_ins()


def colour(role):
    """Return the colour that stands for `role`, for matplotlib.

    Raises
    ------
    ValueError
        If the palette has no such role.
    """
    if role not in STAND_INS:
        raise ValueError(f"plots: no colour for {role!r}, expected one of {', '.join(STAND_INS)}")
    return STAND_INS[role]


RC = {
    "axes.edgecolor": colour("line"),
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": colour("ink"),
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the layout is the same everywhere
    "font.size": FONT_SIZE,
    "lines.linewidth": 1.8,
    "mathtext.default": "regular",
    "patch.linewidth": 0.8,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "course",
    "text.color": colour("ink"),
    "xtick.color": colour("line"),
    "xtick.labelcolor": colour("ink"),
    "xtick.labelsize": FONT_SIZE,
    "ytick.color": colour("line"),
    "ytick.labelcolor": colour("ink"),
    "ytick.labelsize": FONT_SIZE,
}
FONT = "font-family: var(--pst-font-family-base, system-ui, sans-serif)"


def themed(draw):
    """Decorate a function that draws, so that it draws in the theme and leaves no trace."""

    @functools.wraps(draw)
    def drawn(*args, **options):
        with matplotlib.rc_context(RC):
            return draw(*args, **options)

    return drawn


class BookFigure(Figure):
    """A figure that shows itself in a notebook as SVG, outside of pyplot's state.

    Parameters
    ----------
    width, height : float
        In inches.
    description : str
        What a screen reader says where the page gives no better text.
    """

    def __init__(self, width, height, description):
        super().__init__(figsize=(width, height), dpi=72, layout="constrained")
        self.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
        self.description = description

    def to_svg(self):
        """Return the figure as ``<svg>...</svg>``: equal figures, equal text."""
        buffer = io.StringIO()
        with matplotlib.rc_context(RC):
            self.savefig(buffer, format="svg")
        return for_the_page(buffer.getvalue())

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Offer SVG for the book and, for JupyterLab and Colab, the same inside HTML.

        JupyterLab shows SVG as ``<img>``, where no theme reaches it; inside HTML one does.
        """
        svg = self.to_svg()
        named = f'<svg role="img" aria-label="{escape(self.description)}" '
        page = f"<style>{palette.css()}</style>"
        html = f'{page}<div style="color: var(--course-ink)">{svg.replace("<svg ", named, 1)}</div>'
        return {"text/html": html, "image/svg+xml": svg, "text/plain": self.description}


def panels(captions, columns, what):
    """Return a figure of one square panel for each caption, in rows, and their axes.

    `columns` None is all in one row, up to four; `what` they are, for a screen reader.
    """
    columns = columns or min(len(captions), 4)
    rows = -(-len(captions) // columns)
    side = min(1.9, WIDTH / columns)
    said = f"{len(captions)} {what}: {'; '.join(captions)}"
    fig = BookFigure(side * columns, rows * (side + 0.24), said)
    axes = [fig.add_subplot(rows, columns, i + 1) for i in range(len(captions))]
    for ax, caption in zip(axes, captions, strict=True):
        ax.set_xlabel(caption, fontsize=FONT_SIZE, labelpad=3)
    return fig, axes


def for_the_page(svg):
    """Turn matplotlib's SVG into one that a page can take in.

    The prologue, the metadata (a date, a version) and the style sheet, which would hold for the
    whole page, go; ids that nothing refers to go; lengths keep a hundredth of a point; colours and
    font become the page's.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|\s*<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.S)
    svg = re.sub(PICTURE, small_picture, svg)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r' (?:d|x|y|width|height|transform)="[^"]*"', short_numbers, svg)
    svg = re.sub(r"font-family: [^;\"]+", FONT, svg)
    for role, stand_in in STAND_INS.items():
        fallback = palette.ROLES[role].light
        value = "currentColor" if role == "ink" else f"var(--course-{role}, {fallback})"
        svg = svg.replace(stand_in, value)
    fit = "max-width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt"
    return svg.replace("<svg ", f'<svg style="{fit}" ', 1)


PICTURE = r'data:image/png;base64,([^"]*)"([^>]*?)( style="image-rendering[^"]*")?/>'
COLOURS = 2000  # a picture with more of them is a photograph
QUALITY = 80


def small_picture(image):
    """Write a matched picture as WebP: a photograph in an eighth of the bytes, others exactly.

    A photograph is also scaled smoothly; any other picture keeps its pixels, exact and square.
    """
    data, attributes, square = image.groups(default="")
    picture, buffer = Image.open(io.BytesIO(base64.b64decode(data))), io.BytesIO()
    if picture.convert("RGB").getcolors(COLOURS):
        picture.save(buffer, "WEBP", lossless=True, exact=True, quality=100, method=6)
        attributes += square
    else:
        picture.convert("RGB").save(buffer, "WEBP", quality=QUALITY, method=6)
    return f'data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"{attributes}/>'


def short_numbers(attribute):
    """Cut the decimals in one matched attribute to two."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
