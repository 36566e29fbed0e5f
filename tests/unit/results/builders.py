"""One fixed result of every kind; the golden messages are what the builders make of these."""

import numpy as np

from stages.results.messages import ResultContext
from stages.values import (
    CameraId,
    Clock,
    Defect,
    Event,
    FrameResult,
    HealthState,
    Inspection,
    ModelInfo,
    Position,
    Tracks,
    Uninspected,
    Verdict,
)

CAPTURED_AT = 1_795_000_000.125
PUBLISHED_AT = CAPTURED_AT + 0.1875

CONTEXT = ResultContext(line="bottling-1", station="capper", source_kind="rtsp", recipe="cola-05", config_hash="3f9a1c")
MODEL = ModelInfo("bottles", "3", "ab" * 32, ("bottle", "cap", "label"), "live", "openvino")
POSITION = Position("live", 1_794_999_000_000, 4711)


def tracks() -> Tracks:
    return Tracks(
        xyxy=np.array([[10.04, 20.0, 110.26, 320.5], [30.0, 18.5, 90.0, 60.0]], np.float32),
        score=np.array([0.98765, 0.5], np.float32),
        class_id=np.array([0, 1], np.int32),
        track_id=np.array([17, -1], np.int32),
    )


def result(**changes: object) -> FrameResult:
    values: dict[str, object] = {
        "camera_id": CameraId("cam-1"),
        "seq": 4711,
        "captured_at": CAPTURED_AT,
        "clock": Clock.RTCP,
        "position": POSITION,
        "size_wh": (640, 360),
        "tracks": tracks(),
        "health": HealthState.OK,
        "model": MODEL,
        "dropped": {"queue_full": 2},
        "timings_ms": {"preprocess": 2.104, "detect": 41.5, "track": 1.25},
    }
    return FrameResult(**(values | changes))  # type: ignore[arg-type]  # a test's short hand


EVENT = Event(
    event_id="cam-1/1794999000000/4711/line/exit/17",
    kind="line_crossed",
    at=CAPTURED_AT,
    data={"line": "exit", "direction": "in", "track_id": 17, "label": "bottle"},
)

INSPECTION = Inspection(
    inspection_id="cam-1/1794999000000/17",
    camera_id=CameraId("cam-1"),
    station="capper",
    track_id=17,
    verdict=Verdict.REJECT,
    reasons=("missing cap",),
    defects=(Defect("missing cap", 0.91234, (30.0, 18.52, 90.0, 60.0), (6.0, 20.0, 106.3, 320.5)),),
    votes={"usable": 12, "cap": 0, "label": 12},
    captured_at=CAPTURED_AT,
    decided_at=CAPTURED_AT + 0.125,
    xyxy=(10.0, 20.0, 110.3, 320.5),
    position=POSITION,
    snapshot="file:///var/lib/rayline/snapshots/2026-11-18/cam-1_1794999000000_17-2f1d.jpg",
    snapshot_sha256="cd" * 32,
    snapshot_xyxy=(12.0, 20.04, 112.3, 320.5),
)

UNINSPECTED = Uninspected(
    interval_id="cam-1/1794999000000/black/1",
    camera_id=CameraId("cam-1"),
    since=CAPTURED_AT - 4,
    until=CAPTURED_AT,
    reason="black",
)
