"""Calls of every function that has a rule: the tests of the rules go through all of them.

`SAMPLES` is keyed by the function as the table has it. Whoever adds a rule adds a sample, or
``test_every_rule_has_a_sample`` fails.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SAMPLES = defaultdict(list)


@dataclass(frozen=True)
class Sample:
    """A function of arrays, the shapes of these, and from where their entries are drawn."""

    name: str
    f: callable
    shapes: tuple
    draw: callable
    analytic: bool = False  # takes complex numbers, so that a complex step is exact

    def arguments(self, rng):
        return [self.draw(rng, shape) for shape in self.shapes]


def real(rng, shape):
    """Numbers of both signs, away from 0, where some functions have a kink."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.3, 2.0, shape)


def positive(rng, shape):
    return rng.uniform(0.3, 2.0, shape)


def fraction(rng, shape):
    return rng.uniform(-0.8, 0.8, shape)


def above_one(rng, shape):
    return rng.uniform(1.3, 3.0, shape)


def distinct(rng, shape):
    """Numbers without ties, a tenth apart."""
    return rng.permutation(np.prod(shape, dtype=int)).reshape(shape) / 10 + 0.05


def invertible(rng, shape):
    if len(shape) > 1 and shape[-1] == shape[-2]:
        return rng.normal(size=shape) + 3 * np.eye(shape[-1])
    return rng.normal(size=shape)


def sample(function, f, *shapes, draw=real, analytic=False, name=None):
    name = f"{name or function.__name__}-{len(SAMPLES[function])}"
    SAMPLES[function].append(Sample(name, f, shapes, draw, analytic))


ANALYTIC = {
    real: [
        *(np.arcsinh, np.arctan, np.cos, np.cosh, np.exp, np.exp2, np.expm1, np.negative),
        *(np.positive, np.reciprocal, np.sin, np.sinh, np.square, np.tan, np.tanh),
    ],
    positive: [np.log, np.log10, np.log1p, np.log2, np.sqrt],
    fraction: [np.arcsin, np.arccos, np.arctanh],
    above_one: [np.arccosh],
}
for draw, functions in ANALYTIC.items():
    for function in functions:
        sample(function, function, (2, 3), draw=draw, analytic=True)
for function in (np.absolute, np.fabs, np.cbrt, np.deg2rad, np.degrees, np.rad2deg, np.radians):
    sample(function, function, (2, 3))

BROADCAST = [((3,), (3,)), ((2, 1, 3), (4, 1)), ((), (2, 3)), ((2, 3), ()), ((2, 0), (1,))]
for shapes in BROADCAST:
    for function in (np.add, np.subtract, np.multiply, np.divide):
        sample(function, function, *shapes, analytic=True)
    for function in (np.arctan2, np.hypot, np.logaddexp, np.maximum, np.minimum):
        sample(function, function, *shapes)
    for function in (np.power, np.float_power, np.fmod, np.remainder):
        sample(function, function, *shapes, draw=positive)
for n in (-2, -1, 0, 0.5, 1, 2, 3, 2.5):
    sample(np.power, lambda x, n=n: x**n, (2, 3), draw=positive)
sample(np.power, lambda x: 2.0**x, (2, 3))
sample(np.power, lambda x: x ** np.array([0, 1, 2]), (2, 3))
sample(np.where, lambda x, y: np.where([[True], [False]], x, y), (2, 3), (3,))
sample(np.where, lambda x: np.where(x > 0, x, 0.5), (2, 3))
sample(np.where, lambda x: np.where(np.eye(3), 1.0, x), (3,))
sample(np.clip, lambda x: np.clip(x, -1, 1), (4, 5))
sample(np.clip, lambda x: np.clip(x, None, 0.7), (4, 5))
sample(np.clip, lambda x: x.clip(min=-0.7), (4, 5))
sample(np.clip, np.clip, (4, 5), (5,), (4, 1))

