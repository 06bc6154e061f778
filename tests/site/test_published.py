"""What is published holds no answer and no hidden check of an assignment."""

import hashlib
import json
import zipfile

import nbformat
import pytest
from contents import ROOT
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from secrets_of_assignments import BLOCKS, SHORT, leaks, public, secrets, squeeze, texts, windows

KEPT_BACK = {"solutions", "mistakes", "tests", "submitted", "autograded", "feedback", "exchange"}
KEPT_BACK |= {"gradebook.db", "grades.csv"}


@pytest.fixture(scope="module")
def wanted():
    """The windows of all answers and hidden checks but those that are public by intent."""
    found, known = secrets(ROOT), public(ROOT)
    kept = {window: where for window, where in found.items() if window not in known}
    assert len(kept) > 0.8 * len(found), "else there is little left to search for"
    return kept


def test_the_site_holds_no_answer_and_no_hidden_check(site, wanted):
    assert leaks(site, wanted) == []


def test_the_site_holds_no_file_that_is_kept_back(site):
    names = {path.relative_to(site) for path in site.rglob("*")}
    assert [str(name) for name in names if KEPT_BACK & set(name.parts)] == []
    folders = [ROOT / name for name in ("solutions", "mistakes", "tests")]
    kept_back = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    digests = {digest(path): path for path in kept_back if path.stat().st_size > 100}
    same = {path: digests.get(digest(path)) for path in site.rglob("*") if path.is_file()}
    assert {path: kept for path, kept in same.items() if kept} == {}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_students_get_holds_none_either(wanted):
    assert leaks(ROOT / "assignments", wanted, "*.ipynb") == []


def test_chapters_do_not_give_an_assignment_away(wanted):
    assert leaks(ROOT / "lectures", wanted, "*.ipynb") == []


@pytest.mark.parametrize("assignment", sorted(p.name for p in (ROOT / "solutions").iterdir()))
def test_every_answer_is_searched_for(wanted, assignment):
    notebook = json.loads((ROOT / f"solutions/{assignment}/{assignment}.ipynb").read_text())
    searched = {where.rpartition(",")[0] for where in wanted.values()}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        hidden = "".join(BLOCKS["hidden check"].findall(source))
        if cell["metadata"].get("nbgrader", {}).get("solution") or len(squeeze(hidden)) >= SHORT:
            assert f"{assignment}, {cell['id']}" in searched


ANSWER = """\
rows = slice(u, u + stride * HO, stride)  # every stride-th row
columns = slice(v, v + stride * WO, stride)

y += np.einsum("ncij,fc->nfij", x_pad[:, :, rows, columns], weight[:, :, u, v])
"""


@pytest.fixture
def answer():
    """An answer as it is searched for."""
    return dict.fromkeys(windows(ANSWER), "a, b, answer")


def indented(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


def coloured(text):
    return f"<p>See</p>{highlight(text, PythonLexer(), HtmlFormatter())}<p>this.</p>"


def notebook(text):
    cells = [nbformat.v4.new_code_cell(f"# first\n{text}\nprint(y)")]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


@pytest.mark.parametrize(
    "name, form",
    [
        ("lectures/x.html", coloured),
        ("_sources/x.ipynb", notebook),
        ("colab/x.ipynb", lambda text: json.dumps({"source": text})),
        ("_sources/pages/x.md", indented),
        ("searchindex.js", lambda text: f"Search.setIndex({json.dumps(text)})"),
        ("sitemap.xml", lambda text: f"<url>{text}</url>"),
    ],
)
def test_a_planted_answer_is_found(tmp_path, answer, name, form):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x" * 50 + form("nothing\n"))
    assert leaks(tmp_path, answer) == []
    for before in range(20):  # wherever it stands
        path.write_text("x" * before + form(ANSWER))
        assert leaks(tmp_path, answer) == [f"{name}: a, b, answer"]


def test_a_planted_answer_is_found_in_an_archive(tmp_path, answer):
    with zipfile.ZipFile(tmp_path / "course.zip", "w") as archive:
        archive.writestr("page.html", coloured(ANSWER))
    assert leaks(tmp_path, answer) == ["course.zip/page.html: a, b, answer"]


def test_a_real_answer_is_found_on_a_page(tmp_path, wanted):
    source = json.loads((ROOT / "solutions/conv-backprop/conv-backprop.ipynb").read_text())
    cells = {cell["id"]: "".join(cell["source"]) for cell in source["cells"]}
    (tmp_path / "x.html").write_text(coloured(cells["conv2d-backward"]))
    assert leaks(tmp_path, wanted) == ["x.html: conv-backprop, conv2d-backward, answer"]
    (tmp_path / "x.html").write_text(coloured(cells["conv-y-window"]))
    assert leaks(tmp_path, wanted) == ["x.html: conv-backprop, conv-y-window, hidden check"]


def test_two_lines_alone_are_no_answer(tmp_path, answer):
    (tmp_path / "x.md").write_text("\n".join(ANSWER.splitlines()[:2]))
    assert leaks(tmp_path, answer) == []


def test_windows_by_hand():
    assert list(windows("a = 1\nb = 2\nc = 3\n")) == [], "too little to tell itself"
    long = "x" * 30
    assert list(windows(f"{long} = 1  # why\n\n# so\na = 2\nb = 3\n{long}(4)")) == [
        squeeze(f"{long}=1 a=2 b=3 {long}(4)"),
    ]
    assert list(windows(f"return {long}_and_more(1, 2)")) == [f"return{long}_and_more(1,2)"]


def test_a_file_that_cannot_be_searched_is_refused():
    with pytest.raises(ValueError, match=r"x\.pickle: no test can search a \.pickle file"):
        list(texts("x.pickle", b"1"))
    assert list(texts("x.png", b"1")) == []
