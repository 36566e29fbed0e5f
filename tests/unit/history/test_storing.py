"""Which messages are too old to be kept."""

from __future__ import annotations

from pipeline.history.database import Database
from pipeline.history.storing import store
from pipeline.history.tables import events, inspections, uninspected
from pipeline.sinks.group_reader import Delivery
from tests.unit.history.books import rows
from tests.unit.history.messages import AT, event, interval, part

DAY = 86_400.0
NOW = AT + 3 * DAY


def store_all(db: Database, *messages: bytes, retention_days: float = 1) -> int:
    """How many were passed over as too old."""
    batch = [Delivery("s", f"{number}-0", f"m{number}", data, 1) for number, data in enumerate(messages)]
    return store(db, batch, (), int((NOW - retention_days * DAY) * 1000)).too_old


def test_parts_and_events_of_before_what_is_kept_are_passed_over(db: Database) -> None:
    assert store_all(db, part("old"), event("old"), part("new", at=NOW), event("new", at=NOW)) == 2
    assert [row["id"] for table in (inspections, events) for row in rows(db, table)] == ["new", "new"]


def test_a_late_interval_does_not_lose_its_end(db: Database) -> None:
    assert store_all(db, interval("i")) == 0
    assert store_all(db, interval("i", AT + 60)) == 0
    assert [row["until_ms"] is None for row in rows(db, uninspected)] == [False]
