"""The traces of a batch's frames, as they are kept in Redis for whoever looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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
    own: Trace  # until its batch went
    road: Trace  # what the batch went through together

    @property
    def total_s(self) -> float:
        """Seconds from its first moment to its last."""
        return max(self.own.until, self.road.until) - self.own.since

    def stretches(self) -> Iterator[tuple[Mark, float, float]]:
        """Each mark with where its stretch began, Unix seconds, and how long it was, seconds; none is negative."""
        begun = self.own.since
        for mark in (*self.own.marks, *self.road.marks):
            until = max(begun, mark.until)
            yield mark, begun, until - begun
            begun = until


def frame_traces(batch: FrameBatch, road: Trace, cameras: Collection[str]) -> list[FrameTrace]:
    """The roads of a batch's frames, of these cameras; `road` is what the batch went through together."""
    reader = f"ingest {batch.shard}"
    return [
        FrameTrace(frame.camera_id, batch.shard, batch.batch_no, frame.seq, _own(frame, road.since, reader), road)
        for frame in batch.frames
        if frame.camera_id in cameras
    ]


def encoded(traces: Sequence[FrameTrace]) -> bytes:
    """One batch's, at least one, for the store."""
    first = traces[0]
    frames = [(one.camera, one.seq, one.own.since, one.own.marks) for one in traces]
    told = (first.shard, first.batch_no, first.road.since, first.road.marks, frames)
    return orjson.dumps(told, default=list)  # a named tuple is none to it


def decoded(data: bytes) -> list[FrameTrace]:
    """Inverse of `encoded`. Raises ValueError where it is none, as of another version."""
    try:
        shard, batch_no, since, marks, frames = orjson.loads(data)
        road = _trace(since, marks)
        return [FrameTrace(camera, shard, batch_no, seq, _trace(*own), road) for camera, seq, *own in frames]
    except (TypeError, ValueError) as exc:
        raise ValueError(f"no traces of this version: {exc}") from None


def _trace(since: float, marks: Sequence[Any]) -> Trace:
    return Trace(float(since), tuple(Mark(str(stage), float(until), str(process)) for stage, until, process in marks))


def _own(frame: Frame, sent: float, reader: str) -> Trace:
    """What the frame went through alone, until its batch was sent."""
    if frame.received_at <= 0:  # nobody stamped it
        return Trace(sent)
    arrived_at = frame.received_at - frame.decode_s
    own = Trace(arrived_at)
    if frame.clock in _TOLD:
        own = Trace(min(frame.captured_at, arrived_at)).then(Stage.CAPTURE, arrived_at, f"camera {frame.camera_id}")
    if frame.decode_s > 0:
        own = own.then(Stage.DECODE, frame.received_at, reader)
    return own.then(Stage.QUEUE, sent, reader)
