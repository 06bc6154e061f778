"""Values that know their parents; a topological order by a stack; Duals built on operators."""

import numpy as np


# %% dual
class Dual:
    __array_ufunc__ = None

    def __init__(self, value, tangent=None):
        self.v = value
        self.d = 0 * value if tangent is None else tangent

    def like(self, other):
        return other if isinstance(other, Dual) else Dual(np.asarray(other, float))

    def scaled(self, value, slope):
        return Dual(value, slope * self.d)

    def __neg__(self):
        return self.scaled(-self.v, -1)

    def __add__(self, other):
        other = self.like(other)
        value = self.v + other.v
        return Dual(value, self.d + other.d + 0 * value)

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        other = self.like(other)
        return Dual(self.v * other.v, self.v * other.d + self.d * other.v)

    def __pow__(self, p):
        return self.scaled(self.v**p, p * self.v ** (p - 1))

    def __truediv__(self, other):
        return self * self.like(other) ** -1

    def __rtruediv__(self, other):
        return self**-1 * other

    def __matmul__(self, other):
        other = self.like(other)
        return Dual(self.v @ other.v, self.v @ other.d + self.d @ other.v)

    def __rmatmul__(self, other):
        return self.like(other) @ self

    def sum(self, axis=None):
        return Dual(total(self.v, axis), total(self.d, axis))

    def sin(self):
        return self.scaled(sin(self.v), cos(self.v))

    def cos(self):
        return self.scaled(cos(self.v), -sin(self.v))

    def exp(self):
        return self.scaled(exp(self.v), exp(self.v))

    def log(self):
        return self.scaled(log(self.v), 1 / self.v)

    def tanh(self):
        return self.scaled(tanh(self.v), 1 - tanh(self.v) * tanh(self.v))

    __radd__, __rmul__ = __add__, __mul__


# %% jvp
def jvp(f, primals, tangents):
    y = f(*map(Dual, primals, tangents))
    return [y.v, y.d] if isinstance(y, Dual) else [y, 0 * np.asarray(y)]


# %% var
def frozen(x):
    if isinstance(x, Dual):
        return Dual(frozen(x.v), frozen(x.d))
    return np.array(x, dtype=float)


def extent(x):
    return extent(x.v) if isinstance(x, Dual) else np.shape(x)


def folded(dy, like):
    """Sum over the axes along which the operand was repeated."""
    have, want = extent(dy), extent(like)
    if have == want:
        return dy
    want = (1,) * (len(have) - len(want)) + want
    axes = tuple(i for i, (h, w) in enumerate(zip(have, want, strict=True)) if h != w)
    return dy.sum(axis=axes, keepdims=True).reshape(extent(like))


class Var:
    __array_ufunc__ = None

    def __init__(self, value, parents=(), backward=None):
        self.value, self.parents, self.backward = value, parents, backward

    def binary(self, other, forward, backward):
        """Make a new Var; backward takes dy and returns both gradients."""
        other = other if isinstance(other, Var) else Var(frozen(other))
        a, b = self.value, other.value

        def pull(dy):
            return [folded(g, x) for g, x in zip(backward(dy, a, b), (a, b), strict=True)]

        return Var(forward(a, b), (self, other), pull)

    def unary(self, value, slope):
        return Var(value, (self,), lambda dy: [dy * slope])

    def __add__(self, other):
        return self.binary(other, lambda a, b: a + b, lambda dy, a, b: (dy, dy))

    def __sub__(self, other):
        return self.binary(other, lambda a, b: a - b, lambda dy, a, b: (dy, -dy))

    def __mul__(self, other):
        return self.binary(other, lambda a, b: a * b, lambda dy, a, b: (dy * b, dy * a))

    def __truediv__(self, other):
        return self.binary(other, lambda a, b: a / b, lambda dy, a, b: (dy / b, -dy * a / (b * b)))

    def __radd__(self, other):
        return Var(frozen(other)) + self

    def __rsub__(self, other):
        return Var(frozen(other)) - self

    def __rmul__(self, other):
        return Var(frozen(other)) * self

    def __rtruediv__(self, other):
        return Var(frozen(other)) / self

    def __rmatmul__(self, other):
        return Var(frozen(other)) @ self

    def __matmul__(self, other):
        other = other if isinstance(other, Var) else Var(frozen(other))
        a, b = self.value, other.value
        return Var(a @ b, (self, other), lambda dy: [dy @ b.T, a.T @ dy])

    def __neg__(self):
        return self.unary(-self.value, -1.0)

    def __pow__(self, p):
        return self.unary(self.value**p, p * self.value ** (p - 1))

    def sin(self):
        return self.unary(sin(self.value), cos(self.value))

    def cos(self):
        return self.unary(cos(self.value), -sin(self.value))

    def exp(self):
        return self.unary(exp(self.value), exp(self.value))

    def log(self):
        return self.unary(log(self.value), 1 / self.value)

    def tanh(self):
        y = tanh(self.value)
        return self.unary(y, 1 - y * y)

    def sum(self, axis=None):
        ones = np.ones(extent(self.value))

        def pull(dy):
            return [ones * dy if axis is None else ones * np.expand_dims(dy, axis)]

        return Var(total(self.value, axis), (self,), pull)


def ordered(y):
    """Return all Vars that y depends on, each after its parents."""
    order, done, stack = [], set(), [(y, False)]
    while stack:
        var, parents_done = stack.pop()
        if parents_done:
            order.append(var)
        elif id(var) not in done:
            done.add(id(var))
            stack.append((var, True))
            stack.extend((parent, False) for parent in var.parents)
    return order


# %% vjp
def vjp(f, *primals):
    inputs = [Var(frozen(x)) for x in primals]
    y = f(*inputs)
    y = y if isinstance(y, Var) else Var(y)
    order = ordered(y)

    def pull(dy):
        gradients = {id(y): dy}
        for var in reversed(order):
            if var.parents:
                for parent, part in zip(var.parents, var.backward(gradients[id(var)]), strict=True):
                    before = gradients.get(id(parent))
                    gradients[id(parent)] = part if before is None else before + part
        return [gradients.get(id(x), 0 * x.value) for x in inputs]

    return [y.value, pull]


# %% jacobian
def jacobian(f, x):
    first = np.zeros(x.size)
    first[0] = 1
    y, column = jvp(f, (x,), (first.reshape(x.shape),))
    if x.size <= np.size(y):
        columns = [np.ravel(column)]
        for i in range(1, x.size):
            v = np.zeros(x.size)
            v[i] = 1
            columns.append(np.ravel(jvp(f, (x,), (v.reshape(x.shape),))[1]))
        return np.array(columns).T
    rows = []
    for i in range(np.size(y)):
        u = np.zeros(np.size(y))
        u[i] = 1
        rows.append(vjp(f, x)[1](u.reshape(np.shape(y)))[0].ravel())
    return rows


# %% hvp
def hvp(f, x, v):
    return jvp(lambda x: vjp(f, x)[1](1.0)[0], (x,), (v,))[1]
