"""Devices, seeds, schedules, checkpoint files, and the bar."""

import io
import random
import subprocess
import sys
from unittest import mock

import nbclient
import nbformat
import numpy as np
import pytest
import torch

from book.build import prepare_kernels
from course_lib.training import (
    CheckpointError,
    choose_device,
    fit,
    load_checkpoint,
    predict,
    save_checkpoint,
    seed,
)
from course_lib.training.progress import open_bar, wanted
from course_lib.training.schedules import cosine, one_cycle
from course_lib.training.seeding import borrowed_randomness, seed_torch

# Devices


def test_chooses_what_is_there(monkeypatch):
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    for cuda, mps, expected in ((1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: bool(there))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: bool(there))
        assert choose_device() == torch.device(expected)


def test_the_environment_overrides(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("COURSE_DEVICE", "")
    assert choose_device() == torch.device("cuda")
    monkeypatch.setenv("COURSE_DEVICE", "cuda:99")
    message = (
        r"choose_device: `COURSE_DEVICE` is 'cuda:99', which this machine does not have; exp.*cpu"
    )
    with pytest.raises(ValueError, match=message):
        choose_device()
    monkeypatch.setenv("COURSE_DEVICE", "abacus")
    with pytest.raises(ValueError, match="`COURSE_DEVICE` is 'abacus', expected cpu, cuda or mps"):
        choose_device()


def test_convolutions_are_exact_and_the_same_every_time():
    cudnn, seen = torch.backends.cudnn, []

    class Watched(torch.nn.Linear):
        def forward(self, x):
            seen.append((cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark))
            return super().forward(x)

    model, before = Watched(1, 2), (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark)
    fit(model, np.ones((4, 1)), np.zeros(4, int), epochs=1)
    predict(model, np.ones((4, 1)))
    assert seen == [(False, True, False)] * 2
    assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == before


# Seeds


def test_a_seed_for_everything_but_numpys_own():
    np.random.seed(3)  # noqa: NPY002 -- to see that it is left alone
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draws = []
    for number in (4, 4, np.int64(5)):
        rng = seed(number)
        draws.append((rng.random(), random.random(), torch.rand(1).item()))
    assert draws[0] == draws[1]
    assert not set(draws[1]) & set(draws[2])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("number", [-1, 0.5, None])
def test_no_seed(number):
    with pytest.raises(ValueError, match=f"seed: `number` is {number}, expected an int, 0 or more"):
        seed(number)


def test_randomness_is_given_back():
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    first = torch.rand(2)
    with borrowed_randomness(torch.device("cpu")):
        seed_torch(9, torch.device("cpu"))
        inside = torch.rand(4)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    assert torch.equal(inside, torch.rand(4, generator=torch.Generator().manual_seed(9)))


# Schedules


def factors_of_torch(scheduler, steps):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1)
    theirs, rates = scheduler(optimizer, steps), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(rates) < steps else None
    return np.array(rates)


def test_cosine_as_torch():
    expected = factors_of_torch(lambda o, n: torch.optim.lr_scheduler.CosineAnnealingLR(o, n), 50)
    np.testing.assert_allclose([cosine(step / 50) for step in range(50)], expected, atol=1e-12)


def test_one_cycle_as_torch():
    """Theirs reaches the last rate at the last step, ours one step later."""
    expected = factors_of_torch(
        lambda o, n: torch.optim.lr_scheduler.OneCycleLR(
            o, 1, total_steps=n, cycle_momentum=False, final_div_factor=4000
        ),
        2000,
    )
    np.testing.assert_allclose([one_cycle(s / 2000) for s in range(2000)], expected, atol=4e-3)


def test_schedules_by_hand():
    assert [round(cosine(t), 12) for t in (0, 0.5, 1)] == [1, 0.5, 0]
    assert [round(one_cycle(t), 12) for t in (0, 0.15, 0.3, 1)] == [0.04, 0.52, 1, 1e-5]


def test_fit_follows_a_schedule():
    """With a gradient of 1, each step moves the weight by its learning rate."""
    model, seen = torch.nn.Linear(1, 1, bias=False), []

    def loss(output, labels):
        seen.append(model.weight.item())
        return output.mean()

    x = np.ones((4, 1))
    fit(
        model, x, np.zeros(4), epochs=3, batch_size=2, learning_rate=0.5, momentum=0, loss=loss,
        schedule=lambda t: 1 - t, device="cpu",
    )  # fmt: skip
    moves = -np.diff([*seen, model.weight.item()])
    np.testing.assert_allclose(moves, 0.5 * (1 - np.arange(6) / 6), rtol=1e-4)


