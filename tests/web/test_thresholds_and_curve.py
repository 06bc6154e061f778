"""Thresholds moved over scenes, by every control, against the library's suppression and AP."""

import json

import numpy as np
import pytest

from course_lib import web
from course_lib.detection import average_precision, evaluate_detections, nms
from course_lib.web.overlap import overlaps
from course_lib.web.thresholds import judged

H, W = 60, 80
MINUS = "\N{MINUS SIGN}"


def scenes(seed=0, count=6, classes=3, ties=False):
    """Objects, and for each several boxes about it, with some of another class, and some astray.

    Coordinates and scores are those that the page keeps: hundredths, and millionths.
    """
    rng = np.random.default_rng(seed)
    predictions, targets = [], []
    for n in range(count):
        objects = 0 if n == 2 else int(rng.integers(1, 5))
        corner = rng.uniform(0, 40, (objects, 2))
        truth = np.concatenate([corner, corner + rng.uniform(10, 20, (objects, 2))], 1).round(2)
        labels = rng.integers(0, classes, objects)
        about = np.repeat(np.arange(objects), 5)
        near = truth[about] + rng.normal(0, 2, (len(about), 4))
        corner = rng.uniform(0, 40, (4, 2))
        astray = np.concatenate([corner, corner + rng.uniform(8, 30, (4, 2))], 1)
        boxes = np.concatenate([near, astray]).round(2)
        called = np.concatenate([labels[about], rng.integers(0, classes, 4)])
        called = np.where(rng.random(len(called)) < 0.15, rng.integers(0, classes), called)
        scores = rng.random(len(boxes)).round(1 if ties else 6)
        if n == 4:
            boxes, called, scores = boxes[:0], called[:0], scores[:0]
        predictions.append({"boxes": boxes, "labels": called, "scores": scores})
        targets.append({"boxes": truth, "labels": labels})
    return predictions, targets


PREDICTIONS, TARGETS = scenes()
IMAGES = np.random.default_rng(0).random((3, H, W))
NAMES = ["zero", "one", "two"]


def figure(**options):
    options = {"names": NAMES} | options
    return web.thresholds_and_curve(IMAGES, PREDICTIONS, TARGETS, **options)


def suppressed(prediction, threshold):
    """What the library's suppression leaves of one scene, class by class."""
    kept = [np.arange(0)]
    for label in np.unique(prediction["labels"]):
        (mine,) = np.nonzero(prediction["labels"] == label)
        kept.append(mine[nms(prediction["boxes"][mine], prediction["scores"][mine], threshold)])
    kept = np.concatenate(kept)
    return {name: array[kept] for name, array in prediction.items()}


def apart(many):
    """Scenes of one class each: a scene for every class of every scene, all called 0."""
    out = []
    for one in many:
        for label in range(len(NAMES)):
            mine = one["labels"] == label
            out.append({name: array[mine] for name, array in one.items()} | {"labels": [0] * mine})
            out[-1]["labels"] = np.zeros(mine.sum(), int)
    return out


def reference(predictions, targets, threshold, iou):
    """The library's score over classes, and its curve over the boxes of all classes."""
    left = [suppressed(one, threshold) for one in predictions]
    both = {
        protocol: evaluate_detections(left, targets, iou, protocol)
        for protocol in ("area", "voc07")
    }
    pooled = evaluate_detections(apart(left), apart(targets), iou)
    return both, pooled.curves[0]


IN_THE_PAGE = """([found, objects, nms, enough, only]) => {
  const { averagePrecision, curve, grouped, judged } = courseFigures.detections;
  const groups = grouped(found, objects)
    .filter(({ label }) => only === null || label === only);
  const mine = objects.filter(({ label }) => only === null || label === only);
  const points = curve(groups.flatMap((group) => judged(group, nms, enough)), mine.length);
  return { points: points.map(({ precision, recall, score }) => [precision, recall, score]),
    ...averagePrecision(points) };
}"""


