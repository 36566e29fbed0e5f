"""One Redis and one broker for the session; each test has a line and topics of its own on them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.sinks.redis_client import RedisSettings
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import RedisServer, redis_server
from tests.services.relay.rig import Site


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), "6.2") as running:
        yield running


@pytest.fixture(scope="session")
def broker() -> Iterator[KafkaBroker]:
    with kafka_broker() as running:
        yield running


@pytest.fixture
def line(request: pytest.FixtureRequest) -> str:
    """A line no other test writes to; its topics are named after it."""
    return f"l{abs(hash(request.node.nodeid))}"


@pytest.fixture
async def site(redis: RedisServer, line: str) -> AsyncIterator[Site]:
    made = Site(RedisSettings(url=redis.url), line)
    yield made
    await made.close()
