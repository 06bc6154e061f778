"""The computational graph of a function, with values and gradients, that draws itself."""

import inspect

import numpy as np

from course_lib.autodiff import drawing
from course_lib.autodiff.engine import Tape, Traced
from course_lib.autodiff.transforms import results, variable
from course_lib.autodiff.trees import flatten, rebuild


class Node:
    """A value of the computation.

    Attributes
    ----------
    name : str
        Of the argument, or of the operation that made the value.
    kind : {"input", "constant", "operation"}
    operands : tuple of int
        The nodes that the operation took, by number.
    value : ndarray
    gradient : ndarray or None
        Of the sum of all outputs, with respect to the value; None if they do not depend on it.
    partials : tuple of (ndarray or None)
        The local derivatives: of the sum of the value's entries, with respect to each operand;
        None for a constant.
    multiply_adds, elementwise : int
        Operations that it took to compute the value, as :func:`count` counts them.
    """

    def __init__(self, name, kind, value, operands=(), cost=(0, 0)):
        self.name = name
        self.kind = kind
        self.value = value
        self.operands = operands
        self.multiply_adds, self.elementwise = cost
        self.gradient = None
        self.partials = (None,) * len(operands)


class Graph:
    """The nodes of a computation, operands before results. Shows itself in a notebook.

    Attributes
    ----------
    name : str
        Of the function.
    nodes : list of Node
    outputs : list of int
        The nodes that the function returned.
    """

    def __init__(self, name, nodes, outputs):
        self.name = name
        self.nodes = nodes
        self.outputs = outputs

    multiply_adds = property(lambda self: sum(node.multiply_adds for node in self.nodes))
    elementwise = property(lambda self: sum(node.elementwise for node in self.nodes))

    def _repr_svg_(self):
        return drawing.svg(self)

    def _repr_html_(self):
        return (
            f'<div style="overflow-x:auto">{drawing.svg(self)}</div>'
            f"<details><summary>The graph as a table</summary>{drawing.table(self)}</details>"
        )

    def __repr__(self):
        return drawing.text(self)


def trace(f, *args):
    """Run `f` once forward and back, and return its computational graph.

    Parameters
    ----------
    f : callable
    *args
        Arrays of floating-point numbers, or trees of them, as for :func:`vjp`.

    Returns
    -------
    Graph
        One node for each argument, constant and operation, with its value, its gradient and its
        cost. In a notebook it draws itself, from the arguments at the top down to the result; the
        drawing is readable up to about 25 nodes.

    Raises
    ------
    TypeError
        As :func:`vjp`, and if an argument is traced itself.

    Examples
    --------
    >>> trace(lambda x1, x2: x1 * x2 + np.sin(x1), 2.0, 5.0)
    <lambda>: 0 multiply-adds, 3 elementwise operations
     0  x1              value 2, gradient 4.584
     1  x2              value 5, gradient 2
     2  multiply(0, 1)  value 10, gradient 1
     3  sin(0)          value 0.9093, gradient 1
     4  add(2, 3)       value 10.91, gradient 1
    """
    leaves, structure = flatten(args)
    if any(type(x) is Traced for x in leaves):
        raise TypeError("trace: an argument is traced already; trace the function from outside")
    xs = [variable("trace", i, x) for i, x in enumerate(leaves)]
    tape = Recorder()
    names = argument_names(f, args)
    inputs = [tape.start_named(x, name) for x, name in zip(xs, names, strict=True)]
    ys, _ = results("trace", f(*rebuild(structure, inputs)))
    ends = [y.mark for y in ys if type(y) is Traced]
    return tape.graph(getattr(f, "__name__", type(f).__name__), ends)


class Recorder(Tape):
    """A tape that also notes what a graph shows."""

    def __init__(self):
        super().__init__()
        self.nodes = []
        self.node_of = []  # the node of each record

    def start_named(self, value, name):
        """Return `value` as an independent variable with a name."""
        self.node_of.append(self.add(Node(name, "input", value)))
        return self.start(value)

    def follow(self, rule, y, values, marks):
        """Write an operation down, with its value and its constants."""
        operands = zip(values[: len(rule.vjps)], marks, strict=False)
        numbers = tuple(
            self.constant(value) if mark is None else self.node_of[mark] for value, mark in operands
        )
        cost = rule.cost(y, *values)
        name = title(rule.name, values[len(rule.vjps) :])
        self.node_of.append(self.add(Node(name, "operation", y, numbers, cost)))
        return super().follow(rule, y, values, marks)

    def constant(self, value):
        """Return the number of the node of a constant; an array gets one, however often used."""
        for number, node in enumerate(self.nodes):
            if node.value is value and isinstance(value, np.ndarray):
                return number
        return self.add(Node("constant", "constant", value))

    def add(self, node):
        self.nodes.append(node)
        return len(self.nodes) - 1

    def graph(self, name, ends):
        """Sweep back from the results, and return the graph."""
        ones = {mark: np.ones_like(self.nodes[self.node_of[mark]].value) for mark in ends}
        for number, gradient in zip(self.node_of, self.pull(ones, hold=True), strict=True):
            self.nodes[number].gradient = gradient
        for number, record in zip(self.node_of, self.records, strict=True):
            if record is not None:
                self.nodes[number].partials = partials(self.nodes[number].value, *record)
        return Graph(name, self.nodes, [self.node_of[mark] for mark in ends])


def partials(value, rule, kept, marks, _):
    """Return the gradient that ones for a value's entries hand to each of its operands."""
    ones = np.ones_like(value)
    return tuple(
        None if mark is None else rule.vjps[i](ones, *kept) for i, mark in enumerate(marks)
    )


def title(name, rest, longest=14):
    """Return the name of an operation, with the arguments that are not operands if they are short.

    >>> title("reshape", [(2, 3)]), title("getitem", [0]), title("sum", [])
    ('reshape (2, 3)', '[0]', 'sum')
    """
    words = " ".join(map(str, rest))
    full = f"[{words}]" if name == "getitem" else f"{name} {words}".strip()
    return full if len(full) <= longest else name


def argument_names(f, args):
    """Return a name for each leaf of the arguments: the parameter's, numbered within a tree."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some functions of C have no signature
        parameters = []
    names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    found = []
    for i, arg in enumerate(args):
        name = names[i] if i < len(names) else f"x{i}"
        leaves, structure = flatten(arg)
        found += [name] if structure == 0 else [f"{name}[{j}]" for j in range(len(leaves))]
    return found
