import numpy as np
import pytest
import torch
from simple_scenes import simple_scenes, small_body
from torch.nn import functional

from course_lib.detection import (
    RCNN,
    LinearClassifier,
    box_decode,
    evaluate_detections,
    paired_iou,
    rcnn,
    warp,
)
from course_lib.detection.rcnn import CONTEXT, NEVER, _FineTuning, _Regions, ridge_regression
from course_lib.training import TrainingError


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def first(count):
    return torch.zeros(count, dtype=torch.int64)


def ramp(H, W):
    """Return an image whose value at x, y, from its corner in pixels, is 100 y + x."""
    y, x = torch.arange(H) + 0.5, torch.arange(W) + 0.5
    return (100 * y[:, None] + x)[None, None].double()


def test_a_region_is_warped_whatever_its_shape():
    """4 pixels wide and 8 high, to two columns and four rows: read at the middles of the parts."""
    crop = warp(ramp(20, 12), torch.tensor([[2.0, 3, 6, 11]]), first(1), (4, 2))
    y, x = torch.tensor([4.0, 6, 8, 10]), torch.tensor([3.0, 5])
    torch.testing.assert_close(crop[0, 0], (100 * y[:, None] + x).double())


def test_context_is_a_share_of_the_window():
    """With a quarter on each side the region fills the middle half: one twice as large is cut."""
    boxes = torch.tensor([[4.0, 6, 8, 10], [2, 4, 10, 12]])
    with_context = warp(ramp(20, 14), boxes[:1], first(1), (8, 8), context=0.25)
    torch.testing.assert_close(with_context, warp(ramp(20, 14), boxes[1:], first(1), (8, 8)))
    assert pytest.approx(195 / 227) == 1 - 2 * CONTEXT  # the paper's 16 pixels of 227


def test_the_whole_image_at_its_own_size_stays_as_it_is():
    image = noise(1, 3, 9, 7)
    torch.testing.assert_close(warp(image, torch.tensor([[0.0, 0, 7, 9]]), first(1), (9, 7)), image)


def test_beyond_the_border_is_the_colour_of_nothing():
    image, fill = torch.ones(1, 3, 8, 8), torch.tensor([0.2, 0.4, 0.6])
    box = torch.tensor([[4.0, 0, 12, 8]])  # its right half is outside
    crop = warp(image, box, first(1), (8, 8), fill=fill)
    torch.testing.assert_close(crop[0, :, :, :3], torch.ones(3, 8, 3))
    torch.testing.assert_close(crop[0, :, :, 5:], fill[:, None, None].expand(3, 8, 3))
    assert warp(image, box, first(1), (8, 8))[0, :, :, 5:].abs().max() == 0


def test_each_region_is_read_in_its_own_image():
    images, boxes = noise(3, 1, 10, 10), noise(4, 4) * 3
    boxes[:, 2:] += 4
    index = torch.tensor([2, 0, 2, 1])
    together = warp(images, boxes, index, (5, 6), context=0.1)
    for r, n in enumerate(index):
        alone = warp(images[n : n + 1], boxes[r : r + 1], first(1), (5, 6), context=0.1)
        torch.testing.assert_close(together[r : r + 1], alone)
    assert warp(images, boxes[:0], index[:0], (5, 6)).shape == (0, 1, 5, 6)


def test_crops_of_images_of_several_sizes():
    detector = RCNN(small_body(), 2)
    images = [noise(1, 20, 30), noise(1, 16, 12, seed=1), noise(1, 20, 30, seed=2)]
    boxes = torch.tensor([[1.0, 1, 9, 9], [0, 0, 12, 16], [3, 2, 20, 18], [4, 4, 8, 8]])
    index = torch.tensor([2, 1, 0, 1])
    crops = detector.crops(images, boxes, index)
    for r, n in enumerate(index):
        expected = warp(images[n][None], boxes[r : r + 1], first(1), (32, 32), context=CONTEXT)
        torch.testing.assert_close(crops[r : r + 1], expected)


