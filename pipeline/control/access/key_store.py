"""The API keys in Redis: one hash, a field a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from redis.exceptions import WatchError

from pipeline.control.access.api_keys import ApiKey, KeyRecord
from pipeline.control.access.roles import Role
from stages.errors import RaylineError

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST_KEYS = 1000
_TRIES = 20


class KeyStoreError(RaylineError):
    """The keys cannot be changed so; the text says what to do."""


class KeyStore:
    """Makes, finds and revokes keys. The client is the caller's to open and close.

    Only hashes are kept; but who may write this Redis may let himself in, so give it a password.
    """

    def __init__(self, redis: Redis, prefix: str = "rayline", clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._key = f"{prefix}:api:keys"
        self._clock = clock

    async def make(self, name: str, role: Role, lines: tuple[str, ...], lifetime_s: float | None) -> ApiKey:
        """A new key: it is told here and never again. Raises KeyStoreError where the name is taken, or all places."""
        key, now = ApiKey.new(), self._clock()
        expires_at = None if lifetime_s is None else now + lifetime_s
        record = KeyRecord(name, key.sha256, role, lines, created_at=now, expires_at=expires_at)
        for _ in range(_TRIES):
            async with self._redis.pipeline(transaction=True) as pipe:
                await pipe.watch(self._key)
                there = _records(await pipe.hgetall(self._key))
                if any(other.name == name for other in there.values()):
                    raise KeyStoreError(f"there is a key {name!r} already: revoke it first, or choose another name")
                if len(there) >= MOST_KEYS:
                    raise KeyStoreError(f"there are {MOST_KEYS} keys already: revoke those nobody uses")
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                pipe.hset(self._key, key.key_id, record.to_json())
                try:
                    await pipe.execute()
                except WatchError:
                    continue
                return key
        raise KeyStoreError("others make keys all the time: try again")

    async def find(self, key_id: str) -> KeyRecord | None:
        """What is kept of the key with this id."""
        data = await self._redis.hget(self._key, key_id)
        return None if data is None else KeyRecord.from_json(data)  # type: ignore[arg-type]  # bytes, as connect() asks

    async def list(self) -> dict[str, KeyRecord]:
        """Every key, by id, in the order of their names."""
        there = _records(await self._redis.hgetall(self._key))
        return dict(sorted(there.items(), key=lambda one: one[1].name))

    async def revoke(self, name_or_id: str) -> KeyRecord:
        """Take a key away. Raises KeyStoreError where there is none of that name or id."""
        for key_id, record in (await self.list()).items():
            if name_or_id in (record.name, key_id) and await self._redis.hdel(self._key, key_id):
                return record
        raise KeyStoreError(f"there is no key {name_or_id!r}: `rayline token list` shows them")


def _records(stored: Mapping[Any, Any]) -> dict[str, KeyRecord]:
    found = {key_id.decode(): KeyRecord.from_json(data) for key_id, data in stored.items()}
    return {key_id: record for key_id, record in found.items() if record is not None}
