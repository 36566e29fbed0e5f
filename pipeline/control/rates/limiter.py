"""Whether somebody may ask once more: by where they come from, and, once they are known, by who they are."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from pipeline.control.access.roles import Principal
from pipeline.control.problems import ApiError
from pipeline.control.rates.counting import Count, Counting
from pipeline.control.rates.settings import Rate, RateLimitSettings
from pipeline.sinks.redis_pool import RedisPool

_MOST_BLOCKED = 10_000
_HEADERS = "rate_limit_headers"  # where in a request's state they wait for the answer


class RateLimits:
    """Refuses with 429. Who was refused is not counted again until there is room: a flood costs Redis nothing."""

    def __init__(
        self, settings: RateLimitSettings, redis: RedisPool, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._counting = Counting(redis, monotonic)
        self._monotonic = monotonic
        self._address = Rate.parse(settings.per_address)
        self._failed = Rate.parse(settings.failed)
        self._principal = Rate.parse(settings.per_principal)
        self._detect = Rate.parse(settings.detect)
        self._blocked: OrderedDict[tuple[str, str], float] = OrderedDict()  # until when

    async def of_address(self, address: str) -> None:
        """One more request from there. Raises ApiError 429, for too many keys that were never good too."""
        self._refuse_blocked("failed", address, "too many keys or tokens from this address were not good")
        await self._count(self._address, "address", address, "too many requests from this address", tells=False)

    async def failed(self, address: str) -> None:
        """Something came from there that was never a good key or token."""
        counted = await self._counting.count(self._failed, "failed", address)
        if not counted.remaining:
            self._block("failed", address, counted)

    async def of_principal(self, principal: Principal, detects: bool, scope: Scope) -> None:
        """One more request of somebody known. Raises ApiError 429; else the answer will tell what is left."""
        kind, rate = ("detect", self._detect) if detects else ("principal", self._principal)
        # A subject may be long, and is nobody's business who only looks at keys of Redis.
        who = hashlib.sha256(f"{principal.kind}:{principal.name}".encode()).hexdigest()[:32]
        counted = await self._count(rate, kind, who, f"too many requests of {principal.name}")
        scope["state"][_HEADERS] = _headers(rate, counted)

    async def _count(self, rate: Rate, kind: str, who: str, detail: str, tells: bool = True) -> Count:
        self._refuse_blocked(kind, who, detail, rate)
        counted = await self._counting.count(rate, kind, who, tells)
        if not counted.allowed:
            self._block(kind, who, counted)
            raise _too_many(detail, counted, rate)
        return counted

    def _block(self, kind: str, who: str, counted: Count) -> None:
        self._blocked.pop((kind, who), None)
        self._blocked[kind, who] = self._monotonic() + counted.reset_s
        if len(self._blocked) > _MOST_BLOCKED:
            self._blocked.popitem(last=False)

    def _refuse_blocked(self, kind: str, who: str, detail: str, rate: Rate | None = None) -> None:
        left_s = self._blocked.get((kind, who), 0.0) - self._monotonic()
        if left_s > 0:
            raise _too_many(detail, Count(False, 0, left_s), rate)
        self._blocked.pop((kind, who), None)


def with_rate_headers(send: Send, scope: Scope) -> Send:
    """A `send` that tells in the answer what is left to the caller."""

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in scope["state"].get(_HEADERS, {}).items():
                headers[name] = value
        await send(message)

    return tell


def _too_many(detail: str, counted: Count, rate: Rate | None) -> ApiError:
    headers = _headers(rate, counted) if rate is not None else {}
    headers["Retry-After"] = str(counted.retry_after_s)
    return ApiError(429, f"{detail}: ask again in {counted.retry_after_s} s", headers)


def _headers(rate: Rate, counted: Count) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-07 has them."""
    return {
        "RateLimit-Limit": str(rate.amount),
        "RateLimit-Remaining": str(counted.remaining),
        "RateLimit-Reset": str(counted.retry_after_s),
        "RateLimit-Policy": f"{rate.amount};w={rate.window_s}",
    }
