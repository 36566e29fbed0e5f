"""Frames' roads with known times, seconds after BEGUN."""

from __future__ import annotations

from pipeline.observe.traces import FrameTrace
from stages.trace import Stage, Trace

BEGUN = 1_800_000_000.0
READER, REPLICA, TRACKER = "ingest s", "detect-m r1", "track r2"
_OWN = (Stage.CAPTURE, Stage.DECODE, Stage.QUEUE)


def frame_trace(camera: str = "cam-1", seq: int = 0, begun: float = BEGUN, **took_ms: float) -> FrameTrace:
    """Stages in the order of the road, each so many milliseconds long."""
    own = _trace(begun, READER, {stage: took_ms[stage] for stage in _OWN if stage in took_ms})
    model = {stage: took_ms[stage] for stage in Stage if stage in took_ms and stage not in _OWN}
    tracked = {stage: model.pop(stage) for stage in (Stage.TRACK, Stage.PUBLISH) if stage in model}
    prepared = _trace(own.until, REPLICA, model)
    road = Trace(own.until, (*prepared.marks, *_trace(prepared.until, TRACKER, tracked).marks))
    return FrameTrace(camera, "s", seq // 2, seq, own, road)


def _trace(begun: float, process: str, took_ms: dict[Stage, float]) -> Trace:
    road = Trace(begun)
    for stage, ms in took_ms.items():
        road = road.then(stage, road.until + ms / 1e3, process)
    return road
