"""Train a detector on PASCAL VOC and evaluate it by VOC's measure, beside what the paper says.

    python -m experiments.voc --detector faster-rcnn --body vgg16 --root data --download
    torchrun --nproc-per-node=4 -m experiments.voc --detector faster-rcnn --body vgg16 --root data

The first runs on one GPU (or, very slowly, on the CPU), the second on four. Settings that are not
given are the paper's; with several processes the learning rate grows with the photographs of a
step. Into the folder of --out go `checkpoint.pt`, from which --resume goes on, and `results.json`.
Fast R-CNN and R-CNN need proposals: those of selective search, some seconds a photograph, are
computed once, by all processes and their workers, and kept in --proposals. Faster R-CNN is trained
by the approximate joint scheme.
R-CNN is not trained by a loss alone: it trains in one process only, and does not go on from a stop.
It keeps what it reads of every region in memory: by default it sees 500 photographs, of which 100
give the SVMs their negatives, so that its result is not to be compared with the paper's.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import torch

from course_lib.data import voc
from course_lib.data.voc import SPLITS
from course_lib.training import CheckpointError, TrainingError, save_checkpoint, seed
from experiments.detectors import BODIES, build
from experiments.evaluation import judge, results_table
from experiments.papers import PAPERS
from experiments.pictures import Pictures
from experiments.proposing import Proposals
from experiments.ranks import joined_processes
from experiments.training import train

__all__ = ["main", "run"]

RCNN_IMAGES, SVM_IMAGES = 500, 100  # 1 million regions, of which 200,000 vectors of 4,096 numbers


def parser():
    """Return the parser of the command line."""
    text = argparse.ArgumentParser(
        prog="python -m experiments.voc",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = text.add_argument
    add("--detector", choices=PAPERS, default="faster-rcnn")
    add("--body", choices=BODIES, default="vgg16", help="digit: small, to try whether all runs")
    add("--weights", choices=("imagenet", "none"), default="imagenet", help="of the body")
    add("--root", type=Path, default=Path("data"), help="holds VOCdevkit (default: data)")
    add("--download", action="store_true", help="fetch the photographs, 1 GB, if need be")
    add("--year", choices=SPLITS, default="2007")
    add("--train", choices=SPLITS["2007"], default="trainval", help="default: trainval")
    add("--test", choices=SPLITS["2007"], help="default: test in 2007, val later")
    add("--out", type=Path, help="default: runs/voc-DETECTOR-BODY")
    add("--resume", action="store_true", help="go on from the checkpoint in --out")
    add("--proposals", type=Path, help="folder of proposals (default: ROOT/proposals)")
    add("--images", type=positive, help="train on the first so many (default: all; 500 for rcnn)")
    add("--limit", type=positive, help="proposals of a photograph (default: 2000)")
    add("--shorter", type=positive, help="pixels of the shorter side (default: 600)")
    add("--longer", type=positive, help="the most of the longer side (default: 1000)")
    add("--epochs", type=positive, help="default: 16")
    add("--steps", type=positive, nargs="*", help="epochs after which the rate falls: 12")
    add("--batch-size", type=positive, help="photographs of a process in a step")
    add("--learning-rate", type=float, help="for steps as large as the paper's; default: 0.001")
    add("--skip-difficult", action="store_true", help="do not train on difficult objects")
    add("--precision", type=int, choices=(16, 32), help="bits in training; 16 on a GPU")
    add("--workers", type=int, default=4, help="that read, for each process (default: 4)")
    add("--device", help="cuda, cpu (default: the fastest)")
    add("--seed", type=int, default=0)
    return text


def positive(text):
    """Return an int of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(arguments=None):
    """Run the command. What the caller can mend is said in a line, without a traceback."""
    text = parser()
    given = filled(text.parse_args(arguments))
    if given.detector == "rcnn" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        text.error("--detector rcnn trains in one process; start it without torchrun")
    if given.body == "digit" and given.weights == "imagenet":
        text.error("--body digit has no weights of ImageNet; give --weights none")
    try:
        with joined_processes(given.device) as ranks:
            run(given, ranks)
    except (CheckpointError, TrainingError, OSError) as error:
        text.exit(2, f"{error}\n")


def filled(given):
    """Return the settings, those not given from the paper."""
    paper = PAPERS[given.detector]
    for name in ("shorter", "longer", "epochs", "steps", "learning_rate"):
        if getattr(given, name) is None:
            setattr(given, name, getattr(paper, name))
    given.limit = given.limit or paper.proposals
    given.images = given.images or (RCNN_IMAGES if given.detector == "rcnn" else None)
    given.batch_size = given.batch_size or paper.images
    given.test = given.test or ("test" if given.year == "2007" else "val")
    given.out = given.out or Path("runs") / f"voc-{given.detector}-{given.body}"
    given.proposals = given.proposals or given.root / "proposals"
    return given


