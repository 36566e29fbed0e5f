"""What the pages work with: made once a process, shared by everybody who looks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.dashboard.settings import DashboardSettings
from pipeline.dashboard.states import NoHistory
from pipeline.history.database import FILE, Database, HistoryMisconfigured, HistoryUnavailable
from pipeline.history.opening import open_existing
from pipeline.masking import mask
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredCache, DesiredStore
from pipeline.orchestrate.state import StateStore, SystemReport
from pipeline.sinks.redis_pool import RedisPool

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.config import RaylineConfig

T = TypeVar("T")

SYSTEM_S = 1.0  # what runs is read once in so long, however many look
_MOST_SHARED = 500


class Services:
    """Everything behind the pages. Call its methods on the event loop."""

    def __init__(self, config: RaylineConfig, settings: DashboardSettings) -> None:
        self.config = config  # as this process was given it; what runs now is in `system`
        self.settings = settings
        self.plant = config.plant
        self._history = config.history_settings()
        self._opening = threading.Lock()
        self._opened: Database | None = None
        self.redis = RedisPool(config.redis_settings())
        self.cache = DesiredCache()
        self._shared: dict[str, _Shared] = {}

    @asynccontextmanager
    async def desired(self) -> AsyncIterator[DesiredStore]:
        """What is to run, to be read and changed inside. Raises SinkUnavailable."""
        async with self.redis.use() as client:
            yield DesiredStore(client, cache=self.cache)

    @asynccontextmanager
    async def state(self) -> AsyncIterator[StateStore]:
        """What runs, as last reported. Raises SinkUnavailable."""
        async with self.redis.use() as client:
            yield StateStore(client)

    @property
    def keeps_history(self) -> bool:
        """True where one is configured."""
        return self._history is not None

    @property
    def history_address(self) -> str | None:
        """Where it is, without credentials; of a file its name alone; None where none is configured."""
        if self._history is None:
            return None
        return FILE if self._history.embedded else mask(self._history.url.get_secret_value()).partition("://")[2]

    def database(self) -> Database:
        """Opened when first asked. Blocks: for threads. Raises HistoryUnavailable, NoHistory among it."""
        if self._history is None:
            raise NoHistory
        with self._opening:
            if self._opened is None:
                try:
                    self._opened = open_existing(self._history)
                except HistoryMisconfigured as exc:
                    raise HistoryUnavailable(str(exc)) from None
            return self._opened

    async def query(self, work: Callable[[Connection], T]) -> T:
        """The answer of `work`, which looks into the history on a thread. Raises HistoryUnavailable."""
        return await asyncio.to_thread(self._read, work)

    async def change(self, work: Callable[[Connection], T]) -> T:
        """The same in one transaction that writes. Raises HistoryUnavailable."""
        return await asyncio.to_thread(self._write, work)

    async def shared(self, key: str, for_s: float, work: Callable[[], Awaitable[T]]) -> T:
        """The answer of `work`, asked once in `for_s` however many pages want it; `key` names all it depends on.

        What is asked in the name of somebody must have the lines they may see in the key. All who wait get an error.
        """
        held = self._shared.get(key)
        if held is None:
            for other in [name for name, one in self._shared.items() if one.is_over]:  # nobody is given them any more
                del self._shared[other]
            while len(self._shared) >= _MOST_SHARED:
                del self._shared[next(iter(self._shared))]
            held = self._shared[key] = _Shared()
        answer: T = await held.get(for_s, work)
        return answer

    def forget(self, *keys: str) -> None:
        """Somebody changed it: what is shared under these keys is asked anew."""
        for key in keys:
            self._shared.pop(key, None)

    async def system(self) -> tuple[DesiredState, SystemReport | None]:
        """What is to run and what runs; None where nothing reports. Raises SinkUnavailable, NothingDesired."""
        return await self.shared("system", SYSTEM_S, self._system)

    async def close(self) -> None:
        """Let go of Redis and the history."""
        await self.redis.close()
        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)

    async def _system(self) -> tuple[DesiredState, SystemReport | None]:
        async with self.desired() as store:
            desired = await store.read()
        async with self.state() as states:
            return desired, await states.read()

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.database().read() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self.database().write() as connection:
            return work(connection)


class _Shared:
    """One answer that many ask for; while it is asked, the others wait for the same, answer or error."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[Any] | None = None
        self._at = 0.0  # when its answer came
        self._for_s = 0.0  # how long who asked last takes it for fresh

    @property
    def is_over(self) -> bool:
        """Nobody asks it, and who asked next would ask anew."""
        return self._asked is None or (self._asked.done() and not self._is_fresh(self._asked))

    async def get(self, for_s: float, work: Callable[[], Awaitable[Any]]) -> Any:
        """An error is old at once: who asks after it has come asks anew."""
        self._for_s = for_s
        asked = self._asked
        if asked is None or self.is_over:
            asked = self._asked = asyncio.ensure_future(self._ask(work))
            asked.add_done_callback(_failed)  # nobody may be left to take its error
        return await asyncio.shield(asked)  # who goes away takes nothing from the others

    def _is_fresh(self, asked: asyncio.Task[Any]) -> bool:
        return not _failed(asked) and time.monotonic() - self._at < self._for_s

    async def _ask(self, work: Callable[[], Awaitable[Any]]) -> Any:
        answer = await work()
        self._at = time.monotonic()
        return answer


def _failed(asked: asyncio.Task[Any]) -> bool:
    return asked.cancelled() or asked.exception() is not None
