"""The traces of a batch's frames, as they are kept in Redis for whoever looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from stages.trace import Mark, Stage, Trace
from stages.values import Clock, Frame, FrameBatch

_TOLD = (Clock.RTCP, Clock.MESSAGE)  # clocks that say when a picture was taken, not only when it came


@dataclass(frozen=True, slots=True)
class FrameTrace:
    """One frame's whole road, from capture (or arrival) to publish."""

    camera: str
    shard: str
    batch_no: int
    seq: int
    trace: Trace

    @property
    def total_s(self) -> float:
        """Seconds from its first moment to its last."""
        return self.trace.until - self.trace.since

    def stretches(self) -> Iterator[tuple[Mark, float, float]]:
        """Each mark with where its stretch began, Unix seconds, and how long it was, seconds."""
        begun = self.trace.since
        for mark in self.trace.marks:
            yield mark, begun, mark.until - begun
            begun = mark.until


def frame_traces(batch: FrameBatch, road: Trace, cameras: Collection[str]) -> list[FrameTrace]:
    """The roads of a batch's frames, of these cameras; `road` is what the batch went through together."""
    return [
        FrameTrace(
            frame.camera_id, batch.shard, batch.batch_no, frame.seq, _whole(frame, road, f"ingest {batch.shard}")
        )
        for frame in batch.frames
        if frame.camera_id in cameras
    ]


def encoded(traces: Iterable[FrameTrace]) -> bytes:
    """For the store."""
    told = [[one.camera, one.shard, one.batch_no, one.seq, one.trace.since, one.trace.marks] for one in traces]
    return orjson.dumps(told, default=list)  # a named tuple is none to it


def decoded(data: bytes) -> list[FrameTrace]:
    """Inverse of `encoded`. Raises ValueError where it is none, as of another version."""
    try:
        return [_frame_trace(*one) for one in orjson.loads(data)]
    except (TypeError, ValueError) as exc:
        raise ValueError(f"no traces of this version: {exc}") from None


def _frame_trace(camera: str, shard: str, batch_no: int, seq: int, since: float, marks: Iterable[Any]) -> FrameTrace:
    road = Trace(float(since), tuple(Mark(str(stage), float(until), str(process)) for stage, until, process in marks))
    return FrameTrace(camera, shard, batch_no, seq, road)


def _whole(frame: Frame, road: Trace, reader: str) -> Trace:
    """What the frame went through alone, then the road of its batch."""
    if frame.received_at <= 0:  # nobody stamped it
        return road
    arrived_at = frame.received_at - frame.decode_s
    alone = Trace(arrived_at)
    if frame.clock in _TOLD:
        camera = f"camera {frame.camera_id}"
        alone = Trace(min(frame.captured_at, arrived_at)).then(Stage.CAPTURE, arrived_at, camera)
    if frame.decode_s > 0:
        alone = alone.then(Stage.DECODE, frame.received_at, reader)
    whole = alone.then(Stage.QUEUE, road.since, reader)
    for mark in road.marks:
        whole = whole.then(Stage(mark.stage), mark.until, mark.process)
    return whole
