"""Parts as CSV and Parquet: the same columns, each part once, and nothing lost of what was said."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.history import export
from pipeline.history.database import Database
from pipeline.history.export import COLUMNS, as_csv, as_parquet, batches
from pipeline.history.gallery import PartFilter, cursor_of
from pipeline.history.reviews import Said, review
from tests.unit.history.parts import START_MS, history, put, row

DOCS = Path(__file__).parents[3] / "docs" / "reviews.md"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        put(
            opened,
            row(1, "reject", labels=["dent", "no_cap"], external_id="=1+1", recipe=None),
            row(2, "pass", message={"latency_ms": None}),
            row(3, "indeterminate", message={"reasons": ["lost"]}),
        )
        with opened.write() as connection:
            review(connection, "a/1/1", Said.PASS, lines=None, by="anna", at_ms=START_MS, reason='a "mark",\nno dent')
        yield opened


def rows(database: Database) -> list[dict[str, str]]:
    text = b"".join(as_csv(batches(database, PartFilter(None), 100))).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_holds_each_part_and_what_was_said(database: Database) -> None:
    lost, passed, rejected = rows(database)
    assert list(lost) == [column.name for column in COLUMNS]
    assert (rejected["inspection_id"], rejected["external_id"], rejected["recipe"]) == ("a/1/1", "'=1+1", "")
    assert (rejected["verdict"], rejected["defects"], rejected["counts"]) == ("reject", "dent;no_cap", "true")
    assert (rejected["said"], rejected["said_reason"], rejected["said_by"]) == ("pass", 'a "mark",\nno dent', "anna")
    assert (passed["latency_ms"], passed["said"], lost["reasons"]) == ("", "", "lost")
    assert rejected["captured_at"] == "2027-01-15T08:00:01.000Z"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_is_a_formula_and_numbers_stay_numbers(tmp_path: Path, text: str) -> None:
    (tmp_path / "one").mkdir()
    with history(tmp_path / "one") as database:
        put(database, row(1, external_id=text, labels=["dent", text], message={"latency_ms": -1.5}))
        [told] = rows(database)
        data = b"".join(as_parquet(batches(database, PartFilter(None), 100)))
    assert (told["external_id"], told["defects"], told["latency_ms"]) == (f"'{text}", f"dent;'{text}", "-1.5")
    assert pq.read_table(pa.BufferReader(data)).to_pylist()[0]["external_id"] == text


def test_parquet_holds_the_same_with_its_kinds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_PARTS", 1)
    monkeypatch.setattr(export, "ROW_GROUP", 2)
    chunks = list(as_parquet(batches(database, PartFilter(None), 100)))
    file = pq.ParquetFile(pa.BufferReader(b"".join(chunks)))
    assert (file.num_row_groups, len(chunks)) == (2, 3)
    table = file.read()
    assert table.schema.field("captured_at").type == pa.timestamp("ms", "UTC")
    told = table.to_pylist()
    assert [one["inspection_id"] for one in told] == [one["inspection_id"] for one in rows(database)]
    assert (told[2]["defects"], told[2]["said_labels"], told[2]["counts"]) == (["dent", "no_cap"], [], True)
    assert told[2]["captured_at"] == datetime(2027, 1, 15, 8, 0, 1, tzinfo=UTC)


def test_so_many_and_no_more_and_the_cursor_goes_on(database: Database) -> None:
    [[first]] = list(batches(database, PartFilter(None), 1))
    behind = [part.id for some in batches(database, PartFilter(None), 100, cursor_of(first)) for part in some]
    assert (first.id, behind) == ("a/1/3", ["a/1/2", "a/1/1"])


def test_nothing_is_a_table_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with history(tmp_path / "empty") as database:
        assert rows(database) == []
        data = b"".join(as_parquet(batches(database, PartFilter(None), 100)))
    assert pq.read_table(pa.BufferReader(data)).num_rows == 0


def test_every_column_is_documented() -> None:
    table = DOCS.read_text().split("| column |", 1)[1].split("\n\n", 1)[0]
    assert [line.split("`")[1] for line in table.splitlines()[2:]] == [column.name for column in COLUMNS]