def rows(many):
    """Of all scenes the boxes as the page has them."""
    return [
        {"image": n, "label": int(label), "box": box.tolist()}
        | ({"score": float(one["scores"][k])} if "scores" in one else {})
        for n, one in enumerate(many)
        for k, (label, box) in enumerate(zip(one["labels"], one["boxes"], strict=True))
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_the_arithmetic_is_the_librarys(show, rng, ties):
    page = show(figure())
    for _ in range(4):
        predictions, targets = scenes(int(rng.integers(1000)), 8, ties=ties)
        for threshold in (0, 0.3, 0.7, 1):
            iou = float(rng.choice([0.5, 0.75]))
            both, curve = reference(predictions, targets, threshold, iou)
            given = [rows(predictions), rows(targets), threshold, iou]
            for label, expected in both["area"].curves.items():
                got = page.evaluate(IN_THE_PAGE, [*given, label])
                points = np.reshape(got["points"], (-1, 3)).T
                np.testing.assert_allclose(points, expected, rtol=0, atol=1e-12)
                for name, protocol in (("area", "area"), ("eleven", "voc07")):
                    value = both[protocol].by_class[label]
                    assert got[name] == pytest.approx(value, abs=1e-12)
            got = page.evaluate(IN_THE_PAGE, [*given, None])
            np.testing.assert_allclose(
                np.reshape(got["points"], (-1, 3)).T, curve, rtol=0, atol=1e-12
            )
            for name, protocol in (("area", "area"), ("eleven", "voc07")):
                value = average_precision(curve.precision, curve.recall, protocol)
                assert got[name] == pytest.approx(value, abs=1e-12)


def test_a_case_by_hand(show):
    """Two objects; a hit, its double, an alarm, and the other object found at half its size."""
    truth = [{"boxes": [[0, 0, 10, 10], [20, 0, 40, 10]], "labels": [0, 0]}]
    boxes = [[0, 0, 10, 10], [0, 0, 10, 8], [50, 0, 60, 10], [20, 0, 30, 10]]
    found = [{"boxes": boxes, "scores": [0.9, 0.8, 0.7, 0.6]}]
    page = show(web.thresholds_and_curve([np.zeros((H, W))], found, truth, nms_threshold=1.0))
    assert counts(page)[0] == {"hits": 1, "doubles": 1, "false alarms": 1} | {
        "missed objects": 1,
        "dropped by NMS": 0,
    } | {"hits": 2, "missed objects": 0}  # all scores are above .5
    told = page.locator(".told").inner_text()
    assert told == "At scores of 0.50 and more: precision 2/4 = 0.50, recall 2/2 = 1.00."
    assert averages(page)["of the whole curve"] == ["0.750", "0.773"]  # (1 + 1/2) / 2; 8.5 / 11
    page.get_by_label("score threshold").fill("65")
    assert averages(page)["up to the threshold"] == ["0.500", "0.545"]  # 6 / 11
    page.get_by_label("NMS threshold").fill("10")
    assert counts(page)[0]["dropped by NMS"] == 1
    assert counts(page)[0]["doubles"] == 0
    assert page.get_by_label("class").count() == 0  # there is but one


def counts(page):
    """The columns of the table of boxes: this scene, all."""
    found = page.locator(".counts tr:has(td + td)").all()
    names = [row.locator("th").inner_text() for row in found]
    columns = [[int(row.locator("td").nth(k).inner_text()) for row in found] for k in (0, 1)]
    return [dict(zip(names, column, strict=True)) for column in columns]


def averages(page):
    found = page.locator(".averages tr:has(td + td)").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in found}


def expected_counts(image, threshold, score, iou, label=None):
    """What the boxes are, by the library's suppression and a plain loop."""
    kinds = dict.fromkeys(["hits", "doubles", "false alarms", "missed objects"], 0)
    dropped = 0
    some = range(len(TARGETS)) if image is None else [image]
    for n in some:
        left = suppressed(PREDICTIONS[n], threshold)
        mine = PREDICTIONS[n]["scores"] >= score
        mine &= True if label is None else PREDICTIONS[n]["labels"] == label
        order = np.argsort(-left["scores"], kind="stable")
        taken = set()
        shown = 0
        for k in order:
            if left["scores"][k] < score or label not in (None, left["labels"][k]):
                continue
            shown += 1
            same = np.flatnonzero(TARGETS[n]["labels"] == left["labels"][k])
            iou_of = overlaps(left["boxes"][k][None], TARGETS[n]["boxes"][same])[0]
            if len(same) and iou_of.max() >= iou:
                nearest = same[iou_of.argmax()]
                kinds["doubles" if nearest in taken else "hits"] += 1
                taken.add(nearest)
            else:
                kinds["false alarms"] += 1
        dropped += mine.sum() - shown
        objects = TARGETS[n]["labels"]
        kinds["missed objects"] += (objects == label if label is not None else objects >= 0).sum()
    kinds["missed objects"] -= kinds["hits"]
    return kinds | {"dropped by NMS": dropped}


