"""Captioned scenes: what the sentences say is where the boxes are."""

import numpy as np
import pytest

from course_lib.data import captioned_scenes, captions, digit_scenes
from course_lib.data.captions import NAMES, describe

TURNED = {"left of": "right of", "above": "below"}


@pytest.fixture(scope="module")
def scenes():
    return captioned_scenes(150, seed=3)


def parts(sentence):
    """The first noun, the relation and the second noun of a sentence, with adjectives."""
    for relation in ("left of", "right of", "above", "below"):
        if f" {relation} " in sentence:
            return *sentence.split(f" {relation} "), relation
    raise AssertionError(sentence)


def number(noun):
    article, *_, name = noun.split()
    follows = noun.split()[1]
    assert article == ("an" if follows == "eight" else "a")
    return NAMES.index(name)


def test_what_the_docstring_says(scenes):
    assert scenes.images.shape == (150, 1, 64, 64)
    assert scenes.images.dtype == scenes.boxes.dtype == np.float32
    assert scenes.digits.shape == (150, 2)
    assert scenes.digits.dtype == np.int64
    assert scenes.boxes.shape == (150, 2, 4)
    assert [len(told) for told in scenes.sentences] == [2] * 150


def test_the_sentences_are_true(scenes):
    centres = (scenes.boxes[..., :2] + scenes.boxes[..., 2:]) / 2
    for (first, second), (a, b), digits in zip(
        scenes.sentences, centres, scenes.digits, strict=True
    ):
        one, other, relation = parts(first)
        assert [number(one), number(other)] == digits.tolist()
        across, down = b - a
        if relation == "left of":
            assert across >= 2 * abs(down)
        else:
            assert relation == "above"
            assert down >= 2 * abs(across)
        assert second == f"{other} {TURNED[relation]} {one}"


def test_every_word_occurs(scenes):
    words = {word for told in scenes.sentences for s in told for word in s.split()}
    assert words == {*NAMES, *["a", "an", "left", "right", "of", "above", "below"]}


def test_the_boxes_are_those_of_the_scene(scenes):
    """The scenes are those of digit_scenes that are clear, in their order."""
    all_of_them = digit_scenes(40, digits=(2, 2), side=(18, 30), clutter=2, seed=3)
    n = 0
    for image, boxes, labels in zip(*all_of_them[:3], strict=True):
        if describe(boxes, labels, False) is None:
            continue
        np.testing.assert_array_equal(scenes.images[n], image)
        assert sorted(map(tuple, scenes.boxes[n])) == sorted(map(tuple, boxes))
        assert sorted(scenes.digits[n]) == sorted(labels)
        n += 1
    assert 10 < n < 40


@pytest.mark.parametrize("split", ["train", "test"])
def test_fewer_are_the_first_of_more(split):
    more, fewer = (captioned_scenes(n, split=split, seed=1) for n in (30, 4))
    for a, b in zip(more, fewer, strict=True):
        np.testing.assert_array_equal(a[:4], b)


def test_seeds_and_splits_differ():
    images = [
        captioned_scenes(2, split=split, seed=seed).images
        for split, seed in (("train", 0), ("train", 1), ("test", 0))
    ]
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_no_scene():
    none = captioned_scenes(0)
    assert none.images.shape == (0, 1, 64, 64)
    assert none.boxes.shape == (0, 2, 4)
    assert none.sentences == []


BOX = {"here": [10, 10, 20, 30], "right": [40, 12, 50, 30], "below": [12, 44, 22, 64]}
BOX |= {"high": [38, 0, 58, 40], "low": [12, 44, 22, 54], "aside": [30, 25, 40, 45]}


@pytest.mark.parametrize(
    "boxes, sizes, expected",
    [
        ("here right", False, ["an eight left of a three", "a three right of an eight"]),
        ("right here", False, ["a three left of an eight", "an eight right of a three"]),
        ("here below", False, ["an eight above a three", "a three below an eight"]),
        ("below here", False, ["a three above an eight", "an eight below a three"]),
        ("here right", True, ["an eight left of a three", "a three right of an eight"]),
        (
            "here low",
            True,
            [
                *("a large eight above a small three", "a small three below a large eight"),
                *("an eight above a three", "a three below an eight"),
            ],
        ),
        (
            "here high",
            True,
            [
                *("a small eight left of a large three", "a large three right of a small eight"),
                *("an eight left of a three", "a three right of an eight"),
            ],
        ),
        ("here aside", False, None),
    ],
)
def test_descriptions_by_hand(boxes, sizes, expected):
    found = describe(np.array([BOX[name] for name in boxes.split()]), np.array([8, 3]), sizes)
    assert (found and found[1]) == expected


def test_heights_that_differ_a_little_are_unclear_only_where_they_are_told():
    boxes = np.array([[0, 0, 10, 14], [40, 0, 50, 10]])
    assert describe(boxes, np.array([1, 2]), False) is not None
    assert describe(boxes, np.array([1, 2]), True) is None


def test_sizes_are_told():
    scenes = captioned_scenes(60, sizes=True, side=(14, 30), seed=2)
    heights = scenes.boxes[..., 3] - scenes.boxes[..., 1]
    sized = 0
    for told, (a, b) in zip(scenes.sentences, heights, strict=True):
        if "large" not in told[0]:
            assert max(a, b) <= 1.25 * min(a, b)
            continue
        one, other, _ = parts(told[0])
        assert ("large" in one) == (a > b) == ("small" in other)
        assert max(a, b) >= 1.5 * min(a, b)
        assert len(told) == 4
        assert not any(word in s for s in told[2:] for word in ("large", "small"))
        sized += 1
    assert 5 < sized < 55


def test_options_reach_the_scenes():
    assert captioned_scenes(2, size=96).images.shape == (2, 1, 96, 96)


def test_says_what_is_wrong():
    with pytest.raises(TypeError, match=r"captioned_scenes: `count` is 1.5, expected an int"):
        captioned_scenes(1.5)
    with pytest.raises(ValueError, match="captioned_scenes: `count` is -1, expected 0 or more"):
        captioned_scenes(-1)
    with pytest.raises(ValueError, match="digit_scenes: `split` is 'all', expected 'train' or"):
        captioned_scenes(1, split="all")


def test_scenes_that_are_never_clear_end(monkeypatch):
    monkeypatch.setattr(captions, "describe", lambda *scene: None)
    with pytest.raises(ValueError, match=r"of \d+ scenes only 0 are clear; make the differences"):
        captioned_scenes(1)
