"""What filters may choose from: the labels, models and recipes that the last weeks' parts had."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipeline.history.lines import lines_in
from pipeline.history.tables import defect_minutes, part_minutes

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection

RECENT_DAYS = 30  # older ones are still found by whoever writes them into an address
MOST = 200  # of each

_DAY_MIN = 24 * 60
_MOST_READ = 10_000


@dataclass(frozen=True, slots=True)
class Choices:
    """In the order of names."""

    labels: tuple[str, ...]
    models: tuple[str, ...]  # name:version
    recipes: tuple[str, ...]


def choices(connection: Connection, lines: Collection[str] | None, now_ms: int) -> Choices:
    """Of these lines (None: every line). Asked of the counts by the minute, of their last weeks alone."""
    since_minute = now_ms // 60_000 - RECENT_DAYS * _DAY_MIN

    def different(*columns: Column[str]) -> list[tuple[str, ...]]:
        """In no order: SQLite takes several times as long where it is to sort them."""
        table = columns[0].table
        of = lines_in(connection, table) if lines is None else sorted(set(lines))  # the key begins with the line
        recent = (table.c.line.in_(of), table.c.minute >= since_minute)
        return [tuple(row) for row in connection.execute(select(*columns).distinct().where(*recent).limit(_MOST_READ))]

    judged_by = different(part_minutes.c.model, part_minutes.c.recipe)
    return Choices(
        labels=_first(label for (label,) in different(defect_minutes.c.label)),
        models=_first(model for model, _ in judged_by),
        recipes=_first(recipe for _, recipe in judged_by),
    )


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name})[:MOST])
