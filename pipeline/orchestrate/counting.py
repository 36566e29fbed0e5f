"""Holds what each line inspected against what its part counter counted; a slow counter makes nobody late."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from pipeline.orchestrate.line_count import CountStore, LineCount
from pipeline.orchestrate.part_counter import PAGE, START, CounterError, PartCounterSettings, counter_of
from pipeline.sinks.keys import stream_pattern
from stages.results.models import InspectionMessage, Message, MessageError, UninspectedMessage, parse_message

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from pipeline.config import RaylineConfig

logger = logging.getLogger(__name__)

_RECENT = 64  # message ids kept, to know a repeat: what is written twice stands close together


class Counting:
    """Counts on from what Redis holds of each line, and keeps nothing else. The client is its own, and closed by it."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._store = CountStore(redis)
        self._clock = clock
        self._looks: dict[str, asyncio.Task[None]] = {}

    def begin(self, config: RaylineConfig) -> None:
        """Begin a look at each line that has a counter, but for those still being looked at. Returns at once."""
        for line, settings in config.lines.items():
            if settings.part_counter is None or line in self._looks:
                continue
            camera = config.counting_camera(line)
            look = self._look(line, settings.part_counter, "" if camera is None else camera.camera_id)
            self._looks[line] = asyncio.create_task(look)

    async def close(self) -> None:
        """Break off what is under way; the counts stay in Redis."""
        looks = list(self._looks.values())
        for task in looks:
            task.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await self._redis.aclose()

    async def _look(self, line: str, settings: PartCounterSettings, camera: str) -> None:
        try:
            await self.look(line, settings, camera)
        except RedisError as exc:
            logger.debug("line %s: not counted this second, Redis is away: %s", line, type(exc).__name__)
        except Exception:  # nobody awaits a look; each failure is told in full
            logger.exception("line %s: counting its parts failed", line)
        finally:
            del self._looks[line]

    async def look(self, line: str, settings: PartCounterSettings, camera: str) -> LineCount:
        """One look at one line. A counter that cannot be read is told in `error`. Raises RedisError."""
        now = self._clock()
        before = await self._before(line, settings, camera, now)
        count = before.model_copy(update={"at": now, "error": None})
        try:
            reading = await counter_of(settings, self._redis).read(before.counter_place)
        except CounterError as exc:
            count = count.model_copy(update={"error": str(exc)})
        else:
            told = {"counter_place": reading.place, "counted": before.counted + reading.parts, "error": reading.problem}
            count = count.model_copy(update=told)
        if count.counter_place is None:  # both begin together, or the difference would never be right
            count = count.model_copy(update={"since": now})
        else:
            count = await self._inspected(count)
        await self._store.write(count)
        self._log(before, count)
        return count

    async def _before(self, line: str, settings: PartCounterSettings, camera: str, now: float) -> LineCount:
        """What is kept; of another counter or camera nothing is."""
        fresh = LineCount(line=line, counter=settings.address, camera=camera, since=now)
        for stored in await self._store.read([line]):
            if (stored.line, stored.counter) == (line, fresh.counter) and camera in ("", stored.camera):
                return stored
        return fresh

    async def _inspected(self, count: LineCount) -> LineCount:
        """With the entries of the inspections stream that came since; at most PAGE, the rest at the next look."""
        stream = stream_pattern("inspections", count.line)
        entries: Any
        if count.inspections_place is None:
            entries = await self._redis.xrevrange(stream, count=1)
            return count.model_copy(update={"inspections_place": entries[0][0].decode() if entries else START})
        entries = await self._redis.xrange(stream, min=f"({count.inspections_place}", count=PAGE)
        for entry_id, fields in entries:
            count = _with(count, fields.get(b"data", b""))
            count = count.model_copy(update={"inspections_place": entry_id.decode()})
        return count

    def _log(self, before: LineCount, count: LineCount) -> None:
        if count.error is not None and before.error is None:
            logger.warning("line %s: its part counter cannot be read: %s", count.line, count.error)
        if count.error is None and before.error is not None:
            logger.info("line %s: its part counter can be read again", count.line)


def _with(count: LineCount, data: bytes) -> LineCount:
    try:
        message = parse_message(data)
    except MessageError as exc:
        logger.warning("line %s: an entry of its inspections is passed over: %s", count.line, exc)
        return count
    recent = count.recent.split()
    if message.camera != count.camera or _short(message.message_id) in recent:
        return count
    kept = " ".join([*recent, _short(message.message_id)][-_RECENT:])
    return count.model_copy(update={"recent": kept, **_news(count, message, recent)})


def _news(count: LineCount, message: Message, recent: list[str]) -> dict[str, Any]:
    """What changes with a message of the counting camera."""
    match message:
        case InspectionMessage():
            return {"inspected": count.inspected + 1}
        case UninspectedMessage(until=None):
            return {"uninspected": count.uninspected + 1, "blind_since": message.since.timestamp()}
        case UninspectedMessage():  # one that was known only when it was over has no beginning of its own
            is_new = _short(f"{message.interval_id}/open") not in recent
            return {"uninspected": count.uninspected + is_new, "blind_since": None}
    return {}


def _short(message_id: str) -> str:
    """The id of a file's part holds the file's path; sixty-four of them are written every second."""
    return hashlib.blake2b(message_id.encode(), digest_size=6).hexdigest()