def test_what_regions_show():
    """Two objects of one class and one of another, in the second image; none in the first."""
    truth = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 8]])
    targets = [
        {"boxes": truth[:0], "labels": first(0)},
        {"boxes": truth, "labels": torch.tensor([1, 1, 0])},
    ]
    proposals = [torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([[0.0, 0, 10, 9], [20, 0, 30, 5]])]
    regions = _Regions(targets, proposals, 3)
    assert regions.image.tolist() == [0, 1, 1, 1, 1, 1]
    assert regions.is_truth.tolist() == [False] * 3 + [True] * 3
    assert regions.labels.tolist() == [3, 1, 1, 1, 1, 0]
    assert regions.truth.tolist()[1:] == truth[[0, 1, 0, 1, 2]].tolist()
    expected = [[0, 0, 0], [8 / 9, 0.9, 0], [0, 0.5, 0], [0.8, 1, 0], [0, 1, 0], [1, 0.8, 0]]
    np.testing.assert_allclose(regions.overlaps, expected, atol=1e-6)
    np.testing.assert_allclose(regions.best, [0, 0.9, 0.5, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("rows", [7, 40])
def test_ridge_regression_is_where_the_gradient_ends(rng, rows):
    """With fewer rows than columns too: the gradient of what it minimizes is 0."""
    x, y = (torch.tensor(rng.normal(1, 2, (rows, n))) for n in (12, 4))
    weight, bias = (part.requires_grad_() for part in ridge_regression(x, y, 0.3))
    strength = 0.3 * (x - x.mean(0)).square().sum()
    loss = (y - x @ weight - bias).square().sum() + strength * weight.square().sum()
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-9 * strength
    weight, bias = ridge_regression(x[:1], y[:1], 0.3)
    assert weight.abs().max() == 0
    torch.testing.assert_close(bias, y[0])


@pytest.fixture(scope="module")
def trained():
    """A detector of three classes, of which the last was never shown; and its history."""
    images, targets, proposals = simple_scenes(60, most=2)
    detector = RCNN(small_body(), 3)
    options = {"epochs": 2, "steps": 30, "batch_size": 48, "learning_rate": 0.05}
    return detector, detector.fit(images, targets, proposals=proposals, **options)


def test_it_finds_what_it_learnt(trained):
    detector, history = trained
    assert history.losses[-1] < history.losses[0] / 3
    images, targets, proposals = simple_scenes(30, seed=1, most=2)
    found = detector.detect(images, proposals=proposals)
    assert evaluate_detections(found, targets).mean > 0.9
    for target, one in zip(targets, found, strict=True):
        assert one["labels"][0] in target["labels"]
        assert (one["scores"].diff() <= 0).all()
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= 40).all()
        assert 2 not in one["labels"]
    assert (detector.svm_bias[2], detector.mining[2]) == (NEVER, None)


def test_regression_brings_boxes_nearer(trained):
    detector, _ = trained
    images, targets, proposals = simple_scenes(30, seed=2)
    overlaps = {}
    for regression in (False, True):
        found = detector.detect(images, proposals=proposals, box_regression=regression)
        best = torch.stack([one["boxes"][0] for one in found])
        truth = torch.tensor(np.concatenate([t["boxes"] for t in targets]))
        overlaps[regression] = paired_iou(best, truth).mean().item()
    assert overlaps[True] > overlaps[False] + 0.03


def test_scores_and_boxes_are_those_of_the_svms_and_regressions(trained):
    detector, _ = trained
    image, boxes = noise(1, 30, 36), torch.tensor([[2.0, 3, 20, 18], [0, 0, 36, 30]])
    with torch.no_grad():
        scores, deltas = detector.eval().answers(image, boxes, batch_size=1)
        crops = detector.crops([image], boxes, first(2))
        maps = functional.adaptive_max_pool2d(detector.body.features(crops), (4, 4)).flatten(1)
        vectors = detector.body(crops)
    for k in range(3):
        expected = vectors @ detector.svm_weight[k] + detector.svm_bias[k]
        torch.testing.assert_close(scores[:, k], expected)
        expected = maps @ detector.box_weight[k].T + detector.box_bias[k]
        torch.testing.assert_close(deltas[:, k], expected)
    (found,) = detector.detect([image], proposals=[boxes], score_threshold=-1e9, nms_threshold=1.0)
    assert len(found["boxes"]) == 6
    k = found["labels"][0]
    r = scores[:, k].argmax()
    moved = box_decode(deltas[r, k][None], boxes[r][None])[0]
    limits = torch.tensor([36.0, 30, 36, 30])
    torch.testing.assert_close(found["boxes"][0], moved.clip(min=0).minimum(limits))


def test_frozen_features_stay_as_they_were_given():
    images, targets, proposals = simple_scenes(20)
    body = small_body()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    detector = RCNN(body, 2).eval()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    history = detector.fit(images, targets, proposals=proposals, fine_tune=False)
    assert not history.records
    assert not detector.training
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in detector.body.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_seed_decides_and_the_body_given_stays(trained):
    images, targets, proposals = simple_scenes(12)
    body, weights = small_body(), []
    before = body.head.fc4.weight.clone()
    for seed in (0, 0, 1):
        detector = RCNN(body, 2)
        detector.fit(
            images, targets, proposals=proposals, epochs=1, steps=3, batch_size=16, seed=seed
        )
        weights.append(
            torch.cat([detector.body.head.fc4.weight.flatten(), detector.svm_weight.flatten()])
        )
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(body.head.fc4.weight, before)


def test_it_asks_for_proposals():
    images, targets, proposals = simple_scenes(6)
    asked = []

    def propose(image):
        asked.append(tuple(image.shape))
        return proposals[len(asked) % 6]

    detector = RCNN(small_body(), 2, propose=propose)
    detector.fit(images, targets, fine_tune=False, svm_images=4)
    detector.detect(images[:2])
    assert asked == [(1, 40, 40)] * 8


def test_images_without_proposals_or_objects(trained):
    detector, _ = trained
    images, targets, proposals = simple_scenes(6)
    found = detector.detect(images[:2], proposals=[np.zeros((0, 4), np.float32), proposals[1]])
    assert [len(one["boxes"]) > 0 for one in found] == [False, True]
    assert found[0]["boxes"].shape == (0, 4)
    assert found[0]["labels"].dtype == torch.int64
    assert detector.detect(images[:0], proposals=[]) == []
    outside = np.array([[50.0, 50, 60, 60], [39.5, 0, 80, 30]], np.float32)
    assert not len(detector.detect(images[:1], proposals=[outside])[0]["boxes"])
    targets[3] = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}
    proposals[2] = np.zeros((0, 4))
    some = RCNN(small_body(), 2)
    some.fit(images, targets, proposals=proposals, epochs=1, steps=2, batch_size=8)


