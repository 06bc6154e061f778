import math

import numpy as np
import pytest
import torch
from simple_scenes import simple_scenes, small_body

from course_lib import numpy_layers
from course_lib.detection import (
    FastRCNN,
    RoIHead,
    Sampling,
    box_decode,
    detection_losses,
    evaluate_detections,
    numpy_pooling,
    padded_batch,
    paired_iou,
)
from course_lib.detection.roi_head import best_of_each_class
from course_lib.models import digit_regions
from course_lib.torch_layers import roi_pool
from course_lib.training import CheckpointError, TrainingError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed))


def small(num_classes=3, **options):
    """A detector with a body of few maps, whose last layers say more than nothing."""
    body = digit_regions(widths=(4, 6, 8), hidden=16, rng=generator(1))
    detector = FastRCNN(body, num_classes, **options)
    with torch.no_grad():
        detector.roi_head.classes.weight.normal_(0, 0.5, generator=generator(2))
        detector.roi_head.boxes.weight.normal_(0, 0.5, generator=generator(3))
    return detector


def target(boxes=(), labels=()):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.array(labels, np.int64),
    }


def test_the_multi_task_loss_by_hand():
    """Two classes. Region 0 shows class 1 and is 2 pixels off, region 1 shows background."""
    scores = torch.tensor([[0.0, math.log(2), 0.0], [0.0, 0.0, math.log(6)]])
    deltas = torch.zeros(2, 2, 4)
    deltas[0, 1] = torch.tensor([0.5, 0.0, 0.0, 0.0])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 5, 5]])
    truth = torch.tensor([[2.0, 0, 12, 10], [0, 0, 1, 1]])
    losses = detection_losses(scores, deltas, torch.tensor([1, 2]), boxes, truth)
    # p = 2/4 and 6/8; the true offset is 10 * 2/10 = 2, so that 1.5 are missing: 1.5 - 1/2 = 1
    expected = (math.log(2) + math.log(8 / 6)) / 2, 1 / 2
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    near = detection_losses(
        scores, deltas, torch.tensor([1, 2]), boxes, truth, weights=(5.0, 1, 1, 1)
    )
    np.testing.assert_allclose(near.regression, 0.5**2 / 2 / 2, rtol=1e-6)


def test_only_the_true_class_of_objects_has_a_box_loss():
    scores, boxes = torch.zeros(3, 4), torch.tensor([[0.0, 0, 8, 8]]).repeat(3, 1)
    deltas = torch.ones(3, 3, 4, requires_grad=True)
    labels = torch.tensor([2, 3, 0])
    detection_losses(scores, deltas, labels, boxes, boxes).regression.backward()
    touched = deltas.grad.abs().sum(2) > 0
    assert touched.nonzero().tolist() == [[0, 2], [2, 0]]
    background = detection_losses(scores, deltas, torch.full((3,), 3), boxes, boxes)
    assert background.regression == 0
    assert background.classification > 0


def test_no_regions_cost_nothing_but_have_a_gradient():
    scores = torch.zeros(0, 4, requires_grad=True)
    deltas = torch.zeros(0, 3, 4, requires_grad=True)
    none = torch.zeros(0, 4)
    losses = detection_losses(scores, deltas, torch.zeros(0, dtype=torch.int64), none, none)
    assert losses == (0, 0)
    sum(losses).backward()
    assert scores.grad.shape == (0, 4)


def test_a_head_begins_undecided():
    scores, deltas = RoIHead(16, 3)(noise(5, 16))
    assert scores.shape == (5, 4)
    assert deltas.shape == (5, 3, 4)
    assert scores.abs().max() < 0.2
    assert deltas.abs().max() < 0.02


def test_what_proposals_show():
    """IoU of exactly one half is an object; the true boxes are put behind the proposals."""
    detector = small(3, sampling=Sampling(background=(0.1, 0.5)))
    boxes = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 4], [20, 20, 30, 30], [0, 0, 1, 10]])
    one = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([2])}
    boxes, labels, truth = detector.assigned(boxes, one)
    assert labels.tolist() == [2, 3, -1, 3, 2]
    assert boxes[-1].tolist() == truth[0].tolist() == [0, 0, 10, 10]
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    assert detector.assigned(boxes, none)[1].tolist() == [-1] * 5  # below the 0.1
    assert small(3).assigned(boxes, none)[1].tolist() == [3] * 5


