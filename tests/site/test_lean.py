"""What makes a page lighter must not be seen."""

import json
import subprocess

import pytest

from book.ext.lean import (
    share_styles,
    shorten_katex,
    shorten_katex_css,
    shorten_markup,
    shorten_scripts,
)
from book.frontend import NODE_BIN, NODE_MODULES

FORMULAS = [
    r"\bar x_{rc} = \sum_{ab} \bar y_{r-a,\,c-b}\, k_{ab}",
    r"\begin{aligned} y &= \frac{\partial y_{ij}}{\partial x_{rc}} \\ &= \sqrt{2} \end{aligned}",
    r"\boxed{ \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}^{\top} \left( \frac{a}{b} \right) }",
    r"\lim_{h \to 0} \underbrace{f(x + h)}_{\text{near}} \le \max\{0, \mathbf{w} \cdot x\}",
    r"\int_0^1 \prod_{n=1}^N \widehat{xyz} \, \mathcal{L}(\theta) \in \mathbb{R}^{H \times W}",
]
DRAW = """
const katex = require(process.argv[1]);
const draw = (tex) => `<p>${katex.renderToString(tex, {displayMode: true})}</p>`;
console.log(JSON.parse(process.argv[2]).map(draw).join("\\n"));
"""


@pytest.fixture(scope="module")
def drawn():
    """The formulas as KaTeX draws them."""
    arguments = [str(NODE_MODULES / "katex"), json.dumps(FORMULAS)]
    done = subprocess.run(
        [NODE_BIN / "node", "-e", DRAW, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_formulas_stay_where_they_were(browser, drawn):
    css = (NODE_MODULES / "katex/dist/katex.min.css").read_text()
    lean = shorten_katex(share_styles(shorten_markup(drawn)))
    before, after = places(browser, drawn, css), places(browser, lean, shorten_katex_css(css))
    assert len(before) > 200
    assert before == after
    assert len(lean) < 0.85 * len(drawn)


def places(browser, html, css):
    """Where each span lies, and how its text looks."""
    page = browser.new_page()
    page.set_content(f"<!doctype html><style>{css}</style>{html}")
    found = page.evaluate(
        """[...document.querySelectorAll(".katex-html span")].map(span => {
             const {x, y, width, height} = span.getBoundingClientRect();
             const {fontSize, fontFamily, fontStyle} = getComputedStyle(span);
             return [x, y, width, height, fontSize, fontFamily, fontStyle].join(" ");
           })"""
    )
    page.close()
    return found


def test_scripts_lose_remarks_and_indents_only():
    code = """//<![CDATA[
/* A part
   of a figure. */
const a = 1; // why
  // a line of its own
  const link = "https://x.org";  /* kept */
  f(`
    two`);
//]]>"""
    lean = shorten_scripts(
        f'<script data-course-part="x">{code}</script><script>  // as is\n</script>'
    )
    assert lean == (
        '<script data-course-part="x">//<![CDATA[\nconst a = 1; // why\n'
        'const link = "https://x.org";  /* kept */\nf(`\ntwo`);\n//]]></script>'
        "<script>  // as is\n</script>"
    )