def test_wrong_arguments(trained):
    images, targets, proposals = simple_scenes(3)
    body = small_body()
    with pytest.raises(ValueError, match="RCNN: `num_classes` is 0, expected 1 or more"):
        RCNN(body, 0)
    with pytest.raises(ValueError, match=r"RCNN: `context` is 0.5, expected 0 to less than 0.5"):
        RCNN(body, 2, context=0.5)
    with pytest.raises(ValueError, match=r"warp: `context` is -1, expected 0 to less than 0.5"):
        warp(torch.tensor(images), torch.zeros(1, 4), first(1), (4, 4), context=-1)
    with pytest.raises(ValueError, match="warp: box 0 of `boxes` is"):
        warp(torch.tensor(images), torch.tensor([[3.0, 0, 1, 1]]), first(1), (4, 4))
    new = RCNN(body, 2)
    with pytest.raises(ValueError, match=r"RCNN.detect: the SVMs are not trained; call `fit`"):
        new.detect(images, proposals=proposals)
    nobody = [{"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}] * 3
    with pytest.raises(ValueError, match="none of the 3 images has an object in its target"):
        new.fit(images, nobody, proposals=proposals)
    with pytest.raises(ValueError, match=r"RCNN.fit: the first 3 images have no proposals, and wi"):
        new.fit(images, targets, proposals=[np.zeros((0, 4))] * 3, fine_tune=False)
    with pytest.raises(ValueError, match=r"every proposal shows class 0, with an overlap of 0.3"):
        new.fit(images[:1], targets[:1], proposals=[targets[0]["boxes"]], fine_tune=False)
    with pytest.raises(TrainingError, match="Try a learning rate of"):
        RCNN(body, 2).fit(
            images, targets, proposals=proposals, learning_rate=1e6, steps=9, batch_size=8
        )
    detector, _ = trained
    with pytest.raises(ValueError, match=r"RCNN.detect: the network's answers are not all finite"):
        detector.detect(images * np.nan, proposals=proposals)


def test_on_which_regions_each_part_is_trained(monkeypatch):
    """Positives are true boxes; negatives overlap the class by less than 0.3; boxes by over 0.6."""
    seen = {"svm": [], "boxes": 0}

    def mined(own, far, **_):
        seen["svm"].append((len(own), len(far)))
        return LinearClassifier(np.full(32, 2.0), 0.5, np.arange(0), [])

    def fitted(x, y, ridge):
        seen["boxes"] += len(x)
        return ridge_regression(x, y, ridge)

    monkeypatch.setattr(rcnn, "mine_hard_negatives", mined)
    monkeypatch.setattr(rcnn, "ridge_regression", fitted)
    box = [0.0, 0, 10, 10]
    target = {"boxes": np.array([box, [20, 0, 30, 10]]), "labels": np.array([0, 1])}
    boxes = [[0, 0, 10, 2.9], [0, 0, 10, 3], [0, 0, 10, 6], [0, 0, 10, 6.1], [20, 0, 30, 7]]
    proposals = [np.array(boxes, np.float32)] * 3
    detector = RCNN(small_body(), 2)
    images = noise(3, 1, 40, 40).numpy()
    detector.fit(images, [target] * 3, proposals=proposals, fine_tune=False, svm_images=2)
    # Of class 0 the first and the last are negatives, of class 1 all but the last; of two images.
    assert seen["svm"] == [(3, 2 * 2), (3, 2 * 4)]
    assert seen["boxes"] == 2 * 2
    assert detector.svm_bias.tolist() == [0.5, 0.5]
    regions = _Regions([target_of(target)], [torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 4.9]])], 2)
    assert _FineTuning(detector, [], regions, 8).kinds.tolist() == [1, 0, 1, 1]


def target_of(arrays):
    return {
        "boxes": torch.tensor(arrays["boxes"], dtype=torch.float32),
        "labels": torch.tensor(arrays["labels"]),
    }
