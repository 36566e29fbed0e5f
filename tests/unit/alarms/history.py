"""A history of one's own, in memory as far as a test sees, and alarms in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.history.database import Database, open_database
from pipeline.history.tables import metadata


@contextmanager
def history(folder: Path) -> Iterator[Database]:
    """An empty SQLite history; opened again, it holds what was written."""
    database = open_database(f"sqlite+pysqlite:///{folder / 'history.sqlite'}")
    metadata.create_all(database.engine)
    try:
        yield database
    finally:
        database.close()
