"""Feeds of the cameras that somebody's page shows: held for as long as it asks for pictures, and a moment more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.control.live.watching import Watching

if TYPE_CHECKING:
    from pipeline.control.live.feed import Feed
    from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

LINGER_S = 2.0  # a page asks several times a second; one that does not any more is hidden or gone
MOST = 256  # cameras at once

_Key = tuple[str, str]  # line, camera


class Held:
    """One watcher a camera for all pages of this process. Call it on the event loop."""

    def __init__(self, settings: RedisSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._watching = Watching(settings, MOST)
        self._clock = clock
        self._until: dict[_Key, float] = {}
        self._feeds: dict[_Key, Feed] = {}
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._is_full = False  # and it was told

    def feed(self, line: str, camera: str, for_s: float = LINGER_S) -> Feed | None:
        """What the camera shows, watched for `for_s` from now on; None at first, and where too many are watched."""
        key = line, camera
        if key not in self._tasks:
            if len(self._tasks) >= MOST:
                self._tell_full(camera)
                return None
            self._tasks[key] = asyncio.create_task(self._hold(key), name=f"hold-{camera}")
        self._until[key] = max(self._until.get(key, 0.0), self._clock() + for_s)
        return self._feeds.get(key)

    async def opened(self, line: str, camera: str, for_s: float) -> Feed | None:
        """The same, at first too; None where too many are watched."""
        feed = self.feed(line, camera, for_s)
        if feed is None:
            await asyncio.sleep(0)  # its task begins, which waits for nobody before the feed is there
            feed = self._feeds.get((line, camera))
        return feed

    async def close(self) -> None:
        """Let go of all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hold(self, key: _Key) -> None:
        try:
            async with self._watching.watch(*key) as feed:
                self._feeds[key] = feed
                # A page that asks puts it off; nothing else happens here.
                while feed.over is None and (left_s := self._until[key] - self._clock()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(left_s)
        finally:
            self._feeds.pop(key, None)
            del self._until[key], self._tasks[key]
            self._is_full = False

    def _tell_full(self, camera: str) -> None:
        """Once until a place is free: pages ask several times a second."""
        if not self._is_full:
            self._is_full = True
            logger.warning("camera %s is not shown, and others are not: %d are shown already", camera, MOST)
