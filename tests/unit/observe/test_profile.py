"""What traces add up to, and the file that viewers of traces open."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from pipeline.observe.profile import chrome_trace, profile_of
from stages.trace import Stage
from tests.unit.observe.roads import BEGUN, READER, REPLICA, TRACKER, frame_trace

TOOK = {"decode": 4.0, "queue": 10.0, "preprocess": 2.0, "infer": 40.0, "track": 1.0, "publish": 3.0}
# Frames of two cameras, 33 ms apart: each overlaps the next.
TRACES = [frame_trace(camera, seq, BEGUN + seq * 0.033, **TOOK) for seq in range(4) for camera in ("cam-1", "cam-2")]


def test_each_stage_has_its_percentiles_and_its_share_in_the_order_of_the_road() -> None:
    found = profile_of([frame_trace(infer=float(ms), queue=10.0) for ms in range(1, 101)])
    assert found is not None
    queue, infer = found.stages
    assert (queue.stage, infer.stage) == ("queue", "infer")
    assert (infer.count, round(infer.p50_ms), round(infer.p95_ms), round(infer.p99_ms)) == (100, 51, 96, 100)
    assert infer.share == pytest.approx(5050 / 6050)
    assert queue.share + infer.share == pytest.approx(1.0)
    assert found.total.p50_ms == pytest.approx(61.0, abs=0.01)
    assert found.longest == (infer, queue)


def test_without_traces_there_is_no_profile() -> None:
    assert profile_of([]) is None


def test_a_stage_not_every_frame_went_through_counts_its_own() -> None:
    found = profile_of([frame_trace(infer=10.0), frame_trace(infer=10.0, capture=80.0)])
    assert found is not None
    assert [(one.stage, one.count) for one in found.stages] == [("capture", 1), ("infer", 2)]
    assert found.longest[0].stage == "capture"


def spans(*phases: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(json.dumps(chrome_trace(TRACES)))["traceEvents"]
    return [event for event in events if event["ph"] in phases]


def test_the_chrome_trace_holds_nothing_but_complete_events_and_names() -> None:
    assert len(spans("X")) == len(TRACES) * len(TOOK)
    assert len(spans("X", "M")) == len(chrome_trace(TRACES)["traceEvents"])
    for event in spans("X"):
        assert {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"} == event.keys()
        assert all(isinstance(event[number], int) for number in ("ts", "dur", "pid", "tid"))
        assert event["dur"] >= 0
        assert event["name"] in set(Stage)


def test_a_frames_spans_follow_each_other_within_its_total() -> None:
    frames = defaultdict(list)
    for event in spans("X"):
        frames[event["args"]["camera"], event["args"]["seq"]].append(event)
    assert len(frames) == len(TRACES)
    for (_, seq), its in frames.items():
        begun_us = round((BEGUN + seq * 0.033) * 1e6)
        assert its[0]["ts"] == pytest.approx(begun_us, abs=1)
        assert all(before["ts"] + before["dur"] == after["ts"] for before, after in pairwise(its))
        assert sum(event["dur"] for event in its) == pytest.approx(60_000, abs=1)
        assert [event["name"] for event in its] == list(TOOK)


def test_spans_of_one_row_never_overlap() -> None:
    rows = defaultdict(list)
    for event in spans("X"):
        rows[event["pid"], event["tid"]].append(event)
    for its in rows.values():
        assert all(before["ts"] + before["dur"] <= after["ts"] for before, after in pairwise(its))


def test_processes_and_rows_carry_the_names_of_ours_and_of_cameras() -> None:
    processes = {e["args"]["name"]: e["pid"] for e in spans("M") if e["name"] == "process_name"}
    assert set(processes) == {READER, REPLICA, TRACKER}
    rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in spans("M") if e["name"] == "thread_name"}
    assert {name.split(" ")[0] for name in rows.values()} == {"cam-1", "cam-2"}
    for event in spans("X"):
        assert rows[event["pid"], event["tid"]].split(" ")[0] == event["args"]["camera"]
