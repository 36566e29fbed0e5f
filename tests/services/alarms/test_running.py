"""Alarms as they run beside the history: from what Redis reports to who is told, over a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.alarms import store
from pipeline.alarms.camera_blind import CameraBlindRule
from pipeline.alarms.running import Alarms
from pipeline.alarms.settings import AlarmSettings
from pipeline.alarms.webhook_settings import WebhookSettings
from pipeline.config import RaylineConfig
from pipeline.history.database import Database
from pipeline.history.tables import alarm_notices
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import RedisServer, redis_server
from tests.services.alarms.receivers import hook
from tests.unit.alarms.history import history
from tests.unit.config.site import SITE, config_from

pytestmark = pytest.mark.services

CONFIG = config_from(SITE)


@asynccontextmanager
async def running(settings: AlarmSettings, database: Database, server: RedisServer) -> AsyncIterator[None]:
    part = Alarms(settings, database, RedisSettings(url=server.url), CONFIG.line_ids())
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        part.finish()
        await asyncio.wait_for(task, 60)


async def report(server: RedisServer, config: RaylineConfig, **states: str) -> None:
    """What the supervisor reports; cameras that are not named run."""
    async with connect(RedisSettings(url=server.url)) as client:
        await DesiredStore(client).publish(config)
        cameras = [
            CameraReport(camera=name, line=its.line, station=name, state=states.get(name, "running"), since=0)
            for name, its in config.resolved().items()
            if states.get(name) != "unheard"
        ]
        await StateStore(client).write(SystemReport(at=time.time(), started_at=0, cameras=tuple(cameras)))


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what it waits for is another's
            await asyncio.sleep(0.05)


async def test_a_camera_that_goes_blind_is_told_once_over_a_restart_and_so_is_its_return(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, history(tmp_path) as database:
        async with hook() as receiver:
            settings = AlarmSettings(
                camera_blind=CameraBlindRule(after_s=0.3, clear_after_s=0),
                webhooks={"chat": WebhookSettings(url=receiver.url)},
                every_s=0.2,
            )

            def told() -> list[tuple[str, str]]:
                return [one for got in receiver.received for one in got.told]

            def is_all_sent() -> bool:  # known to have arrived: what is not is told again by the next
                with database.read() as connection:
                    return not connection.execute(select(alarm_notices).where(alarm_notices.c.done_ms.is_(None))).all()

            await report(server, CONFIG, gate="failed")
            async with running(settings, database, server):
                await eventually(lambda: told() == [("raised", "gate")] and is_all_sent())
            await report(server, CONFIG, **{"gate": "failed", "cam-1": "unheard"})
            async with running(settings, database, server):
                await eventually(lambda: told()[1:] == [("raised", "cam-1")])
                await report(server, CONFIG)
                await eventually(lambda: sorted(told()[2:]) == [("cleared", "cam-1"), ("cleared", "gate")])
        with database.read() as connection:
            assert store.holding(connection) == []
            assert len(store.past(connection)) == 2
