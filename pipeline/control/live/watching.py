"""Who watches which camera: one reader for all who watch the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.control.live.feed import Feed
from pipeline.control.live.places import Places

if TYPE_CHECKING:
    from pipeline.sinks.redis_client import RedisSettings


class Watching:
    """Feeds by camera; one is opened by the first who watches and closed by the last who leaves."""

    def __init__(self, settings: RedisSettings, most: int) -> None:
        self._settings = settings
        self._places = Places(most, "watchers of live pictures")
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._tasks: dict[Feed, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def watch(self, line: str, camera: str) -> AsyncIterator[Feed]:
        """The camera's feed, which runs for as long as somebody is inside. Raises ApiError 503 where all are taken."""
        with self._places.take():
            feed = self._open(line, camera)
            feed.watchers += 1
            try:
                yield feed
            finally:
                feed.watchers -= 1
                if not feed.watchers:
                    self._close(line, camera, feed)

    def _open(self, line: str, camera: str) -> Feed:
        feed = self._feeds.get((line, camera))
        if feed is None or feed.over is not None:
            feed = self._feeds[line, camera] = Feed(self._settings, line, camera)
            task = self._tasks[feed] = asyncio.create_task(feed.run(), name=f"watch-{camera}")
            task.add_done_callback(lambda _: self._tasks.pop(feed, None))
        return feed

    def _close(self, line: str, camera: str, feed: Feed) -> None:
        """Its task closes its connection itself; it is kept in `_tasks` until that is done."""
        if self._feeds.get((line, camera)) is feed:
            del self._feeds[line, camera]
        if feed in self._tasks:
            self._tasks[feed].cancel()
