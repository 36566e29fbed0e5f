"""One server of each supported version, a line for each test, and a publisher of real messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from pipeline.sinks.follower import StreamFollower
from tests.redis_server import RedisServer
from tests.services.client.publisher import Publisher
from tests.services.redis.conftest import line, server

__all__ = ["is_waiting", "line", "publisher", "server"]


@pytest.fixture
def publisher(server: RedisServer, line: str) -> Iterator[Publisher]:
    with Redis.from_url(server.url) as client:
        yield Publisher(client, line)


@pytest.fixture
def is_waiting(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a reader knows where it is and waits for what comes."""
    waiting, woken = asyncio.Event(), StreamFollower._woken

    async def noted(self: StreamFollower, *places: Any) -> list[str]:
        waiting.set()
        return await woken(self, *places)

    monkeypatch.setattr(StreamFollower, "_woken", noted)
    return waiting
