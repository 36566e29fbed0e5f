"""What stands beside a part on its page: the next to review, the times nobody saw, and what filters may choose from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from pipeline.history.around import unseen_around
from pipeline.history.choices import Choices, choices
from pipeline.history.database import Database
from pipeline.history.gallery import PartFilter, neighbour, part
from pipeline.history.reviews import Said, review
from pipeline.history.tables import defect_minutes, part_minutes, uninspected
from tests.unit.history.parts import START_MS, history, put, row

MINUTE_MS = 60_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


def beside(database: Database, one: str, *, newer: bool, **wanted: Any) -> str | None:
    with database.read() as connection:
        of = part(connection, one, None)
        assert of is not None
        found = neighbour(connection, PartFilter(**{"lines": ["l1"], "reviewed": False} | wanted), of, newer=newer)
    return None if found is None else found.id


def test_the_next_part_is_the_nearest_that_fits_on_either_side(database: Database) -> None:
    put(database, *(row(n, ("reject", "pass")[n % 2]) for n in range(9)), row(4, line="l2", camera="b"))
    with database.write() as connection:
        for number in (2, 6):
            review(connection, f"a/1/{number}", Said.REJECT, lines=None, by="anna", at_ms=1)
    assert beside(database, "a/1/4", newer=False, verdicts=["reject"]) == "a/1/0"
    assert beside(database, "a/1/4", newer=True, verdicts=["reject"]) == "a/1/8"
    assert beside(database, "a/1/4", newer=True) == "a/1/5"
    assert beside(database, "a/1/8", newer=True) is None
    assert beside(database, "a/1/0", newer=False) is None
    assert beside(database, "a/1/4", newer=True, lines=["l3"]) is None


def test_parts_of_the_same_moment_are_gone_through_one_after_another(database: Database) -> None:
    put(database, *(row(n, captured_ms=START_MS) for n in range(4)))
    seen, one = [], "a/1/0"
    while (found := beside(database, one, newer=True)) is not None:
        seen.append(one := found)
    assert seen == ["a/1/1", "a/1/2", "a/1/3"]
    assert beside(database, "a/1/1", newer=False) == "a/1/0"


def unseen(one: str, since_ms: int, until_ms: int | None, line: str = "l1") -> dict[str, Any]:
    times = {"since_ms": START_MS + since_ms, "until_ms": until_ms and START_MS + until_ms}
    return {"id": one, "line": line, "camera": "a", "station": "capper", "reason": one, "recipe": None, **times}


def test_times_nobody_saw_are_told_as_far_as_they_reach_into_it(database: Database) -> None:
    told = [
        unseen("long ago", -9000, -8000),
        unseen("before", -3000, -900),
        unseen("lasts", -5000, None),
        unseen("after", 1000, 2000),
        unseen("later", 1001, 2000),
        unseen("elsewhere", 0, 10, "l2"),
    ]
    with database.write() as connection:
        connection.execute(insert(uninspected), told)
        assert [one.reason for one in unseen_around(connection, "l1", START_MS, 1000)] == ["lasts", "before", "after"]


def test_filters_choose_from_what_the_last_weeks_had_on_ones_lines(database: Database) -> None:
    minute = START_MS // MINUTE_MS
    rows: list[dict[str, Any]] = [
        {"line": line, "minute": at, "camera": "a", "recipe": recipe, "model": model, "counts": True}
        for line, at, recipe, model in (
            ("l1", minute, "small", "bottles:3"),
            ("l1", minute - 1, "", "bottles:2"),
            ("l2", minute, "large", "cans:1"),
            ("l1", minute - 60 * 24 * 31, "old", "bottles:1"),
        )
    ]
    with database.write() as connection:
        connection.execute(
            insert(part_minutes), [one | {"verdict": "reject", "parts": 1, "defects": 1} for one in rows]
        )
        connection.execute(insert(defect_minutes), [one | {"label": f"bad {one['model']}", "parts": 1} for one in rows])
        assert choices(connection, {"l1"}, START_MS) == Choices(
            ("bad bottles:2", "bad bottles:3"), ("bottles:2", "bottles:3"), ("small",)
        )
        assert choices(connection, None, START_MS).recipes == ("large", "small")
        assert choices(connection, frozenset(), START_MS) == Choices((), (), ())


def test_what_filters_choose_from_is_found_by_the_key_for_every_line_too(database: Database) -> None:
    """Of a full history the other way reads all that is kept, at each page that is opened."""
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    with database.write() as connection:
        connection.execute(
            insert(part_minutes),
            {"line": "l1", "minute": START_MS // 60_000, "camera": "a", "recipe": "small", "model": "bottles:3",
             "counts": True, "verdict": "pass", "parts": 1, "defects": 0},
        )  # fmt: skip
    with database.read() as connection:
        asked.clear()
        choices(connection, None, START_MS)
        event.remove(database.engine, "before_cursor_execute", note)
        wide = [each for each in asked if each[0].startswith("SELECT DISTINCT")]
        steps = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given).all()) for sql, given in wide]
    assert len(steps) == 2
    assert all("(line=? AND minute>?)" in step for step in steps), steps
