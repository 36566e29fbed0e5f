"""Judged parts as CSV or Parquet, made while they are read: a few hundred parts are in memory, however many there are.

The columns are documented in docs/reviews.md; they keep their names, kinds and order, new ones come behind them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.history.gallery import MOST_PARTS, PartFilter, PartRow, cursor_of, page
from stages.results.messages import rfc3339

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.history.database import Database

ROW_GROUP = 5000
Maker = Callable[[Iterator[Sequence[PartRow]]], Iterator[bytes]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell begins with that spreadsheet programs compute
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TEXT, TEXTS, FLAG, NUMBER, TIME = "text", "texts", "flag", "number", "time"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. In CSV lists are joined by `;`, times are RFC 3339, true and false are in small letters, texts
    `harmless`."""

    name: str
    kind: str
    of: Callable[[PartRow], Any]  # None: it has none


COLUMNS: Sequence[Column] = (
    Column("inspection_id", TEXT, lambda part: part.id),
    Column("external_id", TEXT, lambda part: part.external_id),
    Column("captured_at", TIME, lambda part: part.captured_ms),
    Column("decided_at", TIME, lambda part: part.decided_ms),
    Column("line", TEXT, lambda part: part.line),
    Column("station", TEXT, lambda part: part.station),
    Column("camera", TEXT, lambda part: part.camera),
    Column("counts", FLAG, lambda part: part.counts),
    Column("recipe", TEXT, lambda part: part.recipe),
    Column("model", TEXT, lambda part: part.model),
    Column("model_sha256", TEXT, lambda part: part.message.model.sha256),
    Column("verdict", TEXT, lambda part: part.verdict.value),
    Column("reasons", TEXTS, lambda part: part.message.reasons),
    Column("defects", TEXTS, lambda part: [found.label for found in part.message.defects]),
    Column("latency_ms", NUMBER, lambda part: part.message.latency_ms),
    Column("snapshot_uri", TEXT, lambda part: None if part.message.snapshot is None else part.message.snapshot.uri),
    Column("said", TEXT, lambda part: None if part.review is None else part.review.said.value),
    Column("said_reason", TEXT, lambda part: None if part.review is None else part.review.reason),
    Column("said_labels", TEXTS, lambda part: [] if part.review is None else part.review.labels),
    Column("said_by", TEXT, lambda part: None if part.review is None else part.review.by),
    Column("said_at", TIME, lambda part: None if part.review is None else part.review.at_ms),
    Column("cursor", TEXT, lambda part: cursor_of(part)),
)


def batches(
    database: Database, wanted: PartFilter, most: int, before: str | None = None
) -> Iterator[tuple[PartRow, ...]]:
    """Parts, newest first, at most `most`; each batch in a transaction of its own. Raises HistoryUnavailable."""
    while most > 0:
        with database.read() as connection:
            found = page(connection, wanted, before, min(MOST_PARTS, most))
        yield found.parts
        most -= len(found.parts)
        if found.next is None:
            return
        before = found.next


def written(
    make: Maker, database: Database, wanted: PartFilter, most: int, before: str | None = None
) -> Iterator[bytes]:
    """The file that `make` writes of `batches`, piece by piece. Raises HistoryUnavailable.

    The first parts are read before its first piece is there: a history that is away leaves no file that has begun.
    """
    parts = batches(database, wanted, most, before)
    yield from make(chain([next(parts)], parts))


def as_csv(parts: Iterator[Sequence[PartRow]]) -> Iterator[bytes]:
    """UTF-8 with a line of names; lines end as RFC 4180 says."""
    yield _lines([[column.name for column in COLUMNS]])
    for some in parts:
        yield _lines([[_text(column, column.of(part)) for column in COLUMNS] for part in some])


def as_parquet(parts: Iterator[Sequence[PartRow]]) -> Iterator[bytes]:
    """Row groups of some thousand parts; times are milliseconds UTC."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(column.name, _arrow_type(pa, column)) for column in COLUMNS])
    taken = _Taken()
    with pq.ParquetWriter(pa.PythonFile(taken, mode="w"), schema, compression="zstd") as writer:
        for some in _grouped(parts, ROW_GROUP):
            columns = {column.name: [_value(column, column.of(part)) for part in some] for column in COLUMNS}
            writer.write_table(pa.table(columns, schema=schema))
            yield taken.take()
    yield taken.take()


def harmless(text: str) -> str:
    """For a cell of a CSV file: a text that spreadsheet programs would run as a formula gets a `'` before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.kind == TEXTS:
        return ";".join(harmless(text) for text in value)  # each: some programs make cells of what `;` parts
    if column.kind == TEXT:
        return harmless(value)
    if column.kind == TIME:
        return rfc3339(value / 1000)
    return str(value).lower() if column.kind == FLAG else str(value)


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind == TEXTS:
        return list(value)
    return _EPOCH + timedelta(milliseconds=value) if column.kind == TIME else value


def _arrow_type(pa: Any, column: Column) -> pa.DataType:
    return {
        TEXT: pa.string(),
        TEXTS: pa.list_(pa.string()),
        FLAG: pa.bool_(),
        NUMBER: pa.float64(),
        TIME: pa.timestamp("ms", "UTC"),
    }[column.kind]


def _grouped(parts: Iterator[Sequence[PartRow]], size: int) -> Iterator[list[PartRow]]:
    group: list[PartRow] = []
    for some in parts:
        group += some
        if len(group) >= size:
            yield group
            group = []
    if group:
        yield group


class _Taken(io.RawIOBase):
    """What pyarrow writes, until somebody takes it."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """See RawIOBase."""
        return True

    def tell(self) -> int:
        """See RawIOBase."""
        return self._written

    def write(self, data: Any) -> int:
        """See RawIOBase."""
        self._chunks.append(bytes(data))
        self._written += len(self._chunks[-1])
        return len(self._chunks[-1])

    def take(self) -> bytes:
        """All that was written since the last time."""
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken
