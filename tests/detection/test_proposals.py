import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from skimage import color, segmentation

from course_lib.data import digit_scenes, photograph
from course_lib.detection import (
    STRATEGIES,
    box_iou,
    grid_boxes,
    group_regions,
    initial_regions,
    mean_best_overlap,
    proposal_recall,
    selective_search,
)
from course_lib.detection.grouping import SPACES, in_space, textures

SUMS = ["C+T+S+F", "T+S+F", "C", "T", "S", "F", "C+S"]


def slow_histograms(image, pixels, directions):
    """Colours and textures of the pixels of a region, as lists of counts that add up to 1."""
    colour = [np.histogram(c[pixels], bins=25, range=(0, 1))[0] for c in image]
    texture = [np.histogram(c[pixels], bins=10, range=(0, 1))[0] for c in directions]
    return [np.concatenate(h) / np.concatenate(h).sum() for h in (colour, texture)]


def box_of(pixels):
    y, x = np.nonzero(pixels)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


def touch(a, b):
    beside = (a[:, 1:] & b[:, :-1]) | (a[:, :-1] & b[:, 1:])
    above = (a[1:] & b[:-1]) | (a[:-1] & b[1:])
    return beside.any() or above.any()


def slow_similarity(a, b, image, directions, sums):
    both, (x1, y1, x2, y2) = (a | b).sum(), box_of(a | b)
    one, other = slow_histograms(image, a, directions), slow_histograms(image, b, directions)
    terms = {
        "C": np.minimum(one[0], other[0]).sum(),
        "T": np.minimum(one[1], other[1]).sum(),
        "S": 1 - both / a.size,
        "F": 1 - ((x2 - x1) * (y2 - y1) - both) / a.size,
    }
    return sum(terms[letter] for letter in sums.split("+"))


def patches(rng, channels=3, size=(24, 30)):
    """A noisy image of 20 patches, and the patches as its regions."""
    coarse = rng.random((channels, 4, 5)).repeat(6, 1).repeat(6, 2)
    image = (coarse + 0.1 * rng.standard_normal((channels, *size))).clip(0, 1)
    labels = np.arange(20).reshape(4, 5).repeat(6, 0).repeat(6, 1)
    return image, labels


@pytest.mark.parametrize("sums", SUMS)
def test_each_step_merges_the_two_most_similar_neighbours(rng, sums):
    """All pairs of regions are compared anew before each step, from their pixels."""
    image, labels = patches(rng)
    grouped = group_regions(labels, image, sums)
    directions = textures(image)
    alive = {k: labels == k for k in range(20)}
    assert len(grouped.merged) == 19
    for k, (a, b) in enumerate(grouped.merged.tolist(), start=20):
        rated = {
            (i, j): slow_similarity(alive[i], alive[j], image, directions, sums)
            for i, j in combinations(alive, 2)
            if touch(alive[i], alive[j])
        }
        assert rated[min(a, b), max(a, b)] > max(rated.values()) - 1e-9  # some are as similar
        alive[k] = alive.pop(a) | alive.pop(b)
        assert grouped.boxes[k].tolist() == box_of(alive[k])
    assert list(alive) == [38]
    assert alive[38].all()


def test_a_grouping_by_hand():
    """Two grey halves, and a dot in the right one, which is enclosed and so merges with it."""
    labels = np.zeros((4, 8), int)
    labels[:, 4:] = 1
    labels[1:3, 5:7] = 2
    image = np.array([0.1, 0.6, 0.9])[labels]
    grouped = group_regions(labels, image, "F")
    left, right, dot = [0, 0, 4, 4], [4, 0, 8, 4], [5, 1, 7, 3]
    assert grouped.boxes.tolist() == [left, right, dot, right, [0, 0, 8, 4]]
    assert grouped.merged.tolist() == [[1, 2], [0, 3]]
    image = np.array([0.1, 0.6, 0.1])[labels]  # by colour alone only neighbours may merge
    assert group_regions(labels, image, "C").merged[0].tolist() != [0, 2]


