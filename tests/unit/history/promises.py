"""What writing promises, for whichever database: run on SQLite as unit tests, on PostgreSQL as services."""

from __future__ import annotations

import threading

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, select, text

from pipeline.history.database import Database
from pipeline.history.frozen import Frozen, find
from pipeline.history.migrate import migrate
from pipeline.history.spc import ChartKind, FrozenLimits
from pipeline.history.tables import (
    defect_minutes,
    defects,
    events,
    frozen_limits,
    inspections,
    metadata,
    part_minutes,
    uninspected,
)
from tests.unit.history.books import count, everything, put, rows
from tests.unit.history.messages import AT, event, interval, part


class Promises:
    """Each test has an empty `db`."""

    def test_the_migrations_make_the_tables_that_the_code_works_with(self, db: Database) -> None:
        with db.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
            assert compare_metadata(context, metadata) == []

    def test_migrating_again_changes_nothing(self, db: Database) -> None:
        put(db, part("a"))
        migrate(db)
        assert count(db, inspections) == 1

    def test_what_is_written_during_a_look_is_not_seen_by_it(self, db: Database) -> None:
        put(db, part("a"))
        counted = select(func.count()).select_from(inspections)
        with db.read() as connection:
            before = connection.execute(counted).scalar()
            put(db, part("b"))
            assert (before, connection.execute(counted).scalar()) == (1, 1)
        assert count(db, inspections) == 2

    def test_limits_frozen_before_their_recipe_was_kept_hold_for_every_one(self, db: Database) -> None:
        with db.write() as connection:  # as the version before left it
            for column in ("recipe", "model"):
                connection.execute(text(f"ALTER TABLE frozen_limits DROP COLUMN {column}"))
            old = FrozenLimits(0.1, 2.0)
            its = {"line": "filling", "chart": "p", "center": old.center, "sigma_z": old.sigma_z, "by": "ada"}
            connection.execute(insert(frozen_limits).values(**its, since_ms=1, until_ms=2, at_ms=3))
            connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        migrate(db)
        with db.read() as connection:
            frozen = find(connection, "filling", ChartKind.P)
        assert frozen == Frozen(old, 1, 2, "ada", 3)
        assert frozen is not None
        assert frozen.hold_for("cola", "bottles:3")

    def test_all_of_a_message_is_kept_to_the_millisecond(self, db: Database) -> None:
        message = part(
            "cam-1/1/7", verdict="reject", labels=["no cap", "dent", "dent"], external_id="SN-1", recipe=None
        )
        assert put(db, message, event("e", "zone_entered", zone="in", deep={"a": [1, None]})) == 2
        (kept,) = rows(db, inspections)
        assert kept == {
            "id": "cam-1/1/7",
            "line": "filling",
            "camera": "cam-1",
            "station": "capper",
            "counts": True,
            "external_id": "SN-1",
            "verdict": "reject",
            "captured_ms": 1_795_000_020_125,
            "decided_ms": 1_795_000_020_375,
            "recipe": None,
            "model": "bottles:3",
            "has_snapshot": False,
            "message": message.decode(),
        }
        assert [row["label"] for row in rows(db, defects)] == ["dent", "no cap"]
        assert rows(db, events)[0]["data"] == {"zone": "in", "deep": {"a": [1, None]}}

    def test_a_replay_writes_nothing_twice_and_counts_nothing_twice(self, db: Database) -> None:
        told = [
            part("a"),
            part("b", verdict="reject", labels=["dent", "no cap"]),
            interval("i"),
            interval("i", AT + 60),
            event("e"),
        ]
        assert put(db, *told) == 4
        before = everything(db)
        assert put(db, *told) == 0
        assert put(db, *reversed(told)) == 0
        assert put(db, *told, part("b", verdict="pass"), part("c")) == 1
        after = everything(db)
        for table in ("uninspected", "events", "defects", "defect_minutes"):
            assert after[table] == before[table]
        assert {row["verdict"]: row["parts"] for row in after["part_minutes"]} == {"pass": 2, "reject": 1}
        assert [row["verdict"] for row in after["inspections"]] == ["pass", "reject", "pass"]

    def test_one_told_twice_in_a_batch_is_one(self, db: Database) -> None:
        assert put(db, part("a", labels=["dent"]), part("a", labels=["dent"]), event("e"), event("e")) == 2
        assert rows(db, part_minutes)[0]["parts"] == 1
        assert rows(db, defect_minutes)[0]["parts"] == 1

    def test_minutes_are_counted_by_all_they_are_told_apart_by(self, db: Database) -> None:
        put(db, part(), part(at=AT + 59), part(at=AT + 60), part(verdict="indeterminate"), part(camera="cam-2"))
        put(db, part(recipe=None), part(counts=False), part(verdict="reject", labels=["dent", "no cap"]))
        put(db, part(verdict="reject", labels=["dent"]))
        found = rows(db, part_minutes)
        assert sum(int(str(row["parts"])) for row in found) == 9
        assert len(found) == 7
        first = int(AT // 60)
        assert {row["minute"] for row in found} == {first, first + 1}
        (rejects,) = [row for row in found if row["verdict"] == "reject"]
        assert (rejects["parts"], rejects["defects"]) == (2, 3)
        assert {row["recipe"] for row in found} == {"cola", ""}
        assert {row["label"]: row["parts"] for row in rows(db, defect_minutes)} == {"dent": 2, "no cap": 1}

    def test_a_part_with_a_name_is_counted_as_a_first_the_first_time_its_line_counts_it(self, db: Database) -> None:
        again = part(external_id="B", at=AT + 2)
        put(db, part(external_id="A"), part(external_id="B", verdict="reject", at=AT + 1), again, part())
        put(db, again, part(external_id="B", at=AT + 3), part(external_id="C", counts=False))
        put(db, part(external_id="C"), part(external_id="A", line="other"))
        firsts = {(row["line"], row["verdict"]): row["firsts"] for row in rows(db, part_minutes) if row["counts"]}
        assert firsts == {("filling", "pass"): 2, ("filling", "reject"): 1, ("other", "pass"): 1}

    def test_an_interval_is_closed_once_and_never_opened_again(self, db: Database) -> None:
        assert put(db, interval("i")) == 1
        assert rows(db, uninspected)[0]["until_ms"] is None
        assert put(db, interval("i")) == 0
        assert put(db, interval("i", AT + 5)) == 1
        assert put(db, interval("i"), interval("i", AT + 9)) == 0
        (row,) = rows(db, uninspected)
        assert (row["since_ms"], row["until_ms"]) == (1_795_000_020_125, 1_795_000_025_125)

    def test_an_end_that_comes_first_is_kept(self, db: Database) -> None:
        assert put(db, interval("i", AT + 5)) == 1
        assert put(db, interval("i")) == 0
        assert rows(db, uninspected)[0]["until_ms"] == 1_795_000_025_125

    def test_one_whose_end_nobody_told_ends_where_its_cameras_next_begins(self, db: Database) -> None:
        put(db, interval("never"), interval("another's", since=AT + 1, camera="cam-2"))
        put(db, interval("next", AT + 30, since=AT + 20), interval("lasts", since=AT + 40))
        ends = {row["id"]: row["until_ms"] for row in rows(db, uninspected)}
        began = 1_795_000_020_125
        assert ends == {"never": began + 20_000, "another's": None, "next": began + 30_000, "lasts": None}
        assert put(db, interval("never", AT + 5)) == 1  # late, and true
        assert {row["id"]: row["until_ms"] for row in rows(db, uninspected)} == {**ends, "never": began + 5_000}

    def test_two_writers_of_the_same_parts_count_each_once(self, db: Database) -> None:
        """In opposite orders, at the same time."""
        names = [f"p{n:03}" for n in range(200)]
        batches = [names[n : n + 20] for n in range(0, 200, 20)]
        new: list[int] = []

        def write_all(order: list[list[str]]) -> None:
            new.extend(put(db, *(part(name, verdict="reject", labels=["dent"]) for name in batch)) for batch in order)

        writers = [
            threading.Thread(target=write_all, args=(batches,)),
            threading.Thread(target=write_all, args=([batch[::-1] for batch in reversed(batches)],)),
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert sum(new) == 200
        assert rows(db, part_minutes)[0]["parts"] == rows(db, defect_minutes)[0]["parts"] == 200
