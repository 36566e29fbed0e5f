"""Messages that could not be handed on, set aside in Redis with the reason."""

from __future__ import annotations

from pipeline.sinks.keys import dead_key
from pipeline.sinks.redis_client import RedisLink, RedisSettings
from stages.results.messages import rfc3339


class DeadLetters:
    """A stream a line and group, of which the newest are kept."""

    def __init__(self, settings: RedisSettings, group: str, most: int) -> None:
        self._link = RedisLink(settings)
        self._group = group
        self._most = most

    async def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        await self._link.close()

    async def add(
        self, line: str, stream: str, entry_id: str, message_id: str, data: bytes, why: str, at: float
    ) -> None:
        """Set one aside, at least once; `at` is Unix seconds. Raises SinkUnavailable."""
        fields = {
            "message_id": message_id,
            "data": data,
            "stream": stream,
            "entry_id": entry_id,
            "reason": why,
            "at": rfc3339(at),
        }
        async with self._link.use() as client:
            await client.xadd(dead_key(line, self._group), fields, maxlen=self._most, approximate=True)  # type: ignore[arg-type]
