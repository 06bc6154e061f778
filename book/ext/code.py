"""How code is coloured: a few colours, in both themes, each at least 4.5:1 on its ground."""

import re

from pygments.formatters import HtmlFormatter
from pygments.style import Style
from pygments.token import (
    STANDARD_TYPES,
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    Text,
)


class Light(Style):
    styles = {  # noqa: RUF012 (Pygments reads it from the class)
        Keyword: "#5b2bc0",
        Operator.Word: "#5b2bc0",
        Name.Decorator: "#5b2bc0",
        String: "#0b6044",
        Number: "#7f4707",
        Comment: "italic #5a616b",
        Generic.Error: "#b3261e",
    }


class Dark(Style):
    styles = {  # noqa: RUF012
        Keyword: "#c3b1ff",
        Operator.Word: "#c3b1ff",
        Name.Decorator: "#c3b1ff",
        String: "#8fd6b1",
        Number: "#e3b778",
        Comment: "italic #a3aab4",
        Generic.Error: "#ff8a80",
    }


STYLES = {"light": Light, "dark": Dark}


def css():
    """Rules for the tokens, for both themes; paper is light."""
    light = _rules(STYLES["light"], ".highlight")
    dark = _rules(STYLES["dark"], 'html[data-theme="dark"] .highlight')
    return f"{light}\n@media screen {{\n{dark}\n}}"


def _rules(style, selector):
    rules = HtmlFormatter(style=style).get_style_defs(selector).splitlines()
    tokens = (rule for rule in rules if re.search(r"\.highlight \.\w+ \{", rule))
    return "\n".join(re.sub(r" /\*.*?\*/", "", rule) for rule in tokens)


PLAIN = {  # the classes of tokens that look like other text
    name
    for token, name in STANDARD_TYPES.items()
    if all(style.style_for_token(token) == style.style_for_token(Text) for style in STYLES.values())
}
PLAIN_TOKEN = re.compile(rf'<span class="(?:{"|".join(sorted(PLAIN))})">([^<]*)</span>')


def unwrap_plain_tokens(html):
    """Take the ``<span>`` off the tokens that it does not make look different."""
    return PLAIN_TOKEN.sub(r"\1", html)
