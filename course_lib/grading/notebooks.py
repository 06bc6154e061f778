"""What of a notebook is run, and by whom: from its cells to a job of the sandbox.

A code cell is the student's unless nbgrader locks it; a locked one is given, and if it has points
it is graded, by the judge alone. Which names a judged cell takes from the submission is read off
the source: those that it uses and that a cell of the student's bound last, or that are probes of a
given cell (:func:`~.checks.probe`).
"""

import ast
import builtins
import symtable

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader.utils import is_grade, is_locked

from course_lib.grading.sandbox import Cell

__all__ = ["cells_of", "code_cells", "imported", "is_diagnosis", "kind_of", "names_from_students"]


def is_diagnosis(output):
    """Whether an output says what a mistake looks like; see :mod:`~.diagnosis`."""
    return output.get("metadata", {}).get("course") == "diagnosis"


def kind_of(cell):
    """``student``, ``given`` or ``graded``: who runs a code cell."""
    if not is_locked(cell):
        return "student"
    return "graded" if is_grade(cell) else "given"


def code_cells(notebook):
    """Return the code cells that hold any code, in order; a cell's number counts these from 1."""
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def cells_of(notebook, *, seconds, names=None):
    """Return the cells of a notebook as the sandbox runs them.

    Parameters
    ----------
    notebook : NotebookNode
        With the graded cells restored to what was released.
    seconds : float
        Time of each cell.
    names : dict, optional
        From :func:`names_from_students` of the source, by grade id; else of this notebook.

    Returns
    -------
    tuple of Cell
    """
    names = names_from_students(notebook) if names is None else names
    return tuple(
        Cell(
            number,
            cell.source,
            kind_of(cell),
            seconds,
            tuple(names.get(cell.metadata.get("nbgrader", {}).get("grade_id"), ())),
        )
        for number, cell in enumerate(code_cells(notebook), 1)
    )


def imported(paths):
    """Return the modules that the locked cells of notebooks import, for a sandbox to preload."""
    found = {"numpy", "course_lib.grading.checks"}
    for path in paths:
        for cell in code_cells(nbformat.read(path, as_version=4)):
            if kind_of(cell) == "student":
                continue
            try:
                tree = ast.parse(TransformerManager().transform_cell(cell.source))
            except SyntaxError:
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module)
    return tuple(sorted(found))


def names_from_students(notebook):
    """Say for each locked cell which names it takes from the submission.

    Parameters
    ----------
    notebook : NotebookNode
        The source with its solutions, or what was released.

    Returns
    -------
    dict
        Grade id to a sorted list of names.
    """
    owner, late, found = {}, set(), {}
    for cell in code_cells(notebook):
        bound, at_once, in_functions = _names(cell.source)
        if kind_of(cell) != "student":
            late |= in_functions
            needed = at_once | late
            grade_id = cell.metadata.nbgrader.grade_id
            found[grade_id] = sorted(n for n in needed if owner.get(n) == "student")
        owner |= dict.fromkeys(bound, kind_of(cell))
        if kind_of(cell) == "given":
            owner |= dict.fromkeys(_probes(cell.source), "student")
    return found


def _probes(source):
    """Names of the functions of a cell that are marked to run beside the student's."""
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return []
    return [
        statement.name
        for statement in tree.body
        if isinstance(statement, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "probe" for d in statement.decorator_list)
    ]


def _names(source):
    """Names that a cell binds; that it reads before it binds them; that its functions read."""
    source = TransformerManager().transform_cell(source)
    try:
        tree = ast.parse(source)
        table = symtable.symtable(source, "<cell>", "exec")
    except SyntaxError:
        return set(), set(), set()
    in_functions = set(_free(table)) - set(dir(builtins))
    bound, at_once = set(), set()
    for statement in tree.body:
        reads, binds = _of_statement(statement)
        at_once |= reads - bound
        bound |= binds
    return bound, at_once - set(dir(builtins)), in_functions


def _free(table):
    """Names that the functions and classes in a table of symbols read from the notebook."""
    for child in table.get_children():
        yield from (
            s.get_name() for s in child.get_symbols() if s.is_global() and s.is_referenced()
        )
        yield from _free(child)


def _of_statement(statement):
    """Names that one statement of a cell reads and binds, functions' insides excepted."""
    reads, binds, waiting = set(), set(), [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            binds.add(node.name)
            waiting += node.decorator_list
            if isinstance(node, ast.ClassDef):
                waiting += [*node.bases, *(k.value for k in node.keywords)]
            else:
                waiting += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            continue
        if isinstance(node, ast.Name):
            (reads if isinstance(node.ctx, ast.Load) else binds).add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            binds |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            binds.add(node.name)
        waiting += ast.iter_child_nodes(node)
    return reads, binds
