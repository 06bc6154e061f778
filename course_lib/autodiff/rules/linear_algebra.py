"""Products of vectors, matrices and tensors, and the basics of ``np.linalg``.

All products are linear in each operand. Matrices are the last two axes; the others are a batch.
"""

import functools
import math

import numpy as np

from course_lib.autodiff.engine import plain
from course_lib.autodiff.primitive import composite, primitive
from course_lib.autodiff.rules.elementwise import unbroadcast

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of einsum's subscripts


def transposed(x):
    return np.swapaxes(x, -2, -1)


def matmul_back(y_bar, a, b, to_first):
    """Return the gradient of ``a @ b`` with respect to its first or second operand."""
    if np.ndim(b) == 1:
        y_bar = np.expand_dims(y_bar, -1)
    if np.ndim(a) == 1:
        y_bar = np.expand_dims(y_bar, -2)
    rows = a if np.ndim(a) > 1 else np.expand_dims(a, 0)
    columns = b if np.ndim(b) > 1 else np.expand_dims(b, 1)
    if to_first:
        x_bar, like, x = y_bar @ transposed(columns), rows, a
    elif rows.ndim > columns.ndim == 2:  # one matrix for the whole batch: sum while multiplying
        lined_up = [np.reshape(z, (-1, z.shape[-1])) for z in (rows, y_bar)]
        x_bar, like, x = lined_up[0].T @ lined_up[1], columns, b
    else:
        x_bar, like, x = transposed(rows) @ y_bar, columns, b
    x_bar = unbroadcast(x_bar, like.shape)
    return x_bar if x_bar.shape == x.shape else np.reshape(x_bar, x.shape)


primitive(
    np.matmul,
    jvp="linear",
    vjp=(
        lambda y_bar, a, b: matmul_back(y_bar, a, b, to_first=True),
        lambda y_bar, a, b: matmul_back(y_bar, a, b, to_first=False),
    ),
    keeps="inputs",
    cost=lambda y, a, b: (np.size(y) * np.shape(a)[-1], 0),
)


