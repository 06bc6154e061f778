"""PASCAL VOC, read through torchvision: photographs with boxes around objects of 20 classes.

The one data set here that is not inside a package: it has to be downloaded, or to be there.
"""

import math
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
NUMBER = {name: number for number, name in enumerate(VOC_CLASSES)}
SPLITS = {"2007": ("train", "val", "trainval", "test")}
SPLITS |= {str(year): ("train", "val", "trainval") for year in range(2008, 2013)}
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def voc(root, year="2007", split="trainval", download=False):
    """Return the photographs of a split of PASCAL VOC with what is seen in them.

    Parameters
    ----------
    root : str or Path
        The folder that holds `VOCdevkit`.
    year : {"2007", "2008", ..., "2012"}
    split : {"train", "val", "trainval", "test"}
        The objects of a test split were published for 2007 only.
    download : bool
        Whether to fetch the archive, about 450 MB for a split of 2007, into `root` first, unless it
        is there. torchvision compares its MD5 sum with the one that it knows.

    Returns
    -------
    VOC

    Raises
    ------
    ValueError
        If there is no such year, or no such split of it.
    FileNotFoundError
        If the data is not there, or could not be downloaded; the message says what to do.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", section 3.

    Examples
    --------
    >>> photographs = voc("data", split="test")
    >>> image, target = photographs[0]
    >>> image.shape, target["boxes"][0].tolist(), VOC_CLASSES[target["labels"][0]]
    ((3, 500, 353), [47.0, 239.0, 195.0, 371.0], 'dog')
    """
    return VOC(root, year, split, download)


class VOC(Sequence):
    """What :func:`voc` returns: pairs ``(image, target)``, read from their files when asked for.

    image  : ``(3, H, W)`` float32 in 0..1, of any size
    target : dict of ``boxes`` ``(n, 4)`` float32, ``x1 y1 x2 y2`` in pixels, without the 1 that the
             files add; ``labels`` ``(n,)`` int64, 0 to 19 in the order of :data:`VOC_CLASSES`; and
             ``difficult`` ``(n,)`` bool, objects that need not be found. n may be 0.

    The files count pixels from 1 and include both ends. Here a box has edges: pixels 1 to 3 reach
    from 0 to 3. What of a box lies outside its photograph is cut off.

    Attributes
    ----------
    names : list of str
        The names of the photographs, as ``000005``.

    Raises
    ------
    ValueError
        On reading, if a photograph or its annotation is damaged; if a box is inside out, or lies
        wholly outside the photograph; if a class is unknown. The message names the file.
    """

    def __init__(self, root, year="2007", split="trainval", download=False):
        self.year, self.split = str(year), split
        if self.year not in SPLITS or split not in SPLITS[self.year]:
            splits = SPLITS.get(self.year, SPLITS["2007"])
            raise ValueError(
                f"voc: `year` is {year!r} and `split` {split!r}, expected a year from 2007 to 2012 "
                f"and one of {', '.join(splits)}; objects of a test split are public for 2007 only"
            )
        self.files = opened(Path(root), self.year, split, download)
        self.names = [Path(image).stem for image in self.files.images]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        if not isinstance(index, Integral):
            raise TypeError(f"VOC: the index is {index!r}, expected an int; pictures come singly")
        index = range(len(self))[index]  # raises IndexError, and counts from the end if negative
        path, annotation = self.files.images[index], self.files.annotations[index]
        try:
            pixels, tree = self.files[index]
        except FileNotFoundError:
            raise
        except ParseError as error:
            raise ValueError(f"voc: {annotation} is no XML: {error}; {AGAIN}") from error
        except OSError as error:
            raise ValueError(f"voc: {path} is no photograph: {error}; {AGAIN}") from error
        image = np.asarray(pixels, np.float32).transpose(2, 0, 1) / 255
        return image, parsed(annotation, tree, image.shape[:0:-1])


AGAIN = "unpack the archive again"


def opened(root, year, split, download):
    """Return torchvision's data set, or say what to do to have it."""
    from torchvision import datasets  # imported here: it takes a second, and few need it

    try:
        return datasets.VOCDetection(root, year=year, image_set=split, download=download)
    except (OSError, RuntimeError) as error:
        known = datasets.voc.DATASET_YEAR_DICT["2007-test" if split == "test" else year]
        verb = "could not download" if download else "there is no"
        remedy = "try again" if download else "pass `download=True`"
        raise FileNotFoundError(
            f"voc: {verb} {split} of VOC {year} in {root / known['base_dir']} ({error}); {remedy}, "
            f"or unpack {known['filename']} from {known['url']} in {root}"
        ) from error


def parsed(path, tree, size):
    """Return the target of an annotation, a tree of dicts, of a photograph of ``(W, H)`` pixels."""
    try:
        objects = tree["annotation"]["object"]
    except (KeyError, TypeError):
        raise ValueError(f"voc: {path} has no <annotation>; {AGAIN}") from None
    boxes = np.empty((len(objects), 4), np.float32)
    labels = np.empty(len(objects), np.int64)
    difficult = np.empty(len(objects), bool)
    for i, thing in enumerate(objects):
        where = f"voc: {path}: object {i}"
        try:
            name, corners = thing["name"], [float(thing["bndbox"][key]) for key in CORNERS]
            difficult[i] = int(thing.get("difficult", 0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{where} cannot be read ({error!r}), expected <name>, <bndbox> with "
                f"{', '.join(CORNERS)} in numbers, and <difficult> of 0 or 1"
            ) from error
        if name not in NUMBER:
            raise ValueError(
                f"{where} is a {name!r}, expected one of the {len(NUMBER)} VOC_CLASSES"
            )
        labels[i], boxes[i] = NUMBER[name], edges(where, corners, size)
    return {"boxes": boxes, "labels": labels, "difficult": difficult}


def edges(where, corners, size):
    """Return ``x1 y1 x2 y2`` of pixels counted from 1, cut off at the photograph's ends."""
    xmin, ymin, xmax, ymax = corners
    if not (math.isfinite(sum(corners)) and xmin <= xmax and ymin <= ymax):
        raise ValueError(
            f"{where} has a box inside out, {corners}, expected xmin <= xmax and ymin <= ymax"
        )
    box = np.clip([xmin - 1, ymin - 1, xmax, ymax], 0, [*size, *size])
    if not (box[:2] < box[2:]).all():
        raise ValueError(
            f"{where} lies outside its photograph of {size[0]} x {size[1]} pixels: {corners}"
        )
    return box
