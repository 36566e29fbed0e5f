"""Everything the page of the system shows, read once for all who look; what cannot be read is told in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis

from pipeline.dashboard.services import Services
from pipeline.dashboard.system.history_facts import Lag, Size, lag, size
from pipeline.dashboard.system.redis_facts import RedisFacts, redis_facts
from pipeline.dashboard.system.road import road
from pipeline.history.database import HistoryUnavailable
from pipeline.observe.profile import Profile
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import NothingDesired
from pipeline.orchestrate.state import SystemReport
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.keys import camera_keys

T = TypeVar("T")

LOOK_S = 2.0
SIZE_S = 30.0  # grows slowly


@dataclass(frozen=True, slots=True)
class Seen:
    """As it is now; None where that is not known. `problems` are why, for the page to tell."""

    desired: DesiredState | None = None
    report: SystemReport | None = None
    redis: RedisFacts | None = None
    road: Profile | None = None
    lag: Lag | None = None
    size: Size | None = None
    problems: tuple[Exception, ...] = ()


class SystemReader:
    """One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def read(self) -> Seen:
        """At most every LOOK_S anew, however many look."""
        return await self._services.shared("system page", LOOK_S, self._read)

    async def _read(self) -> Seen:
        problems: list[Exception] = []

        async def known(work: Callable[[], Awaitable[T]]) -> T | None:
            try:
                return await work()
            except (SinkUnavailable, HistoryUnavailable, NothingDesired) as exc:
                problems.append(exc)
                return None

        found = await known(self._services.system)
        desired, report = found or (None, None)
        from_redis = None if found is None and _is_away(problems) else await known(lambda: self._from_redis(desired))
        facts, traced, behind = from_redis or (None, None, None)
        database = await known(self._size) if self._services.keeps_history else None
        return Seen(desired, report, facts, traced, behind, database, tuple(problems))

    async def _from_redis(self, desired: DesiredState | None) -> tuple[RedisFacts, Profile | None, Lag]:
        async with self._services.redis.use() as client:
            return await redis_facts(client), await road(client), await self._lag(client, desired)

    async def _lag(self, client: Redis, desired: DesiredState | None) -> Lag:
        if desired is None or not self._services.keeps_history:
            return Lag()
        keys = [camera_keys(camera.line, name) for name, camera in desired.cameras.items()]
        return await lag(client, sorted({stream for its in keys for stream in (its.events, its.inspections)}))

    async def _size(self) -> Size:
        return await self._services.shared("system size", SIZE_S, lambda: self._services.query(size))


def _is_away(problems: list[Exception]) -> bool:
    """Redis was asked just now: asked again, it would only keep the page waiting."""
    return any(isinstance(problem, SinkUnavailable) for problem in problems)
