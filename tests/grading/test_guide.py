"""The guide for instructors does what it says: its commands, run in order as they stand there.

The assignment is a small one under the name that the page uses: the powers of :mod:`powers`, with
two known mistakes and a question in words. Between the blocks stands what only people do: they
hand in, and grade by hand.
"""

import csv
import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
import yaml
from nbformat.v4 import new_markdown_cell
from powers import POINTS, ROOT, TIMEOUT, Student, cell, source_notebook

from course_lib.grading.cli import main
from course_lib.grading.course import Course

PAGE = (ROOT / "pages" / "instructors.md").read_text()
NAME = "ad-modes"
WORDS = 6  # points of the question in words
HOME = "/home/you/gradients-to-detectors"  # where the course is on the page
MUTANTS = """
chapter = "lectures/02-forward-and-reverse-mode"

[[mutant]]
name = "doubled"
says = "it doubles the number instead of multiplying it by itself"
section = "Powers"
loses = ["square"]
change.square-code = [["return x * x", "return x + x"]]

[[mutant]]
name = "first"
says = "it takes the first for the last"
section = "Powers"
loses = ["last"]
change.last-code = [["return x[-1]", "return x[0]"]]
"""
NOT_RUN = {  # line: why it is not run here; test_what_is_not_run has what speaks for it
    "sudo apt-get update": "needs an administrator and the network",
    "sudo apt-get install --yes make git python3-venv bubblewrap": "needs both too",
    "git clone REPOSITORY gradients-to-detectors": "needs the network",
    "cd gradients-to-detectors": "belongs to the line before",
    "make setup": "is what made the environment of this test",
    "make lab": "a server; tests/nbgrader/test_lab.py clicks in its formgrader",
}
RUN = {".venv/bin/course", ".venv/bin/python", "mkdir", "for", "student=$(basename", "done"}


def steps(page):
    """Return triples of section, commands and what they print, for each block of commands."""
    found, section = [], ""
    blocks = re.compile(
        r"^## (?P<title>[^\n]*)$|^```(?P<kind>bash|text)\n(?P<body>.*?)\n```$", re.M | re.S
    )
    for block in blocks.finditer(page):
        if block["title"]:
            section = block["title"]
        elif block["kind"] == "bash":
            found.append([section, block["body"], ""])
        elif found and found[-1][0] == section and not found[-1][2]:
            found[-1][2] = block["body"]
    return [tuple(step) for step in found]


STEPS = steps(PAGE)


def lines():
    """Return every line of every block of commands."""
    return [line for _, commands, _ in STEPS for line in commands.split("\n")]