def agrees(page, image=0, nms_stop=10, score_stop=50, iou=0.5, label=None):
    threshold, score = nms_stop / 20, score_stop / 100
    got = counts(page)
    assert got[0] == expected_counts(image, threshold, score, iou, label)
    assert got[1] == expected_counts(None, threshold, score, iou, label)
    drawn = {
        "hits": page.locator(".scene .box.hit").count(),
        "doubles": page.locator(".scene .box.double").count(),
        "false alarms": page.locator(".scene .box.alarm").count(),
        "missed objects": page.locator(".scene .box.missed").count(),
    }
    assert drawn == {name: got[0][name] for name in drawn}
    both, curve = reference(PREDICTIONS, TARGETS, threshold, iou)
    if label is not None:
        curve = both["area"].curves[label]
    values = averages(page)
    for k, protocol in enumerate(("area", "voc07")):
        whole = average_precision(curve.precision, curve.recall, protocol)
        assert float(values["of the whole curve"][k]) == pytest.approx(whole, abs=6e-4)
        over = curve.scores >= score
        cut = average_precision(curve.precision[over], curve.recall[over], protocol)
        assert float(values["up to the threshold"][k]) == pytest.approx(cut, abs=6e-4)
        mean = both[protocol].mean
        assert float(values["mean of the classes"][k]) == pytest.approx(mean, abs=6e-4)
    here = page.locator("path.here").get_attribute("d")
    if not over.any():
        assert not here
        return
    x, y = (float(n) for n in here[1:-2].split())
    last = np.flatnonzero(over)[-1]
    assert x / 1000 * 1.02 == pytest.approx(curve.recall[last], abs=1e-4)
    assert (1 - y / 1000) * 1.04 == pytest.approx(curve.precision[last], abs=1e-4)
    told = page.locator(".told").inner_text()
    assert told.startswith(f"At scores of {score:.2f} and more: precision {got[1]['hits']}/")
    assert told.endswith(f" = {curve.recall[last]:.2f}.")


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_every_control(show, theme, width):
    page = show(figure(), theme=theme, width=width)
    agrees(page)
    page.get_by_label("NMS threshold").fill("20")
    agrees(page, nms_stop=20)
    page.get_by_label("score threshold").fill("20")
    agrees(page, nms_stop=20, score_stop=20)
    page.get_by_label("scene 2").check()
    agrees(page, 1, 20, 20)
    page.get_by_label("0.75").check()
    agrees(page, 1, 20, 20, 0.75)
    page.get_by_label("class").select_option("one")
    agrees(page, 1, 20, 20, 0.75, 1)
    page.get_by_label("class").select_option("every class")
    page.get_by_label("scene 3").check()  # without objects
    agrees(page, 2, 20, 20, 0.75)
    page.get_by_role("button", name="NMS 0.3").click()
    agrees(page, 2, 6, 20, 0.75)
    assert page.get_by_label("NMS threshold").input_value() == "6"
    page.get_by_label("NMS threshold").press("ArrowRight")
    agrees(page, 2, 7, 20, 0.75)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_reaches_the_threshold(show):
    page = show(figure())
    page.get_by_label("score threshold").fill("100")
    assert page.locator(".told").inner_text() == (
        "At scores of 1.00 and more there is no box: recall 0, and no precision."
    )
    assert page.locator("path.here").get_attribute("d") == ""
    assert averages(page)["up to the threshold"] == ["0.000", "0.000"]


def test_what_suppression_drops_can_be_shown(show):
    page = show(figure())
    assert page.locator(".box.dropped .halo").count() == 0
    page.get_by_label("show what NMS drops").check()
    dropped = page.locator(".scene .box.dropped")
    assert dropped.count() == counts(page)[0]["dropped by NMS"] > 0


