"""Fail the build, with the page and the cell, when a cell fails or prints a traceback."""

from pathlib import Path

import nbformat
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.util import logging

TRACEBACK = "Traceback (most recent call last)"
MEANT = "raises-exception"  # the tag of a cell that fails on purpose

logger = logging.getLogger(__name__)


def check_outcomes(app, doctree):
    docname = app.env.docname
    outcome = NbMetadataCollector.get_exec_data(app.env, docname)
    if outcome is None:  # not a notebook
        return
    executed = Path(app.env.mystnb_config.output_folder) / f"{docname}.ipynb"
    cells = nbformat.read(executed, as_version=4).cells
    if not outcome["succeeded"]:
        for index, cell in enumerate(cells):
            for output in cell.get("outputs", []):
                if output.output_type == "error" and MEANT not in cell.metadata.get("tags", []):
                    what = f"failed: {output.ename}: {output.evalue}"
                    logger.warning("%s %s", name_of(cell, index), what, location=docname)
        return  # a cell that was never run has printed nothing
    for node in doctree.findall(is_cell):
        index = node["cell_index"]
        if TRACEBACK in node.astext() and MEANT not in node["cell_metadata"].get("tags", []):
            which = name_of(cells[index], index)
            logger.warning("%s shows a traceback", which, location=docname)


def is_cell(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def name_of(cell, index):
    """A cell as its author knows it: place, id, first line."""
    first = next(iter(cell.source.strip().splitlines()), "")
    return f"cell {index + 1}, `{cell.get('id', '')}` ({first})"


def setup(app):
    app.connect("doctree-read", check_outcomes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
