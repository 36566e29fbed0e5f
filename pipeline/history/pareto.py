"""Which defects a line has, the most frequent first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pipeline.history.ranges import TimeRange
from pipeline.history.tables import defect_minutes


@dataclass(frozen=True, slots=True)
class DefectCount:
    """A defect: how many parts have it, its share of all defects, and that of it and all before it.

    A part with two defects counts for both, so that the shares of all add up to 1.
    """

    label: str
    parts: int
    share: float
    cumulative: float


def pareto(connection: Connection, line: str, span: TimeRange) -> list[DefectCount]:
    """The defects of the parts that the line counts, the most frequent first; those as frequent by name."""
    its = defect_minutes.c
    parts = func.sum(its.parts)
    rows = connection.execute(
        select(its.label, parts)
        .where(its.line == line, its.minute >= span.since_minute, its.minute < span.until_minute, its.counts)
        .group_by(its.label)
        .order_by(parts.desc(), its.label)
    ).all()
    total = sum(count for _, count in rows)
    found, so_far = [], 0
    for label, count in rows:
        so_far += count
        found.append(DefectCount(label, count, count / total, so_far / total))
    return found