def test_small_regions_merge_first():
    """By size alone: of a row of regions of 1, 2, 4 and 8 columns, always the two first."""
    labels = np.repeat([0, 1, 2, 3], [1, 2, 4, 8])[None].repeat(3, 0)
    grouped = group_regions(labels, np.zeros((3, 15)), "S")
    assert grouped.boxes[4:, 2].tolist() == [3, 7, 15]


def test_textures_are_gaussian_derivatives(rng):
    image = rng.random((2, 12, 17))
    got = textures(image).reshape(8, 2, 12, 17)
    options = {"sigma": 1, "mode": "nearest", "radius": 4}
    x = gaussian_filter1d(gaussian_filter1d(image, axis=1, **options), axis=2, order=1, **options)
    y = gaussian_filter1d(gaussian_filter1d(image, axis=2, **options), axis=1, order=1, **options)
    diagonal = (x + y) / math.sqrt(2)
    expected = [x, diagonal, y, (y - x) / math.sqrt(2), -x, -diagonal, -y]
    for one, other in zip(got, expected, strict=False):
        ratio = np.maximum(other, 0).max() / one.max()
        np.testing.assert_allclose(ratio * one, np.maximum(other, 0), atol=1e-10)
    assert textures(np.ones((1, 3, 3))).max() < 1e-9  # rounding is not made the largest


def test_colour_spaces(rng):
    rgb = rng.random((3, 5, 6))
    last = np.moveaxis(rgb, 0, -1)
    np.testing.assert_allclose(np.moveaxis(in_space(rgb, "hsv"), 0, -1), color.rgb2hsv(last))
    lab = np.moveaxis(in_space(rgb, "lab"), 0, -1) * (100, 255, 255) - (0, 128, 128)
    np.testing.assert_allclose(lab, color.rgb2lab(last), atol=1e-10)
    np.testing.assert_allclose(in_space(rgb, "hue")[0], color.rgb2hsv(last)[..., 0])
    red, green, intensity = in_space(rgb, "rgi")
    np.testing.assert_allclose(red, rgb[0] / rgb.sum(0))
    np.testing.assert_allclose(green, rgb[1] / rgb.sum(0))
    np.testing.assert_allclose(intensity, in_space(rgb, "gray")[0])
    for space in SPACES:
        for colour in (np.zeros((3, 2, 2)), np.ones((3, 2, 2)), np.eye(3)[:, :, None]):
            channels = in_space(colour, space)
            assert np.isfinite(channels).all()
            assert channels.min() >= 0
            assert channels.max() <= 1


def test_first_regions_are_those_of_scikit_image():
    image = photograph("chelsea")[:120, :160]
    expected = segmentation.felzenszwalb(image, scale=80, sigma=0.8, min_size=30)
    assert np.array_equal(initial_regions(image, 80, min_size=30), expected)
    chosen = round(80 * math.sqrt(120 * 160) / 500)
    expected = segmentation.felzenszwalb(image, scale=80, sigma=0.8, min_size=chosen)
    assert np.array_equal(initial_regions(image, 80), expected)


def test_all_kinds_of_images_mean_the_same():
    colour = photograph("coffee")[150:250, 200:320]
    first = np.ascontiguousarray(np.moveaxis(colour, -1, 0))
    expected = selective_search(colour)
    for image in (first, first / 255, first[None, ::1][0].astype(np.float64) / 255):
        assert np.array_equal(selective_search(image), expected)
    for image in (torch.tensor(first), torch.tensor(first / 255)):
        boxes = selective_search(image)
        assert boxes.dtype == torch.float32
        assert np.array_equal(boxes.numpy(), expected)
    gray = first[0]
    expected = selective_search(gray)
    assert expected.dtype == np.float32
    for image in (gray[None], gray / 255, torch.tensor(gray), torch.tensor(gray[None] / 255)):
        assert np.array_equal(np.asarray(selective_search(image)), expected)


def test_boxes_are_unlike_inside_and_begin_with_large_ones():
    image = photograph("rocket")[100:228, 250:400]
    boxes = selective_search(image)
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (150, 128)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
    assert [0, 0, 150, 128] in boxes.tolist()
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    tenth = len(boxes) // 10
    assert np.median(area[:tenth]) > 4 * np.median(area[-tenth:])


