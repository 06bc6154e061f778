import numpy as np
import pytest
from scipy import ndimage

from course_lib.data import load_digits, place_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits(dtype=np.float64).x_test[:20]


@pytest.mark.parametrize("size", [5, 8, 20, 32, np.int64(64)])
def test_unmoved_it_is_the_digit_enlarged(size, digits):
    placed = place_digits(digits, size=size)
    np.testing.assert_allclose(placed, load_digits(size, dtype=float).x_test[:20], atol=1e-12)


@pytest.mark.parametrize("dx, dy", [(3, 0), (0, -2), (-5, 4), (40, 0)])
def test_whole_shifts_move_pixels(dx, dy, digits):
    framed = np.pad(place_digits(digits, size=32), ((0, 0), (0, 0), (64, 64), (64, 64)))
    expected = framed[..., 64 - dy : 96 - dy, 64 - dx : 96 - dx]
    np.testing.assert_allclose(place_digits(digits, dx=dx, dy=dy), expected, atol=1e-12)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
@pytest.mark.parametrize("size", [7, 32])
def test_a_quarter_turn_is_exact_and_counter_clockwise(quarters, size, digits):
    turned = place_digits(digits, size=size, angle=90 * quarters)
    expected = np.rot90(place_digits(digits, size=size), quarters, axes=(2, 3))
    np.testing.assert_allclose(turned, expected, atol=1e-12)


def test_half_the_scale_is_half_the_size_in_the_middle(digits):
    halved = place_digits(digits, size=32, scale=0.5)
    np.testing.assert_allclose(halved[..., 8:24, 8:24], place_digits(digits, size=16), atol=1e-12)
    assert halved.sum() == pytest.approx(halved[..., 8:24, 8:24].sum())


def test_by_hand():
    image = np.array([[[[0.0, 1.0]]]])  # paper on the left, ink on the right
    np.testing.assert_allclose(
        place_digits(image, size=4)[0, 0], np.tile([0, 0.25, 0.75, 1], (4, 1)), atol=1e-12
    )
    sheet = np.ones((1, 1, 1, 2))  # its edges cut pixels
    for dx, row in ((0.5, [0.5, 1]), (1.25, [0, 0.75]), (-0.75, [1, 0.25]), (-2.5, [0, 0])):
        np.testing.assert_allclose(place_digits(sheet, size=2, dx=dx)[0, 0], [row, row], atol=1e-12)
        down = place_digits(sheet, size=2, dy=dx)[0, 0]
        np.testing.assert_allclose(down.T, [row, row], atol=1e-12)


def test_moves_as_scipy(rng):
    """Within the image, where the way of ending it does not matter."""
    images = np.zeros((6, 1, 16, 16))
    images[:, :, 4:12, 4:12] = rng.random((6, 1, 8, 8))
    dx, dy = rng.uniform(-2, 2, (2, 6))
    angle, scale = rng.uniform(-180, 180, 6), rng.uniform(0.6, 1.1, 6)
    placed = place_digits(images, size=24, dx=dx, dy=dy, angle=angle, scale=scale)
    for n in range(6):
        turn = np.deg2rad(angle[n])
        back = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]  # of (row, column)
        matrix = np.array(back) * 16 / (24 * scale[n])
        offset = 7.5 - matrix @ np.array([11.5 + dy[n], 11.5 + dx[n]])
        expected = ndimage.affine_transform(
            images[n, 0], matrix, offset, output_shape=(24, 24), order=1
        )
        np.testing.assert_allclose(placed[n, 0], expected, atol=1e-10)


def test_one_move_for_each_or_one_for_all(digits):
    shifts = np.arange(20.0) - 10
    together = place_digits(digits, dx=shifts, angle=30, scale=0.7)
    for n, shift in enumerate(shifts):
        alone = place_digits(digits[n : n + 1], dx=shift, angle=[30], scale=0.7)
        np.testing.assert_array_equal(together[n : n + 1], alone)


def test_more_images_than_fit_a_chunk():
    digits = load_digits().x_train[:600]
    moved = place_digits(digits, dx=np.arange(600) % 5)
    np.testing.assert_array_equal(moved[555:], place_digits(digits[555:], dx=np.arange(45) % 5))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N", [0, 3])
def test_keeps_type_and_range(dtype, N, rng):
    moves = {"dx": rng.uniform(-9, 9, N), "angle": rng.uniform(0, 360, N)}
    placed = place_digits(load_digits(dtype=dtype).x_test[:N], size=28, scale=0.8, **moves)
    assert placed.shape == (N, 1, 28, 28)
    assert placed.dtype == dtype
    assert ((placed >= 0) & (placed <= 1)).all()


def test_one_pixel_is_an_image():
    np.testing.assert_allclose(place_digits(np.full((1, 1, 1, 1), 0.5), size=3, scale=1), 0.5)


@pytest.mark.parametrize(
    "images, options, error, message",
    [
        ((2, 8, 8), {}, ValueError, r"`images` has shape \(2, 8, 8\), expected \(N, 1, H, W\)"),
        ((2, 3, 8, 8), {}, ValueError, r"`images` has shape \(2, 3, 8, 8\)"),
        ((2, 1, 0, 8), {}, ValueError, r"`images` has shape \(2, 1, 0, 8\)"),
        ((2, 1, 8, 8), {"size": 0}, ValueError, "`size` is 0, expected at least 1"),
        ((2, 1, 8, 8), {"size": 8.0}, TypeError, r"`size` is 8\.0, expected an int"),
        ((2, 1, 8, 8), {"scale": [1, -1]}, ValueError, r"`scale` is -1\.0, expected more than 0"),
        ((2, 1, 8, 8), {"dx": [1, 2, 3]}, ValueError, r"`dx` has shape \(3,\).*each of 2 images"),
        ((2, 1, 8, 8), {"angle": np.nan}, ValueError, "`angle` has entries that are not finite"),
    ],
)
def test_says_what_is_wrong(images, options, error, message):
    with pytest.raises(error, match=f"place_digits: {message}"):
        place_digits(np.zeros(images), **options)


def test_images_that_are_not_floats():
    with pytest.raises(TypeError, match="place_digits: `images` are uint8, expected floats"):
        place_digits(np.zeros((1, 1, 8, 8), np.uint8))
