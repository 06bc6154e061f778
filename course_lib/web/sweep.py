"""The figure of one sweep, forward or reverse, as a table of values and derivatives."""

from course_lib.web.figure import Figure
from course_lib.web.graph import adjoints, assigned, four, plain_graph, tangents
from course_lib.web.tables import table

__all__ = ["sweep"]


def sweep(graph):
    """Watch a sweep fill its table: forward from an input, or reverse from an output.

    Parameters
    ----------
    graph : Graph
        Of :func:`course_lib.autodiff.trace`, of scalars.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a node is an array or not finite.
    """
    data = plain_graph("sweep", graph)
    nodes, outputs = data["nodes"], data["outputs"]
    inputs = [i for i, node in enumerate(nodes) if node["kind"] == "input"]
    columns = [(f"forward, seed {nodes[i]['symbol']}", tangents(data, i)) for i in inputs]
    columns += [(f"reverse, seed {nodes[i]['symbol']}", adjoints(data, [i])) for i in outputs]
    rows = [
        (
            assigned(node),
            four(node["value"]),
            *(four(column[i]) for _, column in columns),
        )
        for i, node in enumerate(nodes)
        if node["kind"] != "constant"
    ]
    headers = ("node", "value", *(name for name, _ in columns))
    sizes = (
        f"The Jacobian is {len(outputs)} by {len(inputs)}: sweeps it takes forward, one for each "
        f"input: {len(inputs)}; in reverse, one for each output: {len(outputs)}."
    )
    written = table("Values and derivatives", headers, rows)
    return Figure(
        tag="course-sweep",
        parts=("figure", "sweep"),
        data=data,
        fallback=f'<p>{sizes}</p>\n<div class="course-static">\n{written}\n</div>',
        text="\n".join([sizes, " | ".join(headers), *(" | ".join(row) for row in rows)]),
    )
