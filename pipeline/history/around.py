"""Times nobody saw, around a moment: what a part's verdict is to be read beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from pipeline.history.tables import uninspected

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST = 50
_LONGEST_MS = 7 * 24 * 3_600_000  # one that began earlier and is over is not looked for: the index is by beginnings


@dataclass(frozen=True, slots=True)
class Unseen:
    """A time in which parts may have passed unseen. Unix milliseconds UTC."""

    camera: str
    station: str
    reason: str
    since_ms: int
    until_ms: int | None  # None: it lasts


def unseen_around(connection: Connection, line: str, at_ms: int, reach_ms: int) -> list[Unseen]:
    """Those of the line that reach into `at_ms` give or take `reach_ms`, at most `MOST`, in the order they began."""
    its = uninspected.c
    first, last = at_ms - reach_ms, at_ms + reach_ms
    rows = connection.execute(
        select(its.camera, its.station, its.reason, its.since_ms, its.until_ms)
        .where(
            its.line == line,
            its.since_ms <= last,
            its.since_ms >= first - _LONGEST_MS,
            or_(its.until_ms.is_(None), its.until_ms >= first),
        )
        .order_by(its.since_ms.desc())
        .limit(MOST)
    )
    return [Unseen(**row._mapping) for row in rows][::-1]
