"""The frame of every page in a real browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from pipeline.config import RaylineConfig
from pipeline.control.access.key_store import KeyStore
from pipeline.control.access.roles import Role
from pipeline.dashboard.settings import DashboardSettings
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.browser import PHONE, Heard
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def page_server(server: RedisServer) -> Iterator[DashboardServer]:
    with dashboard_server(RaylineConfig(), server.url) as running:
        yield running


async def leave(page: Page) -> None:
    """Before its server ends, which it would complain of."""
    await page.wait_for_load_state("networkidle")
    await page.goto("about:blank")


async def test_every_page_is_there_by_its_key_and_by_its_link(page_server: DashboardServer, browser_page: Page) -> None:
    await browser_page.goto(page_server.url)
    await expect(browser_page.locator("#main")).to_be_visible()
    for key, name in (("c", "Cameras"), ("i", "Inspections"), ("s", "System"), ("a", "Alarms"), ("l", "Lines")):
        await browser_page.keyboard.press("g")
        await browser_page.keyboard.press(key)
        await expect(browser_page.locator("nav [aria-current=page]")).to_have_text(name)
        assert await browser_page.title() == f"{name} - Rayline"


async def test_the_theme_is_kept_over_pages(page_server: DashboardServer, browser_page: Page) -> None:
    await browser_page.goto(f"{page_server.url}/lines")
    await browser_page.get_by_role("button", name="Dark").click()
    await expect(browser_page.locator("body.body--dark")).to_be_attached()
    await browser_page.goto(f"{page_server.url}/system")
    await expect(browser_page.locator("body.body--dark")).to_be_attached()


async def test_the_keyboard_reaches_everything(page_server: DashboardServer, browser_page: Page) -> None:
    await browser_page.goto(f"{page_server.url}/lines")
    await expect(browser_page.locator("header")).to_be_visible()
    await browser_page.keyboard.press("Tab")
    await expect(browser_page.get_by_text("Skip to the page")).to_be_in_viewport()
    await browser_page.keyboard.press("Enter")
    await expect(browser_page.locator("#main")).to_be_focused()
    await browser_page.keyboard.press("?")
    await expect(browser_page.get_by_role("dialog")).to_be_visible()
    await browser_page.keyboard.press("Escape")
    await expect(browser_page.get_by_role("dialog")).to_be_hidden()


async def test_a_phone_shows_it_without_scrolling_sideways(page_server: DashboardServer, browser_page: Page) -> None:
    await browser_page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    for path in ("/lines", "/cameras", "/inspections", "/system", "/alarms"):
        await browser_page.goto(page_server.url + path)
        await expect(browser_page.locator("#main")).to_be_visible()
        assert await browser_page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


async def test_a_page_heals_when_the_server_was_away(
    page_server: DashboardServer, browser_page: Page, heard: Heard
) -> None:
    heard.expected += ["WebSocket", "ERR_CONNECTION", "Failed to load resource"]
    await browser_page.goto(f"{page_server.url}/lines")
    await expect(browser_page.locator("#main")).to_be_visible()
    await browser_page.wait_for_function("window.did_handshake")
    await browser_page.evaluate("window.isOld = true")
    os.kill(page_server.pid, signal.SIGKILL)
    await expect(browser_page.locator("#popup[aria-hidden=false]")).to_be_attached()
    await browser_page.wait_for_function("window.isOld === undefined && window.did_handshake", timeout=60_000)
    await expect(browser_page.locator("#main")).to_be_visible()


async def test_a_redis_that_is_away_is_said_and_the_page_goes_on_by_itself(
    tmp_path: Path, config: RaylineConfig, browser_page: Page
) -> None:
    with redis_server(tmp_path, "7.0", keep=True) as own, dashboard_server(config, own.url) as running:
        client = connect(RedisSettings(url=own.url))
        await DesiredStore(client).publish(config)
        await client.aclose()
        await browser_page.goto(f"{running.url}/lines")
        await expect(browser_page.get_by_text("l1", exact=True).first).to_be_visible()
        own.kill()
        told = browser_page.get_by_text("Redis does not answer")
        await expect(told.first).to_be_visible(timeout=20_000)
        await expect(browser_page.get_by_text("l1", exact=True).first).to_be_visible()  # the last there was
        own.start()
        await expect(told).to_have_count(0, timeout=20_000)
        await leave(browser_page)


async def test_somebody_logs_in_and_out_again(server: RedisServer, redis: RedisSettings, browser_page: Page) -> None:
    client = connect(redis)
    key = await KeyStore(client).make("anna", Role.VIEWER, ("*",), None)
    await client.aclose()
    with dashboard_server(RaylineConfig(), server.url, DashboardSettings()) as closed:
        await browser_page.goto(f"{closed.url}/system")
        await browser_page.get_by_label("API key or token").fill(key.text)
        await browser_page.keyboard.press("Enter")
        await expect(browser_page).to_have_url(f"{closed.url}/system")
        await expect(browser_page.get_by_text("anna (viewer)")).to_be_visible()
        await browser_page.wait_for_function("window.did_handshake")
        await browser_page.get_by_role("button", name="Log out").click()
        await expect(browser_page).to_have_url(f"{closed.url}/login")
        await leave(browser_page)


async def test_an_address_that_is_none_is_said_in_words(
    page_server: DashboardServer, browser_page: Page, heard: Heard
) -> None:
    heard.expected.append("404")
    answer = await browser_page.goto(f"{page_server.url}/nowhere")
    assert answer is not None
    assert answer.status == 404
    await expect(browser_page.get_by_text("There is no page at this address.")).to_be_visible()
