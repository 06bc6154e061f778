"""One class for both modes at heart: each operation lists its operands with linear maps."""

import numpy as np


# %% dual
def elementwise(slope):
    """A linear map and its transpose: multiply with the slope."""
    return (lambda v: slope * v), (lambda dy: slope * dy)


def linear_maps(name, a, b=None):
    """Return the value and, for each operand, its linear map and the transpose of it."""
    if name == "add":
        return a + b, elementwise(1.0), elementwise(1.0)
    if name == "sub":
        return a - b, elementwise(1.0), elementwise(-1.0)
    if name == "mul":
        return a * b, elementwise(b), elementwise(a)
    if name == "div":
        return a / b, elementwise(1 / b), elementwise((-1 * a) / (b * b))
    if name == "pow":
        return (a**b, elementwise(b * a ** (b - 1)))
    if name == "matmul":
        return (
            a @ b,
            ((lambda v: v @ b), (lambda dy: dy @ b.T)),
            ((lambda v: a @ v), (lambda dy: a.T @ dy)),
        )
    if name == "sum":
        shape = dimensions(a)

        def back(dy):
            return np.ones(shape) * (dy if b is None else np.expand_dims(dy, b))

        return total(a, b), ((lambda v: total(v, b)), back)
    slopes = {
        "sin": lambda: cos(a),
        "cos": lambda: -1 * sin(a),
        "exp": lambda: exp(a),
        "log": lambda: 1 / a,
        "tanh": lambda: 1 - tanh(a) ** 2,
    }
    functions = {"sin": sin, "cos": cos, "exp": exp, "log": log, "tanh": tanh}
    return functions[name](a), elementwise(slopes[name]())


def dimensions(x):
    return dimensions(x.value) if isinstance(x, Dual) else np.shape(x)


class Operators:
    """Operators that hand their name and operands to `apply`."""

    __array_ufunc__ = None

    def __add__(x, y):
        return x.apply("add", x, y)

    def __radd__(x, y):
        return x.apply("add", y, x)

    def __sub__(x, y):
        return x.apply("sub", x, y)

    def __rsub__(x, y):
        return x.apply("sub", y, x)

    def __mul__(x, y):
        return x.apply("mul", x, y)

    def __rmul__(x, y):
        return x.apply("mul", y, x)

    def __truediv__(x, y):
        return x.apply("div", x, y)

    def __rtruediv__(x, y):
        return x.apply("div", y, x)

    def __matmul__(x, y):
        return x.apply("matmul", x, y)

    def __rmatmul__(x, y):
        return x.apply("matmul", y, x)

    def __neg__(x):
        return x.apply("sub", 0.0, x)

    def __pow__(x, p):
        return x.apply("pow", x, option=p)

    def sum(self, axis=None):
        return self.apply("sum", self, option=axis)

    def __getattr__(self, name):
        if name in ("sin", "cos", "exp", "log", "tanh"):
            return lambda: self.apply(name, self)
        raise AttributeError(name)


class Dual(Operators):
    def __init__(self, value, tangent):
        self.value, self.tangent = value, tangent

    @staticmethod
    def apply(name, *operands, **options):
        values = [x.value if isinstance(x, Dual) else x for x in operands]
        value, *maps = linear_maps(name, *values, *options.values())
        tangent = 0.0 * value
        for x, (push, _) in zip(operands, maps, strict=True):
            if isinstance(x, Dual):
                tangent = push(x.tangent) + tangent
        return Dual(value, tangent)


# %% jvp
def jvp(f, primals, tangents):
    y = f(*map(Dual, primals, tangents))
    return (y.value, y.tangent) if isinstance(y, Dual) else (y, np.zeros(np.shape(y)))


# %% var
class Var(Operators):
    def __init__(self, value, tape, edges=()):
        self.value, self.tape, self.edges = value, tape, edges
        self.index = len(tape)
        tape.append(self)

    def apply(self, name, *operands, **options):
        values = [x.value if isinstance(x, Var) else snapshot(x) for x in operands]
        value, *maps = linear_maps(name, *values, *options.values())
        edges = [
            (x.index, dimensions(x.value), pull)
            for x, (_, pull) in zip(operands, maps, strict=True)
            if isinstance(x, Var)
        ]
        return Var(value, self.tape, edges)


def snapshot(x):
    if isinstance(x, Dual):
        return Dual(snapshot(x.value), snapshot(x.tangent))
    return np.array(x, float)


def shrink(dy, shape):
    """Sum over what was repeated."""
    now = dimensions(dy)
    if now == shape:
        return dy
    aligned = (1,) * (len(now) - len(shape)) + shape
    axes = tuple(i for i in range(len(now)) if aligned[i] != now[i])
    return np.sum(dy, axis=axes, keepdims=True).reshape(shape)


# %% vjp
def vjp(f, *primals):
    tape = []
    inputs = [Var(snapshot(x), tape) for x in primals]
    y = f(*inputs)
    if not isinstance(y, Var):
        y = Var(y, tape)

    def pull(dy):
        waiting = {y.index: [dy]}
        results = {}
        for index in range(y.index, -1, -1):
            pieces = waiting.pop(index, None)
            if pieces is None:
                continue
            gradient = pieces[0]
            for piece in pieces[1:]:
                gradient = gradient + piece
            results[index] = gradient
            for parent, shape, rule in tape[index].edges:
                waiting.setdefault(parent, []).append(shrink(rule(gradient), shape))
        return tuple(results.get(x.index, np.zeros(dimensions(x.value))) for x in inputs)

    return y.value, pull


# %% jacobian
def jacobian(f, x):
    y, pull = vjp(f, x)
    if np.size(x) < np.size(y):
        basis = np.eye(np.size(x))
        return np.column_stack(
            [np.ravel(jvp(f, (x,), (e.reshape(np.shape(x)),))[1]) for e in basis]
        )
    return np.vstack([np.ravel(pull(e.reshape(np.shape(y)))[0]) for e in np.eye(np.size(y))])


# %% hvp
def hvp(f, x, v):
    _value, tangent = jvp(lambda z: vjp(f, z)[1](1)[0], (x,), (v,))
    return tangent
