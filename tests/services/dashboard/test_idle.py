"""What a page costs that somebody only looks at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.async_api import Page, expect

from pipeline.config import RaylineConfig
from pipeline.history.database import database_url, open_database
from pipeline.history.migrate import migrate
from pipeline.orchestrate.state import StateStore
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer
from tests.services.dashboard.judged import Line
from tests.services.dashboard.running_site import publish, raise_alarms, with_history

pytestmark = pytest.mark.services

expect.set_options(timeout=20_000)  # other tests run beside these: how soon a page shows is not looked at here

MOST_OF_A_CORE = 0.03
SETTLED_S, LOOK_S = 3.0, 5.0
PARTS = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def page_server(config: RaylineConfig, folder: Path, server: RedisServer) -> Iterator[DashboardServer]:
    """With eighty parts of the last minutes, four of them rejected, and alarms that hold."""
    config = with_history(config, folder)
    assert config.history is not None
    database = open_database(database_url(config.history, folder))
    migrate(database)
    made = Line(database, folder, "l1")
    for place in range(PARTS):
        made.judge("reject" if place % 20 == 7 else "pass", picture=None, ago_s=PARTS - place, camera="a")
    raise_alarms(database)
    database.close()
    with dashboard_server(config, server.url) as running:
        yield running


async def reports(redis: RedisSettings, config: RaylineConfig) -> None:
    """As the supervisor does, until cancelled."""
    client = connect(redis)
    try:
        await publish(client, config)
        states = StateStore(client)
        report = await states.read()
        assert report is not None
        while True:
            await asyncio.sleep(1.0)
            await states.write(report.model_copy(update={"at": time.time()}))
    finally:
        await client.aclose()


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/lines/l1", ".chart svg"),
        pytest.param("/lines?range=last:60m", "[data-line=l1] [data-figure=parts] >> text=80", marks=pytest.mark.slow),
        pytest.param("/system", "[data-part=stages] tbody tr", marks=pytest.mark.slow),
        pytest.param("/alarms", "[data-alarm]", marks=pytest.mark.slow),
        pytest.param("/inspections", "a[href*='l1-cam']", marks=pytest.mark.slow),
    ],
)
async def test_a_page_at_rest_costs_next_to_nothing(
    page_server: DashboardServer,
    redis: RedisSettings,
    config: RaylineConfig,
    browser_page: Page,
    path: str,
    shown: str,
) -> None:
    reporting = asyncio.create_task(reports(redis, config))
    try:
        await browser_page.goto(page_server.url + path)
        await browser_page.wait_for_function("window.did_handshake")
        await expect(browser_page.locator(shown).first).to_be_visible()
        await asyncio.sleep(SETTLED_S)
        before = cpu_s(page_server.pid)
        await asyncio.sleep(LOOK_S)
        spent = cpu_s(page_server.pid) - before
        assert spent <= MOST_OF_A_CORE * LOOK_S
    finally:
        reporting.cancel()