sample(np.broadcast_to, lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1))
sample(np.copy, lambda x: np.copy(x), (2, 3))
sample(np.copy, lambda x: x.copy(), (2, 3))
sample(np.expand_dims, lambda x: np.expand_dims(x, (0, -1)), (2, 3))
sample(np.flip, lambda x: np.flip(x), (2, 3))
sample(np.flip, lambda x: np.flip(x, axis=1), (2, 3))
sample(np.flipud, np.flipud, (2, 3))
sample(np.fliplr, np.fliplr, (2, 3))
sample(np.moveaxis, lambda x: np.moveaxis(x, 0, -1), (2, 3, 4))
sample(np.moveaxis, lambda x: np.moveaxis(x, (0, 1), (2, 0)), (2, 3, 4))
sample(np.ravel, np.ravel, (2, 3))
sample(np.ravel, lambda x: x.flatten(), (2, 3))
sample(np.reshape, lambda x: np.reshape(x, (3, -1)), (2, 3))
sample(np.reshape, lambda x: x.reshape(3, 2), (2, 3))
sample(np.reshape, lambda x: x.reshape((3, 2)).reshape(-1), (2, 3))
sample(np.roll, lambda x: np.roll(x, 2), (2, 3))
sample(np.roll, lambda x: np.roll(x, (1, -2), axis=(0, 1)), (2, 3))
sample(np.squeeze, np.squeeze, (2, 1, 3, 1))
sample(np.squeeze, lambda x: x.squeeze(axis=1), (2, 1, 3, 1))
sample(np.swapaxes, lambda x: x.swapaxes(0, 2), (2, 3, 4))
sample(np.transpose, np.transpose, (2, 3, 4))
sample(np.transpose, lambda x: x.T, (2, 3))
sample(np.transpose, lambda x: np.transpose(x, (1, -1, 0)), (2, 3, 4))
sample(np.transpose, lambda x: x.transpose(1, 2, 0), (2, 3, 4))
sample(np.matrix_transpose, lambda x: x.mT, (2, 3, 4))
sample(np.linalg.matrix_transpose, np.linalg.matrix_transpose, (2, 3, 4))
sample(np.astype, lambda x: np.astype(x, float), (2, 3))
sample(np.astype, lambda x: x.astype(np.float64), (2, 3))
sample(sliding_window_view, lambda x: sliding_window_view(x, 3), (5,))
sample(sliding_window_view, lambda x: sliding_window_view(x, (2, 3)), (4, 5))
sample(sliding_window_view, lambda x: sliding_window_view(x, (2, 3), axis=(-1, 0)), (4, 5, 3))
sample(np.concatenate, lambda x, y: np.concatenate([x, y]), (2, 3), (1, 3))
sample(
    np.concatenate, lambda x, y: np.concatenate([x, np.ones((2, 2)), y], axis=-1), (2, 3), (2, 1)
)
sample(np.concatenate, lambda x, y: np.concatenate([x, y, x], axis=None), (2, 3), (4,))
sample(np.stack, lambda x, y: np.stack([x, y], axis=-1), (2, 3), (2, 3))
sample(np.stack, lambda x: np.stack([x[0], 1.0, x[1]]), (2,))
sample(np.vstack, lambda x, y: np.vstack([x, y]), (3,), (2, 3))
sample(np.hstack, lambda x, y: np.hstack([x, y]), (2, 3), (2, 1))
sample(np.hstack, lambda x, y: np.hstack([x, y]), (), (2,))
sample(np.column_stack, lambda x, y: np.column_stack([x, y]), (3,), (3, 2))
sample(np.append, lambda x, y: np.append(x, y), (2, 3), (2,))
sample(np.split, lambda x: np.split(x, 3, axis=1)[1], (2, 6))
sample(np.array_split, lambda x: np.array_split(x, 3)[0] * np.array_split(x, [2, 4])[1], (5, 3))
sample(np.take, lambda x: np.take(x, [0, 2, 2], axis=1), (2, 3))
sample(np.take, lambda x: x.take(np.array([[0, 4], [4, 1]])), (2, 3))
sample(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[0, 0], [2, 1]]), -1), (2, 3))
sample(np.repeat, lambda x: np.repeat(x, 2), (2, 3))
sample(np.repeat, lambda x: x.repeat([1, 0, 2], axis=1), (2, 3))
sample(np.tile, lambda x: np.tile(x, 2), (2, 3))
sample(np.tile, lambda x: np.tile(x, (2, 1, 3)), (2, 3))
sample(np.tile, lambda x: np.tile(x, (3,)), (2, 2))
sample(np.pad, lambda x: np.pad(x, 1), (2, 3))
sample(np.pad, lambda x: np.pad(x, 0) * 2, (2, 3))
sample(np.pad, lambda x: np.pad(x, ((0, 1), (2, 0)), constant_values=3.0), (2, 3))
for mode in ("edge", "reflect", "symmetric", "wrap"):
    sample(np.pad, lambda x, mode=mode: np.pad(x, ((1, 1), (0, 2)), mode), (3, 4))
