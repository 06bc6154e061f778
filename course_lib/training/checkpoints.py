"""Files from which training goes on where it stopped."""

import os
from pathlib import Path

import torch

FORMAT = "course_lib.training checkpoint 1"


class CheckpointError(ValueError):
    """A file is no checkpoint, or not one of this training; it was left as it is."""


def save_checkpoint(path, state):
    """Write `state`, a dict of tensors, numbers, strings and containers of them, to `path`.

    The file is written beside it and then renamed, so that at any moment `path` holds a whole
    checkpoint, the last one or this one. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_checkpoint(path):
    """Return the state that :func:`save_checkpoint` wrote, its tensors on the CPU.

    It unpickles nothing but tensors, numbers, strings and containers of them, so that a file from
    somebody else cannot run code.

    Raises
    ------
    CheckpointError
        If the file was cut short, or is something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, pickle and torch each have their own
        raise not_a_checkpoint(path) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise not_a_checkpoint(path)
    return state


def not_a_checkpoint(path):
    """Return the error to raise."""
    return CheckpointError(
        f"load_checkpoint: {path} is no checkpoint of `fit`, or was cut short; delete it, or "
        "choose another path"
    )
