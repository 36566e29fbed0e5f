"""What the history keeps of a message: rows, checked so that any database takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table

from pipeline.history.tables import defects, events, inspections, uninspected
from stages.results import Message, MessageError, parse_message
from stages.results.models import EventMessage, InspectionMessage, UninspectedMessage

MINUTE_MS = 60_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST_MS = (2**31 - 1) * MINUTE_MS  # minutes are kept in 32 bits

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PartRecord:
    """An inspected part: a row of `inspections`, and the different defects it has."""

    row: Row
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IntervalRecord:
    """A time nobody inspected, as it was told: a row of `uninspected`."""

    row: Row


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A row of `events`."""

    row: Row


Record = PartRecord | IntervalRecord | EventRecord


def record_of(data: bytes) -> Record:
    """What is kept of a message as it was published. Raises MessageError where it is none, or cannot be kept."""
    message = parse_message(data)
    if isinstance(message, InspectionMessage):
        return _part(message, data)
    if isinstance(message, UninspectedMessage):
        return IntervalRecord(_checked(uninspected, _interval(message)))
    if isinstance(message, EventMessage):
        return EventRecord(_checked(events, _event(message)))
    raise MessageError(f"{_schema(message)} is not kept in the history")


def unix_ms(at: datetime) -> int:
    """Milliseconds, exactly."""
    return (at - _EPOCH) // _MILLISECOND


def _part(message: InspectionMessage, data: bytes) -> PartRecord:
    row = {
        "id": message.inspection_id,
        "line": message.line,
        "camera": message.camera,
        "station": message.station,
        "counts": message.counts,
        "external_id": message.external_id,
        "verdict": message.verdict.value,
        "captured_ms": unix_ms(message.captured_at),
        "decided_ms": unix_ms(message.decided_at),
        "recipe": message.recipe,
        "model": f"{message.model.name}:{message.model.version}",
        "has_snapshot": message.snapshot is not None,
        "message": data.decode(),
    }
    labels = tuple(sorted({defect.label for defect in message.defects}))
    for label in labels:
        _check_text(defects, "label", label)
    return PartRecord(_checked(inspections, row), labels)


def _interval(message: UninspectedMessage) -> dict[str, Any]:
    return {
        "id": message.interval_id,
        "line": message.line,
        "camera": message.camera,
        "station": message.station,
        "since_ms": unix_ms(message.since),
        "until_ms": None if message.until is None else unix_ms(message.until),
        "reason": message.reason,
        "recipe": message.recipe,
    }


def _event(message: EventMessage) -> dict[str, Any]:
    return {
        "id": message.event_id,
        "line": message.line,
        "camera": message.camera,
        "kind": message.kind,
        "at_ms": unix_ms(message.at),
        "recipe": message.recipe,
        "data": message.data,
    }


def _checked(table: Table, row: dict[str, Any]) -> Row:
    """The row. SQLite would take any text and time, PostgreSQL would refuse a batch for the sake of one."""
    for name, value in row.items():
        if isinstance(value, str):
            _check_text(table, name, value)
        elif name.endswith("_ms") and value is not None and not 0 <= value < _LATEST_MS:
            raise MessageError(f"{name.removesuffix('_ms')} is no time that can be kept")
    return row


def _check_text(table: Table, name: str, value: str) -> None:
    longest = getattr(table.c[name].type, "length", None)
    if longest is not None and len(value) > longest:
        raise MessageError(f"{name} has {len(value)} signs, {longest} can be kept")
    if "\0" in value:
        raise MessageError(f"{name} holds a zero byte")


def _schema(message: Message) -> str:
    return message.schema_