def test_losses_are_those_of_the_regions_drawn():
    """All regions are drawn, so that the loss can be put together image by image."""
    detector = small(3, sampling=Sampling(per_image=50, share=1.0)).eval()
    images = noise(2, 1, 24, 32)
    targets = [target([[2, 2, 14, 14], [16, 4, 28, 20]], [2, 0]), target()]
    proposals = [np.array([[3.0, 2, 15, 15], [0, 0, 5, 5]]), np.array([[1.0, 1, 9, 9]])]
    losses = detector.losses(images, targets, proposals)
    boxes = torch.tensor([[3.0, 2, 15, 15], [0, 0, 5, 5], [2, 2, 14, 14], [16, 4, 28, 20]])
    labels, truth = torch.tensor([2, 3, 2, 0]), boxes[[2, 2, 2, 3]]
    with torch.no_grad():
        maps = detector.body.features(images)
        first = detector.answers(maps[:1], [boxes])
        second = detector.answers(maps[1:], [torch.tensor([[1.0, 1, 9, 9]])])
        one = detection_losses(*first, labels, boxes, truth)
        other = detection_losses(*second, torch.tensor([3]), boxes[:1], boxes[:1])
    expected = (4 * one.classification + other.classification) / 5
    torch.testing.assert_close(losses.classification, expected)
    torch.testing.assert_close(losses.regression, 4 * one.regression / 5)
    called = detector(images, targets, proposals)  # as a wrapper for several devices does
    torch.testing.assert_close(tuple(called), tuple(losses))


def test_in_16_bits_the_losses_have_32():
    images, targets, proposals = simple_scenes(2)
    detector = small(2)
    exact = detector.losses(images, targets, proposals, generator())
    with torch.autocast("cpu", torch.bfloat16):
        coarse = detector.losses(images, targets, proposals, generator())
    assert all(loss.dtype == torch.float32 for loss in coarse)
    torch.testing.assert_close(tuple(coarse), tuple(exact), rtol=0.05, atol=0.05)
    double = small(2).double()
    losses = double.losses(images.astype(np.float64), targets, proposals, generator())
    assert all(loss.dtype == torch.float64 for loss in losses)
    torch.testing.assert_close(tuple(loss.float() for loss in losses), tuple(exact))
    (found,) = double.detect(images[:1].astype(np.float64), proposals=proposals[:1])
    assert found["boxes"].dtype == torch.float32


