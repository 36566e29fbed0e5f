"""One Redis for the session, empty for each test, and a configuration of two lines as `up` publishes it."""

from collections.abc import AsyncIterator

import pytest

from pipeline.config import RaylineConfig, config_of_data
from pipeline.control.rates import counting
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.services.emptied_redis import redis, server

__all__ = ["redis", "server"]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other tests is no reason to count in memory."""
    monkeypatch.setattr(counting, "ANSWER_S", 10.0)


@pytest.fixture
async def pool(redis: RedisSettings) -> AsyncIterator[RedisPool]:
    made = RedisPool(redis)
    yield made
    await made.close()


@pytest.fixture
def config() -> RaylineConfig:
    """Line `l1` has cameras a and b, line `l2` camera c; c's address holds a password."""
    return config_of_data(
        {
            "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
            "recipes": {"small": {"model": "bottles"}, "large": {"model": "bottles"}},
            "lines": {"l1": {"recipe": "small"}, "l2": {"recipe": "large"}},
            "cameras": {
                "a": {"url": "rtsp://127.0.0.1:8554/a", "line": "l1", "counts": True},
                "b": {"url": "rtsp://127.0.0.1:8554/b", "line": "l1"},
                "c": {"url": "rtsp://user:hunter2@127.0.0.1:8554/c", "line": "l2"},
            },
        }
    )
