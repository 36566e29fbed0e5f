"""First-pass yield: how many parts passed the first time they were looked at, which needs that parts have a name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pipeline.history.ranges import TimeRange
from pipeline.history.tables import inspections


@dataclass(frozen=True, slots=True)
class FirstPass:
    """Parts with an `external_id` that were seen for the first time, and how many of them passed then."""

    parts: int
    passes: int

    @property
    def share(self) -> float:
        """First-pass yield."""
        return self.passes / self.parts


def first_pass(connection: Connection, line: str, span: TimeRange) -> FirstPass | None:
    """Of the parts first seen in the range, at the station that counts; None where no part there has a name.

    A part that was seen before the range is no first pass, however often it comes in it.
    """
    its, earlier = inspections.c, inspections.alias("earlier")
    named = select(
        its.external_id,
        its.verdict,
        func.row_number().over(partition_by=its.external_id, order_by=(its.captured_ms, its.id)).label("turn"),
    ).where(
        its.line == line,
        its.captured_ms >= span.since_ms,
        its.captured_ms < span.until_ms,
        its.external_id.is_not(None),
        its.counts,
    )
    first = named.subquery()
    before = select(earlier.c.id).where(
        earlier.c.external_id == first.c.external_id,
        earlier.c.line == line,
        earlier.c.captured_ms < span.since_ms,
        earlier.c.counts,
    )
    counted = select(first.c.verdict, func.count()).where(first.c.turn == 1, ~before.exists()).group_by(first.c.verdict)
    parts = {verdict: count for verdict, count in connection.execute(counted)}
    return FirstPass(sum(parts.values()), parts.get("pass", 0)) if parts else None
