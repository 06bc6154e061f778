"""Checks for assignments: right, or one line that says where the first difference is.

A failing check raises an :class:`AssertionError` for a student to read: what was checked, where it
is wrong, what was got, what was expected, and one hint.
"""

import sys
import warnings
from contextlib import contextmanager
from functools import cache
from types import FunctionType

import numpy as np

__all__ = [
    "check_answer",
    "check_close",
    "check_computed",
    "check_returns",
    "check_unchanged",
    "differences",
    "own_code",
    "probe",
]

ANSWERS = (
    *(f"course_lib.numpy_layers.{name}" for name in ("conv", "pool", "roi", "windows")),
    *(f"course_lib.torch_layers.{name}" for name in ("conv", "pool", "roi", "windows")),
    *(f"course_lib.detection.{name}" for name in ("boxes", "nms")),
    *(f"torchvision.ops.{name}" for name in ("boxes", "roi_align", "roi_pool")),
)
_own_code = []  # one entry for each own_code that is entered


def check_close(what, got, expected, *, hint, tolerance=1e-7):
    """Check numbers against the right ones.

    Any array-like is taken as `got`: a view, in any order of memory, of any real dtype, nested
    lists; where one number is expected, a scalar of any kind.

    Parameters
    ----------
    what : str
        Name of what is checked, with which the message begins.
    got : array_like
        From the submission: may be anything.
    expected : array_like
        Its shape is required of `got`.
    hint : str
        A sentence that ends the message.
    tolerance : float
        Right is what differs by at most ``tolerance * (1 + |expected|)``.

    Raises
    ------
    AssertionError
        If `got` is not an array of real numbers, or has another shape, or holds nan, infinity or a
        wrong number.
    """
    expected = np.asarray(expected)
    got = as_numbers(what, got, expected, hint)
    error = np.abs(got - expected)
    allowed = tolerance * (1 + np.abs(expected))
    wrong = ~(error <= allowed)  # nan is wrong
    if not wrong.any():
        return
    strange = ~np.isfinite(got)
    if strange.any():
        where, value, right = first(strange, got, expected)
        raise AssertionError(f"{what} holds {value}{where}, expected {right}. {hint}")
    where, value, right = first(wrong, got, expected)
    if (error <= np.maximum(allowed, 1e-5 * (1 + np.abs(expected)))).all():
        raise AssertionError(
            f"{what} has only its first digits right{where}: got {value}, expected {right}. "
            f"Is something on the way in float32?"
        )
    raise AssertionError(f"{what} is wrong{where}: got {value}, expected {right}. {hint}")


def check_answer(what, answer, expected, hint, **options):
    """Print that a reader's answer is right, or where it differs first; fail in no case.

    Parameters
    ----------
    what : str
        Name of what is checked, with which the line begins.
    answer : array_like or None
        None where there is no answer yet.
    expected, hint, **options
        As in :func:`check_close`.
    """
    if answer is None:
        print(f"{what}: not answered yet")
        return
    try:
        check_close(what, answer, expected, hint=hint, **options)
    except AssertionError as difference:
        print(difference)
    else:
        print(f"{what}: right")


def as_numbers(what, got, expected, hint):
    """Return `got` as a real array of the shape of `expected`, or raise as check_close does."""
    wanted = "a number" if expected.ndim == 0 else f"an array of shape {expected.shape}"
    if got is None:
        raise AssertionError(f"{what} is None, expected {wanted}: is it computed, and returned?")
    try:
        array = np.asarray(got)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor that wants detach()
        array = np.asarray(None)
    if array.dtype.kind == "c":
        raise AssertionError(
            f"{what} holds complex numbers, expected {wanted} of real ones: take the real part"
        )
    if array.dtype.kind not in "fiu":
        held = "" if array.ndim == 0 or array.dtype.kind == "O" else f" of {array.dtype}"
        raise AssertionError(f"{what} is a {type(got).__name__}{held}, expected {wanted}. {hint}")
    if expected.ndim == 0 and array.size == 1:
        array = array.reshape(())
    if array.shape != expected.shape:
        shape = f"shape {array.shape}" if array.ndim else "no axes (it is one number)"
        raise AssertionError(f"{what} has {shape}, expected {expected.shape}. {hint}")
    return array


def first(mask, got, expected):
    """Say how many places of `mask` there are and which is the first; return both numbers there.

    They have as many digits as tell them apart: nine do so for any two float32, seventeen for any
    two float64.
    """
    at = tuple(int(i) for i in np.argwhere(mask)[0])
    where = f" in {mask.sum()} of {mask.size} places, first at {list(at)}" if at else ""
    for digits in (6, 9, 17):
        value, right = (f"{float(array[at]):.{digits}g}" for array in (got, expected))
        if value != right:
            break
    return where, value, right


