"""A pytest plug-in: a browser, and the accessibility rules of axe-core, for the tests of pages.

Without a browser, or without axe-core, the tests that need it say how to get it; where `CI` is
set that is a failure, elsewhere they are skipped.
"""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Error, sync_playwright

AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
NO_BROWSER = (
    "no browser: `sudo apt install chromium` on Debian and Ubuntu, "
    "or `.venv/bin/playwright install chromium` anywhere"
)
NO_AXE = "no axe-core: `make book` installs it, as `npm ci` does"


def missing(what):
    """Skip the test, saying what it lacks; in CI fail, so that nothing is passed over there."""
    (pytest.fail if os.getenv("CI") else pytest.skip)(what)


@pytest.fixture(scope="module")
def browser():
    """A Chromium, the system's where there is one; of a module, since its loop bars asyncio.run."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--disable-gpu", *sandbox]
            )
        except Error as error:
            missing(f"{NO_BROWSER} ({error.message.splitlines()[0]})")
        yield chromium
        chromium.close()


@pytest.fixture
def violations():
    """A function that lists what axe-core finds on a page: rule, and the places."""
    if not AXE.exists():
        missing(NO_AXE)

    def find(page):
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [f"{v['id']}: {[node['target'] for node in v['nodes']]}" for v in found]

    return find