def test_the_same_seed_gives_the_same_order():
    image = digit_scenes(1).images[0]
    boxes = selective_search(image, seed=3)
    assert np.array_equal(boxes, selective_search(image, seed=3))
    other = selective_search(image, seed=4)
    assert not np.array_equal(boxes, other)
    assert sorted(boxes.tolist()) == sorted(other.tolist())
    assert np.array_equal(selective_search(image, limit=7, seed=3), boxes[:7])
    assert selective_search(image, limit=0).shape == (0, 4)


def test_ranks_are_places_times_random_numbers():
    """With one grouping: the place of box i from the top is n - i, that of the image 1."""
    image = photograph("coins")[:80, :90]
    only = {"spaces": ("rgb",), "similarities": ("C+T+S+F",), "scales": (60,)}
    grouped = group_regions(initial_regions(image, 60), image)
    n = len(grouped.boxes)
    ranks = np.random.default_rng(5).random(n) * (n - np.arange(n))
    expected = []
    for box in grouped.boxes[np.argsort(ranks)].tolist():
        expected += [box] if box not in expected else []
    assert selective_search(image, seed=5, **only).tolist() == expected


def test_more_strategies_give_more_boxes():
    image = photograph("astronaut")[:150, 150:300]
    single, fast = (
        {tuple(box) for box in selective_search(image, strategy=name).tolist()}
        for name in ("single", "fast")
    )
    assert single < fast
    assert STRATEGIES["quality"].spaces[:2] == STRATEGIES["fast"].spaces
    groupings = [math.prod(map(len, plan)) for plan in STRATEGIES.values()]
    assert groupings == [1, 8, 80]


def test_narrow_boxes_are_dropped():
    image = digit_scenes(1).images[0]
    every, wide = selective_search(image), selective_search(image, min_side=12)
    sides = (every[:, 2:] - every[:, :2]).min(1)
    assert np.array_equal(wide, every[sides >= 12])
    assert 0 < len(wide) < len(every)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 4, 4), (1, 5, 7)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_of_one_colour_is_one_box(shape, value):
    boxes = selective_search(np.full(shape, value))
    assert boxes.tolist() == [[0, 0, shape[-1], shape[-2]]]


def test_digits_are_found_within_about_a_hundred_boxes():
    scenes = digit_scenes(60, split="test", seed=1)
    targets = [{"boxes": b, "labels": k} for b, k in zip(scenes.boxes, scenes.labels, strict=True)]
    boxes = [selective_search(image) for image in scenes.images]
    counts = [len(b) for b in boxes]
    assert np.mean(counts) < 100
    assert max(counts) < 200
    assert proposal_recall(boxes, targets) >= 0.97
    assert mean_best_overlap(boxes, targets) > 0.84
    # As many boxes of a grid, of the sizes that digits have, cover fewer.
    grid = grid_boxes((64, 64), sides=(12, 16, 21), ratios=(1, 1.6), step=0.3)
    assert len(grid) > 300
    rival = [grid] * len(boxes)
    assert proposal_recall(rival, targets, limit=100) < proposal_recall(boxes, targets) - 0.1


@pytest.mark.parametrize(
    "name, box",
    [("astronaut", (153, 15, 302, 190)), ("coffee", (78, 18, 480, 388))],
)
def test_an_object_of_a_photograph_is_among_the_first(name, box):
    boxes = selective_search(photograph(name), limit=300)
    assert box_iou(np.array([box], np.float32), boxes).max() > 0.85


