"""What preprocess and detect note on a traced batch, and that they leave any other alone."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pipeline.deployments.tracing import detected_now, marked, prepared_now
from stages.trace import Stage, Trace
from stages.values import Detected, ModelInfo
from tests.unit.stages.detect.scripted import prepared

MODEL = ModelInfo("m", "1", "", ())


def took_ms(trace: Trace | None) -> dict[str, float]:
    assert trace is not None
    untils = [trace.since, *(mark.until for mark in trace.marks)]
    return {mark.stage: (b - a) * 1e3 for mark, a, b in zip(trace.marks, untils, untils[1:], strict=False)}


def test_what_is_not_traced_is_given_back_as_it_is() -> None:
    batch, answer = prepared(1), Detected((), (), MODEL)
    assert prepared_now(batch, None, "p") is batch
    assert detected_now(answer, batch, "d") is answer
    assert marked(None, Stage.TRACK, "t") is None


def test_a_stages_own_time_is_what_it_measured_and_what_came_before_is_the_way_there() -> None:
    sent = Trace(time.time() - 1.0)
    batch = prepared_now(prepared(1), sent, "p")  # says it took 1.5 ms
    assert took_ms(batch.trace) == {"send": pytest.approx(998.5, abs=50), "preprocess": pytest.approx(1.5, abs=0.01)}


def test_of_detect_the_models_part_and_the_rest_are_told_apart() -> None:
    batch = replace(prepared(1), trace=Trace(time.time() - 1.0))
    detected = detected_now(Detected((), (), MODEL, {"detect": 40.0}, infer_ms=30.0), batch, "d")
    assert took_ms(detected.trace) == {
        "batch_wait": pytest.approx(960, abs=50),
        "infer": pytest.approx(30, abs=0.01),
        "boxes": pytest.approx(10, abs=0.01),
    }
