"""What Redis says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """As it is now."""

    version: str
    up_s: float
    used_bytes: int
    most_bytes: int  # 0: no limit
    clients: int

    @property
    def is_full(self) -> bool:
        """Nine tenths of what it may hold: then it soon refuses writes."""
        return 0 < 0.9 * self.most_bytes <= self.used_bytes


async def redis_facts(client: Redis) -> RedisFacts:
    """Raises redis.RedisError."""
    said: dict[str, Any] = {}
    for section in ("server", "memory", "clients"):
        said |= await client.info(section)
    return RedisFacts(
        version=str(said.get("redis_version", "?")),
        up_s=float(said.get("uptime_in_seconds", 0)),
        used_bytes=int(said.get("used_memory", 0)),
        most_bytes=int(said.get("maxmemory", 0)),
        clients=int(said.get("connected_clients", 0)),
    )
