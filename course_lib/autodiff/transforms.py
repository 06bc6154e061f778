"""Derivatives of functions. They nest in any order, to any depth.

A function to differentiate is written in plain NumPy. It takes arrays of floating-point numbers,
or nested tuples, lists and dicts of them, and returns the same kinds of thing.
"""

import numpy as np

from course_lib.autodiff import ledger
from course_lib.autodiff.arrays import Traced
from course_lib.autodiff.engine import Forward, Tape, as_precise, plain
from course_lib.autodiff.trees import flatten, rebuild


def jvp(f, primals, tangents):
    """Return the value of `f` and its directional derivative: one forward sweep.

    ``y_dot = J x_dot`` says how fast `y` changes when the arguments move along the tangents.

    Parameters
    ----------
    f : callable
    primals : tuple
        The arguments of `f`.
    tangents : tuple
        For each argument a direction, in its shape.

    Returns
    -------
    y, y_dot
        What `f` returns, and its derivative in the same shape. Where `y` does not depend on the
        arguments, the derivative is 0.

    Raises
    ------
    TypeError
        If the arguments do not hold floating-point numbers, or `f` returns something else than
        numbers.
    ValueError
        If the tangents do not fit the primals.

    References
    ----------
    Griewank & Walther (2008), "Evaluating Derivatives", section 3.1.

    Examples
    --------
    >>> y, y_dot = jvp(lambda a, b: a * b, (2.0, 5.0), (1.0, 0.0))
    >>> float(y), float(y_dot)
    (10.0, 5.0)
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise TypeError(
                f"jvp: `{name}` is a {type(given).__name__}, expected a tuple with one entry for "
                f"each argument of the function, such as (x,)"
            )
    xs, structure = variables("jvp", tuple(primals))
    x_dots = matching("jvp", "tangents", tuple(tangents), xs, structure)
    sweep = Forward()
    duals = [Traced(x, sweep, x_dot) for x, x_dot in zip(xs, x_dots, strict=True)]
    with ledger.sweep("forward"):
        y = f(*rebuild(structure, duals))
    ys, structure = results("jvp", y)
    values = [ledger.leave(y.value if belongs(y, sweep) else y) for y in ys]
    y_dots = [as_precise(y.mark, y.dtype) if belongs(y, sweep) else zeros(y) for y in ys]
    return rebuild(structure, values), rebuild(structure, separate(y_dots, x_dots))


def vjp(f, *primals):
    """Return the value of `f` and its pullback, which is one sweep back each time it is called.

    ``x_bar = J^T y_bar`` says how the number ``<y_bar, y>`` depends on each argument.

    The tape keeps copies of its own: writing into `primals`, `y` or any array that `f` uses
    changes nothing. An array that `f` uses often, and leaves as it is, is copied once; only
    read-only arrays are kept as they are.

    Parameters
    ----------
    f : callable
    *primals
        The arguments of `f`.

    Returns
    -------
    y
        What `f` returns.
    pullback : callable
        ``pullback(y_bar) -> tuple``: for each argument its gradient, in its shape. It may be
        called any number of times.

    Raises
    ------
    TypeError, ValueError
        As :func:`jvp`.

    References
    ----------
    Griewank & Walther (2008), "Evaluating Derivatives", section 3.2.

    Examples
    --------
    >>> y, pullback = vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> [float(x_bar) for x_bar in pullback(1.0)]
    [5.0, 2.0]
    """
    recording = Recording("vjp", f, primals, private=True)

    def pullback(y_bar):
        y_bars = matching("pullback", "y_bar", y_bar, recording.ys, recording.structure)
        return recording.pull(dict(enumerate(y_bars)))

    ys = [np.copy(y) if isinstance(y, np.ndarray) else y for y in map(ledger.leave, recording.ys)]
    return rebuild(recording.structure, ys), pullback


def grad(f, argnums=0):
    """Return the function that computes the gradient of a scalar function.

    Parameters
    ----------
    f : callable
        Returns one number.
    argnums : int or tuple of int
        The arguments to differentiate; the others are passed on as they are.

    Returns
    -------
    callable
        Takes what `f` takes. Returns the gradient in the shape of the argument; for a tuple
        `argnums`, a tuple of gradients.

    Raises
    ------
    TypeError
        If these arguments do not hold floating-point numbers, or `f` does not return a number.
    ValueError
        If `f` returns more than one number, or there is no such argument.

    Examples
    --------
    >>> float(grad(lambda x: x**3)(2.0))
    12.0
    """

    def gradient(*args, **options):
        return differentiate("grad", f, argnums, args, options)[1]

    return gradient


def value_and_grad(f, argnums=0):
    """Return the function that computes ``(y, gradient)``. As :func:`grad`, at the same cost."""

    def value_and_gradient(*args, **options):
        return differentiate("value_and_grad", f, argnums, args, options)

    return value_and_gradient


def differentiate(where, f, argnums, args, options):
    """Return the value and the gradient, as :func:`value_and_grad` promises."""
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise ValueError(
                f"{where}: `argnums` names argument {i}, but the function was called with "
                f"{len(args)} by position"
            )

    def of_chosen(*values):
        full = list(args)
        for i, value in zip(chosen, values, strict=True):
            full[i] = value
        return f(*full, **options)

    recording = Recording(where, of_chosen, [args[i] for i in chosen])
    if recording.structure != 0 or np.shape(recording.ys[0]) != ():
        got = " and ".join(f"shape {np.shape(y)}" for y in recording.ys) or "nothing"
        if recording.structure != 0:
            got = f"a {type(recording.structure).__name__} with {got}"
        raise ValueError(
            f"{where}: the function returned {got}, expected one number; reduce it, for example "
            f"with np.sum, or use jacrev"
        )
    (y,) = recording.ys
    gradients = recording.pull({0: ledger.enter(np.ones((), dtype(y)))})
    return ledger.leave(y), gradients[0] if isinstance(argnums, int) else gradients


def jacfwd(f):
    """Return the function that computes the Jacobian by columns: one forward sweep an input.

    Parameters
    ----------
    f : callable
        Takes one array, and possibly other arguments, which are held.

    Returns
    -------
    callable
        Takes what `f` takes. Returns an array of shape ``(*y.shape, *x.shape)`` for each array
        that `f` returns. Cheaper than :func:`jacrev` if `x` has fewer entries than `y`.

    Raises
    ------
    TypeError, ValueError
        As :func:`jvp`.
    """

    def jacobian(x, *rest):
        x = variable("jacfwd", 0, x)
        directions = basis(x) or [zeros(x)]
        columns = [jvp(lambda x: f(x, *rest), (x,), (e,))[1] for e in directions]
        leaves, structures = zip(*map(flatten, columns), strict=True)
        jacobians = []
        for parts in zip(*leaves, strict=True):
            columns = np.stack(parts, axis=-1)[..., : np.size(x)]
            jacobians.append(np.reshape(columns, np.shape(parts[0]) + np.shape(x)))
        return rebuild(structures[0], jacobians)

    return jacobian


def jacrev(f):
    """Return the function that computes the Jacobian by rows: one sweep back for each output.

    As :func:`jacfwd`, and cheaper than that if `y` has fewer entries than `x`.
    """

    def jacobian(x, *rest):
        x = variable("jacrev", 0, x)
        recording = Recording("jacrev", lambda x: f(x, *rest), (x,))
        jacobians = []
        for i, y in enumerate(recording.ys):
            rows = [recording.pull({i: ledger.enter(e)})[0] for e in basis(y)] or [zeros(x)]
            rows = np.stack(rows)[: np.size(y)]
            jacobians.append(np.reshape(rows, np.shape(y) + np.shape(x)))
        return rebuild(recording.structure, jacobians)

    return jacobian


def hvp(f, x, v):
    """Return the product of the Hessian of a scalar function with a vector: forward over reverse.

    No matrix is formed: the cost is a small multiple of a gradient's, however long `x` is.

    Parameters
    ----------
    f : callable
        Takes one array (or tree of arrays), returns one number.
    x, v : ndarray
        The point and the direction, of one shape.

    Returns
    -------
    ndarray, the shape of `x`

    Raises
    ------
    TypeError, ValueError
        As :func:`grad` and :func:`jvp`.

    References
    ----------
    Pearlmutter (1994), "Fast Exact Multiplication by the Hessian", section 3.

    Examples
    --------
    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def hessian(f):
    """Return the function that computes the Hessian of a scalar function, forward over reverse.

    The result has shape ``(*x.shape, *x.shape)``. Raises as :func:`grad`.
    """
    return jacfwd(grad(f))


