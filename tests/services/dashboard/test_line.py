"""The lines' pages in a real browser: what they show is what the history holds, and they follow it by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from pipeline.config import RaylineConfig, config_of_data
from pipeline.control.access.key_store import KeyStore
from pipeline.control.access.roles import Role
from pipeline.dashboard.settings import DashboardSettings
from pipeline.history.database import Database, database_url, open_database
from pipeline.history.line_figures import LineFigures, figures
from pipeline.history.migrate import migrate
from pipeline.history.ranges import parse_range
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.browser import LAPTOP, PHONE, WALL, Heard, watched_page
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer
from tests.services.dashboard.judged import Line

pytestmark = pytest.mark.services

expect.set_options(timeout=20_000)  # other tests run beside these: how soon a page follows is not looked at here

LINE = "l1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def lines_config(folder: Path) -> RaylineConfig:
    """Line `l1` with a target, and `l2` without one."""
    return config_of_data(
        {
            "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
            "recipes": {"small": {"model": "bottles"}},
            "lines": {"l1": {"recipe": "small", "target_per_hour": 60}, "l2": {"recipe": "small"}},
            "cameras": {
                "l1-cam": {"url": "rtsp://127.0.0.1:8554/a", "line": "l1"},
                "l2-cam": {"url": "rtsp://127.0.0.1:8554/b", "line": "l2"},
            },
            "history": {"data_dir": str(folder)},
            "snapshots": {"uri": str(folder)},
            "plant": {"time_zone": "Pacific/Auckland"},
        }
    )


@pytest.fixture(scope="module")
def line(lines_config: RaylineConfig, folder: Path) -> Iterator[Line]:
    """Eighty parts of the last minutes, four of them rejected, one in doubt."""
    assert lines_config.history is not None
    database = open_database(database_url(lines_config.history, folder))
    migrate(database)
    made = Line(database, folder, LINE)
    for place in range(80):
        verdict = "reject" if place % 20 == 7 else "indeterminate" if place == 50 else "pass"
        made.judge(verdict, picture=None, ago_s=80 - place)
    yield made
    database.close()


@pytest.fixture(scope="module")
def page_server(lines_config: RaylineConfig, server: RedisServer, line: Line) -> Iterator[DashboardServer]:
    with dashboard_server(lines_config, server.url) as running:
        yield running


@pytest.fixture
async def reports(lines_config: RaylineConfig, redis: RedisSettings) -> AsyncIterator[Reports]:
    async with Reports.kept(lines_config, redis) as kept:
        yield kept


class Reports:
    """What a supervisor would tell, once a second."""

    def __init__(self) -> None:
        self.cameras: dict[str, dict[str, Any]] = {"l1-cam": {}, "l2-cam": {}}
        self._is_over = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def kept(cls, config: RaylineConfig, redis: RedisSettings) -> AsyncIterator[Reports]:
        kept, client = cls(), connect(redis)
        await DesiredStore(client).publish(config)
        task = asyncio.ensure_future(kept._tell(StateStore(client)))
        yield kept
        kept._is_over.set()  # not cancelled: that may be lost in a call of Redis that ends at the same moment
        await task
        await client.aclose()

    async def _tell(self, states: StateStore) -> None:
        while not self._is_over.is_set():
            now = time.time()
            seeing = {
                "state": "running",
                "since": now - 600,
                "frames_in": 9,
                "frames_out": 9,
                "fps_in": 9,
                "fps_out": 9,
            }
            told = tuple(
                CameraReport(camera=name, line=name[:2], station=name, **(seeing | said))
                for name, said in self.cameras.items()
            )
            await states.write(SystemReport(at=now, started_at=now - 900, cameras=told))
            await asyncio.sleep(0.5)


def held(database: Database, config: RaylineConfig) -> LineFigures:
    now_ms = round(time.time() * 1e3)
    with database.read() as connection:
        return figures(
            connection, LINE, parse_range("last:60m", config.plant, now_ms), now_ms=now_ms, plant=config.plant
        )


def figure(page: Page, kind: str) -> Any:
    return page.locator(f".line-page > .figures [data-figure={kind}] .figure-value")


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(page.locator(".chart svg").first).to_be_visible()


async def test_the_figures_are_the_historys(
    page_server: DashboardServer, browser_page: Page, line: Line, lines_config: RaylineConfig, reports: Reports
) -> None:
    await opened(browser_page, f"{page_server.url}/lines/l1?range=last:60m")
    counts = held(line.database, lines_config).counts
    await expect(figure(browser_page, "parts")).to_have_text(f"{counts.parts}")
    await expect(figure(browser_page, "yield")).to_have_text(f"{100 * counts.passes / counts.parts:.1f} %")
    await expect(figure(browser_page, "ppm")).to_have_text(f"{1e6 * counts.rejects / counts.parts:,.0f}")
    beside = browser_page.locator("[data-figure=yield] .figure-beside")
    await expect(beside).to_contain_text("uninspected")
    await expect(browser_page.locator("[data-figure=first-pass]")).to_be_hidden()
    await expect(browser_page.locator(".line-state")).to_contain_text("Running")
    for chart in ("throughput", "pareto", "control"):
        await expect(browser_page.locator(f"[data-chart={chart}] svg")).to_be_visible()
    assert await browser_page.locator(".reject").count() == counts.rejects


async def test_a_new_part_is_seen_by_everybody_without_a_reload(
    page_server: DashboardServer, browser: Browser, heard: Heard, line: Line, reports: Reports
) -> None:
    async with watched_page(browser, heard) as one, watched_page(browser, heard, PHONE) as other:
        await opened(one, f"{page_server.url}/lines/l1?range=last:60m")
        await other.goto(f"{page_server.url}/lines?range=last:60m")
        tile = other.locator("[data-line=l1] [data-figure=parts] .figure-value")
        before = int(await figure(one, "parts").inner_text())
        await expect(tile).to_have_text(f"{before}")
        await one.evaluate("window.isOld = true")
        rejected = line.judge("reject")
        await asyncio.gather(
            expect(figure(one, "parts")).to_have_text(f"{before + 1}"),
            expect(tile).to_have_text(f"{before + 1}"),
            expect(one.locator(f'a.reject[href="/inspections/{rejected}"] img')).to_be_visible(),
        )
        await one.wait_for_function("document.querySelector('a.reject img').naturalWidth > 0")
        assert await one.evaluate("window.isOld")
    heard.require_nothing()


async def test_the_state_follows_the_cameras_worst_first(
    page_server: DashboardServer, browser_page: Page, reports: Reports
) -> None:
    await browser_page.goto(f"{page_server.url}/lines?range=last:60m")
    tiles = browser_page.locator(".tile")
    reports.cameras["l2-cam"] = {"health": "covered"}
    await expect(tiles.first).to_contain_text("Camera blind")
    await expect(tiles.first).to_have_attribute("data-line", "l2")
    reports.cameras = {"l1-cam": {"state": "reconnecting", "last_error": "refused"}, "l2-cam": {}}
    await expect(tiles.first).to_contain_text("Camera away")
    await expect(tiles.first).to_have_attribute("data-line", "l1")
    await expect(tiles.first).to_contain_text("refused")


async def test_limits_are_frozen_and_let_go(page_server: DashboardServer, browser_page: Page, reports: Reports) -> None:
    await opened(browser_page, f"{page_server.url}/lines/l1?range=last:60m&chart=p")
    chart = browser_page.locator("[data-chart=control]")
    await chart.get_by_role("button", name="Freeze limits").click()
    await expect(chart).to_contain_text("Limits were frozen by loopback")
    await expect(chart.locator("svg")).to_contain_text("limits frozen")
    await chart.get_by_role("button", name="Let limits go").click()
    await expect(chart.locator(".chart-frozen")).to_be_hidden()
    await expect(chart.locator("svg")).not_to_contain_text("limits frozen")


async def test_who_may_not_freeze_limits_is_not_offered_it_and_sees_only_their_lines(
    lines_config: RaylineConfig, redis: RedisSettings, line: Line, browser: Browser, heard: Heard, reports: Reports
) -> None:
    client = connect(redis)
    key = await KeyStore(client).make("ada", Role.OPERATOR, ("l1",), None)
    await client.aclose()
    with dashboard_server(lines_config, redis.url.get_secret_value(), DashboardSettings()) as closed:
        async with watched_page(browser, heard) as page:
            await page.goto(f"{closed.url}/lines?range=last:60m")
            await page.locator("input[type=password]").fill(key.text)
            await page.keyboard.press("Enter")
            await expect(page.locator(".tile")).to_have_count(1)
            await page.locator(".tile").click()
            await expect(page.locator("[data-chart=control] svg")).to_be_visible()
            await expect(page.get_by_role("button", name="Freeze limits")).to_have_count(0)
    heard.require_nothing()


async def test_what_is_chosen_outlives_a_reload(
    page_server: DashboardServer, browser_page: Page, reports: Reports
) -> None:
    await opened(browser_page, f"{page_server.url}/lines/l1?range=last:60m")
    await browser_page.get_by_role("button", name="u", exact=True).click()
    await expect(browser_page.locator("[data-chart=control] svg")).to_contain_text("Defects a part")
    await browser_page.reload()
    await expect(browser_page.locator("[data-chart=control] svg")).to_contain_text("Defects a part")
    assert "range=last%3A60m" in browser_page.url


async def test_a_range_that_is_too_long_is_not_taken_and_its_reader_is_told(
    page_server: DashboardServer, browser_page: Page, reports: Reports
) -> None:
    await browser_page.goto(f"{page_server.url}/lines/l1?range=custom:2026-01-01T00:00/2026-01-02T00:00")
    await expect(figure(browser_page, "parts")).to_have_text("0")
    await browser_page.get_by_label("From", exact=True).fill("2020-01-01T00:00")
    await browser_page.get_by_role("button", name="Show").click()
    await expect(browser_page.get_by_text("a range is of 1 minute to 732 days")).to_be_visible()
    assert "2020" not in browser_page.url
    await expect(browser_page.locator(".banner")).to_be_empty()


async def test_a_chart_is_changed_in_place_and_follows_the_theme(
    page_server: DashboardServer, browser_page: Page, line: Line, reports: Reports
) -> None:
    await opened(browser_page, f"{page_server.url}/lines/l1?range=last:60m")
    await expect(figure(browser_page, "parts")).not_to_have_text("\N{EN DASH}")
    before = int(await figure(browser_page, "parts").inner_text())
    svg = "document.querySelector('[data-chart=throughput] svg')"
    await browser_page.evaluate(f"{svg}.isOld = true")
    text = f"getComputedStyle({svg}.querySelector('text')).fill"
    light = await browser_page.evaluate(text)
    await browser_page.keyboard.press("t")
    assert await browser_page.evaluate(text) != light
    line.judge("pass", picture=None)
    await expect(figure(browser_page, "parts")).to_have_text(f"{before + 1}")
    assert await browser_page.evaluate(f"{svg}.isOld")


async def test_nothing_scrolls_sideways_on_a_wall_a_laptop_and_a_phone(
    page_server: DashboardServer, browser_page: Page, reports: Reports
) -> None:
    for address in ("/lines?range=last:60m", "/lines/l1?range=last:60m", "/lines/l1?range=last:60m&wall=1"):
        await browser_page.goto(page_server.url + address)
        await expect(browser_page.locator("[data-figure=parts] .figure-value").first).not_to_have_text("\N{EN DASH}")
        assert await browser_page.locator("header").is_visible() != ("wall=1" in address)
        for width, height in (WALL, LAPTOP, PHONE):
            await browser_page.set_viewport_size({"width": width, "height": height})
            assert await browser_page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


async def test_nothing_reports_is_said_and_the_figures_stay(
    page_server: DashboardServer, browser_page: Page, line: Line, redis: RedisSettings, lines_config: RaylineConfig
) -> None:
    client = connect(redis)
    await DesiredStore(client).publish(lines_config)
    await client.aclose()
    await opened(browser_page, f"{page_server.url}/lines/l1?range=last:60m")
    await expect(browser_page.locator(".line-state")).to_contain_text("Nothing reports")
    await expect(figure(browser_page, "parts")).to_have_text(f"{held(line.database, lines_config).counts.parts}")


async def test_a_line_that_is_none_is_said_in_words(
    page_server: DashboardServer, browser_page: Page, reports: Reports
) -> None:
    await browser_page.goto(f"{page_server.url}/lines/nowhere")
    await expect(browser_page.get_by_text("There is no line nowhere in what runs")).to_be_visible()