def run(given, ranks):
    """Train and evaluate in this process, one of `ranks`; the first prints and writes.

    Parameters
    ----------
    given : argparse.Namespace
        The settings, none missing.
    ranks : Ranks

    Returns
    -------
    Judged
    """
    started, say = time.perf_counter(), print if ranks.first else silent
    paper, checkpoint = PAPERS[given.detector], given.out / "checkpoint.pt"
    settings = training_settings(given, ranks)
    learned, judged = prepared(given, ranks, say)
    seed(given.seed)  # for weights that are drawn
    detector = first_alone(ranks, build, given.detector, given.body, given.weights)
    say(f"{given.detector} on {given.body}, {ranks.size} x {ranks.device.type}, to {given.out}")
    if given.detector == "rcnn":
        records = fit_rcnn(detector, learned, given, ranks.device, checkpoint, settings)
    else:
        records = train(
            detector,
            learned,
            ranks,
            epochs=given.epochs,
            steps=given.steps,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            reference=paper.images,
            checkpoint=checkpoint,
            settings=settings,
            resume=given.resume,
            seed=given.seed,
            workers=given.workers,
            mixed_precision=None if given.precision is None else given.precision == 16,
            progress=say,
        )
    score = judge(detector, judged, ranks, batch_size=given.batch_size, workers=given.workers)
    say(results_table(score, paper))
    if ranks.first:
        results = {
            "settings": settings | {"epochs": given.epochs, "test": given.test},
            "versions": {name: version(name) for name in ("torch", "torchvision")},
            "device": device_name(ranks.device),
            "python": platform.python_version(),
            "seconds": round(time.perf_counter() - started, 1),
            "epochs": [record._asdict() for record in records],
            "average precision": score._asdict(),
            "paper": {"source": paper.source, "mean": paper.mean, "by_class": paper.by_class},
        }
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return score


def first_alone(ranks, make, *given):
    """Return ``make(*given)``, which the first process calls before the others: it may download."""
    if not ranks.first:
        ranks.wait()
    made = make(*given)
    if ranks.first:
        ranks.wait()
    return made


def prepared(given, ranks, say):
    """Return the Pictures to learn from and those to judge on, once their proposals are there."""
    splits = [
        first_alone(ranks, voc, given.root, given.year, split, given.download)
        for split in (given.train, given.test)
    ]
    proposals = [None, None]
    if PAPERS[given.detector].proposals:
        proposals = [
            Proposals(part, given.proposals, given.limit, count)
            for part, count in zip(splits, (given.images, None), strict=True)
        ]
        for part in proposals:
            made = sum(ranks.gathered(part.complete(ranks, given.workers)))
            say(f"{part.folder}: {made} of {len(part)} computed now")
    learned, judged = splits
    sides = given.shorter, given.longer
    return (
        Pictures(
            learned,
            *sides,
            proposals=proposals[0],
            flip=given.detector != "rcnn",
            difficult=not given.skip_difficult,
            seed=given.seed,
            count=given.images,
        ),
        Pictures(judged, *sides, proposals=proposals[1]),
    )


def training_settings(given, ranks):
    """Return what has to be the same if one goes on from a checkpoint, a dict of plain values."""
    names = ("detector", "body", "weights", "year", "train", "shorter", "longer", "limit")
    names += ("images", "batch_size", "learning_rate", "skip_difficult", "precision", "seed")
    settings = {name: getattr(given, name) for name in names}
    return settings | {"steps": list(given.steps), "processes": ranks.size}


def fit_rcnn(detector, pictures, given, device, checkpoint, settings):
    """Train R-CNN, which takes all photographs at once, and write its weights; no records."""
    if checkpoint.exists() or given.resume:
        raise CheckpointError(
            f"voc: --detector rcnn does not go on from a stop: leave --resume out, and give "
            f"another --out if {checkpoint} is there"
        )
    parts = [pictures[index] for index in range(len(pictures))]
    detector.to(device).fit(
        [part.image for part in parts],
        [part.target for part in parts],
        proposals=[part.proposals for part in parts],
        epochs=given.epochs,
        steps=-(-len(parts) // given.batch_size),
        learning_rate=given.learning_rate,
        svm_images=SVM_IMAGES,
        seed=given.seed,
        device=device,
    )
    save_checkpoint(checkpoint, {"settings": settings, "model": detector.state_dict()})
    return []


def device_name(device):
    """Return the name of a GPU, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def silent(*_):
    """Print nothing."""


if __name__ == "__main__":
    main()
