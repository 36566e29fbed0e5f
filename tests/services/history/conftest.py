"""One PostgreSQL and one Redis for the session; each test has a database and a line of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.history.database import Database, database_url, open_database
from pipeline.history.migrate import migrate
from pipeline.history.settings import HistorySettings
from tests.postgres_server import PostgresServer, postgres_server
from tests.redis_server import RedisServer, redis_server
from tests.services.history.rig import Line
from tests.unit.history.books import empty_sqlite


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def db(postgres: PostgresServer) -> Iterator[Database]:
    """An empty history in PostgreSQL."""
    made = open_database(database_url(HistorySettings(url=SecretStr(postgres.database()))))
    migrate(made)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty history, in each kind of database."""
    if request.param == "postgresql":
        yield request.getfixturevalue("db")
        return
    made = empty_sqlite(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), "6.2") as running:
        yield running


@pytest.fixture
async def line(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A line no other test writes to, alone in its Redis."""
    made = Line(redis, f"l{abs(hash(request.node.nodeid))}")
    await made.redis.flushall()
    yield made
    await made.close()
