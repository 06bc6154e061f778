import numpy as np
import pytest
import torch

from course_lib.detection import assign, sample

TRUTH = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_kind(kind, array):
    return torch.tensor(array) if kind == "torch" else np.array(array)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_thresholds_belong_to_the_upper_side(kind):
    """IoUs of exactly 1, 1/2, 0.45, 0.1 and 0, of boxes in the first object."""
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 4.5], [0, 0, 1, 10], [40, 0, 50, 9]]
    boxes = as_kind(kind, np.array(boxes, np.float64))
    labels, index = assign(boxes, as_kind(kind, TRUTH), 0.5, (0.1, 0.5))
    assert labels.tolist() == [1, 1, 0, 0, -1]
    assert index.tolist() == [0, 0, 1, 0, 0]
    assert "int64" in str(labels.dtype)
    assert "int64" in str(index.dtype)
    assert assign(boxes, as_kind(kind, TRUTH)).labels.tolist() == [1, 1, 0, 0, 0]
    strict = assign(boxes, as_kind(kind, TRUTH), 0.9, (0.1, 0.5)).labels
    assert strict.tolist() == [1, -1, 0, 0, -1]  # one half is neither
    assert assign(boxes, as_kind(kind, TRUTH), 0.6, (0.2, 0.48)).labels.tolist() == [
        1, -1, 0, -1, -1,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_without_objects_all_is_background(kind):
    boxes, none = as_kind(kind, TRUTH), as_kind(kind, np.zeros((0, 4)))
    assert assign(boxes, none).labels.tolist() == [0, 0]
    assert assign(boxes, none).index.tolist() == [0, 0]
    assert assign(boxes, none, background=(0.1, 0.5)).labels.tolist() == [-1, -1]
    for truth in (none, boxes):
        labels, index = assign(none, truth)
        assert labels.shape == index.shape == (0,)


def test_of_equal_overlaps_the_first_object_counts():
    boxes = np.array([[10.0, 0, 20, 10], [0, 0, 30, 10]])
    assert assign(boxes, TRUTH, 0.3, (0, 0.3)).index.tolist() == [0, 0]


def test_shares_of_a_mini_batch():
    labels = torch.tensor([0] * 100 + [1] * 50 + [-1] * 20)
    for count, share, objects in ((32, 0.25, 8), (128, 0.25, 32), (10, 0.5, 5), (20, 0, 0)):
        rows = sample(labels, count, share=share, generator=generator())
        drawn = labels[rows].tolist()
        assert drawn == [1] * objects + [0] * (count - objects)
        assert len(set(rows.tolist())) == count


@pytest.mark.parametrize(
    "labels, objects, background",
    [
        ([1, 1] + [0] * 20, 2, 6),  # fewer objects: more background
        ([1] * 20 + [0], 2, 1),  # less background: fewer boxes
        ([1] * 20, 2, 0),
        ([0] * 3, 0, 3),
        ([-1] * 5, 0, 0),
        ([], 0, 0),
    ],
)
def test_where_there_is_not_enough(labels, objects, background):
    labels = torch.tensor(labels, dtype=torch.int64)
    drawn = labels[sample(labels, 8, generator=generator())]
    assert drawn.tolist() == [1] * objects + [0] * background


def test_one_object_is_drawn_even_of_few_boxes():
    labels = torch.tensor([1, 0, 0, 0])
    assert labels[sample(labels, 2, share=0.25, generator=generator())].tolist() == [1, 0]


def test_the_generator_decides():
    labels = torch.tensor([0, 1] * 50)
    first = sample(labels, 20, generator=generator(1))
    assert torch.equal(first, sample(labels, 20, generator=generator(1)))
    assert not torch.equal(first, sample(labels, 20, generator=generator(2)))
    drawn = torch.cat([sample(labels, 20, generator=generator(s)) for s in range(100)])
    assert len(drawn.unique()) == 100  # every box has its turn


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"`background` is \(0.1, 0.6\) and `foreground` 0.5"):
        assign(TRUTH, TRUTH, 0.5, (0.1, 0.6))
    with pytest.raises(ValueError, match=r"assign: box 0 of `boxes` is .* with x1 <= x2"):
        assign(TRUTH[:, ::-1].copy(), TRUTH)
    with pytest.raises(ValueError, match="assign: box 0 of `truth` is"):
        assign(TRUTH, TRUTH * np.nan)
    labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"`count` is 0 and `share` 0.25, expected 1 or more"):
        sample(labels, 0)
    with pytest.raises(ValueError, match=r"and `share` 1.5, expected 1 or more, and 0 to 1"):
        sample(labels, 8, share=1.5)
    with pytest.raises(ValueError, match=r"`labels` has shape \(3, 1\), expected \(R,\)"):
        sample(labels[:, None], 8)
