import numpy as np
import pytest
import torch

from course_lib.data import digit_scenes
from course_lib.detection import OverFeat, box_iou, merge_boxes, training_windows
from course_lib.detection.overfeat import window_box_loss
from course_lib.detection.windows import resized, what_it_shows
from course_lib.models import box_regressor, overfeat_small, vgg_small

ONE = {"digits": (1, 1), "side": (20, 40), "clutter": 4}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def untrained(per_class=False, seed=0):
    """A net of four classes and background, whose regressor does not give the same box always."""
    rng = generator(seed)
    classifier = overfeat_small(5, rng=rng)
    regressor = box_regressor(classifier, 4 if per_class else 1, widths=(16,), rng=rng)
    with torch.no_grad():
        regressor[-1].weight.normal_(0, 0.02, generator=rng)
    return OverFeat(classifier, regressor)


def noise(*shape):
    return torch.rand(shape, generator=generator(3))


def as_targets(scenes):
    return [{"boxes": b, "labels": k} for b, k in zip(scenes.boxes, scenes.labels, strict=True)]


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("offsets, step", [(None, 2), (1, 6)])
def test_dense_is_crop_by_crop(per_class, offsets, step):
    """Scores, and boxes moved to where their window lies in the image, which is half as large."""
    net = untrained(per_class).eval()
    images = noise(2, 1, 21, 24)
    dense = net.dense(images, 42, offsets=offsets)
    scaled = resized(images, 42)
    h, w = dense.windows.shape[:2]
    assert (h, w) == ((42 - 30) // step + 1, (48 - 30) // step + 1)
    for r in range(h):
        for c in range(w):
            y, x = step * r, step * c
            torch.testing.assert_close(
                dense.windows[r, c] * 2, torch.tensor([x, y, x + 30.0, y + 30])
            )
            with torch.no_grad():
                scores, boxes = net(scaled[:, :, y : y + 30, x : x + 30])
            torch.testing.assert_close(dense.scores[:, :, r, c], scores.softmax(1))
            boxes = (boxes.reshape(2, -1, 4) * 30 + torch.tensor([x, y, x, y])) / 2
            got = dense.boxes[:, :, r, c] if per_class else dense.boxes[:, None, r, c]
            torch.testing.assert_close(got, boxes, rtol=1e-4, atol=1e-4)


def test_boxes_inside_out_are_turned():
    net = untrained()
    with torch.no_grad():
        net.box_regressor[-1].weight.zero_()
        net.box_regressor[-1].bias.copy_(torch.tensor([1.0, 0.25, 0.0, 0.5]))
    box = net.dense(noise(1, 1, 30, 30)).boxes[0, 0, 0]
    torch.testing.assert_close(box, torch.tensor([0, 7.5, 30, 15]))


def test_images_that_are_not_square():
    net = untrained()
    dense = net.dense(noise(1, 1, 64, 96), 32)
    assert dense.windows.shape == (2, 10, 4)
    assert dense.windows[-1, -1].tolist() == [36, 4, 96, 64]


def test_votes_are_of_the_windows_that_are_sure_enough():
    net = untrained()
    images = noise(2, 1, 40, 40)
    small, large = net.dense(images, 32), net.dense(images, 40)
    scores = torch.cat([d.scores[:, :-1].flatten(2).mT for d in (small, large)], 1)
    boxes = torch.cat([d.boxes.flatten(1, 2) for d in (small, large)], 1)
    threshold = scores.amax(2).median().item()
    for n, votes in enumerate(net.votes(images, (32, 40), threshold=threshold)):
        chosen = scores[n].amax(1) >= threshold
        chosen[scores[n].amax(1).argmax()] = True
        torch.testing.assert_close(votes.boxes, boxes[n][chosen])
        torch.testing.assert_close(votes.scores, scores[n][chosen])
    (alone, _) = net.votes(images, (32, 40), threshold=1.0)
    torch.testing.assert_close(alone.scores[0], scores[0][scores[0].amax(1).argmax()])
    assert len(alone.boxes) == 1
    assert net.detect(images, (32, 40), threshold=1.0)[0]["boxes"].shape == (0, 4)


def test_with_a_box_for_each_class_a_window_votes_for_each():
    net = untrained(per_class=True)
    image = noise(1, 1, 30, 30)
    (votes,) = net.votes(image, (30,), threshold=0.0)
    dense = net.dense(image)
    torch.testing.assert_close(votes.boxes, dense.boxes[0, :, 0, 0])
    torch.testing.assert_close(votes.scores, torch.diag(dense.scores[0, :-1, 0, 0]))


def test_detections_are_merged_votes():
    net = untrained()
    images = noise(3, 1, 44, 44)
    found = net.detect(images, (32, 44), threshold=0.2, merge=0.4, weights="members")
    located = net.locate(images, (32, 44), threshold=0.2, merge=0.4, weights="members")
    for n, votes in enumerate(net.votes(images, (32, 44), threshold=0.2)):
        sure = votes.scores.amax(1) >= 0.2
        merged = merge_boxes(*(part[sure] for part in votes), threshold=0.4, weights="members")
        torch.testing.assert_close(found[n]["boxes"], merged.boxes)
        torch.testing.assert_close(found[n]["scores"], merged.scores.amax(1))
        assert found[n]["labels"].tolist() == merged.scores.argmax(1).tolist()
        torch.testing.assert_close(located.boxes[n], found[n]["boxes"][0])
        share = found[n]["scores"][0] / (merged.groups == 0).sum()
        torch.testing.assert_close(located.probabilities[n], share)


@pytest.mark.parametrize(
    "objects, expected",
    [
        ([[5, 5, 25, 25]], (0, [0.1, 0.1, 0.5, 0.5], True)),
        ([[-2, 10, 18, 30]], (0, [-0.04, 0.2, 0.36, 0.6], True)),  # 90 % in
        ([[-8, 10, 12, 30]], (0, [-0.16, 0.2, 0.24, 0.6], False)),  # 60 %
        ([[-12, 10, 8, 30]], (-1, [np.nan] * 4, True)),  # 40 %
        ([], (-1, [np.nan] * 4, True)),
        ([[0, 0, 10, 10], [20, 20, 40, 40]], (1, [0.4, 0.4, 0.8, 0.8], True)),  # nearer the middle
        ([[20, -8, 30, 12], [0, 0, 10, 10]], (1, [0, 0, 0.2, 0.2], True)),  # the one that is whole
    ],
)
def test_what_a_window_shows(objects, expected):
    """Of 50 pixels, at (100, 200); the objects are given from its corner."""
    objects = np.reshape(objects, (-1, 4)) + np.array([100, 200, 100, 200])
    label, box, sure = what_it_shows(objects, [0, 1], (100, 200), (50, 50))
    np.testing.assert_allclose(box, expected[1], atol=1e-12)
    assert (label, sure) == (expected[0], expected[2])


def test_training_windows_show_what_they_say():
    """Each is found again in its image, and its box there is that of the digit."""
    scenes = digit_scenes(20, size=48, **ONE)
    seen = training_windows(
        scenes.images, as_targets(scenes), window=(30, 30), sizes=(48,), per_image=3
    )
    assert len(seen.images) == 60
    assert (seen.boxes.isfinite().all(1) == (seen.labels >= 0)).all()
    for i, (window, label, box) in enumerate(
        zip(seen.images, seen.labels, seen.boxes, strict=True)
    ):
        scene = torch.tensor(scenes.images[i // 3, 0])
        places = scene.unfold(0, 30, 1).unfold(1, 30, 1)
        (y, x) = (places == window[0]).all(3).all(2).nonzero()[0].tolist()
        if label >= 0:
            assert label == scenes.labels[i // 3][0]
            there = box * 30 + torch.tensor([x, y, x, y])
            np.testing.assert_allclose(there, scenes.boxes[i // 3][0], atol=1e-4)
    again = training_windows(
        scenes.images, as_targets(scenes), window=(30, 30), sizes=(48,), per_image=3, seed=1
    )
    assert not torch.equal(again.images, seen.images)


def test_the_box_of_the_class_is_what_is_trained():
    output = torch.arange(24.0).reshape(2, 12)
    boxes = torch.stack([output[0, 8:], output[1, :4]])
    assert window_box_loss(output, (boxes, torch.tensor([2, 0]))) == 0
    assert window_box_loss(output, (boxes, torch.tensor([1, 0]))) == 8  # 16 of one box of two
    assert window_box_loss(boxes + 1, (boxes, torch.tensor([2, 0]))) == 1


@pytest.fixture(scope="module")
def trained():
    """A net that has seen a few scenes of one digit; and its histories."""
    scenes = digit_scenes(700, **ONE)
    rng = generator(0)
    net = OverFeat(overfeat_small(11, rng=rng), rng=rng)
    return net, net.fit(scenes.images, as_targets(scenes), sizes=(30, 48), per_image=2)


def test_learns_and_windows_help(trained):
    net, histories = trained
    assert histories[0].losses[-1] < histories[0].losses[0] / 2
    assert histories[1].losses[-1] < histories[1].losses[0] / 4
    scenes = digit_scenes(80, split="test", **ONE)
    truth, labels = np.concatenate(scenes.boxes), np.concatenate(scenes.labels)
    right = {}
    for sizes in ((30,), (30, 36, 48)):
        located = net.locate(scenes.images, sizes, offsets=1)
        iou = np.diag(box_iou(located.boxes.numpy(), truth))
        right[sizes] = (iou.mean(), (located.labels.numpy() == labels).mean())
    assert right[30,][0] > 0.5
    assert right[30, 36, 48][0] > right[30,][0] + 0.02
    assert right[30, 36, 48][1] > max(0.6, right[30,][1])


def test_boxes_fall_together_where_windows_do_not(trained):
    """Why boxes are not spread as the grid of windows is: each says where the digit is."""
    net, _ = trained
    scenes = digit_scenes(30, split="test", **ONE)
    dense = net.dense(scenes.images, 42)
    sees = dense.scores[:, -1] < 0.5
    spreads = []
    for boxes, seen in zip(dense.boxes, sees, strict=True):
        if seen.sum() > 5:
            centres = [
                (part[seen][:, :2] + part[seen][:, 2:]) / 2 for part in (dense.windows, boxes)
            ]
            spreads.append([c.std(0).norm() for c in centres])
    windows, boxes = np.mean(spreads, 0)
    assert len(spreads) > 15
    assert boxes < windows / 2


def test_the_mode_stays(trained):
    net, _ = trained
    for mode in (True, False):
        net.train(mode).dense(noise(1, 1, 30, 30))
        assert net.training is mode


def test_wrong_arguments():
    with pytest.raises(ValueError, match="VGG-8, small has no `pool5` that does not overlap"):
        OverFeat(vgg_small())
    model = overfeat_small(5)
    with pytest.raises(ValueError, match="gives 20 numbers, expected 4, or 4 for each of 4"):
        OverFeat(model, box_regressor(model, 5, widths=(8,)))
    net = OverFeat(model)
    with pytest.raises(ValueError, match="at this scale the images are 24 x 30, expected at least"):
        net.dense(noise(1, 1, 48, 60), 24)
    with pytest.raises(ValueError, match=r"OverFeat.dense: `x` has shape .* add the batch: x"):
        net.dense(noise(1, 30, 30))
    options = {"window": (30, 30), "sizes": (30,)}
    with pytest.raises(ValueError, match=r"there are 1 targets, expected \(N, C, H, W\) and N"):
        training_windows(noise(2, 1, 30, 30), [{}], **options)
    with pytest.raises(ValueError, match="at the scale 20 the images are 20 x 20, expected at"):
        training_windows(noise(1, 1, 30, 30), [{}], window=(30, 30), sizes=(20,))
    with pytest.raises(ValueError, match="1 images at 0 scales have no windows; give at least"):
        training_windows(noise(1, 1, 30, 30), [{}], window=(30, 30), sizes=())
