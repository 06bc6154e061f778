"""The pages about the book: what they say is read from its files, or tried here."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jupyter_server.serverapp
import pytest
import yaml
from contents import ROOT
from pybtex.database import parse_string

from book.ext import about
from book.facts import Citation, assignments, chapter, chapters
from course_lib.claims import ClaimError, claim
from tools import environment

LEARNERS = (ROOT / "pages/learners.md").read_text()
INSTRUCTORS = (ROOT / "pages/instructors.md").read_text()


def blocks(text, language):
    """The fenced blocks of a page in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", text, re.M | re.S)


# ---- commands ----

TRIED = {  # command: the end of what it says, or a part of it
    "cd gradients-to-detectors": "",
    "make help": "make clean",
    "cp -r assignments/conv-backprop my-answers": "",
    "make check A=my-answers/conv-backprop.ipynb": "checks fail",
}
STARTED = {  # command: what a server says when it is ready
    "make lab": "/lab",
    "make serve": "The book is at http://localhost:8000",
}
ELSEWHERE = {  # command: why it is not run here
    "make book": "runs every chapter, for minutes; it is what the tests of the site begin with",
    "make test": "is what runs this",
    "sudo apt install make git python3-venv": "needs an administrator",
    "xcode-select --install": "macOS",
    "make lab PYTHON=python3.11": "macOS",
    "py -3.11 -m venv env": "Windows",
    'env\\Scripts\\python -m pip install -e ".[torch,lab]"': "Windows",
    "env\\Scripts\\jupyter lab": "Windows",
    "conda env create -f environment.yml": "conda",
    "conda activate gradients-to-detectors": "conda",
    "conda create -n gradients-to-detectors -c conda-forge python=3.11 pip": "conda",
    'pip install -e ".[torch,lab]"': "conda, and the network",
    "jupyter lab": "conda",
}


def commands(text):
    """Every line of every block that a reader would type into a terminal."""
    typed = blocks(text, "bash") + blocks(text, "powershell")
    return [line for block in typed for line in block.splitlines()]


def test_every_command_is_tried_or_said_why_not():
    assert set(commands(LEARNERS)) == TRIED.keys() | STARTED.keys() | ELSEWHERE.keys()


@pytest.fixture(scope="module")
def clean_copy(tmp_path_factory):
    """The tracked files, without what was built, and with a `.venv` that is already set up."""
    copy = tmp_path_factory.mktemp("clean") / "gradients-to-detectors"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\n")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    venv, of_this = copy / ".venv", Path(sys.prefix)
    venv.mkdir()
    for part in ("bin", "lib", "share", "etc", "pyvenv.cfg"):
        if (of_this / part).exists():
            (venv / part).symlink_to(of_this / part)
    (venv / "made-from").write_text(environment.fingerprint(copy))
    return copy


def terminal(folder):
    """The environment of a terminal in which a reader types; a server may start as root."""
    settings = folder / "settings"
    settings.mkdir(exist_ok=True)
    text = "c.ServerApp.allow_root = True\nc.ServerApp.open_browser = False\n"
    (settings / "jupyter_server_config.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"JUPYTER_CONFIG_DIR": str(settings), "PYTHONUNBUFFERED": "1"}


def test_the_commands_do_what_the_page_says(clean_copy):
    for command, said in TRIED.items():
        where = clean_copy.parent if command.startswith("cd ") else clean_copy
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=where,
            capture_output=True,
            text=True,
            env=terminal(clean_copy.parent),
        )
        assert said in done.stdout + done.stderr, command
        assert (done.returncode == 0) is ("fail" not in said), command


@pytest.mark.parametrize("command", STARTED)
def test_the_servers_start(clean_copy, command):
    with socket.socket() as other:
        if command == "make serve" and other.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("something else listens at port 8000")
    site = clean_copy / "_build" / "html"
    site.mkdir(parents=True, exist_ok=True)
    (site / "index.html").write_text("<title>here</title>")
    server = subprocess.Popen(
        ["bash", "-c", command],
        cwd=clean_copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=terminal(clean_copy.parent),
        start_new_session=True,
    )
    try:
        heard = []
        for line in server.stdout:
            heard.append(line)
            if STARTED[command] in line:
                break
        else:
            pytest.fail("".join(heard))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.stdout.close()
        server.wait()


