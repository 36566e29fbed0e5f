"""A batch of messages into the history; what cannot be kept is set apart and touches no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from pipeline.history.database import Database
from pipeline.history.records import EventRecord, PartRecord, Record, record_of
from pipeline.history.writer import write
from pipeline.sinks.group_reader import Delivery
from stages.errors import RaylineError
from stages.results import MessageError


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch."""

    new: int = 0  # rows
    too_old: int = 0  # messages passed over
    refused: Sequence[tuple[Delivery, str]] = ()  # with the reason


class _NotKept(RaylineError):
    """The database takes other messages, and not this one."""


def store(db: Database, batch: Sequence[Delivery], gaps: Sequence[EventRecord], oldest_ms: int) -> Stored:
    """Write them in one transaction; blocks. Parts and events of before `oldest_ms` are passed over.

    Raises HistoryUnavailable: then it may be called again with all of them.
    """
    records: list[tuple[Delivery, Record]] = []
    refused: list[tuple[Delivery, str]] = []
    for delivery in batch:
        try:
            records.append((delivery, record_of(delivery.data)))
        except MessageError as exc:
            refused.append((delivery, str(exc)))
    kept = [(delivery, record) for delivery, record in records if not _is_older(record, oldest_ms)]
    too_old = len(records) - len(kept)
    try:
        new = _commit(db, [*gaps, *(record for _, record in kept)])
    except _NotKept:
        new, more = _one_by_one(db, gaps, kept)
        refused += more
    return Stored(new, too_old, refused)


def _one_by_one(
    db: Database, gaps: Sequence[EventRecord], kept: Sequence[tuple[Delivery, Record]]
) -> tuple[int, list[tuple[Delivery, str]]]:
    new, refused = _commit(db, gaps), []
    for delivery, record in kept:
        try:
            new += _commit(db, [record])
        except _NotKept as exc:
            refused.append((delivery, str(exc)))
    return new, refused


def _commit(db: Database, records: Sequence[Record]) -> int:
    if not records:
        return 0
    with db.write() as connection:
        try:
            return write(connection, records)
        except (DataError, IntegrityError) as exc:
            raise _NotKept(f"the database refuses it: {type(exc.orig).__name__}") from None
        except StatementError as exc:
            if isinstance(exc, DBAPIError):
                raise
            raise _NotKept(f"cannot be put into a row: {type(exc.orig).__name__}") from None


def _is_older(record: Record, oldest_ms: int) -> bool:
    if isinstance(record, PartRecord):
        return bool(record.row["captured_ms"] < oldest_ms)
    if isinstance(record, EventRecord):
        return bool(record.row["at_ms"] < oldest_ms)
    return False  # an interval is counted nowhere; its beginning without its end would last for ever
