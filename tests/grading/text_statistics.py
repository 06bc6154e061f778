"""Another course: an ordinary nbgrader assignment of two notebooks, which imports no course_lib.

What it asks for is what beginners are asked: lists and dicts, a class, a generator, exceptions, a
file beside the notebook, a dataclass, something printed, chance with a seed, and answers for a
person to read. Its folders and its configuration are nbgrader's own defaults.
"""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.grading import autograde, course, release
from course_lib.grading.engines import LocalEngine

ASSIGNMENT = "text-statistics"
NOTEBOOKS = ("counting", "reading")
POEM = "The rose is red,\nthe violet's blue.\n\nthe honey's sweet,\nand so are you.\n"
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "texts"\n'

# Each name has the reference answer, by which students begin, and the check behind it.
ANSWERS = {
    "words": """def words(text):
    \"\"\"The words of a text in lower case, without punctuation.\"\"\"
    ### BEGIN SOLUTION
    return [word.strip(".,!?").lower() for word in text.split()]
    ### END SOLUTION""",
    "frequencies": """def frequencies(text):
    \"\"\"How often each word occurs.\"\"\"
    ### BEGIN SOLUTION
    found = {}
    for word in words(text):
        found[word] = found.get(word, 0) + 1
    return found
    ### END SOLUTION""",
    "tally": """class Tally:
    \"\"\"Counts what is added to it.\"\"\"

    ### BEGIN SOLUTION
    def __init__(self):
        self.counts = {}

    def add(self, thing, times=1):
        self.counts[thing] = self[thing] + times

    def __getitem__(self, thing):
        return self.counts.get(thing, 0)

    def __len__(self):
        return len(self.counts)

    def __contains__(self, thing):
        return thing in self.counts

    def most_common(self):
        return max(self.counts, key=self.counts.get)
    ### END SOLUTION


def new_tally():
    return Tally()""",
    "pairs": """def pairs(words):
    \"\"\"Yield each word with the next one.\"\"\"
    ### BEGIN SOLUTION
    before = None
    for number, word in enumerate(words):
        if number:
            yield before, word
        before = word
    ### END SOLUTION""",
    "longest": """def longest(words, key=len):
    \"\"\"The words whose key is the greatest.\"\"\"
    ### BEGIN SOLUTION
    if not words:
        raise ValueError("no words")
    most = max(map(key, words))
    return [word for word in words if key(word) == most]
    ### END SOLUTION""",
    "why": "### BEGIN SOLUTION\nA dict finds a word at once.\n### END SOLUTION",
    "lines": """def lines(name):
    \"\"\"The lines of a file that are not empty.\"\"\"
    ### BEGIN SOLUTION
    with open(name) as file:
        return [line.strip() for line in file if line.strip()]
    ### END SOLUTION""",
    "summary": """from dataclasses import dataclass, field


@dataclass
class Summary:
    words: int
    letters: int = 0
    names: list = field(default_factory=list)


def summarize(lines):
    \"\"\"A Summary of some lines.\"\"\"
    ### BEGIN SOLUTION
    found = [word for line in lines for word in line.split()]
    letters = sum(character.isalpha() for word in found for character in word)
    return Summary(len(found), letters, [word for word in found if word.istitle()])
    ### END SOLUTION""",
    "report": """def report(lines, width):
    \"\"\"Print the lines with their numbers, cut at a width.\"\"\"
    ### BEGIN SOLUTION
    for number, line in enumerate(lines, 1):
        print(f"{number:3} {line[:width]}")
    ### END SOLUTION""",
    "pick": """import random


def pick(words, count, seed):
    \"\"\"Different words, chosen by chance; the same for the same seed.\"\"\"
    ### BEGIN SOLUTION
    return random.Random(seed).sample(words, count)
    ### END SOLUTION""",
    "draw": "### BEGIN SOLUTION\nprint('*' * 3)\n### END SOLUTION",
}
CHECKS = {
    "words": (
        'assert words("One, two") == ["one", "two"]\nassert isinstance(words("a"), list)',
        'assert words("") == []\nassert words("Ave!  Ave?") == ["ave", "ave"], "not in order"',
    ),
    "frequencies": (
        'assert frequencies("a b a") == {"a": 2, "b": 1}',
        'counted = frequencies("O o O.")\nassert sorted(counted.items()) == [("o", 3)]',
    ),
    "tally": (
        "tally = new_tally()\n"
        'tally.add("rose")\n'
        'tally.add("rose", times=2)\n'
        'assert tally["rose"] == 3\n'
        'assert tally["thorn"] == 0\n'
        'assert "rose" in tally and "thorn" not in tally',
        'tally.add("lily")\nassert len(tally) == 2, len(tally)\n'
        'assert tally.most_common() == "rose"\n'
        'other = new_tally()\nassert len(other) == 0, "two tallies share their counts"',
    ),
    "pairs": (
        'assert list(pairs(["a", "b", "c"])) == [("a", "b"), ("b", "c")]',
        "import itertools\n"
        "first = itertools.islice(pairs(itertools.count()), 2)\n"
        'assert list(first) == [(0, 1), (1, 2)], "it does not yield one after the other"\n'
        'assert not list(pairs(["alone"]))',
    ),
    "longest": (  # gives points in part
        "earned = 0\n"
        'if longest(["a", "bb", "cc"]) == ["bb", "cc"]:\n'
        "    earned += 1.5\n"
        'if longest(["b", "a"], key=lambda word: -ord(word)) == ["a"]:\n'
        "    earned += 0.5\n"
        "try:\n"
        "    longest([])\n"
        "except ValueError as error:\n"
        '    earned += 2 if "no words" in str(error) else 1\n'
        "except Exception:\n"
        "    pass\n"
        "earned",
        "",
    ),
    "lines": (
        "found = lines(FILE)\nassert len(found) == 4, len(found)",
        'assert found[1] == "the violet\'s blue."\n'
        "try:\n"
        '    lines("nothing.txt")\n'
        "except FileNotFoundError:\n"
        "    pass\n"
        "else:\n"
        '    raise AssertionError("a file that is not there has no lines")',
    ),
    "summary": (
        'found = summarize(["Ann is", "here"])\nassert found.words == 3\nassert found.letters == 9',
        'assert found.names == ["Ann"]\nassert found == summarize(["Ann", "is here"])\n'
        "assert repr(found) == \"Summary(words=3, letters=9, names=['Ann'])\"",
    ),
    "report": (
        "printed = StringIO()\n"
        "with redirect_stdout(printed):\n"
        '    report(["red", "violet"], 3)\n'
        'assert printed.getvalue() == "  1 red\\n  2 vio\\n"',
        "printed = StringIO()\n"
        "with redirect_stdout(printed):\n"
        '    print("above")\n'
        '    report(["x"], 9)\n'
        '    print("below")\n'
        'assert printed.getvalue().splitlines() == ["above", "  1 x", "below"]',
    ),
    "pick": (
        'chosen = pick(list("abcdefgh"), 4, seed=3)\n'
        "assert len(set(chosen)) == 4\n"
        'assert chosen == pick(list("abcdefgh"), 4, seed=3)',
        "assert len({tuple(pick(list(range(99)), 5, seed)) for seed in range(9)}) > 1",
    ),
}
POINTS = dict(zip(CHECKS, (2, 2, 3, 2, 4, 2, 3, 2, 2), strict=True))
BY_HAND = {"why": 3, "draw": 2, "essay": 2}
WHERE = {"counting": list(ANSWERS)[:6], "reading": list(ANSWERS)[6:]}
GIVEN = 'from contextlib import redirect_stdout\nfrom io import StringIO\n\nFILE = "poem.txt"'