def test_the_generator_draws_the_regions():
    images, targets, proposals = simple_scenes(2)
    detector = small(2, sampling=Sampling(per_image=4))
    first, again, other = (
        detector.losses(images, targets, proposals, generator(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.classification != other.classification


def test_one_region_as_large_as_the_image_is_read_as_the_classifier_reads_it():
    detector = small(3).eval()
    image = noise(1, 1, 32, 32)
    with torch.no_grad():
        vector = detector.body(image)
        expected = detector.roi_head(vector)
        scores, deltas = detector.answers(
            detector.body.features(image), [torch.tensor([[0.0, 0, 28, 28]])]
        )  # both corner cells belong to a region: the eighth begins at 28
        torch.testing.assert_close(scores, expected[0])
        torch.testing.assert_close(deltas, expected[1])
    torch.testing.assert_close(scores, vector @ detector.roi_head.classes.weight.T)


@pytest.mark.parametrize("pooling", ["pool", "align"])
def test_detections_are_put_together_by_hand(pooling):
    """Of one image and two regions: softmax, offsets of the class, the border, the threshold."""
    detector = small(2, pooling=pooling).train()
    image, boxes = noise(1, 1, 30, 26), torch.tensor([[2.0, 3, 14, 15], [6, 8, 26, 30]])
    with torch.no_grad():
        maps = detector.body.features(image)
        scores, deltas = detector.answers(maps, [boxes])
        p = scores.softmax(1)
    (found,) = detector.detect(image, proposals=[boxes], nms_threshold=1.0, score_threshold=0.0)
    assert detector.training
    limits, expected = torch.tensor([26.0, 30, 26, 30]), {}
    for r in range(2):
        for k in range(2):
            box = box_decode(deltas[r, k][None], boxes[r][None], weights=(10, 10, 5, 5))[0]
            expected[p[r, k].item()] = (k, box.clip(min=0).minimum(limits))
    assert len(found["scores"]) == 4
    for score, label, box in zip(found["scores"], found["labels"], found["boxes"], strict=True):
        k, there = expected[min(expected, key=lambda s, score=score: abs(s - score))]
        assert label == k
        torch.testing.assert_close(box, there)
    (still,) = detector.detect(image, proposals=[boxes], box_regression=False, nms_threshold=1.0)
    assert {tuple(b) for b in still["boxes"].tolist()} <= {tuple(b) for b in boxes.tolist()}
    threshold = found["scores"][1].item()
    (fewer,) = detector.detect(
        image, proposals=[boxes], nms_threshold=1.0, score_threshold=threshold
    )
    assert len(fewer["scores"]) == 1
    (one,) = detector.detect(image, proposals=[boxes], nms_threshold=1.0, limit=1)
    assert len(one["scores"]) == 1


def test_a_class_suppresses_itself_only():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9]])[:, None].expand(-1, 2, 4)
    scores = torch.tensor([[0.9, 0.3], [0.8, 0.6]])
    found = best_of_each_class(boxes, scores, score_threshold=0.05, nms_threshold=0.5, limit=10)
    assert found["labels"].tolist() == [0, 1]
    np.testing.assert_allclose(found["scores"], [0.9, 0.6])
    assert found["boxes"].tolist() == [[0, 0, 10, 10], [0, 0, 10, 9]]


def test_padding_changes_maps_near_the_padded_border_only():
    """Of three convolutions the last cells see the padding; what is further away does not."""
    body = small().body
    with torch.no_grad():
        for layer in body.features:
            layer[0].bias.fill_(0.1)
        small_one, large = noise(1, 24, 20), noise(1, 40, 48, seed=1)
        batch = padded_batch([small_one, large], fill=body.fill)
        assert batch.sizes == [(24, 20), (40, 48)]
        assert batch.images.shape == (2, 1, 40, 48)
        assert batch.images[0, :, 24:].abs().max() == batch.images[0, :, :, 20:].abs().max() == 0
        maps, alone = body.features(batch.images), body.features(small_one[None])
        torch.testing.assert_close(maps[0, :, :4, :3], alone[0, :, :4, :3])
        assert (maps[0, :, 5, 4] - alone[0, :, 5, 4]).abs().max() > 1e-4
        torch.testing.assert_close(maps[1], body.features(large[None])[0])
    filled = padded_batch([torch.zeros(3, 1, 2), torch.zeros(3, 2, 1)], fill=torch.arange(3.0))
    assert filled.images[:, :, 1, 1].tolist() == [[0, 1, 2]] * 2
    assert filled.images[0, :, 0].abs().max() == 0


def test_neighbours_do_not_change_detections():
    """Images of one size run together, others alone; all within the size of their own."""
    detector = small(2)
    images = [noise(1, 24, 20), noise(1, 24, 20, seed=1), noise(1, 40, 33, seed=2)]
    proposals = [torch.tensor([[1.0, 1, 12, 12], [4, 4, 60, 60]])] * 3
    options = {"score_threshold": 0.0, "nms_threshold": 1.0}
    together = detector.detect(images, proposals=proposals, **options)
    for image, found in zip(images, together, strict=True):
        (alone,) = detector.detect([image], proposals=proposals[:1], **options)
        torch.testing.assert_close(found["scores"], alone["scores"])
        torch.testing.assert_close(found["boxes"], alone["boxes"], atol=1e-4, rtol=1e-5)
        assert (found["boxes"][:, 2] <= image.shape[2]).all()
        assert (found["boxes"][:, 3] <= image.shape[1]).all()
    losses = detector.losses(images, [target([[2, 2, 12, 12]], [1])] * 3, proposals, generator())
    assert all(loss.isfinite() and loss > 0 for loss in losses)


