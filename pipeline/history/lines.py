"""Which lines a table has rows of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from pipeline.history.tables import inspections

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def lines_in(connection: Connection, table: Table = inspections) -> list[str]:
    """In the order of names. One look into the index for each, however many rows there are: DISTINCT would read all."""
    its = table.c.line
    seen = select(func.min(its).label("line")).cte("seen", recursive=True)
    following = select(func.min(its)).where(its > seen.c.line).scalar_subquery()
    seen = seen.union_all(select(following).where(seen.c.line.is_not(None)))
    return sorted(line for line in connection.scalars(select(seen.c.line)) if line is not None)
