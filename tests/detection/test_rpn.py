"""The region proposal network: what it learns from, its loss, and its proposals, by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.data import digit_scenes
from course_lib.detection import (
    AnchorSampling,
    RegionProposals,
    anchors_inside,
    match_anchors,
    proposal_recall,
)
from course_lib.models import digit_regions
from course_lib.training import TrainingError

EMPTY = {"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}


def small_body(seed=0):
    """Of stride 4, with 4 maps."""
    return digit_regions(widths=(4, 4, 4), hidden=8, rng=torch.Generator().manual_seed(seed))


def network(sizes=(8,), ratios=(1.0,), **settings):
    return RegionProposals(small_body(), sizes=sizes, ratios=ratios, **settings)


def target(*boxes):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.zeros(len(boxes), int),
    }


def as_tensors(*targets):
    return [{name: torch.tensor(part) for name, part in t.items()} for t in targets]


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def scenes(count, split="train"):
    seen = digit_scenes(count, size=48, split=split, digits=(1, 2), side=(14, 22))
    return seen.images, [
        {"boxes": b, "labels": k} for b, k in zip(seen.boxes, seen.labels, strict=True)
    ]


def blank(rpn, N, h, w):
    """Answers of nothing but 0 to maps of N images, which need only have a shape."""
    count = h * w * len(rpn.shapes)
    scores = torch.zeros(N, count, 2, requires_grad=True)
    deltas = torch.zeros(N, count, 4, requires_grad=True)
    return (scores, deltas), torch.zeros(N, 4, h, w)


def test_the_output_layers_of_the_paper_have_27648_weights():
    """512 x (4 + 2) x 9 on VGG-16 (section 3.1.1), besides biases."""
    body = nn.Module()
    body.channels, body.stride, body.input_channels, body.fill = 512, 16, 3, torch.zeros(3)
    rpn = RegionProposals(body)
    assert rpn.shapes.shape == (9, 4)
    assert rpn.objectness.weight.numel() + rpn.deltas.weight.numel() == 27_648
    assert rpn.conv.weight.shape == (512, 512, 3, 3)


def test_answers_are_in_the_order_of_the_anchors():
    """A map that is 1 in one cell: only the anchors of that cell get other scores."""
    rpn = network(sizes=(8, 12), ratios=(1.0, 2.0))
    with torch.no_grad():
        for layer in (rpn.conv, rpn.objectness, rpn.deltas):
            layer.weight.zero_()
            layer.bias.zero_()
        rpn.conv.weight[0, 0, 1, 1] = 1
        rpn.objectness.weight[:, 0, 0, 0] = torch.arange(8.0)
        rpn.deltas.weight[:, 0, 0, 0] = torch.arange(16.0)
    maps = torch.zeros(1, 4, 2, 3)
    maps[0, 0, 1, 2] = 1
    scores, deltas = rpn.answers(maps)
    assert scores[0, 20:].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert deltas[0, 20:].tolist() == [[4 * a, 4 * a + 1, 4 * a + 2, 4 * a + 3] for a in range(4)]
    assert not scores[0, :20].any()
    assert rpn.anchors(maps)[20].tolist() == [6, 2, 14, 10]  # about (10, 6)


def test_the_loss_by_hand():
    """Two squares of 8 in an image of 8 x 12: one is the object but for 2 pixels, one background.

    Of two cells, the anchors are [-2, -2, 6, 6] and so on: here they are moved to lie inside.
    """
    rpn = network(balance=10.0)
    rpn.shapes.copy_(torch.tensor([[-2.0, -2, 2, 6]]))  # 4 wide and 8 high, in cells of 4
    answers, maps = blank(rpn, 1, 1, 3)
    assert rpn.anchors(maps).tolist() == [[0, 0, 4, 8], [4, 0, 8, 8], [8, 0, 12, 8]]
    objects = as_tensors(target([0, 0, 4, 6]))  # overlaps the first 3/4
    losses = rpn.losses_from(answers, maps, [(8, 12)], objects)
    assert losses.objectness.item() == pytest.approx(math.log(2))
    # The offsets: ty = (3 - 4) / 8 = -1/8, th = log(6 / 8); smooth L1 bends at 1/9.
    distance = (1 / 8 - 1 / 18) + (abs(math.log(0.75)) - 1 / 18)
    assert losses.regression.item() == pytest.approx(10 * distance / 3)
    twice = blank(rpn, 2, 1, 3)
    both = rpn.losses_from(*twice, [(8, 12)] * 2, objects * 2)
    torch.testing.assert_close(both, losses)


def test_each_label_pulls_its_own_way():
    rpn = network()
    rpn.shapes.copy_(torch.tensor([[-2.0, -2, 2, 6]]))
    (scores, deltas), maps = blank(rpn, 1, 1, 3)
    sum(
        rpn.losses_from((scores, deltas), maps, [(8, 12)], as_tensors(target([0, 0, 4, 6])))
    ).backward()
    step = -scores.grad[0]
    assert (step[0, 1] > 0) & (step[0, 0] < 0)  # the object: more of class 1
    assert (step[1:, 0] > 0).all()
    assert deltas.grad[0, 0].any()
    assert not deltas.grad[0, 1:].any()  # background has no box


def drawn_ones(rpn, size, truth, seeds=20):
    """Return which anchors are ever in the loss, ``(R,)``, by their gradients."""
    h, w = (-(-n // 4) for n in size)
    used = torch.zeros(h * w * len(rpn.shapes), dtype=torch.bool)
    for seed in range(seeds):
        (scores, deltas), maps = blank(rpn, 1, h, w)
        generator = torch.Generator().manual_seed(seed)
        losses = rpn.losses_from((scores, deltas), maps, [size], truth, generator)
        losses.objectness.backward()
        used |= scores.grad[0].any(1)
    return used, rpn.anchors(maps)


def test_the_ignored_are_never_in_the_loss():
    """Nor are the anchors that cross the border; all others are, sooner or later."""
    rpn = network(sizes=(12, 16), sampling=AnchorSampling(per_image=24))
    truth = torch.tensor([[9.0, 7, 21, 19], [26, 24, 40, 39]])
    objects = [{"boxes": truth, "labels": torch.zeros(2, dtype=torch.int64)}]
    used, anchors = drawn_ones(rpn, (46, 50), objects, seeds=60)
    inside = anchors_inside(anchors, (46, 50))
    labels = torch.full((len(anchors),), -1)
    labels[inside] = match_anchors(anchors[inside], truth).labels
    ignored = inside & (labels == -1)
    assert ignored.sum() > 5
    assert (~inside).sum() > 50
    assert used.tolist() == (labels >= 0).tolist()


@pytest.mark.parametrize(
    "per_image, share, expected", [(256, 0.5, (9, 81)), (8, 0.5, (4, 4)), (40, 0.125, (5, 35))]
)
def test_a_mini_batch_of_anchors(per_image, share, expected):
    """Up to a share of objects; background makes up for the rest, and 256 are not there."""
    rpn = network(sampling=AnchorSampling(per_image, share))
    y, x = torch.arange(9.0).repeat_interleave(10) * 10, torch.arange(10.0).repeat(9) * 10
    anchors = torch.stack([x, y, x + 8, y + 8], 1)  # 90, of which none meets another
    chosen, labels, boxes = rpn.drawn(anchors, anchors[:9])
    assert ((labels == 1).sum(), (labels == 0).sum()) == expected
    assert len(set(chosen.tolist())) == len(chosen)
    torch.testing.assert_close(boxes[labels == 1], anchors[chosen[labels == 1]])


def test_an_image_without_objects_is_all_background():
    rpn = network()
    (scores, deltas), maps = blank(rpn, 1, 5, 5)
    losses = rpn.losses_from((scores, deltas), maps, [(20, 20)], as_tensors(EMPTY))
    assert losses.objectness.item() == pytest.approx(math.log(2))
    assert losses.regression.item() == 0
    sum(losses).backward()
    assert (scores.grad[..., 0] <= 0).all()
    assert (scores.grad[..., 0] < 0).sum() == 9  # 3 x 3 are inside
    assert not deltas.grad.any()


def test_an_image_smaller_than_the_anchors_teaches_nothing():
    rpn = network(sizes=(64,))
    images = noise(2, 1, 20, 24)
    losses = rpn.losses(images, [target([2, 2, 12, 14])] * 2)
    assert [loss.item() for loss in losses] == [0, 0]
    sum(losses).backward()
    assert not rpn.deltas.weight.grad.any()
    (boxes, scores), _ = rpn.propose(images)
    assert len(boxes) == len(scores) > 0
    assert anchors_inside(boxes, (20, 24)).all()  # all of them cut at the border


def test_a_padded_image_has_no_anchors_in_its_padding():
    """The smaller image of a batch: its anchors are those inside of itself."""
    rpn = network()
    (scores, deltas), maps = blank(rpn, 2, 6, 6)
    sizes = [(24, 24), (12, 16)]
    rpn.losses_from((scores, deltas), maps, sizes, as_tensors(EMPTY, EMPTY)).objectness.backward()
    for n, size in enumerate(sizes):
        used = scores.grad[n].any(1)
        assert used.tolist() == anchors_inside(rpn.anchors(maps), size).tolist()


def chosen_answers(rpn, probabilities, deltas, shape):
    """Answers with these probabilities of an object."""
    p = torch.tensor(probabilities)
    scores = torch.stack([torch.zeros_like(p), (p / (1 - p)).log()], -1)[None]
    return (scores, torch.tensor(deltas)[None]), torch.zeros(1, 4, *shape)


def test_proposals_by_hand():
    """A row of six squares of 8, 4 apart, in an image of 8 x 24, of which two ends stick out.

    The third is moved onto the second and suppressed; the fourth becomes a sliver and is dropped.
    """
    rpn = network()
    rpn.shapes.copy_(torch.tensor([[-4.0, -2, 4, 6]]))
    deltas = np.zeros((6, 4), np.float32)
    deltas[2, 0] = -0.5 + 1 / 16
    deltas[3, 3] = math.log(0.25)  # 2 pixels high
    given = chosen_answers(rpn, [0.6, 0.9, 0.8, 0.95, 0.5, 0.7], deltas, (1, 6))
    ((boxes, scores),) = rpn.proposals_from(*given, [(8, 24)])
    assert boxes.tolist() == [[2, 0, 10, 8], [18, 0, 24, 8], [0, 0, 6, 8], [14, 0, 22, 8]]
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.6, 0.5], rtol=1e-6)

    def remain(**settings):
        ((boxes, _),) = rpn.proposals_from(*given, [(8, 24)], **settings)
        return boxes[:, 0].tolist()

    assert remain(min_size=2) == [10, 2, 18, 0, 14]
    assert remain(limit=2) == [2, 18]
    assert remain(limit=3, before=3) == [2]  # of the three best one is a sliver, one suppressed
    assert remain(nms_threshold=0.9) == [2, 2.5, 18, 0, 14]
    assert remain(nms_threshold=0.3) == [2, 18]
    assert remain(min_size=6.5) == [2, 14]


def test_no_proposal_may_be_left():
    rpn = network()
    ((boxes, scores),) = rpn.propose(noise(1, 1, 16, 16), min_size=17)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_no_gradient_flows_through_proposals():
    rpn = network()
    maps = noise(1, 4, 4, 4).requires_grad_()
    ((boxes, scores),) = rpn.proposals_from(rpn.answers(maps), maps, [(16, 16)])
    assert not boxes.requires_grad
    assert not scores.requires_grad


def test_images_of_several_sizes_are_seen_as_if_alone():
    rpn = network()
    images = [noise(1, 16, 20, seed=1), noise(1, 16, 20, seed=2), noise(1, 31, 12, seed=3)]
    for image, (boxes, scores) in zip(images, rpn.propose(images, 20), strict=True):
        (alone,) = rpn.propose([image.numpy()], 20)
        torch.testing.assert_close(boxes, alone.boxes)
        torch.testing.assert_close(scores, alone.scores)
        assert anchors_inside(boxes, image.shape[1:]).all()


def test_no_images_have_no_proposals():
    assert network().propose([]) == []


def test_training_finds_the_digits():
    """From scratch, on 64 scenes: it has learnt which anchors are objects, and moves them."""
    images, targets = scenes(64)
    targets[5] = EMPTY
    rpn = RegionProposals(
        digit_regions(widths=(8, 16, 16)),
        sizes=(12, 18),
        ratios=(1.5,),
        sampling=AnchorSampling(8),
    )
    test_images, test_targets = scenes(20, "test")

    def recall():
        return proposal_recall([p.boxes for p in rpn.propose(test_images, 5)], test_targets)

    before = recall()
    rpn.fit(images, targets, epochs=16, batch_size=8, learning_rate=0.1, progress=False)
    assert recall() > max(0.6, before + 0.2)


def test_training_comes_out_the_same_every_time():
    images, targets = scenes(12)
    before = torch.get_rng_state()
    runs = []
    for seed in (0, 0, 1):
        rpn = network()
        rpn.fit(images, targets, epochs=1, batch_size=4, seed=seed, progress=False)
        runs.append(torch.cat([p.flatten() for p in rpn.parameters()]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_that_was_stopped_goes_on(tmp_path):
    images, targets = scenes(12)

    def trained(epochs, **settings):
        rpn = network()
        rpn.fit(images, targets, epochs=epochs, schedule=None, progress=False, **settings)
        return rpn.deltas.weight

    trained(1, checkpoint=tmp_path / "run.pt")
    assert torch.equal(trained(2, checkpoint=tmp_path / "run.pt"), trained(2))


def test_the_module_called_gives_the_losses():
    """So that a wrapper for several devices can hold it."""
    rpn = network()
    args = noise(1, 1, 24, 24), [target([2, 2, 12, 14])]
    draws = [torch.Generator().manual_seed(3) for _ in range(2)]
    assert rpn(*args, draws[0]) == rpn.losses(*args, draws[1])


def broken(name, value):
    rpn = network()
    with torch.no_grad():
        getattr(rpn, name).weight.fill_(value)
    return rpn


IMAGE = noise(1, 1, 24, 24)
BAD = [
    (lambda: network(width=0), ValueError, "`width` is 0, expected 1 or more"),
    (lambda: network(sizes=()), ValueError, r"`sizes` is \[\], expected at least one"),
    (lambda: network().propose(IMAGE, 0), ValueError, "`limit` is 0 and `before` 6000, expected"),
    (lambda: network().propose(IMAGE, 9, before=3), ValueError, "`limit` is 9 and `before` 3, exp"),
    (lambda: network().propose(IMAGE[0]), ValueError, r"RegionProposals.propose: `images` has sh"),
    (lambda: network().propose([IMAGE[0, :, :0]]), ValueError, "image 0 has shape .* one row"),
    (lambda: broken("deltas", math.nan).propose(IMAGE), ValueError, "not finite numbers; look"),
    (lambda: broken("objectness", math.inf).propose(IMAGE), ValueError, "not finite numbers"),
    (
        lambda: broken("conv", math.nan).fit(IMAGE, [target([2, 2, 12, 14])], progress=False),
        TrainingError,
        "the loss is nan at step 1",
    ),
    (
        lambda: network().fit(IMAGE, [target([12, 2, 2, 14])]),
        ValueError,
        r"RegionProposals.fit: box 0 of `targets\[0\]` is .* with x1 <= x2",
    ),
    (
        lambda: network().fit(IMAGE, [target([30, 2, 40, 9])]),
        ValueError,
        "box 0 of target 0 has no",
    ),
    (lambda: network().fit(IMAGE, [EMPTY]), ValueError, "none of the 1 images has an object"),
    (lambda: network().fit([], []), ValueError, "RegionProposals.fit: there are no images"),
    (lambda: network().losses(IMAGE, []), ValueError, "there are 1 images and 0 `targets`"),
]


@pytest.mark.parametrize("call, error, message", BAD, ids=[m for _, _, m in BAD])
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
