"""Alarms in the history, and what of them is still to be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.alarms import notices, store
from pipeline.alarms.notices import What
from pipeline.alarms.store import NotAcknowledged
from pipeline.alarms.values import AlarmKey, Kind, Severity
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.history.tables import alarms
from tests.unit.alarms.history import history

BLIND = AlarmKey(Kind.CAMERA_BLIND, "filling", "cam-1")
REJECTS = AlarmKey(Kind.REJECT_RATE, "packing")
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
CHAT = [("chat", 100)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


def test_an_alarm_is_raised_once_while_it_holds_and_again_afterwards(database: Database) -> None:
    with database.write() as connection:
        assert store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000) is not None
        assert store.raise_alarm(connection, BLIND, CRITICAL, "still black", 2000) is None
        cleared = store.clear_alarm(connection, BLIND, 3000)
        assert cleared is not None
        assert (cleared.raised_ms, cleared.cleared_ms, cleared.detail) == (1000, 3000, "black")
        assert store.clear_alarm(connection, BLIND, 4000) is None
        assert store.raise_alarm(connection, BLIND, CRITICAL, "frozen", 5000) is not None
    with database.read() as connection:
        assert [one.detail for one in store.holding(connection)] == ["frozen"]
        assert [one.detail for one in store.past(connection)] == ["black"]


def test_two_processes_cannot_raise_the_same(database: Database) -> None:
    row = {**BLIND._asdict(), "severity": "warning", "detail": "", "note": "", "raised_ms": 1}
    with pytest.raises(HistoryUnavailable, match="UNIQUE"), database.write() as connection:
        connection.execute(alarms.insert(), [row, row])


def test_an_alarm_that_gets_worse_is_raised_anew_and_nobody_has_acknowledged_that(database: Database) -> None:
    with database.write() as connection:
        first = store.raise_alarm(connection, REJECTS, WARNING, "6 %", 1000)
        assert first is not None
        store.acknowledge(connection, first.id, "ada", "known", 1500)
        worse = store.raise_alarm(connection, REJECTS, CRITICAL, "60 %", 2000)
        assert worse is not None
        assert (worse.id, worse.severity, worse.is_acknowledged, worse.note) == (first.id, CRITICAL, False, "")
        store.acknowledge(connection, first.id, "bob", "on it", 2500)
        assert store.raise_alarm(connection, REJECTS, WARNING, "7 %", 3000) is None
        milder = store.find(connection, first.id)
        assert milder is not None
        assert (milder.severity, milder.detail, milder.acknowledged_by) == (WARNING, "7 %", "bob")


def test_an_acknowledgement_says_who_when_and_why_and_the_first_holds(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        assert store.unacknowledged(connection) == 1
        said = store.acknowledge(connection, raised.id, "ada", " lamp is \0changed ", 2000)
        assert (said.acknowledged_by, said.acknowledged_ms, said.note) == ("ada", 2000, "lamp is changed")
        assert store.unacknowledged(connection) == 0
        with pytest.raises(NotAcknowledged, match="ada acknowledged it before"):
            store.acknowledge(connection, raised.id, "bob", "", 3000)


def test_lines_that_are_not_theirs_are_neither_seen_nor_acknowledged(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        assert store.holding(connection, ["packing"]) == []
        assert store.unacknowledged(connection, []) == 0
        with pytest.raises(NotAcknowledged, match="there is no alarm"):
            store.acknowledge(connection, raised.id, "eve", "", 2000, ["packing"])
        assert store.unacknowledged(connection, ["filling"]) == 1


def test_what_holds_is_ordered_by_who_has_to_do_something(database: Database) -> None:
    with database.write() as connection:
        for number, severity in enumerate((WARNING, CRITICAL, CRITICAL, CRITICAL)):
            key = AlarmKey(Kind.CAMERA_BLIND, "filling", f"cam-{number}")
            raised = store.raise_alarm(connection, key, severity, "", 1000 + number)
        assert raised is not None
        store.acknowledge(connection, raised.id, "ada", "", 2000)
        assert [one.key.subject for one in store.holding(connection)] == ["cam-2", "cam-1", "cam-0", "cam-3"]


def test_what_is_over_is_read_page_by_page(database: Database) -> None:
    with database.write() as connection:
        for number in range(5):
            store.raise_alarm(connection, BLIND, CRITICAL, str(number), 1000 + number // 2)
            store.clear_alarm(connection, BLIND, 2000 + number)
        first = store.past(connection, limit=3)
        rest = store.past(connection, before=first[-1], limit=3)
        assert [one.detail for one in (*first, *rest)] == ["4", "3", "2", "1", "0"]


def test_what_is_taken_is_nobody_elses_until_its_lease_is_over(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        notices.write(connection, raised, What.RAISED, CHAT, 1000)
        (mine,) = notices.take(connection, "chat", 1000, lease_s=10)
        assert (mine.what, mine.tries, mine.alarm.key) == (What.RAISED, 1, BLIND)
        assert notices.take(connection, "chat", 10_999, lease_s=10) == []
        (again,) = notices.take(connection, "chat", 11_000, lease_s=10)  # who had it died
        assert (again.id, again.tries) == (mine.id, 2)
        notices.sent(connection, [again], 12_000)
        assert notices.take(connection, "chat", 99_000, lease_s=10) == []


def test_an_end_is_not_told_before_its_beginning(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        notices.write(connection, raised, What.RAISED, CHAT, 1000)
        notices.later(connection, notices.take(connection, "chat", 1000, lease_s=10), 60_000)
        cleared = store.clear_alarm(connection, BLIND, 2000)
        assert cleared is not None
        notices.write(connection, cleared, What.CLEARED, CHAT, 2000)
        assert notices.take(connection, "chat", 3000, lease_s=10) == []
        both = notices.take(connection, "chat", 60_000, lease_s=10)
        assert [one.what for one in both] == [What.RAISED, What.CLEARED]


def test_no_more_waits_than_may_and_the_oldest_goes(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        for at_ms in range(5):
            notices.write(connection, raised, What.RAISED, [("chat", 3)], at_ms)
        assert [one.at_ms for one in notices.take(connection, "chat", 9000, lease_s=1)] == [2, 3, 4]


def test_a_reminder_of_what_was_acknowledged_meanwhile_is_not_told(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        notices.write(connection, raised, What.REPEATED, CHAT, 1000)
        store.acknowledge(connection, raised.id, "ada", "", 1500)
        assert notices.take(connection, "chat", 2000, lease_s=1) == []


def test_what_waits_for_who_is_not_told_any_more_is_given_up(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        notices.write(connection, raised, What.RAISED, [("chat", 9), ("email", 9)], 1000)
        assert notices.give_up_others(connection, ["email"], 2000) == 1
        assert notices.take(connection, "chat", 3000, lease_s=1) == []
        assert len(notices.take(connection, "email", 3000, lease_s=1)) == 1


def test_the_last_word_of_an_alarm_is_kept_and_older_ones_are_forgotten(database: Database) -> None:
    with database.write() as connection:
        raised = store.raise_alarm(connection, BLIND, CRITICAL, "black", 1000)
        assert raised is not None
        for at_ms in (1000, 2000):
            notices.write(connection, raised, What.REPEATED, CHAT, at_ms)
            notices.sent(connection, notices.take(connection, "chat", at_ms, lease_s=1), at_ms)
        assert notices.forget(connection, 9000) == 1
        assert notices.last_told(connection, [raised.id]) == {raised.id: 2000}
