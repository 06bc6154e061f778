"""Chapter 13: its pencil agrees with PyTorch, its prose with its claims, and its checks tell."""

import re

import numpy as np
import pytest
import torch
import torchvision

NAME = "13-rcnn-fast-faster"
pytestmark = [
    pytest.mark.lecture,
    pytest.mark.parametrize("chapter", [NAME], indirect=True),
]
MAP = [[1, 0, 2, 1, 0], [0, 3, 1, 4, 2], [2, 8, 5, 2, 0], [1, 6, 2, 7, 3], [0, 2, 9, 1, 1]]


def words(chapter, cell):
    """Return the prose of a cell in one line."""
    return " ".join(chapter.cells[cell]["source"].split())


def test_every_comparison_holds(chapter):
    said = [chapter.said(name) for name in chapter.code()]
    assert sum(text.count("True") for text in said) >= 5


def test_the_pencil_agrees_with_pytorch(chapter):
    x = torch.tensor(MAP, dtype=torch.float64)[None, None].requires_grad_()
    rois = torch.tensor([[0, 3, 2, 11, 13], [0, 4, 9, 9, 15]], dtype=torch.float64)
    y = torchvision.ops.roi_pool(x, rois, (2, 2), 1 / 4)
    y.backward(torch.arange(1.0, 9, dtype=torch.float64).reshape(y.shape))
    assert y.flatten().tolist() == [8, 5, 8, 7, 8, 5, 6, 9]
    assert (
        chapter.run("print(pooled.ravel().tolist())")
        == "[8.0, 5.0, 8.0, 7.0, 8.0, 5.0, 6.0, 9.0]\n"
    )
    assert chapter.run("print(dx.tolist())") == f"{x.grad[0, 0].tolist()}\n"
    rows = re.findall(r"^\| \d, \d \|.*\| (\d) \|$", chapter.cells["roi-hand"]["source"], re.M)
    assert rows == ["8", "5", "8", "7"]


def test_the_wrong_ways_are_wrong_as_told(chapter):
    said = chapter.said("roi-wrong-run")
    assert "equal      [[3.0, 1.0], [8.0, 5.0]]" in said
    assert "7" not in said.splitlines()[0]  # never comes out
    lost = chapter.claims()["pull lost by assigning"]["measured"]
    assert lost == (9 - 5) + (8 - 6)
    alone = chapter.claims()["of it by the first box alone"]["measured"]
    assert alone == (1 + 3) - 3  # the 8 wins two bins of one region
    assert "loses pull within a single region" in words(chapter, "roi-wrong-why")


def test_the_pull_of_the_text(chapter):
    text = words(chapter, "roi-general")
    assert "$1 + 3 + 5 = 9$" in text
    assert "$2 + 6 = 8$" in text


