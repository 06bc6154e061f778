"""A bar that moves while a model is trained, where somebody looks at it."""

import os
import sys
import warnings


def open_bar(steps, progress=None):
    """Return a bar of tqdm for so many steps, which may be one that shows nothing.

    By default there is a bar in a notebook and in a terminal, not where output goes to a file. The
    environment variable ``COURSE_PROGRESS``, 0 or 1, overrides that, as in the book's build, and
    `progress`, True or False, overrides both. A `progress` that is a function takes the place of
    the bar.
    """
    if not wanted(progress):
        from tqdm import tqdm

        return tqdm(total=steps, disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets it is a line of text, as good
        from tqdm.auto import tqdm
    return tqdm(total=steps, leave=False, file=sys.stdout)


def wanted(progress):
    """Return whether to show a bar."""
    if callable(progress):
        return False
    if progress is not None:
        return bool(progress)
    setting = os.environ.get("COURSE_PROGRESS")
    return setting != "0" if setting else in_notebook() or sys.stdout.isatty()


def in_notebook():
    """Return whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython.get_ipython(), "kernel") if ipython else False
