import numpy as np
import pytest

from course_lib.data import digit_scenes, load_digits
from course_lib.data import scenes as module


def test_what_the_docstring_says(rng):
    scenes = digit_scenes(40, seed=int(rng.integers(100)))
    assert scenes.images.shape == (40, 1, 64, 64)
    assert scenes.images.dtype == np.float32
    assert scenes.images.min() >= 0
    assert scenes.images.max() <= 1
    assert scenes.masks.shape == (40, 64, 64)
    assert scenes.masks.dtype == np.int64
    assert len(scenes.boxes) == len(scenes.labels) == 40
    for boxes, labels in zip(scenes.boxes, scenes.labels, strict=True):
        assert boxes.dtype == np.float32
        assert labels.dtype == np.int64
        assert boxes.shape == (len(labels), 4)
        assert 1 <= len(labels) <= 3
        assert ((boxes >= 0) & (boxes <= 64)).all()


def test_a_box_is_as_tight_as_its_mask():
    scenes = digit_scenes(60)
    for boxes, labels, mask in zip(scenes.boxes, scenes.labels, scenes.masks, strict=True):
        everywhere = np.zeros_like(mask)
        for (x1, y1, x2, y2), label in zip(boxes.astype(int), labels, strict=True):
            ink = mask[y1:y2, x1:x2] == 1 + label
            for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
                assert edge.any()
            everywhere[y1:y2, x1:x2] = 1
        assert not mask[everywhere == 0].any()


def test_the_digit_is_where_the_box_says():
    """Without clutter and noise, what a box holds correlates with a digit of its label."""
    scenes = digit_scenes(30, clutter=0, noise=0, side=(28, 28), digits=(1, 1))
    enlarged, labels = load_digits(28).x_train[:, 0], load_digits().y_train
    for image, box, label in zip(scenes.images, scenes.boxes, scenes.labels, strict=True):
        x1, y1, x2, y2 = box[0].astype(int)
        inside = image[0, y1:y2, x1:x2]
        best = max(
            (np.corrcoef(crop(digit, inside.shape).ravel(), inside.ravel())[0, 1], name)
            for digit, name in zip(enlarged, labels, strict=True)
            if crop(digit, inside.shape) is not None
        )
        assert best[1] == label
        assert best[0] > 0.98


def crop(digit, shape):
    rows, columns = (np.flatnonzero((digit >= 0.3).any(axis=axis)) for axis in (1, 0))
    tight = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return tight if tight.shape == shape else None


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_shows_and_crumbles_its_own_digits_only(split, monkeypatch):
    """With all digits of the other split made NaN, no pixel is NaN."""
    digits = load_digits()
    other = digits.x_test if split == "train" else digits.x_train
    other[...] = np.nan
    monkeypatch.setattr(module, "load_digits", lambda: digits)
    scenes = digit_scenes(60, split=split)
    assert np.isfinite(scenes.images).all()
    own = digits.x_train if split == "train" else digits.x_test
    own[...] = np.nan
    with pytest.raises(IndexError):  # the first digit has no ink
        digit_scenes(1, split=split)


def test_the_same_seed_gives_the_same_scenes():
    first, again, more = digit_scenes(5, seed=3), digit_scenes(5, seed=3), digit_scenes(9, seed=3)
    for a, b, c in zip(first, again, more, strict=True):
        for i in range(5):
            np.testing.assert_array_equal(a[i], b[i])
            np.testing.assert_array_equal(a[i], c[i])
    for other in (digit_scenes(5, seed=4), digit_scenes(5, seed=3, split="test")):
        assert not np.array_equal(first.images, other.images)


@pytest.mark.parametrize("digits", [(0, 0), (1, 1), (2, 2), (4, 5)])
def test_how_many_digits(digits):
    counts = {len(labels) for labels in digit_scenes(40, digits=digits, side=(14, 18)).labels}
    assert counts == set(range(digits[0], digits[1] + 1))


def test_all_digits_and_sizes_turn_up():
    scenes = digit_scenes(300, digits=[1, 1])
    assert np.bincount(np.concatenate(scenes.labels), minlength=10).min() >= 15
    heights = np.concatenate(scenes.boxes)[:, 3] - np.concatenate(scenes.boxes)[:, 1]
    assert heights.min() < 15
    assert 26 <= heights.max() <= 28


@pytest.mark.parametrize("overlap", [0, 0.3])
def test_boxes_overlap_no_more_than_asked(overlap):
    worst = 0
    for boxes in digit_scenes(60, digits=(3, 3), overlap=overlap).boxes:
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                width, height = np.minimum(a, b)[2:] - np.maximum(a, b)[:2]
                smaller = min(np.prod(c[2:] - c[:2]) for c in (a, b))
                worst = max(worst, max(0, width) * max(0, height) / smaller)
    assert worst <= overlap
    assert overlap == 0 or worst > 0.05


def test_covered_by_hand():
    assert module.covered((0, 0, 4, 4), (2, 2, 4, 4)) == 1  # all of the smaller one
    assert module.covered((0, 0, 4, 2), (2, 0, 6, 2)) == 0.5
    assert module.covered((0, 0, 4, 2), (4, 0, 6, 2)) == 0


def test_noise_and_clutter_do_what_they_say():
    clean = digit_scenes(20, clutter=0, noise=0)
    noisy = digit_scenes(20, clutter=0, noise=0.1)
    grey = (clean.masks == 0) & (clean.images[:, 0] > 0.3)
    assert not grey[clean.images[:, 0] > 0.5].any() or grey.mean() < 0.02
    assert (noisy.images - clean.images)[clean.images > 0.4].std() == pytest.approx(0.1, rel=0.15)
    assert (digit_scenes(20, clutter=30, noise=0).images > 0.4).sum() > 1.2 * (
        clean.images > 0.4
    ).sum()


@pytest.mark.parametrize("size", [28, 48, np.int64(100)])
def test_sizes(size):
    assert digit_scenes(3, size=size, digits=(1, 1)).images.shape == (3, 1, size, size)


def test_no_scene_at_all():
    scenes = digit_scenes(0)
    assert scenes.images.shape == (0, 1, 64, 64)
    assert scenes.boxes == scenes.labels == []


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"count": -1}, ValueError, "`count` is -1, expected 0 or more"),
        ({"count": 2.5}, TypeError, r"`count` is 2\.5, expected an int"),
        ({"seed": -1}, ValueError, "`seed` is -1, expected 0 or more"),
        ({"size": 0}, ValueError, "`size` is 0, expected 1 or more"),
        ({"clutter": -1}, ValueError, "`clutter` is -1, expected 0 or more"),
        ({"split": "val"}, ValueError, "`split` is 'val', expected 'train' or 'test'"),
        ({"digits": 3}, TypeError, "`digits` is 3, expected two ints"),
        ({"digits": (3, 1)}, ValueError, r"`digits` is \(3, 1\), expected the fewest, 0 or more"),
        ({"side": (2, 9)}, ValueError, r"`side` is \(2, 9\), expected the fewest, 4 or more"),
        ({"size": 20}, ValueError, "a `side` of 28 does not fit a `size` of 20"),
        ({"noise": -0.1}, ValueError, r"`noise` is -0\.1, expected 0 to 1"),
        ({"overlap": 2}, ValueError, "`overlap` is 2, expected 0 to 1"),
        ({"digits": (9, 9)}, ValueError, "9 digits of up to .* found no room in 64x64"),
    ],
)
def test_says_what_is_wrong(options, error, message):
    with pytest.raises(error, match=f"digit_scenes: {message}"):
        digit_scenes(**{"count": 2, **options})
