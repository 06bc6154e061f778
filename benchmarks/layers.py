"""Convolution and max pooling, beside PyTorch in both of its memory layouts."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from benchmarks.measure import circumstances, compare, extra_memory, write_table
from course_lib.numpy_layers import (
    conv2d_backward,
    conv2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)

LAYOUTS = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
MEGABYTE = 1e6


class Conv(NamedTuple):
    """A convolution, and the most time it may take, forward and backward, as PyTorch's is 1."""

    name: str
    image: tuple  # N, C, H, W
    kernels: tuple  # F, C, KH, KW
    stride: int
    padding: int
    forward: float
    backward: float


class Pool(NamedTuple):
    """A max pooling, and the most time it may take, as PyTorch's NCHW is 1."""

    name: str
    image: tuple
    kernel: int
    stride: int
    forward: float
    backward: float


CONVS = [
    Conv("LeNet C1", (64, 1, 32, 32), (6, 1, 5, 5), 1, 0, 1.4, 0.9),
    Conv("32x32, 32 to 64", (16, 32, 32, 32), (64, 32, 3, 3), 1, 1, 2.0, 2.2),
    Conv("VGG, 56x56", (8, 64, 56, 56), (128, 64, 3, 3), 1, 1, 1.9, 1.9),
    Conv("1x1", (8, 256, 28, 28), (128, 256, 1, 1), 1, 0, 1.6, 1.4),
    Conv("7x7 stride 2", (8, 3, 224, 224), (64, 3, 7, 7), 2, 3, 2.4, 0.9),
]
POOLS = [
    Pool("LeNet S2", (64, 6, 28, 28), 2, 2, 0.3, 1.5),
    Pool("2x2, 56x56", (16, 64, 56, 56), 2, 2, 0.3, 1.5),
    Pool("3x3 stride 2, 112x112", (8, 64, 112, 112), 3, 2, 0.3, 1.5),
]


def main():
    """Measure all, and write ``results/layers.md``."""
    torch.set_num_threads(1)
    note = (
        "A ratio is our time over PyTorch's, for a convolution the faster of its two layouts, for "
        "a pooling NCHW. A backward pass gives the gradients of all inputs, PyTorch's through "
        f"autograd. Memory is what a forward call needs beyond its output. {circumstances('torch')}"
    )
    header = ["layer", "pass", "NumPy, ms", *(f"PyTorch {k}, ms" for k in LAYOUTS)]
    header += ["ratio", "limit", "memory, MB"]
    cases = [conv_rows(case) for case in CONVS] + [pool_rows(case) for case in POOLS]
    rows = [row for case in cases for row in case]
    write_table("layers", "Layers in NumPy beside PyTorch", note, header, rows)


def conv_rows(case):
    """Measure one convolution; return its two rows."""
    options = {"stride": case.stride, "padding": case.padding}
    rng = np.random.default_rng(0)
    shapes = case.image, case.kernels, case.kernels[:1]
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]

    def ours():
        return conv2d_forward(*arrays, **options)

    def theirs(x, weight, bias):
        return functional.conv2d(x, weight, bias, **options)

    return both_passes(case, ours, conv2d_backward, theirs, arrays, reference=LAYOUTS)


def pool_rows(case):
    """Measure one max pooling; return its two rows."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(case.image, np.float32)]

    def ours():
        return max_pool2d_forward(*arrays, case.kernel, stride=case.stride)

    def theirs(x):
        return functional.max_pool2d(x, case.kernel, case.stride, return_indices=True)[0]

    return both_passes(case, ours, max_pool2d_backward, theirs, arrays, reference=["NCHW"])


def both_passes(case, ours, ours_backward, theirs, arrays, reference):
    """Time forward and backward of both sides, once they are known to agree."""
    y, cache = ours()
    dy = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    forward, backward = {"ours": ours}, {"ours": lambda: ours_backward(dy, cache)}
    for layout, memory_format in LAYOUTS.items():
        peer = forward[layout], backward[layout] = torch_passes(theirs, arrays, dy, memory_format)
        agree(ours()[0], peer[0]())
        grads = backward["ours"]()
        for got, expected in zip(
            grads if isinstance(grads, tuple) else [grads], peer[1](), strict=True
        ):
            agree(got, expected)

    megabytes = f"{extra_memory(ours) / MEGABYTE:.1f}"
    return [
        row(case.name, "forward", compare(**forward), reference, case.forward, megabytes),
        row("", "backward", compare(**backward), reference, case.backward, ""),
    ]


def torch_passes(f, arrays, dy, memory_format):
    """Return functions that run PyTorch's forward and backward pass in a memory layout."""
    tensors = [torch.from_numpy(a.copy()) for a in arrays]
    *tensors, dy = (
        t.contiguous(memory_format=memory_format) if t.ndim == 4 else t
        for t in (*tensors, torch.from_numpy(dy.copy()))
    )
    leaves = [t.requires_grad_() for t in tensors]
    y = f(*leaves)

    def forward():
        with torch.no_grad():
            return f(*leaves)

    def backward():
        return torch.autograd.grad(y, leaves, dy, retain_graph=True)

    return forward, backward


def agree(got, expected):
    """Raise unless both sides computed the same, to the rounding of float32."""
    scale = np.abs(got).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-4)


def row(name, direction, seconds, reference, limit, megabytes):
    """Return a row of the table."""
    ratio = seconds["ours"] / min(seconds[layout] for layout in reference)
    times = [f"{1e3 * seconds[k]:.2f}" for k in ("ours", *LAYOUTS)]
    verdict = f"{ratio:.2f}" if ratio <= limit else f"**{ratio:.2f}**"
    return [name, direction, *times, verdict, f"{limit:.1f}", megabytes]
