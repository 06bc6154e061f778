"""The figure of reverse mode on a graph of scalars, and the sums of which it consists."""

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["adjoints", "backward_pass", "plain_graph", "tangents"]


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
        parts=("figure",),
        data={"graphs": plain},
        fallback=f'<p>The backward pass:</p>\n<div class="course-static">\n{tables}\n</div>',
        text="\n".join(["The backward pass:", *map(_lines, plain, plain.values())]),
    )


def plain_graph(where, graph):
    """Return a traced graph of scalars as lists and numbers for JSON; `where` is for messages."""
    nodes = []
    for i, node in enumerate(graph.nodes):
        if np.ndim(node.value) != 0 or not np.isfinite(node.value):
            raise ValueError(
                f"{where}: node {i}, {node.name}, has the value {node.value!r}, expected one "
                f"finite number; trace a function of scalars"
            )
        partials = [None if p is None else float(p) for p in node.partials]
        nodes.append(
            {"name": node.name, "kind": node.kind, "operands": list(node.operands)}
            | {"value": float(node.value), "partials": partials}
        )
    return {"nodes": nodes, "outputs": list(graph.outputs)}


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


def label(graph, i):
    """Return what node `i` is: ``sin(x1)``, ``multiply(x1, x2)``."""
    node = graph["nodes"][i]
    if node["kind"] == "constant":
        return four(node["value"])
    names = ", ".join(short(graph, j) for j in node["operands"])
    return f"{node['name']}({names})" if names else node["name"]


def short(graph, i):
    """Return the name of node `i`: of an argument its own, of an operation ``w3``."""
    node = graph["nodes"][i]
    return {"input": node["name"], "constant": four(node["value"])}.get(node["kind"], f"w{i + 1}")


def four(value):
    """A number to four digits, with a real minus sign."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _uses(node):
    pairs = zip(node["operands"], node["partials"], strict=True)
    return [(j, p) for j, p in pairs if p is not None]


def _handed_back(name, graph):
    bars = adjoints(graph, graph["outputs"])
    rows = []
    for i in reversed(range(len(bars))):
        node = graph["nodes"][i]
        if node["kind"] == "constant":
            continue
        handed = "; ".join(
            f"to {short(graph, j)}: {four(bars[i])} · {four(p)} = {four(bars[i] * p)}"
            for j, p in _uses(node)
        )
        rows.append((short(graph, i), label(graph, i), four(node["value"]), four(bars[i]), handed))
    return table(name, ("node", "is", "value", "gradient", "hands back"), rows)


def _lines(name, graph):
    bars = adjoints(graph, graph["outputs"])
    rows = (
        f"  {short(graph, i)} = {label(graph, i)}: value {four(node['value'])}, "
        f"gradient {four(bars[i])}"
        for i, node in enumerate(graph["nodes"])
        if node["kind"] != "constant"
    )
    return "\n".join([f"{name}:", *rows])
