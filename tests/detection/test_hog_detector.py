import math

import numpy as np
import pytest
import torch

from course_lib.data import digit_scenes
from course_lib.detection import HOGDetector, LinearClassifier, evaluate_detections, hog, nms
from course_lib.detection.hog_detector import Windows


def as_targets(scenes):
    return [{"boxes": b, "labels": k} for b, k in zip(scenes.boxes, scenes.labels, strict=True)]


@pytest.fixture(scope="module")
def scenes():
    return digit_scenes(80)


@pytest.fixture(scope="module")
def trained(scenes):
    detector = HOGDetector(10, 24, cell=6, signed=True)
    mined = detector.fit(scenes.images, as_targets(scenes), start=500)
    return detector, mined


def test_it_finds_digits_it_has_not_seen(trained):
    detector, mined = trained
    test = digit_scenes(60, split="test")
    found = detector.detect(test.images)
    assert evaluate_detections(found, as_targets(test)).mean > 0.5
    assert sorted(mined) == list(range(10))
    assert all(label.rounds[-1].found == 0 for label in mined.values())  # ended of itself


def test_the_score_of_a_window_is_that_of_its_crop(trained):
    """Of a window whose outer cells are flat, so that its surroundings do not matter."""
    detector, _ = trained
    image = torch.zeros(1, 1, 60, 66)
    image[..., 20:28, 26:34] = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    (indices, blocks, windows), *_ = detector._levels([*image], 60)
    scores = detector.scores(blocks)
    assert indices == [0]
    assert scores.shape == (1, 10, len(windows))
    row = windows.tolist().index([18, 12, 42, 36])
    crop = hog(image[..., 12:36, 18:42], cell=6, signed=True)
    expected = (crop.movedim(3, 1) * detector.weight).sum((1, 2, 3)) + detector.bias
    torch.testing.assert_close(scores[0, :, row], expected, rtol=1e-4, atol=1e-5)


def test_windows_lie_where_they_are_seen(trained):
    """At twice the size, 3 pixels from one to the next; the margin lies outside of the image."""
    detector, _ = trained
    (_, blocks, windows), *_ = detector._levels([torch.zeros(1, 33, 48)], 66)
    h, w = (66 + 12 - 24) // 6 + 1, (96 + 12 - 24) // 6 + 1
    assert blocks.shape[1:3] == (h + 2, w + 2)
    assert windows.shape == (h * w, 4)
    assert windows[0].tolist() == [-3, -3, 9, 9]
    assert windows[1].tolist() == [0, -3, 12, 9]
    assert windows[-1].tolist() == [39, 24, 51, 36]


def test_windows_of_several_maps(rng):
    maps = [torch.tensor(rng.random(s, np.float32)) for s in ((2, 5, 4, 6), (1, 3, 3, 6))]
    windows = Windows(maps, (3, 2))
    assert len(windows) == 2 * 3 * 3 + 1 * 1 * 2
    rows = windows[np.arange(20)]
    expected = [
        m[n, r : r + 3, c : c + 2].permute(2, 0, 1).flatten().numpy()
        for m in maps
        for n in range(len(m))
        for r in range(m.shape[1] - 2)
        for c in range(m.shape[2] - 1)
    ]
    assert np.array_equal(rows, np.array(expected))
    assert np.array_equal(windows[np.array([19, 2, 2])], rows[[19, 2, 2]])
    weight = rng.random(36)
    np.testing.assert_allclose(windows @ weight, rows @ weight, rtol=1e-5)


def test_examples_are_what_their_overlap_says(scenes):
    detector = HOGDetector(10, 24, cell=6)
    targets = as_targets(scenes)[:5]
    images = [torch.tensor(image) for image in scenes.images[:5]]
    objects = [(torch.tensor(t["boxes"]), torch.tensor(t["labels"])) for t in targets]
    detector._measure(images, objects, [60])
    windows, positive, excluded = detector._examples(images, objects)
    (_, _, corners), *_ = detector._levels(images, 60)
    assert len(windows) == 5 * len(corners)
    for label in range(10):
        x1, y1, x2, y2 = detector._boxes(corners, label).double().unbind(1)
        near, half = set(), set()
        for n, (boxes, labels) in enumerate(objects):
            for box in boxes[labels == label].double():
                w = (x2.clip(max=box[2]) - x1.clip(min=box[0])).clip(0)
                h = (y2.clip(max=box[3]) - y1.clip(min=box[1])).clip(0)
                either = (x2 - x1) * (y2 - y1) + (box[2:] - box[:2]).prod() - w * h
                overlap = w * h / either
                rows = n * len(corners) + np.arange(len(corners))
                near |= {*rows[overlap >= 0.7], rows[overlap.argmax()]}
                half |= {*rows[overlap >= 0.3]}
        got = [
            torch.cat(part[label]).tolist() if label in part else []
            for part in (positive, excluded)
        ]
        assert set(got[0]) == near
        assert set(got[1]) == half | near


