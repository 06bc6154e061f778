"""An assignment of another course: the same points as from stock nbgrader, cell by cell."""

import csv
import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from text_statistics import ASSIGNMENT, BY_HAND, CHECKS, POINTS, Texts, right

from course_lib.grading import export
from course_lib.grading.course import Course
from course_lib.grading.explain import explain
from course_lib.grading.feedback import write_feedback

ANOTHER_WAY = {
    "words": 'import re\n\n\ndef words(text):\n    return re.findall(r"[\\w\']+", text.lower())',
    "frequencies": "from collections import Counter\n\n\n"
    "def frequencies(text):\n    return Counter(words(text))",
    "tally": "from collections import Counter\n\n\n"
    "class Many(Counter):\n"
    "    def add(self, thing, times=1):\n        self[thing] += times\n\n"
    "    def most_common(self):\n        return super().most_common(1)[0][0]\n\n\n"
    "new_tally = Many",
    "pairs": "from itertools import pairwise\n\n\ndef pairs(words):\n    return pairwise(words)",
    "longest": "def longest(words, key=len):\n"
    "    try:\n        most = max(key(w) for w in words)\n"
    "    except ValueError:\n        raise ValueError('there are no words') from None\n"
    "    return list(filter(lambda w: key(w) == most, words))",
    "lines": "from pathlib import Path\n\n\n"
    "def lines(name):\n    return list(filter(None, Path(name).read_text().splitlines()))",
    "summary": "from collections import namedtuple\n\n"
    "Summary = namedtuple('Summary', 'words letters names')\n\n\n"
    "def summarize(lines):\n"
    "    text = ' '.join(lines)\n"
    "    letters = len([c for c in text if c.isalpha()])\n"
    "    found = text.split()\n"
    "    return Summary(len(found), letters, [w for w in found if w.istitle()])",
    "report": "import sys\n\n\n"
    "def report(lines, width):\n"
    "    rows = (f'{n:>3} {l:.{width}}\\n' for n, l in enumerate(lines, 1))\n"
    "    sys.stdout.writelines(rows)",
    "pick": "import random\n\n\n"
    "def pick(words, count, seed):\n"
    "    random.seed(seed)\n    words = list(words)\n    random.shuffle(words)\n"
    "    return words[:count]",
}
WRONG = {
    "words": "def words(text):\n    return text.lower().replace(',', '').split()",
    "tally": right("tally").replace("def __init__(self):\n        self.", ""),
    "pairs": "def pairs(words):\n    return list(zip(words[:-1], words[1:]))",
    "longest": "def longest(words, key=len):\n    top = max(map(len, words))\n"
    "    return [w for w in words if len(w) == top]",
    "lines": "def lines(name):\n    return ['', '', '', '']",
    "summary": right("summary").replace("istitle()", "isupper()"),
    "report": right("report").replace("line[:width]", "line"),
    "pick": "import random\n\n\ndef pick(words, count, seed):\n"
    "    return random.sample(words, count)",
}
RAISES = {
    "words": "def words(text):\n    return text.splitwords()",
    "tally": "class Tally:\n    pass\n\ndef new_tally():\n    return Tally()",
    "longest": "def longest(words, key=len):\n    return sorted(words)[0]",
    "lines": "def lines(name)\n    return open(name)",
    "pick": "raise NotImplementedError()",
}


NOISY = {
    name: right(name).replace('"""\n    ', '"""\n    print("called", locals())\n    ')
    for name in ("words", "frequencies", "pairs", "longest", "lines", "pick")
}
STDERR = {
    "words": right("words").replace("    return", "    print('slow', file=sys.stderr)\n    return")
    + "\n\nimport sys",
    "pick": "import random\nimport warnings\n\n\ndef pick(words, count, seed):\n"
    "    warnings.warn('this is old', stacklevel=1)\n"
    "    return random.Random(seed).sample(words, count)",
}


def more_cells(name, notebook):
    """Put cells of one's own between the others, and move into them what helps."""
    notebook.cells.insert(1, new_markdown_cell("My notes"))
    if name == "counting":
        notebook.cells.insert(1, new_code_cell("CHARACTERS = '.,!?'\nNumber = int"))
        notebook.cells.insert(5, new_code_cell("words('Is this right?')"))
    notebook.cells.append(new_code_cell("%%time\n1 / 0"))


