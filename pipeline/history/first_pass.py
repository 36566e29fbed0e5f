"""First-pass yield: how many parts passed the first time they were looked at, which needs that parts have a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, column, select, values

from pipeline.history.tables import inspections

_AT_ONCE = 500  # names in one query: databases bound how many values it takes


@dataclass(frozen=True, slots=True)
class FirstPass:
    """Parts with an `external_id` that were seen for the first time, and how many of them passed then."""

    parts: int
    passes: int

    @property
    def share(self) -> float:
        """First-pass yield."""
        return self.passes / self.parts


def first_seen(connection: Connection, new: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Which of these rows of `inspections`, just written, are of a part that its line had never counted before.

    A part without an `external_id` is none, for nobody knows. One that is told after its second visit is no first any
    more: what was counted stays counted.
    """
    named = {row["id"]: row for row in new if row["external_id"] is not None and row["counts"]}
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in sorted(named.values(), key=lambda row: (row["captured_ms"], row["id"])):
        first.setdefault((row["external_id"], row["line"]), row)
    asked = sorted(first)
    known: set[tuple[str, str]] = set()
    for start in range(0, len(asked), _AT_ONCE):
        known |= _known(connection, asked[start : start + _AT_ONCE], list(named))
    return frozenset(row["id"] for part, row in first.items() if part not in known)


def _known(connection: Connection, parts: Sequence[tuple[str, str]], new: Sequence[str]) -> set[tuple[str, str]]:
    """Those of these names and lines that were counted before the new ones were written.

    It looks for one row of each: a reader that sees no code may say the same word a million times.
    """
    asked = values(column("name", String), column("line", String), name="asked").data(list(parts)).cte("asked")
    its = inspections.c
    earlier = select(its.id).where(
        its.external_id == asked.c.name, its.line == asked.c.line, its.counts, its.id.not_in(new)
    )
    return {(name, line) for name, line in connection.execute(select(asked).where(earlier.exists()))}