# ---- what is printed when it does not work ----


def error_of(python, code):
    """The last line of what a Python says to a cell that fails."""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd="/")
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python with nothing installed."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def stopped(call, *arguments):
    with pytest.raises(environment.SetupError) as caught:
        call(*arguments)
    return f"Set-up stopped: {caught.value}"


def test_every_message_is_what_is_printed(bare_python, clean_copy, monkeypatch):
    printed = [
        error_of(bare_python, "from course_lib import plots"),
        error_of(bare_python, "import torch"),
        error_of(bare_python, "np.arange(3)"),
    ]
    shell = shutil.which("bash")
    no_make = subprocess.run(
        [shell, "-c", "make lab"], capture_output=True, text=True, env={"PATH": "/nowhere"}
    )
    printed.append(no_make.stderr.strip().split(": ", 2)[-1])

    monkeypatch.setattr(environment.sys, "executable", "/usr/bin/python3")
    printed.append(stopped(environment.check_python, (3, 9, 2)))
    monkeypatch.setattr(environment.sys, "executable", shutil.which("false"))
    printed.append(stopped(environment.create, clean_copy / "other").strip())
    monkeypatch.setattr(
        environment.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9e9, 5e9, 4e9)
    )
    printed.append(stopped(environment.check_disk, "/home/you/course"))
    monkeypatch.undo()
    # tests/setup has pip say this to a network that is not there
    printed.append(f"Set-up stopped: {environment.explain('NewConnectionError')}")

    printed.append("Running as root is not recommended. Use --allow-root to bypass.")
    assert printed[-1] in Path(jupyter_server.serverapp.__file__).read_text()
    printed += serving(clean_copy)
    with pytest.raises(ClaimError) as moved:
        claim("test accuracy", 0.96, at_least=0.97)
    printed.append(f"ClaimError: {moved.value}")

    quoted = blocks(LEARNERS, "text")
    windows = [text for text in quoted if "[WinError 126]" in text]
    assert len(windows) == 1, "the one that is quoted from elsewhere, as the page says"
    assert sorted(set(quoted) - set(windows)) == sorted(printed)


def serving(folder):
    """What `make serve` says without a site, and where something listens already."""
    shutil.rmtree(folder / "_build", ignore_errors=True)
    serve = [folder / ".venv/bin/python", "-m", "book.serve"]
    how = {"cwd": folder, "capture_output": True, "text": True, "env": terminal(folder.parent)}
    yield subprocess.run(serve, **how).stderr.strip()
    (folder / "_build" / "html").mkdir(parents=True)
    (folder / "_build" / "html" / "index.html").write_text("here")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = subprocess.run([*serve, "--port", str(port)], **how).stderr.strip()
    yield said.replace(f"Port {port} ", "Port 8000 ")


def test_conda_and_pip_agree_with_the_project():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    oldest = re.search(r'requires-python = ">=([\d.]+)"', project)[1]
    packages = [p for p in conda["dependencies"] if isinstance(p, str)]
    (pip,) = [p["pip"] for p in conda["dependencies"] if isinstance(p, dict)]
    assert packages == [f"python={oldest}", "pip"]
    assert pip == ["-r requirements.lock", "-e ."]
    assert f"--python-version {oldest}" in (ROOT / "Makefile").read_text()
    assert f"conda activate {conda['name']}" in commands(LEARNERS)
    assert f"conda create -n {conda['name']} -c conda-forge python={oldest} pip" in ELSEWHERE
    assert f"Python {oldest} or newer" in LEARNERS
    assert f"{environment.DISK_NEEDED} GB of free disk" in " ".join(LEARNERS.split())
    extras = re.findall(r"^(\w+) = \[", project.split("[project.optional-dependencies]")[1], re.M)
    for named in re.findall(r'-e "\.\[([\w,]+)\]"', LEARNERS):
        assert set(named.split(",")) <= set(extras)


# ---- what is generated ----


