"""The archive for where there is no network: what is in it, and that it works there."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import nbformat
import pytest
from browser import missing
from contents import CHAPTERS, ROOT
from nbformat.v4 import new_code_cell, new_notebook

from book.editions import bundle
from book.editions.pages import EditionError

SHORT = CHAPTERS[0]  # five seconds
ASSIGNMENT = "ad-modes"

# Run a command where there is no network but this machine's own: `python alone.py COMMAND...`.
ALONE = """
import fcntl, os, socket, struct, sys
up = struct.pack("16sh", b"lo", 1 | 64)  # IFF_UP and IFF_RUNNING
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
os.execvp(sys.argv[1], sys.argv[1:])
"""

EXECUTE = """
import sys, nbclient, nbformat
import course_lib
assert course_lib.__file__.startswith(sys.prefix), course_lib.__file__
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print("executed", sum(cell.cell_type == "code" for cell in notebook.cells))
"""

LOOK = """
import json, re, subprocess, sys
from book.editions.pages import browser_page

site, pages = sys.argv[1], sys.argv[2:]
command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
command += ["--directory", site]
server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
port = re.search(r"port (\\d+)", server.stdout.readline())[1]
found = {}
try:
    with browser_page() as page:
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for name in pages:
            page.goto(f"http://127.0.0.1:{port}/{name}.html", wait_until="load")
            found[name] = page.locator("h1").inner_text()
finally:
    server.terminate()
    server.wait()
others = [url for url in requests if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))]
print(json.dumps({"titles": found, "others": others, "complaints": complaints}))
"""


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    """Where the archive was unpacked."""
    place = tmp_path_factory.mktemp("bundle")
    with zipfile.ZipFile(bundle.write_bundle(ROOT)) as archive:
        archive.extractall(place)
    (inside,) = place.iterdir()
    return inside


@pytest.fixture(scope="module")
def python(folder):
    """Python with the packages of the lock and the bundle's library, not the one of this folder."""
    place = folder.parent / "env"
    venv.create(place, with_pip=False, symlinks=os.name != "nt")
    command = [
        place / "bin" / "python",
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]
    packages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    # What a path file adds is not searched for path files: this folder's own library stays out.
    (bundle.Path(packages) / "lock.pth").write_text(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    return str(place / "bin" / "python")


@pytest.fixture(scope="module")
def alone(folder):
    """A function that runs a command in the bundle's folder, where there is no network.

    Without a way to take the network away (``unshare``) what asks for it meets a closed port.
    """
    script = folder.parent / "alone.py"
    script.write_text(ALONE)
    prefix = ["unshare", "--user", "--map-root-user", "--net", sys.executable, str(script)]
    if (
        not shutil.which("unshare")
        or subprocess.run([*prefix, "true"], capture_output=True).returncode
    ):
        prefix = []
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER"))}
    environment["IPYTHONDIR"] = str(folder.parent / "ipython")
    closed = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")}
    environment |= {"no_proxy": "localhost,127.0.0.1", **closed}

    def run(*command, **more):
        return subprocess.run(
            [*prefix, *command],
            cwd=folder,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=400,
        )

    return run


def test_what_is_inside(folder):
    assert (folder / "site" / "index.html").is_file()
    for name in CHAPTERS:
        assert (folder / "notebooks" / f"{name}.ipynb").read_bytes() == (
            ROOT / f"{name}.ipynb"
        ).read_bytes()
    released = {path.parent.name for path in ROOT.glob("assignments/*/*.ipynb")}
    assert {path.name for path in (folder / "notebooks/assignments").iterdir()} == released
    assert (folder / "requirements.lock").read_bytes() == (ROOT / "requirements.lock").read_bytes()
    (wheel,) = folder.glob("*.whl")
    assert wheel.name in (folder / "README.md").read_text()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    recorded = {path.name for path in ROOT.glob("course_lib/data/recordings/*.json")}
    assert recorded == {name.split("/")[-1] for name in names if "data/recordings/" in name} - {
        "__init__.py"
    }
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"course_lib"}


