"""Whichever way submissions come, each lands at its student's place."""

import os
import stat
import zipfile

import pytest

from course_lib.grading import collect as collecting
from course_lib.grading.collect import collect
from course_lib.grading.course import CourseError

A = "powers"


@pytest.fixture
def course(tmp_path):
    """A course without a gradebook, which collecting does not need."""

    class Course:
        def folder(self, step, assignment, student):
            return tmp_path / "course" / step / student / assignment

        def handed_in(self):
            root = tmp_path / "course" / "submitted"
            files = sorted(path for path in root.rglob("*") if path.is_file())
            return {path.relative_to(root).as_posix(): path.read_text() for path in files}

    return Course()


def lay(root, files):
    """Write files, path to text, below a folder; return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def zipped(path, files):
    """Write a zip file of files, path to text; return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


LAYOUTS = {
    "nbgrader": {"ann/powers/powers.ipynb": "1", "bob/powers/powers.ipynb": "2"},
    "folders": {"ann/powers.ipynb": "1", "bob/powers.ipynb": "2"},
    "exchange": {
        "ann+powers+2026-11-24 10:00:00.5 UTC+x1/powers.ipynb": "1",
        "bob+powers+2026-11-24 11:00:00.5 UTC/powers.ipynb": "2",
        "bob+cubes+2026-11-24 11:00:00.5 UTC/cubes.ipynb": "3",
    },
    "canvas": {"ann_123_456_powers.ipynb": "1", "bob_LATE_124_457_powers-1.ipynb": "2"},
    "gradescope": {
        "export/submission_metadata.yml": (
            "submission_1:\n  :submitters:\n  - :name: Ann\n    :sid: ann\n"
            "submission_2:\n  :submitters:\n  - :name: Bob\n    :sid: bob\n"
        ),
        "export/submission_1/powers.ipynb": "1",
        "export/submission_2/powers.ipynb": "2",
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_layouts(course, tmp_path, layout, packed):
    files = LAYOUTS[layout]
    source = zipped(tmp_path / "all.zip", files) if packed else lay(tmp_path / "in", files)
    collected = collect(course, A, source)
    assert (collected.students, collected.refused) == (["ann", "bob"], {})
    notebooks = {name: text for name, text in course.handed_in().items() if name.endswith("ipynb")}
    assert notebooks == {"ann/powers/powers.ipynb": "1", "bob/powers/powers.ipynb": "2"}


def test_a_zip_file_for_each_student(course, tmp_path):
    (tmp_path / "in").mkdir()
    zipped(tmp_path / "in" / "ann.zip", {"powers/powers.ipynb": "1", "powers/data.csv": "2"})
    zipped(tmp_path / "in" / "bob.zip", {"notes.txt": "no notebook"})
    (tmp_path / "in" / "cy.zip").write_text("no zip file")
    collected = collect(course, A, tmp_path / "in")
    assert collected.students == ["ann"]
    assert collected.refused["bob"] == "bob.zip: there is no notebook in it"
    assert collected.refused["cy"].startswith("cy.zip: not a zip file that can be read")
    assert course.handed_in() == {"ann/powers/data.csv": "2", "ann/powers/powers.ipynb": "1"}


def test_the_latest_of_the_exchange_counts(course, tmp_path):
    source = lay(
        tmp_path / "in",
        {
            "ann+powers+2026-11-24 12:00:00 UTC/powers.ipynb": "late",
            "ann+powers+2026-11-24 09:00:00 UTC/powers.ipynb": "early",
        },
    )
    collect(course, A, source)
    assert course.handed_in() == {
        "ann/powers/powers.ipynb": "late",
        "ann/powers/timestamp.txt": "2026-11-24 12:00:00 UTC",
    }


def test_what_was_there_before_is_replaced(course, tmp_path):
    collect(course, A, lay(tmp_path / "one", {"ann/powers.ipynb": "1", "ann/old.txt": "x"}))
    collect(course, A, lay(tmp_path / "two", {"ann/powers.ipynb": "2"}))
    assert course.handed_in() == {"ann/powers/powers.ipynb": "2"}


def test_links_are_refused_and_others_are_not_touched(course, tmp_path):
    source = lay(tmp_path / "in", {"ann/powers.ipynb": "1", "bob/powers.ipynb": "2"})
    (source / "bob" / "answers").symlink_to("/etc/passwd")
    (source / "eve").symlink_to(source / "ann")
    os.mkfifo(source / "pipe.ipynb")
    collected = collect(course, A, source)
    assert collected.students == ["ann"]
    assert collected.refused == {"bob": "answers: a symbolic link", "eve": "a symbolic link"}


@pytest.mark.parametrize("name", ["../evil.ipynb", "/etc/evil", "ann/../../evil"])
def test_a_zip_file_that_leads_out(course, tmp_path, name):
    with pytest.raises(CourseError, match="leads out of it"):
        collect(course, A, zipped(tmp_path / "all.zip", {name: "x"}))
    assert course.handed_in() == {}


def test_a_bomb(course, tmp_path):
    with pytest.raises(CourseError, match="is a bomb"):
        collect(course, A, zipped(tmp_path / "all.zip", {"ann/powers.ipynb": "0" * (8 << 20)}))


def test_a_link_in_a_zip_file_is_no_file(course, tmp_path):
    path = zipped(tmp_path / "all.zip", {"ann/powers.ipynb": "1"})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("ann/answers.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    collect(course, A, path)
    assert course.handed_in() == {"ann/powers/powers.ipynb": "1"}


def test_too_much(course, tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "MAX_FILES", 1)
    with pytest.raises(CourseError, match="too many files"):
        collect(course, A, zipped(tmp_path / "all.zip", {"a/x.ipynb": "", "b/x.ipynb": ""}))


def test_a_name_that_no_folder_can_have(course, tmp_path):
    source = lay(tmp_path / "in", {"a b;c/powers.ipynb": "1", "ann/powers.ipynb": "1"})
    collected = collect(course, A, source)
    assert collected.refused == {"a b;c": "not a name that a folder can have"}


def test_nothing_to_collect(course, tmp_path):
    with pytest.raises(CourseError, match=r"there is no .*nowhere"):
        collect(course, A, tmp_path / "nowhere")
    with pytest.raises(CourseError, match="is laid out as nbgrader"):
        collect(course, A, lay(tmp_path / "in", {"readme.txt": "x"}))


def test_metadata_that_cannot_be_read(course, tmp_path):
    source = lay(tmp_path / "in", {"submission_metadata.yml": "a: [", "x/powers.ipynb": "1"})
    with pytest.raises(CourseError, match=r"submission_metadata\.yml cannot be read"):
        collect(course, A, source)