class Recording:
    """A run of a function on a tape, and how to pull gradients back from its results.

    Attributes
    ----------
    xs, ys : list
        The arrays that went in and came out.
    structure : tree of int
        How the `ys` are arranged in what the function returned.
    """

    def __init__(self, where, f, primals, private=False):
        self.xs, self.inputs = variables(where, tuple(primals), private)
        self.tape = Tape()
        with ledger.sweep("record") as sweep:
            returned = f(*rebuild(self.inputs, [self.tape.start(x) for x in self.xs]))
            if sweep:
                sweep.tape_bytes = ledger.size_of(self.tape)
        traced, self.structure = results(where, returned)
        self.marks = [y.mark if belongs(y, self.tape) else None for y in traced]
        self.ys = [y.value if belongs(y, self.tape) else y for y in traced]

    def pull(self, y_bars):
        """Return the gradient for each argument; `y_bars` has some results', by their number."""
        arriving = {}
        for i, y_bar in y_bars.items():
            mark = self.marks[i]
            if mark is not None:  # the same value may have been returned twice
                arriving[mark] = arriving[mark] + y_bar if mark in arriving else y_bar
        with ledger.sweep("reverse"):
            x_bars = self.tape.pull(arriving)[: len(self.xs)]
        x_bars = [
            zeros(x) if x_bar is None else as_precise(x_bar, x.dtype)
            for x, x_bar in zip(self.xs, x_bars, strict=True)
        ]
        return rebuild(self.inputs, separate(x_bars, y_bars.values()))