@composite(np.dot)
def dot(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return a @ b if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


@composite(np.vdot)
def vdot(a, b):
    return np.ravel(a) @ np.ravel(b)


@composite(np.inner)
def inner(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return np.tensordot(a, b, (-1, -1))


@composite(np.outer)
def outer(a, b):
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@composite(np.tensordot)
def tensordot(a, b, axes=2):
    if np.ndim(axes) == 0:
        axes = range(-axes, 0), range(axes)
    summed_a, summed_b = (
        [i % np.ndim(x) for i in np.atleast_1d(pair)] for x, pair in zip((a, b), axes, strict=True)
    )
    free_a = [i for i in range(np.ndim(a)) if i not in summed_a]
    free_b = [i for i in range(np.ndim(b)) if i not in summed_b]
    sizes = [np.shape(a)[i] for i in free_a] + [np.shape(b)[i] for i in free_b]
    n = math.prod(np.shape(a)[i] for i in summed_a)
    rows = np.reshape(np.transpose(a, free_a + summed_a), (-1, n))
    columns = np.reshape(np.transpose(b, summed_b + free_b), (n, -1))
    return np.reshape(rows @ columns, sizes)


def explicit(subscripts, ndims):
    """Return the letters of each operand and of the output, all of them written out."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = inputs.split(",")
    spare = [letter for letter in LETTERS if letter not in subscripts]
    batches = [
        n - len(axes) + 3 if "..." in axes else 0 for n, axes in zip(ndims, inputs, strict=True)
    ]
    ellipsis = "".join(spare[: max(batches)])
    inputs = [
        axes.replace("...", ellipsis[len(ellipsis) - n :])
        for n, axes in zip(batches, inputs, strict=True)
    ]
    if not arrow:
        letters = "".join(inputs)
        once = sorted(a for a in set(letters) if letters.count(a) == 1 and a not in ellipsis)
        return inputs, ellipsis + "".join(once)
    return inputs, output.replace("...", ellipsis)


def einsum_back(i, y_bar, operands, subscripts, optimize):
    """Return the gradient for operand `i`: a product too, with `y_bar` in that operand's place.

    A letter that only this operand has gets a vector of ones, which repeats the gradient along
    it; a letter that it has twice gets an identity matrix, which puts the gradient on the diagonal.
    A letter may have size 1 in one operand and be broadcast.
    """
    inputs, output = explicit(subscripts, [np.ndim(x) for x in operands])
    sizes = {}
    for axes, x in zip(inputs, operands, strict=True):
        for letter, n in zip(axes, np.shape(x), strict=True):
            sizes[letter] = max(n, sizes.get(letter, 1))
    spare = (letter for letter in LETTERS if letter not in sizes)
    terms = [(output, y_bar)]
    terms += [(axes, x) for j, (axes, x) in enumerate(zip(inputs, operands, strict=True)) if j != i]
    target = ""
    for letter in inputs[i]:
        twin = next(spare) if letter in target else letter
        if twin != letter:
            terms.append((letter + twin, np.eye(sizes[letter], dtype=y_bar.dtype)))
        elif not any(letter in axes for axes, _ in terms):
            terms.append((letter, np.ones(sizes[letter], y_bar.dtype)))
        target += twin
    axes, arrays = zip(*terms, strict=True)
    x_bar = np.einsum(f"{','.join(axes)}->{target}", *arrays, optimize=optimize)
    x_bar = np.broadcast_to(x_bar, [sizes[letter] for letter in inputs[i]])
    return unbroadcast(x_bar, operands[i].shape)


def einsum_cost(y, *operands, subscripts, optimize):
    inputs, _ = explicit(subscripts, [np.ndim(x) for x in operands])
    sizes = dict(
        pair
        for axes, x in zip(inputs, operands, strict=True)
        for pair in zip(axes, np.shape(x), strict=True)
    )
    return math.prod(sizes.values()), 0


@functools.cache
def contraction(n):
    """Return the primitive ``np.einsum`` of `n` operands."""

    def vjp(i):
        return lambda y_bar, *operands, subscripts, optimize: einsum_back(
            i, y_bar, operands, subscripts, optimize
        )

    return primitive(
        lambda *operands, subscripts, optimize: np.einsum(subscripts, *operands, optimize=optimize),
        jvp="linear",
        vjp=map(vjp, range(n)),
        keeps="inputs",
        cost=einsum_cost,
        name="einsum",
    )


@composite(np.einsum)
def einsum(subscripts, *operands, optimize=False):
    if not isinstance(subscripts, str):
        raise TypeError("np.einsum: with a traced value the subscripts are a string, as in 'ij,jk'")
    return contraction(len(operands))(*operands, subscripts=subscripts, optimize=optimize)


matrix_solve = primitive(
    lambda a, b: np.linalg.solve(a, b),
    jvp=(
        lambda a_dot, y, a, b: -matrix_solve(a, a_dot @ y),
        lambda b_dot, y, a, b: matrix_solve(a, b_dot),
    ),
    vjp=(
        lambda y_bar, y, a, b: unbroadcast(
            -matrix_solve(transposed(a), y_bar) @ transposed(y), a.shape
        ),
        lambda y_bar, y, a, b: unbroadcast(matrix_solve(transposed(a), y_bar), b.shape),
    ),
    cost=lambda y, a, b: (np.size(a) * np.shape(a)[-1] // 3 + np.size(y) * np.shape(a)[-1], 0),
    name="solve",
)


@composite(np.linalg.solve)
def solve(a, b):
    if np.ndim(b) == 1:
        return matrix_solve(a, np.expand_dims(b, 1))[..., 0]
    return matrix_solve(a, b)


def cubic(y, a):
    return np.size(a) * np.shape(a)[-1], 0


def beside(scalar):
    """Return one number for each matrix in a shape that multiplies the matrix."""
    return np.expand_dims(scalar, (-2, -1))


primitive(
    np.linalg.inv,
    jvp=lambda a_dot, y, a: -y @ a_dot @ y,
    vjp=lambda y_bar, y: -transposed(y) @ y_bar @ transposed(y),
    keeps="output",
    cost=cubic,
)
primitive(  # Jacobi's formula; a singular matrix has no inverse, and raises LinAlgError
    np.linalg.det,
    jvp=lambda a_dot, y, a: y * np.sum(transposed(np.linalg.inv(a)) * a_dot, (-2, -1)),
    vjp=lambda y_bar, y, a: beside(y_bar * y) * transposed(np.linalg.inv(a)),
    cost=cubic,
)
log_abs_det = primitive(
    lambda a: np.linalg.slogdet(a)[1],
    jvp=lambda a_dot, y, a: np.sum(transposed(np.linalg.inv(a)) * a_dot, (-2, -1)),
    vjp=lambda y_bar, a: beside(y_bar) * transposed(np.linalg.inv(a)),
    keeps="inputs",
    cost=cubic,
    name="log_abs_det",
)


@composite(np.linalg.slogdet)
def slogdet(a):
    value = np.linalg.slogdet(plain(a))
    return type(value)(value.sign, log_abs_det(a))


@composite(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """The 2-norm has slope 0 at the zero vector, where it has a kink."""
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        squares = np.sum(np.square(x), axes, keepdims=keepdims)
        zero = squares == 0
        return np.where(zero, 0, np.sqrt(np.where(zero, 1, squares)))
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        summed = axes[0] if abs(ord) == 1 else axes[1]
        sums = np.sum(np.abs(x), summed, keepdims=True)
        size = (np.max if ord > 0 else np.min)(sums, axes, keepdims=True)
        return size if keepdims else np.squeeze(size, axes)
    if len(axes) == 1 and ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axes, keepdims=keepdims)
    if len(axes) == 1 and isinstance(ord, int | float) and ord != 0:
        return np.sum(np.abs(x) ** ord, axes, keepdims=keepdims) ** (1 / ord)
    raise NotImplementedError(f"np.linalg.norm: ord={ord!r} over {len(axes)} axes has no rule")
