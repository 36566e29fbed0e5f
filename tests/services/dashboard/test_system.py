"""The page of the system in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from pipeline.config import RaylineConfig
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.browser import PHONE
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.services.dashboard.running_site import history, publish, with_history

pytestmark = pytest.mark.services


@pytest.fixture
async def page_server(redis: RedisSettings, config: RaylineConfig, tmp_path: Path) -> AsyncIterator[DashboardServer]:
    with history(tmp_path), dashboard_server(with_history(config, tmp_path), redis.url.get_secret_value()) as running:
        yield running


async def test_everything_that_runs_is_shown_and_no_password(
    page_server: DashboardServer, redis: RedisSettings, config: RaylineConfig, browser_page: Page
) -> None:
    client = connect(redis)
    await publish(client, config)
    await client.aclose()
    await browser_page.goto(f"{page_server.url}/system")
    part = {name: browser_page.locator(f"[data-part={name}]") for name in ("stages", "road", "readers", "relays")}
    track = part["stages"].get_by_role("row").filter(has_text="track")
    await expect(track).to_contain_text("1 of 2")
    await expect(track.locator(".sign")).to_contain_text("✗")
    detect = part["stages"].get_by_role("row").filter(has_text="detect-bottles")
    await expect(detect).to_contain_text("3.5 of 8")
    await expect(detect).to_contain_text("2 of 6")
    await expect(part["road"].get_by_role("row").filter(has_text="The model")).to_contain_text("40.0")
    await expect(part["readers"].get_by_role("row").filter(has_text="s-2")).to_contain_text("4")
    await expect(part["relays"].get_by_role("row").filter(has_text="erp")).to_contain_text("37 (4 s)")
    await expect(browser_page.locator("[data-part=history]")).to_contain_text("3 messages not written yet")
    await expect(browser_page.locator("[data-part=spool]")).to_contain_text("12 frames wait on disk for Redis: b 12")
    await expect(browser_page.locator("[data-part=redis]")).to_contain_text("version 7.0")
    await expect(browser_page.locator("[data-part=models]")).to_contain_text("bottles")
    assert "hunter2" not in await browser_page.content()


async def test_where_nothing_runs_the_page_says_so_and_a_phone_shows_it(
    page_server: DashboardServer, browser_page: Page
) -> None:
    await browser_page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await browser_page.goto(f"{page_server.url}/system")
    await expect(browser_page.locator("[data-part=running]")).to_contain_text("Not running")
    await expect(browser_page.locator("[data-part=redis]")).to_contain_text("OK")
    assert await browser_page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
