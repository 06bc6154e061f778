"""The figure of the cheaper mode, from counted operations."""

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["cost_map"]


def cost_map(counts):
    """Show which mode gives the whole Jacobian in fewer operations, over inputs and outputs.

    Parameters
    ----------
    counts : dict
        ``inputs`` and ``outputs``, the numbers n and m that were tried, and ``forward`` and
        ``reverse``, the counted operations, each of shape (len(inputs), len(outputs)).

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    inputs, outputs = list(map(int, counts["inputs"])), list(map(int, counts["outputs"]))
    modes = {mode: np.asarray(counts[mode]) for mode in ("forward", "reverse")}
    for mode, array in modes.items():
        if array.shape != (len(inputs), len(outputs)) or array.size == 0:
            raise ValueError(
                f"cost_map: `{mode}` has shape {array.shape}, expected "
                f"{(len(inputs), len(outputs))}, a count for each of `inputs` and `outputs`"
            )
    forward, reverse = modes.values()
    rows = [
        (f"n = {n}", *(_cell(forward[i, j], reverse[i, j]) for j in range(len(outputs))))
        for i, n in enumerate(inputs)
    ]
    headers = ("", *(f"m = {m}" for m in outputs))
    title = "Operations of the whole Jacobian, forward / reverse, and the cheaper mode"
    return Figure(
        tag="course-cost-map",
        parts=("figure", "cost-map"),
        data={"inputs": inputs, "outputs": outputs}
        | {mode: array.tolist() for mode, array in modes.items()},
        fallback='<p>n inputs, m outputs:</p>\n<div class="course-static">\n'
        + table(title, headers, rows)
        + "\n</div>",
        text="\n".join([title, "  ".join(headers), *("  ".join(row) for row in rows)]),
    )


def _cell(forward, reverse):
    cheaper = "equal" if forward == reverse else "forward" if forward < reverse else "reverse"
    return f"{forward:,} / {reverse:,}: {cheaper}"
