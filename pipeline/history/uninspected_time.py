"""How long a line was not looked at."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from pipeline.history.ranges import TimeRange
from pipeline.history.tables import part_minutes, uninspected


def counting_camera(connection: Connection, line: str, span: TimeRange) -> str | None:
    """The camera that counted the line's parts last, in the range or before it; None where none ever did."""
    minutes = part_minutes.c
    found = (
        select(minutes.camera)
        .where(minutes.line == line, minutes.minute < span.until_minute, minutes.counts)
        .order_by(minutes.minute.desc())
        .limit(1)
    )
    return connection.execute(found).scalar()


def uninspected_ms(connection: Connection, line: str, camera: str | None, span: TimeRange, now_ms: int) -> int:
    """How long this camera inspected nothing in the range, or any of the line's where it is None.

    Intervals that overlap count once; one that lasts goes up to now.
    """
    its = uninspected.c
    overlapping = select(its.since_ms, its.until_ms).where(
        its.line == line, its.since_ms < span.until_ms, or_(its.until_ms.is_(None), its.until_ms > span.since_ms)
    )
    if camera is not None:
        overlapping = overlapping.where(its.camera == camera)
    rows = connection.execute(overlapping.order_by(its.since_ms))
    end = min(span.until_ms, now_ms)
    return union_ms((max(since, span.since_ms), min(end if until is None else until, end)) for since, until in rows)


def union_ms(intervals: Iterable[tuple[int, int]]) -> int:
    """How long at least one of them lasts. They come in the order of their beginnings; an empty one counts nothing."""
    total, covered = 0, None
    for since, until in intervals:
        start = since if covered is None else max(since, covered)
        if until > start:
            total += until - start
            covered = until
    return total