def test_the_citation_agrees_with_its_file():
    citation = Citation.read(ROOT / "CITATION.cff")
    file = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{file["version"]}"' in project
    assert f'license = "{file["license"]}"' in project
    (entry,) = parse_string(citation.bibtex(), "bibtex").entries.values()
    assert entry.fields["title"] == f"{{{file['title']}}}"
    assert entry.fields["year"] == str(file["date-released"])[:4]
    assert entry.fields["version"] == str(file["version"])
    assert str(entry.persons["author"][0]) == f"{{{file['authors'][0]['name']}}}"
    assert citation.apa() == (
        f"{file['authors'][0]['name']}. ({entry.fields['year']}). *{file['title']}* "
        f"(Version {file['version']}) [Computer software]."
    )


def test_people_and_addresses_are_cited(tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text(
        'title: "T"\nversion: 2\ndate-released: 2030-01-02\nlicense: MIT\n'
        "repository-code: https://x.org/c\nauthors:\n"
        "  - {family-names: Ono, given-names: Yoko}\n  - name: A group\n"
    )
    citation = Citation.read(path)
    assert "author  = {Ono, Yoko and {A group}}," in citation.bibtex()
    assert (
        "https://x.org/c"
        in parse_string(citation.bibtex(), "bibtex").entries["gradients2030"].fields["url"]
    )
    assert citation.apa().startswith("Ono, Yoko, & A group. (2030). *T* (Version 2)")


def test_the_plan_has_every_chapter_and_assignment(site):
    page = text_of(site / "pages" / "instructors.html")
    for found in chapters(ROOT):
        assert f"{found.number}.\N{NO-BREAK SPACE}{found.topic}" in page
        assert found.slides in page
    for work in assignments(ROOT):
        assert f"{work.name}: {sum(map(len, work.mistakes.values()))} mistakes" in page
        assert work.points == 100
        assert work.after in {found.number for found in chapters(ROOT)}


def test_the_record_has_what_was_measured(site):
    page = text_of(site / "pages" / "build.html")
    assert "not run" not in page
    assert "not written" not in page
    for found in chapters(ROOT):
        row = page.split(f"{found.number}.\N{NO-BREAK SPACE}{found.topic}")[1]
        words, reading, running, late, measured, made, figures, weight = re.match(
            r"\s+(\d+)\s+(\d+)\s+(\d+)\s+(too long: )?([\d.]+)\s+(\d+)\s+(\d+ \+ \d+)\s+(\d+)",
            row,
        ).groups()
        assert (int(words), int(reading)) == (found.words_take, found.reading)
        assert int(running) == found.running
        assert bool(late) is (float(measured) > about.TOO_LONG * found.running)
        assert int(made) >= 5
        assert figures == f"{found.figures} + {found.played}"
        assert 100 < int(weight) <= 700


def text_of(page):
    return re.sub(r"<[^>]*>", "", page.read_text().replace("</td>", " "))


def test_a_page_weighs_what_it_loads(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "s.css").write_text("x" * 100)
    (tmp_path / "s.js").write_text("x" * 20)
    page = tmp_path / "a" / "p.html"
    page.write_text(
        '<link rel="stylesheet" type="text/css" href="../s.css?v=1"><link rel="next" href="q.html">'
        '<script defer src="../s.js"></script><script src="../s.js"></script>'
        '<img alt="" src="data:x">'
    )
    assert about.weight(page) == page.stat().st_size + 120


@pytest.mark.parametrize("named", [[4, 5, 6, 10, 11, 12, 13], [4, 5, 8, 9]], ids=str)
def test_a_shorter_course_lacks_nothing(named):
    taught = {1, 2, 3, *named}
    for found in chapters(ROOT):
        if found.number in taught:
            numbers = re.findall(r"chapters? (\d+)(?: and (\d+))?", found.needed)
            assert {int(n) for pair in numbers for n in pair if n} <= taught
    said = " ".join(INSTRUCTORS.split())
    assert "go on with 4 to 6 and 10 to 13." in said
    assert "with 4, 5, 8 and 9." in said


def test_a_topic_is_a_title_without_its_question():
    found = {path.stem: chapter(path) for path in (ROOT / "lectures").glob("*.ipynb")}
    assert found["07-googlenet"].topic == "GoogLeNet"
    assert found["13-rcnn-fast-faster"].topic == "R-CNN, Fast R-CNN, Faster R-CNN"
