"""Average precision: by hand, beside pycocotools and a slow copy of VOC's rules, and on edges."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from benchmarks.metrics import coco_judge, random_scenes
from course_lib.detection import (
    PROTOCOLS,
    average_precision,
    box_iou,
    evaluate_detections,
    precision_recall,
)

NOTHING = {"boxes": [], "labels": [], "scores": []}


def image(*boxes, labels=None, scores=None):
    """One image's boxes, of class 1 unless said; predictions have scores."""
    whole = {"boxes": np.array(boxes, float), "labels": np.array(labels or [1] * len(boxes))}
    return whole if scores is None else whole | {"scores": np.array(scores, float)}


def row_of(count):
    """Boxes of 10 by 10 pixels, side by side."""
    return [[20 * i, 0, 20 * i + 10, 10] for i in range(count)]


# By hand


def test_a_curve_by_hand():
    hits = [True, False, True, True, False]
    curve = precision_recall([0.9, 0.8, 0.7, 0.6, 0.5], hits, num_objects=4)
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5])
    np.testing.assert_allclose(curve.recall, [1 / 4, 1 / 4, 1 / 2, 3 / 4, 3 / 4])


@pytest.mark.parametrize(
    "protocol, expected",
    [
        ("area", (1 + 3 / 4 + 3 / 4) / 4),
        # recall 0, .1, .2 -> 1; .3 to .7 -> 3/4; .8, .9, 1 -> 0
        ("voc07", (3 * 1 + 5 * 3 / 4) / 11),
        # recall 0 to .25 -> 1; .26 to .75 -> 3/4; above 0
        ("coco", (26 * 1 + 50 * 3 / 4) / 101),
    ],
)
def test_average_precision_by_hand(protocol, expected):
    curve = precision_recall([5, 4, 3, 2, 1], [True, False, True, True, False], num_objects=4)
    assert average_precision(curve.precision, curve.recall, protocol) == pytest.approx(expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_false_alarm_first_needs_the_envelope(protocol):
    found = [image([100, 100, 110, 110], [0, 0, 10, 10], scores=[0.9, 0.8])]
    score = evaluate_detections(found, [image([0, 0, 10, 10])], protocol=protocol)
    assert score.mean == pytest.approx(1 / 2)  # without it "coco" would have 0 at recall 0


def test_recall_of_exactly_three_tenths_counts():
    curve = precision_recall([3, 2, 1], [True, True, True], num_objects=10)
    assert average_precision(curve.precision, curve.recall, "voc07") == pytest.approx(4 / 11)


# The rules


def test_a_second_box_on_an_object_is_a_false_alarm():
    found = [image([0, 0, 10, 10], [0, 0, 10, 10], scores=[0.9, 0.8])]
    true = [image([0, 0, 10, 10], [50, 50, 60, 60])]
    curve = evaluate_detections(found, true).curves[1]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2])


