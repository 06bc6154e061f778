"""Count what a derivative costs: the operations of each sweep, and the bytes that a tape keeps."""

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import numpy as np

from course_lib.autodiff.engine import Traced

_running = ContextVar("ledger", default=None)


class Sweep:
    """What one sweep did.

    Attributes
    ----------
    kind : {"forward", "record", "reverse"}
        A forward sweep with tangents; the forward sweep that fills a tape; the sweep back.
    multiply_adds : int
        Of matrix and tensor products, convolutions and decompositions.
    elementwise : int
        Operations of all other kinds, one for each entry. Moving entries is free.
    tape_bytes : int
        Size of the arrays that the tape holds when it is full, each counted once; with their
        tangents, where a forward sweep further out has put some beside them.
    """

    def __init__(self, kind):
        self.kind = kind
        self.multiply_adds = self.elementwise = self.tape_bytes = 0

    def row(self):
        """Return the sweep as a row of a table."""
        return self.kind, self.multiply_adds, self.elementwise, self.tape_bytes


class Ledger:
    """The sweeps that ran, in order.

    For the engine it is itself a sweep, further out than all others: every array that enters a
    derivative is wrapped for it, so that each operation comes by here, those inside of rules too.
    """

    depth = 0

    def __init__(self):
        self.sweeps = []
        self._open = []

    multiply_adds = property(lambda self: sum(s.multiply_adds for s in self.sweeps))
    elementwise = property(lambda self: sum(s.elementwise for s in self.sweeps))
    tape_bytes = property(lambda self: sum(s.tape_bytes for s in self.sweeps))

    def follow(self, rule, y, values, marks):
        """Add the cost of an operation to the innermost sweep that is running."""
        if self._open:
            multiply_adds, elementwise = rule.cost(y, *values)
            self._open[-1].multiply_adds += multiply_adds
            self._open[-1].elementwise += elementwise
        return Traced(y, self, ())

    @contextmanager
    def sweep(self, kind):
        """Count the operations inside as one sweep."""
        self.sweeps.append(Sweep(kind))
        self._open.append(self.sweeps[-1])
        try:
            yield self.sweeps[-1]
        finally:
            self._open.pop()

    def rows(self):
        """Return the table's head and rows, as text."""
        head = ("sweep", "multiply-adds", "elementwise", "tape bytes")
        sums = ("all", self.multiply_adds, self.elementwise, self.tape_bytes)
        rows = [*(sweep.row() for sweep in self.sweeps), sums]
        return head, [(kind, *(f"{n:,}" for n in counts)) for kind, *counts in rows]

    def __repr__(self):
        head, rows = self.rows()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in (head, *rows)
        )

    def _repr_html_(self):
        head, rows = self.rows()
        first = "".join(f'<th scope="col">{name}</th>' for name in head)
        others = "".join(
            f'<tr><th scope="row">{kind}</th>{"".join(f"<td>{n}</td>" for n in counts)}</tr>'
            for kind, *counts in rows
        )
        return (
            f"<table><caption>Operations counted</caption>"
            f"<thead><tr>{first}</tr></thead><tbody>{others}</tbody></table>"
        )


@contextmanager
def count():
    """Count the operations of all derivatives that are computed inside.

    Yields
    ------
    Ledger
        Its `sweeps` list what each sweep cost; `multiply_adds`, `elementwise` and `tape_bytes` are
        the sums. It shows itself as a table.

    Examples
    --------
    >>> with count() as ledger:
    ...     _ = grad(lambda x: np.sum(np.sin(x)))(np.ones(10))
    >>> ledger
    sweep    multiply-adds  elementwise  tape bytes
    record               0           20          80
    reverse              0           20           0
    all                  0           40          80
    """
    ledger = Ledger()
    token = _running.set(ledger)
    try:
        yield ledger
    finally:
        _running.reset(token)


def enter(x):
    """Return `x`, wrapped if somebody is counting."""
    ledger = _running.get()
    return x if ledger is None or type(x) is Traced else Traced(x, ledger, ())


def leave(y):
    """Return `y` without the ledger's wrapping."""
    return y.value if type(y) is Traced and type(y.sweep) is Ledger else y


def sweep(kind):
    """Return a context that counts its operations as one sweep, if somebody is counting."""
    ledger = _running.get()
    return nullcontext() if ledger is None else ledger.sweep(kind)


def size_of(tape):
    """Return the bytes of all arrays that a tape keeps, each once, however many views it has."""
    sizes = {}
    for record in filter(None, tape.records):
        for array in arrays_in(record[1]):
            while isinstance(getattr(array, "base", None), np.ndarray):
                array = array.base
            sizes[id(array)] = array.nbytes
    return sum(sizes.values())


def arrays_in(kept):
    """Yield the arrays of a value that a tape keeps, and those inside a tuple or list.

    A value of a forward sweep further out has its tangent with it.
    """
    if type(kept) is Traced:
        yield from arrays_in(kept.value)
        yield from arrays_in(kept.mark)
    elif isinstance(kept, tuple | list):
        for entry in kept:
            yield from arrays_in(entry)
    elif isinstance(kept, np.ndarray | np.generic):
        yield kept