def marks(name, *, grade=False, solution=False, locked=False, task=False, points=None):
    """The metadata of one of nbgrader's cells."""
    role = {"grade": grade, "solution": solution, "locked": locked, "task": task}
    worth = {} if points is None else {"points": points}
    return {"nbgrader": {"grade_id": name, "schema_version": 3, **role, **worth}}


def source(notebook):
    """One of the instructor's notebooks."""
    cells = [new_markdown_cell(f"# {notebook.title()}", id="title")]
    if notebook == "reading":
        cells.append(new_code_cell(GIVEN, id="given", metadata=marks("given", locked=True)))
    for name in WHERE[notebook]:
        cells += by_hand(name) if name in BY_HAND else by_machine(name)
    if notebook == "reading":
        task = marks("essay", task=True, locked=True, points=BY_HAND["essay"])
        text = "Write about a poem.\n\n### BEGIN MARK SCHEME\nA whole poem: 2.\n### END MARK SCHEME"
        cells.append(new_markdown_cell(text, id="essay", metadata=task))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def by_hand(name):
    make = new_markdown_cell if name == "why" else new_code_cell
    role = marks(name, grade=True, solution=True, points=BY_HAND[name])
    return [make(ANSWERS[name], id=name, metadata=role)]


def by_machine(name):
    visible, hidden = CHECKS[name]
    if hidden:
        hidden = f"\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    check = marks(f"{name}-check", grade=True, locked=True, points=POINTS[name])
    return [
        new_code_cell(ANSWERS[name], id=name, metadata=marks(name, solution=True)),
        new_code_cell(f"{visible}{hidden}", id=f"{name}-check", metadata=check),
    ]


def right(name):
    """The reference answer of a cell, as a student would write it."""
    return "\n".join(line for line in ANSWERS[name].split("\n") if "### " not in line)


class Texts:
    """A folder with that course in it; its assignment is released, with a proof."""

    def __init__(self, root):
        self.root = root
        place = root / "source" / ASSIGNMENT
        place.mkdir(parents=True)
        (root / "nbgrader_config.py").write_text(CONFIG)
        (place / "poem.txt").write_text(POEM)
        for name in NOTEBOOKS:
            nbformat.write(source(name), place / f"{name}.ipynb")
        self.course = course.Course(root)
        self.proof, self.bundle = release.release(self.course, ASSIGNMENT, engine=LocalEngine)

    def hand_in(self, student, answers=(), *, without=(), edit=lambda name, notebook: None):
        """Hand in the right answers, or others by name; `None` leaves a cell as it was."""
        answers = {name: right(name) for name in ANSWERS} | dict(answers)
        place = self.course.folder("submitted", ASSIGNMENT, student)
        place.mkdir(parents=True)
        (place / "poem.txt").write_text(POEM)
        for name in set(NOTEBOOKS) - set(without):
            path = self.course.folder("release", ASSIGNMENT) / f"{name}.ipynb"
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                answer = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
                cell.source = cell.source if answer is None else answer
            edit(name, notebook)
            nbformat.write(notebook, place / f"{name}.ipynb")

    def grade(self, **options):
        """Grade in the sandbox."""
        return autograde.grade(self.course, ASSIGNMENT, engine=LocalEngine, **options)

    def automatic(self):
        """What each check gave, by student and name; None is for a person to say."""
        found = {}
        with self.course.gradebook() as gradebook:
            for student in self.course.students(ASSIGNMENT):
                submission = gradebook.find_submission(ASSIGNMENT, student)
                found[student] = {
                    grade.name: grade.auto_score
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                }
        return found
