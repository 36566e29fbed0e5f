"""A frame's road: its own stretches, then its batch's, without a gap and never backwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.observe.metrics import Metrics
from pipeline.observe.traces import decoded, encoded, frame_traces
from stages.trace import Stage, Trace
from stages.values import CameraId, Clock, Frame, FrameBatch, Position
from tests.fakes import RecordingMeter, grey_picture
from tests.unit.observe.roads import BEGUN, frame_trace

ROAD = Trace(BEGUN).then(Stage.INFER, BEGUN + 0.05, "detect").then(Stage.PUBLISH, BEGUN + 0.06, "track")


def frame(camera: str = "a", clock: Clock = Clock.RTCP, decode_s: float = 0.01) -> Frame:
    captured_at, received_at = BEGUN - 0.2, BEGUN - 0.03
    return Frame(
        CameraId(camera), 4, captured_at, clock, Position("live", 1, 4), grey_picture(), received_at, decode_s=decode_s
    )


def road_of(one: Frame, road: Trace = ROAD) -> dict[str, float]:
    """Stage -> milliseconds."""
    (trace,) = frame_traces(FrameBatch("s", 7, (one,)), road, {one.camera_id})
    return {mark.stage: round(took_s * 1e3, 3) for mark, _, took_s in trace.stretches()}


def test_clocks_that_disagree_make_an_empty_stretch_never_a_negative_one() -> None:
    road = Trace(BEGUN).then(Stage.SEND, BEGUN - 5, "another machine").then(Stage.INFER, BEGUN + 1, "here")
    assert [mark.until - BEGUN for mark in road.marks] == [0, 1]


def test_a_frames_own_stretches_stand_before_its_batchs() -> None:
    assert road_of(frame()) == {"capture": 160.0, "decode": 10.0, "queue": 30.0, "infer": 50.0, "publish": 10.0}


@pytest.mark.parametrize("clock", [Clock.ARRIVAL, Clock.MEDIA])
def test_a_clock_that_does_not_say_when_it_was_taken_begins_with_the_packet(clock: Clock) -> None:
    assert list(road_of(frame(clock=clock))) == ["decode", "queue", "infer", "publish"]


def test_what_nobody_measured_is_left_out() -> None:
    assert road_of(frame(decode_s=0.0)) == {"capture": 170.0, "queue": 30.0, "infer": 50.0, "publish": 10.0}
    assert road_of(replace(frame(), received_at=0.0)) == {"infer": 50.0, "publish": 10.0}


def test_a_camera_whose_clock_runs_ahead_costs_no_negative_time() -> None:
    assert road_of(replace(frame(), captured_at=BEGUN + 60))["capture"] == 0


def test_only_frames_that_were_stored_are_told_and_come_back_as_they_went() -> None:
    traces = frame_traces(FrameBatch("s", 7, (frame("a"), frame("b"), frame("c"))), ROAD, {"a", "c"})
    assert [one.camera for one in traces] == ["a", "c"]
    assert decoded(encoded(traces)) == traces


@pytest.mark.parametrize("data", [b"", b"{}x", b"[1]", b'["s",1,2.0,[],[["a"]]]', b'["s",1,2.0,[["infer",3.0]],[]]'])
def test_what_is_no_trace_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no traces of this version"):
        decoded(data)


def test_metrics_tell_a_frames_own_stages_for_each_and_its_batchs_once() -> None:
    meter = RecordingMeter()
    took = {"queue": 10.0, "preprocess": 2.0, "infer": 40.0, "track": 1.0, "publish": 3.0}
    Metrics(meter).frames_traced([frame_trace(seq=0, **took), frame_trace(seq=1, **took)])
    told = [(tags["stage"], round(value * 1e3)) for _, value, tags in meter.told]
    assert told == [("queue", 10), ("infer", 40), ("queue", 10)]  # every batch tells the others by itself