def variables(where, tree, private=False):
    """Return the checked leaves of the arguments, and their structure."""
    leaves, structure = flatten(tree)
    return [variable(where, i, x, private) for i, x in enumerate(leaves)], structure


def variable(where, i, x, private=False):
    """Return `x` as an array that can be differentiated; a copy if it has to be private."""
    if type(x) is Traced:
        return x
    array = np.array(x) if private else np.asarray(x)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{where}: argument {i} holds {array.dtype}, expected floating-point numbers, since a "
            f"derivative asks what happens when a number moves a little; convert it, for example "
            f"with np.asarray(x, dtype=float)"
        )
    return ledger.enter(array)


def results(where, tree):
    """Return the checked leaves of what the function returned, and their structure."""
    leaves, structure = flatten(tree)
    for y in leaves:
        found = y.dtype if type(y) is Traced else np.asarray(y).dtype
        if found.kind not in "fiub":
            kind = "an array" if np.ndim(y) else f"a {type(plain(y)).__name__}"
            raise TypeError(
                f"{where}: the function returned {kind} of {found}, expected real numbers or "
                f"arrays of them"
            )
    return leaves, structure


def matching(where, name, tree, likes, structure):
    """Return the leaves of `tree` as arrays, each with the shape and precision of its like."""
    leaves, found = flatten(tree)
    if found != structure:
        raise ValueError(
            f"{where}: `{name}` holds {len(leaves)} arrays, expected {len(likes)}, in the same "
            f"tuples, lists and dicts as what they belong to"
        )
    arrays = []
    for i, (x, like) in enumerate(zip(leaves, likes, strict=True)):
        if np.shape(x) != np.shape(like):
            raise ValueError(
                f"{where}: array {i} of `{name}` has shape {np.shape(x)}, expected "
                f"{np.shape(like)} as what it belongs to"
            )
        arrays.append(x if type(x) is Traced else ledger.enter(np.asarray(x, dtype=dtype(like))))
    return arrays


def belongs(y, sweep):
    """Whether `y` is a value that this sweep traced."""
    return type(y) is Traced and y.sweep is sweep


def dtype(x):
    """Return the precision for derivatives of `x`: its own, or float64 if it holds integers."""
    found = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    return found if found.kind == "f" else np.dtype(float)


def zeros(x):
    """Return zeros in the shape and precision of `x`."""
    return np.zeros(np.shape(x), dtype(x))


def basis(x):
    """Return the arrays of the shape of `x` that are 1 in one entry and 0 elsewhere."""
    return [np.reshape(e, np.shape(x)) for e in np.eye(np.size(x), dtype=dtype(x))]


def separate(arrays, given):
    """Return arrays that the caller may write into: no two share memory, nor one with `given`.

    A rule may hand on the array it was given, or a view of it, or hand it to several operands.
    """
    taken, free = [ledger.leave(array) for array in given], []
    for array in map(ledger.leave, arrays):
        if isinstance(array, np.ndarray):
            shared = any(array is other for other in taken)
            if shared or array.base is not None or not array.flags.writeable:
                array = array.copy()
            taken.append(array)
        free.append(array)
    return free
