"""What the command is made of, each piece alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_voc import write_voc
from two_processes import MeanColours, Parts, trained

from course_lib.data import VOC_CLASSES, voc
from course_lib.training import TrainingError
from experiments.detectors import build
from experiments.evaluation import Judged, judge, results_table
from experiments.papers import PAPERS
from experiments.pictures import Pictures, collate, flipped, scaled
from experiments.proposing import Proposals
from experiments.ranks import Ranks, joined_processes
from experiments.training import learning_rate_factor, train

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("name", PAPERS)
def test_the_rows_of_the_papers_have_the_mean_that_they_print(name):
    paper = PAPERS[name]
    assert list(paper.by_class) == list(VOC_CLASSES)
    assert np.mean(list(paper.by_class.values())) == pytest.approx(paper.mean, abs=0.0501)


@pytest.mark.parametrize(
    "size, shorter, longer, expected",
    [
        ((375, 500), 600, 1000, (600, 800)),
        ((200, 500), 600, 1000, (400, 1000)),  # 600 x 1500 would be too long
        ((500, 200), 600, 1000, (1000, 400)),
        ((20, 30), None, None, (20, 30)),
        ((20, 30), None, 15, (10, 15)),
        ((1, 300), 1, 100, (1, 100)),  # a third of a pixel is one
    ],
)
def test_scaled(size, shorter, longer, expected):
    image, zoom = scaled(torch.full((3, *size), 0.25), shorter, longer)
    assert image.shape == (3, *expected)
    assert torch.allclose(image, torch.tensor(0.25))
    assert zoom.tolist() == pytest.approx([expected[1] / size[1], expected[0] / size[0]])


def test_flipped_by_hand():
    boxes = torch.tensor([[0.0, 1, 3, 4], [5, 0, 10, 2]])
    assert flipped(boxes, 10).tolist() == [[7, 1, 10, 4], [0, 0, 5, 2]]
    assert flipped(flipped(boxes, 10), 10).equal(boxes)
    assert flipped(boxes[:0], 10).shape == (0, 4)


def test_pictures_turn_with_their_boxes(tiny_voc):
    """Half of them, others in another epoch; what is in the box is the object turned."""
    plain, turning = (Pictures(voc(tiny_voc), 96, None, flip=flip) for flip in (False, True))
    seen = []
    for turning.epoch in range(4):
        for before, after in zip(map(plain.__getitem__, range(6)), turning, strict=False):
            turned = not before.image.equal(after.image)
            seen.append(turned)
            if turned:
                assert before.image.flip(2).equal(after.image)
                width = after.image.shape[2]
                assert after.target["boxes"].equal(flipped(before.target["boxes"], width))
    assert 6 < sum(seen) < 18
    assert seen[:6] != seen[6:12]


def test_pictures_scale_boxes_and_proposals(tiny_voc, tmp_path):
    photographs = voc(tiny_voc)
    proposals = Proposals(photographs, tmp_path, 7)
    proposals.complete(ALONE)
    plain = photographs[0][1]["boxes"]  # of 48 x 64 pixels
    picture = Pictures(photographs, 96, None, proposals=proposals)[0]
    assert picture.image.shape == (3, 128, 96)
    np.testing.assert_array_equal(picture.target["boxes"], 2 * plain)
    np.testing.assert_array_equal(picture.proposals, 2 * proposals.load(0))
    assert Pictures(photographs, None, None, channels=1)[0].image.shape == (1, 64, 48)


def test_difficult_objects_can_be_left_out(tiny_voc):
    for some, all_ in zip(
        Pictures(voc(tiny_voc), None, None, difficult=False),
        Pictures(voc(tiny_voc), None, None),
        strict=True,
    ):
        assert not some.target["difficult"].any()
        assert len(some.target["boxes"]) == (~all_.target["difficult"]).sum()
        assert len(some.target["labels"]) == len(some.target["boxes"])


def test_proposals_are_kept(tiny_voc, tmp_path, monkeypatch):
    monkeypatch.setattr(Ranks, "wait", lambda _: None)
    proposals = Proposals(voc(tiny_voc), tmp_path, 5)
    assert [proposals.complete(Ranks(rank, 4, None)) for rank in range(4)] == [2, 2, 1, 1]
    files = sorted(proposals.folder.iterdir())
    assert [file.name for file in files] == [f"{i:06}.npy" for i in range(1, 7)]
    assert proposals.load(0).shape == (5, 4)
    assert proposals.load(0).dtype == np.float32
    monkeypatch.setattr("experiments.proposing.selective_search", pytest.fail)
    assert proposals.complete(ALONE) == 0


def test_proposals_that_are_missing_are_made(tiny_voc, tmp_path):
    proposals = Proposals(voc(tiny_voc), tmp_path, 5)
    proposals.complete(ALONE)
    before = proposals.load(3)
    proposals.path(3).unlink()
    assert proposals.complete(ALONE, workers=1) == 1
    np.testing.assert_array_equal(proposals.load(3), before)
    assert Proposals(voc(tiny_voc), tmp_path, 6).complete(ALONE) == 6  # another limit
    proposals.path(3).write_bytes(b"")
    with pytest.raises(ValueError, match=r"000004\.npy holds no boxes: .*; delete it"):
        proposals.load(3)


@pytest.mark.parametrize(
    "time, scale, expected",
    [
        (0, 1, 1),
        (11.99, 1, 1),
        (12, 1, 0.1),
        (14, 1, 0.01),
        (0, 8, 1),
        (0.5, 8, 4.5),
        (1, 8, 8),
        (13, 8, 0.8),
        (0, 0.5, 0.5),
    ],
)
def test_learning_rate(time, scale, expected):
    assert learning_rate_factor(time, (12, 14), scale) == pytest.approx(expected)


class Knows(torch.nn.Module):
    """A detector that was told the answers, in the pixels that it sees."""

    def __init__(self, pictures, spoil=lambda boxes: boxes):
        super().__init__()
        self.answers = {p.image.sum().item(): p.target for p in pictures}
        self.spoil = spoil

    def detect(self, images):
        targets = [self.answers[image.sum().item()] for image in images]
        return [
            {
                "boxes": self.spoil(target["boxes"]),
                "labels": target["labels"],
                "scores": torch.ones(len(target["labels"])),
            }
            for target in targets
        ]


def test_who_knows_all_has_100(tiny_voc):
    pictures = Pictures(voc(tiny_voc, split="test"), 90, 100)
    judged = judge(Knows(pictures), pictures, ALONE, batch_size=3)
    assert judged.mean == pytest.approx(100)
    assert set(judged.by_class) == {"bus", "cat", "tvmonitor"}
    assert judged.pictures == 4
    wrong = judge(Knows(pictures, lambda boxes: boxes / 2), pictures, ALONE)
    assert wrong.mean < 30


def test_difficult_objects_count_neither_way(tiny_voc):
    """Who leaves them out has 100 as well."""
    pictures = Pictures(voc(tiny_voc), None, None)
    assert any(p.target["difficult"].any() for p in pictures)
    easy = Pictures(voc(tiny_voc), None, None, difficult=False)
    assert judge(Knows(easy), pictures, ALONE).mean == pytest.approx(100)


def test_each_process_judges_its_share(tiny_voc, monkeypatch):
    """Process 0 of 2 detects in pictures 0 and 2; with those of process 1 all are there."""
    pictures, shares = Pictures(voc(tiny_voc, split="test"), None, None), []
    monkeypatch.setattr(Ranks, "gathered", lambda _, thing: shares.append(thing) or list(shares))
    with pytest.raises(KeyError):
        judge(Knows(pictures), pictures, Ranks(0, 2, torch.device("cpu")))
    judged = judge(Knows(pictures), pictures, Ranks(1, 2, torch.device("cpu")))
    assert [sorted(share[0]) for share in shares] == [[0, 2], [1, 3]]
    assert judged.mean == pytest.approx(100)


def test_the_table():
    text = results_table(Judged(12.34, {"bus": 12.34}, 1, 0.1), PAPERS["faster-rcnn"]).splitlines()
    assert len(text) == 23
    assert text[1].split() == ["aeroplane", "-", "70.0"]
    assert text[6].split() == ["bus", "12.3", "78.2"]
    assert text[21].split() == ["mean", "12.3", "69.9"]
    assert text[22] == "paper: Ren et al. (2015), Faster R-CNN, Table 6, RPN on 07"
    empty = results_table(Judged(None, {}, 0, 0.0), PAPERS["rcnn"])
    assert empty.splitlines()[21].split() == ["mean", "-", "66.0"]


def test_losses_that_are_not_finite(tiny_voc, tmp_path):
    model = MeanColours()
    model.forward = lambda *_, generator: Parts(torch.tensor(1.0), torch.tensor(np.nan))
    with pytest.raises(TrainingError, match=r"losses are .*nan.* at step 1 of epoch 1.*ing-rate"):
        trained_once(model, tiny_voc, tmp_path)


def test_losses_are_computed_in_32_bits(tiny_voc):
    """Of maps in bfloat16."""
    model, pictures = build("faster-rcnn", "digit", "none"), Pictures(voc(tiny_voc), 64, None)
    batch = collate([pictures[0], pictures[1]])
    generator = torch.Generator().manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.body.features(batch.images[0][None]).dtype == torch.bfloat16
        losses = model(batch.images, batch.targets, generator=generator)
    assert {part.dtype for part in losses} == {torch.float32}


def trained_once(model, root, out):
    return train(
        model,
        Pictures(voc(root), None, None),
        ALONE,
        epochs=1,
        steps=(),
        batch_size=4,
        learning_rate=0.02,
        reference=4,
        checkpoint=out / "checkpoint.pt",
        settings={},
        progress=str,
    )


def test_biases_learn_twice_as_fast(tiny_voc, tmp_path):
    """After one step on six pictures of one loss, without momentum's past."""
    model = MeanColours()
    model.forward = lambda *_, generator: Parts(
        model.boxes.weight.sum() + model.boxes.bias.sum(), model.idle.weight.sum() * 0
    )
    pictures = Pictures(voc(tiny_voc), None, None)
    train(
        model,
        pictures,
        ALONE,
        epochs=1,
        steps=(),
        batch_size=6,
        learning_rate=0.01,
        reference=6,
        checkpoint=tmp_path / "checkpoint.pt",
        settings={},
        progress=str,
    )
    decay = 0.0005 * 0.1
    assert model.boxes.weight.detach().numpy() == pytest.approx(0.1 - 0.01 * (1 + decay))
    assert model.boxes.bias.detach().numpy() == pytest.approx(0.1 - 0.02 * (1 + decay))


