"""Messages into the history, each once: what is told again changes nothing and counts nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.history.first_pass import first_seen
from pipeline.history.records import MINUTE_MS, EventRecord, IntervalRecord, PartRecord, Record, Row
from pipeline.history.tables import defect_minutes, defects, events, inspections, part_minutes, uninspected

Insert = postgresql.Insert | sqlite.Insert

_BY = ("line", "camera", "counts")  # what roll-ups take from a part as it is


def write(connection: Connection, records: Sequence[Record]) -> int:
    """Write what is new of them, in the caller's transaction; how many that were.

    Roll-ups count the parts that were new, in the same transaction, so that nothing is counted that is not kept. The
    end of an interval closes it; its beginning, told again, does not open it. One whose end nobody told ends where its
    camera's next begins.
    """
    parts = {each.row["id"]: each for each in reversed(records) if isinstance(each, PartRecord)}  # the first of an id
    found = {each.row["id"]: each.row for each in reversed(records) if isinstance(each, EventRecord)}
    new = [parts[each] for each in _insert_new(connection, inspections, [part.row for part in parts.values()])]
    firsts = first_seen(connection, [part.row for part in new])
    _insert_new(connection, defects, [row for part in new for row in _defect_rows(part)])
    _count_up(connection, part_minutes, _minutes(new, firsts))
    _count_up(connection, defect_minutes, _minutes_of_defects(new))
    told = _tell_intervals(connection, [each.row for each in records if isinstance(each, IntervalRecord)])
    return len(new) + told + len(_insert_new(connection, events, list(found.values())))


def insert_into(connection: Connection, table: Table) -> Insert:
    """An insert of the connection's own dialect, for ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> list[Any]:
    """The first key column of the rows that were not there. Sorted: two writers wait for each other one way round."""
    if not rows:
        return []
    keys = list(table.primary_key.columns)
    statement = insert_into(connection, table).on_conflict_do_nothing().returning(keys[0])
    ordered = sorted(rows, key=lambda row: tuple(row[key.name] for key in keys))
    return list(connection.execute(statement, [dict(row) for row in ordered]).scalars())


def _defect_rows(part: PartRecord) -> list[Row]:
    row = part.row
    return [
        {"inspection_id": row["id"], "label": label, "line": row["line"], "captured_ms": row["captured_ms"]}
        for label in part.labels
    ]


def _minutes(parts: Iterable[PartRecord], firsts: Collection[str]) -> list[Row]:
    counts: Counter[tuple[Any, ...]] = Counter()
    found: Counter[tuple[Any, ...]] = Counter()
    first: Counter[tuple[Any, ...]] = Counter()
    for part in parts:
        key = (*_place(part), ("verdict", part.row["verdict"]))
        counts[key] += 1
        found[key] += len(part.labels)
        first[key] += part.row["id"] in firsts
    return [{**dict(key), "parts": parts, "defects": found[key], "firsts": first[key]} for key, parts in counts.items()]


def _minutes_of_defects(parts: Iterable[PartRecord]) -> list[Row]:
    counts = Counter((*_place(part), ("label", label)) for part in parts for label in part.labels)
    return [{**dict(key), "parts": parts} for key, parts in counts.items()]


def _place(part: PartRecord) -> tuple[tuple[str, Any], ...]:
    """The columns both roll-ups go by."""
    row = part.row
    as_they_are = tuple((name, row[name]) for name in (*_BY, "model"))
    return (*as_they_are, ("recipe", row["recipe"] or ""), ("minute", row["captured_ms"] // MINUTE_MS))


def _count_up(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add these to what is counted already; each key stands in them once."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    statement = insert_into(connection, table)
    counted = {
        column.name: column + statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    ordered = sorted(rows, key=lambda row: tuple(row[key] for key in keys))
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=counted), [dict(r) for r in ordered])


def _tell_intervals(connection: Connection, rows: Sequence[Row]) -> int:
    """How many of them were opened or closed by this."""
    told = _newest(rows)
    if not told:
        return 0
    statement = insert_into(connection, uninspected)
    is_sooner = or_(uninspected.c.until_ms.is_(None), statement.excluded.until_ms < uninspected.c.until_ms)
    closes = and_(statement.excluded.until_ms.is_not(None), is_sooner)
    until = {"until_ms": statement.excluded.until_ms}
    upsert = statement.on_conflict_do_update(index_elements=["id"], set_=until, where=closes)
    ordered = [dict(told[key]) for key in sorted(told)]
    changed = len(list(connection.execute(upsert.returning(uninspected.c.id), ordered).scalars()))
    _end_those_followed(connection, {row["camera"] for row in told.values()})
    return changed


def _end_those_followed(connection: Connection, cameras: Collection[str]) -> None:
    """A camera that died in the dark never tells the end; that it told of another since says that it was back."""
    later = uninspected.alias()
    its_next = (
        select(func.min(later.c.since_ms))
        .where(later.c.camera == uninspected.c.camera, later.c.since_ms > uninspected.c.since_ms)
        .scalar_subquery()
    )
    lasting = and_(uninspected.c.camera.in_(sorted(cameras)), uninspected.c.until_ms.is_(None))
    connection.execute(update(uninspected).where(lasting).values(until_ms=its_next))


def _newest(rows: Sequence[Row]) -> Mapping[str, Row]:
    """One row an interval: as it was told first, with its end if that was told too."""
    merged: dict[str, Row] = {}
    for row in rows:
        known = merged.setdefault(row["id"], row)
        if known["until_ms"] is None and row["until_ms"] is not None:
            merged[row["id"]] = {**known, "until_ms": row["until_ms"]}
    return merged