NUMPY_POOLING = numpy_pooling(numpy_layers.roi_pool_forward, numpy_layers.roi_pool_backward)


def test_a_pair_of_numpy_functions_is_a_layer(rng):
    maps = torch.tensor(rng.normal(size=(2, 3, 8, 7)), requires_grad=True)
    boxes = torch.tensor(np.concatenate([c := rng.uniform(0, 4, (5, 2)), c + 3], 1))
    index = torch.tensor([0, 1, 1, 0, 1])
    y = NUMPY_POOLING(maps, boxes, index, (2, 3), spatial_scale=0.9)
    expected = roi_pool(maps, boxes, index, (2, 3), spatial_scale=0.9)
    assert torch.equal(y, expected)
    dy = torch.tensor(rng.normal(size=y.shape))
    got, wanted = (torch.autograd.grad(v, maps, dy)[0] for v in (y, expected))
    torch.testing.assert_close(got, wanted)


def test_a_detector_with_a_layer_of_ones_own_learns_the_same():
    images, targets, proposals = simple_scenes(8)
    losses = []
    for pooling in ("pool", NUMPY_POOLING, roi_pool):
        detector = FastRCNN(small_body(), 2, pooling=pooling)
        history = detector.fit(images, targets, proposals=proposals, epochs=2, batch_size=4)
        losses.append(history.losses)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[2] == losses[0]


def test_a_layer_of_ones_own_that_is_wrong():
    arguments = torch.ones(1, 2, 4, 4), torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), (2, 2)
    with pytest.raises(TypeError, match=r"`forward` returned a ndarray, expected the pair"):
        numpy_pooling(lambda *_, **__: np.zeros(3), None)(*arguments)
    with pytest.raises(ValueError, match=r"`forward` returned shape \(3, 2\), expected \(3, 2, 2,"):
        numpy_pooling(lambda *_, **__: (np.zeros((3, 2)), None), None)(*arguments)

    def forward(x, boxes, image_index, output_size, *, spatial_scale):
        return np.zeros((3, 2, 2, 2)), None

    maps = arguments[0].requires_grad_()
    y = numpy_pooling(forward, lambda dy, cache: None)(*arguments)
    with pytest.raises(ValueError, match=r"`backward` returned shape \(\), expected \(1, 2, 4, 4"):
        y.sum().backward()
    assert maps.grad is None


@pytest.fixture(scope="module")
def trained():
    """A detector of two classes; and its history."""
    images, targets, proposals = simple_scenes(120, most=2)
    detector = FastRCNN(small_body(), 2)
    return detector, detector.fit(images, targets, proposals=proposals, epochs=20)


def test_it_finds_what_it_learnt(trained):
    detector, history = trained
    assert history.losses[-1] < history.losses[0] / 3
    images, targets, proposals = simple_scenes(30, seed=1, most=2)
    found = detector.detect(images, proposals=proposals)
    assert evaluate_detections(found, targets).mean > 0.9
    for target, one in zip(targets, found, strict=True):
        assert one["labels"][0] in target["labels"]
        assert (one["scores"].diff() <= 0).all()


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


def test_the_seed_decides_and_nothing_else_moves():
    images, targets, proposals = simple_scenes(12)
    body, weights = small_body(), []
    before = body.head.fc4.weight.clone()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for seed in (0, 0, 1):
        detector = FastRCNN(body, 2).eval()
        detector.fit(images, targets, proposals=proposals, epochs=1, seed=seed)
        assert not detector.training
        weights.append(detector.body.head.fc4.weight.detach().clone())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(body.head.fc4.weight, before)


