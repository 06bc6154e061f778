"""Faster R-CNN: both of its schemes of training, and that its parts share one body."""

import math

import numpy as np
import pytest
import torch

from course_lib.data import digit_scenes
from course_lib.detection import (
    AnchorSampling,
    FasterRCNN,
    FastRCNN,
    RegionProposals,
    evaluate_detections,
)
from course_lib.detection.sampling import Sampling
from course_lib.models import digit_regions
from course_lib.training import CheckpointError, TrainingError

EMPTY = {"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}
SCHEMES = ("joint", "alternating")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed))


def small(num_classes=10, **settings):
    """A detector with few maps, for objects of about 12 to 18 pixels."""
    options = {"sizes": (14, 18), "ratios": (1.5,), "training_proposals": 20} | settings
    return FasterRCNN(digit_regions(widths=(4, 6, 8), hidden=16), num_classes, **options)


def decided(detector):
    """Give the last layers weights that say more than nothing."""
    layers = detector.detector.roi_head.classes, detector.rpn.objectness, detector.rpn.deltas
    with torch.no_grad():
        for n, layer in enumerate(layers):
            layer.weight.normal_(0, 0.5, generator=generator(n))
    return detector


def scenes(count, split="train"):
    seen = digit_scenes(count, size=40, split=split, digits=(1, 2), side=(14, 18))
    return seen.images, [
        {"boxes": b, "labels": k} for b, k in zip(seen.boxes, seen.labels, strict=True)
    ]


def target(boxes, labels):
    return {"boxes": np.array(boxes, np.float32).reshape(-1, 4), "labels": np.array(labels, int)}


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_both_networks_have_one_body():
    given = digit_regions(widths=(4, 6, 8), hidden=16)
    detector = FasterRCNN(given, 3, sizes=(12,))
    assert detector.rpn.body is detector.detector.body is detector.body
    assert detector.body is not given
    once = sum(p.numel() for p in detector.parameters())
    parts = FastRCNN(given, 3), RegionProposals(given, sizes=(12,))
    shared = sum(p.numel() for p in given.parameters())
    assert once == sum(p.numel() for part in parts for p in part.parameters()) - shared


def test_the_losses_are_those_of_the_two_networks():
    """The proposals of the moment go to the detector as given ones would."""
    detector = decided(small())
    images, targets = scenes(3)
    losses = detector.losses(images, targets, generator(5))
    draws = generator(5)
    first = detector.rpn.losses(images, targets, draws)
    proposals = [p.boxes for p in detector.propose(images, 20, before=120)]
    second = detector.detector.losses(images, targets, proposals, draws)
    assert losses._fields == ("objectness", "rpn_regression", "classification", "regression")
    torch.testing.assert_close(tuple(losses), (*first, *second))
    torch.testing.assert_close(detector(images, targets, generator(5)), losses)


def test_no_gradient_of_a_detection_reaches_the_proposal_network():
    """And all four reach the body: that is what joint training is."""
    images, targets = scenes(3)
    for part in range(4):
        detector = decided(small())
        detector.losses(images, targets, generator())[part].backward()
        own = {
            name: p.grad is not None and bool(p.grad.any())
            for name, p in detector.named_parameters()
        }
        assert any(own[name] for name in own if "features" in name)
        of_rpn = [own[name] for name in own if name.startswith(("rpn.conv", "rpn.obj", "rpn.del"))]
        of_head = [own[name] for name in own if "roi_head" in name]
        assert any(of_rpn) == (part < 2)
        assert any(of_head) == (part >= 2)


