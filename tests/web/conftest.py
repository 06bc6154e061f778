"""Figures on a page made of their snippets alone, in a browser that may not reach out."""

import numpy as np
import pytest

PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head><meta charset="utf-8"><title>Figures</title>
<meta name="viewport" content="width=device-width">
<style>body {{ margin: 16px; font: 16px sans-serif; {colours} }}</style></head>
<body><main><h1>Figures</h1>{body}</main></body></html>"""
COLOURS = {
    "light": "background: #ffffff; color: #1a1d21",
    "dark": "background: #14181e; color: #e6e8eb",
}


@pytest.fixture
def show(browser):
    """A function that puts figures on a page; the test fails on errors and on requests."""
    contexts, problems = [], []

    def open_page(*figures, theme="light", width=1280, body=None, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(f"request: {request.url}"))
        body = body or "\n".join(figure._repr_html_() for figure in figures)
        page.set_content(PAGE.format(theme=theme, colours=COLOURS[theme], body=body))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


class Grid:
    """One grid of a figure, found by its name in the formulas."""

    def __init__(self, figure, name):
        self.table = figure.locator(f'table[aria-label^="{name},"]')

    def cell(self, position):
        row, column = position
        return self.table.locator(f'td.inside[data-at="{row},{column}"]')

    def values(self):
        """What the cells show, as numbers; nan where a cell is empty."""
        cells = self._cells()
        rows, columns = max(cells)
        texts = (cells[row, column]["value"] for row, column in sorted(cells))
        return np.reshape([as_number(text) for text in texts], (rows + 1, columns + 1))

    def marked(self, state):
        """The positions in a state, such as "touched"."""
        return {at for at, cell in self._cells().items() if state in cell["states"]}

    def corners(self, name):
        """The texts in the corners of the cells, "tag" or "note", by position."""
        return {at: cell[name] for at, cell in self._cells().items() if cell[name]}

    def _cells(self):
        found = self.table.evaluate(CELLS)
        return {tuple(map(int, cell["at"].split(","))): cell for cell in found}


CELLS = """table => [...table.querySelectorAll("td.inside")].map((td) => {
  const text = (name) => td.querySelector(`.${name}`).textContent;
  return {
    at: td.dataset.at,
    states: [...td.classList],
    value: text("value"),
    tag: text("tag"),
    note: text("note"),
  };
})"""


def as_number(text):
    return float(text.replace("\N{MINUS SIGN}", "-") or "nan")


@pytest.fixture
def grid():
    return Grid


@pytest.fixture
def spoken():
    """A function that reads the live region of a figure."""
    return lambda figure: figure.locator("p.unseen[role=status]").inner_text()
