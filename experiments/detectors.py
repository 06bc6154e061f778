"""The detectors of the command, on the bodies that it knows."""

from course_lib import detection
from course_lib.data import VOC_CLASSES
from course_lib.models import digit_regions, resnet_regions, vgg16_regions

__all__ = ["BODIES", "FROZEN", "build"]

BODIES = ("vgg16", "resnet18", "resnet34", "resnet50", "resnet101", "digit")
REGIONS = detection.Sampling(per_image=64, background=(0.1, 0.5))  # Fast R-CNN, section 2.3
ALONE = detection.Sampling(per_image=128)  # one photograph makes a step, and has all its regions
SMALL = (16, 24, 36)  # pixels of the anchors for pictures of 64, where the paper's do not fit
FROZEN = 2  # first stages that are not trained: conv1 and conv2, or the stem and layer1


def build(detector, body, weights="imagenet"):
    """Return a detector of VOC's classes.

    Parameters
    ----------
    detector : {"rcnn", "fast-rcnn", "faster-rcnn"}
    body : str
        One of :data:`BODIES`. "digit" is the small one of chapter 13, there to try whether all
        runs; its weights are random always.
    weights : {"imagenet", "none"}
        Those of torchvision, which it downloads once, or random ones, of which all stages are
        trained.

    Raises
    ------
    OSError
        If the weights cannot be had.
    """
    given = "IMAGENET1K_V1" if weights == "imagenet" else None
    if body == "digit":
        net = digit_regions(in_channels=3)
    elif body == "vgg16":
        net = vgg16_regions(given)
    else:
        net = resnet_regions(int(body.removeprefix("resnet")), given)
    if given and body != "digit":
        net.freeze(FROZEN)
    if detector == "rcnn":
        return detection.RCNN(net, len(VOC_CLASSES))
    if detector == "fast-rcnn":
        return detection.FastRCNN(net, len(VOC_CLASSES), sampling=REGIONS)
    anchors = {"sizes": SMALL} if body == "digit" else {}
    return detection.FasterRCNN(net, len(VOC_CLASSES), sampling=ALONE, **anchors)