def test_alternating_is_four_trainings():
    """Of the body of the proposals alone, of the detector's alone, and then of neither."""
    images, targets = scenes(8)
    detector = small()
    start = weights(detector.body.features)
    seen = []

    def look(record):
        bodies = detector.body.features, detector.rpn.body.features
        parts = *bodies, detector.rpn.conv, detector.detector.roi_head
        seen.append([weights(part) for part in parts])

    history = detector.fit(
        images, targets, scheme="alternating", epochs=1, batch_size=4, progress=look
    )
    assert [record.epoch for record in history.records] == [1, 2, 3, 4]
    assert len(history.losses) == 8
    one, two, three, four = seen
    changed = [
        [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        for before, after in ((one, two), (two, three), (three, four))
    ]
    assert torch.equal(one[0], start)
    assert not torch.equal(one[1], start)
    # the maps, those of the proposals, their layers, the last layers of the detector
    assert changed[0] == [True, False, False, True]
    assert torch.equal(three[0], three[1])  # shared from now on
    assert changed[1] == [False, True, True, False]
    assert changed[2] == [False, False, False, True]
    assert torch.equal(weights(detector.body.features), two[0])
    assert all(p.requires_grad for p in detector.parameters())


def test_the_second_half_of_alternating_learns_the_head_but_no_map():
    images, targets = scenes(8)
    detector = small()
    bodies = []

    def look(record):
        body = detector.body
        bodies.append((weights(body.features), weights(body.head), body.frozen))

    detector.fit(images, targets, scheme="alternating", epochs=1, batch_size=4, progress=look)
    maps, heads, frozen = zip(*bodies, strict=True)
    assert frozen == (0, 0, 3, 3)
    assert torch.equal(maps[1], maps[2])
    assert torch.equal(maps[1], maps[3])
    assert torch.equal(heads[1], heads[2])
    assert not torch.equal(heads[1], heads[3])  # fc4 is a layer of the detector alone
    assert detector.body.frozen == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_training_ends_with_one_body_and_the_same_every_time(scheme):
    images, targets = scenes(6)
    targets[2] = EMPTY
    before = torch.get_rng_state()
    runs = []
    for seed in (0, 0, 1):
        detector = small()
        detector.fit(
            images, targets, scheme=scheme, epochs=1, batch_size=3, seed=seed, progress=False
        )
        assert detector.rpn.body is detector.detector.body
        runs.append(weights(detector))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_training_that_was_stopped_goes_on(tmp_path, scheme):
    images, targets = scenes(4)

    def trained(name, stop=None):
        detector = small()
        seen = []

        def look(record):
            seen.append(record)
            if len(seen) == stop:
                raise KeyboardInterrupt

        try:
            detector.fit(
                images,
                targets,
                scheme=scheme,
                epochs=2,
                batch_size=4,
                checkpoint=tmp_path / name,
                progress=look,
            )
        except KeyboardInterrupt:
            assert detector.rpn.body is detector.body
        return weights(detector), len(seen)

    whole, steps = trained("whole")
    trained("stopped", stop=steps - 1)
    again, rest = trained("stopped")
    assert rest == 1
    assert torch.equal(again, whole)


def test_four_numbers_of_epochs():
    images, targets = scenes(4)
    history = small().fit(
        images, targets, scheme="alternating", epochs=(2, 1, 1, 1), batch_size=4, progress=False
    )
    assert len(history.records) == 5


def test_freezing_keeps_the_maps_from_the_beginning():
    images, targets = scenes(4)
    for scheme in SCHEMES:
        detector = small()
        maps, rest = weights(detector.body.features), weights(detector.rpn.deltas)
        detector.fit(
            images, targets, scheme=scheme, freeze=True, epochs=1, batch_size=4, progress=False
        )
        assert torch.equal(weights(detector.body.features), maps)
        assert not torch.equal(weights(detector.rpn.deltas), rest)


def test_without_box_regression_the_boxes_of_the_detector_do_not_learn():
    images, targets = scenes(4)
    for scheme in SCHEMES:
        detector = small()
        detector.fit(
            images,
            targets,
            scheme=scheme,
            box_regression=False,
            weight_decay=0.0,
            epochs=1,
            batch_size=4,
            progress=False,
        )
        fresh = small()
        assert torch.equal(
            weights(detector.detector.roi_head.boxes), weights(fresh.detector.roi_head.boxes)
        )
        assert not torch.equal(weights(detector.rpn.deltas), weights(fresh.rpn.deltas))


def test_training_finds_the_digits():
    """From scratch, on the scenes that it is asked about, as digits of one class."""
    images, targets = scenes(40)
    targets = [t | {"labels": t["labels"] * 0} for t in targets]
    detector = FasterRCNN(
        digit_regions(widths=(8, 16, 16), hidden=32),
        1,
        sizes=(14,),
        ratios=(1.5,),
        training_proposals=16,
        anchor_sampling=AnchorSampling(8),
        sampling=Sampling(8, share=0.5),
    )

    def score():
        found = detector.detect(images, num_proposals=10)
        return evaluate_detections(found, targets, iou_threshold=0.5).mean

    before = score()
    detector.fit(images, targets, epochs=10, batch_size=4, learning_rate=0.05, progress=False)
    assert score() > max(0.7, before + 0.3)


def test_detections_are_those_of_fast_r_cnn_on_the_proposals():
    detector = decided(small())
    images = noise(2, 1, 40, 32)
    proposals = [p.boxes for p in detector.propose(images, 15)]
    expected = detector.detector.detect(images, proposals=proposals, score_threshold=0.1)
    found = detector.detect(images, num_proposals=15, score_threshold=0.1)
    assert any(len(each["boxes"]) for each in found)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_images_of_several_sizes_are_seen_as_if_alone():
    detector = decided(small())
    images = [noise(1, 40, 32, seed=1), noise(1, 40, 32, seed=2), noise(1, 24, 50, seed=3)]
    for image, found in zip(images, detector.detect(images), strict=True):
        (alone,) = detector.detect([image.numpy()])
        torch.testing.assert_close(found, alone)
    targets = [target([[2, 2, 14, 20]], [0])] * 3
    history = detector.fit(images, targets, epochs=1, batch_size=3, progress=False)
    assert math.isfinite(history.losses[0])


def test_where_nothing_is_proposed_nothing_is_found():
    detector = small()
    with torch.no_grad():
        detector.rpn.deltas.weight.zero_()
        detector.rpn.deltas.bias.copy_(torch.tensor([0.0, 0, -9, -9]).repeat(2))  # all too small
    (found,) = detector.detect(noise(1, 1, 40, 40))
    assert [tuple(found[name].shape) for name in ("boxes", "labels", "scores")] == [
        (0, 4),
        (0,),
        (0,),
    ]
    losses = detector.losses(noise(1, 1, 40, 40), [target([[2, 2, 14, 20]], [0])])
    assert losses.classification > 0  # the true box is there
    nothing = detector.losses(noise(1, 1, 40, 40), [EMPTY])
    assert (nothing.classification, nothing.regression, nothing.rpn_regression) == (0, 0, 0)
    assert nothing.objectness > 0
    sum(nothing).backward()


def test_an_image_without_objects_is_all_background():
    detector = decided(small(num_classes=3))
    losses = detector.losses(noise(1, 1, 40, 40), [EMPTY])
    assert losses.rpn_regression == losses.regression == 0
    assert losses.objectness > 0
    assert losses.classification > 0


def test_an_image_smaller_than_the_anchors_can_be_seen():
    detector = decided(small(sizes=(64,)))
    (found,) = detector.detect(noise(1, 1, 12, 9), score_threshold=0.0)
    assert len(found["boxes"]) > 0
    assert (found["boxes"] <= torch.tensor([9, 12, 9, 12])).all()
    losses = detector.losses(noise(1, 1, 12, 9), [target([[1, 1, 8, 11]], [0])])
    assert losses.objectness == losses.rpn_regression == 0
    assert losses.classification > 0


def test_in_64_bits_all_is():
    """Of numbers that fit 32 bits, so that both see the same."""
    images, targets = scenes(2)
    narrow, wide = decided(small()), decided(small()).double()
    losses = wide.losses(images, targets, generator())
    assert all(loss.dtype == torch.float64 for loss in losses)
    expected = narrow.losses(images, targets, generator())
    torch.testing.assert_close(losses[0].float(), expected[0])
    torch.testing.assert_close(losses[1].float(), expected[1])
    assert wide.propose(images)[0].boxes.dtype == torch.float64
    assert len(wide.detect(images)) == 2


def test_no_images():
    assert small().detect([]) == []
    assert small().propose([]) == []


def test_the_modes_are_left_as_they_were():
    detector = small().train()
    detector.detect(noise(1, 1, 40, 40))
    assert detector.training
    assert detector.rpn.training
    detector.eval()
    images, targets = scenes(4)
    for scheme in SCHEMES:
        detector.fit(images, targets, scheme=scheme, epochs=1, progress=False)
        assert not any(module.training for module in detector.modules())


def test_a_checkpoint_of_another_scheme_is_another_file(tmp_path):
    images, targets = scenes(4)
    path = tmp_path / "run.pt"
    small().fit(images, targets, scheme="alternating", epochs=1, checkpoint=path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"run.pt.step{n}" for n in (1, 2, 3, 4)]
    other = [t | {"labels": t["labels"] * 0} for t in targets]
    with pytest.raises(CheckpointError, match="other images or labels"):
        small().fit(images, other, scheme="alternating", epochs=1, checkpoint=path, progress=False)


def broken(part):
    detector = small()
    layers = {"conv": detector.rpn.conv, "classes": detector.detector.roi_head.classes}
    with torch.no_grad():
        layers[part].weight.fill_(math.nan)
    return detector


IMAGE, TARGET = noise(1, 1, 40, 40), target([[2, 2, 14, 20]], [1])
BAD = [
    (lambda: small(0), ValueError, "FastRCNN: `num_classes` is 0, expected 1 or more"),
    (lambda: small(training_proposals=0), ValueError, "`training_proposals` is 0, expected 1"),
    (lambda: small(pooling="mean"), ValueError, "`pooling` is 'mean', expected 'pool', 'align'"),
    (
        lambda: small().fit(IMAGE, [TARGET], scheme="both"),
        ValueError,
        "`scheme` is 'both', expected 'joint' or 'alternating'",
    ),
    (
        lambda: small().fit(IMAGE, [TARGET], scheme="alternating", epochs=(1, 2)),
        ValueError,
        r"`epochs` is \(1, 2\), expected an int, or one for each of 4 steps",
    ),
    (
        lambda: small().fit(IMAGE, [target([[14, 2, 2, 20]], [1])]),
        ValueError,
        r"FasterRCNN.fit: box 0 of `targets\[0\]` is .* with x1 <= x2",
    ),
    (
        lambda: small().fit(IMAGE, [target([[2, 2, 14, 20]], [10])]),
        ValueError,
        "labels of target 0 are .10., expected integers from 0 to 9",
    ),
    (lambda: small().fit([], []), ValueError, "FasterRCNN.fit: there are no images to train on"),
    (lambda: small().fit(IMAGE, [EMPTY]), ValueError, "none of the 1 images has an object"),
    (lambda: small().fit(IMAGE, []), ValueError, "there are 1 images and 0 `targets`"),
    (lambda: small().detect(IMAGE[0]), ValueError, r"FasterRCNN.detect: `images` has shape"),
    (lambda: broken("conv").detect(IMAGE), ValueError, "RegionProposals.propose: .* not finite"),
    (
        lambda: broken("classes").detect(IMAGE),
        ValueError,
        "FastRCNN.detect: .* not .*finite numbers",
    ),
    *(
        (
            lambda part=part, scheme=scheme: broken(part).fit(
                IMAGE, [TARGET], scheme=scheme, epochs=1, progress=False
            ),
            TrainingError,
            "the loss is nan at step 1",
        )
        for part in ("conv", "classes")
        for scheme in SCHEMES
    ),
]


@pytest.mark.parametrize("call, error, message", BAD, ids=range(len(BAD)))
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
