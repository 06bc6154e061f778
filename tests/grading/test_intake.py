"""What students hand in may be anything; what is refused is refused with a reason."""

import json
import os
from contextlib import suppress

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.grading import intake
from course_lib.grading.intake import IntakeError, read_files, read_notebook

GOOD = nbformat.writes(new_notebook(cells=[new_code_cell("x = 1", id="a")]))


def changed(**fields):
    return json.dumps(json.loads(GOOD) | fields)


def cell(**fields):
    made = {"cell_type": "code", "id": "a", "metadata": {}, "source": "", "outputs": []}
    return changed(cells=[made | {"execution_count": None} | fields])


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "a.ipynb: empty"),
        ("  \n", "a.ipynb: empty"),
        ("hello", "a.ipynb: not JSON"),
        (GOOD[:-20], "a.ipynb: not JSON"),
        ("[]", "a.ipynb: JSON, but not a notebook"),
        ("{}", "a.ipynb: JSON, but not a notebook"),
        (changed(nbformat="4"), "a.ipynb: JSON, but not a notebook"),
        (changed(nbformat=99), "a.ipynb: a notebook of format 99, expected 4"),
        (changed(cells=7), "a.ipynb: not a valid notebook"),
        (changed(metadata=None), "a.ipynb: not a valid notebook"),
        (cell(cell_type="nonsense"), "a.ipynb: "),
        (cell(source=7), "a.ipynb: not a valid notebook"),
        (cell(metadata={"nbgrader": 3}), "a.ipynb: cell 1 has metadata that nbgrader cannot read"),
        ("[" * 100_000, "a.ipynb: lists and objects are nested 100000 deep, at most 60"),
        (changed(cells=[{}] * 3000), "a.ipynb: "),
    ],
)
def test_refused(tmp_path, text, reason):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(IntakeError) as refusal:
        read_notebook(path)
    assert str(refusal.value).startswith(reason)


def test_brackets_in_text_are_not_nesting(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(cell(source=["[" * 1000, '"\\"' + "{" * 1000]))
    assert "[" * 1000 in read_notebook(path).cells[0].source


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"\x80\x81\xff")
    with pytest.raises(IntakeError, match=r"a\.ipynb: not text in UTF-8"):
        read_notebook(path)


def test_what_is_no_ordinary_file(tmp_path):
    path = tmp_path / "a.ipynb"
    (tmp_path / "secret").write_text(GOOD)
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(IntakeError, match=r"a\.ipynb: a symbolic link"):
        read_notebook(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(IntakeError, match=r"a\.ipynb: not an ordinary file"):
        read_notebook(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(IntakeError, match=r"a\.ipynb: not an ordinary file"):
        read_notebook(path)
    with pytest.raises(IntakeError, match=r"b\.ipynb: No such file"):
        read_notebook(tmp_path / "b.ipynb")


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MAX_NOTEBOOK", 1 << 20)
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(IntakeError, match=r"a\.ipynb: larger than 1 MiB"):
        read_notebook(path)


def test_an_old_notebook_is_brought_up_to_date(tmp_path):
    path = tmp_path / "a.ipynb"
    old = {"cell_type": "code", "input": "x", "language": "python", "outputs": [], "metadata": {}}
    sheet = {"cells": [old], "metadata": {}}
    path.write_text(
        json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [sheet]})
    )
    assert read_notebook(path).cells[0].source == "x"


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_a_damaged_notebook_is_read_or_refused(tmp_path, data):
    text = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "double"]))
        if what == "flip":
            text[at] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del text[at : at + data.draw(st.integers(1, 30))]
            text = text or bytearray(b"x")
        else:
            text[at:at] = text[at : at + 30]
    path = tmp_path / "a.ipynb"
    path.write_bytes(text)
    with suppress(IntakeError):
        assert read_notebook(path).nbformat == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    field=st.sampled_from(["cell_type", "id", "metadata", "source", "outputs", "execution_count"]),
    value=JSON,
)
def test_a_cell_of_nonsense_is_read_or_refused(tmp_path, field, value):
    path = tmp_path / "a.ipynb"
    path.write_text(cell(**{field: value}))
    with suppress(IntakeError):
        (read,) = read_notebook(path).cells
        assert isinstance(read.source, str)


def test_files_beside_a_notebook(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    (tmp_path / "a.ipynb").write_text(GOOD)
    (tmp_path / ".hidden").write_text("1")
    assert read_files(tmp_path) == {"data/x.csv": b"1"}
    assert set(read_files(tmp_path, without=())) == {"a.ipynb", "data/x.csv"}
    (tmp_path / "data" / "out").symlink_to("/etc/passwd")
    with pytest.raises(IntakeError, match="out: a symbolic link"):
        read_files(tmp_path)


def test_a_linked_folder_is_not_entered(tmp_path):
    (tmp_path / "etc").symlink_to("/etc")
    assert read_files(tmp_path) == {}


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MAX_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(IntakeError, match="more than 3 files"):
        read_files(tmp_path)
