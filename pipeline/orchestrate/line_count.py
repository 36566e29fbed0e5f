"""How many parts a line's counter counted and how many were inspected, kept in Redis so that whoever comes goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, computed_field

from pipeline.orchestrate.state import Report
from pipeline.sinks.keys import count_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class LineCount(Report):
    """One line's counts since `since`. Times are Unix seconds UTC."""

    line: str
    counter: str  # its address, masked
    camera: str = ""  # the one whose inspections are counted
    since: float
    counted: int = 0  # parts by the counter
    inspected: int = 0  # parts that got a verdict, whichever
    uninspected: int = 0  # stretches of time in which the camera could not see
    blind_since: float | None = None  # of the stretch that lasts
    error: str | None = None  # why the counter could not be read the last time; masked
    at: float = 0.0  # when it was last looked at
    counter_place: str | None = None  # None: it was never read, and nothing is counted yet
    inspections_place: str | None = None  # entry id
    recent: str = ""  # the last messages counted, for an entry may be written twice

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> int:
        """Parts counted and not inspected; below zero: the other way round."""
        return self.counted - self.inspected


class CountStore:
    """Keeps the counts, a hash a line. The client is the caller's to open and close."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, lines: Sequence[str]) -> list[LineCount]:
        """What is kept of these lines, in their order; lines of which nothing is are left out. Raises RedisError."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for line in lines:
                pipe.hgetall(count_key(line))
            stored = await pipe.execute() if lines else []
        return [count for fields in stored if (count := _count_of(fields)) is not None]

    async def write(self, count: LineCount) -> None:
        """Keep it in the place of what was there. Raises RedisError."""
        key = count_key(count.line)
        fields: dict[Any, Any] = {name: str(value) for name, value in count.model_dump().items() if value is not None}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.hset(key, mapping=fields)
            await pipe.execute()


def _count_of(fields: dict[bytes, bytes]) -> LineCount | None:
    try:
        return LineCount.model_validate({name.decode(): value.decode() for name, value in fields.items()})
    except ValidationError:  # nothing is kept, or another version's: counting begins anew
        return None
