"""What a detect replica has to do, counted in frames: a call carries one or many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pipeline.ingest.handoff import QUEUE_FULL
from stages.values import FrameBatch


class Load(NamedTuple):
    """One replica's work since it was last asked."""

    queued: float = 0.0  # frames that waited or were worked on, on the average
    busy: float = 0.0  # share of the time in which there were any, 0..1
    served_per_s: float = 0.0  # frames answered
    shed_per_s: float = 0.0  # frames of the same cameras that found no room before they could come here


class LoadMeter:
    """Counts what comes and goes; `take` tells it and begins anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queued = 0  # frames, now
        self._begun_at = self._at = clock()
        self._frame_seconds = self._busy_s = 0.0
        self._served = self._shed = 0

    @contextmanager
    def working(self, frames: int, shed: int) -> Iterator[None]:
        """Around one call of so many frames; `shed` of its cameras went before them."""
        self._pass_time()
        self._queued += frames
        self._shed += shed
        try:
            yield
        finally:
            self._pass_time()
            self._queued -= frames
            self._served += frames

    def take(self) -> Load:
        """The load since the last call of this."""
        self._pass_time()
        passed_s = max(1e-3, self._at - self._begun_at)
        load = Load(
            queued=self._frame_seconds / passed_s,
            busy=self._busy_s / passed_s,
            served_per_s=self._served / passed_s,
            shed_per_s=self._shed / passed_s,
        )
        self._begun_at = self._at
        self._frame_seconds = self._busy_s = 0.0
        self._served = self._shed = 0
        return load

    def _pass_time(self) -> None:
        now = self._clock()
        passed_s, self._at = now - self._at, now
        self._frame_seconds += passed_s * self._queued
        self._busy_s += passed_s if self._queued else 0.0


def shed_before(batch: FrameBatch) -> int:
    """Frames of its cameras that fresher ones displaced at ingest, since the frames before these."""
    return sum(frame.dropped.get(QUEUE_FULL, 0) for frame in batch.frames)
