"""Waiting for a Redis that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipeline.ingest.backoff import backoff_delays
from pipeline.sinks.errors import SinkRefused, SinkUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_S, _MOST_S = 0.2, 5.0


async def until_there(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` answers once Redis is there: tried again at growing distances, said once. Raises SinkRefused."""
    delays = None
    while True:
        try:
            answer = await work()
        except SinkRefused:
            raise
        except SinkUnavailable as exc:
            if delays is None:
                delays = backoff_delays(_FIRST_S, _MOST_S)
                logger.warning("waiting for redis: %s", exc)
            await asyncio.sleep(next(delays))
        else:
            if delays is not None:
                logger.warning("redis is back")
            return answer
