import math
import sys

import numpy as np
import pytest
import torch
from skimage import feature

from course_lib.data import photograph
from course_lib.detection import hog, hog_cells, normalized_blocks


def slow_cells(image, size, bins, signed, bilinear):
    """Let one pixel after the other vote, for each direction and cell that it reaches."""
    H, W = image.shape[1:]
    h, w = H // size, W // size
    cells = np.zeros((h, w, bins))
    turn = 360 if signed else 180
    for y in range(H):
        for x in range(W):
            steps = [
                (
                    c[y, x + 1] - c[y, x - 1] if 0 < x < W - 1 else 0,
                    c[y + 1, x] - c[y - 1, x] if 0 < y < H - 1 else 0,
                )
                for c in image
            ]
            gx, gy = max(steps, key=lambda g: math.hypot(*g))
            angle = math.degrees(math.atan2(gy, gx)) % turn
            for b in range(bins):
                away = abs(angle - (b + 0.5) * turn / bins)
                away = min(away, turn - away) / (turn / bins)
                vote = max(0, 1 - away) if bilinear else b == int(angle // (turn / bins)) % bins
                for r in range(h):
                    for c in range(w):
                        dy = abs(y + 0.5 - (r + 0.5) * size) / size
                        dx = abs(x + 0.5 - (c + 0.5) * size) / size
                        if bilinear:
                            share = max(0, 1 - dy) * max(0, 1 - dx)
                        else:
                            share = dy < 0.5 and dx < 0.5
                        cells[r, c, b] += vote * share * math.hypot(gx, gy) / size**2
    return cells


@pytest.mark.parametrize("votes", ["bilinear", "nearest"])
@pytest.mark.parametrize("signed, bins, size", [(False, 9, 4), (True, 6, 5)])
def test_cells_are_those_of_pixel_after_pixel(rng, votes, signed, bins, size):
    image = rng.random((2, 13, 17))
    got = hog_cells(image[None], cell=size, bins=bins, signed=signed, votes=votes)
    expected = slow_cells(image, size, bins, signed, votes == "bilinear")
    np.testing.assert_allclose(got[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size, block, bins", [(8, 2, 9), (5, 3, 6), (8, 1, 9)])
def test_nearest_votes_are_those_of_scikit_image(rng, size, block, bins):
    """scikit-image divides no votes, and adds them up in float32."""
    image = rng.random((3, 43, 50))
    expected = feature.hog(
        np.moveaxis(image, 0, -1),
        orientations=bins,
        pixels_per_cell=(size, size),
        cells_per_block=(block, block),
        block_norm="L2-Hys",
        feature_vector=False,
        channel_axis=-1,
    )
    got = hog(image[None], cell=size, block=block, bins=bins, votes="nearest")[0]
    np.testing.assert_allclose(got, expected.reshape(got.shape), rtol=0, atol=1e-6)


def test_a_person_has_3780_numbers():
    described = hog(np.zeros((1, 3, 128, 64)))
    assert described.shape == (1, 15, 7, 36)
    assert described.size == 3780
    assert not described.any()


def test_an_edge_by_hand():
    """Left 0, right 1: the two columns at the edge change by 1, and only along x, direction 0.

    That is as far from the centre of the first bin as from that of the last, 10 and 170 degrees.
    """
    image = np.zeros((1, 1, 8, 8))
    image[..., 4:] = 1
    cells = hog_cells(image, cell=8)[0, 0, 0]
    # Columns 3 and 4 lie half a pixel from the centre of the cell, 15/16 of the vote; and of the
    # rows' shares, 9/16 .. 15/16 and back, the mean is 3/4.
    vote = 2 * 15 / 16 * 0.75 / 8
    np.testing.assert_allclose(cells, [vote / 2, *[0] * 7, vote / 2], atol=1e-15)
    nearest = hog_cells(image, cell=8, votes="nearest")[0, 0, 0]
    np.testing.assert_allclose(nearest, [2 / 8, *[0] * 8], atol=1e-15)


def test_signed_directions_tell_light_from_dark():
    image = np.zeros((1, 1, 8, 8))
    image[:, :, 4:] = 1  # grows downwards: 90 degrees, the middle of bin 4 of 9, and of 18 of 36
    assert hog_cells(image)[0, 0, 0].argmax() == 4
    assert hog_cells(1 - image)[0, 0, 0].argmax() == 4
    down = hog_cells(image, bins=4, signed=True, votes="nearest")[0, 0, 0]
    up = hog_cells(1 - image, bins=4, signed=True, votes="nearest")[0, 0, 0]
    assert (down > 0).tolist() == [False, True, False, False]
    assert (up > 0).tolist() == [False, False, False, True]


def test_blocks_by_hand():
    """Two cells (3, 4) and (0, 12), of length 13: all but the 0 are cut at .2."""
    cells = np.array([[[[3.0, 4.0], [0.0, 12.0]]]])
    with pytest.raises(ValueError, match="hog: a block of 2 x 2 cells does not fit 1 x 2 of them"):
        normalized_blocks(cells)
    cells = np.concatenate([cells, np.zeros((1, 1, 2, 2))], 1)
    block = normalized_blocks(cells)
    assert block.shape == (1, 1, 1, 8)
    third = 1 / math.sqrt(3)
    np.testing.assert_allclose(block.ravel(), [third, third, 0, third, 0, 0, 0, 0], atol=1e-8)
    small = normalized_blocks(np.array([[[[1.0, 7.0]]]]), 1).ravel()  # of length 7.07
    expected = np.array([1 / math.sqrt(50), 0.2])
    np.testing.assert_allclose(small, expected / np.linalg.norm(expected), atol=1e-8)


def test_light_and_contrast_do_not_count(rng):
    image = rng.random((1, 1, 32, 32))
    np.testing.assert_allclose(hog(0.3 * image + 0.5), hog(image), atol=1e-6)


def test_a_shift_changes_bilinear_votes_less():
    image = photograph("camera")[:, :, :1].transpose(2, 0, 1)[None] / 255
    here, there = image[..., 100:228, 200:328], image[..., 100:228, 201:329]
    moved = {
        v: np.abs(hog(here, votes=v) - hog(there, votes=v)).mean() for v in ("bilinear", "nearest")
    }
    assert moved["bilinear"] < 0.8 * moved["nearest"]


@pytest.mark.parametrize("votes", ["bilinear", "nearest"])
def test_a_window_is_a_slice_of_the_image(rng, votes):
    """Its outer cells differ: the image goes on where the window ends. All others are the same."""
    image = rng.random((1, 1, 48, 56))
    whole = hog_cells(image, votes=votes)[:, 1:5, 2:6]
    window = hog_cells(image[..., 8:40, 16:48], votes=votes)
    np.testing.assert_allclose(whole[:, 1:3, 1:3], window[:, 1:3, 1:3], atol=1e-12)
    assert abs(whole - window).max() > 1e-4
    wider = hog_cells(image[..., :48, 8:56], votes=votes)[:, 1:5, 1:5]  # with a cell more around it
    np.testing.assert_allclose(whole, wider, atol=1e-12)


def test_images_of_all_kinds(rng):
    pixels = rng.integers(0, 256, (3, 2, 16, 24), np.uint8)
    expected = hog(pixels)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(hog(pixels / 255), expected, atol=1e-5)
    tensor = hog(torch.tensor(pixels))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), expected)
    double = hog(torch.tensor(pixels / 255, requires_grad=True))
    assert double.dtype == torch.float64
    assert not double.requires_grad
    assert np.array_equal(hog(pixels[:0]), expected[:0])


def test_many_images_are_described_in_parts(rng, monkeypatch):
    images = rng.random((7, 1, 16, 16))
    expected = hog(images)
    monkeypatch.setattr(sys.modules["course_lib.detection.hog"], "AT_ONCE", 2 * 16 * 16 * 9)
    assert np.array_equal(hog(images), expected)


@pytest.mark.parametrize(
    "images, options, error, message",
    [
        (np.zeros((8, 8)), {}, ValueError, r"`images` has shape \(8, 8\), expected \(N, C, H, W\)"),
        ([[1]], {}, TypeError, "`images` is a list, expected an array"),
        (
            np.zeros((1, 1, 7, 9)),
            {},
            ValueError,
            r".*\(1, 1, 7, 9\), .* one cell of 8 x 8 pixels",
        ),
        (np.zeros((1, 0, 9, 9)), {}, ValueError, ".* expected a channel or more"),
        (
            np.zeros((1, 1, 9, 9), int),
            {},
            TypeError,
            "`images` holds int64, expected uint8",
        ),
        (
            np.full((1, 1, 9, 9), np.nan),
            {},
            ValueError,
            "`images` holds .* not finite",
        ),
        (np.zeros((1, 1, 9, 9)), {"votes": "all"}, ValueError, "`votes` is 'all', expected one"),
        (np.zeros((1, 1, 9, 9)), {"cell": 0}, ValueError, "`cell` is 0, expected at least 1"),
        (np.zeros((1, 1, 9, 9)), {"bins": 1}, ValueError, "`bins` is 1, expected at least 2"),
        (np.zeros((1, 1, 9, 9)), {"cell": 2.5}, TypeError, "`cell` is 2.5, expected an int"),
        (np.zeros((1, 1, 9, 9)), {"block": 3}, ValueError, "a block of 3 x 3 cells does not fit"),
    ],
)
def test_bad_input(images, options, error, message):
    with pytest.raises(error, match="hog: " + message):
        hog(images, **options)