def test_a_press_on_the_curve_takes_its_score(show):
    page = show(figure())
    _, curve = reference(PREDICTIONS, TARGETS, 0.5, 0.5)
    frame = page.locator(".frame").bounding_box()
    point = len(curve.scores) // 2
    page.mouse.click(
        frame["x"] + frame["width"] * curve.recall[point] / 1.02,
        frame["y"] + frame["height"] * (1 - curve.precision[point] / 1.04),
    )
    stop = int(page.get_by_label("score threshold").input_value())
    assert stop == int(np.floor(100 * curve.scores[point]))
    agrees(page, score_stop=stop)


@pytest.mark.parametrize("width", [1280, 390])
def test_flags_do_not_cover_each_other(show, width):
    page = show(figure(nms_threshold=1.0, score_threshold=0.0), width=width)
    for n in range(3):
        page.get_by_label(f"scene {n + 1}").check()
        flags = [flag.bounding_box() for flag in page.locator(".flag:visible").all()]
        assert flags
        for k, a in enumerate(flags):
            for b in flags[:k]:
                across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
                down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
                assert min(across, down) < 0.01


def test_kinds_differ_in_more_than_colour(show):
    page = show(figure(nms_threshold=1.0))
    dashes = [
        page.locator(f".swatch.{kind} .edge").evaluate("e => getComputedStyle(e).strokeDasharray")
        for kind in ("hit", "double", "alarm", "missed", "dropped")
    ]
    assert len(set(dashes)) == 5
    texts = page.locator(".flag.hit").all_inner_texts()
    assert all(text.startswith("✓ ") and text[2:] in NAMES for text in texts)


def test_targets_for_a_finger(show):
    page = show(figure(), width=390)
    for part in (*page.get_by_role("button").all(), *page.locator(".choice, select").all()):
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_it_is_told_when_it_has_come_to_rest(show, spoken):
    page = show(figure())
    for stop in ("40", "30"):
        page.get_by_label("score threshold").fill(stop)
        assert spoken(page) == ""
    page.locator("p.unseen[role=status]").filter(has_text="Scene").wait_for(state="attached")
    here = expected_counts(0, 0.5, 0.3, 0.5)
    said = spoken(page)
    assert said.startswith(f"Scene 1: hits {here['hits']}, doubles {here['doubles']}, false alarms")
    assert page.locator(".told").inner_text() in said
    assert f"Average precision {averages(page)['of the whole curve'][0]} as area" in said


def test_scores_of_any_size(show):
    """Margins of a support vector machine go below 0 and above 1."""
    found = [one | {"scores": 6 * one["scores"] - 3} for one in PREDICTIONS]
    data = web.thresholds_and_curve(IMAGES, found, TARGETS).data
    assert data["stops"][data["start"]["score"]] == pytest.approx(0, abs=30_000)
    assert data["stops"][0] <= 1e6 * min(one["scores"].min(initial=0) for one in found)
    page = show(web.thresholds_and_curve(IMAGES, found, TARGETS, score_threshold=-1.5))
    told = page.locator(".told").inner_text()
    assert told.startswith(f"At scores of {MINUS}1.5")
    assert averages(page)["mean of the classes"] == averages(show(figure()))["mean of the classes"]


def test_photographs_and_tensors(show):
    import torch

    found = [{k: torch.from_numpy(v) for k, v in one.items()} for one in PREDICTIONS]
    truth = [{k: torch.from_numpy(v) for k, v in one.items()} for one in TARGETS]
    same = web.thresholds_and_curve(list(IMAGES), found, truth, names=NAMES)
    assert same.data == figure().data
    photograph = np.full((H, W, 3), 0.5)
    page = show(web.thresholds_and_curve([photograph], found, truth))
    assert page.locator(".scene img, .faced img").count() == 2


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_the_static_form_is_the_librarys(show, threshold):
    page = show(figure(nms_threshold=threshold, presets={}), java_script_enabled=False)
    _, curve = reference(PREDICTIONS, TARGETS, threshold, 0.5)
    kinds = expected_counts(None, threshold, 0.5, 0.5)
    last = np.flatnonzero(curve.scores >= 0.5)[-1]
    expected = [str(kinds[k]) for k in ("hits", "doubles", "false alarms", "missed objects")]
    expected += [f"{curve.precision[last]:.2f}", f"{curve.recall[last]:.2f}"]
    expected += [
        f"{average_precision(curve.precision, curve.recall, protocol):.3f}"
        for protocol in ("area", "voc07")
    ]
    assert page.locator("tr").nth(1).locator("td").all_inner_texts() == expected


