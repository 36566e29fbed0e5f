"""One server of each supported version, a line for each test, and a publisher of real messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.redis_server import RedisServer
from tests.services.client.publisher import Publisher
from tests.services.redis.conftest import line, server

__all__ = ["line", "publisher", "server"]


@pytest.fixture
def publisher(server: RedisServer, line: str) -> Iterator[Publisher]:
    with Redis.from_url(server.url) as client:
        yield Publisher(client, line)
