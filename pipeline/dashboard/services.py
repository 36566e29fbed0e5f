"""What the pages work with: made once a process, shared by everybody who looks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.control.access.roles import Principal
from pipeline.control.routes.lines import LineView, views_of
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

        What is asked in the name of somebody must have the lines they may see in the key. An error is each one's own.
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

    async def lines(self, principal: Principal) -> list[LineView]:
        """Their lines and how they do, in the order of names. Raises SinkUnavailable, NothingDesired."""
        views = await self.shared("lines", SYSTEM_S, self._lines)
        return [view for view in views if principal.may_see(view.name)]

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

    async def _lines(self) -> list[LineView]:
        desired, report = await self.system()
        return await views_of(self.redis, desired, report, desired.config.line_ids())

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.database().read() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self.database().write() as connection:
            return work(connection)


class _Shared:
    """One answer that many ask for; while it is asked, the others wait for the same."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._answer: Any = None
        self._until: float | None = None

    @property
    def is_over(self) -> bool:
        """Nobody asks it, and who asked next would ask anew."""
        return not self._lock.locked() and (self._until is None or time.monotonic() >= self._until)

    async def get(self, for_s: float, work: Callable[[], Awaitable[Any]]) -> Any:
        async with self._lock:
            if self._until is None or time.monotonic() >= self._until:
                self._answer = await work()
                self._until = time.monotonic() + for_s
            return self._answer
