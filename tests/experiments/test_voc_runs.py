"""The command, run whole: on the CPU, with random weights, on a folder of ten small pictures."""

import json

import pytest
import torch

from course_lib.data import VOC_CLASSES
from course_lib.training import load_checkpoint
from experiments.voc import filled, main, parser


@pytest.fixture(scope="module")
def proposals(tmp_path_factory):
    """Where the runs of this file keep their proposals."""
    return tmp_path_factory.mktemp("proposals")


@pytest.fixture
def words(tiny_voc, proposals, tmp_path, monkeypatch):
    """A function: the command's words for a small run of a detector."""
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    monkeypatch.setenv("COURSE_PROGRESS", "0")

    def of(detector, *more, out="out"):
        text = f"--detector {detector} --body digit --weights none --shorter 48 --limit 20"
        text += f" --root {tiny_voc} --out {tmp_path / out} --proposals {proposals} --workers 0"
        return [*text.split(), *map(str, more)]

    return of


def results(path):
    return json.loads((path / "out" / "results.json").read_text())


def check_results(found, detector, processes, epochs):
    """All that the file says, but how good the detector is."""
    settings = found["settings"]
    assert (settings["detector"], settings["processes"]) == (detector, processes)
    assert [record["epoch"] for record in found["epochs"]] == list(range(1, epochs + 1))
    assert all(record["pictures"] == 6 for record in found["epochs"])
    score = found["average precision"]
    assert score["pictures"] == 4
    assert set(score["by_class"]) == {"bus", "cat", "tvmonitor"}
    assert 0 <= score["mean"] <= 100
    assert found["device"] == "cpu"
    assert found["paper"]["mean"] == {"fast-rcnn": 66.9, "faster-rcnn": 69.9}[detector]


def check_table(text):
    lines = text.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith("average precision"))
    table = [line.split() for line in lines[start + 1 : start + 22]]
    assert [row[0] for row in table] == [*VOC_CLASSES, "mean"]


def test_plainly(command, words, tmp_path):
    done = command("-m", "experiments.voc", *words("faster-rcnn", "--epochs", 1))
    assert done.returncode == 0, done.stderr
    assert "faster-rcnn on digit, 1 x cpu" in done.stdout
    check_table(done.stdout)
    check_results(results(tmp_path), "faster-rcnn", 1, 1)


def test_in_two_processes(torchrun, words, tmp_path):
    """One prints and writes; proposals are shared out, and each photograph is judged once."""
    done = torchrun(
        *("-m", "experiments.voc"),
        *words("fast-rcnn", "--epochs", 1, "--batch-size", 1),
        *("--proposals", tmp_path / "proposals"),
    )
    check_table(done.stdout)
    assert done.stdout.count("fast-rcnn on digit, 2 x cpu") == 1
    assert "trainval-20: 6 of 6 computed now" in done.stdout
    assert "test-20: 4 of 4 computed now" in done.stdout
    check_results(results(tmp_path), "fast-rcnn", 2, 1)


@pytest.mark.parametrize("detector", ["fast-rcnn", "faster-rcnn"])
def test_going_on_equals_not_stopping(words, tmp_path, detector):
    options = ("--steps", 1, "--batch-size", 2)
    main(words(detector, "--epochs", 2, *options, out="whole"))
    main(words(detector, "--epochs", 1, *options))
    main(words(detector, "--epochs", 2, *options, "--resume"))
    whole, parts = (load_checkpoint(tmp_path / n / "checkpoint.pt") for n in ("whole", "out"))
    assert len(parts["records"]) == 2
    assert [r[1] for r in whole["records"]] == [r[1] for r in parts["records"]]
    for name, weights in whole["model"].items():
        assert weights.equal(parts["model"][name]), name


def test_a_training_is_not_overwritten(words, capsys):
    main(words("fast-rcnn", "--epochs", 1))
    with pytest.raises(SystemExit, match="2"):
        main(words("fast-rcnn", "--epochs", 1))
    assert "checkpoint.pt is there already; give --resume" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(words("fast-rcnn", "--epochs", 1, "--resume", "--seed", 1))
    assert "was written with `seed` 0, now it is 1" in capsys.readouterr().err
    main(words("fast-rcnn", "--epochs", 1, "--resume"))  # nothing to train: it is judged again
    check_table(capsys.readouterr().out)


def test_proposals_are_computed_once(words, capsys, monkeypatch):
    main(words("fast-rcnn", "--epochs", 1))
    monkeypatch.setattr("experiments.proposing.selective_search", pytest.fail)
    capsys.readouterr()
    main(words("fast-rcnn", "--epochs", 1, out="again"))
    shown = capsys.readouterr().out
    assert "trainval-20: 0 of 6 computed now" in shown
    assert "test-20: 0 of 4 computed now" in shown


def test_sixteen_bits(words, tmp_path):
    main(words("fast-rcnn", "--epochs", 1, "--precision", 16))
    check_results(results(tmp_path), "fast-rcnn", 1, 1)
    model = load_checkpoint(tmp_path / "out" / "checkpoint.pt")["model"]
    assert all(w.dtype == torch.float32 for w in model.values() if w.is_floating_point())


def test_workers_read_the_same(words, tmp_path):
    main(words("fast-rcnn", "--epochs", 1))
    main(words("fast-rcnn", "--epochs", 1, "--workers", 2, out="read"))
    one, two = (load_checkpoint(tmp_path / n / "checkpoint.pt")["model"] for n in ("out", "read"))
    assert all(weights.equal(two[name]) for name, weights in one.items())


def test_rcnn(words, tmp_path, capsys):
    main(words("rcnn", "--epochs", 1, "--images", 5))
    check_table(capsys.readouterr().out)
    found = results(tmp_path)
    assert found["epochs"] == []
    assert found["average precision"]["pictures"] == 4


def test_rcnn_trains_in_one_process(words, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="2"):
        main(words("rcnn"))
    assert "rcnn trains in one process; start it without torchrun" in capsys.readouterr().err


def test_rcnn_does_not_go_on(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words("rcnn", "--resume"))
    assert "rcnn does not go on from a stop: leave --resume out" in capsys.readouterr().err


def test_the_digits_body_has_no_weights_of_imagenet(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--body", "digit"])
    assert "has no weights of ImageNet; give --weights none" in capsys.readouterr().err


def test_no_photographs(words, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words("faster-rcnn", "--root", tmp_path))
    shown = capsys.readouterr().err
    assert shown.startswith("voc: there is no trainval of VOC 2007 in")
    assert "VOCtrainval_06-Nov-2007.tar" in shown
    assert "Traceback" not in shown


def test_settings_that_are_not_given_are_the_papers():
    given = filled(parser().parse_args(["--detector", "fast-rcnn", "--year", "2012"]))
    assert (given.shorter, given.longer, given.epochs, given.steps) == (600, 1000, 16, (12,))
    assert (given.batch_size, given.learning_rate, given.limit) == (2, 0.001, 2000)
    assert (given.train, given.test) == ("trainval", "val")
    assert str(given.out) == "runs/voc-fast-rcnn-vgg16"
    assert str(given.proposals) == "data/proposals"
    faster = filled(parser().parse_args([]))
    assert (faster.detector, faster.batch_size, faster.limit) == ("faster-rcnn", 1, None)
    assert faster.test == "test"


@pytest.mark.parametrize("words", ["--epochs 0", "--detector yolo", "--body lenet", "--limit x"])
def test_words_without_a_meaning(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert "argument --" in capsys.readouterr().err
