"""Frames' roads with known times, seconds after BEGUN."""

from __future__ import annotations

from pipeline.observe.traces import FrameTrace
from stages.trace import Stage, Trace

BEGUN = 1_800_000_000.0
READER, REPLICA, TRACKER = "ingest s", "detect-m r1", "track r2"


def frame_trace(camera: str = "cam-1", seq: int = 0, begun: float = BEGUN, **took_ms: float) -> FrameTrace:
    """Stages in the order of the road, each so many milliseconds long."""
    road = Trace(begun)
    for stage in Stage:
        if stage.value in took_ms:
            early, late = stage in (Stage.DECODE, Stage.QUEUE), stage in (Stage.TRACK, Stage.PUBLISH)
            process = READER if early else TRACKER if late else REPLICA
            road = road.then(stage, road.until + took_ms[stage.value] / 1e3, process)
    return FrameTrace(camera, "s", seq // 2, seq, road)