@pytest.mark.parametrize(
    "detector, body", [("fast-rcnn", "vgg16"), ("fast-rcnn", "resnet18"), ("faster-rcnn", "vgg16")]
)
def test_real_bodies(detector, body, tiny_voc, tmp_path):
    """One step's losses, gradients and detections; weights are random, pictures small."""
    photographs = voc(tiny_voc)
    proposals = None
    if detector == "fast-rcnn":
        proposals = Proposals(photographs, tmp_path, 20)
        proposals.complete(ALONE)
    model = build(detector, body, "none")
    pictures = Pictures(photographs, 64, None, proposals=proposals)
    batch = collate([pictures[0]])
    more = {} if proposals is None else {"proposals": batch.proposals}
    generator = torch.Generator().manual_seed(0)
    losses = model(batch.images, batch.targets, **more, generator=generator)
    sum(losses).backward()
    assert all(part.isfinite() for part in losses)
    assert next(model.body.features.parameters()).grad.any()
    (found,) = model.detect(batch.images, **more)
    assert found["boxes"].shape == (len(found["scores"]), 4)


def test_weights_of_imagenet_are_those_of_torchvision(monkeypatch):
    """And the first two stages are not trained. Here torchvision does not download them."""
    given = []

    def asked(depth, weights):
        from course_lib.models import resnet_regions

        given.append(weights)
        return resnet_regions(depth)

    monkeypatch.setattr("experiments.detectors.resnet_regions", asked)
    trained = build("faster-rcnn", "resnet18").state_dict(keep_vars=True)
    assert given == ["IMAGENET1K_V1"]
    learns = {name: value.requires_grad for name, value in trained.items() if "features" in name}
    assert not any(on for name, on in learns.items() if "stem" in name or "layer1" in name)
    assert any(on for name, on in learns.items() if "layer2" in name)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ValueError, match=r"process 2 of this machine has no GPU, there are 1; give"),
        joined_processes("cuda"),
    ):
        pass


def test_one_process_trains_as_two_do(tiny_voc, tmp_path, torchrun):
    """Two with one picture each take the steps that one takes with two."""
    torchrun(Path(__file__).with_name("two_processes.py"), tiny_voc, tmp_path / "two")
    alone = trained(tiny_voc, tmp_path / "one", ALONE, batch_size=2)
    together = torch.load(tmp_path / "two" / "checkpoint.pt")["model"]
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights)


def test_nothing_is_written_into_the_photographs(tmp_path):
    root = write_voc(tmp_path)
    before = sorted(root.rglob("*"))
    list(Pictures(voc(root), 32, None))
    assert sorted(root.rglob("*")) == before
