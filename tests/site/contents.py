"""The pages of the book, as `_toc.yml` lists them."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
FILES = [entry["file"] for part in TOC["parts"] for entry in part["chapters"]]
CHAPTERS = [name for name in FILES if name.startswith("lectures/")]
PAGES = [TOC["root"], "search", *FILES]
