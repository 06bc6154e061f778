"""Copies of the chapters for Google Colab, where the course's library is not installed."""

import json
from urllib.parse import quote, urlsplit

__all__ = ["binder_address", "colab_address", "colab_copy"]

PAGES_BRANCH = "gh-pages"  # where the built site is published, with the copies in it

INSTALL = """\
# Colab has NumPy and PyTorch, but not this course's library.
%pip install -q "gradients-to-detectors{extra} @ git+{url}@{branch}"
"""


def colab_copy(notebook, url, branch):
    """Put a cell that installs ``course_lib`` before the first code cell of a chapter.

    Parameters
    ----------
    notebook : str
        The text of an ``.ipynb`` file.
    url : str
        Address of the repository, as git clones it.
    branch : str
        Branch, tag or commit to install.

    Returns
    -------
    str
        The text of the copy, outputs cleared.
    """
    copy = json.loads(notebook)
    cells = copy["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    extra = "[torch]" if any("import torch" in source for source in code) else ""
    source = INSTALL.format(extra=extra, url=url, branch=branch)
    for cell in cells:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    first = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
    cells.insert(
        first,
        {
            "cell_type": "code",
            "id": "install-course-lib",
            "metadata": {},
            "source": source.splitlines(keepends=True),
            "outputs": [],
            "execution_count": None,
        },
    )
    return json.dumps(copy, ensure_ascii=False, indent=1) + "\n"


def colab_address(url, path):
    """Where Colab opens the file `path` of the published site; `url` is a repository on GitHub."""
    return f"https://colab.research.google.com/github/{_name(url)}/blob/{PAGES_BRANCH}/{path}"


def binder_address(url, branch, path):
    """Where Binder opens the notebook `path` of the repository, in JupyterLab."""
    lab = quote(f"lab/tree/{path}", safe="")
    return f"https://mybinder.org/v2/gh/{_name(url)}/{branch}?urlpath={lab}"


def _name(url):
    return urlsplit(url).path.strip("/").removesuffix(".git")
