"""A Redis that comes back without its data is told again what is to run."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.orchestrate import supervisor as module
from pipeline.orchestrate.desired_store import DesiredStore, NothingDesired
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import RedisServer, redis_server
from tests.unit.config.site import SITE, config_from

pytestmark = pytest.mark.services


@pytest.fixture
async def emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Any, RedisServer]]:
    """A supervisor outside Ray, whose rounds the test makes, and a Redis that keeps nothing over a restart."""
    monkeypatch.setattr(module, "set_up_logs", lambda _: None)
    with redis_server(tmp_path) as server:
        plain: Any = module.Supervisor
        made = plain.__ray_metadata__.modified_class(config_from(SITE).with_redis(server.url), None)
        made._loop.cancel()
        yield made, server
        await made._counting.close()
        await made._redis.aclose()


async def test_the_cameras_go_on_and_people_may_change_them_again(
    emptied: tuple[Any, RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    supervisor, server = emptied
    async with connect(RedisSettings(url=SecretStr(server.url))) as client:
        store = DesiredStore(client)
        await store.publish(config_from(SITE))
        await store.pause("gate")
        before = await supervisor._desired_now()
        await asyncio.to_thread(server.restart)
        with caplog.at_level(logging.WARNING, "pipeline.orchestrate.supervisor"):
            for _ in range(3):
                assert await supervisor._desired_now() == before
        assert [message for message in caplog.messages if "put back" in message] == caplog.messages
        assert len(caplog.messages) == 1
        await store.resume("gate")
    assert not (await supervisor._desired_now()).is_paused("gate")


async def test_before_anything_was_desired_there_is_nothing_to_put_back(emptied: tuple[Any, RedisServer]) -> None:
    supervisor, _ = emptied
    with pytest.raises(NothingDesired):
        await supervisor._desired_now()
    assert await supervisor._desired.version() == 0
