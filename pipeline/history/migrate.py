"""The tables of a history, brought to what this version knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from pipeline.history.database import Database, open_database
from stages.errors import RaylineError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x7261796C696E65  # "rayline": one migrates a PostgreSQL at a time


class HistoryIsNewer(RaylineError):
    """A later version of Rayline has changed the tables: this one must not write into them."""


class MigratedDatabase(Database):
    """Its tables are brought to what this version knows before they are first used, whenever that can be.

    `read` and `write` raise HistoryIsNewer too.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._is_migrated = False
        self._lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """As a Database's."""
        self._migrate()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As a Database's."""
        self._migrate()
        with super().write() as connection:
            yield connection

    def _migrate(self) -> None:
        with self._lock:
            if not self._is_migrated:
                migrate(Database(self.engine))
                self._is_migrated = True


def open_history(url: str) -> MigratedDatabase:
    """The database, which need not be reachable yet."""
    return MigratedDatabase(open_database(url).engine)


def migrate(db: Database) -> None:
    """Make or change the tables to what this version knows; does nothing where they are so already.

    All of it or nothing; two at once do it once. Raises HistoryUnavailable, HistoryIsNewer.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with db.read() as connection:
        if _is_current(connection, scripts):
            return
    with db.write() as connection:
        # Before anything is read: who waited for the lock finds what the other did.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if db.is_sqlite else f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not _is_current(connection, scripts):
            config.attributes["connection"] = connection
            with _as_long_as_it_takes(db, connection):
                command.upgrade(config, "head")


def _as_long_as_it_takes(db: Database, connection: Connection) -> AbstractContextManager[None]:
    if db.is_sqlite:
        return nullcontext()
    from pipeline.history.postgres import unbounded  # psycopg only where it is used

    return unbounded(connection)


def _is_current(connection: Connection, scripts: ScriptDirectory) -> bool:
    """Raises HistoryIsNewer."""
    heads = set(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := heads - known:
        where = connection.engine.url.render_as_string(hide_password=True)
        raise HistoryIsNewer(
            f"the history at {where} was made by a later version of Rayline (revision {min(unknown)}): run that "
            "version, or give this one a history of its own"
        )
    return heads == set(scripts.get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
