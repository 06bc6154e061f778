"""A pytest plug-in: where several processes test, what shares something costly stays in one."""

import re

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsShared(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return shared(nodeid)

    return ByWhatIsShared(config, log)


def shared(nodeid):
    """Name what a test shares with others: a chapter's kernel, the site, a course, or its file.

    Parameters
    ----------
    nodeid : str
        As pytest writes it, ``tests/lectures/test_every_chapter.py::test_it[07-googlenet]``.
    """
    path = nodeid.split("::")[0]
    chapter = re.search(r"\b\d\d-[\w-]+(?=\])", nodeid)
    if path.startswith("tests/lectures/") and chapter:
        return chapter[0]
    if path == "tests/site/test_colab.py":  # copies that share little, and each takes long
        return nodeid
    folder = re.match(r"tests/(site|nbgrader|grading)/", path)
    return folder[0] if folder else path
