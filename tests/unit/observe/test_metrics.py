"""Metrics are sentences; each ends in a name that is declared, with the labels that are declared."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from pipeline.ingest.camera_state import CameraState
from pipeline.observe.metrics import COUNTERS, GAUGES, HISTOGRAMS, STATES, Metrics, NullMeter, ray_metrics
from pipeline.observe.settings import ObserveSettings
from tests.fakes import RecordingMeter
from tests.unit.observe.roads import frame_trace


def told(sentence: str, *words: object) -> list[tuple[str, float, dict[str, str]]]:
    meter = RecordingMeter()
    getattr(Metrics(meter), sentence)(*words)
    return meter.told


SENTENCES = [name for name, _ in inspect.getmembers(Metrics, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_sentence_counts_something_declared(sentence: str) -> None:
    traces = [frame_trace(infer=1.0)]
    kinds = {"int": 2, "float": 0.5, "float | None": 0.5, "str": "running", "Collection[FrameTrace]": traces}
    words = [kinds[p.annotation] for p in list(inspect.signature(getattr(Metrics, sentence)).parameters.values())[1:]]
    assert told(sentence, *words)


def test_a_published_frame_is_counted_and_its_latency_measured() -> None:
    assert told("frame_published", "cam-1", 0.25) == [
        ("rayline_frames_published", 1, {"camera": "cam-1"}),
        ("rayline_capture_to_publish_seconds", 0.25, {"camera": "cam-1"}),
    ]


def test_drops_are_counted_by_reason_and_none_are_not_counted() -> None:
    assert told("frames_dropped", "cam-1", "behind", 3) == [
        ("rayline_frames_dropped", 3, {"camera": "cam-1", "reason": "behind"})
    ]
    assert told("frames_dropped", "cam-1", "behind", 0) == []


def test_a_camera_is_in_one_state() -> None:
    states = {tags["state"]: value for _, value, tags in told("camera_state", "cam-1", "paused")}
    assert states == {state: float(state == "paused") for state in STATES}


def test_its_states_are_those_a_camera_can_have() -> None:
    assert set(STATES) == {state.value for state in CameraState}


def test_a_camera_that_is_gone_is_in_none() -> None:
    assert all(value == 0 for _, value, _ in told("camera_gone", "cam-1"))


def test_names_and_labels_are_what_prometheus_takes() -> None:
    for name, (*_, tags) in {**COUNTERS, **GAUGES, **HISTOGRAMS}.items():
        assert re.fullmatch(r"rayline_[a-z_]+", name)
        assert not name.endswith("_total")  # Ray adds it
        assert all(re.fullmatch(r"[a-z]+", tag) for tag in tags)


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    for name, (text, *_, tags) in {**COUNTERS, **GAUGES, **HISTOGRAMS}.items():
        kind = "counter" if name in COUNTERS else "gauge" if name in GAUGES else "histogram"
        assert f"| `{name}` | {kind} | {', '.join(tags)} | {text} |" in page
    port = ObserveSettings().metrics_port
    assert f":{port}/metrics" in page


def test_bounds_rise() -> None:
    for _, bounds, _ in HISTOGRAMS.values():
        assert list(bounds) == sorted(set(bounds))


def test_a_process_without_ray_counts_to_nobody_and_does_not_import_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    metrics = ray_metrics()
    assert isinstance(metrics._meter, NullMeter)
    metrics.frame_published("cam-1", 0.1)
    metrics.camera_state("cam-1", "running")
    assert "ray" not in sys.modules
