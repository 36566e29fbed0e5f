"""The tables of a history: made once, and never by an older version."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.history.database import Database, HistoryUnavailable, database_url, open_database
from pipeline.history.migrate import HistoryIsNewer, migrate
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import inspections
from tests.unit.history.books import count


def test_a_history_of_a_later_version_is_refused_in_words(db: Database) -> None:
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HistoryIsNewer, match=r"later version of Rayline \(revision 9999\)"):
        migrate(db)


MIGRATE = """
import sys
from pipeline.history.database import open_database
from pipeline.history.migrate import migrate
migrate(open_database(sys.argv[1]))
"""


def test_two_that_start_at_once_make_the_tables_once(tmp_path: Path) -> None:
    url = database_url(HistorySettings(), tmp_path)
    started = [subprocess.Popen([sys.executable, "-c", MIGRATE, url]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    db = open_database(url)
    assert count(db, inspections) == 0
    db.close()


def test_a_file_that_is_no_database_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"no database at all, but long enough to look like one" * 100)
    db = open_database(database_url(HistorySettings(), tmp_path))
    with pytest.raises(HistoryUnavailable, match="not a database"):
        migrate(db)
    db.close()
