"""The page of alarms in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from pipeline.alarms import store
from pipeline.config import RaylineConfig
from pipeline.history.database import Database
from pipeline.sinks.redis_client import RedisSettings
from tests.browser import PHONE, Heard, watched_page
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.services.dashboard.running_site import history, raise_alarms, with_history

pytestmark = pytest.mark.services


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


@pytest.fixture
def page_server(
    redis: RedisSettings, config: RaylineConfig, database: Database, tmp_path: Path
) -> Iterator[DashboardServer]:
    with dashboard_server(with_history(config, tmp_path), redis.url.get_secret_value()) as running:
        yield running


async def test_an_alarm_is_acknowledged_with_a_note_and_everybody_sees_it(
    page_server: DashboardServer, database: Database, browser: Browser, heard: Heard
) -> None:
    blind, _ = raise_alarms(database)
    async with watched_page(browser, heard) as mine, watched_page(browser, heard) as theirs:
        for page in (mine, theirs):
            await page.goto(f"{page_server.url}/alarms")
            await expect(page.locator("[data-alarm]")).to_have_count(2)
        await expect(theirs.locator(".alarm-badge")).to_have_text("2")
        card = mine.locator(f'[data-alarm="{blind.id}"]')
        await expect(card).to_contain_text("Camera blind")
        await expect(card.locator(".sign")).to_contain_text("⚠")
        await card.get_by_role("button").click()
        await mine.get_by_label("Note").fill("the lamp is changed")
        await mine.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        for page in (mine, theirs):
            said = page.locator(f'[data-alarm="{blind.id}"]')
            await expect(said).to_contain_text("the lamp is changed")
            await expect(page.locator(".alarm-badge")).to_have_text("1")
    heard.require_nothing()
    with database.read() as connection:
        found = store.find(connection, blind.id)
    assert found is not None
    assert (found.acknowledged_by, found.note) == ("loopback", "the lamp is changed")


async def test_an_alarm_that_ends_goes_to_those_before_by_itself(
    page_server: DashboardServer, database: Database, browser_page: Page
) -> None:
    blind, _ = raise_alarms(database)
    await browser_page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await browser_page.goto(f"{page_server.url}/alarms")
    before = browser_page.locator("[data-part=before] tbody tr")
    await expect(before).to_have_count(1)
    await expect(before).to_contain_text("1 min 35 s")
    with database.write() as connection:
        store.clear_alarm(connection, blind.key, blind.raised_ms + 180_000)
    await expect(before).to_have_count(2)
    await expect(browser_page.locator("[data-alarm]")).to_have_count(1)
    assert await browser_page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


async def test_without_alarms_the_page_says_so(page_server: DashboardServer, browser_page: Page) -> None:
    await browser_page.goto(f"{page_server.url}/alarms")
    await expect(browser_page.get_by_text("No alarm holds.")).to_be_visible()
    await expect(browser_page.locator(".alarm-badge")).to_be_hidden()