def test_judged():
    truth = np.array([[0.0, 0, 10, 10]])
    found = np.array([[0.5, 0, 0, 10, 9], [0.9, 0, 0, 10, 10], [0.1, 30, 0, 40, 10]])
    scores, kinds = judged(found, truth, 1.0, 0.5)
    assert (list(scores), kinds) == ([0.9, 0.5, 0.1], ["hit", "double", "alarm"])
    assert judged(found, truth, 0.5, 0.5)[1] == ["hit", "alarm"]
    half = np.array([[0.5, 0, 0, 10, 5]])  # an IoU of .5 is enough
    assert judged(half, truth, 1.0, 0.5)[1] == ["hit"]
    assert judged(half, truth, 1.0, 0.51)[1] == ["alarm"]
    assert judged(found, truth[:0], 1.0, 0.5)[1] == ["alarm"] * 3
    assert judged(found[:0], truth, 1.0, 0.5)[1] == []


def test_data_is_small():
    predictions, targets = scenes(count=40)
    small = web.thresholds_and_curve(np.zeros((6, 64, 64)), predictions, targets)
    boxes = sum(len(one["boxes"]) for one in predictions)
    assert boxes > 500
    assert len(json.dumps(small.data, separators=(",", ":"))) < 6 * 4200 + 40 * boxes


GOOD = {"images": IMAGES, "predictions": PREDICTIONS, "targets": TARGETS}
ONE = PREDICTIONS[0]


def changed(**parts):
    return {"predictions": [ONE | parts, *PREDICTIONS[1:]]}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": []}, "0 `images`, expected 1 to 12"),
        ({"images": [np.zeros((9, 9, 9))]}, "the picture has shape"),
        ({"targets": TARGETS[1:]}, "6 `predictions` and 5 `targets`, expected as many"),
        ({"images": [IMAGES[0]] * 7}, "7 `images`, 6 `predictions`.* and no more images"),
        (changed(boxes=ONE["boxes"][:, ::-1]), "prediction 0 has the box .* expected finite"),
        (changed(labels=[0]), r"prediction 0 has labels of shape \(1,\), expected \(\d+,\)"),
        (changed(scores=[0.5]), r"prediction 0 has scores of shape \(1,\), expected \(\d+,\)"),
        (changed(scores=np.nan * ONE["scores"]), "prediction 0 has scores that are not finite"),
        ({"predictions": [{"boxes": ONE["boxes"]}] * 6}, "prediction 0 has no 'scores'"),
        ({"targets": [{"labels": []}] * 6}, "target 0 has no 'boxes'"),
        ({"targets": [TARGETS[0] | {"ignore": [True]}] * 6}, "target 0 has objects to 'ignore'"),
        ({"targets": [{"boxes": [], "labels": []}] * 6}, "there is no object in `targets`"),
        ({"names": NAMES[:2]}, r"the labels go from 0 to 2, expected 0 to 1, one for each"),
        (
            changed(labels=0 * ONE["labels"] - 1),
            r"the labels go from -1 to 2, expected 0 to \.\.\.",
        ),
        ({"predictions": [ONE] * 600, "targets": [TARGETS[0]] * 600}, "boxes in .* at most 3,000"),
        ({"nms_threshold": 0.33}, "`nms_threshold` is 0.33, expected a multiple of 0.05 in 0..1"),
        ({"nms_threshold": "x"}, "`nms_threshold` is 'x', expected a number"),
        ({"score_threshold": 2}, "`score_threshold` is 2, expected 0 to 1, as the scores"),
        ({"iou_threshold": 0.6}, "`iou_threshold` is 0.6, expected 0.5 or 0.75"),
        ({"picture": 3}, "`picture` is 3, expected 0 to 2"),
        ({"presets": {"a": {"nms": 1}}}, "there is no setting `nms` of the preset 'a'; expected"),
    ],
)
def test_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match="(?s)thresholds_and_curve: .*" + message):
        web.thresholds_and_curve(**(GOOD | change))
