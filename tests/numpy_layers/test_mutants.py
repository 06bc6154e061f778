"""Break the layers on purpose: the checks of this folder must notice each well-known mistake."""

import inspect
import types

import numpy as np
import pytest
import test_conv
import test_pool

from course_lib.numpy_layers import conv, pool, windows

CONV = {  # the mistake: (module, the right line, the wrong one)
    "dx with the unflipped kernel": (
        conv,
        "lambda images, places: kernels.T @",
        "lambda images, places: weight[:, :, ::-1, ::-1].reshape(kernels.shape).T @",
    ),
    "dx with one axis flipped": (
        conv,
        "lambda images, places: kernels.T @",
        "lambda images, places: weight[:, :, ::-1].reshape(kernels.shape).T @",
    ),
    "dy not dilated": (
        windows,
        "a : a + SH * HO : SH, b : b + SW * WO : SW] += g",
        "a : a + HO, b : b + WO] += g",
    ),
    "assigned where windows overlap": (windows, "+= g[:, :, a, b]", "= g[:, :, a, b]"),
    "padding not cropped off dx": (
        windows,
        "dx[images] = crop(dx_pad, padding)",
        "dx[images] = dx_pad[:, :, : dx.shape[2], : dx.shape[3]]",
    ),
    "dx too small at the edge": (
        windows,
        "dx = np.empty(x.shape, x.dtype)",
        "dx = np.empty((*x.shape[:2], SH * (HO - 1) + KH, x.shape[3]), x.dtype)",
    ),
    "rows of the output taken for its columns": (
        windows,
        "slice(rows.start * WO, rows.stop * WO))",
        "slice(rows.start * HO, rows.stop * HO))",
    ),
    "dweight averaged over the images": (conv, "swapaxes(1, 2)).sum(", "swapaxes(1, 2)).mean("),
    "dweight averaged over positions": (
        conv,
        "dkernels.reshape(weight.shape)",
        "dkernels.reshape(weight.shape) / dy.shape[2]",
    ),
    "dweight of the last block only": (conv, "dkernels += (", "dkernels = ("),
    "dbias a mean": (conv, "dy.sum(axis=(0, 2))", "dy.mean(axis=(0, 2))"),
    "dbias summed over channels": (conv, "dy.sum(axis=(0, 2))", "np.full(F, dy.sum())"),
    "dbias of the first image": (conv, "dy.sum(axis=(0, 2))", "dy[0].sum(axis=1)"),
    "true convolution": (
        conv,
        "y[images, :, places] = kernels @",
        "y[images, :, places] = weight[:, :, ::-1, ::-1].reshape(F, -1) @",
    ),
    "stride of columns as of rows": (
        windows,
        "axis=(2, 3))[:, :, ::SH, ::SW]",
        "axis=(2, 3))[:, :, ::SH, ::SH]",
    ),
}
POOL = {
    "gradient spread evenly": (
        pool,
        "np.add.at(dx_pad.reshape(-1), source.reshape(-1), dy.reshape(-1))",
        "dx_pad += dy.sum() / dx_pad.size",
    ),
    "assigned where windows overlap": (
        pool,
        "np.add.at(dx_pad.reshape(-1), source.reshape(-1), dy.reshape(-1))",
        "dx_pad.reshape(-1)[source] = dy",
    ),
    "added once where windows overlap": (
        pool,
        "np.add.at(dx_pad.reshape(-1), source.reshape(-1), dy.reshape(-1))",
        "dx_pad.reshape(-1)[source] += dy",
    ),
    "the last of equal maxima": (pool, "(value > best)", "(value >= best)"),
    "padded with zeros": (pool, "pad(x, geometry.padding, -np.inf)", "pad(x, geometry.padding)"),
    "padding not cropped off dx": (
        pool,
        "return crop(dx_pad, geometry.padding)",
        "return dx_pad",
    ),
    "average not divided": (pool, "tap += dy / (KH * KW)", "tap += dy"),
    "average divided by one side": (pool, "tap += dy / (KH * KW)", "tap += dy / KH"),
    "average assigned where windows overlap": (pool, "tap += drow", "tap[...] = drow"),
    "sum for average": (pool, "-2)) / (KH * KW)", "-2))"),
}


def break_on_purpose(monkeypatch, module, right, wrong):
    """Replace a line of a module, in it and in whatever has imported its functions."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} is not one place of {module.__name__}"
    broken = types.ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(broken))
    for user in (conv, pool, windows):
        for name, value in vars(user).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                monkeypatch.setattr(user, name, getattr(broken, name))


@pytest.mark.parametrize("mistake", CONV)
def test_a_wrong_convolution_is_noticed(monkeypatch, mistake):
    break_on_purpose(monkeypatch, *CONV[mistake])
    with pytest.raises((AssertionError, ValueError)):
        check_convolution(monkeypatch)


@pytest.mark.parametrize("mistake", POOL)
def test_a_wrong_pooling_is_noticed(monkeypatch, mistake):
    break_on_purpose(monkeypatch, *POOL[mistake])
    with pytest.raises((AssertionError, ValueError)):
        check_pooling()


def test_the_right_ones_pass(monkeypatch):
    check_convolution(monkeypatch)
    check_pooling()


def check_convolution(monkeypatch):
    rng = np.random.default_rng(0)
    for block in (windows.BLOCK, 200):
        monkeypatch.setattr(windows, "BLOCK", block)
        for geometry in test_conv.GEOMETRIES:
            test_conv.check(rng, conv.conv2d_forward, conv.conv2d_backward, *geometry)


def check_pooling():
    rng = np.random.default_rng(0)
    functions = vars(pool)
    for name in ("max_pool2d", "avg_pool2d"):
        forward, backward = functions[f"{name}_forward"], functions[f"{name}_backward"]
        peer = getattr(test_pool.functional, name)
        for H, W, *options in test_pool.GEOMETRIES:
            x = rng.integers(-3, 0, size=(2, 3, H, W)).astype(float)
            test_pool.check(rng, forward, backward, peer, x, *options)
