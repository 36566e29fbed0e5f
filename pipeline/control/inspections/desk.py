"""The history and the parts' pictures, asked by a few threads: the event loop waits for neither."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pipeline.control.live.places import Places
from pipeline.control.problems import busy
from pipeline.history.database import Database, HistoryMisconfigured, HistoryUnavailable
from pipeline.history.opening import open_existing
from pipeline.history.snapshots import PartPictures, PictureThreads

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.history.settings import HistorySettings
    from pipeline.sinks.snapshots import SnapshotSettings
    from stages.results.models import InspectionMessage

logger = logging.getLogger(__name__)

THREADS = 4  # as many questions at once; the engine's pool holds more connections
MOST_WAITING = 64
MOST_EXPORTS = 2

T = TypeVar("T")


class HistoryDesk:
    """Opened when first asked. Its errors are ApiErrors: 503 while the database does not answer."""

    def __init__(self, settings: HistorySettings, snapshots: SnapshotSettings | None = None) -> None:
        self.exports = Places(MOST_EXPORTS, "exports")
        self._pictures = PartPictures(snapshots)
        self._picture_threads = PictureThreads()
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, "history")
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._under_way = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` makes of one consistent look."""

        def look() -> T:
            with self.database().read() as connection:
                return work(connection)

        return await self.call(look)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` answers once all it did is kept."""

        def change() -> T:
            with self.database().write() as connection:
                return work(connection)

        return await self.call(change)

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` gives, done by one of the threads; it is done to its end, whoever stops waiting for it."""
        if self._under_way >= THREADS + MOST_WAITING:
            raise busy("too many questions to the history wait already")
        self._under_way += 1
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        doing.add_done_callback(self._done)
        try:
            return await asyncio.shield(doing)
        except (HistoryUnavailable, HistoryMisconfigured) as exc:
            logger.warning("%s", exc)
            raise busy("the history does not answer: try again") from exc

    async def picture(self, message: InspectionMessage) -> bytes:
        """The part's JPEG as it was stored. Raises NoPicture, PicturesUnavailable."""
        return await self._picture_threads.call(lambda: self._pictures.read(message))

    async def each(self, things: Iterator[T]) -> AsyncGenerator[T, None]:
        """The things, one after another, each made by a thread when it is asked for."""
        while (thing := await self.call(lambda: next(things, None))) is not None:
            yield thing

    def database(self) -> Database:
        """Blocks. Raises HistoryUnavailable, HistoryMisconfigured."""
        with self._opening:
            if self._database is None:
                self._database = open_existing(self._settings)
            return self._database

    def close(self) -> None:
        """Lets go of what waits, and of the database."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._picture_threads.close()
        with self._opening:
            opened, self._database = self._database, None
        if opened is not None:
            opened.close()

    def _done(self, doing: asyncio.Future[T]) -> None:
        self._under_way -= 1
        if not doing.cancelled():
            doing.exception()  # whoever asked may have stopped waiting
