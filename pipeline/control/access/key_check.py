"""Whose key it is: by the config file's hashes, then by Redis'."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from pipeline.control.access.api_keys import ApiKey, KeyRecord
from pipeline.control.access.key_store import MOST_KEYS, KeyStore
from pipeline.control.access.refusals import BadCredential, refused
from pipeline.control.access.roles import Principal
from pipeline.control.access.settings import DeclaredKey
from pipeline.sinks.redis_pool import RedisPool

HELD_S = 5.0  # a revoked key holds so much longer at most: what was looked up is believed for as long
_UNKNOWN = "this key is not known: it is misspelt, or was revoked"


class KeyCheck:
    """Recognises keys. Only keys that were found are held, so guesses take no room here."""

    def __init__(
        self,
        declared: Sequence[DeclaredKey],
        redis: RedisPool,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._declared = tuple(_record(key) for key in declared)
        self._redis = redis
        self._monotonic, self._clock = monotonic, clock
        self._held: OrderedDict[str, tuple[float, KeyRecord]] = OrderedDict()  # by id: since when

    async def principal(self, text: str) -> Principal:
        """Whose it is. Raises ApiError 401; SinkUnavailable where Redis must be asked and is away."""
        key = ApiKey.parse(text)
        if key is None:
            raise BadCredential(_UNKNOWN)
        digest = key.sha256
        record = self._of_file(digest) or await self._of_redis(key.key_id)
        if record is None or not _same(digest, record.sha256):
            raise BadCredential(_UNKNOWN)
        if record.is_expired(self._clock()):
            raise refused("this key has expired: `rayline token make` makes another")
        return record.principal()

    def _of_file(self, digest: str) -> KeyRecord | None:
        return next((record for record in self._declared if _same(digest, record.sha256)), None)

    async def _of_redis(self, key_id: str) -> KeyRecord | None:
        held = self._held.get(key_id)
        now = self._monotonic()
        if held is not None and now - held[0] < HELD_S:
            return held[1]
        async with self._redis.use() as client:
            record = await KeyStore(client).find(key_id)
        self._held.pop(key_id, None)
        if record is not None:
            self._held[key_id] = (now, record)
            while len(self._held) > MOST_KEYS:
                self._held.popitem(last=False)
        return record


def _same(digest: str, kept: str) -> bool:
    # How long a comparison takes must not tell how much of it was right.
    return hmac.compare_digest(digest, kept)


def _record(key: DeclaredKey) -> KeyRecord:
    expires_at = None if key.expires is None else key.expires.timestamp()
    return KeyRecord(key.name, key.sha256, key.role, key.lines, expires_at=expires_at)
