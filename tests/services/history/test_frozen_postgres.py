"""A PostgreSQL that is stopped: its sockets are there, its kernel answers every probe, and it says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from pipeline.config import config_of_data
from pipeline.control.inspections.desk import THREADS, HistoryDesk
from pipeline.control.problems import ApiError
from pipeline.dashboard.services import Services
from pipeline.dashboard.settings import DashboardSettings
from pipeline.dashboard.states import words_of
from pipeline.dashboard.texts import t
from pipeline.history.database import Database, HistoryUnavailable, database_url, open_database
from pipeline.history.migrate import migrate
from pipeline.history.postgres import HeardConnection, unbounded
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import events, inspections, part_minutes
from tests.postgres_server import PostgresServer, postgres_server
from tests.services.history.rig import Line, collector_of, eventually, running
from tests.stopwatch import Stopwatch
from tests.unit.history.books import count, rows

pytestmark = pytest.mark.services

CONFIG = config_of_data(
    {
        "models": {"bottles": {"weights": "builtin:bottles"}},
        "recipes": {"small": {"model": "bottles"}},
        "cameras": {"cam-1": {"url": "rtsp://127.0.0.1:8554/a", "recipe": "small"}},
    }
)
SILENCE_S, CONNECT_S = 2.0, 2  # libpq's least


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that no other test waits for while it is stopped."""
    with postgres_server() as started:
        yield started


@pytest.fixture
def db(server: PostgresServer) -> Iterator[Database]:
    url = f"{server.database()}&connect_timeout={CONNECT_S}"
    made = open_database(database_url(HistorySettings(url=SecretStr(url))), SILENCE_S)
    migrate(made)
    yield made
    server.thaw()
    made.close()


class Desk(HistoryDesk):
    """The API's questions to this database."""

    def __init__(self, db: Database) -> None:
        super().__init__(HistorySettings())
        self._its = db

    def database(self) -> Database:
        return self._its


class PageServices(Services):
    """Of a history that is open already."""

    def __init__(self, db: Database) -> None:
        super().__init__(CONFIG, DashboardSettings())
        self._its = db

    def database(self) -> Database:
        return self._its


async def test_what_it_has_not_committed_waits_in_redis_and_is_written_once(
    server: PostgresServer, db: Database, line: Line
) -> None:
    await line.publish(*line.messages(100))
    async with running(collector_of(line, db, batch=5)) as collector:
        await eventually(lambda: collector.status().written > 0)
        server.freeze()
        await line.publish(*line.messages(20, first=100))
        await eventually(lambda: collector.status().state == "waiting")
        assert await line.pending() > 0
        server.thaw()
        await eventually(lambda: collector.status().state == "running")
        await eventually(lambda: count(db, inspections) == count(db, events) == 120)
    assert sum(int(str(row["parts"])) for row in rows(db, part_minutes)) == 120
    assert await line.pending() == 0


async def test_a_question_is_told_within_its_bound_and_its_thread_is_free_again(
    server: PostgresServer, db: Database, stopwatch: Stopwatch
) -> None:
    desk, page = Desk(db), PageServices(db)
    assert await desk.read(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    server.freeze()
    stopwatch.restart()
    asked = [desk.read(lambda connection: connection.scalar(text("SELECT 2"))) for _ in range(THREADS + 1)]
    of_page = asyncio.create_task(page.query(lambda connection: connection.scalar(text("SELECT 2"))))
    told = await asyncio.gather(*asked, return_exceptions=True)
    with pytest.raises(HistoryUnavailable) as shown:
        await of_page
    assert stopwatch.seconds < SILENCE_S + 2 * CONNECT_S + 2
    assert words_of(shown.value) == t("state.history_away")
    for each in told:
        assert isinstance(each, ApiError)
        assert (each.status, str(each)) == (503, "the history does not answer: try again")
    server.thaw()
    assert await desk.read(lambda connection: connection.scalar(text("SELECT 3"))) == 3
    assert await page.query(lambda connection: connection.scalar(text("SELECT 3"))) == 3
    desk.close()


def test_one_that_stops_within_a_transaction_is_told_in_words(server: PostgresServer, db: Database) -> None:
    def write() -> None:
        with db.write() as connection:
            connection.execute(text("SELECT 1"))
            server.freeze()
            connection.execute(text("SELECT 2"))

    with pytest.raises(HistoryUnavailable, match="the server said nothing for 2 s"):
        write()
    server.thaw()
    assert count(db, events) == 0


def test_the_server_ends_a_statement_without_end_but_no_migration(server: PostgresServer, db: Database) -> None:
    bound = text("SELECT current_setting('statement_timeout')")
    with db.write() as connection:
        with unbounded(connection):
            assert connection.scalar(bound) == "0"
        raw = connection.connection.driver_connection
        assert isinstance(raw, HeardConnection)
        assert raw.silence_s == SILENCE_S
    with db.read() as connection:
        assert connection.scalar(bound) == "15s"
    chosen = open_database(
        database_url(HistorySettings(url=SecretStr(f"{server.database()}%20-cstatement_timeout=7s")))
    )
    with chosen.read() as connection:
        assert connection.scalar(bound) == "7s"
    chosen.close()
