"""An empty history, and what stands in one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Table, func, select

from pipeline.history.database import Database, database_url, open_database
from pipeline.history.migrate import migrate
from pipeline.history.records import record_of
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import metadata
from pipeline.history.writer import write


def empty_sqlite(folder: Path) -> Database:
    """A history in a file, with its tables."""
    db = open_database(database_url(HistorySettings(), folder))
    migrate(db)
    return db


def put(db: Database, *messages: bytes) -> int:
    """Write them in one transaction; how many were new."""
    with db.write() as connection:
        return write(connection, [record_of(message) for message in messages])


def rows(db: Database, table: Table) -> list[dict[str, object]]:
    """All rows, by key."""
    with db.read() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        return [dict(row) for row in found]


def everything(db: Database, without: Iterable[str] = ()) -> dict[str, list[dict[str, object]]]:
    """What stands in every table."""
    return {table.name: rows(db, table) for table in metadata.sorted_tables if table.name not in set(without)}


def count(db: Database, table: Table) -> int:
    """Rows of a table."""
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()
