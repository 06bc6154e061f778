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
        return self.table.locator(f'td.inside[data-at="{position[0]},{position[1]}"]')

    def values(self):
        """What the cells show, as numbers; nan where a cell is empty."""
        rows = self.table.locator("tr:has(td.inside)").all()
        texts = [row.locator("td.inside .value").all_inner_texts() for row in rows]
        return np.array([[as_number(text) for text in row] for row in texts])

    def marked(self, state):
        """The positions that are in a state, such as "touched"."""
        cells = self.table.locator(f"td.inside.{state}").all()
        return {tuple(map(int, cell.get_attribute("data-at").split(","))) for cell in cells}

    def corners(self, name):
        """The texts in the corners of the cells ("tag" or "note"), by position."""
        cells = self.table.locator(f"td.inside:has(.{name}:not(:empty))").all()
        return {
            tuple(map(int, cell.get_attribute("data-at").split(","))): cell.locator(
                f".{name}"
            ).inner_text()
            for cell in cells
        }


def as_number(text):
    return float(text.replace("\N{MINUS SIGN}", "-") or "nan")


@pytest.fixture
def grid():
    return Grid


@pytest.fixture
def spoken():
    """A function that reads the live region of a figure."""
    return lambda figure: figure.locator("p.unseen[role=status]").inner_text()
