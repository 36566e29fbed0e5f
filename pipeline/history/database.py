"""The history's database: SQLite on this machine or PostgreSQL, opened once a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pipeline.history.settings import HistorySettings
from stages.errors import RaylineError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FILE = "history.sqlite"
_BUSY_S = 10.0  # another process may be writing
# A server that is gone without a word is noticed: else its caller would wait for ever.
_POSTGRES: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
SILENCE_S = 20.0  # and one that is there and says nothing: stopped, or on a machine that is
_POOL_S = 10.0  # so long one waits for a connection, where all wait for the server


class HistoryMisconfigured(RaylineError, ValueError):
    """The settings tell no database that could be opened."""


class HistoryUnavailable(RaylineError):
    """The database does not answer, or refuses; says why, without credentials."""


class Database:
    """Transactions on the history; belongs to no thread. Its methods block: call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent look: what is written meanwhile is not seen. Nothing may be written in it.

        Raises HistoryUnavailable.
        """
        with self._said(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")  # else each SELECT would be a look of its own
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing. Raises HistoryUnavailable."""
        with self._said(), self.engine.begin() as connection:
            yield connection

    @property
    def is_sqlite(self) -> bool:
        """Else it is PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Lets go of every connection; may be called more than once."""
        self.engine.dispose()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as exc:  # its own text holds values, and may hold the address
            cause = getattr(exc, "orig", None) or exc
            where = self.engine.url.render_as_string(hide_password=True)
            raise HistoryUnavailable(f"the history at {where}: {type(cause).__name__}: {_first_line(cause)}") from None


def _first_line(exc: object) -> str:
    return next(iter(str(exc).splitlines()), "")


def database_url(settings: HistorySettings, folder: Path | None = None) -> str:
    """Where the engine connects; `folder` holds the SQLite file where the settings name none.

    Raises HistoryMisconfigured.
    """
    try:
        if settings.embedded:
            folder = settings.data_dir or folder
            if folder is None:
                raise HistoryMisconfigured("history: `embedded` needs a `data_dir` here")
            folder.mkdir(parents=True, exist_ok=True)
            return f"sqlite+pysqlite:///{folder / FILE}"
        parsed = make_url(settings.url.get_secret_value()).set(drivername="postgresql+psycopg")
        if settings.password_file is not None:
            parsed = parsed.set(password=settings.password_file.read_text().strip())
    except OSError as exc:
        raise HistoryMisconfigured(f"history: {exc.filename}: {exc.strerror or type(exc).__name__}") from None
    except ArgumentError:  # its text holds the address
        raise HistoryMisconfigured("history.url is no address of a database") from None
    return parsed.render_as_string(hide_password=False)


def open_database(url: str, silence_s: float = SILENCE_S) -> Database:
    """The database as it is: `migrate` brings its tables to what this version knows.

    A PostgreSQL that says nothing for `silence_s` to what it is asked is HistoryUnavailable.
    """
    is_sqlite = url.startswith("sqlite")
    if is_sqlite:
        options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S}}
    else:
        said = make_url(url).query  # which wins
        connect_args = {k: v for k, v in _POSTGRES.items() if k not in said}
        options = {"pool_pre_ping": True, "pool_timeout": _POOL_S, "connect_args": connect_args}
    engine = create_engine(url, pool_size=5, max_overflow=5, **options)
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        from pipeline.history.postgres import bound_answers  # psycopg only where it is used

        bound_answers(engine, silence_s)
    return Database(engine)


def _set_up_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    # Readers never wait for the writer. FULL: what is acked in Redis must not be lost to a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
