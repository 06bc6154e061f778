"""Write the same page in fewer bytes: formulas and figures repeat themselves a great deal."""

import re
from collections import Counter

from rjsmin import jsmin

# Elements of formulas and of figures; nothing else in the text of a page has a style of its own.
STYLED = re.compile(
    r"<(?P<tag>span|svg|g|path|text|tspan|use|rect|image)\b"
    r'(?P<before>[^>]*?) style="(?P<style>[^"]*)"(?P<after>[^>]*)>'
)

# What KaTeX's formulas are built of; the pages and the style sheet use shorter names.
KATEX = (
    "vlist vlist-r vlist-s vlist-t vlist-t2 pstrut strut mord mathnormal mtight msupsub mspace "
    "mbin mrel mop mopen mclose mpunct minner sizing reset-size6 size3 size1 size6 accent-body "
    "mfrac nulldelimiter frac-line delimsizing op-symbol op-limits "
    "col-align-l col-align-r col-align-c"
)
SHORT = {name: f"k{number}" for number, name in enumerate(KATEX.split())}


def share_styles(html):
    """Turn each `style` that occurs more than once into a class.

    Returns
    -------
    str
        The page, and at its end a style sheet with those classes.
    """
    uses = Counter(match["style"] for match in STYLED.finditer(html))
    shared = [style for style, number in uses.most_common() if number > 1]
    names = {style: f"y{number}" for number, style in enumerate(shared)}

    def replace(match):
        name = names.get(match["style"])
        if name is None:
            return match[0]
        attributes = match["before"] + match["after"]
        if ' class="' in attributes:
            attributes = attributes.replace(' class="', f' class="{name} ', 1)
        else:
            attributes = f' class="{name}"{attributes}'
        return f"<{match['tag']}{attributes}>"

    html = STYLED.sub(replace, html)
    # Important, as what stands in a `style` is.
    rules = [f".{name}{{{_important(style)}}}" for style, name in names.items()]
    return f"{html}<style>{''.join(rules)}</style>" if rules else html


def _important(style):
    declarations = (part.strip() for part in style.split(";") if part.strip())
    return ";".join(re.sub(r": +", ":", f"{part}!important") for part in declarations)


def shorten_markup(html):
    """Drop what no reader is told: MathML's name space, TeX, and classes that no style uses."""
    html = html.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    html = re.sub(r' class="reference internal"| reference internal(?=")', "", html)
    html = re.sub(r'<annotation encoding="application/x-tex">[^<]*</annotation>', "", html)
    html = re.sub(r"</?semantics>", "", html)
    return re.sub(
        r'<code class="docutils literal notranslate">(.*?)</code>',
        lambda match: f"<code>{re.sub('</?span[^>]*>', '', match[1])}</code>",
        html,
        flags=re.S,
    )


SCRIPT = re.compile(
    r"(<script data-course-part=[^>]*>//<!\[CDATA\[\n)(.*?)(//\]\]></script>)", re.DOTALL
)


def shorten_scripts(html):
    """Take remarks and needless spaces off the scripts of the figures."""
    return SCRIPT.sub(lambda match: f"{match[1]}{jsmin(match[2])}\n{match[3]}", html)


def shorten_css(css):
    """Leave out a style sheet's remarks, and the spaces that mean nothing; strings stay whole."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    parts = re.split(r"""("[^"]*"|'[^']*'|url\([^)]*\))""", css)
    for place in range(0, len(parts), 2):
        part = re.sub(r"\s+", " ", parts[place])
        parts[place] = re.sub(r" ?([{};,>]) ?", r"\1", part)
    return "".join(parts).strip()


def shorten_katex_css(css):
    return re.sub(r"\.([a-z][\w-]*)", lambda match: f".{SHORT.get(match[1], match[1])}", css)


def shorten_katex(html):
    """Use the short names in the spans of a page."""

    def replace(match):
        names = [SHORT.get(name, name) for name in match[1].split(" ")]
        return f"<span class={names[0]}" if len(names) == 1 else f'<span class="{" ".join(names)}"'

    return re.sub(r'<span class="([\w -]+)"', replace, html)