sample(np.diagonal, lambda x: np.diagonal(x), (3, 4))
sample(np.diagonal, lambda x: x.diagonal(1, 0, 2), (3, 2, 4))
sample(np.diag, lambda x: np.diag(x), (3,))
sample(np.diag, lambda x: np.diag(x, -1), (3,))
sample(np.diag, lambda x: np.diag(x, 1), (3, 4))
sample(np.trace, lambda x: np.trace(x), (3, 3))
sample(np.trace, lambda x: x.trace(-1, 1, 2), (2, 3, 4))
sample(np.tril, lambda x: np.tril(x, -1), (3, 4))
sample(np.triu, lambda x: np.triu(x), (2, 3, 3))
sample(np.diff, lambda x: np.diff(x, 2, axis=0), (4, 3))
sample(np.broadcast_arrays, lambda x, y: np.multiply(*np.broadcast_arrays(x, y)), (2, 1), (3,))
sample(np.atleast_1d, np.atleast_1d, ())
sample(np.atleast_2d, np.atleast_2d, (3,))
sample(np.full_like, lambda x: np.full_like(x, x[0]), (3,))

GETITEM = [
    *(0, -1, slice(1, None, 2), (Ellipsis, 1), (None, 1), (slice(None, None, -1), 1)),
    *([2, 0, 2], (0, [1, 1]), np.array([[0, 1], [1, 1]]), (slice(None), np.array([0, 0, 2]))),
    *(np.array([True, False, True]), (np.array([True, False, True]), 1)),
]

EXTREMA = [np.amax, np.amin, np.max, np.min, np.ptp]
for function in (*EXTREMA, np.mean, np.prod, np.std, np.sum, np.var):
    draw = distinct if function in EXTREMA else real
    for axis in (None, 0, -1, (0, 2), (1, -1)):
        for keepdims in (False, True):
            sample(
                function,
                lambda x, f=function, a=axis, k=keepdims: f(x, axis=a, keepdims=k),
                (2, 3, 2),
                draw=draw,
            )
    sample(function, lambda x, f=function: f(x), (4,), draw=draw)
for function in (np.max, np.prod, np.sum):  # of a number, along an axis that it does not have
    sample(function, lambda x, f=function: f(x * x, axis=-1), ())
sample(np.sum, lambda x: x.sum(0).sum(), (2, 3))
sample(np.sum, lambda x: np.sum(x), ())
sample(np.prod, lambda x: np.prod(x * np.array([0.0, 1.0, 1.0, 1.0, 2.0])), (5,))
sample(np.prod, lambda x: np.prod(x * np.array([0.0, 1.0, 0.0]), axis=1), (2, 3))
sample(np.var, lambda x: x.var(axis=1, ddof=1), (3, 4))
sample(np.average, lambda x: np.average(x, axis=0), (3, 4))
sample(np.average, lambda x, w: np.average(x, axis=1, weights=w), (3, 4), (4,), draw=positive)
sample(np.average, lambda x, w: np.average(x, weights=w), (3, 4), (3, 4), draw=positive)
for function in (np.cumsum, np.cumprod):
    for axis in (None, 0, -1):
        sample(function, lambda x, f=function, a=axis: f(x, axis=a), (3, 5))
sample(np.cumprod, lambda x: np.cumprod(x * np.array([1.0, 0.0, 1.0, 1.0])), (4,))
for axis in (None, 0, -1):
    sample(np.sort, lambda x, a=axis: np.sort(x, axis=a), (3, 4), draw=distinct)

for shapes in [
    *(((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4))),
    *(((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 4))),
    *(((5, 2, 3), (3,)), ((2, 0), (0, 3))),
]:
    sample(np.matmul, np.matmul, *shapes, analytic=True)