def test_what_an_svm_is_trained_with(scenes, monkeypatch):
    """Positives, and all windows but those that overlap an object of the class by .3 or more."""
    seen = []

    def spy(positives, negatives, **options):
        seen.append((positives, negatives, options))
        weight = np.full(positives.shape[1], float(len(seen)))
        return LinearClassifier(weight, 0.5 + len(seen), np.arange(0), [])

    monkeypatch.setattr("course_lib.detection.hog_detector.mine_hard_negatives", spy)
    detector = HOGDetector(10, 24, cell=6)
    images = [torch.tensor(image) for image in scenes.images[:5]]
    targets = as_targets(scenes)[:5]
    mined = detector.fit(images, targets, sizes=[60], C=0.3, seed=4)
    objects = [(torch.tensor(t["boxes"]), torch.tensor(t["labels"])) for t in targets]
    windows, positive, excluded = detector._examples(images, objects)
    for count, label in enumerate(mined, 1):
        rows, negatives, options = seen[count - 1]
        assert np.array_equal(rows, windows[torch.cat(positive[label]).unique()])
        others = sorted({*range(len(windows))} - {*torch.cat(excluded[label]).tolist()})
        assert len(negatives) == len(others)
        some = np.array([0, 7, len(others) - 1])
        assert np.array_equal(negatives[some], windows[np.array(others)[some]])
        weight = np.random.default_rng(0).random(rows.shape[1])
        np.testing.assert_allclose(negatives @ weight, (windows @ weight)[others], rtol=1e-6)
        assert (options["C"], options["seed"]) == (0.3, 4)
        assert (detector.weight[label] == count).all()
        assert detector.bias[label] == 0.5 + count


def test_shapes_and_sizes_are_those_of_the_objects():
    """Boxes of 10 x 20 and 20 x 20 pixels in images whose shorter side is 60; of 20 x 40 in 40."""
    images = [torch.rand(1, 60, 80, generator=torch.Generator().manual_seed(1))]
    images += [images[0][:, :40, :60]]
    targets = [
        {"boxes": [[10.0, 10, 20, 30], [40, 10, 60, 30]], "labels": [0, 1]},
        {"boxes": [[0.0, 0, 20, 40]], "labels": [0]},
    ]
    targets = [{k: np.array(v) for k, v in target.items()} for target in targets]
    detector = HOGDetector(3, 32, cell=8, share=0.5)
    mined = detector.fit(images, targets, start=10)
    torch.testing.assert_close(detector.shapes[:2], torch.tensor([[0.25, 0.5], [0.5, 0.5]]))
    # 20 pixels are to be 16 of 32, at 48 of 60; 40 pixels, at 16 of 40.
    assert 16 <= detector.sizes[0] <= 20
    assert 46 <= detector.sizes[-1] <= 48
    assert sorted(mined) == [0, 1]
    assert detector.bias[2] == -math.inf
    for found in detector.detect(images, score_threshold=-9):
        assert 2 not in found["labels"]


def test_detections_are_suppressed_class_by_class(trained, scenes):
    detector, _ = trained
    images = scenes.images[:6]
    found = detector.detect(images, score_threshold=-2, nms_threshold=0.3, limit=1000)
    every = detector.detect(images, score_threshold=-2, nms_threshold=1.0, limit=10**6)
    for kept, whole in zip(found, every, strict=True):
        assert (kept["scores"].diff() <= 0).all()
        for label in range(10):
            mine = whole["labels"] == label
            rows = nms(whole["boxes"][mine], whole["scores"][mine], 0.3)
            torch.testing.assert_close(
                kept["boxes"][kept["labels"] == label], whole["boxes"][mine][rows]
            )
        assert (kept["boxes"] >= 0).all()
        assert (kept["boxes"] <= 64).all()
        assert kept["labels"].dtype == torch.int64
    few = detector.detect(images, score_threshold=-2, limit=3)
    for short, kept in zip(few, found, strict=True):
        torch.testing.assert_close(short["boxes"], kept["boxes"][:3])


