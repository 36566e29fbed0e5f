"""Control limits that somebody froze, and who did; nothing is overwritten."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from pipeline.history.spc import ChartKind, FrozenLimits
from pipeline.history.tables import frozen_limits


@dataclass(frozen=True, slots=True)
class Frozen:
    """Limits that hold for a line's chart until they are let go, and what they were computed of.

    They belong to the process that they were made of: to its recipe and model.
    """

    limits: FrozenLimits
    since_ms: int
    until_ms: int
    by: str
    at_ms: int
    recipe: str | None = None  # "" where there was none
    model: str | None = None  # None: it was not kept, they hold for every recipe and model

    def hold_for(self, recipe: str, model: str) -> bool:
        """Parts that were judged by these are judged by the limits too."""
        return self.model is None or (self.recipe or "", self.model) == (recipe, model)


def freeze(connection: Connection, line: str, kind: ChartKind, frozen: Frozen) -> None:
    """From now on the line's chart has these limits."""
    connection.execute(
        insert(frozen_limits).values(
            line=line,
            chart=kind.value,
            center=frozen.limits.center,
            sigma_z=frozen.limits.sigma_z,
            since_ms=frozen.since_ms,
            until_ms=frozen.until_ms,
            recipe=frozen.recipe,
            model=frozen.model,
            by=frozen.by,
            at_ms=frozen.at_ms,
        )
    )


def let_go(connection: Connection, line: str, kind: ChartKind, *, by: str, at_ms: int) -> bool:
    """From now on the line's limits are computed of what the chart shows. False where they were already."""
    if find(connection, line, kind) is None:
        return False
    connection.execute(insert(frozen_limits).values(line=line, chart=kind.value, by=by, at_ms=at_ms))
    return True


def find(connection: Connection, line: str, kind: ChartKind) -> Frozen | None:
    """The limits that hold for the line's chart, or None where they move."""
    its = frozen_limits.c
    newest = select(frozen_limits).where(its.line == line, its.chart == kind.value).order_by(its.id.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    if row is None or row.center is None:
        return None
    limits = FrozenLimits(row.center, row.sigma_z)
    return Frozen(limits, row.since_ms, row.until_ms, row.by, row.at_ms, row.recipe, row.model)