def test_grid_by_hand():
    boxes = grid_boxes((20, 30), sides=(20,), step=0.25, seed=None)
    assert boxes.tolist() == [[0, 0, 20, 20], [5, 0, 25, 20], [10, 0, 30, 20]]
    tall = grid_boxes((20, 30), sides=(10,), ratios=(4,), step=1, seed=None)
    assert tall.tolist() == [[5 * i, 0, 5 * i + 5, 20] for i in range(6)]
    both = grid_boxes((20, 30), sides=(20, 10), ratios=(1, 4), step=0.5, seed=None)
    assert len(both) == 2 * 1 + 5 * 3 + 11 * 1  # 40 rows do not fit
    mixed = grid_boxes((20, 30), sides=(20, 10), ratios=(1, 4), step=0.5, seed=2)
    assert sorted(mixed.tolist()) == sorted(both.tolist())
    assert not np.array_equal(mixed, both)
    assert grid_boxes((8, 8), sides=(9,)).shape == (0, 4)
    assert len(grid_boxes((8, 8), sides=())) == 0


def test_recall_and_overlap_by_hand():
    proposals = [[[0, 0, 10, 10], [0, 0, 4, 10]], np.zeros((0, 4)), torch.tensor([[1.0, 1, 3, 3]])]
    targets = [
        {"boxes": [[0, 0, 5, 10], [20, 20, 30, 30]], "labels": [1, 1]},
        {"boxes": torch.tensor([[0.0, 0, 2, 2]]), "labels": torch.tensor([4])},
        {"boxes": np.array([[1.0, 1, 3, 3], [8, 8, 9, 9]]), "labels": [4, 1], "ignore": [0, 1]},
    ]
    assert proposal_recall(proposals, targets) == 2 / 4
    assert proposal_recall(proposals, targets, iou_threshold=0.8) == 2 / 4  # 40 of 50 is enough
    assert proposal_recall(proposals, targets, iou_threshold=0.81) == 1 / 4
    assert proposal_recall(proposals, targets, limit=1) == 2 / 4  # 50 of 100
    assert proposal_recall(proposals, targets, limit=1, iou_threshold=0.6) == 1 / 4
    assert proposal_recall(proposals, targets, limit=0) == 0
    assert mean_best_overlap(proposals, targets) == pytest.approx(((0.8 + 0) / 2 + (0 + 1) / 2) / 2)
    assert mean_best_overlap(proposals, targets, limit=1) == pytest.approx((0.25 + 0.5) / 2)


def test_without_objects_there_is_no_recall():
    nothing = [{"boxes": [], "labels": []}]
    assert math.isnan(proposal_recall([[]], nothing))
    assert math.isnan(mean_best_overlap([[[0, 0, 1, 1]]], nothing))
    assert math.isnan(proposal_recall([], []))
    ignored = [{"boxes": [[0, 0, 1, 1]], "labels": [0], "ignore": [True]}]
    assert math.isnan(proposal_recall([[[0, 0, 1, 1]]], ignored))


BAD_IMAGES = [
    (np.zeros((0, 5)), ValueError, r"`image` has shape \(0, 5\), which has no pixel"),
    (np.zeros((3, 0, 5)), ValueError, "no pixel"),
    (np.zeros(5), ValueError, r"has shape \(5,\), expected one image: \(H, W\)"),
    (np.zeros((2, 4, 4)), ValueError, "expected one image"),
    (np.zeros((1, 3, 4, 4)), ValueError, "expected one image"),
    (np.full((4, 4), np.nan), ValueError, "holds floats from nan to nan, expected 0 to 1"),
    (np.full((4, 4), np.inf), ValueError, "holds floats from inf to inf"),
    (np.full((4, 4), 200.0), ValueError, "from 200 to 200, expected 0 to 1; divide by 255"),
    (torch.full((3, 4, 4), -0.5), ValueError, "from -0.5 to -0.5"),
    (np.zeros((4, 4), int), TypeError, "holds int64, expected uint8, or floats from 0 to 1"),
    ([[0.0]], TypeError, "`image` is a list, expected an array"),
]


@pytest.mark.parametrize("image, error, message", BAD_IMAGES)
def test_bad_images(image, error, message):
    with pytest.raises(error, match="selective_search: .*" + message):
        selective_search(image)
    with pytest.raises(error, match="initial_regions: .*" + message):
        initial_regions(image)