class Walk:
    """A course in a folder of its own, in which the page is followed.

    `said` has the exit status and the output of each block, by its number; `tables` the grades
    that were exported in each section; `shown` the points that `course status` has at the end.
    """

    def __init__(self, root):
        self.root = root
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "HOME": str(root.parent),
            "COLUMNS": "100",
        }
        self.said, self.tables = {}, {}
        (root / "solutions" / NAME).mkdir(parents=True)
        (root / "mistakes" / NAME).mkdir(parents=True)
        notebook = source_notebook()
        numbers = "import numpy as np\nassert square(np.arange(6.0)).sum() == 55, 'not the squares'"
        check = cell(notebook, "square")
        check.source = check.source.replace("assert", f"{numbers}\nassert", 1)
        role = {"grade": True, "solution": True, "locked": False, "task": False, "points": WORDS}
        marks = {"grade_id": "words", "schema_version": 3, **role}
        question = new_markdown_cell("An odd one.", id="words", metadata={"nbgrader": marks})
        notebook.cells.append(question)
        nbformat.write(notebook, root / "solutions" / NAME / f"{NAME}.ipynb")
        (root / "mistakes" / NAME / "mutants.toml").write_text(MUTANTS)
        config = (ROOT / "nbgrader_config.py").read_text()
        faster = f"\nc.ExecutePreprocessor.timeout = {TIMEOUT}\n"
        (root / "nbgrader_config.py").write_text(config + faster)
        (root / ".venv").symlink_to(sys.prefix)

    def follow(self):
        """Do what the page says, from its first block to its last."""
        before = ""
        for number, (section, commands, _) in enumerate(STEPS):
            if section != before:
                self.people_before(section)
            before = section
            typed = [line for line in commands.split("\n") if line not in NOT_RUN]
            done = subprocess.run(
                ["bash", "-e", "-c", "\n".join(typed)],
                cwd=self.root,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.said[number] = done.returncode, done.stdout
            table = self.root / f"grades-{NAME}.csv"
            if table.is_file():
                with table.open() as file:
                    rows = {row["student"]: row for row in csv.DictReader(file)}
                self.tables[section] = rows

    def people_before(self, section):
        """What others do before a section begins."""
        if section == "Collect":
            self.hand_in()
        elif section == "Give feedback":
            self.grade_by_hand({"ada": 6, "ben": 3})
        elif section == "When more is handed in":
            for name in ("cleo", "dora"):
                self.write(Student(15), self.root / "late" / name / f"{NAME}.ipynb")

    def write(self, student, path):
        """Write a notebook with answers, one in words among them; return its path."""

        def answer(notebook):
            notebook.cells[-1].source = "Because the last is the first of the reversed."
            cell(notebook, "cube-code").source += f"  # by {path.parent.name}"

        student.edit = answer  # each notebook differs, so that each is run
        student.hand_in(self.root / "rehearsal" / NAME / f"{NAME}.ipynb", path)
        return path

    def hand_in(self):
        """Pack what came in, as the page shows it."""
        outside = self.root.parent
        ada = self.write(Student(15), outside / "ada" / f"{NAME}.ipynb")
        ben = self.write(Student(14, {"square": "return x + x"}), outside / "ben" / f"{NAME}.ipynb")
        with zipfile.ZipFile(outside / "ben.zip", "w") as packed:
            packed.write(ben, f"{NAME}/{NAME}.ipynb")
        with zipfile.ZipFile(self.root / "submissions.zip", "w") as packed:
            packed.write(ada, f"ada/{NAME}.ipynb")
            packed.write(outside / "ben.zip", "ben.zip")
            packed.writestr(f"cleo/{NAME}.ipynb", "what formgrader would choke on")

    def grade_by_hand(self, points):
        """Give points for words, as formgrader writes them."""
        with Course(self.root).gradebook() as gradebook:
            for student, given in points.items():
                grade = gradebook.find_grade("words", NAME, NAME, student)
                assert grade.needs_manual_grade
                grade.manual_score, grade.needs_manual_grade = given, False
            gradebook.db.commit()

    def page(self, student):
        """The feedback page of a student."""
        return (self.root / "feedback" / student / NAME / f"{NAME}.html").read_text()


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The course, after the whole page was followed."""
    unknown = [line for line in lines() if line not in NOT_RUN and line.split()[0] not in RUN]
    assert unknown == [], "say in NOT_RUN why it is not run, or allow its program in RUN"
    walk = Walk(tmp_path_factory.mktemp("guide") / "course")
    walk.follow()
    return walk


def test_the_page_has_all_steps():
    order = list(dict.fromkeys(section for section, _, _ in STEPS))
    assert order == [
        *("Install", "Release", "Hand out", "Collect", "Grade", "Grade words by hand"),
        *("Give feedback", "When more is handed in"),
    ]
    called = set(re.findall(r"\.venv/bin/course (\w+)", "\n".join(lines())))
    assert called == {
        *("doctor", "release", "check", "collect", "grade", "status", "explain", "feedback"),
        "export",
    }


def test_what_is_not_run():
    """Lines that need an administrator, the network or a browser agree with what else says them."""
    assert set(NOT_RUN) <= set(lines())
    learners = (ROOT / "pages" / "learners.md").read_text()
    cluster = (ROOT / "pages" / "cluster.md").read_text()
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    (install,) = (line for line in NOT_RUN if "install" in line)
    *packages, wall = install.split()[4:]
    assert f"sudo apt install {' '.join(packages)}\n" in learners
    assert f"sudo apt install {wall}`" in cluster
    assert set(packages) <= set(re.search(r"apt-get install (.*)", workflow)[1].split())
    assert "\ncd gradients-to-detectors\n" in learners
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"setup", "lab"} <= set(targets)


def pattern(line, root):
    """What a line of the page matches: its numbers are others, its folder is another."""
    text = re.escape(" ".join(line.split())).replace(re.escape(HOME), re.escape(str(root)))
    return re.sub(r"\d+(\\\.\d+)*", r"[\\d.]+", text)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_block_does_what_the_page_says(walk, number):
    _, commands, printed = STEPS[number]
    status, said = walk.said[number]
    checked = ".venv/bin/course check" in commands  # a notebook without answers
    assert status == (1 if checked else 0), said
    said = " ".join(re.sub(r"[\u2500-\u257f]", " ", said).split())
    for line in filter(None, printed.split("\n")):
        assert re.search(pattern(line, walk.root), said), f"{line}\nis not in\n{said}"


def test_what_is_handed_out(walk):
    with zipfile.ZipFile(walk.root / "bundles" / f"{NAME}.zip") as packed:
        assert packed.namelist() == [f"{NAME}/{NAME}.ipynb"]
        text = packed.read(f"{NAME}/{NAME}.ipynb").decode()
    assert "YOUR CODE HERE" in text
    assert "HIDDEN" not in text
    assert "return x**3" not in text


def test_the_points(walk):
    most = sum(POINTS.values())
    first, last = walk.tables["Give feedback"], walk.tables["When more is handed in"]
    assert {name: row["score"] for name, row in first.items()} == {
        "ada": f"{most + 6}",
        "ben": f"{most - 1 + 3}",
        "cleo": "",
    }
    assert {name: row["score"] for name, row in last.items()} == {
        "ada": f"{most + 6}",
        "ben": f"{most - 1 + 3}",
        "cleo": f"{most}",
        "dora": f"{most}",
    }
    assert [row["by_hand"] for row in last.values()] == ["", "", "waiting", "waiting"]


def test_only_what_is_new_is_run(walk):
    (first, last) = (
        walk.said[number][1]
        for number, (_, commands, _) in enumerate(STEPS)
        if "course grade" in commands
    )
    assert "2 graded; 2 notebooks run, 0 known" in first
    assert "4 graded; 2 notebooks run, 2 known" in last


def test_the_status_has_the_points_given_by_hand(walk, capsys):
    assert main(["status", NAME, "--root", str(walk.root)]) == 0
    said = " ".join(re.sub(r"[\u2500-\u257f]", " ", capsys.readouterr().out).split())
    assert "ada graded 21 of 21" in said
    assert "dora graded 15 of 21 waits for a grade by hand" in said


def test_what_the_exports_say(walk):
    table = (walk.root / f"grades-{NAME}-canvas.csv").read_text()
    assert table.startswith(f"Student,ID,SIS Login ID,Section,{NAME}\n")
    assert "ada,,ada,,21\n" in table


def test_the_feedback(walk):
    assert "Score: 21.0 / 21.0" in " ".join(walk.page("ada").split())
    ben = walk.page("ben")
    assert "it doubles the number instead of multiplying it by itself" in ben
    assert "1 hidden check" in ben
    assert "62710561" not in ben


def test_what_is_returned(walk):
    names = {path.stem for path in (walk.root / "returned").iterdir()}
    assert names == {"ada", "ben", "cleo"}
    with zipfile.ZipFile(walk.root / "returned" / "ada.zip") as packed:
        assert packed.read(f"{NAME}/{NAME}.html").decode() == walk.page("ada")
    with zipfile.ZipFile(walk.root / "returned" / "cleo.zip") as packed:
        assert "not JSON" in packed.read(f"{NAME}/not-graded.html").decode()


def test_a_second_submission_takes_the_place_of_the_first(walk):
    pages = sorted(path.name for path in (walk.root / "feedback" / "cleo" / NAME).glob("*.html"))
    assert pages == [f"{NAME}.html"]


def test_what_is_written_stays_out_of_git_and_of_the_book(walk):
    """The page is followed in the repository itself: nobody's work may get into either."""
    tracked = {"solutions", "mistakes", "assignments", "nbgrader_config.py"}
    made = sorted(path for path in walk.root.iterdir() if path.name not in tracked)
    names = [f"{path.name}/" if path.is_dir() else path.name for path in made]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *names], cwd=ROOT, capture_output=True, text=True
    )
    assert ignored.stdout.split() == names
    folders = {path.name for path in made if path.is_dir() and not path.name.startswith(".")}
    excluded = yaml.safe_load((ROOT / "_config.yml").read_text())["exclude_patterns"]
    assert folders <= set(excluded)


def test_a_mended_check_is_run_on_everybody(walk, capsys):
    """The last of the page. The check of `square` gets weaker, but ben is wrong all the same."""
    source = walk.root / "solutions" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    cell(notebook, "square").source = "assert square(1) == 1"
    nbformat.write(notebook, source)
    (walk.root / "mistakes" / NAME / "mutants.toml").unlink()
    root = ["--root", str(walk.root)]
    assert main(["release", NAME, *root]) == 0
    assert main(["grade", NAME, *root]) == 0
    assert "4 graded; 4 notebooks run, 0 known" in " ".join(capsys.readouterr().out.split())
    assert main(["status", NAME, *root]) == 0
    said = " ".join(re.sub(r"[\u2500-\u257f]", " ", capsys.readouterr().out).split())
    waits = "waits for a grade by hand"  # to be looked at again; the points are kept
    assert f"ada graded 21 of 21 {waits} ben graded 17 of 21 {waits} cleo graded 15 of 21" in said
