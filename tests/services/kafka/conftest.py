"""A broker and a Redis for each test: both are killed and rolled back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.sinks.redis_streams import RedisSettings
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with kafka_broker() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, keep=True) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=server.url)


@pytest.fixture
def topic(broker: KafkaBroker) -> TopicSettings:
    return TopicSettings(brokers=[broker.address])