BAD_OPTIONS = [
    ({"strategy": "slow"}, "`strategy` is 'slow', expected one of"),
    ({"spaces": ("cmyk",)}, r"`spaces` has 'cmyk', expected some of \['hsv'"),
    ({"spaces": ()}, "`spaces` is empty, expected at least one"),
    ({"similarities": ("C+X",)}, r"`similarities` has 'C\+X', expected sums of C, T, S and F"),
    ({"similarities": ("",)}, "`similarities` has '', expected sums of C, T, S and F"),
    ({"scales": (0,)}, "a scale is 0, expected a positive number"),
    ({"scales": (math.nan,)}, "a scale is nan"),
    ({"sigma": -1}, "`sigma` is -1, expected 0 or more"),
    ({"min_size": -3}, "`min_size` is -3, expected 0 or more"),
    ({"limit": -1}, "`limit` is -1, expected a number of boxes, or None"),
    ({"limit": 2.5}, "`limit` is 2.5"),
]


@pytest.mark.parametrize("options, message", BAD_OPTIONS)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match="selective_search: " + message):
        selective_search(np.zeros((4, 4)), **options)


@pytest.mark.parametrize(
    "labels, error, message",
    [
        (np.zeros((3, 4), int), ValueError, r"`image` has shape \(1, 4, 4\), .* H = 3"),
        (np.zeros((4, 4)), TypeError, "`labels` holds float64, expected integers"),
        (np.full((4, 4), 2), ValueError, "`labels` has 1 values from 2 to 2, expected all of 0"),
        (np.arange(16).reshape(4, 4) - 1, ValueError, "`labels` has 16 values from -1 to 14"),
    ],
)
def test_bad_labels(labels, error, message):
    with pytest.raises(error, match="group_regions: " + message):
        group_regions(labels, np.zeros((4, 4)))
    with pytest.raises(ValueError, match="group_regions: `similarities` has 'A'"):
        group_regions(np.zeros((4, 4), int), np.zeros((4, 4)), "A")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((0, 5), (2,)), r"`size` is \(0, 5\), expected \(H, W\), both positive"),
        (((5,), (2,)), r"`size` is \(5,\)"),
        (((5, 5), (2, -1)), r"`sides` has \(2, -1\), expected positive numbers"),
        (((5, 5), (2,), (0,)), r"`ratios` has \(0,\)"),
        (((5, 5), (2,), (1,), 0), r"`step` has \(0,\)"),
    ],
)
def test_bad_grids(arguments, message):
    names = dict(zip(("size", "sides", "ratios", "step"), arguments, strict=False))
    with pytest.raises(ValueError, match="grid_boxes: " + message):
        grid_boxes(**names)


@pytest.mark.parametrize("measure", [proposal_recall, mean_best_overlap])
@pytest.mark.parametrize(
    "proposals, targets, options, message",
    [
        ([[]], [], {}, "1 proposals and 0 targets, expected one of each for every image"),
        ([[]], [{"labels": []}], {}, "image 0: 'boxes' is missing in its targets"),
        ([[[2, 0, 1, 1]]], [{"boxes": [], "labels": []}], {}, "image 0: box 0 of `proposals`"),
        ([[]], [{"boxes": [[0, 0, 1, math.nan]], "labels": [1]}], {}, "box 0 of `targets`"),
        ([[]], [{"boxes": [[0, 0, 1, 1]], "labels": [1], "ignore": [0, 0]}], {}, "`ignore` has"),
        ([[]], [{"boxes": [], "labels": []}], {"limit": -2}, "`limit` is -2"),
    ],
)
def test_bad_measures(measure, proposals, targets, options, message):
    with pytest.raises(ValueError, match=f"{measure.__name__}: .*{message}"):
        measure(proposals, targets, **options)


def test_measures_of_their_own():
    with pytest.raises(ValueError, match="`iou_threshold` is 0, expected more than 0, up to 1"):
        proposal_recall([], [], iou_threshold=0)
    with pytest.raises(ValueError, match="image 0: 'labels' is missing in its targets"):
        mean_best_overlap([[]], [{"boxes": []}])
    with pytest.raises(ValueError, match=r"image 0: `labels` has shape \(2,\)"):
        mean_best_overlap([[]], [{"boxes": [[0, 0, 1, 1]], "labels": [1, 2]}])