CLASS = {
    "right": {},
    "another-way": {"answers": ANOTHER_WAY},
    "wrong": {"answers": WRONG},
    "raises": {"answers": RAISES},
    "one-notebook": {"without": ["reading"]},
    "nothing": {"answers": dict.fromkeys(ANOTHER_WAY) | dict.fromkeys(BY_HAND)},
    "noisy": {"answers": NOISY},
    "stderr": {"answers": STDERR},
    "more-cells": {
        "answers": {"words": right("words").replace('".,!?"', "CHARACTERS")},
        "edit": more_cells,
    },
}
# Where we differ from stock nbgrader, and why: what a cell writes to stderr is no mistake, but
# stock takes it for one, and gives that cell 0 points.
DIFFERENT = {("stderr", "words-check"), ("stderr", "frequencies-check"), ("stderr", "pick-check")}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The course, with its class graded in the sandbox; `stock` is the same, not graded yet."""
    made = Texts(tmp_path_factory.mktemp("texts") / "ours")
    for student, handed_in in CLASS.items():
        made.hand_in(student, **handed_in)
    made.stock = made.root.with_name("stock")
    shutil.copytree(made.root, made.stock)
    made.done = made.grade()
    made.points = made.automatic()
    return made


@pytest.fixture(scope="module")
def stock(texts):
    """What stock nbgrader gives the same class."""
    command = [str(Path(sys.executable).with_name("nbgrader")), "autograde", ASSIGNMENT]
    done = subprocess.run(command, cwd=texts.stock, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = Texts.__new__(Texts)
    theirs.course = Course(texts.stock)
    return theirs.automatic()


@pytest.mark.parametrize("student", CLASS)
def test_stock_nbgrader_gives_the_same_points(texts, stock, student):
    ours, theirs = texts.points[student], stock[student]
    different = {(student, name) for name in theirs if ours[name] != theirs[name]}
    assert different == {place for place in DIFFERENT if place[0] == student}
    for _, name in different:
        assert (ours[name], theirs[name]) == (POINTS[name.removesuffix("-check")], 0)


@pytest.mark.parametrize(
    "student, lost",
    [
        ("right", []),
        ("another-way", []),
        ("noisy", []),
        ("stderr", []),
        ("more-cells", []),
        ("raises", ["words", "frequencies", "tally", "longest", "lines", "pick"]),
        ("one-notebook", ["lines", "summary", "report", "pick"]),
        ("wrong", list(set(CHECKS) - {"longest"})),
        ("nothing", list(CHECKS)),
    ],
)
def test_points(texts, student, lost):
    found = texts.points[student]
    without = {name for name in CHECKS if found[f"{name}-check"] == 0}
    assert without == set(lost)


def test_a_number_at_the_end_of_a_check_is_points_in_part(texts):
    assert texts.points["wrong"]["longest-check"] == 2.5


def test_what_a_person_grades_waits_for_one(texts):
    assert {name: texts.points["right"][name] for name in BY_HAND} == dict.fromkeys(BY_HAND)
    assert [texts.points["nothing"][name] for name in BY_HAND] == [0, 0, None]


def test_what_students_get(texts):
    with zipfile.ZipFile(texts.bundle) as packed:
        read = {name: packed.read(name).decode() for name in packed.namelist()}
    assert set(read) == {
        f"{ASSIGNMENT}/{name}" for name in ("counting.ipynb", "poem.txt", "reading.ipynb")
    }
    assert not [t for t in read.values() if "BEGIN" in t or "Ave!" in t or "A whole poem" in t]


def test_feedback(texts):
    assert write_feedback(texts.course, ASSIGNMENT) == len(CLASS)
    for student in CLASS:
        pages = sorted(texts.course.folder("feedback", ASSIGNMENT, student).glob("*.html"))
        expected = ["counting"] if student == "one-notebook" else ["counting", "reading"]
        assert [page.stem for page in pages] == expected
        for page in pages:
            text = page.read_text()
            assert "hidden check" in text
            assert not re.search("Ave!|itertools.count|alone|nothing.txt", text)
            assert "http-equiv" not in text
            assert not re.search(r"<(script|link)[^>]+(src|href)=.http", text)


def test_export(texts):
    found = export.grades(texts.course, ASSIGNMENT)
    rows = {
        row["student"]: row
        for row in csv.DictReader(io.StringIO(export.write(found, "A", format="csv")))
    }
    assert set(rows) == set(CLASS)
    assert rows["right"]["by_hand"] == "waiting"
    assert (rows["wrong"]["score"], rows["wrong"]["max_score"]) == ("2.5", "29")
    assert rows["one-notebook"]["lines-check"] == "0"


def test_explain(texts):
    losses = {loss.cell: loss for loss in explain(texts.course, ASSIGNMENT, "wrong")}
    assert losses["words-check"].why == "AssertionError: not in order"
    assert losses["longest-check"].why == "in part"
    assert losses["why"].why == "waits for somebody to grade it"


def test_nothing_is_run_twice(texts):
    assert texts.grade().executed == 0