def test_the_cost_of_vgg(chapter):
    """By another way: formulas for 13 convolutions, each 3 by 3."""
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    scale = [1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16]
    pairs = list(zip(channels[:-1], channels[1:], scale, strict=True))

    def body(H, W):
        return sum(9 * a * b * (H // s) * (W // s) for a, b, s in pairs)

    head = 25088 * 4096 + 4096 * 4096 + 4096 * 105
    crop, whole = body(224, 224), body(600, 800)
    made = chapter.claims()
    assert made["limit"]["measured"] == pytest.approx(1 + crop / head)
    assert made["regions for half of it"]["measured"] == pytest.approx(whole / head)
    gain = 2000 * (crop + head) / (whole + 2000 * head)
    assert made["gain with 2,000 regions"]["measured"] == pytest.approx(gain)
    assert made["gain with 2,000 regions"]["published"] == 146
    assert f"more than {1 + crop / head:.0f}" in words(chapter, "cost-vgg-why")
    assert f"about {gain:.0f} times" in words(chapter, "cost-vgg-why")


def test_the_text_states_what_the_claims_enforce(chapter):
    claims = chapter.claims()
    bounds = {name: one["bounds"] for name, one in claims.items()}
    least = bounds["RoIAlign brings"]["at_least"]
    assert f"at least {least:g} points" in words(chapter, "fast-align-why")
    assert bounds["limit for digits"]["at_most"] <= 14
    assert "Our gain ends at 13" in words(chapter, "counted-why")
    assert 13 <= claims["limit for digits"]["measured"] < 14
    missed = bounds["ours"]
    assert 100 / 5 <= missed["at_least"] < 100 / 4 < missed["at_most"]
    assert "Nearly one in four" in words(chapter, "anchors-why")
    inside = claims["anchors wholly in the picture"]["measured"]
    assert f"here {inside:g} of 768" in words(chapter, "rpn-text")
    apart = bounds["they are apart by"]["at_most"]
    assert f"within {apart:g} points" in words(chapter, "faster-why")
    assert claims["proposal network over the body"]["measured"] == pytest.approx(
        256 * (9 * 48 * 48 + 48 * 18) / 5_128_192
    )


def test_counted_and_derived_costs_agree(chapter):
    said = re.findall(r"([\d.]+) counted, +([\d.]+) by formula", chapter.said("counted-loop"))
    assert len(said) == 5
    for counted, derived in said:
        assert float(counted) == pytest.approx(float(derived), rel=0.1)
    said = chapter.said("counted")
    assert said.startswith("b a = 1,282,048, b A = 5,128,192, h = 104,832")
    assert "= 1.28 M" in words(chapter, "counted-text")
    assert "= 0.105 M" in words(chapter, "counted-text")


def test_roi_pooling_stands_still_as_long_as_told(chapter):
    """The region of the figure, moved by half pixels: nothing changes before 3."""
    x = torch.tensor(MAP, dtype=torch.float64)[None, None]

    def pooled(shift):
        roi = torch.tensor([[0, 3 + shift, 2, 11 + shift, 13]], dtype=torch.float64)
        return torchvision.ops.roi_pool(x, roi, (2, 2), 1 / 4)

    changed = [s for s in np.arange(0.5, 6, 0.5) if not torch.equal(pooled(s), pooled(0))]
    assert changed[0] == 3
    assert "After 3 pixels" in words(chapter, "roi-explorer-answer")


def test_the_anchors_of_the_figure(chapter):
    told = chapter.run(
        "iou = detection.box_iou(anchors, scenes.boxes[SHOWN].astype(float))\n"
        "print(scenes.labels[SHOWN].tolist(), (iou > 0.7).sum(0).tolist(), "
        "(iou > 0.5).sum(0).tolist(), iou[:, 0].max().round(3))"
    )
    assert told == "[5, 9, 2] [0, 1, 2] [4, 9, 10] 0.675\n"
    text = words(chapter, "anchors-figure-answer")
    assert "by 0.68" in text
    assert "4, 9 and 10" in text


def test_paper_numbers_stand_as_quoted(chapter):
    published = {
        name: (one["published"], one["source"])
        for name, one in chapter.claims().items()
        if one["published"] is not None
    }
    assert published == {
        "R-CNN, as it is": (44.7, "Girshick et al. (2014), table 2"),
        "R-CNN, fine-tuned": (54.2, "Girshick et al. (2014), table 2"),
        "R-CNN, with boxes": (58.5, "Girshick et al. (2014), table 2"),
        "gain with 2,000 regions": (146, "Girshick (2015), table 4, time"),
        "Fast R-CNN, all layers": (66.9, "Girshick (2015), table 5"),
        "convolutions frozen": (61.4, "Girshick (2015), table 5"),
        "Faster, alternating": (69.9, "Ren et al. (2015), table 3"),
        "R-CNN over Faster R-CNN": (250, "slide 84: time, proposals included"),
        "the map's share": (71, "Ren et al. (2015), table 5, time"),
    }


ANSWERS = {  # answers to an exercise, the cell that checks them, right ones and wrong ones
    "encode": (
        "check-encode",
        "my_offsets, my_encode, my_decode = [0.2, -0.05, 0.182, 0], encode, decode",
        "my_offsets = [1 / 6, -0.05, -0.182, 0.1]\n"
        "def my_encode(objects, proposals):  # divided by the object's size\n"
        "    return -encode(proposals, objects)\n"
        "def my_decode(offsets, proposals):  # without weights\n"
        "    return decode(offsets * np.array([10, 10, 5, 5]), proposals)",
    ),
    "pool": (
        "check-pool",
        "my_roi_pool, my_roi_pool_back = roi_pool, roi_pool_back",
        "def my_roi_pool(maps, regions, grid, scale):  # cut first, then divided\n"
        "    cut = np.clip(regions, 0, [20, 28, 20, 28])\n"
        "    return roi_pool(maps, cut + 1, grid, scale)\n"
        "def my_roi_pool_back(dy, maps, regions, grid, scale):  # assigned\n"
        "    dx = np.zeros_like(maps)\n"
        "    for out, cell in visit(maps, regions, grid, scale):\n"
        "        dx[cell] = dy[out]\n"
        "    return dx",
    ),
    "loss": (
        "check-loss",
        "my_loss = two_tasks",
        "def my_loss(logits, boxes, labels, targets):  # background has a box\n"
        "    return two_tasks(logits, np.pad(boxes, ((0, 0), (0, 1), (0, 0))), labels, targets)\\\n"
        "        + np.abs(targets[labels == 3]).sum()",
    ),
    "sample": (
        "check-sample",
        "my_sample = sample",
        "def my_sample(best, size, rng):  # any background, a quarter in any case\n"
        "    some = np.flatnonzero(best >= 0.5)\n"
        "    rest = np.flatnonzero(best < 0.5)\n"
        "    return np.concatenate([rng.choice(some, min(len(some), size // 4), False),\n"
        "                           rng.choice(rest, size - size // 4, False)])",
    ),
    "audit": (
        "check-audit",
        "mine = [68.5, 69.9, 9.2, 21.1]\n"
        "my_unshared, my_shared, my_faster_over_fast, my_fast_over_rcnn = mine",
        "my_unshared, my_shared, my_faster_over_fast, my_fast_over_rcnn = 66.9, 73.2, 1.7, 146",
    ),
}


@pytest.mark.parametrize("check, right, wrong", ANSWERS.values(), ids=ANSWERS)
def test_checks_take_right_answers_and_refuse_wrong_ones(chapter, check, right, wrong):
    assert chapter.unsolved(right, check) == []
    lines = chapter.unsolved(wrong, check)
    assert len(lines) == len(chapter.run(check).splitlines()), lines


@pytest.mark.parametrize(
    "mistake, caught",
    [
        ("labels = np.where(best >= 0.7, 1, np.where(best < 0.3, 0, -1))", 2),  # no best anchor
        ("labels = np.where(anchor_labels(iou) == -1, 0, anchor_labels(iou))", 2),  # no band
        ("labels = anchor_labels(iou); labels[iou.argmax(0)] = 1", 1),  # best at an overlap of 0
    ],
)
def test_wrong_anchor_labels_are_refused(chapter, mistake, caught):
    answer = f"def my_anchor_labels(iou):\n    best = iou.max(1)\n    {mistake}\n    return labels"
    assert chapter.unsolved("my_anchor_labels = anchor_labels", "check-anchors") == []
    assert len(chapter.unsolved(answer, "check-anchors")) == caught


def test_mean_of_boxes_is_refused_as_a_pool(chapter):
    chapter.run(
        "def my_roi_pool(maps, regions, grid, scale):  # equal bins\n"
        "    y = np.zeros((len(regions), len(maps), *grid))\n"
        "    for r, (x1, y1, x2, y2) in enumerate(regions * scale):\n"
        "        for d, p, q in np.ndindex(len(maps), *grid):\n"
        "            rows = slice(*equal_bins(y1, y2, grid[0])[p])\n"
        "            columns = slice(*equal_bins(x1, x2, grid[1])[q])\n"
        "            part = maps[d, rows, columns]\n"
        "            y[r, d, p, q] = part.max() if part.size else 0\n"
        "    return y"
    )
    lines = [line for line in chapter.run("check-pool").splitlines() if line.startswith("y, ")]
    assert not any(line.endswith(": right") for line in lines)


def test_checks_say_nan_and_shape(chapter):
    said = chapter.unsolved("my_anchor_labels = lambda iou: np.zeros((9, 9))", "check-anchors")
    assert len(said) == 4
    assert all("has shape (9, 9)" in line for line in said)


def test_offsets_by_hand(chapter):
    text = words(chapter, "rcnn-regress-text")
    found = [float(n) for n in re.findall(r"= (-?0\.\d+)", text)]
    w, h = 20, 40
    by_hand = [2 / w, -4 / h, np.log(16 / 20), np.log(32 / 40)]
    assert sorted(found) == pytest.approx(sorted(by_hand), abs=6e-4)
