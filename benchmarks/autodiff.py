"""Automatic differentiation, beside PyTorch and, where they can be imported, two peers in Python.

The overhead of an operation is measured in chains of 100, the derivatives of which leave the
arithmetic on 10 numbers almost out of account; then a network, where arithmetic is nearly all.
"""

import importlib
import warnings

import numpy as np
import torch

from benchmarks.measure import circumstances, compare, write_table
from course_lib.autodiff import grad, jvp, vjp

LENGTH = 100  # operations in a chain
NUMBERS = 10  # in the arrays of a chain
OPERATIONS = {
    "y * constant": lambda y, x, constant, sin: y * constant,
    "y + x": lambda y, x, constant, sin: y + x,
    "y * x": lambda y, x, constant, sin: y * x,
    "sin y": lambda y, x, constant, sin: sin(y),
}
LIMITS = {"reverse": 2.7 / 4.6, "forward": 1.1 / 4.6, "net": 1.2}  # as PyTorch's reverse mode is 1
MICROSECOND, MILLISECOND = 1e6, 1e3


def main():
    """Measure all, and write ``results/autodiff.md``."""
    torch.set_num_threads(1)
    peers = {name: module(name) for name in ("autograd", "micrograd")}
    missing = [name for name, found in peers.items() if found is None]
    note = (
        f"Of an operation: microseconds for its part of a chain of {LENGTH} on {NUMBERS} numbers "
        f"(micrograd: on 1), reverse meaning the forward pass and the sweep back. Of the net: "
        f"milliseconds for the gradient of the cross-entropy with respect to all parameters of a "
        f"784-256-10 network, batch 64, float32. A ratio is our time over PyTorch's reverse mode. "
        f"{'Not installed: ' + ' and '.join(missing) + '. ' if missing else ''}"
        f"{circumstances('torch')}"
    )
    header = ["what", "mode", "ours", "PyTorch", "autograd", "micrograd", "ratio", "limit"]
    rows = [row for name in OPERATIONS for row in chain_rows(name, **peers)]
    write_table(
        "autodiff", "Automatic differentiation", note, header, [*rows, net_row(peers["autograd"])]
    )


def module(name):
    """Return a module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def chain_rows(name, autograd, micrograd):
    """Measure an operation in both modes; return two rows."""
    operation = OPERATIONS[name]
    rng = np.random.default_rng(0)
    x, x_dot, constant = rng.uniform(0.5, 1.5, (3, NUMBERS))
    tensors = [torch.tensor(a) for a in (x, x_dot, constant)]
    leaf = tensors[0].clone().requires_grad_()

    def chain(constant, sin):
        def f(x):
            y = x
            for _ in range(LENGTH):
                y = operation(y, x, constant, sin)
            return y

        return f

    ours, theirs = chain(constant, np.sin), chain(tensors[2], torch.sin)
    contenders = {
        "reverse": lambda: vjp(ours, x)[1](x_dot),
        "forward": lambda: jvp(ours, (x,), (x_dot,)),
        "torch_reverse": lambda: torch.autograd.grad(theirs(leaf), leaf, tensors[1]),
        "torch_forward": lambda: torch.func.jvp(theirs, (tensors[0],), (tensors[1],)),
    }
    if autograd:
        wrapped = importlib.import_module("autograd.numpy")
        hips = chain(constant, wrapped.sin)
        contenders["autograd_reverse"] = lambda: autograd.make_vjp(hips)(x)[0](x_dot)
        contenders["autograd_forward"] = lambda: autograd.make_jvp(hips)(x)(x_dot)
    if micrograd and "sin" not in name:
        value = importlib.import_module("micrograd.engine").Value
        contenders["micrograd_reverse"] = lambda: chain(1.5, None)(value(0.9)).backward()
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        contenders["torch_forward"]()  # the first call imports and compiles
    seconds = compare(**contenders)
    per_operation = {k: s / LENGTH * MICROSECOND for k, s in seconds.items()}
    return [
        row(name, mode, per_operation[mode], per_operation, LIMITS[mode])
        for mode in ("reverse", "forward")
    ]


def row(name, mode, ours, times, limit):
    """Return a row of the table from the times of one mode, and PyTorch's reverse mode."""
    peers = (times.get(f"{peer}_{mode}") for peer in ("torch", "autograd", "micrograd"))
    return [
        *(name, mode, f"{ours:.2f}"),
        *("" if time is None else f"{time:.2f}" for time in peers),
        *(f"{ours / times['torch_reverse']:.2f}", f"{limit:.2f}"),
    ]


def net_row(autograd):
    """Measure the gradient of a network; return its row."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((64, 784), np.float32), rng.integers(0, 10, 64)
    shapes = (784, 256), (256,), (256, 10), (10,)
    params = [0.05 * rng.standard_normal(shape, np.float32) for shape in shapes]
    leaves = [torch.tensor(p, requires_grad=True) for p in params]
    images, targets = torch.tensor(x), torch.tensor(labels)

    def loss(np, w1, b1, w2, b2):
        """The network in plain NumPy, or in the NumPy that autograd wraps."""
        logits = np.maximum(x @ w1 + b1, 0) @ w2 + b2
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        log_sums = np.log(np.sum(np.exp(shifted), axis=1))
        return np.mean(log_sums - shifted[np.arange(64), labels])

    def torch_gradient():
        w1, b1, w2, b2 = leaves
        logits = torch.relu(images @ w1 + b1) @ w2 + b2
        return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, targets), leaves)

    gradient = grad(lambda *params: loss(np, *params), argnums=(0, 1, 2, 3))
    contenders = {"reverse": lambda: gradient(*params), "torch_reverse": torch_gradient}
    if autograd:
        wrapped = importlib.import_module("autograd.numpy")
        hips = autograd.grad(lambda *params: loss(wrapped, *params), (0, 1, 2, 3))
        contenders["autograd_reverse"] = lambda: hips(*params)
    times = {k: s * MILLISECOND for k, s in compare(**contenders).items()}
    return row("784-256-10 net", "reverse", times["reverse"], times, LIMITS["net"])


if __name__ == "__main__":
    main()
