"""Which batches of a shard are traced: a fixed share, and a larger one while somebody looks."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pipeline.sinks.errors import SinkUnavailable
from stages.trace import Stage, Trace
from stages.values import Detected

logger = logging.getLogger(__name__)

LOOK_S = 2.0  # between two looks whether somebody asks for more
_STEP = 2654435761  # 2**32 over the golden ratio: its multiples are even over any stretch, and beat with no keyframe
_ALL = 2**32


class Tracing:
    """Begins the traces of one shard. The choice is by the batch's number: the same whenever it is asked."""

    def __init__(self, shard: str, sample: float, wall: Callable[[], float] = time.time) -> None:
        self._process = f"ingest {shard}"
        self._first = zlib.crc32(shard.encode())  # shards choose different batches
        self._settled = sample
        self._sample = sample
        self._wall = wall

    def begin(self, batch_no: int) -> Trace | None:
        """The trace of a batch that goes now, or None for most."""
        if not self._sample or (self._first + batch_no * _STEP) % _ALL >= self._sample * _ALL:
            return None
        return Trace(self._wall())

    def answered(self, detected: Detected | None) -> Detected | None:
        """The detections are back."""
        return self._marked(detected, Stage.RETURN)

    def has_turn(self, detected: Detected | None) -> Detected | None:
        """The batch before has landed."""
        return self._marked(detected, Stage.TURN)

    async def follow(self, asked: Callable[[], Awaitable[float | None]]) -> None:
        """For ever: as large a share as `asked` says somebody wants, never less than the settled one."""
        while True:
            try:
                self._sample = max(self._settled, await asked() or 0.0)
            except SinkUnavailable as exc:
                logger.debug("whether more is to be traced cannot be asked: %s", exc)
                self._sample = self._settled
            await asyncio.sleep(LOOK_S)

    def _marked(self, detected: Detected | None, stage: Stage) -> Detected | None:
        if detected is None or detected.trace is None:
            return detected
        return replace(detected, trace=detected.trace.then(stage, self._wall(), self._process))
