"""The colours of the course by what they mean, for the plots, the interactive figures and the book.

In the whole book one colour stands for one quantity: an input is blue, a weight orange, a gradient
purple, a prediction green, in the light theme and in the dark one. The hues are those of Okabe and
Ito's palette for colour-blind readers, darkened where text in them would be too faint on white.
Colour never stands alone: position, outline or a label says the same thing.

>>> ROLES["input"].light
'#0072b2'

References
----------
Okabe & Ito (2008), "Color Universal Design", section "Recommended colour set".
W3C (2023), WCAG 2.2, success criteria 1.4.3 (text 4.5:1) and 1.4.11 (shapes 3:1).
"""

from typing import NamedTuple

__all__ = ["DARK", "LIGHT", "ROLES", "Colour", "css"]


class Colour(NamedTuple):
    """One meaning, drawn on the light page and on the dark one; `#rrggbb` each."""

    light: str
    dark: str


ROLES = {
    "ink": Colour("#1a1d21", "#e6e8eb"),  # text, axes, and whatever is neither of those below
    "muted": Colour("#575d66", "#a3aab4"),  # text that may be passed over: indices, units
    "surface": Colour("#ffffff", "#14181e"),  # what a figure stands on
    "line": Colour("#7b828c", "#7d8590"),  # edges of cells and controls
    "input": Colour("#0072b2", "#4aa8e8"),
    "weight": Colour("#a85400", "#e69f00"),
    "gradient": Colour("#902a70", "#f2a3c7"),
    "prediction": Colour("#007a50", "#3fd18a"),
    "truth": Colour("#1a1d21", "#e6e8eb"),  # as ink: what is given, not computed
    "right": Colour("#4d6600", "#a9cf54"),
    "wrong": Colour("#b3261e", "#ff8a80"),
}

# Where a page says that it is light or dark: Sphinx themes, JupyterLab, Colab, VS Code.
LIGHT = (":root", '[data-jp-theme-light="true"]')
DARK = (
    'html[data-theme="dark"]',
    '[data-jp-theme-light="false"]',
    'html[theme="dark"]',
    'body[data-vscode-theme-kind="vscode-dark"]',
)


def css() -> str:
    """Write the rules that define ``--course-input`` and the other roles for each theme.

    Returns
    -------
    str
        Rules for the light page, the dark page, and paper, which is always light. Besides the
        colours they set ``--course-scheme`` to ``light`` or ``dark``, the value that the CSS
        property ``color-scheme`` wants, so that sliders and radio buttons follow the theme.
    """
    light, dark = (_declarations(theme) for theme in Colour._fields)
    on_paper = ", ".join((*LIGHT, *DARK))
    return "\n".join(
        [
            f"{', '.join(LIGHT)} {{ {light} }}",
            f"{', '.join(DARK)} {{ {dark} }}",
            f"@media print {{ {on_paper} {{ {light} }} }}",
        ]
    )


def _declarations(theme):
    """``--course-ink: #1a1d21; ...; --course-scheme: light;`` of one theme."""
    colours = [f"--course-{role}: {getattr(colour, theme)};" for role, colour in ROLES.items()]
    return " ".join([*colours, f"--course-scheme: {theme};"])
