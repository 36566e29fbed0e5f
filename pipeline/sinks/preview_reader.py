"""One who watches a camera: keeps its pictures coming, and waits for the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pipeline.sinks.keys import preview_key, watch_key
from pipeline.sinks.preview_settings import PREVIEW_TTL_S, WATCH_TTL_S
from pipeline.sinks.redis_client import RedisLink, RedisSettings

_START = "0-0"
_RENEW_S = WATCH_TTL_S / 3


@dataclass(frozen=True, slots=True)
class Preview:
    """One live picture."""

    jpeg: bytes
    captured_at: float  # Unix seconds, UTC
    seq: int
    width: int
    height: int


class PreviewReader:
    """The camera is watched for as long as `next` is called. One caller at a time."""

    def __init__(
        self, settings: RedisSettings, line: str, camera: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self.link = RedisLink(settings)
        self._watch, self._stream = watch_key(line, camera), preview_key(line, camera)
        self._clock = clock
        self._last, self._last_at = _START, clock()
        self._renew_at = -float("inf")

    async def next(self, wait_s: float = 1.0) -> Preview | None:
        """The newest picture not given yet, as soon as there is one; None after `wait_s`. Raises SinkUnavailable."""
        wait_s = min(wait_s, _RENEW_S, self._settings.answer_timeout_s / 2)  # redis-py hangs up on a later answer
        async with self.link.use(extra_s=wait_s) as client:
            if self._clock() >= self._renew_at:
                await client.set(self._watch, 1, px=round(WATCH_TTL_S * 1000))
                self._renew_at = self._clock() + _RENEW_S
            found: Any = await client.xread({self._stream: self._last}, block=max(1, round(wait_s * 1000)))
        now = self._clock()
        if not found:
            if now - self._last_at > 2 * PREVIEW_TTL_S:  # the stream is gone; one that begins anew may count lower
                self._last = _START
            return None
        entry_id, fields = found[0][1][-1]
        self._last, self._last_at = entry_id.decode(), now
        return _preview(fields)

    async def close(self) -> None:
        """Let go of the connection; the camera counts as watched for a few seconds more."""
        await self.link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _preview(fields: dict[bytes, bytes]) -> Preview:
    width, height = int(fields[b"width"]), int(fields[b"height"])
    return Preview(fields[b"jpeg"], float(fields[b"captured_at"]), int(fields[b"seq"]), width, height)
