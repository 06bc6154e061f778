"""The course in one archive, for where no network is: ``python -m book.editions.bundle``.

``make bundle`` calls it. The archive holds the built site, the notebooks, the assignments as they
are handed out, and the library as a wheel; never a solution or a hidden check, for which it looks.
"""

import hashlib
import html
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from book.build import ROOT
from book.editions.pages import HERE, EditionError, built_site, listed, released, write_zip

__all__ = ["write_bundle"]

NAME = "gradients-to-detectors"
AS_THEY_ARE = ("requirements.lock", "LICENSE", "LICENSE-text", "CITATION.cff")
SECRET = re.compile(r"### BEGIN (HIDDEN TESTS|SOLUTION)\n(.*?)### END \1", re.DOTALL)
LONG = 120  # characters: a shorter solution may well stand in a chapter, or in the library


def write_bundle(root=ROOT):
    """Write ``_build/bundle/gradients-to-detectors.zip``.

    Parameters
    ----------
    root : Path
        The folder of the course.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EditionError
        If there is no site, the library does not become a wheel, or a solution or hidden check of
        an assignment would be in the archive.
    """
    root = Path(root)
    site = built_site(root)
    wheel, data = build_wheel(root)
    content = {wheel: data}
    for path in sorted(site.rglob("*")):
        if path.is_file() and path.name != ".buildinfo":
            content[f"site/{path.relative_to(site).as_posix()}"] = path
    for name in listed(root):
        path = root / f"{name}.ipynb"
        if path.is_file():
            content[f"notebooks/{name}.ipynb"] = path
    for path in sorted((root / "assignments").glob("*/*.ipynb")):
        content[f"notebooks/assignments/{path.parent.name}/{path.name}"] = path
    for name in AS_THEY_ARE:
        content[name] = root / name
    readme = (HERE / "bundle.md").read_text(encoding="utf-8")
    content["README.md"] = readme.replace("WHEEL", wheel).encode()
    content = {path: as_bytes(what) for path, what in sorted(content.items())}
    refuse_secrets(content, secrets(root))
    content["SHA256SUMS"] = checksums(content)

    file = root / "_build" / "bundle" / f"{NAME}.zip"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_zip(file, {f"{NAME}/{path}": what for path, what in content.items()}, released(root))
    return file


def as_bytes(what):
    return what.read_bytes() if isinstance(what, Path) else what


def checksums(content):
    """The lines that ``sha256sum --check`` reads."""
    return "".join(
        f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in content.items()
    )


def build_wheel(root):
    """The library as a wheel: its file name and its bytes.

    Where hatchling is installed this needs no network; else pip fetches it, as it does for
    ``make setup``.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--wheel-dir", folder, str(root)]
        if importlib.util.find_spec("hatchling"):
            command.insert(4, "--no-build-isolation")
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(released(root))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise EditionError(f"the library does not become a wheel; pip says:\n{done.stderr}")
        return wheels[0].name, wheels[0].read_bytes()


def secrets(root):
    """What nobody may be handed: solutions and hidden checks, by the notebook they are from.

    Returns
    -------
    dict
        Text without its spaces, and where it is from.
    """
    found = {}
    for path in sorted(root.glob("solutions/*/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for kind, text in SECRET.findall("".join(cell["source"])):
                if kind == "HIDDEN TESTS" or len(squeezed(text)) > LONG:
                    found[squeezed(text)] = f"{path.name}, cell {cell.get('id', '')}"
    return found


def squeezed(text):
    return re.sub(r"\s+", "", text)


def refuse_secrets(content, secrets):
    """Raise an :class:`EditionError` if any file holds any of the `secrets`."""
    for path, data in content.items():
        for name, text in texts(path, data):
            for secret, origin in secrets.items():
                if secret in text:
                    raise EditionError(f"{name} would give away {origin}: is the release stale?")


def texts(path, data):
    """The texts in a file, without markup and spaces, each with its name."""
    if path.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from texts(f"{path}/{name}", archive.read(name))
    elif path.endswith(".ipynb"):
        cells = json.loads(data)["cells"]
        yield path, squeezed("\n".join("".join(cell["source"]) for cell in cells))
    elif path.endswith(".html"):
        yield path, squeezed(html.unescape(re.sub(r"<[^>]+>", "", data.decode())))
    elif path.endswith((".py", ".js", ".txt", ".md", ".json")):
        yield path, squeezed(data.decode())


def main():
    started = time.monotonic()
    try:
        file = write_bundle()
    except EditionError as error:
        sys.exit(f"\nThe bundle is not made: {error}")
    print(
        f"The bundle is made, in {time.monotonic() - started:.0f} s: {file}\n"
        f"  {file.stat().st_size / 2**20:.1f} MiB"
    )


if __name__ == "__main__":
    main()
