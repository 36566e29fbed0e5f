"""Where a frame's time went: stretches of its road, each beginning where the one before ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """Stretches of the road, in its order."""

    CAPTURE = "capture"  # from the shutter to the packet's arrival, by the camera's or the producer's clock
    DECODE = "decode"
    QUEUE = "queue"  # in the hand-over, until its batch could go; the copy out of the decoder is in it
    SEND = "send"  # into the object store and to the replica that prepares it
    PREPROCESS = "preprocess"
    BATCH_WAIT = "batch_wait"  # prepared, until the model began: transport, and batches before it
    INFER = "infer"
    BOXES = "boxes"  # the model's raw answer to detections
    RETURN = "return"  # the detections' way back to the reader
    TURN = "turn"  # until the batch before had landed: track takes a shard's batches one after another
    TO_TRACK = "to_track"
    TRACK = "track"
    PUBLISH = "publish"


class Mark(NamedTuple):
    """The end of one stretch."""

    stage: str
    until: float  # Unix seconds, UTC, by the clock of the machine it was made on
    process: str  # who worked, or whoever was waited for


@dataclass(frozen=True, slots=True)
class Trace:
    """The road so far of a batch, or of one frame, from `since` (Unix seconds, UTC) on."""

    since: float
    marks: tuple[Mark, ...] = ()

    @property
    def until(self) -> float:
        """Where it stands."""
        return self.marks[-1].until if self.marks else self.since

    def then(self, stage: Stage, until: float, process: str) -> Trace:
        """The same with one more stretch; where machines' clocks disagree it is empty, never negative."""
        return Trace(self.since, (*self.marks, Mark(stage.value, max(until, self.until), process)))
