"""Counts requests in Redis, so that all replicas count together; in this process while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from pipeline.control.rates.settings import Rate
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.redis_pool import RedisPool

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

PREFIX = "rayline:api:rates"
ANSWER_S = 0.5  # longer than this no request waits to be counted
AWAY_S = 2.0  # so long Redis is not asked after it gave no answer
MOST_HERE = 10_000  # callers counted one by one in this process; those beyond share one count
_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Count:
    """What is left to a caller."""

    allowed: bool
    remaining: int
    reset_s: float  # until some more is left

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, for headers."""
        return max(1, int(-(-self.reset_s // 1)))


class Counting:
    """A sliding window for each caller. Never an error, and never no limit: here each replica counts for itself."""

    def __init__(self, redis: RedisPool, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._away_until = 0.0
        self._memory = MemoryStorage()
        # The library's storage on a pooled connection; it goes when the connection is dropped.
        self._storages: WeakKeyDictionary[Redis, RedisStorage] = WeakKeyDictionary()

    async def count(self, rate: Rate, kind: str, who: str, tells: bool = True) -> Count:
        """Counts one more, if it may be. What is left is looked up where it `tells`, and where there is nothing."""
        if self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(ANSWER_S), self._redis.use() as client:
                    counted = await _count(
                        SlidingWindowCounterRateLimiter(self._storage(client)), rate, kind, who, tells
                    )
            except (SinkUnavailable, SinkRefused, TimeoutError) as exc:
                self._is_away(exc)
            else:
                if self._away_until:
                    self._away_until = 0.0
                    logger.info("requests are counted in Redis again")
                return counted
        if len(self._memory.expirations) >= MOST_HERE:
            who = _OTHERS
        return await _count(SlidingWindowCounterRateLimiter(self._memory), rate, kind, who, tells)

    def _storage(self, client: Redis) -> RedisStorage:
        storage = self._storages.get(client)
        if storage is None:
            # The address is never dialled: the connection is the pool's, and so are its errors, which hold no password.
            storage = RedisStorage(
                "async+redis://pool:1",
                implementation="redispy",
                key_prefix=PREFIX,
                connection_pool=client.connection_pool,  # type: ignore[arg-type]  # their annotation forgets it
            )
            self._storages[client] = storage
        return storage

    def _is_away(self, exc: Exception) -> None:
        if not self._away_until:
            why = str(exc) or f"no answer within {ANSWER_S:g} s"
            logger.warning("requests are counted in each replica for itself: %s", why)
        self._away_until = self._clock() + AWAY_S


async def _count(limiter: SlidingWindowCounterRateLimiter, rate: Rate, kind: str, who: str, tells: bool) -> Count:
    item = RateLimitItemPerSecond(rate.amount, rate.window_s)
    allowed = await limiter.hit(item, kind, who)
    if allowed and not tells:  # another question to Redis, for an answer nobody is told
        return Count(True, 0, 0.0)
    stats = await limiter.get_window_stats(item, kind, who)
    return Count(allowed, stats.remaining if allowed else 0, max(0.0, stats.reset_time - time.time()))
