"""The recorded runs are what the scripts that made them make."""

import importlib
import json

import numpy as np
import pytest
import torch

from course_lib.data import load_recording
from course_lib.data.recordings import FOLDER
from recordings.__main__ import NAMES

SAMPLES = {  # runs to train again: the quick ones, of each kind
    "normalisation": [
        {"depth": 2, "gain": 1.4142, "rate": 0.1, "normalised": False, "seed": 0},
        {"depth": 5, "gain": 0.5, "rate": 0.3, "normalised": True, "seed": 1},
        {"depth": 20, "gain": 2.0, "rate": 1.0, "normalised": False, "seed": 2},
    ],
    "residual": [{"layers": 8, "kind": "residual", "norm": "batch norm", "seed": 2}],
}
EARLY = 4  # values of a run, from its start, that rounding has not yet led apart


def test_each_recording_has_a_script_and_each_script_a_recording():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES) == SAMPLES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_of_the_settings_of_today(name):
    module, recording = importlib.import_module(f"recordings.{name}"), load_recording(name)
    assert recording["settings"] == json.loads(json.dumps(module.SETTINGS))
    keys = module.grid()[0].keys()
    assert [{k: run[k] for k in keys} for run in recording["runs"]] == module.grid()


@pytest.mark.parametrize(
    "name, setting",
    [(name, setting) for name, settings in SAMPLES.items() for setting in settings],
    ids=str,
)
def test_a_run_trained_again_begins_as_recorded(name, setting):
    module, runs = importlib.import_module(f"recordings.{name}"), load_recording(name)["runs"]
    (recorded,) = [run for run in runs if setting.items() <= run.items()]
    torch.set_num_threads(1)
    again = module.run(setting)
    (values,) = [key for key in again if key in ("losses", "errors")]
    early = [np.array(run[values][:EARLY], float) for run in (again, recorded)]
    np.testing.assert_allclose(*early, rtol=0.05, atol=0.5 if values == "errors" else 0.01)
    if again["error"] is None:
        assert recorded["error"] is None
    else:
        assert again["error"] == pytest.approx(recorded["error"], abs=2)


def test_an_unknown_recording_is_refused():
    with pytest.raises(ValueError, match="`name` is 'depth', expected one of 'normalisation', 're"):
        load_recording("depth")
