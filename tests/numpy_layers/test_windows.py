import numpy as np
import pytest

from course_lib.numpy_layers import windows
from course_lib.shapes import conv_geometry

GEOMETRIES = [  # kernel, stride, padding, for images of 9 x 8
    ((3, 2), 1, 0),
    ((2, 3), (2, 1), (1, 0)),
    ((3, 3), 3, 1),
    ((1, 1), 1, 0),
    ((1, 1), 2, 0),
    ((9, 8), 1, 0),
]


@pytest.fixture(params=[1, 100, 2**18], ids="block{}".format)
def block(request, monkeypatch):
    """Blocks of one row, of a few rows, and of the whole batch."""
    monkeypatch.setattr(windows, "BLOCK", request.param)


def image(rng):
    return rng.normal(size=(2, 3, 9, 8))


def gathered(x, geometry):
    """All columns, put together from the blocks."""
    (KH, KW), (HO, WO) = geometry.kernel, geometry.output
    cols = np.full((len(x), x.shape[1] * KH * KW, HO * WO), np.nan)
    for images, places, some in windows.columns(x, geometry):
        cols[images, :, places] = some
    return cols


@pytest.mark.parametrize("kernel, stride, padding", GEOMETRIES)
def test_columns_hold_the_windows(rng, block, kernel, stride, padding):
    x = image(rng)
    geometry = conv_geometry("f", x, kernel, stride, padding)
    (KH, KW), (SH, SW), (PH, PW), (HO, WO) = geometry
    x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    cols = gathered(x, geometry).reshape(2, 3, KH, KW, HO, WO)
    for i in range(HO):
        for j in range(WO):
            window = x_pad[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
            np.testing.assert_array_equal(cols[..., i, j], window)


@pytest.mark.parametrize("kernel, stride, padding", GEOMETRIES)
def test_columns_adjoint_is_the_transpose(rng, block, kernel, stride, padding):
    x = image(rng)
    geometry = conv_geometry("f", x, kernel, stride, padding)
    cols = gathered(x, geometry)
    g = rng.normal(size=cols.shape)
    dx = windows.columns_adjoint(lambda images, places: g[images, :, places], x, geometry)
    assert dx.shape == x.shape
    np.testing.assert_allclose(np.vdot(cols, g), np.vdot(x, dx), rtol=1e-10)


def test_pointwise_columns_are_a_view(rng):
    x = image(rng)
    ((_, _, cols),) = windows.columns(x, conv_geometry("f", x, 1, 1, 0))
    assert np.shares_memory(cols, x)


def test_pad_and_crop_undo_each_other(rng):
    x = image(rng)
    x_pad = windows.pad(x, (2, 1), value=-np.inf)
    np.testing.assert_array_equal(
        x_pad, np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), constant_values=-np.inf)
    )
    np.testing.assert_array_equal(windows.crop(x_pad, (2, 1)), x)


@pytest.mark.parametrize("count, size", [(10, 30), (10, 1000), (10, 0), (0, 5), (7, 100)])
def test_blocks_cover_everything_once(monkeypatch, count, size):
    monkeypatch.setattr(windows, "BLOCK", 100)
    slices = list(windows.blocks(count, size))
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(count))
    assert all(s.stop - s.start == 1 or (s.stop - s.start) * size <= 100 for s in slices)