def test_training_goes_on_from_a_checkpoint(tmp_path):
    images, targets, proposals = simple_scenes(12)
    path, options = tmp_path / "fast.pt", {"proposals": proposals, "schedule": None}
    whole = FastRCNN(small_body(), 2)
    whole.fit(images, targets, epochs=2, **options)
    for epochs in (1, 2):
        parts = FastRCNN(small_body(), 2)
        parts.fit(images, targets, epochs=epochs, checkpoint=path, **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name])
    with pytest.raises(CheckpointError, match="with other images or labels"):
        parts.fit(images * 0.5, targets, epochs=3, checkpoint=path, **options)


def test_frozen_maps_and_untrained_boxes():
    images, targets, proposals = simple_scenes(8)
    for freeze, changed in ((True, []), (2, ["stage3"]), (False, ["stage1", "stage2", "stage3"])):
        detector = FastRCNN(small_body(), 2)
        before = {name: value.clone() for name, value in detector.state_dict().items()}
        detector.fit(images, targets, proposals=proposals, epochs=1, freeze=freeze)
        after = detector.state_dict()
        moved = {n for n in after if not torch.equal(after[n], before[n])}
        assert sorted({n.split(".")[2] for n in moved if "features" in n}) == changed
        assert {"body.head.fc4.weight", "roi_head.boxes.weight"} <= moved
        assert all(p.requires_grad for p in detector.parameters())
    before = detector.roi_head.boxes.bias.clone()
    detector.fit(images, targets, proposals=proposals, epochs=1, box_regression=False)
    assert torch.equal(detector.roi_head.boxes.bias, before)


def test_a_frozen_body_stays_frozen():
    images, targets, proposals = simple_scenes(8)
    detector = FastRCNN(small_body().freeze(1), 2)
    before = detector.body.features.stage1.conv1.weight.clone()
    detector.fit(images, targets, proposals=proposals, epochs=1)
    detector.fit(images, targets, proposals=proposals, epochs=1, freeze=True)
    assert torch.equal(detector.body.features.stage1.conv1.weight, before)
    assert detector.body.frozen == 1
    learns = [p.requires_grad for p in detector.body.features.parameters()]
    assert learns == [False] * 2 + [True] * 4


def test_it_asks_for_proposals():
    images, targets, proposals = simple_scenes(6)
    asked = []

    def propose(image):
        asked.append(tuple(image.shape))
        return proposals[len(asked) % 6]

    detector = FastRCNN(small_body(), 2, propose=propose)
    detector.fit(images, targets, epochs=1)
    detector.detect(list(images[:2]))
    assert asked == [(1, 40, 40)] * 8


def test_images_without_proposals_or_objects(trained):
    detector, _ = trained
    images, targets, proposals = simple_scenes(6)
    none = np.zeros((0, 4), np.float32)
    found = detector.detect(images[:2], proposals=[none, proposals[1]])
    assert [len(one["boxes"]) > 0 for one in found] == [False, True]
    assert found[0]["boxes"].shape == (0, 4)
    assert found[0]["labels"].dtype == torch.int64
    assert detector.detect(images[:2], proposals=[none, none])[1]["scores"].shape == (0,)
    assert detector.detect([], proposals=[]) == []
    outside = np.array([[50.0, 50, 60, 60], [39.5, 0, 80, 30]], np.float32)
    assert not len(detector.detect(images[:1], proposals=[outside])[0]["boxes"])
    empty = detector.losses(images[:2], [target(), target()], [none, none])
    assert empty == (0, 0)
    background = detector.losses(images[:1], [target()], proposals[:1])
    assert background.classification > 0
    assert background.regression == 0
    targets[3], proposals[2] = target(), none
    FastRCNN(small_body(), 2).fit(images, targets, proposals=proposals, epochs=1)
    FastRCNN(small_body(), 2).fit(images, targets, proposals=[none] * 6, epochs=1)


