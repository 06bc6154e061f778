"""Handwritten digits, from inside scikit-learn: nothing is downloaded."""

from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import numpy as np


class Digits(NamedTuple):
    """Images ``(N, 1, size, size)`` in 0..1, 0 the paper and 1 the ink, and labels ``(N,)``."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_digits(size=8, *, dtype=np.float32):
    """Load 1,797 real handwritten digits, split into 1,442 to train on and 355 to test.

    They were scanned as bitmaps of 32x32; a pixel is the share of ink in a block of 4x4 of them.
    Every fifth image of each digit is a test image, so that both parts hold all ten digits in
    equal shares, and the split is the same everywhere. The file does not say who wrote which
    digit: both parts hold digits by the same 13 people, so that strangers may be harder to read.

    Parameters
    ----------
    size : int
        Rows and columns in pixels; the originals have 8. Other sizes are resampled, bilinearly
        between the centres of the pixels.
    dtype : dtype
        Of the images; the labels are int64.

    Returns
    -------
    Digits
        Fresh arrays: changing them changes nobody else's.

    Raises
    ------
    TypeError
        If `size` is not an int, or `dtype` no type of floats.
    ValueError
        If `size` is less than 1.

    References
    ----------
    E. Alpaydin & C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0: its test set, which
    scikit-learn ships as :func:`sklearn.datasets.load_digits`.
    """
    if not isinstance(size, Integral):
        raise TypeError(f"load_digits: `size` is {size!r}, expected an int")
    if size < 1:
        raise ValueError(f"load_digits: `size` is {size}, expected at least 1")
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(
            f"load_digits: `dtype` is {np.dtype(dtype)}, expected floating-point numbers"
        )
    images, labels = originals()
    matrix = resampling(images.shape[-1], size)
    images = (matrix @ images @ matrix.T).astype(dtype)[:, None]
    test = every_fifth(labels)
    return Digits(images[~test], labels[~test], images[test], labels[test])


@lru_cache(maxsize=1)
def originals():
    """Return all images ``(1797, 8, 8)`` in 0..1, and their labels; do not change them."""
    from sklearn import datasets  # imported here: it takes a second, and few need it

    digits = datasets.load_digits()
    return digits.images / 16, digits.target.astype(np.int64)


def every_fifth(labels):
    """Return a mask of every fifth occurrence of each label."""
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        mask[np.flatnonzero(labels == label)[4::5]] = True
    return mask


def resampling(old, new):
    """Return the ``(new, old)`` matrix that resamples a row of pixels by linear interpolation.

    Pixel i of a row of `new` has its centre at ``(i + 0.5) * old / new - 0.5`` of the old row; it
    is read between the two old centres beside it, and beyond the outermost one there.
    """
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(old)))
