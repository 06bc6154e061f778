"""Localizers: which box is asked for, what a frozen body does not do, how errors count."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.detection import (
    box_head,
    box_iou,
    chosen_boxes,
    localization_error,
    localization_loss,
    localizer,
    objects_iou,
    objects_loss,
    paired_iou,
    regression_loss,
)
from course_lib.models import alexnet_small, plain_cifar, vgg_small
from course_lib.models.parts import Classifier
from course_lib.training import fit, predict

HEADS = [(attach, per) for attach in ("convolutions", "fully_connected") for per in (False, True)]
every_head = pytest.mark.parametrize("attach, per_class", HEADS)


def small(seed=0):
    """A classifier of 12x12 pixels with what a frozen body must not do: statistics, dropout."""
    torch.manual_seed(seed)
    features = {
        "conv1": nn.Conv2d(1, 4, 3, bias=False),
        "norm1": nn.BatchNorm2d(4),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2),
    }
    head = {
        "flatten": nn.Flatten(),
        "fc2": nn.Linear(100, 20),
        "relu2": nn.ReLU(),
        "dropout2": nn.Dropout(0.5),
        "fc3": nn.Linear(20, 3),
    }
    return Classifier("small", features, head, (1, 12, 12))


def data(rng, N=24, K=3):
    corner, side = rng.uniform(0, 0.5, (N, 2)), rng.uniform(0.2, 0.5, (N, 2))
    boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
    images = rng.uniform(0, 1, (N, 1, 12, 12)).astype(np.float32)
    return tuple(map(torch.tensor, (images, rng.integers(0, K, N), boxes)))


@every_head
def test_shapes_and_counts(attach, per_class):
    model = localizer(small(), attach=attach, per_class=per_class, hidden=8)
    scores, boxes = model(torch.rand(5, 1, 12, 12))
    outputs = 12 if per_class else 4
    assert scores.shape == (5, 3)
    assert boxes.shape == ((5, 3, 4) if per_class else (5, 4))
    values = 100 if attach == "convolutions" else 20
    assert model.read(torch.rand(5, 1, 12, 12)).shape == (5, values)
    assert model.box_parameters == (values + 1) * 8 + 9 * outputs


@every_head
def test_the_scores_stay_those_of_the_classifier(attach, per_class, rng):
    classifier = small(int(rng.integers(99))).eval()
    model = localizer(classifier, attach=attach, per_class=per_class).eval()
    x = torch.tensor(rng.normal(size=(4, 1, 12, 12)).astype(np.float32))
    torch.testing.assert_close(model(x).scores, classifier(x), rtol=0, atol=0)


def test_a_fresh_head_gives_the_middle_and_the_classifier_is_left_alone(rng):
    classifier = small()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    model = localizer(classifier, per_class=True)
    images, labels, boxes = data(rng)
    found = model.eval()(images).boxes
    assert (found - torch.tensor([0.25, 0.25, 0.75, 0.75])).abs().max() < 0.2
    fit(model, images, (labels, boxes), epochs=1, loss=localization_loss, progress=False)
    for name, value in classifier.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_head_is_the_same_for_the_same_generator():
    a, b, other = (
        box_head(9, rng=rng) for rng in (None, torch.Generator().manual_seed(0), generator(1))
    )
    torch.testing.assert_close(a.fc1.weight, b.fc1.weight, rtol=0, atol=0)
    assert not torch.equal(a.fc1.weight, other.fc1.weight)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "classifier, images",
    [
        (alexnet_small(), (2, 1, 32, 32)),
        (vgg_small(depth=5), (2, 1, 32, 32)),
        (plain_cifar(1, in_channels=1, widths=(4, 8, 8)), (2, 1, 16, 16)),
    ],
    ids=["alexnet", "vgg", "plain"],
)
@pytest.mark.parametrize("attach", ["convolutions", "fully_connected"])
def test_goes_onto_the_networks_of_the_course(classifier, images, attach):
    model = localizer(classifier, attach=attach, input_shape=images[1:])
    x = torch.rand(images)
    torch.testing.assert_close(model.eval()(x).scores, classifier.eval()(x), rtol=0, atol=0)
    assert model(x).boxes.shape == (2, 4)


@every_head
@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_body_stays_as_it_is(attach, per_class, training, rng):
    """Weights, the statistics of batch normalization, and its mode; the box head does learn."""
    images, labels, boxes = data(rng)
    model = localizer(small(), attach=attach, per_class=per_class).train(training).freeze_body()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, images, (labels, boxes), epochs=2, loss=localization_loss, progress=False)
    for name, value in model.state_dict().items():
        same = torch.equal(value, before[name])
        assert same != name.startswith("box_head"), name
    assert model.training == model.box_head.training == training
    assert not any(m.training for p in (model.body, model.classifier) for m in p.modules())


def test_a_body_thawed_again_learns(rng):
    images, labels, boxes = data(rng)
    model = localizer(small()).freeze_body().freeze_body(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, images, (labels, boxes), epochs=1, loss=localization_loss, progress=False)
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed == before.keys()


@every_head
def test_training_on_cached_features_is_training_on_a_frozen_body(attach, per_class, rng):
    images, labels, boxes = data(rng)
    slow, fast = (
        localizer(small(), attach=attach, per_class=per_class).freeze_body() for _ in range(2)
    )
    how = {"epochs": 3, "batch_size": 8, "progress": False}
    fit(slow, images, (labels, boxes), loss=localization_loss, **how)
    cached = fast.features(images, batch_size=7)
    assert not cached.requires_grad
    fit(fast.box_head, cached, (labels, boxes), loss=regression_loss, **how)
    for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_loss_asks_for_the_box_of_the_true_class(rng):
    boxes = torch.tensor(rng.normal(size=(5, 3, 4)), requires_grad=True)
    labels, truth = torch.tensor([0, 2, 1, 1, 2]), torch.tensor(rng.normal(size=(5, 4)))
    loss = regression_loss(boxes, (labels, truth))
    expected = sum(((boxes[i, k] - truth[i]) ** 2).sum() for i, k in enumerate(labels)) / 5
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, boxes)
    asked = gradient.abs().sum(2) > 0
    assert asked.tolist() == [[k == t for k in range(3)] for t in labels]


def test_the_loss_by_hand():
    scores, labels = torch.zeros(2, 3), torch.tensor([0, 1])
    boxes = torch.tensor([[0.0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]])
    truth = torch.tensor([[0.0, 0, 1, 0.5], [0.1, 0.2, 0.3, 0.38]])
    l2 = (0.25 + 0.0004) / 2
    smooth = (0.5 - 0.1 / 2 + 0.0004 / 0.2) / 2
    torch.testing.assert_close(regression_loss(boxes, (labels, truth)).item(), l2)
    loss = localization_loss((scores, boxes), (labels, truth), weight=10)
    torch.testing.assert_close(loss.item(), np.log(3) + 10 * l2)
    loss = localization_loss((scores, boxes), (labels, truth), box_loss="smooth_l1", beta=0.1)
    torch.testing.assert_close(loss.item(), np.log(3) + smooth)


def test_at_test_time_the_box_is_that_of_the_predicted_class():
    model = localizer(small(), per_class=True)
    with torch.no_grad():
        model.box_head.fc2.weight.zero_()
        boxes = torch.tensor([[0.1, 0.2, 0.5, 0.6], [-1, 0, 2, 0.5], [0.5, 0.5, 0.1, 0.1]])
        model.box_head.fc2.bias.copy_(boxes.flatten())
        model.classifier.fc3.weight.zero_()
        model.classifier.fc3.bias.copy_(torch.tensor([1.0, 0, 0]))
    found = model.locate(np.zeros((2, 1, 12, 12), np.float32))
    assert found.labels.tolist() == [0, 0]
    torch.testing.assert_close(found.boxes[0], 12 * boxes[0])
    torch.testing.assert_close(found.probabilities[0].item(), np.e / (np.e + 2))
    for favourite, expected in ((1, [0, 0, 12, 6]), (2, [6, 6, 6, 6])):  # cut, and inside out
        with torch.no_grad():
            model.classifier.fc3.bias.copy_(torch.eye(3)[favourite])
        found = model.locate(np.zeros((1, 1, 12, 12), np.float32))
        assert found.boxes.tolist() == [expected]


def test_chosen_boxes_by_hand():
    boxes = torch.arange(24.0).reshape(2, 3, 4)
    assert chosen_boxes(boxes, torch.tensor([2, 0])).tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]
    assert chosen_boxes(boxes[:, 0], torch.tensor([2, 0])) is not None
    assert chosen_boxes(boxes[:0], torch.tensor([], dtype=torch.int64)).shape == (0, 4)


GOOD, HALF, BAD = [0.0, 0, 4, 4], [0.0, 0, 4, 2], [5.0, 5, 6, 6]


def guess(*ranked, K=6):
    """Scores that rank these classes first, in this order."""
    scores = -torch.arange(K, dtype=torch.float32) - 10
    for rank, k in enumerate(ranked):
        scores[k] = -rank
    return scores[None]


def per_class(**boxes):
    """A box for each of six classes: those named, and bad ones."""
    return torch.tensor([[boxes.get(f"k{k}", BAD) for k in range(6)]])


TRUTH = torch.tensor([GOOD])
RULE = {  # scores, boxes, guesses; error for an object of class 1 at GOOD
    "right at once": (guess(1), per_class(k1=GOOD), 1, 0),
    "right class, wrong place": (guess(1), per_class(k1=BAD), 1, 1),
    "right place, wrong class": (guess(0), per_class(k0=GOOD), 1, 1),
    "class from one guess, box from another": (guess(1, 0), per_class(k0=GOOD), 5, 1),
    "the fifth guess": (guess(0, 2, 3, 4, 1), per_class(k1=GOOD), 5, 0),
    "the sixth guess is one too many": (guess(0, 2, 3, 4, 5, 1), per_class(k1=GOOD), 5, 1),
    "all of six": (guess(0, 2, 3, 4, 5, 1), per_class(k1=GOOD), 6, 0),
    "exactly half is enough": (guess(1), per_class(k1=HALF), 1, 0),
    "inside out": (guess(1), per_class(k1=[4.0, 4, 0, 0]), 1, 1),
    "one box for all guesses": (guess(0, 1), torch.tensor([GOOD]), 5, 0),
    "one box, wrong": (guess(0, 1), torch.tensor([BAD]), 5, 1),
}


@pytest.mark.parametrize("scores, boxes, guesses, error", RULE.values(), ids=RULE)
def test_the_rule_of_imagenet(scores, boxes, guesses, error):
    got = localization_error(scores, boxes, np.array([1]), TRUTH, guesses=guesses)
    assert got == error


def test_any_object_of_the_class_will_do():
    """The truth as arrays that must not be written, such as a broadcast gives."""
    scores, boxes = guess(1), torch.tensor([GOOD])
    truth = [np.array([BAD, GOOD])]
    truth[0].setflags(write=False)
    assert localization_error(scores, boxes, torch.tensor([1]), truth, guesses=1) == 0
    assert localization_error(scores, boxes, torch.tensor([1]), [np.array([BAD])], guesses=1) == 1


@pytest.mark.parametrize("guesses, iou_threshold", [(1, 0.5), (3, 0.3), (5, 0.5)])
def test_the_rule_against_loops(rng, guesses, iou_threshold):
    """As the rule is written: over the guesses, the minimum of the maximum of two mistakes."""
    N, K = 60, 6
    scores = torch.tensor(rng.normal(size=(N, K)))
    labels = rng.integers(0, K, N)
    corner = rng.uniform(0, 0.5, (N, 2))
    truth = np.concatenate([corner, corner + 1], 1)
    boxes = truth[:, None] + rng.normal(0, 0.2, (N, K, 4))
    wrong = 0
    for n in range(N):
        mistakes = []
        for k in np.argsort(-scores[n].numpy())[:guesses]:
            overlap = box_iou(boxes[n, k][None], truth[n][None])[0, 0]
            mistakes.append(max(k != labels[n], overlap < iou_threshold))
        wrong += min(mistakes)
    got = localization_error(
        scores,
        torch.tensor(boxes),
        labels,
        torch.tensor(truth),
        guesses=guesses,
        iou_threshold=iou_threshold,
    )
    assert got == pytest.approx(wrong / N)
    assert 0.05 < got < 0.95


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_paired_overlaps(rng, kind):
    corner = rng.uniform(0, 9, (20, 2))
    truth = np.concatenate([corner, corner + rng.uniform(1, 9, (20, 2))], 1)
    boxes = truth + rng.uniform(-0.4, 0.4, (20, 4))
    expected = np.diag(box_iou(boxes, truth))
    np.testing.assert_allclose(paired_iou(kind(boxes), kind(truth)), expected, rtol=1e-12)
    inside_out = kind(boxes[:, [2, 3, 0, 1]])
    assert not paired_iou(inside_out, kind(truth)).any()
    one_axis = kind(boxes[:, [2, 1, 0, 3]])
    assert not paired_iou(one_axis, kind(truth)).any()


LEFT, RIGHT = [0.0, 0, 1, 1], [2.0, 0, 3, 1]


def test_the_order_of_objects_by_hand():
    boxes, truth = torch.tensor([[LEFT, RIGHT]]), torch.tensor([[RIGHT, LEFT]])
    assert objects_loss(boxes, truth).item() == pytest.approx(2 * 4)
    assert objects_loss(boxes, truth, order="sorted").item() == 0
    assert objects_loss(boxes, truth, order="best").item() == 0
    swapped = torch.tensor([[RIGHT, LEFT]])  # sorted asks for the left one first, best does not
    assert objects_loss(swapped, truth, order="sorted").item() == pytest.approx(8)
    assert objects_loss(swapped, truth, order="best").item() == 0
    assert objects_iou(boxes, truth).tolist() == [1]


def test_one_box_given_both_ways_round_is_best_at_the_mean():
    truth = torch.tensor([[LEFT, RIGHT], [RIGHT, LEFT]])
    boxes = torch.zeros(1, 2, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(objects_loss(boxes.expand(2, 2, 4), truth), boxes)
    mean = -gradient * 2 / 2  # of a sum of squares, half the gradient at 0 is minus the mean
    torch.testing.assert_close(mean[0, 0], torch.tensor([1.0, 0, 2, 1]))


@pytest.mark.parametrize("box_loss", ["l2", "smooth_l1"])
@pytest.mark.parametrize("M", [1, 2, 4])
def test_the_best_order_is_the_least_of_all(rng, box_loss, M):
    boxes, truth = (torch.tensor(rng.normal(size=(7, M, 4))) for _ in range(2))
    labels = torch.zeros(M, dtype=torch.int64)
    expected = [
        min(
            regression_loss(b, (labels, t[list(p)]), box_loss=box_loss)
            for p in permutations(range(M))
        )
        for b, t in zip(boxes, truth, strict=True)
    ]
    got = objects_loss(boxes, truth, order="best", box_loss=box_loss)
    torch.testing.assert_close(got, torch.stack(expected).mean())
    shuffled = truth[:, torch.tensor(rng.permutation(M))]
    again = objects_loss(boxes, shuffled, order="best", box_loss=box_loss)
    torch.testing.assert_close(again, got)
    torch.testing.assert_close(
        objects_loss(boxes, shuffled, order="sorted"), objects_loss(boxes, truth, order="sorted")
    )


def test_predict_takes_it(rng):
    images, _, _ = data(rng)
    scores, boxes = predict(localizer(small(), per_class=True), images, batch_size=7)
    assert scores.shape == (24, 3)
    assert boxes.shape == (24, 3, 4)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="localizer: `attach` is 'pool', expected 'convolutions'"):
        localizer(small(), attach="pool")
    with pytest.raises(TypeError, match="localizer: Sequential does not say for which images"):
        localizer(nn.Sequential(nn.Linear(3, 2)))
    with pytest.raises(TypeError, match="Sequential has the parts 0, expected `features` and"):
        localizer(nn.Sequential(nn.Linear(3, 2)), input_shape=(1, 2, 2))
    with pytest.raises(ValueError, match="box_head: `hidden` is 0, expected 1 or more"):
        localizer(small(), hidden=0)
    with pytest.raises(ValueError, match=r"`images` has shape .*, expected \(N, 1, 12, 12\)"):
        localizer(small())(torch.rand(2, 1, 14, 12))
    with pytest.raises(ValueError, match=r"localizer: `images` has shape \(1, 12, 12\)"):
        localizer(small())(torch.rand(1, 12, 12))
    with pytest.raises(TypeError, match="localizer: `images` holds int64"):
        localizer(small())(torch.zeros(1, 1, 12, 12, dtype=torch.int64))


def test_losses_say_what_is_wrong():
    boxes, truth, labels = torch.rand(2, 3, 4), torch.rand(2, 4), torch.tensor([0, 3])
    with pytest.raises(ValueError, match="chosen_boxes: `labels` go from 0 to 3, expected"):
        regression_loss(boxes, (labels, truth))
    with pytest.raises(ValueError, match=r"regression_loss: `truth` has shape \(1, 4\)"):
        regression_loss(boxes, (labels, truth[:1]))
    with pytest.raises(ValueError, match="regression_loss: `box_loss` is 'l1', expected 'l2' or"):
        regression_loss(boxes[:, 0], (labels, truth), box_loss="l1")
    with pytest.raises(ValueError, match="objects_loss: `order` is 'any', expected 'given'"):
        objects_loss(boxes, boxes, order="any")
    with pytest.raises(ValueError, match=r"objects_loss: 7 objects an image, expected 1 \.\. 6"):
        objects_loss(torch.rand(1, 7, 4), torch.rand(1, 7, 4), order="best")
    with pytest.raises(ValueError, match="objects_loss: `box_loss` is 'l1', expected"):
        objects_loss(boxes, boxes, box_loss="l1")
    with pytest.raises(ValueError, match=r"objects_iou: `truth` has shape .* M = 3 as in `boxes`"):
        objects_iou(boxes, boxes[:, :2])


def test_the_error_says_what_is_wrong():
    scores, truth = torch.rand(2, 6), torch.rand(2, 4)
    with pytest.raises(ValueError, match=r"localization_error: `guesses` is 7, expected 1 \.\. 6"):
        localization_error(scores, truth, np.array([0, 1]), truth, guesses=7)
    with pytest.raises(ValueError, match="localization_error: `truth` has 1 rows, expected 2"):
        localization_error(scores, truth, np.array([0, 1]), truth[:1])
    with pytest.raises(ValueError, match=r"`boxes` has shape \(2, 5, 4\), expected \(N, K, 4\)"):
        localization_error(scores, torch.rand(2, 5, 4), np.array([0, 1]), truth)
    with pytest.raises(ValueError, match="localization_error: `labels` is empty"):
        localization_error(scores[:0], truth[:0], np.zeros(0, int), truth[:0])
