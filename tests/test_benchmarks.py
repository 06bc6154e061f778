"""The benchmarks run, and measure what they say; how fast anything is, no test asks."""

import numpy as np
import pytest

from benchmarks import boxes, layers, measure, metrics, regions


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    for name, value in {"ROUNDS": 1, "PAUSE": 0, "AT_LEAST": 0}.items():
        monkeypatch.setattr(measure, name, value)


def test_memory_beyond_the_output():
    def f():
        return np.zeros(1000), np.zeros(500)

    assert 4000 <= measure.extra_memory(f) < 5000


def test_every_contender_is_called_as_often():
    calls = []
    times = measure.compare(a=lambda: calls.append("a"), b=lambda: calls.append("b"))
    assert times.keys() == {"a", "b"}
    assert calls == ["a", "b", "a", "a", "b", "b"]


@pytest.mark.parametrize(
    "layer",
    [
        (layers.conv_rows, layers.Conv("tiny", (2, 3, 6, 6), (4, 3, 3, 3), 2, 1, 1.0, 1.0)),
        (layers.pool_rows, layers.Pool("tiny", (2, 3, 6, 6), 3, 2, 1.0, 1.0)),
    ],
    ids=["conv", "pool"],
)
def test_a_layer_has_two_rows(layer):
    measure_rows, case = layer
    rows = measure_rows(case)
    assert [row[:2] for row in rows] == [["tiny", "forward"], ["", "backward"]]
    assert len(rows[0]) == len(rows[1]) == 8


def test_the_ratio_is_to_the_faster_peer_and_bold_above_the_limit():
    seconds = {"ours": 0.003, "NCHW": 0.002, "channels last": 0.001}
    row = layers.row("conv", "forward", seconds, layers.LAYOUTS, 2.0, "1.0")
    assert row == ["conv", "forward", "3.00", "2.00", "1.00", "**3.00**", "2.0", "1.0"]
    assert layers.row("pool", "forward", seconds, ["NCHW"], 2.0, "")[5] == "1.50"


def test_a_wrong_layer_is_not_timed():
    with pytest.raises(AssertionError):
        layers.agree(np.ones(3), np.array([1, 1, 1.1]))


@pytest.mark.parametrize("layer", regions.LAYERS, ids=lambda layer: layer.name)
def test_a_layer_for_boxes_has_two_rows(layer):
    rows = regions.rows_of(layer, 3, (1, 2, 20, 30))
    assert [row[:3] for row in rows] == [[layer.name, "3", "forward"], ["", "", "backward"]]
    assert len(rows[0]) == len(rows[1]) == 7


def test_metrics_have_a_row():
    for row in (metrics.iou_row(20), metrics.precision_row(images=5, classes=2)):
        assert len(row) == 6


def test_suppression_has_a_row():
    for layout in (boxes.scattered, boxes.around_objects):
        row = boxes.nms_row("tiny", layout, 60, 0.5)
        assert row[:3] == ["tiny", "60", "0.5"]
        assert len(row) == 9


def test_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    measure.write_table("layers", "Title", measure.circumstances("torch"), ["a", "b"], [["1", "2"]])
    lines = (tmp_path / "results" / "layers.md").read_text().splitlines()
    assert lines[0] == "# Title"
    assert "numpy" in lines[2]
    assert "torch" in lines[2]
    assert lines[4:] == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert "| 1 | 2 |" in capsys.readouterr().out
