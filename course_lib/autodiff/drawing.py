"""Draw a computational graph: as SVG, as an HTML table, as text.

The colours are the course's, taken from the page's style sheet (``--course-input`` and so on), with
those of the light theme where the page has none.
"""

from itertools import count

import numpy as np

from course_lib.autodiff.layout import Layout

HEIGHT, GAP, BEND = 64, 14, 14  # of a node, between two, of a bend; pixels
LETTER = {"normal": 7.4, "bold": 9.6}  # width of a character, on average over a long line
NARROWEST = 56  # of a node
ROW = 100  # from one layer to the next
MARGIN = 6
INK = "var(--course-ink, #1a1d21)"
MUTED = "var(--course-muted, #575d66)"
SURFACE = "var(--course-surface, #ffffff)"
LINE = "var(--course-line, #7b828c)"
GRADIENT = "var(--course-gradient, #902a70)"
OUTLINE = {
    "input": "var(--course-input, #0072b2)",
    "constant": LINE,
    "operation": LINE,
    "output": "var(--course-prediction, #007a50)",
}
SIGNS = {
    "add": "+",
    "divide": "\N{DIVISION SIGN}",
    "matmul": "@",
    "multiply": "\N{MULTIPLICATION SIGN}",
    "subtract": "\N{MINUS SIGN}",
}
_ids = count(1)


def escape(text):
    """Return `text` as it stands in HTML. (Importing `html` for this takes 10 ms.)"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(graph):
    """Return the drawing: arguments above, results below; in each node name, value, gradient."""
    kinds = ["output" if i in graph.outputs else n.kind for i, n in enumerate(graph.nodes)]
    words = [lines(node, kind) for node, kind in zip(graph.nodes, kinds, strict=True)]
    longest = [len(line) * LETTER[weight] for node in words for line, _, weight in node]
    box_width = round(max([NARROWEST, *longest])) + 10  # no wider: on a phone, drawings shrink
    layout = Layout([n.operands for n in graph.nodes], width=box_width, gap=GAP, bend=BEND)
    y = {cell: i * ROW for i, row in enumerate(layout.rows) for cell in row}
    width, height = layout.width + 2 * MARGIN, len(layout.rows) * ROW - ROW + HEIGHT + 2 * MARGIN
    name = f"course-graph-{next(_ids)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name} {name}-text" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="13" text-anchor="middle">',
        f'<title id="{name}">Computational graph of {escape(graph.name)}</title>',
        f'<desc id="{name}-text">{escape(in_words(graph))}</desc>',
        f'<marker id="{name}-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" style="fill: {LINE}"/></marker>',
    ]
    edges = iter(layout.routes)
    for node in graph.nodes:
        for i in range(len(node.operands)):
            shift = 16 * (i - (len(node.operands) - 1) / 2)
            path = edge(next(edges), layout.x, y, shift)
            parts.append(
                f'<path d="{path}" marker-end="url(#{name}-tip)" '
                f'style="fill: none; stroke: {LINE}; stroke-width: 1.5"/>'
            )
    for i, kind in enumerate(kinds):
        parts.append(box(words[i], kind, layout.x[i], y[i], box_width))
    return "".join([*parts, "</svg>"])


def edge(route, x, y, shift):
    """Return the path from the lower side of a node, by the bends, to the upper side of another."""
    (start, *bends, end), points = route, []
    points.append((x[start], y[start] + HEIGHT))
    for bend in bends:
        points += [(x[bend], y[bend]), (x[bend], y[bend] + HEIGHT)]
    points.append((x[end] + shift, y[end] - 1))
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for i, (px, py) in enumerate(points[1:], 1):
        qx, qy = points[i - 1]
        middle = (py + qy) / 2
        path += f"C{qx:.1f} {middle:.1f} {px:.1f} {middle:.1f} {px:.1f} {py:.1f}"
    return path


def lines(node, kind):
    """Return the lines of text in a node, each with its colour and weight."""
    name = (SIGNS.get(node.name, node.name), INK, "bold")
    value = (f"= {shown(node.value)}", INK, "normal")
    if kind == "constant":
        return [value]
    if node.gradient is None:
        return [name, value]
    return [name, value, (f"∂ {shown(node.gradient)}", GRADIENT, "normal")]


def box(text, kind, x, y, width):
    """Return a node: a rectangle, dashed for a constant, and its lines of text."""
    dash = "; stroke-dasharray: 4 3" if kind == "constant" else ""
    heavy = 2.5 if kind in ("input", "output") else 1.5
    top = y + HEIGHT / 2 - 9 * (len(text) - 1) + 4.5
    words = "".join(
        f'<text x="{x:.1f}" y="{top + 18 * i:.1f}" style="fill: {colour}; font-weight: {weight}">'
        f"{escape(line)}</text>"
        for i, (line, colour, weight) in enumerate(text)
    )
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y}" width="{width}" height="{HEIGHT}" rx="8" '
        f'style="fill: {SURFACE}; stroke: {OUTLINE[kind]}; stroke-width: {heavy}{dash}"/>{words}'
    )


def in_words(graph):
    """Return the graph as sentences, for those who cannot see it."""
    return " ".join(
        f"Node {i}: {operation(node)}, value {shown(node.value)}, gradient {shown(node.gradient)}."
        for i, node in enumerate(graph.nodes)
    )


def shown(value, longest=16):
    """Return a number, a vector if it is short, or the shape of an array."""
    if value is None:
        return "none"
    value = np.asarray(value)
    if value.ndim == 0:
        return f"{value:.4g}"
    if value.ndim == 1:
        vector = "[" + " ".join(f"{v:.3g}" for v in value[:longest]) + "]"
        if len(vector) <= longest:
            return vector
    return f"array {value.shape}"


def operation(node):
    """Return what the node is, with the numbers of its operands."""
    return f"{node.name}({', '.join(map(str, node.operands))})" if node.operands else node.name


def text(graph):
    """Return a line for each node."""
    lines = [
        f"{graph.name}: {graph.multiply_adds:,} multiply-adds, "
        f"{graph.elementwise:,} elementwise operations"
    ]
    names = [operation(node) for node in graph.nodes]
    width = max(map(len, names), default=0)
    for i, (node, name) in enumerate(zip(graph.nodes, names, strict=True)):
        lines.append(
            f"{i:2}  {name.ljust(width)}  value {shown(node.value)}, "
            f"gradient {shown(node.gradient)}"
        )
    return "\n".join(lines)


def table(graph):
    """Return an HTML table with a row for each node."""
    head = ("node", "operation", "value", "gradient", "multiply-adds", "elementwise")
    rows = []
    for i, node in enumerate(graph.nodes):
        cells = (operation(node), shown(node.value), shown(node.gradient))
        costs = (f"{node.multiply_adds:,}", f"{node.elementwise:,}")
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells + costs)
        rows.append(f'<tr><th scope="row">{i}</th>{row}</tr>')
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f"<table><caption>Computational graph of {escape(graph.name)}</caption>"
        f"<thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
