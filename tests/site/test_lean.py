"""What makes a page lighter must not be seen."""

import json
import subprocess

import pytest
from contents import ROOT

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


def test_scripts_of_figures_lose_remarks_and_spaces_only():
    code = """//<![CDATA[
/* A part
   of a figure. */
const a = 1; // why
  const link = "https://x.org";
  f(`
    two`);
//]]>"""
    other = "<script>  // as is\n</script>"
    lean = shorten_scripts(f'<script data-course-part="x">{code}</script>{other}')
    assert lean == (
        '<script data-course-part="x">//<![CDATA[\nconst a=1;'
        'const link="https://x.org";f(`\n    two`);\n//]]></script><script>  // as is\n</script>'
    )


def test_the_scripts_of_all_figures_can_still_be_read(tmp_path):
    for path in sorted((ROOT / "course_lib/web/elements").glob("*.js")):
        before, after = '<script data-course-part="x">//<![CDATA[\n', "//]]></script>"
        lean = shorten_scripts(f"{before}{path.read_text('utf-8')}{after}")
        assert len(lean) < len(before) + path.stat().st_size, "it was found, and is shorter"
        (tmp_path / path.name).write_text(lean[len(before) : -len(after)], "utf-8")
        command = [NODE_BIN / "node", "--check", tmp_path / path.name]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
