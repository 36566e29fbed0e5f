"""How far the history is behind what is published, and how large it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError
from sqlalchemy import func, select, text

from pipeline.history.settings import GROUP
from pipeline.history.tables import inspections

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Lag:
    """Of all streams together."""

    is_read: bool = False  # somebody has begun to
    entries: int | None = 0  # published and not written; None: Redis before 7.0 does not always count them
    seconds: float = 0.0  # between the newest written and the newest published, of the stream where it is most


@dataclass(frozen=True, slots=True)
class Size:
    """Of the database."""

    bytes: int
    newest_ms: int | None  # part


async def lag(client: Redis, streams: Collection[str]) -> Lag:
    """Of the group over these streams; those that are not there yet have none. Raises redis.RedisError."""
    async with client.pipeline(transaction=False) as pipe:
        for stream in streams:
            pipe.xinfo_stream(stream)
            pipe.xinfo_groups(stream)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    found = Lag()
    for about, groups in zip(answers[::2], answers[1::2], strict=True):
        if isinstance(about, ResponseError) or isinstance(groups, ResponseError):
            continue  # nothing was published there
        for failure in (about, groups):
            if isinstance(failure, Exception):
                raise failure
        its = next((group for group in groups if group["name"] == GROUP.encode()), None)
        if its is not None:
            found = _with(found, about, its)
    return found


def _with(before: Lag, about: dict[str, Any], its: dict[str, Any]) -> Lag:
    waiting: int | None = its.get("lag")
    seconds = (_ms(about["last-generated-id"]) - _ms(its["last-delivered-id"])) / 1e3
    is_behind = seconds > 0 and waiting != 0 and _ms(its["last-delivered-id"]) > 0
    return Lag(
        is_read=True,
        entries=None if before.entries is None or waiting is None else before.entries + waiting + its["pending"],
        seconds=max(before.seconds, seconds if is_behind else 0.0),
    )


def _ms(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])


def size(connection: Connection) -> Size:
    """Of this database."""
    if connection.dialect.name == "sqlite":
        pages, page = (connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("page_count", "page_size"))
        taken = pages * page
    else:
        taken = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    newest = connection.execute(select(func.max(inspections.c.captured_ms))).scalar_one()
    return Size(int(taken), newest)