BAD_TRAINING = {
    "no images": ({"images": []}, r"there are no images to train on"),
    "no objects": (
        {"targets": [target()] * 3},
        r"none of the 3 images has an object in its target, and without objects there is nothing",
    ),
    "too few targets": ({"targets": []}, r"there are 3 images and 0 `targets`, expected one for"),
    "too few proposals": ({"proposals": []}, r"there are 3 images and 0 `proposals`, expected"),
    "no rows": (
        {"images": [np.zeros((1, 0, 9), np.float32)] * 3},
        r"image 0 has shape \(1, 0, 9\), expected \(1, H, W\) with at least one row",
    ),
    "colours": (
        {"images": np.zeros((3, 3, 9, 9), np.float32)},
        r"image 0 has shape \(3, 9, 9\), expected \(1, H, W\)",
    ),
    "one image": (
        {"images": np.zeros((1, 9, 9), np.float32)},
        r"`images` has shape \(1, 9, 9\), expected \(N, 1, H, W\), or a list",
    ),
    "not finite": ({"images": np.full((3, 1, 40, 40), np.nan, np.float32)}, r"image 0 has entries"),
    "label": (
        {"targets": [target([[0, 0, 4, 4]], [2])] * 3},
        r"the labels of target 0 are \[2\], expected integers from 0 to 1; the background, 2, is",
    ),
    "negative label": (
        {"targets": [target([[0, 0, 4, 4]], [-1])] * 3},
        r"the labels of .* \[-1\]",
    ),
    "labels": (
        {"targets": [target([[0, 0, 4, 4]], [0, 1])] * 3},
        r"target 0 has 1 boxes and 2 labels, expected as many",
    ),
    "inside out": (
        {"targets": [target([[4, 0, 0, 4]], [0])] * 3},
        r"box 0 of `targets\[0\]` is \[4.0, 0.0, 0.0, 4.0\], expected finite",
    ),
    "outside": (
        {"targets": [target([[50, 0, 60, 4]], [0])] * 3},
        r"box 0 of target 0 has no area in its image of 40 x 40; drop such objects first",
    ),
    "proposal inside out": (
        {"proposals": [np.array([[4.0, 0, 0, 4]])] * 3},
        r"box 0 of `proposals\[0\]` is \[4.0, 0.0, 0.0, 4.0\], expected finite",
    ),
    "proposal NaN": (
        {"proposals": [np.full((1, 4), np.nan)] * 3},
        r"box 0 of `proposals\[0\]` is \[nan, nan, nan, nan\]",
    ),
}


@pytest.mark.parametrize("case", BAD_TRAINING)
def test_what_cannot_be_trained_on(case):
    changed, message = BAD_TRAINING[case]
    images, targets, proposals = simple_scenes(3)
    given = {"images": images, "targets": targets, "proposals": proposals} | changed
    if case == "no images":
        given |= {"targets": [], "proposals": []}
    with pytest.raises(ValueError, match=r"FastRCNN.fit: " + message):
        FastRCNN(small_body(), 2).fit(**given)


def test_wrong_arguments():
    images, targets, proposals = simple_scenes(2)
    with pytest.raises(ValueError, match="FastRCNN: `num_classes` is 0, expected 1 or more"):
        FastRCNN(small_body(), 0)
    with pytest.raises(ValueError, match="FastRCNN: `pooling` is 'max', expected 'pool', 'align'"):
        FastRCNN(small_body(), 2, pooling="max")
    with pytest.raises(TypeError, match=r"`images\[0\]` holds uint8, expected floating-point"):
        small(2).detect(images.astype(np.uint8), proposals=proposals)
    with pytest.raises(ValueError, match=r"images of \[1, 3\] channels, expected at least one"):
        padded_batch([torch.ones(1, 2, 2), torch.ones(3, 2, 2)])
    with pytest.raises(ValueError, match=r"padded_batch: 0 images of \[\] channels"):
        padded_batch([])
    detector = small(2)
    with pytest.raises(ValueError, match=r"FastRCNN.detect: the network's answers are not all fin"):
        detector.detect(images * np.nan, proposals=proposals)
    with torch.no_grad():
        detector.roi_head.boxes.weight.fill_(np.nan)
    with pytest.raises(ValueError, match=r"FastRCNN.detect: the network's answers are not all fin"):
        detector.detect(images, proposals=proposals)
    with pytest.raises(TrainingError, match="fit: the loss is nan at step 1"):
        detector.fit(images, targets, proposals=proposals, epochs=1)