def test_only_coco_lets_the_second_box_take_the_next_object():
    true = [image([0, 0, 10, 10], [0, 4, 10, 14])]
    found = [image([0, 0, 10, 10], [0, 1, 10, 11], scores=[0.9, 0.8])]
    kept = {p: evaluate_detections(found, true, 0.5, p).curves[1].recall[-1] for p in PROTOCOLS}
    assert kept == {"voc07": 1 / 2, "area": 1 / 2, "coco": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_threshold_itself_is_enough(protocol):
    found, true = [image([0, 0, 10, 5], scores=[1])], [image([0, 0, 10, 10])]
    assert evaluate_detections(found, true, 0.5, protocol).mean == pytest.approx(1)
    assert evaluate_detections(found, true, 0.5 + 1e-9, protocol).mean == 0


def test_whom_a_difficult_object_spares():
    true = [image([0, 0, 10, 10], [20, 0, 30, 10]) | {"ignore": [False, True]}]
    found = [image([20, 0, 30, 10], [0, 0, 10, 10], scores=[0.9, 0.8])]
    for protocol in PROTOCOLS:
        score = evaluate_detections(found, true, protocol=protocol)
        assert score.mean == pytest.approx(1)
        assert len(score.curves[1].scores) == 1
    only = [image([20, 0, 30, 10], labels=[7]) | {"ignore": [True]}]
    assert math.isnan(evaluate_detections(found, only).mean)


def test_the_order_is_over_all_images():
    found = [image([0, 0, 9, 9], scores=[0.2]), image([50, 0, 60, 10], scores=[0.7])]
    true = [image([0, 0, 9, 9]), image([0, 0, 10, 10])]
    np.testing.assert_allclose(evaluate_detections(found, true).curves[1].scores, [0.7, 0.2])
    assert evaluate_detections(found, true).mean == pytest.approx(1 / 4)


def test_classes_do_not_compete_and_count_alike():
    found = [image(*row_of(3), labels=[1, 2, 5], scores=[0.9, 0.8, 0.7])]
    true = [image(*row_of(2), [500, 0, 510, 10], labels=[1, 2, 2])]
    score = evaluate_detections(found, true)
    assert score.by_class == {1: 1.0, 2: 0.5}  # class 5 has no object, and no part in the mean
    assert score.mean == 0.75


# Beside others


def by_pycocotools(predictions, targets):
    """Average precision of each class that has objects, after the code of COCO's authors."""
    judge = coco_judge(predictions, targets)
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes
    labels = judge.params.catIds
    return {label: p.mean() for label, p in zip(labels, precision.T, strict=True) if p.min() > -1}


@pytest.mark.parametrize("crowds", [False, True], ids=["plain", "crowds"])
@pytest.mark.parametrize("seed", range(20))
def test_coco_equals_pycocotools(seed, crowds):
    predictions, targets = random_scenes(np.random.default_rng(seed), 12, 3, crowds)
    expected = by_pycocotools(predictions, targets)
    score = evaluate_detections(predictions, targets, protocol="coco")
    assert score.by_class.keys() == expected.keys()
    for label, value in expected.items():
        assert score.by_class[label] == pytest.approx(value, abs=1e-12)
    assert 0.05 < score.mean < 0.95


def test_coco_keeps_a_hundred_as_pycocotools_does(rng):
    boxes = np.repeat([[0.0, 0, 10, 10]], 120, 0)
    found = {"boxes": boxes, "labels": np.ones(120, int), "scores": np.arange(120.0)[::-1]}
    found["boxes"][:110] += 50
    true = [image([0, 0, 10, 10]) | {"ignore": [False]}]
    assert by_pycocotools([found], true) == {1: 0}
    assert evaluate_detections([found], true, protocol="coco").mean == 0
    assert evaluate_detections([found], true, protocol="area").mean > 0


def test_of_two_objects_as_near_coco_takes_the_last():
    found = [image([0, 1, 10, 11], [0, 2, 10, 12], scores=[0.9, 0.8])]
    true = [image([0, 0, 10, 10], [0, 2, 10, 12]) | {"ignore": [False, False]}]
    expected = by_pycocotools(found, true)[1]
    assert evaluate_detections(found, true, protocol="coco").mean == pytest.approx(expected)


def slowly(predictions, targets, label, threshold):
    """Hits and sparing after VOC's rules, a detection at a time, best first."""
    found = [
        (score, index, box)
        for index, p in enumerate(predictions)
        for box, guess, score in zip(p["boxes"], p["labels"], p["scores"], strict=True)
        if guess == label
    ]
    taken, hits, scores = set(), [], []
    for score, index, box in sorted(found, key=lambda d: -d[0]):
        true = targets[index]
        mine = [g for g, k in enumerate(true["labels"]) if k == label]
        overlaps = [box_iou(box[None], true["boxes"][[g]])[0, 0] for g in mine]
        best = int(np.argmax(overlaps)) if mine else None
        near = best is not None and overlaps[best] >= threshold
        if near and true["ignore"][mine[best]]:
            continue
        hits.append(bool(near and (index, best) not in taken))
        scores.append(score)
        taken |= {(index, best)} if near else set()
    return scores, hits


@pytest.mark.parametrize("seed", range(10))
def test_voc_equals_the_slow_rules(seed):
    predictions, targets = random_scenes(np.random.default_rng(seed), 12, 3)
    score = evaluate_detections(predictions, targets, 0.5)
    for label, curve in score.curves.items():
        count = sum(((t["labels"] == label) & ~t["ignore"]).sum() for t in targets)
        scores, hits = slowly(predictions, targets, label, 0.5)
        np.testing.assert_array_equal(curve.scores, scores)
        np.testing.assert_allclose(curve.recall, np.cumsum(hits) / count)


# Edges and bad input


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_found_and_nothing_there(protocol):
    true = [image([0, 0, 10, 10])]
    assert evaluate_detections([NOTHING], true, protocol=protocol).mean == 0
    labels = evaluate_detections([NOTHING] * 2, [*true, NOTHING], protocol=protocol).by_class
    assert [type(label) for label in labels] == [int]
    empty = {"boxes": np.zeros((0, 4)), "labels": []}
    found = [image([0, 0, 10, 10], scores=[0.9])]
    assert math.isnan(evaluate_detections(found, [empty], protocol=protocol).mean)
    assert math.isnan(evaluate_detections([], [], protocol=protocol).mean)


def test_tensors_are_taken_too():
    found, true = image([0, 0, 9, 9], scores=[0.5]), image([0, 0, 9, 9])
    as_tensors = [{k: torch.tensor(v).requires_grad_(k == "boxes") for k, v in found.items()}]
    assert evaluate_detections(as_tensors, [true]).mean == 1


def bad(**changes):
    return [image([0, 0, 9, 9], scores=[0.5]) | changes]


@pytest.mark.parametrize(
    "found, how, message",
    [
        ([], {}, r"0 predictions and 1 targets"),
        (bad(), {"protocol": "voc"}, r"`protocol` is 'voc', expected one of \['voc07', 'area'"),
        (bad(), {"iou_threshold": 0}, r"`iou_threshold` is 0, expected .* larger than 0"),
        (bad(), {"iou_threshold": [0.5, 1.1]}, r"`iou_threshold` is \[0.5, 1.1\]"),
        (bad(scores=[np.nan]), {}, r"image 0: score 0 of `scores` is NaN"),
        (bad(boxes=[[9, 0, 0, 9]]), {}, r"image 0: box 0 of `boxes` is \[9"),
        (bad(labels=[1, 2]), {}, r"image 0: `labels` has shape \(2,\)"),
        ([{"boxes": [], "labels": []}], {}, r"image 0: 'scores' is missing in its predictions"),
    ],
)
def test_bad_input_is_named(found, how, message):
    with pytest.raises(ValueError, match=message):
        evaluate_detections(found, [image([0, 0, 9, 9])], **how)


def test_bad_curves_are_named():
    with pytest.raises(ValueError, match="2 hits among 1 objects"):
        precision_recall([1, 2], [True, True], 1)
    with pytest.raises(ValueError, match="0 hits among 0 objects"):
        precision_recall([], [], 0)
    with pytest.raises(ValueError, match="`recall` falls; sort the detections"):
        average_precision([1, 1], [0.5, 0.2])