def test_the_checksums_are_those_of_the_files(folder):
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = {path: digest for digest, path in (line.split("  ") for line in lines)}
    files = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    assert sums.keys() == files.keys() - {"SHA256SUMS"}
    assert all(hashlib.sha256(files[p].read_bytes()).hexdigest() == s for p, s in sums.items())


def test_nothing_is_inside_that_students_must_not_have(folder):
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    folders = "solutions|mistakes|tests|submitted"
    kept = re.compile(rf"(^|/)({folders}|gradebook\.db|grades\.csv|\.git)(/|$)")
    assert not [name for name in names if kept.search(name)]
    hidden = bundle.secrets(ROOT)
    assert len(hidden) > 50
    content = {n: (folder / n).read_bytes() for n in names if (folder / n).is_file()}
    bundle.refuse_secrets(content, hidden)
    for path in (folder / "notebooks/assignments").rglob("*.ipynb"):
        assert "BEGIN HIDDEN TESTS" not in path.read_text()
        assert "BEGIN SOLUTION" not in path.read_text()


@pytest.mark.parametrize("suffix", ["ipynb", "html", "py"])
def test_a_secret_is_found_wherever_it_hides(tmp_path, suffix):
    source = "### BEGIN HIDDEN TESTS\nassert f(3) ==  9\n### END HIDDEN TESTS"
    path = tmp_path / "solutions" / "a" / "a.ipynb"
    path.parent.mkdir(parents=True)
    notebook = new_notebook(cells=[new_code_cell(source, id="square")])
    path.write_text(nbformat.writes(notebook))
    hidden = bundle.secrets(tmp_path)
    assert hidden == {"assertf(3)==9": "a.ipynb, cell square"}
    data = {
        "ipynb": json.dumps({"cells": [{"source": ["assert f(3)\n", " == 9"]}]}),
        "html": "<pre>assert <b>f</b>(<i>3</i>) == 9</pre>",
        "py": "    assert f(3) == 9\n",
    }[suffix].encode()
    with pytest.raises(EditionError, match=f"x.{suffix} would give away a.ipynb, cell square"):
        bundle.refuse_secrets({f"x.{suffix}": data}, hidden)
    bundle.refuse_secrets({f"x.{suffix}": data.replace(b"9", b"8")}, hidden)


def test_the_same_course_is_the_same_archive(folder, tmp_path, monkeypatch):
    wheel = next(folder.glob("*.whl"))
    monkeypatch.setattr(bundle, "build_wheel", lambda root: (wheel.name, wheel.read_bytes()))
    first = hashlib.sha256(bundle.write_bundle(ROOT).read_bytes()).hexdigest()
    assert hashlib.sha256(bundle.write_bundle(ROOT).read_bytes()).hexdigest() == first


def test_a_library_that_is_none_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("this is no TOML")
    with pytest.raises(EditionError, match="does not become a wheel; pip says"):
        bundle.build_wheel(tmp_path)


def test_a_chapter_runs_without_a_network(alone, python):
    done = alone(python, "-c", EXECUTE, f"notebooks/{SHORT}.ipynb", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) > 20


def test_the_visible_checks_run_without_a_network(alone, python, tmp_path):
    work = f"notebooks/assignments/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"
    untouched = alone(python, "-m", "course_lib.grading", "check", work)
    assert untouched.returncode == 1, untouched.stderr[-3000:]
    assert "NotImplementedError" in untouched.stdout
    solved = alone(
        python,
        "-m",
        "course_lib.grading",
        "check",
        str(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"),
    )
    assert solved.returncode == 0, solved.stdout + solved.stderr[-3000:]
    assert re.search(r"All \d+ checks pass", solved.stdout)


def test_the_site_reads_without_a_network(alone, folder):
    names = ["index", CHAPTERS[0], CHAPTERS[2]]
    done = alone(sys.executable, "-c", LOOK, str(folder / "site"), *names, PYTHONPATH=str(ROOT))
    if "needs a browser" in done.stderr:
        missing(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert list(seen["titles"]) == names
    assert all(seen["titles"].values())
    assert seen["others"] == []
    assert seen["complaints"] == []