def check_returns(where, returned, *names):
    """Check that a function returned as many values as it should; give each its name.

    Parameters
    ----------
    where : str
        Name of the function.
    returned
        What it returned: a tuple or a list is expected.
    *names : str
        Of the values, in order.

    Returns
    -------
    dict
        Name to value.

    Raises
    ------
    AssertionError
        If it returned nothing, one value, or another number of values.
    """
    wanted = f"({', '.join(names)})"
    if returned is None:
        raise AssertionError(f"{where} returned None, expected {wanted}: is there a `return`?")
    if not isinstance(returned, tuple | list):
        kind = type(returned).__name__
        raise AssertionError(f"{where} returned one value, of type {kind}, expected {wanted}")
    if len(returned) != len(names):
        raise AssertionError(
            f"{where} returned {len(returned)} values, expected {len(names)}: {wanted}"
        )
    return dict(zip(names, returned, strict=True))


def check_computed(**results):
    """Check that something was computed at all; return copies of it.

    For checks that doing nothing would pass: that an argument stays as it was, or that two calls
    agree.

    Parameters
    ----------
    **results : array_like
        By name.

    Returns
    -------
    dict
        Name to a copy of the result.

    Raises
    ------
    AssertionError
        If a result is None, is no array of real numbers, or holds no number but 0.
    """
    copies = {name: np.array(result) for name, result in results.items()}
    for name, array in copies.items():
        if array.dtype.kind not in "fiu" or not array.any():
            held = "holds zeros only" if array.dtype.kind in "fiu" else f"is {results[name]!r}"
            raise AssertionError(f"nothing to judge yet: {name} {held}")
    return copies


def check_unchanged(what, array, before):
    """Check that a function left its argument as it was.

    Parameters
    ----------
    what : str
        Name of the argument.
    array, before : ndarray
        The array that was passed, and a copy made before.

    Raises
    ------
    AssertionError
        If they differ.
    """
    changed = array != before
    if changed.any():
        where, value, right = first(changed, array, before)
        raise AssertionError(
            f"{what} was changed by the call{where}: it was {right} and is {value} now. "
            f"Work on a copy: `{what}` belongs to the caller"
        )


@contextmanager
def own_code():
    """Run a submission's code: without the library's answers, and undisturbed.

    Inside, a function of the modules `ANSWERS`, of this library and of torchvision, raises when
    called, by whatever name the submission knows it: its code is exchanged, at no cost to other
    calls. Warnings are not shown: they are no mistakes.

    Raises
    ------
    AssertionError
        From within the submission, where it calls such a function.
    """
    functions = _answers(tuple(name for name in ANSWERS if name in sys.modules))
    codes = [function.__code__ for function in functions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _own_code.append(True)
        try:
            for function in functions:
                function.__code__ = refuse.__code__
            yield
        finally:
            _own_code.pop()
            for function, code in zip(functions, codes, strict=True):
                function.__code__ = code


@cache
def _answers(modules):
    """The functions of some modules that an assignment asks for."""
    return [
        thing
        for name in modules
        for thing in vars(sys.modules[name]).values()
        if isinstance(thing, FunctionType)
        and thing.__module__ == name
        and not thing.__closure__  # a wrapper, whose code has no like
    ]


def probe(function):
    """Mark a function of a locked cell that runs beside the student's functions, which it calls.

    Where a grader keeps checks and student's code in two processes, a check calls a probe in the
    other one: once, where it would else call the student's functions there a thousand times. What
    the probe returns has to be plain data, and is the word of the submission: judge it as what
    its functions return, and do not let a probe judge.
    """
    return function


def is_own_code():
    """Whether this runs inside :func:`own_code`."""
    return bool(_own_code)


def refuse(*args, **options):
    """Stand in for a function that is not to be called."""
    raise AssertionError(
        "this function of the library is the answer, not a tool: it cannot be called here. "
        "Write your own"
    )


def differences(f, x, dy, *, step=1e-4):
    r"""Gradient of ``sum(f(x) * dy)`` by central differences, one number of `x` at a time.

    .. math:: \bar x_i \approx \sum_j \bar y_j
        \frac{f_j(x + h e_i) - f_j(x - h e_i)}{2 h}

    Where f is linear, as a convolution is, this is exact but for rounding.

    Parameters
    ----------
    f : callable
        Takes an array of the shape of `x` and returns an array_like of the shape of `dy`.
    x : float64 ndarray
    dy : ndarray
    step : float
        h, in units of `x`.

    Returns
    -------
    ndarray, the shape of `x`
    """
    dx = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += step
        behind[i] -= step
        dx[i] = np.sum(np.subtract(f(ahead), f(behind)) * dy) / (2 * step)
    return dx
