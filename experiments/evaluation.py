"""Detect in all photographs, each process in its share, and judge by VOC's own measure."""

import time
from typing import NamedTuple

from torch.utils.data import DataLoader

from course_lib.data import VOC_CLASSES
from course_lib.detection import evaluate_detections
from course_lib.training.progress import open_bar
from experiments.pictures import collate

__all__ = ["Judged", "judge", "results_table"]


class Judged(NamedTuple):
    """Average precision by the 11 points, in percent, and the time that it took.

    Attributes
    ----------
    mean : float or None
        None if there is no object.
    by_class : dict of str to float
        The classes that have objects which are not difficult.
    pictures : int
    seconds : float
        Of reading and detecting, for one photograph in one process.
    """

    mean: float | None
    by_class: dict
    pictures: int
    seconds: float


def judge(detector, pictures, ranks, *, batch_size=1, workers=0):
    """Return how good a detector is, in every process.

    Difficult objects count neither way. Boxes are compared in the pixels of the scaled pictures: an
    overlap is the same there. All is computed in 32 bits.

    Parameters
    ----------
    detector : RCNN, FastRCNN or FasterRCNN
    pictures : Pictures
        With difficult objects, and not turned.
    ranks : Ranks
    batch_size, workers : int
        As for the training.

    Returns
    -------
    Judged
    """
    detector.to(ranks.device)
    started, mine = time.perf_counter(), ranks.mine(len(pictures))
    loader = DataLoader(pictures, batch_size, sampler=mine, num_workers=workers, collate_fn=collate)
    found, true = {}, {}
    with open_bar(len(mine), None if ranks.first else False) as bar:
        bar.set_description("detect", refresh=False)
        for batch in loader:
            more = {} if batch.proposals is None else {"proposals": batch.proposals}
            answers = detector.detect(batch.images, **more)
            found.update(zip(batch.indices, answers, strict=True))
            for index, target in zip(batch.indices, batch.targets, strict=True):
                true[index] = target | {"ignore": target["difficult"]}
            bar.update(len(batch.images))
    seconds = time.perf_counter() - started
    everywhere = ranks.gathered((found, true, seconds))
    found, true = ({k: v for part in everywhere for k, v in part[i].items()} for i in (0, 1))
    score = evaluate_detections(
        [found[i] for i in range(len(pictures))],
        [true[i] for i in range(len(pictures))],
        protocol="voc07",
    )
    return Judged(
        100 * score.mean if score.by_class else None,
        {VOC_CLASSES[label]: 100 * value for label, value in score.by_class.items()},
        len(pictures),
        sum(part[2] for part in everywhere) / max(1, len(pictures)),
    )


def results_table(judged, paper):
    """Return a table as text: average precision of each class here and in the paper, in percent."""
    lines = [f"{'average precision, %':<22}{'here':>6}{'paper':>7}"]
    for name in VOC_CLASSES:
        here = judged.by_class.get(name)
        lines.append(f"{name:<22}{shown(here):>6}{paper.by_class[name]:7.1f}")
    lines.append(f"{'mean':<22}{shown(judged.mean):>6}{paper.mean:7.1f}")
    return "\n".join([*lines, f"paper: {paper.source}"])


def shown(value):
    """Return a number as text, a hyphen where there is none."""
    return "-" if value is None else f"{value:.1f}"
