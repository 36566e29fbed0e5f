"""Feeds of the cameras that somebody's page shows: held for as long as it asks for pictures, and a moment more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.control.live.watching import Watching
from pipeline.control.problems import ApiError

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

    def feed(self, line: str, camera: str, for_s: float = LINGER_S) -> Feed | None:
        """What the camera shows, watched for `for_s` from now on; None at first, and where too many are watched."""
        key = line, camera
        self._until[key] = max(self._until.get(key, 0.0), self._clock() + for_s)
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.create_task(self._hold(key), name=f"hold-{camera}")
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return self._feeds.get(key)

    async def opened(self, line: str, camera: str, for_s: float) -> Feed | None:
        """The same, at first too; None where too many are watched."""
        feed = self.feed(line, camera, for_s)
        if feed is None:
            await asyncio.sleep(0)  # its task begins, which waits for nobody before the feed is there
            feed = self._feeds.get((line, camera))
        return feed

    @property
    def watched(self) -> set[_Key]:
        """(line, camera) of those that are."""
        return set(self._feeds)

    async def close(self) -> None:
        """Let go of all."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _hold(self, key: _Key) -> None:
        try:
            async with self._watching.watch(*key) as feed:
                self._feeds[key] = feed
                # A page that asks puts it off; nothing else happens here.
                while feed.over is None and (left_s := self._until[key] - self._clock()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(left_s)
        except ApiError as exc:  # too many: who asks goes without
            logger.warning("camera %s is not shown: %s", key[1], exc)
        finally:
            self._feeds.pop(key, None)
