"""What the papers did on VOC 2007, and what came out of it."""

from typing import NamedTuple

from course_lib.data import VOC_CLASSES

__all__ = ["PAPERS", "Paper"]


class Paper(NamedTuple):
    """One detector on VOC 2007: trained on trainval, judged on test, with VGG-16.

    Attributes
    ----------
    source : str
        Paper and table of the result.
    by_class : dict of str to float
        Average precision of each class, in percent, by the 11 points.
    mean : float
        Their mean, as printed.
    shorter, longer : int or None
        Pixels: a photograph's shorter side is scaled to the one, unless the longer would exceed the
        other. None leaves it as it is.
    epochs, steps : int, tuple of int
        Passes over the photographs, and those after which the learning rate falls to a tenth.
    images : int
        Photographs in a step.
    learning_rate : float
        Of the weights; that of biases is twice as large.
    proposals : int or None
        Boxes of selective search of each photograph; None if the detector makes its own.
    """

    source: str
    by_class: dict
    mean: float
    shorter: int | None
    longer: int | None
    epochs: int
    steps: tuple
    images: int
    learning_rate: float
    proposals: int | None


def table(row):
    """Return the numbers of a row, in the order of VOC's classes."""
    return dict(zip(VOC_CLASSES, map(float, row.split()), strict=True))


# 40,000 steps of two photographs, or 80,000 of one, are 16 passes over the 5,011; the learning rate
# falls after three quarters.
PAPERS = {
    "rcnn": Paper(
        source="Girshick et al. (2014), R-CNN, Table 3, O-Net BB",
        by_class=table(
            "73.4 77.0 63.4 45.4 44.6 75.1 78.1 79.8 40.5 73.7 62.2 79.4 78.1 73.1 64.2 35.6 66.8 "
            "67.2 70.4 71.1"
        ),
        mean=66.0,
        shorter=None,
        longer=None,
        epochs=16,
        steps=(),
        images=2,
        learning_rate=0.001,
        proposals=2000,
    ),
    "fast-rcnn": Paper(
        source="Girshick (2015), Fast R-CNN, Table 1, FRCN on 07",
        by_class=table(
            "74.5 78.3 69.2 53.2 36.6 77.3 78.2 82.0 40.7 72.7 67.9 79.6 79.2 73.0 69.0 30.1 65.4 "
            "70.2 75.8 65.8"
        ),
        mean=66.9,
        shorter=600,
        longer=1000,
        epochs=16,
        steps=(12,),
        images=2,
        learning_rate=0.001,
        proposals=2000,
    ),
    "faster-rcnn": Paper(
        source="Ren et al. (2015), Faster R-CNN, Table 6, RPN on 07",
        by_class=table(
            "70.0 80.6 70.1 57.3 49.9 78.2 80.4 82.0 52.2 75.3 67.2 80.3 79.8 75.0 76.3 39.1 68.3 "
            "67.3 81.1 67.6"
        ),
        mean=69.9,
        shorter=600,
        longer=1000,
        epochs=16,
        steps=(12,),
        images=1,
        learning_rate=0.001,
        proposals=None,
    ),
}
