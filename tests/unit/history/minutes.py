"""A history with counts by the minute that a test writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, create_engine, insert
from sqlalchemy.pool import StaticPool

from pipeline.history.ranges import MINUTE_MS, TimeRange
from pipeline.history.tables import defect_minutes, metadata, part_minutes, uninspected

LINE = "filling"


@contextmanager
def empty_history() -> Iterator[Connection]:
    """All tables, nothing in them."""
    engine = create_engine("sqlite+pysqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def ms(text: str) -> int:
    """Unix milliseconds of an ISO time with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def minute(text: str) -> int:
    """Unix minute of an ISO time with its offset."""
    return ms(text) // MINUTE_MS


def span(since: str, until: str) -> TimeRange:
    """Between two ISO times."""
    return TimeRange(ms(since), ms(until))


def add_parts(
    connection: Connection,
    at: str,
    passes: int = 0,
    rejects: int = 0,
    indeterminate: int = 0,
    *,
    defects: int = 0,
    firsts: int = 0,
    recipe: str = "r",
    model: str = "m:1",
    camera: str = "cam",
    counts: bool = True,
    line: str = LINE,
) -> None:
    """Parts of one minute; the defects are the rejects', the firsts are among those of each verdict."""
    shared = {"line": line, "minute": minute(at), "camera": camera, "recipe": recipe, "model": model, "counts": counts}
    for verdict, parts in (("pass", passes), ("reject", rejects), ("indeterminate", indeterminate)):
        if parts:
            found = defects if verdict == "reject" else 0
            counted = {"verdict": verdict, "parts": parts, "defects": found, "firsts": min(firsts, parts)}
            connection.execute(insert(part_minutes).values(**shared, **counted))


def add_defects(connection: Connection, at: str, label: str, parts: int, *, counts: bool = True) -> None:
    """Parts of one minute that have a defect."""
    connection.execute(
        insert(defect_minutes).values(
            line=LINE,
            minute=minute(at),
            camera="cam",
            recipe="r",
            model="m:1",
            counts=counts,
            label=label,
            parts=parts,
        )
    )


def add_blind(connection: Connection, since: str, until: str | None, *, camera: str = "cam", line: str = LINE) -> None:
    """An interval in which a camera inspected nothing; `until` None: it lasts."""
    connection.execute(
        insert(uninspected).values(
            id=f"{camera}/{since}",
            line=line,
            camera=camera,
            station=camera,
            since_ms=ms(since),
            until_ms=None if until is None else ms(until),
            reason="dark",
        )
    )
