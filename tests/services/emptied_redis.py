"""One Redis for the session, empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), "7.0") as running:
        yield running


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[RedisSettings]:
    settings = RedisSettings(url=server.url)
    client = connect(settings)
    await client.flushall()
    yield settings
    await client.aclose()
