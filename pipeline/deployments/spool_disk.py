"""The spool files of one track replica, asked on a thread of their own, and what they held at last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pipeline.sinks.errors import SinkError
from pipeline.sinks.spool import Owner, Spool, SpoolBusy, SpoolFull, Waiting
from pipeline.sinks.spool_folder import SpoolFolder
from pipeline.sinks.spool_settings import SpoolSettings
from pipeline.sinks.storage_thread import StorageSlow, StorageThread

_T = TypeVar("_T")


class SpoolDisk:
    """Every call but the plain ones may raise SpoolUnavailable, SpoolBroken or StorageSlow."""

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        self.folder = folder
        self._thread = StorageThread[object]("spool", settings.write_timeout_s)
        self._files = SpoolFolder(folder, settings, self._thread.is_given_up)
        self._waiting: dict[str, Mapping[Owner, Waiting]] = {}  # by shard: as its file held it at last
        self._is_closed = False
        self._failing_since: dict[str, float] = {}  # monotonic, by shard

    def shards(self) -> list[str]:
        """Those whose files are open here, or hold something."""
        return list(self._waiting)

    def waiting(self, shard: str) -> Mapping[Owner, Waiting]:
        """What the shard's file held at last, by camera."""
        return self._waiting.get(shard, {})

    def home(self, owner: Owner) -> str | None:
        """The shard in whose file this camera waits."""
        return next((shard for shard, waiting in self._waiting.items() if owner in waiting), None)

    def frames(self, owner: Owner) -> int:
        """Frames of this camera that wait."""
        return sum(waiting[owner].frames for waiting in self._waiting.values() if owner in waiting)

    def forget(self, shard: str) -> Mapping[Owner, Waiting]:
        """Nobody waits for what is in the file any more; what that was."""
        return self._waiting.pop(shard, {})

    def failing_s(self, shard: str) -> float:
        """For how long the file has given no answer, seconds; 0 where it gives one."""
        since = self._failing_since.get(shard)
        return 0.0 if since is None else time.monotonic() - since

    async def ask(self, shard: str, job: Callable[[Spool], _T]) -> _T:
        """The job's answer; what the file holds behind it is noted. The file is opened, or begun, where it is not."""

        def done() -> tuple[_T, dict[Owner, Waiting]]:
            spool = self._files.spool(shard)
            return job(spool), spool.waiting()

        answer, waiting = await self._do(done)
        self._failing_since.pop(shard, None)
        self._waiting[shard] = waiting
        return answer

    async def failed(self, shard: str, exc: SinkError) -> None:
        """It gave no answer: perhaps it does when it is opened anew."""
        self._failing_since.setdefault(shard, time.monotonic())
        if not isinstance(exc, SpoolFull | SpoolBusy | StorageSlow):
            with suppress(SinkError):
                await self._do(lambda: self._files.close(shard))

    async def close(self, shard: str) -> bool:
        """Leave the file to whoever needs it, if nothing waits in it; True where it is closed."""
        if self.waiting(shard):
            return False
        with suppress(SinkError):
            await self._do(lambda: self._files.close(shard))
        if self.waiting(shard):  # it came meanwhile
            return False
        self.forget(shard)
        return True

    async def set_aside(self, shard: str) -> Path:
        """Rename the damaged file; its name then."""
        return await self._do(lambda: self._files.set_aside(shard))

    async def left(self) -> list[str]:
        """Shards that have a file here which is not open here."""
        return await self._do(self._files.left)

    async def has_file(self, shard: str) -> bool:
        """True where there is something to open."""
        has_one = await self._do(lambda: self._files.has_file(shard))
        if not has_one:
            self._failing_since.pop(shard, None)
        return has_one

    async def close_all(self) -> None:
        """Let go of everything, once; what waits stays on disk."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(SinkError):
            await self._do(self._files.close_all)
        await asyncio.to_thread(self._thread.close, self._thread.timeout_s)

    async def _do(self, job: Callable[[], _T]) -> _T:
        future = self._thread.submit(job)
        done = asyncio.wrap_future(future)
        done.add_done_callback(_heard)
        await asyncio.wait([done], timeout=self._thread.timeout_s)  # who is cancelled leaves it running
        if done.done():
            return done.result()  # type: ignore[return-value]  # the thread serves several kinds of jobs
        return self._thread.give_up(future)  # type: ignore[return-value]


def _heard(late: asyncio.Future[object]) -> None:
    """What a job raised that nobody waits for any more is nobody's."""
    if not late.cancelled():
        late.exception()
