"""What filters may choose from: the labels, models and recipes that the last weeks' parts had."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipeline.history.lines import lines_in
from pipeline.history.tables import defect_minutes, part_minutes

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table

RECENT_DAYS = 30  # older ones are still found by whoever writes them into an address
MOST = 200  # of each

_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Choices:
    """In the order of names."""

    labels: tuple[str, ...]
    models: tuple[str, ...]  # name:version
    recipes: tuple[str, ...]


def choices(connection: Connection, lines: Collection[str] | None, now_ms: int) -> Choices:
    """Of these lines (None: every line). Asked of the counts by the minute, of their last weeks alone."""
    since_minute = now_ms // 60_000 - RECENT_DAYS * _DAY_MIN

    def distinct(table: Table, column: Column[str]) -> tuple[str, ...]:
        of = lines_in(connection, table) if lines is None else sorted(set(lines))  # the key begins with the line
        recent = (table.c.line.in_(of), table.c.minute >= since_minute)
        found = connection.scalars(select(column).distinct().where(*recent).order_by(column).limit(MOST))
        return tuple(value for value in found if value)

    return Choices(
        labels=distinct(defect_minutes, defect_minutes.c.label),
        models=distinct(part_minutes, part_minutes.c.model),
        recipes=distinct(part_minutes, part_minutes.c.recipe),
    )
