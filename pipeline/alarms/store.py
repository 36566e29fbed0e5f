"""The alarms in the history: raised once while they hold, cleared, acknowledged by people."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from pipeline.alarms.values import AlarmKey, Kind, Severity
from pipeline.history.tables import alarms
from stages.errors import RaylineError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

LONGEST_NOTE = 2000
LONGEST_DETAIL = 1000


class NotAcknowledged(RaylineError):
    """There is no such alarm, or somebody acknowledged it before; says which."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm, as it stands. Times are Unix milliseconds."""

    id: int
    key: AlarmKey
    severity: Severity
    detail: str
    raised_ms: int
    cleared_ms: int | None = None
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        """True while what raised it is so."""
        return self.cleared_ms is None

    @property
    def is_acknowledged(self) -> bool:
        """True once somebody said that they know."""
        return self.acknowledged_ms is not None


def raise_alarm(connection: Connection, key: AlarmKey, severity: Severity, detail: str, now_ms: int) -> Alarm | None:
    """The alarm, raised now; None where it holds already and is no worse.

    One that gets worse is told anew, and nobody has acknowledged that. One that gets milder only says so.
    """
    standing = holding_one(connection, key)
    if standing is None:
        values = {**key._asdict(), "severity": severity, "detail": detail[:LONGEST_DETAIL], "raised_ms": now_ms}
        made: int = connection.execute(insert(alarms).values(**values, note="").returning(alarms.c.id)).scalar_one()
        return Alarm(made, key, severity, detail[:LONGEST_DETAIL], now_ms)
    if standing.severity is severity:
        return None
    said: dict[str, Any] = {"severity": severity, "detail": detail[:LONGEST_DETAIL]}
    is_worse = severity.covers(standing.severity)
    if is_worse:
        said |= {"acknowledged_by": None, "acknowledged_ms": None, "note": ""}
    connection.execute(update(alarms).where(alarms.c.id == standing.id).values(**said))
    return find(connection, standing.id) if is_worse else None


def clear_alarm(connection: Connection, key: AlarmKey, now_ms: int) -> Alarm | None:
    """The alarm, over now; None where none holds."""
    standing = holding_one(connection, key)
    if standing is None:
        return None
    connection.execute(update(alarms).where(alarms.c.id == standing.id).values(cleared_ms=now_ms))
    return find(connection, standing.id)


def acknowledge(
    connection: Connection, alarm_id: int, by: str, note: str, now_ms: int, lines: Collection[str] | None = None
) -> Alarm:
    """The alarm, which this person knows of since now. `lines`: those they may see, None: all.

    Raises NotAcknowledged: the first to say so is who it was.
    """
    its = (alarms.c.id == alarm_id, alarms.c.acknowledged_ms.is_(None), _of(lines))
    note = note.replace("\0", "").strip()[:LONGEST_NOTE]  # PostgreSQL takes no zero byte
    said = {"acknowledged_by": by, "acknowledged_ms": now_ms, "note": note}
    changed = connection.execute(update(alarms).where(*its).values(**said)).rowcount
    found = find(connection, alarm_id, lines)
    if found is None:
        raise NotAcknowledged(f"there is no alarm {alarm_id}")
    if not changed:
        raise NotAcknowledged(f"{found.acknowledged_by} acknowledged it before")
    return found


def find(connection: Connection, alarm_id: int, lines: Collection[str] | None = None) -> Alarm | None:
    """The alarm of this number, if it is of one of the `lines`."""
    found = connection.execute(select(alarms).where(alarms.c.id == alarm_id, _of(lines))).one_or_none()
    return None if found is None else _alarm(found)


def holding_one(connection: Connection, key: AlarmKey) -> Alarm | None:
    """The alarm of this key that holds."""
    same = [alarms.c[name] == value for name, value in key._asdict().items()]
    found = connection.execute(select(alarms).where(*same, alarms.c.cleared_ms.is_(None))).one_or_none()
    return None if found is None else _alarm(found)


def holding(connection: Connection, lines: Collection[str] | None = None, limit: int = 1000) -> list[Alarm]:
    """Those that hold: what nobody has acknowledged first, then the worst, then the newest."""
    order = (alarms.c.acknowledged_ms.is_not(None), alarms.c.severity, alarms.c.raised_ms.desc(), alarms.c.id.desc())
    wanted = select(alarms).where(alarms.c.cleared_ms.is_(None), _of(lines)).order_by(*order).limit(limit)
    return [_alarm(row) for row in connection.execute(wanted)]


def past(
    connection: Connection, lines: Collection[str] | None = None, before: Alarm | None = None, limit: int = 50
) -> list[Alarm]:
    """Those that are over, the newest first; `before`: those behind this one."""
    wanted = select(alarms).where(alarms.c.cleared_ms.is_not(None), _of(lines))
    if before is not None:
        older = and_(alarms.c.raised_ms == before.raised_ms, alarms.c.id < before.id)
        wanted = wanted.where(or_(alarms.c.raised_ms < before.raised_ms, older))
    order = (alarms.c.raised_ms.desc(), alarms.c.id.desc())
    return [_alarm(row) for row in connection.execute(wanted.order_by(*order).limit(limit))]


def unacknowledged(connection: Connection, lines: Collection[str] | None = None) -> int:
    """How many hold that nobody has acknowledged."""
    waits = (alarms.c.cleared_ms.is_(None), alarms.c.acknowledged_ms.is_(None), _of(lines))
    counted: int = connection.execute(select(func.count()).select_from(alarms).where(*waits)).scalar_one()
    return counted


def _of(lines: Collection[str] | None) -> ColumnElement[bool]:
    return alarms.c.line.in_(list(lines)) if lines is not None else alarms.c.id.is_not(None)


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        id=row.id,
        key=AlarmKey(Kind(row.kind), row.line, row.subject),
        severity=Severity(row.severity),
        detail=row.detail,
        raised_ms=row.raised_ms,
        cleared_ms=row.cleared_ms,
        acknowledged_by=row.acknowledged_by,
        acknowledged_ms=row.acknowledged_ms,
        note=row.note,
    )
