"""Recorded runs, made by ``python -m recordings``: settings, seeds, and what came of each."""

import json
from pathlib import Path

__all__ = ["load_recording"]

FOLDER = Path(__file__).parent


def load_recording(name):
    """Load the recording of a name.

    Parameters
    ----------
    name : str
        Of a file in this folder, such as ``"residual"``.

    Returns
    -------
    dict
        ``settings`` says what was run, ``runs`` is a list of one dict for each run: what was
        varied, the seed, and the results that the settings describe.

    Raises
    ------
    ValueError
        If there is no such recording; the message lists those that there are.
    """
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in names:
        raise ValueError(
            f"load_recording: `name` is {name!r}, expected one of {', '.join(map(repr, names))}"
        )
    return json.loads((FOLDER / f"{name}.json").read_text())
