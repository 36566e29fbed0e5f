"""A real Redis into a real database, and what may go wrong on the way: each message is written and counted once."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.history.database import Database
from pipeline.history.settings import GROUP
from pipeline.history.tables import events, inspections, part_minutes, uninspected
from pipeline.sinks.reader_floors import ReaderFloors
from tests.redis_server import redis_server
from tests.services.history.rig import (
    DiesAfterCommit,
    Killed,
    Line,
    collect_all,
    collector_of,
    eventually,
    running,
)
from tests.unit.history.books import count, everything, rows
from tests.unit.history.messages import event, part

pytestmark = pytest.mark.services


def counted(db: Database) -> int:
    return sum(int(str(row["parts"])) for row in rows(db, part_minutes))


def require_each_once(db: Database, parts: int, intervals: int = 1) -> None:
    assert count(db, inspections) == counted(db) == parts
    assert count(db, events) == parts
    assert [row["until_ms"] is None for row in rows(db, uninspected)] == [False] * intervals


async def test_all_that_is_published_is_kept_and_acked(line: Line, either: Database) -> None:
    await line.publish(*line.messages(30))
    collector = collector_of(line, either, batch=7)
    async with running(collector):
        await eventually(lambda: count(either, inspections) == 30)
        await line.publish(*line.messages(30, first=30))
        await eventually(lambda: count(either, events) == 60)
    require_each_once(either, 60, intervals=2)
    assert await line.pending() == 0
    assert 122 <= collector.status().written <= 124  # an interval that begins and ends in one batch is one row
    assert collector.status().behind in (0, None)


async def test_a_process_that_dies_between_commit_and_ack_costs_and_doubles_nothing(
    line: Line, either: Database
) -> None:
    await line.publish(*line.messages(20))
    dying = collector_of(line, DiesAfterCommit(either.engine), batch=9)
    with pytest.raises(Killed):
        await dying.step()
    assert await line.pending() > 0
    assert 0 < count(either, inspections) + count(either, events) < 40
    await collect_all(collector_of(line, either))
    require_each_once(either, 20)
    assert await line.pending() == 0


async def test_two_at_once_write_each_once(line: Line, either: Database) -> None:
    async with running(collector_of(line, either, batch=5)), running(collector_of(line, either, batch=5)):
        for first in range(0, 60, 20):
            await line.publish(*line.messages(20, first=first))
        await eventually(lambda: count(either, inspections) == count(either, events) == 60)
    require_each_once(either, 60, intervals=3)
    assert await line.pending() == 0


async def test_a_redis_that_was_rolled_back_and_written_again_doubles_nothing(tmp_path: Path, either: Database) -> None:
    with redis_server(tmp_path, keep=True) as server:
        line = Line(server, "l1")
        await line.publish(*line.messages(10))
        async with running(collector_of(line, either)):
            await eventually(lambda: count(either, events) == 10)
            server.remember()
            lost = line.messages(10, first=10)
            ids = await line.publish(*lost)
            await eventually(lambda: count(either, events) == 20)
            before = everything(either)
            server.roll_back()
            await line.reconnect()
            await line.publish(*lost, ids=ids)  # as before, down to the entries' ids
            await line.publish(*line.messages(1, first=20))
            await eventually(lambda: count(either, events) == 21)
        require_each_once(either, 21, intervals=3)
        after = everything(either)
        assert [row for row in after["inspections"] if row in before["inspections"]] == before["inspections"]
        await line.close()


async def test_redis_away_is_waited_for_and_told_once(
    tmp_path: Path, either: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline.history")
    with redis_server(tmp_path, keep=True) as server:
        line = Line(server, "l1")
        async with running(collector_of(line, either)) as collector:
            await line.publish(*line.messages(5))
            await eventually(lambda: count(either, events) == 5)
            server.kill()
            await eventually(lambda: collector.status().state == "waiting")
            await asyncio.sleep(0.7)  # tries again meanwhile
            server.start()
            await line.reconnect()
            await line.publish(*line.messages(5, first=5))
            await eventually(lambda: count(either, events) == 10)
        await line.close()
    told = [record.getMessage() for record in caplog.records if "the history" in record.getMessage()]
    assert [text.split(":")[0].split(" after")[0] for text in told] == [
        "the history waits, nothing is lost",
        "the history goes on",
    ]


async def test_a_locked_sqlite_is_waited_for(line: Line, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.unit.history.books import empty_sqlite

    db = empty_sqlite(tmp_path)
    from sqlalchemy import event as listen

    listen.listen(db.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=50"))
    db.engine.dispose()
    other = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await line.publish(*line.messages(3))
    async with running(collector_of(line, db)) as collector:
        await eventually(lambda: collector.status().state == "waiting")
        assert "database is locked" in caplog.text
        other.execute("ROLLBACK")
        await eventually(lambda: count(db, events) == 3)
    require_each_once(db, 3)
    other.close()
    db.close()


async def test_what_cannot_be_read_or_kept_goes_to_the_dead_letters_and_touches_no_other(
    line: Line, either: Database
) -> None:
    bad = [b"no JSON", part("zero\0byte", line=line.name), part("long", external_id="x" * 400, line=line.name)]
    now = time.time()
    good = [part(f"{line.name}/{n}", at=now, line=line.name) for n in range(4)]
    await line.publish(good[0], bad[0], good[1], bad[1], good[2], bad[2], good[3])
    collector = collector_of(line, either)
    await collect_all(collector)
    assert count(either, inspections) == counted(either) == 4
    letters = await line.dead()
    assert [letter[b"data"] for letter in letters] == bad
    assert b"not JSON" in letters[0][b"error"]
    assert collector.status().refused == 3
    assert await line.pending() == 0


async def test_what_only_the_database_refuses_is_found_and_set_aside(line: Line, either: Database) -> None:
    from sqlalchemy import text

    refuses = (
        "CREATE TRIGGER no_evil BEFORE INSERT ON inspections WHEN NEW.id LIKE '%evil' "
        "BEGIN SELECT RAISE(ABORT, 'no evil'); END"
        if either.is_sqlite
        else "ALTER TABLE inspections ADD CONSTRAINT no_evil CHECK (id NOT LIKE '%evil')"
    )
    with either.write() as connection:
        connection.execute(text(refuses))
    now = time.time()
    await line.publish(*(part(f"{line.name}/{n}", at=now, line=line.name) for n in ("a", "evil", "b")))
    await collect_all(collector_of(line, either))
    assert count(either, inspections) == counted(either) == 2
    (letter,) = await line.dead()
    assert letter[b"message_id"].endswith(b"evil")


async def test_what_was_trimmed_unread_is_told_as_an_event(line: Line, either: Database) -> None:
    now = time.time()
    told = [event(f"{line.name}/e{n}", at=now, line=line.name) for n in range(10)]
    await line.publish(*told[:3])
    collector = collector_of(line, either)
    await collect_all(collector)
    ids = await line.publish(*told[3:])
    await line.redis.xtrim(line.keys.events, maxlen=2, approximate=False)
    collector = collector_of(line, either)
    await collect_all(collector)
    assert collector.status().gaps == 1
    (gap,) = [row for row in rows(either, events) if row["kind"] == "history_gap"]
    assert (gap["line"], gap["camera"]) == (line.name, "cam-1")
    assert isinstance(gap["data"], dict)
    assert (gap["data"]["stream"], gap["data"]["before"]) == ("events", ids[-2])
    assert count(either, events) == 3 + 2 + 1


async def test_trimming_waits_for_it(line: Line, db: Database) -> None:
    floors = ReaderFloors(line.settings)
    await line.publish(*line.messages(3))
    await collect_all(collector_of(line, db))
    held = {(each.line, each.group): each.streams for each in await floors.registered()}
    await floors.close()
    assert held[line.name, GROUP] == ("events", "events:cam-1", "inspections")


async def test_what_is_older_than_what_is_kept_is_passed_over(line: Line, either: Database) -> None:
    """It was deleted, and counted before that: told again it would be counted again."""
    now = time.time()
    old, new = (part(name, at=at, line=line.name) for name, at in (("old", now - 3 * 86_400), ("new", now - 60)))
    await line.publish(old, new)
    collector = collector_of(line, either, retention_days=2)
    await collect_all(collector)
    assert [row["id"] for row in rows(either, inspections)] == ["new"]
    assert counted(either) == collector.status().too_old == 1