for shapes in [((), (3,)), ((3,), (3,)), ((2, 3), (3, 4)), ((2, 3), (3,)), ((2, 3), (5, 3, 4))]:
    sample(np.dot, np.dot, *shapes)
sample(np.dot, lambda x, y: x.dot(y), (2, 3), (3,))
sample(np.vdot, np.vdot, (2, 3), (2, 3))
sample(np.inner, np.inner, (2, 3), (4, 3))
sample(np.inner, np.inner, (), (4, 3))
sample(np.outer, np.outer, (2, 3), (4,))
sample(np.tensordot, np.tensordot, (2, 3, 4), (3, 4, 5))
sample(np.tensordot, lambda a, b: np.tensordot(a, b, axes=0), (2,), (3,))
sample(np.tensordot, lambda a, b: np.tensordot(a, b, axes=1), (2, 3), (3,))
sample(np.tensordot, lambda a, b: np.tensordot(a, b, ([2, 0], [1, 0])), (2, 3, 4), (2, 4, 5))
for subscripts, *shapes in [
    *(("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ij", (2, 3))),
    *(("ba", (2, 3)), ("ij->", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (3, 3, 2))),
    *(("i,j->ij", (2,), (3,)), ("ij,j->i", (2, 3), (3,)), ("i,i,i->i", (3,), (3,), (3,))),
    *(("...ij,...jk->...ik", (4, 2, 3), (3, 5)), ("...i,...i", (2, 1, 3), (4, 3))),
    *(("ij,kl->k", (2, 3), (4, 5)), ("nchw,fc->nfhw", (2, 3, 2, 2), (4, 3)), ("iii->", (2, 2, 2))),
    *(("ij,ij->ij", (1, 3), (2, 3)), (" i j , j -> i ", (2, 3), (3,)), ("i,->i", (3,), ())),
    *(("ij,ij->", (2, 1), (2, 3)), ("ij,jk->ik", (2, 1), (3, 4)), ("i,i,j->j", (1,), (3,), (2,))),
]:
    sample(np.einsum, lambda *xs, s=subscripts: np.einsum(s, *xs), *shapes, analytic=True)
sample(np.einsum, lambda *xs: np.einsum("ij,jk,kl", *xs, optimize=True), (2, 3), (3, 4), (4, 2))
sample(np.linalg.inv, np.linalg.inv, (3, 3), draw=invertible, analytic=True)
sample(np.linalg.inv, np.linalg.inv, (2, 3, 3), draw=invertible, analytic=True)
sample(np.linalg.det, np.linalg.det, (3, 3), draw=invertible, analytic=True)
sample(np.linalg.det, np.linalg.det, (2, 3, 3), draw=invertible, analytic=True)
sample(np.linalg.slogdet, lambda a: np.linalg.slogdet(a)[1], (2, 3, 3), draw=invertible)
sample(np.linalg.slogdet, lambda a: np.linalg.slogdet(a).logabsdet, (3, 3), draw=invertible)
for shapes in [((3, 3), (3,)), ((3, 3), (3, 2)), ((4, 3, 3), (3, 2)), ((3, 3), (4, 3, 2))]:
    sample(np.linalg.solve, np.linalg.solve, *shapes, draw=invertible, analytic=True)
sample(np.linalg.solve, np.linalg.solve, (4, 3, 3), (3,), draw=invertible, analytic=True)
for ord, axis in [
    *((None, None), (None, 1), (2, 0), (1, 0), (3, 1), (np.inf, 0), (-np.inf, 1), ("fro", None)),
    *((1, None), (-1, None), (np.inf, (0, 1)), (-np.inf, (1, 0)), ("fro", (0, 1)), (-2, 0)),
]:
    for keepdims in (False, True):
        sample(
            np.linalg.norm,
            lambda x, o=ord, a=axis, k=keepdims: np.linalg.norm(x, o, a, k),
            (3, 4),
            draw=distinct,
        )
sample(np.linalg.norm, np.linalg.norm, (2, 3, 4))
sample(np.linalg.norm, lambda x: np.linalg.norm(x, 3), (4,))

ALL = [s for several in list(SAMPLES.values()) for s in several]
ALL += [Sample(f"getitem-{i}", lambda x, i=i: x[i], ((3, 3),), real) for i in GETITEM]
