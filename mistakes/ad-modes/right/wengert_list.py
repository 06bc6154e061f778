"""A tape of rows (operation, places of its operands); the rules stand in two tables."""

import numpy as np


# %% dual
class Dual(tuple):
    __array_ufunc__ = None
    __slots__ = ()

    def __new__(cls, value, tangent):
        return tuple.__new__(cls, (value, tangent))


def dual_rule(rule, reflected=False):
    def method(*operands):
        pairs = [x if isinstance(x, Dual) else Dual(x, 0 * np.asarray(x)) for x in operands]
        pairs = reversed(pairs) if reflected else pairs
        return Dual(*rule(*pairs))

    return method


def spread(value, tangent):
    return value, tangent + 0 * value


DUAL_RULES = {
    "add": lambda a, b: spread(a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: spread(a[0] - b[0], a[1] - b[1]),
    "mul": lambda a, b: (a[0] * b[0], a[0] * b[1] + b[0] * a[1]),
    "truediv": lambda a, b: (a[0] / b[0], (a[1] * b[0] - a[0] * b[1]) / (b[0] * b[0])),
    "matmul": lambda a, b: (a[0] @ b[0], a[0] @ b[1] + a[1] @ b[0]),
}
for name, rule in DUAL_RULES.items():
    setattr(Dual, f"__{name}__", dual_rule(rule))
    setattr(Dual, f"__r{name}__", dual_rule(rule, reflected=True))
SLOPES = {
    "sin": lambda x: cos(x),
    "cos": lambda x: -1 * sin(x),
    "exp": lambda x: exp(x),
    "log": lambda x: 1 / x,
    "tanh": lambda x: 1 - tanh(x) * tanh(x),
}
FUNCTIONS = {"sin": sin, "cos": cos, "exp": exp, "log": log, "tanh": tanh}
for name, function in FUNCTIONS.items():

    def apply(self, function=function, slope=SLOPES[name]):
        return Dual(function(self[0]), slope(self[0]) * self[1])

    setattr(Dual, name, apply)
Dual.__neg__ = lambda self: Dual(-self[0], -self[1])
Dual.__pow__ = lambda self, p: Dual(self[0] ** p, p * self[0] ** (p - 1) * self[1])
Dual.sum = lambda self, axis=None: Dual(total(self[0], axis), total(self[1], axis))


# %% jvp
def jvp(f, primals, tangents):
    y = f(*(Dual(np.asarray(x), np.asarray(v)) for x, v in zip(primals, tangents, strict=True)))
    return tuple(y) if isinstance(y, Dual) else (y, np.zeros_like(y))


# %% var
class Tape:
    """Rows: the value, the operation, the places of its operands, its options."""

    def __init__(self):
        self.rows = []

    def write(self, value, operation=None, places=(), option=None):
        self.rows.append((value, operation, places, option))
        return Var(self, len(self.rows) - 1)

    def place(self, x):
        return x.place if isinstance(x, Var) else self.write(keep(x)).place


def keep(x):
    return Dual(*map(keep, x)) if isinstance(x, Dual) else np.array(x, float)


def size(x):
    return size(x[0]) if isinstance(x, Dual) else np.shape(x)


def reduce(dy, shape):
    if size(dy) == shape:
        return dy
    extra = dy.ndim - len(shape)
    dy = dy.sum(axis=tuple(range(extra)))
    return dy.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


class Var:
    __array_ufunc__ = None

    def __init__(self, tape, place):
        self.tape, self.place = tape, place

    @property
    def value(self):
        return self.tape.rows[self.place][0]

    def sum(self, axis=None):
        return self.tape.write(total(self.value, axis), "sum", (self.place,), axis)

    def __neg__(self):
        return -1 * self

    def __pow__(self, p):
        return self.tape.write(self.value**p, "pow", (self.place,), p)


COMPUTE = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "truediv": lambda a, b: a / b,
    "matmul": lambda a, b: a @ b,
}


def binary(operation, reflected):
    def method(self, other):
        places = [self.place, self.tape.place(other)]
        places = places[::-1] if reflected else places
        values = (self.tape.rows[place][0] for place in places)
        return self.tape.write(COMPUTE[operation](*values), operation, places)

    return method


for name in COMPUTE:
    setattr(Var, f"__{name}__", binary(name, reflected=False))
    setattr(Var, f"__r{name}__", binary(name, reflected=True))
for name, function in FUNCTIONS.items():

    def record(self, name=name, function=function):
        return self.tape.write(function(self.value), name, (self.place,))

    setattr(Var, name, record)


def parts(dy, operation, values, option):
    """Return the gradient of each operand."""
    if operation in SLOPES:
        return [SLOPES[operation](values[0]) * dy]
    if operation == "pow":
        return [option * values[0] ** (option - 1) * dy]
    if operation == "sum":
        shape = size(values[0])
        dy = dy if option is None else np.expand_dims(dy, option)
        return [np.ones(shape) * dy]
    a, b = values
    if operation == "matmul":
        return [dy @ b.T, a.T @ dy]
    rules = {
        "add": lambda: (dy, dy),
        "sub": lambda: (dy, -1 * dy),
        "mul": lambda: (dy * b, dy * a),
        "truediv": lambda: (dy / b, -1 * dy * a / (b * b)),
    }
    return [reduce(g, size(x)) for g, x in zip(rules[operation](), values, strict=True)]


# %% vjp
def vjp(f, *primals):
    tape = Tape()
    inputs = [tape.write(keep(x)) for x in primals]
    y = f(*inputs)
    if not isinstance(y, Var):
        y = tape.write(y)

    def pull(dy):
        gradients = [None] * len(tape.rows)
        gradients[y.place] = dy
        for place in range(y.place, -1, -1):
            dy = gradients[place]
            _, operation, places, option = tape.rows[place]
            if dy is None or operation is None:
                continue
            values = [tape.rows[i][0] for i in places]
            for i, part in zip(places, parts(dy, operation, values, option), strict=True):
                gradients[i] = part if gradients[i] is None else gradients[i] + part
        return tuple(
            np.zeros(size(x.value)) if gradients[x.place] is None else gradients[x.place]
            for x in inputs
        )

    return y.value, pull


# %% jacobian
def jacobian(f, x):
    x = np.asarray(x)
    shape = np.shape(f(x))
    m = int(np.prod(shape))
    if m < x.size:
        _, pull = vjp(f, x)
        return np.array([pull(row.reshape(shape))[0].reshape(-1) for row in np.eye(m)])
    columns = [jvp(f, [x], [column.reshape(x.shape)])[1] for column in np.eye(x.size)]
    return np.reshape(columns, (x.size, m)).T


# %% hvp
def hvp(f, x, v):
    def gradient(x):
        return vjp(f, x)[1](np.ones(()))[0]

    _, product = jvp(gradient, [x], [v])
    return product
