"""Running totals become increments, each counted once, whatever comes and goes."""

from __future__ import annotations

from typing import Any

from pipeline.ingest.camera_state import CameraState, CameraStatus
from pipeline.ingest.totals import TotalsTold
from pipeline.observe.metrics import Metrics
from stages.values import CameraId
from tests.fakes import RecordingMeter

CAM = CameraId("cam-1")


def status(state: CameraState = CameraState.RUNNING, **figures: Any) -> CameraStatus:
    return CameraStatus(CAM, state, 0.0, **figures)


def test_only_what_was_added_since_the_last_look_is_counted() -> None:
    meter = RecordingMeter()
    totals = TotalsTold(Metrics(meter))
    totals.camera(status(frames_in=10, reconnects=1, dropped={"queue_full": 2}))
    totals.camera(status(frames_in=25, reconnects=1, dropped={"queue_full": 2, "behind": 4}))
    assert meter.values("rayline_frames_in", camera=CAM) == [10, 15]
    assert meter.values("rayline_reconnects", camera=CAM) == [1]
    assert meter.values("rayline_frames_dropped", reason="queue_full") == [2]
    assert meter.values("rayline_frames_dropped", reason="behind") == [4]


def test_the_state_is_told_at_every_look() -> None:
    meter = RecordingMeter()
    totals = TotalsTold(Metrics(meter))
    for state in (CameraState.CONNECTING, CameraState.RUNNING, CameraState.RUNNING):
        totals.camera(status(state))
    assert meter.values("rayline_camera_state", state="running") == [0, 1, 1]


def test_a_camera_that_left_is_in_no_state_and_counts_from_zero_when_it_is_back() -> None:
    meter = RecordingMeter()
    totals = TotalsTold(Metrics(meter))
    totals.camera(status(frames_in=10))
    totals.gone(status(CameraState.ENDED, frames_in=12))
    assert [meter.values("rayline_camera_state", state=s)[-1] for s in ("running", "ended")] == [0, 0]
    totals.camera(status(frames_in=3))
    assert meter.total("rayline_frames_in") == 15


def test_what_was_dropped_behind_the_hand_over_is_counted_after_the_camera_has_left_too() -> None:
    meter = RecordingMeter()
    totals = TotalsTold(Metrics(meter))
    totals.camera(status())
    totals.carried({CAM: {"sink_unavailable": 2}})
    totals.gone(status())
    totals.carried({CAM: {"sink_unavailable": 5}})
    assert meter.values("rayline_frames_dropped", reason="sink_unavailable") == [2, 3]
