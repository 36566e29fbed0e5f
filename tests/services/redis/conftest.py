"""One server of each supported version for the session; each test has a line of its own on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from tests.redis_server import BINARIES, RedisServer, redis_server


@pytest.fixture(scope="session", params=list(BINARIES))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), request.param) as running:
        yield running


@pytest.fixture
def line(request: pytest.FixtureRequest) -> str:
    """A line no other test writes to."""
    return f"l{abs(hash(request.node.nodeid))}"


@pytest.fixture
def settings(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=server.url)


@pytest.fixture
async def streams(settings: RedisSettings) -> AsyncIterator[RedisStreams]:
    async with RedisStreams(settings) as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path
