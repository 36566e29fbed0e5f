"""What a page costs that somebody only looks at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psutil
import pytest
from playwright.async_api import Page

from pipeline.config import RaylineConfig
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer

pytestmark = pytest.mark.services

MOST_OF_A_CORE = 0.03
SETTLED_S, LOOK_S = 3.0, 5.0


@pytest.fixture(scope="module")
def page_server(server: RedisServer) -> Iterator[DashboardServer]:
    with dashboard_server(RaylineConfig(), server.url) as running:
        yield running


async def reports(redis: RedisSettings, config: RaylineConfig) -> None:
    """As the supervisor does, until cancelled."""
    client = connect(redis)
    try:
        await DesiredStore(client).publish(config)
        while True:
            now = time.time()
            cameras = tuple(
                CameraReport(camera=name, line=camera.line, station=name, state="running", since=now - 60, fps_in=12.0)
                for name, camera in config.resolved().items()
            )
            await StateStore(client).write(SystemReport(at=now, started_at=now - 60, cameras=cameras))
            await asyncio.sleep(1.0)
    finally:
        await client.aclose()


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize(
    "path",
    [
        "/lines/l1",
        *(pytest.param(path, marks=pytest.mark.slow) for path in ("/lines", "/system", "/alarms", "/inspections")),
    ],
)
async def test_a_page_at_rest_costs_next_to_nothing(
    page_server: DashboardServer, redis: RedisSettings, config: RaylineConfig, browser_page: Page, path: str
) -> None:
    reporting = asyncio.create_task(reports(redis, config))
    try:
        await browser_page.goto(page_server.url + path)
        await browser_page.wait_for_function("window.did_handshake")
        await asyncio.sleep(SETTLED_S)
        before = cpu_s(page_server.pid)
        await asyncio.sleep(LOOK_S)
        spent = cpu_s(page_server.pid) - before
        assert spent <= MOST_OF_A_CORE * LOOK_S
    finally:
        reporting.cancel()
