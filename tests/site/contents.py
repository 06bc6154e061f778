"""The pages of the book, as `_toc.yml` lists them."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())


def files(entries):
    """The pages of a list of the contents, and those below them."""
    for entry in entries:
        yield entry["file"]
        yield from files(entry.get("sections", []))


FILES = [name for part in TOC["parts"] for name in files(part["chapters"])]
CHAPTERS = [name for name in FILES if name.startswith("lectures/")]
SOURCES = ["source/numpy_layers/conv", "source/detection/rcnn", "source/shapes"]  # of one form
PAGES = [TOC["root"], "search", *FILES, *SOURCES]
