"""Waiting on asyncio that ends in time, and when it is cancelled."""

from __future__ import annotations

import asyncio


async def is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether it is set; waits at most so long for that.

    Not by `asyncio.wait_for`, which on Python 3.11 swallows a cancellation that comes just as the event is set.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
