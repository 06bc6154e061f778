"""The figure of reverse mode on a graph of scalars, and the sums of which it consists."""

from html import escape

import numpy as np

from course_lib.autodiff.layout import Layout
from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["adjoints", "assigned", "backward_pass", "four", "plain_graph", "tangents"]

NODE = {"width": 86, "height": 54}  # pixels, as the gaps below
GAP, BEND, ROW = 8, 14, 92  # between neighbours, of a bend, from one layer to the next
SIGNS = {
    "add": "+",
    "divide": "/",
    "multiply": "\N{MIDDLE DOT}",
    "power": "**",
    "subtract": "\N{MINUS SIGN}",
}
SHORT = {"absolute": "abs", "maximum": "max", "minimum": "min", "negative": "\N{MINUS SIGN}"}


def backward_pass(graphs):
    """Step back through a graph: each node hands its operands gradient times local derivative.

    Parameters
    ----------
    graphs : dict from str to Graph
        What the reader may choose: for each name a graph of :func:`course_lib.autodiff.trace`,
        whose arguments, constants and results are single numbers.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no graph, or a node is an array or not finite.
    """
    if not graphs:
        raise ValueError("backward_pass: `graphs` is empty, expected at least one traced graph")
    plain = {name: plain_graph("backward_pass", graph) for name, graph in graphs.items()}
    tables = "\n".join(_handed_back(name, graph) for name, graph in plain.items())
    return Figure(
        tag="course-backward-pass",
        parts=("figure", "backward-pass"),
        data={"node": NODE, "graphs": {n: graph | placed(graph) for n, graph in plain.items()}},
        fallback=f'<p>The backward pass:</p>\n<div class="course-static">\n{tables}\n</div>',
        text="\n".join(["The backward pass:", *map(_lines, plain, plain.values())]),
    )


def plain_graph(where, graph):
    """Return a traced graph of scalars as lists and numbers for JSON; `where` is for messages.

    Every node has a symbol: of an input its name, of a constant its value, of an operation its
    number, constants left out, behind a letter that no input begins with. The formula says from
    what symbols an operation computes it: ``w4 = sin x1``.
    """
    letter = "v" if any(n.kind == "input" and n.name[0] == "w" for n in graph.nodes) else "w"
    nodes, named = [], 0
    for i, node in enumerate(graph.nodes):
        if np.ndim(node.value) != 0 or not np.isfinite(node.value):
            raise ValueError(
                f"{where}: node {i}, {node.name}, has the value {node.value!r}, expected one "
                f"finite number; trace a function of scalars"
            )
        named += node.kind != "constant"
        symbols = {"input": node.name, "constant": four(node.value)}
        symbol = symbols.get(node.kind, f"{letter}{named}")
        operands = [nodes[j]["symbol"] for j in node.operands]
        partials = [None if p is None else float(p) for p in node.partials]
        nodes.append(
            {"symbol": symbol, "formula": formula(node.name, operands), "kind": node.kind}
            | {"operands": list(node.operands), "partials": partials, "value": float(node.value)}
        )
    return {"nodes": nodes, "outputs": list(graph.outputs)}


def formula(name, operands):
    """Return an operation as people write it, empty without operands.

    >>> formula("add", ["w3", "1"]), formula("sin", ["x1"]), formula("maximum", ["x", "0"])
    ('w3 + 1', 'sin x1', 'max(x, 0)')
    """
    if name in SIGNS and len(operands) == 2:
        return f" {SIGNS[name]} ".join(
            f"({x})" if x[0] == SIGNS["subtract"] else x for x in operands
        )
    name = SHORT.get(name, name)
    if len(operands) == 1:
        return f"{name}{'' if name == SIGNS['subtract'] else ' '}{operands[0]}"
    return f"{name}({', '.join(operands)})" if operands else ""


def placed(graph):
    """Return where the drawing has its nodes, constants left out, and the bends of its edges."""
    nodes = graph["nodes"]
    shown = [i for i, node in enumerate(nodes) if node["kind"] != "constant"]
    edges = [(i, k) for i in shown for k, j in enumerate(nodes[i]["operands"]) if j in shown]
    taken = [[shown.index(j) for j in nodes[i]["operands"] if j in shown] for i in shown]
    layout = Layout(taken, width=NODE["width"], gap=GAP, bend=BEND)
    y = {cell: ROW * n for n, row in enumerate(layout.rows) for cell in row}
    points = [[round(x, 1), y[cell]] for cell, x in enumerate(layout.x)]
    routes = [[points[cell] for cell in route[1:-1]] for route in layout.routes]
    return {
        "size": [round(layout.width, 1), ROW * len(layout.rows) - ROW + NODE["height"]],
        "places": {i: points[cell] for cell, i in enumerate(shown)},
        "edges": [
            {"node": i, "operand": k, "bends": bends}
            for (i, k), bends in zip(edges, routes, strict=True)
        ],
    }


def tangents(graph, seed):
    """Return the derivative of each node with respect to input `seed`, a number of a node."""
    found = []
    for i, node in enumerate(graph["nodes"]):
        found.append(float(i == seed) + sum(p * found[j] for j, p in _uses(node)))
    return found


def adjoints(graph, seeds):
    """Return the derivative of the sum of the nodes `seeds` with respect to each node."""
    found = [float(seeds.count(i)) for i in range(len(graph["nodes"]))]
    for i in reversed(range(len(found))):
        for j, p in _uses(graph["nodes"][i]):
            found[j] += found[i] * p
    return found


def assigned(node):
    """Return the symbol of a node and how it is computed: ``w4 = sin x1``, or ``x1``."""
    return " = ".join(filter(None, (node["symbol"], node["formula"])))


def four(value):
    """A number to four digits, with a real minus sign."""
    return f"{value + 0.0:.4g}".replace("-", "\N{MINUS SIGN}")


def _uses(node):
    pairs = zip(node["operands"], node["partials"], strict=True)
    return [(j, p) for j, p in pairs if p is not None]


def _handed_back(name, graph):
    nodes, bars = graph["nodes"], adjoints(graph, graph["outputs"])
    rows = []
    for node, bar in reversed(list(zip(nodes, bars, strict=True))):
        if node["kind"] == "constant":
            continue
        handed = "; ".join(
            f"to {nodes[j]['symbol']}: {four(bar)} · {four(p)} = {four(bar * p)}"
            for j, p in _uses(node)
        )
        rows.append((assigned(node), four(node["value"]), four(bar), handed))
    return table(escape(name), ("node", "value", "gradient", "hands back"), rows)


def _lines(name, graph):
    bars = adjoints(graph, graph["outputs"])
    rows = (
        f"  {assigned(node)}: value {four(node['value'])}, gradient {four(bar)}"
        for node, bar in zip(graph["nodes"], bars, strict=True)
        if node["kind"] != "constant"
    )
    return "\n".join([f"{name}:", *rows])
