"""A pytest plug-in: a folder like PASCAL VOC's of ten small pictures with coloured shapes."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

COLOURS = {"bus": (220, 40, 40), "cat": (40, 170, 60), "tvmonitor": (50, 70, 220)}
SIZES = ((64, 48), (48, 64), (56, 56))  # width, height, in pixels
PICTURES = {"trainval": 6, "test": 4}


@pytest.fixture(scope="session")
def tiny_voc(tmp_path_factory):
    """The folder that holds `VOCdevkit`; the tests leave it as it is."""
    return write_voc(tmp_path_factory.mktemp("voc"))


def write_voc(root):
    """Write the pictures, annotations and lists of VOC 2007 below `root`, and return it."""
    base, number = root / "VOCdevkit" / "VOC2007", 0
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    for split, count in PICTURES.items():
        names = [f"{number + i:06}" for i in range(1, count + 1)]
        for name in names:
            write_picture(base, name, np.random.default_rng(int(name)))
        (base / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
        number += count
    return root


def write_picture(base, name, rng):
    """Write a picture with one or two rectangles, the second of which is difficult."""
    W, H = SIZES[int(name) % len(SIZES)]
    pixels = rng.integers(90, 130, (H, W, 3), dtype=np.uint8)
    objects = []
    for i in range(rng.integers(1, 3)):
        w, h = rng.integers(14, 24, 2)
        left, top = rng.integers(0, W // 2 - w // 2) + i * W // 2, rng.integers(0, H - h)
        right = min(left + w, W)
        kind = list(COLOURS)[(int(name) + i) % len(COLOURS)]
        pixels[top : top + h, left:right] = COLOURS[kind]
        objects.append((kind, (left + 1, top + 1, right, top + h), int(i == 1)))
    Image.fromarray(pixels).save(base / "JPEGImages" / f"{name}.jpg", quality=95)
    write_annotation(base / "Annotations" / f"{name}.xml", (W, H), objects)


def write_annotation(path, size, objects):
    """Write class, corners (pixels from 1, both ends included) and difficulty of each object."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{path.stem}.jpg"
    for tag, number in zip(("width", "height", "depth"), (*size, 3), strict=True):
        where = root.find("size")
        where = ElementTree.SubElement(root, "size") if where is None else where
        ElementTree.SubElement(where, tag).text = str(number)
    for kind, corners, difficult in objects:
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = kind
        ElementTree.SubElement(thing, "difficult").text = str(difficult)
        box = ElementTree.SubElement(thing, "bndbox")
        for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            ElementTree.SubElement(box, tag).text = str(corner)
    path.write_bytes(ElementTree.tostring(root))