def test_images_of_several_sizes(trained, scenes):
    detector, _ = trained
    images = [scenes.images[0], scenes.images[1][:, :50, :60], torch.tensor(scenes.images[2])]
    together = detector.detect(images, sizes=[50, 64])
    for image, found in zip(images, together, strict=True):
        (alone,) = detector.detect([image], sizes=[50, 64])
        torch.testing.assert_close(found, alone)


def test_nothing_to_be_found(trained):
    detector, _ = trained
    blank, tiny = detector.detect([np.zeros((1, 64, 64), np.float32)] * 2, score_threshold=9)
    assert blank["boxes"].shape == tiny["boxes"].shape == (0, 4)
    assert blank["labels"].shape == blank["scores"].shape == (0,)
    (found,) = detector.detect(np.zeros((1, 1, 4, 4), np.float32), sizes=[4])  # holds no window
    assert found["boxes"].shape == (0, 4)
    assert detector.detect([]) == []


def test_training_is_the_same_again(scenes):
    targets = as_targets(scenes)[:20]
    first, again = HOGDetector(10, 24, cell=6), HOGDetector(10, 24, cell=6)
    for detector in (first, again):
        detector.fit(scenes.images[:20], targets, start=200, rounds=2)
    assert torch.equal(first.weight, again.weight)
    assert first.sizes == again.sizes


def test_images_without_objects_give_negatives(scenes):
    """They are allowed, as long as one image shows something."""
    targets = as_targets(scenes)[:4]
    targets[1] = {"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, int)}
    detector = HOGDetector(10, 24, cell=6)
    detector.fit(scenes.images[:4], targets, start=100)
    assert detector.bias.isfinite().sum() == len({*np.concatenate([t["labels"] for t in targets])})


IMAGE = np.zeros((1, 1, 40, 40), np.float32)
ONE = {"boxes": np.array([[5.0, 5, 20, 20]]), "labels": np.array([0])}


@pytest.mark.parametrize(
    "images, targets, error, message",
    [
        (IMAGE, [], ValueError, "there are 1 images and 0 `targets`"),
        ([], [], ValueError, "there are no images to train on"),
        (IMAGE[0], [ONE], ValueError, r"`images` has shape \(1, 40, 40\), expected \(N, C, H, W\)"),
        ([IMAGE[0, 0]], [ONE], ValueError, r"image 0 has shape \(40, 40\), expected \(C, H, W\)"),
        (IMAGE.astype(int), [ONE], TypeError, r"`images\[0\]` holds int64"),
        (IMAGE * np.nan, [ONE], ValueError, "image 0 has entries that are not finite"),
        (IMAGE, [{**ONE, "labels": np.array([2])}], ValueError, r"labels of target 0 are \[2\]"),
        (IMAGE, [{**ONE, "boxes": -ONE["boxes"]}], ValueError, r"box 0 of `targets\[0\]` is"),
        (
            IMAGE,
            [{"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}],
            ValueError,
            "none of the 1 images has an object",
        ),
    ],
)
def test_bad_training(images, targets, error, message):
    with pytest.raises(error, match="HOGDetector.fit: .*" + message):
        HOGDetector(2).fit(images, targets)


def test_bad_options(trained):
    detector, _ = trained
    with pytest.raises(ValueError, match=r"HOGDetector.fit: at the scales \[8\] no image holds a"):
        HOGDetector(2).fit(IMAGE, [ONE], sizes=[8])
    for sizes in ([], [0], [2.5]):
        with pytest.raises(ValueError, match=r"HOGDetector.detect: `sizes` is .* positive ints"):
            detector.detect(IMAGE, sizes=sizes)
    with pytest.raises(ValueError, match=r"HOGDetector.detect: `score_threshold` is NaN"):
        detector.detect(IMAGE, score_threshold=math.nan)
    with pytest.raises(ValueError, match="nms: `iou_threshold` is 2"):
        detector.detect(IMAGE, nms_threshold=2)
    with pytest.raises(RuntimeError, match="there are no weights yet; call `fit` first"):
        HOGDetector(2).detect(IMAGE)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_classes": 0}, "`num_classes` is 0, expected at least 1"),
        ({"window": 20}, r"`window` is \(20, 20\), expected whole cells of 6 pixels"),
        ({"window": 6}, "at least as many as a block has, 2"),
        ({"share": 0}, "`share` is 0, expected more than 0, up to 1"),
        ({"share": 1.5}, "`share` is 1.5"),
    ],
)
def test_bad_detectors(arguments, message):
    with pytest.raises(ValueError, match="HOGDetector: .*" + message):
        HOGDetector(**{"num_classes": 2, **arguments})
