"""What the book says of itself, read from its own files: chapters, assignments, citation."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["Assignment", "BoxError", "Chapter", "Citation", "assignments", "chapter", "chapters"]

WORDS_A_MINUTE = 200
BOX = re.compile(
    r"\*\*Slides\*\* (?P<slides>\d[\d\u2013, ]*)\. "
    r"\*\*Reading\*\* (?P<reading>\d+) minutes, the exercises as long again\. "
    r"\*\*Running\*\* (?P<running>\d+) seconds on two cores\. "
    r"\*\*Device\*\* (?P<device>[^.]+)\. "
    r"\*\*Needed\*\* (?P<needed>.+)\."
)
FORM = (
    "**Slides** 2\N{EN DASH}6. **Reading** 60 minutes, the exercises as long again. "
    "**Running** 45 seconds on two cores. **Device** any CPU. **Needed** chapter 3."
)


class BoxError(ValueError):
    """The box of a chapter does not say what it should in the words that all chapters use."""


@dataclass(frozen=True)
class Chapter:
    """A chapter, as its box and its cells say."""

    docname: str  # lectures/03-backprop-convolution
    number: int
    title: str
    slides: str
    reading: int  # minutes, as stated
    running: int  # seconds, as stated
    device: str
    needed: str
    words: int
    figures: int
    played: int  # figures that answer to the reader

    @property
    def words_take(self):
        """Minutes to read the words alone, at 200 a minute."""
        return -(-self.words // WORDS_A_MINUTE)

    @property
    def topic(self):
        """The title without the question before it."""
        topic = re.split(r"[?:] ", self.title)[-1]
        return topic[:1].upper() + topic[1:]


@dataclass(frozen=True)
class Assignment:
    """An assignment, as its notebook and the list of mistakes that it tells apart say."""

    name: str
    title: str
    points: int
    gaps: int
    checks: int
    by_hand: int  # points that a person gives
    after: int  # the last chapter that it needs
    time: str  # as stated: "about three hours"
    mistakes: dict  # section -> what students did wrong there, in words


@dataclass(frozen=True)
class Citation:
    """How to cite the course."""

    title: str
    authors: tuple
    version: str
    date: str
    licence: str
    url: str = ""

    @classmethod
    def read(cls, path):
        """Read a ``CITATION.cff``."""
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return cls(
            title=found["title"],
            authors=tuple(
                a.get("name") or f"{a['family-names']}, {a['given-names']}"
                for a in found["authors"]
            ),
            version=str(found["version"]),
            date=str(found["date-released"]),
            licence=found["license"],
            url=found.get("url") or found.get("repository-code") or "",
        )

    @property
    def year(self):
        """Year of the release."""
        return self.date[:4]

    def bibtex(self):
        """The entry for BibTeX; braces keep a group's name and the capitals of the title."""
        names = " and ".join(a if "," in a else f"{{{a}}}" for a in self.authors)
        fields = {
            "author": f"{{{names}}}",
            "title": f"{{{{{self.title}}}}}",
            "year": f"{{{self.year}}}",
            "version": f"{{{self.version}}}",
            "note": f"{{Text CC BY 4.0, code {self.licence}}}",
        }
        if self.url:
            fields["url"] = f"{{{self.url}}}"
        lines = [f"  {key:7} = {value}," for key, value in fields.items()]
        return "\n".join([f"@misc{{gradients{self.year},", *lines, "}"])

    def apa(self):
        """The entry in APA's style (7th edition, software), as Markdown."""
        *others, last = self.authors
        names = f"{', '.join(others)}, & {last}" if others else last
        where = f" {self.url}" if self.url else ""
        return (
            f"{names}. ({self.year}). *{self.title}* (Version {self.version}) "
            f"[Computer software].{where}"
        )


def chapter(path):
    """Read the chapter in the notebook `path`.

    Raises
    ------
    BoxError
        If its box is missing, or in other words than those of the other chapters.
    """
    path = Path(path)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = "".join(cells[0]["source"])
    box = BOX.search(" ".join(first.split()).replace(" :::", "\n"))
    if not box:
        raise BoxError(f"{path.name}: the box of the first cell says these words, in order: {FORM}")
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    codes = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    drawn = [c for c in cells if "figure" in c["metadata"].get("mystnb", {})]
    return Chapter(
        docname=f"lectures/{path.stem}",
        number=int(path.stem[:2]),
        title=first.splitlines()[0].removeprefix("# "),
        reading=int(box["reading"]),
        running=int(box["running"]),
        words=sum(len(text.split()) for text in texts),
        figures=len(drawn),
        played=sum(len(re.findall(r"\bweb\.(?!quiz\b)\w+\(", code)) for code in codes),
        **{key: box[key].strip() for key in ("slides", "device", "needed")},
    )


def chapters(root):
    """The chapters that ``_toc.yml`` lists, in order."""
    contents = yaml.safe_load((Path(root) / "_toc.yml").read_text(encoding="utf-8"))
    parts = [*contents.get("parts", []), contents]
    files = [entry["file"] for part in parts for entry in part.get("chapters", [])]
    return [chapter(Path(root) / f"{name}.ipynb") for name in files if name.startswith("lectures/")]


def assignments(root):
    """The assignments that students get, in the order of their names.

    Only what is released and what says a mistake in words is read: no solution, no hidden test.
    """
    root = Path(root)
    return [_assignment(root, path) for path in sorted((root / "assignments").glob("*/*.ipynb"))]


def _assignment(root, path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = "".join(cells[0]["source"])
    needed = re.search(r"\*\*You need\*\*(.*)", first)[1]
    roles = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    graded = [role for role in roles if role.get("grade")]
    listed = root / "mistakes" / path.stem / "mutants.toml"
    mistakes = {}
    for mutant in tomllib.loads(listed.read_text(encoding="utf-8"))["mutant"]:
        mistakes.setdefault(mutant["section"], []).append(mutant["says"])
    return Assignment(
        name=path.stem,
        title=first.splitlines()[0].removeprefix("# "),
        points=int(sum(role["points"] for role in graded)),
        gaps=sum(bool(role.get("solution")) for role in roles),
        checks=sum(not role.get("solution") for role in graded),
        by_hand=int(sum(role["points"] for role in graded if role.get("solution"))),
        after=max(map(int, re.findall(r"chapter (\d+)", needed))),
        time=re.search(r"\*\*Time\*\*: ([^.]+)\.", first)[1],
        mistakes=mistakes,
    )
