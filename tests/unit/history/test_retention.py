"""What is too old goes, what somebody reviewed stays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from pipeline.history import retention
from pipeline.history.database import Database
from pipeline.history.retention import Retention
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import (
    alarms,
    camera_minutes,
    defect_minutes,
    defects,
    events,
    inspections,
    part_minutes,
    reviews,
    uninspected,
)
from tests.stopwatch import Stopwatch
from tests.unit.history.books import count, put, rows
from tests.unit.history.messages import event, interval, part

NOW = 1_795_000_000.0
DAY = 86_400.0


def retention_of(db: Database, **settings: Any) -> Retention:
    return Retention(db, HistorySettings(**settings), wall=lambda: NOW, first_s=0.0, pause_s=0.0)


def reviewed(db: Database, name: str) -> None:
    with db.write() as connection:
        connection.execute(
            insert(reviews).values(
                inspection_id=name, line="l", captured_ms=0, said="pass", reason="", labels=[], by="me", at_ms=0
            )
        )


async def test_parts_events_and_times_go_after_their_days_and_minutes_after_theirs(db: Database) -> None:
    for days, name in ((11, "old"), (9, "new")):
        at = NOW - days * DAY
        put(db, part(name, at=at, labels=["dent"]), event(name, at=at), interval(name, at + 60, since=at))
    assert await retention_of(db, retention_days=10).sweep() == 3
    for table in (inspections, events, uninspected):
        assert [row["id"] for row in rows(db, table)] == ["new"]
    assert [row["inspection_id"] for row in rows(db, defects)] == ["new"]
    assert count(db, part_minutes) == count(db, defect_minutes) == 2
    assert await retention_of(db, minutes_retention_days=10).sweep() == 2
    assert count(db, part_minutes) == count(db, defect_minutes) == 1


async def test_parts_that_somebody_reviewed_stay_with_their_defects(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 4)
    put(db, *(part(f"p{n:02}", at=NOW - 20 * DAY + n // 3, labels=["dent"]) for n in range(30)))
    for name in ("p00", "p01", "p07", "p29"):
        reviewed(db, name)
    assert await retention_of(db, retention_days=10).sweep() == 26
    assert [row["id"] for row in rows(db, inspections)] == ["p00", "p01", "p07", "p29"]
    assert count(db, defects) == count(db, reviews) == 4


async def test_a_time_that_lasts_stays_until_its_camera_told_of_another(db: Database) -> None:
    at = NOW - 20 * DAY
    put(db, interval("over", at + 60, since=at), interval("never ended", since=at + 100))
    put(db, interval("lasts", since=at + 200), interval("another's", since=at, camera="cam-2"))
    put(db, interval("reaches in", NOW - DAY, since=at, camera="cam-3"))
    await retention_of(db, retention_days=10).sweep()
    assert [row["id"] for row in rows(db, uninspected)] == ["another's", "lasts", "reaches in"]


async def test_alarms_go_when_they_were_cleared_long_ago(db: Database) -> None:
    old_ms = int((NOW - 20 * DAY) * 1000)
    one: dict[str, Any] = {"kind": "latency", "line": "l", "subject": "", "severity": "warning", "detail": "d"}
    with db.write() as connection:
        for cleared_ms in (old_ms, None):
            connection.execute(insert(alarms).values(raised_ms=old_ms, cleared_ms=cleared_ms, note="", **one))
    await retention_of(db, retention_days=10).sweep()
    assert [row["cleared_ms"] for row in rows(db, alarms)] == [None]


async def test_the_cameras_minutes_go_by_line_in_steps(db: Database) -> None:
    told = {"state": "running", "health": "ok", "fps_in": 1.0, "fps_out": 1.0, "dropped": 0}
    first = int((NOW - 12 * DAY) // 60)
    with db.write() as connection:
        made = [
            {"camera": f"c-{line}", "line": line, "minute": first + 60 * n, **told} for line in "ab" for n in range(72)
        ]
        connection.execute(insert(camera_minutes), made)
    steps = Retention(db, HistorySettings(minutes_retention_days=10), wall=lambda: NOW)._steps()
    assert [gone for gone in steps if gone] == [6] * 16  # six hours each
    assert count(db, camera_minutes) == 48


async def test_it_stops_between_two_steps(db: Database, monkeypatch: pytest.MonkeyPatch, stopwatch: Stopwatch) -> None:
    monkeypatch.setattr(retention, "STEP", 5)
    put(db, *(part(at=NOW - 20 * DAY) for _ in range(50)))
    sweeping = retention_of(db, retention_days=10)
    sweeping.finish()
    assert await sweeping.sweep() == 5
    stopwatch.restart()
    await sweeping.run()
    assert stopwatch.seconds < 5
