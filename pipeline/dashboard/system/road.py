"""Where the time of a frame goes, by the traces of the last minute."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipeline.observe.profile import Profile, profile_of
from pipeline.observe.traces import FrameTrace, decoded
from pipeline.sinks.keys import TRACE_SAMPLE, TRACES

if TYPE_CHECKING:
    from redis.asyncio import Redis

WITHIN_S = 60.0
MOST_ENTRIES = 300  # batches
SAMPLE = 0.05  # of the batches, while somebody looks at the page
_ASKED_S = 6


async def road(client: Redis) -> Profile | None:
    """None where nothing was traced. Asks for a few more traces, as `rayline profile` does. Raises redis.RedisError."""
    await client.set(TRACE_SAMPLE, SAMPLE, ex=_ASKED_S, nx=True)  # never less than somebody else asked for
    since = f"{int((time.time() - WITHIN_S) * 1e3)}-0"
    entries: Any = await client.xrevrange(TRACES, min=since, count=MOST_ENTRIES)
    traces: list[FrameTrace] = []
    for _, fields in entries:
        with suppress(ValueError, KeyError):  # of another version: the others tell their part
            traces += decoded(fields[b"data"])
    return profile_of(traces)