# Checkpoint files


def test_a_checkpoint_comes_back(tmp_path):
    state = {"weights": {"a": torch.rand(3)}, "losses": [0.5, 0.25], "name": "x", "none": None}
    save_checkpoint(tmp_path / "new" / "run.pt", state)
    back = load_checkpoint(tmp_path / "new" / "run.pt")
    assert torch.equal(back["weights"]["a"], state["weights"]["a"])
    assert back["losses"] == [0.5, 0.25]


def test_a_failed_write_leaves_the_last_one(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"number": 1})

    def fails_half_way(state, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails_half_way)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, {"number": 2})
    assert load_checkpoint(path)["number"] == 1


class Evil:
    def __reduce__(self):
        return print, ("code that ran",)


def written_by_torch(thing):
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a text",
        written_by_torch({"format": "course_lib.training checkpoint 1"})[:-40],
        written_by_torch({"weights": torch.rand(3)}),
        written_by_torch([1, 2]),
        written_by_torch({"format": Evil()}),
    ],
    ids=["empty", "text", "cut", "another's", "list", "code"],
)
def test_what_is_no_checkpoint(content, tmp_path, capsys):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    message = (
        r"load_checkpoint: .*run\.pt is no checkpoint of `fit`, or was cut short; delete it, or"
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match=message):
        fit(torch.nn.Linear(1, 1), np.ones((2, 1)), np.zeros(2, int), epochs=1, checkpoint=path)
    assert path.read_bytes() == content
    assert capsys.readouterr().out == ""


def test_no_file_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.pt"):
        load_checkpoint(tmp_path / "run.pt")


# The bar


@pytest.mark.parametrize(
    "progress, setting, terminal, expected",
    [
        (True, "0", False, True),
        (False, "1", True, False),
        (print, "1", True, False),
        (None, "0", True, False),
        (None, "1", False, True),
        (None, "", True, True),
        (None, None, True, True),
        (None, None, False, False),
    ],
)
def test_when_there_is_a_bar(progress, setting, terminal, expected, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    if setting is not None:
        monkeypatch.setenv("COURSE_PROGRESS", setting)
    assert wanted(progress) is expected


def test_a_bar_of_text_says_epoch_and_loss(capsys):
    bar = open_bar(4, True)
    bar.set_description("epoch 1 of 2", refresh=False)
    bar.set_postfix_str("loss 0.123")
    bar.update()
    bar.refresh()
    bar.close()
    shown = capsys.readouterr()
    assert "epoch 1 of 2" in shown.out
    assert "loss 0.123" in shown.out
    assert shown.err == ""


def test_no_bar_is_silent(capsys):
    bar = open_bar(4, False)
    bar.update()
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_the_book_shows_no_bars(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with mock.patch.dict("os.environ"):
        prepare_kernels(tmp_path)
        assert not wanted(None)


CELLS = [
    """
import os, sys
import numpy as np, torch
from course_lib.training import fit
def learn():
    fit(torch.nn.Linear(2, 2), np.ones((8, 2)), np.zeros(8, int), epochs=2, device="cpu")
os.environ["COURSE_PROGRESS"] = "0"
learn()""",
    """
del os.environ["COURSE_PROGRESS"]
learn()""",
    """
sys.modules["ipywidgets"] = None
for module in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
    del sys.modules[module]
learn()""",
]


def test_what_a_notebook_shows(monkeypatch, tmp_path):
    """Nothing in the book's build, a widget in JupyterLab, without ipywidgets a line of text."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    book, lab, without_widgets = (cell.outputs for cell in notebook.cells)
    assert book == []
    assert [list(output.data) for output in lab] == [
        ["text/plain", "application/vnd.jupyter.widget-view+json"]
    ]
    assert {output.name for output in without_widgets} == {"stdout"}
    assert "| 0/2 [" in without_widgets[0].text


def test_importing_loads_torch_and_no_other_framework():
    code = "import course_lib.training, sys; print({*FRAMEWORKS} & {*sys.modules})"
    code = code.replace("FRAMEWORKS", "'IPython matplotlib sklearn skimage torchvision'.split()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
