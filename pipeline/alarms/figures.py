"""What rules are asked of: the history's counts by the minute, in as few rows as do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from pipeline.alarms.latency_burn import Minutes
from pipeline.history.tables import camera_minutes, part_minutes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


def parts_since(connection: Connection, line: str, minute: int) -> tuple[int, int]:
    """(parts, rejects) judged at the station that counts, from this Unix minute on."""
    parts = part_minutes.c.parts
    wanted = select(
        func.coalesce(func.sum(parts), 0),
        func.coalesce(func.sum(case((part_minutes.c.verdict == "reject", parts), else_=0)), 0),
    ).where(part_minutes.c.line == line, part_minutes.c.minute >= minute, part_minutes.c.counts.is_(True))
    all_of_them, rejects = connection.execute(wanted).one()
    return int(all_of_them), int(rejects)


def minutes_within(
    connection: Connection, line: str, within_ms: float, spans_min: Sequence[int], now_minute: int
) -> dict[int, Minutes]:
    """Of each span back from now: minutes of the line's cameras in which frames were published, and late ones of them.

    The minute that it is counts as far as it has been.
    """
    minute, p95 = camera_minutes.c.minute, camera_minutes.c.latency_ms_p95
    columns: list[ColumnElement[int]] = []
    for span in spans_min:
        recent = minute > now_minute - span
        columns.append(func.count(case((recent, 1))))
        columns.append(func.count(case((recent & (p95 > within_ms), 1))))
    its = (camera_minutes.c.line == line, minute > now_minute - max(spans_min), p95.is_not(None))
    found = connection.execute(select(*columns).where(*its)).one()
    return {span: Minutes(found[2 * index], found[2 * index + 1]) for index, span in enumerate(spans_min)}
