"""Waiting for Redis, the database or another system: longer each time, and told once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from pipeline.ingest.backoff import backoff_delays
from pipeline.sinks.errors import SinkRefused
from pipeline.waiting import is_set_within
from stages.errors import RaylineError

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


class Absence:
    """Of a side that somebody needs."""

    def __init__(self, whose: str, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """`whose`: who waits, as the log calls it."""
        self._whose = whose
        self._logger = logger
        self._clock = clock
        self._since: float | None = None
        self._told_level = logging.NOTSET
        self._delays = backoff_delays(FIRST_WAIT_S, LONGEST_WAIT_S)

    @property
    def lasts(self) -> bool:
        """Somebody waits now."""
        return self._since is not None

    async def wait(self, why: RaylineError | str, ending: asyncio.Event, *, needs_a_person: bool = False) -> bool:
        """Wait before the next try; True where it ended meanwhile. `needs_a_person`: as what Redis refuses does."""
        if self._since is None:
            self._since, self._told_level = self._clock(), logging.NOTSET
        level = logging.ERROR if needs_a_person or isinstance(why, SinkRefused) else logging.WARNING
        if level > self._told_level:  # once, and again where waiting turns out not to help
            self._told_level = level
            self._logger.log(level, "%s waits, nothing is lost: %s", self._whose, why)
        return await is_set_within(ending, next(self._delays))

    def is_over(self) -> None:
        """It answers; may be said at any time."""
        self._delays = backoff_delays(FIRST_WAIT_S, LONGEST_WAIT_S)
        if self._since is not None:
            self._logger.info("%s goes on after %.1f s", self._whose, self._clock() - self._since)
            self._since = None
