"""Run a notebook again when what its numbers depend on has changed, and only then.

Jupyter Book's cache knows a notebook by the source of its cells. The numbers on the page depend on
more: on the modules of ``course_lib`` that the notebook imports, on the versions in
``requirements.lock``, on Python's own. All of that goes into a *fingerprint*, and each fingerprint
has a cache of its own, so that a stale result cannot be found. Sphinx, which reads a page again
only when its file changed, is told of the pages whose fingerprint did.
"""

import ast
import hashlib
import platform
import shutil
from functools import lru_cache
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from sphinx.environment.collectors import EnvironmentCollector

PACKAGE = "course_lib"
KEPT_CACHES = 60  # of earlier states of the library; about 1 MB each


def fingerprint(notebook, root):
    """Digest of what the outputs of `notebook` depend on besides its own cells.

    Parameters
    ----------
    notebook : NotebookNode
        Only the source of its code cells is read.
    root : Path
        The folder that holds ``course_lib`` and ``requirements.lock``.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(platform.python_version().encode())
    for path in [root / "requirements.lock", *sorted(dependencies(notebook, root))]:
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16]


def dependencies(notebook, root):
    """Files of ``course_lib`` that `notebook` reaches through imports, direct or not.

    An import anywhere in a module counts, also inside a function, and so does a string that names
    a module, as in ``import_module("course_lib.plots")``. With a package come its data files.

    Returns
    -------
    set of Path
    """
    python = TransformerManager()  # turns `%pip install` into Python that parses
    waiting = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            waiting += _imported(python.transform_cell(cell.source), package="")
    found, seen = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        new = _files(name, root) - found
        found |= new
        for path in new:
            if path.suffix == ".py":
                package = ".".join(path.relative_to(root).parent.parts)
                state = path.stat()
                waiting += _imported_by(path, package, state.st_mtime_ns, state.st_size)
    return found


@lru_cache(maxsize=1024)
def _imported_by(path, package, *state):
    """What the file at `path` imports while it is in this `state`; chapters share most files."""
    return tuple(_imported(path.read_text(encoding="utf-8"), package))


def _imported(source, package):
    """Dotted names that `source`, a module of `package`, imports, most of them perhaps not ours."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # running it will say what is wrong with it
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE}."):
            yield node.value


def _files(name, root):
    """What importing the dotted `name` reads: its packages, their data, and the module itself."""
    if name.split(".")[0] != PACKAGE:
        return set()
    found, folder = set(), root
    for part in name.split("."):
        module, folder = folder / f"{part}.py", folder / part
        if module.is_file():
            return found | {module}
        if not (folder / "__init__.py").is_file():
            break  # a function or class of the module before
        found |= {folder / "__init__.py", *_data(folder)}
    return found


def _data(package):
    """Files that are not Python in the folder `package`, but not those of packages below it."""
    for path in package.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").is_file():
                yield from _data(path)
        elif path.suffix != ".py":
            yield path


def as_notebook(path, text):
    """The notebook that Jupyter Book makes of the page `text` at `path`; None for a plain page."""
    if path.suffix == ".ipynb":
        return nbformat.reads(text, as_version=4)
    if is_myst_markdown_notebook(text):
        return read_myst_markdown_notebook(text, path=path)
    return None


class Origins(EnvironmentCollector):
    """Remembers what each page was read from, in ``env.course_origins``, and tells when it changed.

    Sphinx alone compares times, and so misses a file that an older one has replaced.
    """

    def get_outdated_docs(self, app, env, added, changed, removed):
        known = self._known(env)
        return [name for name in sorted(set(known) - removed) if known[name] != origin(app, name)]

    def process_doc(self, app, doctree):
        self._known(app.env)[app.env.docname] = origin(app, app.env.docname)

    def clear_doc(self, app, env, docname):
        self._known(env).pop(docname, None)

    def merge_other(self, app, env, docnames, other):
        self._known(env).update({name: self._known(other)[name] for name in docnames})

    @staticmethod
    def _known(env):
        if not hasattr(env, "course_origins"):
            env.course_origins = {}
        return env.course_origins


def origin(app, docname):
    """Digest of what a page is written from, and the fingerprint of its notebook, or None.

    That is its file, and whatever its directives have noted with its full path.
    """
    path = Path(app.env.doc2path(docname))
    text = path.read_text(encoding="utf-8")
    notebook = as_notebook(path, text)
    digest = hashlib.sha256(text.encode())
    for noted in sorted(map(Path, app.env.dependencies.get(docname, ()))):
        if noted.is_absolute() and noted.is_file():
            digest.update(noted.read_bytes())
    return digest.hexdigest(), notebook and fingerprint(notebook, Path(app.srcdir))


def choose_cache(app, docname, source):
    """Before a page is read: let its results be looked up among those of its fingerprint only."""
    _, fingerprint_ = origin(app, docname)
    if fingerprint_:
        folder = caches(app) / fingerprint_
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
        config = app.env.mystnb_config
        app.env.mystnb_config = config.copy(execution_cache_path=str(folder))


def forget_old_caches(app, exception):
    folders = sorted(caches(app).glob("*/"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-KEPT_CACHES]:
        shutil.rmtree(folder)


def caches(app):
    return Path(app.outdir).parent / ".jupyter_cache"


def digest_of_book():
    """Digest of the code that makes the pages; when it changes, every page is read again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def setup(app):
    app.add_config_value("course_digest_of_book", digest_of_book(), "env")
    app.add_env_collector(Origins)
    app.connect("source-read", choose_cache)
    app.connect("build-finished", forget_old_caches)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
