"""Gradients in attributes, handed on when the last user has added its part; hvp without jvp."""

import numpy as np


# %% dual
class Number:
    """What a Dual and a Var have in common: everything follows from a few operations."""

    __array_ufunc__ = None

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + other * -1.0

    def __rsub__(self, other):
        return self * -1.0 + other

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1.0

    def __rtruediv__(self, other):
        return self**-1.0 * other

    def __pow__(self, p):
        return self.map(lambda x: x**p, lambda x: x ** (p - 1.0) * p)

    def sin(self):
        return self.map(sin, cos)

    def cos(self):
        return self.map(cos, lambda x: sin(x) * -1.0)

    def exp(self):
        return self.map(exp, exp)

    def log(self):
        return self.map(log, lambda x: x**-1.0)

    def tanh(self):
        return self.map(tanh, lambda x: 1.0 - tanh(x) ** 2)


def tangent_of(x):
    return x.tangent if isinstance(x, Dual) else np.zeros(np.shape(x))


def value_of(x):
    return x.value if isinstance(x, Dual) else x


class Dual(Number):
    def __init__(self, value, tangent):
        self.value, self.tangent = value, tangent

    def map(self, function, slope):
        return Dual(function(self.value), slope(self.value) * self.tangent)

    def __add__(self, other):
        return Dual(self.value + value_of(other), self.tangent + tangent_of(other))

    def __mul__(self, other):
        x, y = self.value, value_of(other)
        return Dual(x * y, self.tangent * y + x * tangent_of(other))

    def __matmul__(self, other):
        x, y = self.value, value_of(other)
        return Dual(x @ y, self.tangent @ y + x @ tangent_of(other))

    def __rmatmul__(self, other):
        return Dual(other @ self.value, other @ self.tangent)

    def sum(self, axis=None):
        return Dual(total(self.value, axis), total(self.tangent, axis))


# %% jvp
def jvp(f, primals, tangents):
    y = f(*[Dual(primals[i], tangents[i]) for i in range(len(primals))])
    return value_of(y), tangent_of(y)


# %% var
class Var(Number):
    def __init__(self, value, *edges):
        """Take a value and pairs of a Var and the function that pulls dy back to it."""
        self.value, self.edges = value, edges

    def map(self, function, slope):
        slopes = slope(self.value)
        return Var(function(self.value), (self, lambda dy: dy * slopes))

    def __add__(self, other):
        other = as_var(other)
        edges = [(x, lambda dy, x=x: squeeze(dy, x.value)) for x in (self, other)]
        return Var(self.value + other.value, *edges)

    def __mul__(self, other):
        other = as_var(other)
        x, y = self.value, other.value
        return Var(
            x * y,
            (self, lambda dy: squeeze(dy * y, x)),
            (other, lambda dy: squeeze(dy * x, y)),
        )

    def __matmul__(self, other):
        other = as_var(other)
        x, y = self.value, other.value
        return Var(x @ y, (self, lambda dy: dy @ y.T), (other, lambda dy: x.T @ dy))

    def __rmatmul__(self, other):
        return as_var(other) @ self

    def sum(self, axis=None):
        shape = np.shape(value_of(self.value))

        def pull(dy):
            if axis is not None:
                dy = np.stack([dy] * shape[axis], axis)
            return dy * np.ones(shape)

        return Var(total(self.value, axis), (self, pull))


def copied(x):
    if isinstance(x, Dual):
        return Dual(copied(x.value), copied(x.tangent))
    return np.array(x, float)


def as_var(x):
    return x if isinstance(x, Var) else Var(copied(x))


def squeeze(dy, operand):
    shape = np.shape(value_of(operand))
    if np.shape(value_of(dy)) == shape:
        return dy
    padded = (1,) * (np.ndim(dy) - len(shape)) + shape
    for axis, n in enumerate(padded):
        if n == 1:
            dy = dy.sum(axis=axis, keepdims=True)
    return np.reshape(dy, shape)


# %% vjp
def vjp(f, *primals):
    inputs = [Var(copied(x)) for x in primals]
    y = as_var(f(*inputs))

    def count_users():
        seen, queue = {y}, [y]
        y.users = 0
        while queue:
            for parent, _ in queue.pop().edges:
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
                    parent.users = 0
                parent.users += 1
        return seen

    def pull(dy):
        seen = count_users()
        for var in [*seen, *inputs]:
            var.gradient = np.zeros(np.shape(value_of(var.value)))
        y.gradient = dy
        ready = [y]
        while ready:
            var = ready.pop()
            for parent, rule in var.edges:
                parent.gradient = rule(var.gradient) + parent.gradient
                parent.users -= 1
                if parent.users == 0:
                    ready.append(parent)
        return tuple(x.gradient for x in inputs)

    return y.value, pull


# %% jacobian
def jacobian(f, x):
    y, pull = vjp(f, x)
    m, n = np.size(y), x.size
    J = np.zeros((m, n))
    for k in range(min(m, n)):
        if m <= n:
            u = np.zeros(m)
            u[k] = 1.0
            J[k] = np.ravel(pull(u.reshape(np.shape(y)))[0])
        else:
            v = np.zeros(n)
            v[k] = 1.0
            J[:, k] = np.ravel(jvp(f, (x,), (v.reshape(np.shape(x)),))[1])
    return J


# %% hvp
def hvp(f, x, v):
    _, pull = vjp(f, Dual(x, v))
    return tangent_of(pull(1.0)[0])
