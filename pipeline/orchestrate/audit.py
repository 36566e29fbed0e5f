"""Who changed what, and when: a Redis stream, written in the very transaction of each change."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ValidationError

from pipeline.orchestrate.state import Report
from pipeline.plain import plain, shown

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

_LARGEST = 2**64 - 1  # either half of an entry's id
_LONGEST_TEXT = 500  # of one value: an entry stays small whatever was set


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and from where."""

    name: str
    kind: str  # token, key, loopback; cli, up, supervisor; program: who uses the stores by themselves
    role: str = ""
    address: str = ""  # of the caller, or the machine a command ran on
    request_id: str = ""  # names the request in the log

    @classmethod
    def of_this_user(cls, kind: str) -> Self:
        """Whoever runs this process."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have a number and no name
            name = f"uid {os.getuid()}"
        return cls(name, kind, address=platform.node())


UNNAMED = Author("unnamed", "program")


class Change(Report):
    """One setting before and after; secrets are masked, so both may look the same. null: not set."""

    old: Any = None
    new: Any = None


class Who(Report):
    """Author, as the audit log tells it."""

    name: str = Field(description="A token's subject, a key's name, or the user of the operating system.")
    kind: str = Field(description="token, key or loopback: by the API. cli: by a command. up: a start of `rayline up`.")
    role: str = ""
    address: str = Field("", description="Where the request came from; of a command, the machine.")


class AuditEntry(Report):
    """One change. Times are Unix seconds UTC."""

    id: str = Field("", description="Names the entry; later ones are larger.")
    at: float
    by: Who
    request_id: str = Field("", description="Names the request in the log; empty where it was none.")
    action: str = Field(description="What was done: camera.add, camera.set, camera.pause, config.publish, ...")
    target: str = Field("", description="What it was done to: a camera, a line, a model.")
    line: str = Field("", description="The line it belongs to; of a camera that moved, the one it came to.")
    changes: Mapping[str, Change] = Field(default_factory=dict, description="Setting -> before and after, masked.")
    version: int = Field(0, description="Of the desired state that the change made.")

    @classmethod
    def of(cls, by: Author, action: str, **what: Any) -> Self:
        """An entry about what `by` did; `what` are the other fields."""
        who = {key: value for key, value in asdict(by).items() if key != "request_id"}
        return cls(by=Who(**who), request_id=by.request_id, action=action, **what)


def differences(before: BaseModel | None, after: BaseModel | None) -> dict[str, Change]:
    """What differs between two settings of one kind, by name. Of one that was made or has gone: all that was set."""
    old, new = _told(before), _told(after)
    if before is None or after is None:
        return {name: Change(old=old.get(name), new=new.get(name)) for name in sorted({*_set(before), *_set(after)})}
    was, is_now = plain(before, defaults=True), plain(after, defaults=True)
    return {name: Change(old=old[name], new=new[name]) for name in sorted(was) if was[name] != is_now[name]}


class AuditLog:
    """Writes and reads the entries. The client is the caller's to open and close."""

    def __init__(self, redis: Redis, prefix: str = "rayline") -> None:
        self._redis = redis
        self._key = f"{prefix}:audit"

    def add(self, pipe: Pipeline, entry: AuditEntry, keep: int) -> None:
        """Queue the entry in the transaction that makes the change; some `keep` of the newest stay."""
        data = entry.model_dump_json(exclude={"id"})
        pipe.xadd(self._key, {"data": data}, maxlen=keep, approximate=True)

    async def read(self, limit: int, before: str | None = None) -> tuple[list[AuditEntry], str | None]:
        """At most `limit` entries, newest first, and the id to give as `before` for older ones; None: there are none.

        `before`: only those older than the one of this id, `digits-digits`. Raises redis.RedisError. An entry that
        another version wrote and we cannot read is passed over.
        """
        newest = "+" if before is None else _id_before(before)
        if newest is None:
            return [], None
        found: Any = await self._redis.xrevrange(self._key, max=newest, count=limit + 1)
        entries = (_entry_of(entry_id.decode(), fields.get(b"data", b"")) for entry_id, fields in found[:limit])
        oldest = found[limit - 1][0].decode() if len(found) > limit else None
        return [entry for entry in entries if entry is not None], oldest


def _id_before(entry_id: str) -> str | None:
    """The largest id below it; None where there is none. Redis refuses `(0-0`, and numbers that it cannot hold."""
    at, number = (min(int(part), _LARGEST) for part in entry_id.split("-"))
    if number:
        return f"{at}-{number - 1}"
    return f"{at - 1}-{_LARGEST}" if at else None


def _entry_of(entry_id: str, data: bytes) -> AuditEntry | None:
    try:
        return AuditEntry.model_validate_json(data).model_copy(update={"id": entry_id})
    except ValidationError:
        return None


def _set(settings: BaseModel | None) -> set[str]:
    return set() if settings is None else settings.model_fields_set


def _told(settings: BaseModel | None) -> dict[str, Any]:
    if settings is None:
        return {}
    return {name: _short(value) for name, value in shown(settings, defaults=True).items()}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
