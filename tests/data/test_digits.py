import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn import datasets

from course_lib.data import load_digits
from course_lib.data.digits import resampling

PARTS = ("train", "test")


def test_the_split_is_what_the_docstring_says():
    digits = load_digits()
    assert digits.x_train.shape == (1442, 1, 8, 8)
    assert digits.x_test.shape == (355, 1, 8, 8)
    for name, share in (("train", 4 / 5), ("test", 1 / 5)):
        labels = getattr(digits, f"y_{name}")
        assert labels.dtype == np.int64
        counts = np.bincount(labels)
        np.testing.assert_allclose(
            counts, share * np.bincount(datasets.load_digits().target), atol=1
        )


def test_every_digit_is_in_one_part():
    digits, original = load_digits(dtype=np.float64), datasets.load_digits()
    images = np.concatenate([digits.x_train, digits.x_test])[:, 0] * 16
    labels = np.concatenate([digits.y_train, digits.y_test])

    def lines(images, labels):
        return sorted(map(tuple, np.c_[labels, images.reshape(-1, 64)]))

    assert lines(images, labels) == lines(original.images, original.target)


def test_the_fifth_of_each_digit_is_the_first_test_image():
    digits, original = load_digits(), datasets.load_digits()
    for label in range(10):
        fifth = original.images[original.target == label][4]
        np.testing.assert_array_equal(digits.x_test[digits.y_test == label][0, 0] * 16, fifth)


@pytest.mark.parametrize("size", [1, 5, 8, 16, 28, 32, np.int64(11)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes(size, dtype):
    digits = load_digits(size, dtype=dtype)
    for x in (digits.x_train, digits.x_test):
        assert x.shape[1:] == (1, size, size)
        assert x.dtype == dtype
        assert x.min() >= 0
        assert x.max() <= 1


@pytest.mark.parametrize("size", [8, 9, 16, 28, 32])
def test_enlarges_as_torch(size):
    expected = torch.nn.functional.interpolate(
        torch.tensor(load_digits(dtype=np.float64).x_test), size=(size, size), mode="bilinear"
    )
    got = load_digits(size, dtype=np.float64).x_test
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_resampling_by_hand():
    np.testing.assert_allclose(
        resampling(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], rtol=1e-12
    )
    np.testing.assert_allclose(resampling(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], rtol=1e-12)


@pytest.mark.parametrize("new", [1, 3, 8, 20])
def test_resampling_keeps_what_is_constant(new):
    np.testing.assert_allclose(resampling(8, new).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("size", [8, 16])
def test_changing_the_digits_changes_nobody_elses(size):
    first, kept = load_digits(size), load_digits(size)
    for array in first:
        array[...] = 7
    for again, before in zip(load_digits(size), kept, strict=True):
        np.testing.assert_array_equal(again, before)


@pytest.mark.parametrize(
    "size, error, message",
    [
        (0, ValueError, "load_digits: `size` is 0, expected at least 1"),
        (8.0, TypeError, r"load_digits: `size` is 8\.0, expected an int"),
        ((8, 8), TypeError, r"load_digits: `size` is \(8, 8\), expected an int"),
    ],
)
def test_says_what_is_wrong(size, error, message):
    with pytest.raises(error, match=message):
        load_digits(size)


def test_images_that_are_not_floats():
    with pytest.raises(TypeError, match="load_digits: `dtype` is int64, expected floating-point"):
        load_digits(dtype=np.int64)


def test_importing_loads_no_scikit_learn():
    code = "import course_lib.data, sys; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
