"""The cameras' pages in a real browser: what is seen of cameras, and what may be done with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from pipeline.config import RaylineConfig, config_of_data
from pipeline.control.access.key_store import KeyStore
from pipeline.control.access.roles import Role
from pipeline.dashboard.settings import DashboardSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.ingest.address import SecretUrl
from pipeline.sinks.redis_client import RedisSettings, connect
from stages.values import CameraId
from tests.browser import Heard, watched_page
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer
from tests.services.dashboard.cameras_rig import Running
from tests.services.rtsp.client import numbered, soon

pytestmark = pytest.mark.services

SECRET = "hunter2-of-the-file"
A = CameraId("a")
SHOT_MS = 40_000  # a process has to begin


def plant() -> RaylineConfig:
    """Line `l1` has cameras a and b, line `l2` camera c; parts are judged everywhere."""
    inspection = {"part_label": "bottle", "trigger": [[0.6, 0.0], [0.6, 1.0]], "required": [{"label": "cap"}]}
    return config_of_data(
        {
            "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
            "recipes": {"small": {"model": "bottles", "inspection": inspection}},
            "lines": {"l1": {"recipe": "small"}, "l2": {"recipe": "small"}},
            "cameras": {
                "a": {"url": f"rtsp://viewer:{SECRET}@127.0.0.1:8554/a", "line": "l1", "counts": True},
                "b": {"url": "rtsp://127.0.0.1:8554/b", "line": "l1"},
                "c": {"url": "rtsp://127.0.0.1:8554/c", "line": "l2"},
            },
        }
    )


@pytest.fixture(scope="module")
def served(server: RedisServer) -> Iterator[DashboardServer]:
    """Open to everybody on this machine, who may everything."""
    with dashboard_server(plant(), server.url) as running:
        yield running


@pytest.fixture
async def running(redis: RedisSettings) -> AsyncIterator[Running]:
    async with Running(redis, plant()).begun() as begun:
        yield begun


def tile(page: Page, camera: str) -> Locator:
    return page.locator(f"[data-camera={camera}]")


async def until(what: Callable[[], Awaitable[object]], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not await what():  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.05)


async def test_a_killed_camera_turns_red_within_5_s_and_green_again_by_itself(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras")
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-good")
    await expect(browser_page.get_by_text("3 of 3 run well")).to_be_visible()
    await expect(tile(browser_page, "a").locator(".has-picture")).to_be_visible()
    error = "rtsp://viewer:***@127.0.0.1:8554/a: the stream ended"
    running.told["a"] = {"state": "reconnecting", "last_error": error}
    began = time.monotonic()
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-bad", timeout=5_000)
    assert time.monotonic() - began < 5
    await expect(tile(browser_page, "a").get_by_text("Reconnecting")).to_be_visible()
    await expect(tile(browser_page, "a").get_by_text(error)).to_be_visible()
    await expect(tile(browser_page, "b")).to_have_class("cam-tile cam-good")
    await expect(tile(browser_page, "a").get_by_text("No picture", exact=True)).to_be_visible()
    del running.told["a"]
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-good", timeout=5_000)
    assert SECRET not in await browser_page.content()


async def test_reports_that_do_not_come_any_more_are_not_taken_for_good_news(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras")
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-good")
    running.is_reporting = False
    await expect(tile(browser_page, "a").get_by_text("Unknown")).to_be_visible(timeout=8_000)


async def test_only_what_can_be_seen_is_watched(served: DashboardServer, browser_page: Page, running: Running) -> None:
    await browser_page.set_viewport_size({"width": 390, "height": 700})
    await browser_page.goto(f"{served.url}/cameras")
    await expect(tile(browser_page, "a").locator(".has-picture")).to_be_visible()
    assert await running.watched() <= {"a", "b"}
    shown = await browser_page.evaluate("document.querySelector('img[data-live=a]').src")
    await browser_page.wait_for_function(f"document.querySelector('img[data-live=a]').src !== '{shown}'")
    await tile(browser_page, "c").scroll_into_view_if_needed()
    await expect(tile(browser_page, "c").locator(".has-picture")).to_be_visible()
    await browser_page.goto(f"{served.url}/system")

    async def nobody() -> bool:
        return not await running.watched()

    await until(nobody, 15.0)


@pytest.mark.parametrize("path", ["/cameras", "/cameras/a"])
async def test_where_nothing_changes_nothing_is_sent(
    served: DashboardServer, browser_page: Page, running: Running, path: str
) -> None:
    sent: list[str] = []
    browser_page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(str(frame))))
    await browser_page.goto(f"{served.url}{path}")
    await expect(tile(browser_page, "a").locator(".has-picture")).to_be_visible()
    await asyncio.sleep(1.2)  # what the first look still had to say
    sent.clear()
    await asyncio.sleep(2.2)
    assert [one for one in sent if '"update"' in one] == []
    running.told["a"] = {"fps_in": 3.0}
    await expect(browser_page.get_by_text("3.0 in")).to_be_visible()
    assert [one for one in sent if '"update"' in one]


async def test_who_looks_at_a_camera_that_is_removed_is_told_so(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras/a")
    gone = browser_page.get_by_text("There is no camera a")
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-good")
    await expect(gone).to_be_hidden()
    await running.store.remove("a")
    await expect(gone).to_be_visible()
    await expect(tile(browser_page, "a")).to_be_hidden()
    await running.store.reset("a")
    await expect(tile(browser_page, "a")).to_be_visible()
    await expect(gone).to_be_hidden()


async def test_a_new_verdict_flashes(served: DashboardServer, browser_page: Page, running: Running) -> None:
    await browser_page.goto(f"{served.url}/cameras")
    await expect(tile(browser_page, "a")).to_have_class("cam-tile cam-good")
    await asyncio.sleep(1.2)
    running.told["a"] = {"parts": {"pass": 1204, "reject": 8}}
    await expect(tile(browser_page, "a").locator(".cam-flash.is-on")).to_contain_text("Reject")
    await expect(tile(browser_page, "a").locator(".cam-flash.is-on")).to_have_count(0)


async def test_pause_resume_and_restart_are_desired_and_audited(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras")
    await tile(browser_page, "a").locator("[data-action=pause]").click()
    await expect(tile(browser_page, "a").get_by_text("Paused", exact=True)).to_be_visible()
    assert (await running.desired()).is_paused(A)
    await expect(tile(browser_page, "a").locator("[data-action=restart]")).to_be_hidden()
    await tile(browser_page, "a").locator("[data-action=resume]").click()
    await expect(tile(browser_page, "a").get_by_text("Running")).to_be_visible()
    await tile(browser_page, "a").locator("[data-action=restart]").click()
    await expect(browser_page.get_by_text("Camera a is opened anew.")).to_be_visible()
    assert (await running.desired()).restart_of(A)
    told = [(one.action, one.target, one.by.name, one.by.kind) for one in (await running.audit())[:3]]
    assert told == [(f"camera.{what}", "a", "loopback", "loopback") for what in ("restart", "resume", "pause")]


async def test_what_is_drawn_is_saved_as_the_cameras_own_and_reset_drops_it(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras/a/draw")
    image = browser_page.locator(".draw-picture img")
    await browser_page.wait_for_function("document.querySelector('.draw-picture img').naturalWidth === 960")
    await _click(image, (0.4, 0.1), (0.4, 0.9))
    await browser_page.get_by_role("button", name="New zone").click()
    await browser_page.locator("[data-field=zone]").fill("chute")
    await _click(image, (0.1, 0.2), (0.3, 0.2), (0.2, 0.6), (0.1, 0.2))
    await expect(browser_page.get_by_text("Not saved yet")).to_be_visible()
    await browser_page.locator("[data-action=save]").click()
    await expect(browser_page.get_by_text("Saved.")).to_be_visible()
    camera = (await running.desired()).config.cameras["a"]
    assert camera.trigger is not None
    assert camera.zones is not None
    assert _near(camera.trigger, [(0.4, 0.1), (0.4, 0.9)])
    assert [zone.name for zone in camera.zones] == ["chute"]
    assert _near(camera.zones[0].polygon, [(0.1, 0.2), (0.3, 0.2), (0.2, 0.6)])
    newest = (await running.audit())[0]
    assert (newest.action, sorted(newest.changes)) == ("camera.set", ["trigger", "zones"])
    await browser_page.goto(f"{served.url}/cameras/a")
    await browser_page.locator("[data-action=reset]").click()
    await browser_page.locator("[data-sure]").click()
    await expect(browser_page.get_by_text("runs as the config file says")).to_be_visible()
    assert (await running.desired()).config.cameras["a"].trigger is None


async def test_what_was_changed_just_before_somebody_looked_does_not_keep_them_from_saving(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras/a/draw")
    await browser_page.wait_for_function("document.querySelector('.draw-picture img').naturalWidth === 960")
    async with httpx.AsyncClient() as elsewhere:  # the roll was called just now, for another page
        await elsewhere.get(f"{served.url}/cameras/a")
    await running.store.set("a", {"fps": 5})
    await browser_page.reload()
    await browser_page.wait_for_function("document.querySelector('.draw-picture img').naturalWidth === 960")
    await _click(browser_page.locator(".draw-picture img"), (0.4, 0.1), (0.4, 0.9))
    await browser_page.locator("[data-action=save]").click()
    await expect(browser_page.get_by_text("Saved.")).to_be_visible()
    camera = (await running.desired()).config.cameras["a"]
    assert camera.trigger is not None
    assert (camera.fps, _near(camera.trigger, [(0.4, 0.1), (0.4, 0.9)])) == (5, True)


async def test_two_people_do_not_overwrite_each_other(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras/a/draw")
    await browser_page.wait_for_function("document.querySelector('.draw-picture img').naturalWidth === 960")
    await _click(browser_page.locator(".draw-picture img"), (0.4, 0.1), (0.4, 0.9))
    await running.store.set("a", {"fps": 5})
    await browser_page.locator("[data-action=save]").click()
    await expect(browser_page.get_by_text("was changed by somebody since you looked")).to_be_visible()
    camera = (await running.desired()).config.cameras["a"]
    assert (camera.fps, camera.trigger) == (5, None)


async def test_a_camera_is_added_behind_a_test_shot_and_its_password_is_shown_nowhere(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    password = "bottles-and-caps"
    with RtspServer(user="demo", password=password) as rtsp:
        rtsp.add_stream("gate", soon(), numbered())
        address = f"rtsp://{SecretUrl(rtsp.url('gate')).place}"
        await browser_page.goto(f"{served.url}/cameras")
        await browser_page.locator("[data-action=add]").click()
        await _fill(browser_page, name="gate", url=address, user="demo", password="wrong")
        await browser_page.locator("[data-action=save]").click()
        await expect(browser_page.get_by_text("Take a test shot of these settings first")).to_be_visible()
        await browser_page.locator("[data-action=test]").click()
        await expect(browser_page.locator(".cam-told.is-bad")).to_contain_text("401", timeout=SHOT_MS)
        await _fill(browser_page, password=password)
        await browser_page.locator("[data-action=test]").click()
        await expect(browser_page.locator(".cam-told")).to_contain_text("640 x 360", timeout=SHOT_MS)
        await expect(browser_page.locator(".cam-told")).to_contain_text("H.264")
        await expect(browser_page.locator(".cam-shot")).to_be_visible()
        assert password not in await browser_page.content()
        await browser_page.locator("[data-action=save]").click()
        await expect(tile(browser_page, "gate")).to_be_visible()
    assert (await running.desired()).config.cameras["gate"].url.secrets() == (password,)
    await browser_page.goto(f"{served.url}/cameras/gate")
    await expect(browser_page.get_by_text("rtsp://demo:***@127.0.0.1").first).to_be_visible()
    assert password not in await browser_page.content()
    await browser_page.locator("[data-action=remove]").click()
    await browser_page.locator("[data-sure]").click()
    await expect(tile(browser_page, "a")).to_be_visible()
    assert "gate" not in (await running.desired()).config.cameras


async def test_a_test_shot_asks_only_what_a_camera_may_be(
    served: DashboardServer, browser_page: Page, running: Running
) -> None:
    await browser_page.goto(f"{served.url}/cameras")
    await browser_page.locator("[data-action=add]").click()
    for address, told in (
        ("file:/etc/passwd", "`file` addresses cannot be set by the API"),
        ("http://169.254.169.254/latest.mp4", "clouds tell machines their secrets"),
        ("rtsp://127.0.0.1:1/none", "refused"),
    ):
        await _fill(browser_page, name="gate", url=address)
        await browser_page.locator("[data-action=test]").click()
        await expect(browser_page.locator(".cam-told.is-bad")).to_contain_text(told, timeout=SHOT_MS)


async def test_who_may_only_look_is_offered_nothing_else_and_sees_their_lines_alone(
    server: RedisServer, redis: RedisSettings, running: Running, browser: Browser, heard: Heard
) -> None:
    heard.expected += ["status of 40[134]"]
    client = connect(redis)
    key = (await KeyStore(client).make("anna", Role.VIEWER, ("l2",), None)).text
    await client.aclose()
    with dashboard_server(plant(), server.url, DashboardSettings()) as closed:
        async with watched_page(browser, heard) as page:
            await page.goto(f"{closed.url}/cameras")
            await page.locator("input[type=password]").fill(key)
            await page.keyboard.press("Enter")
            await expect(tile(page, "c").locator(".has-picture")).to_be_visible()
            assert await page.locator("[data-camera]").count() == 1
            assert await page.locator("[data-action]").count() == 0
            statuses = await page.evaluate(
                "Promise.all(['/live/a', '/cameras/a', '/cameras/c/draw'].map(async (p) => (await fetch(p)).status))"
            )
            assert statuses == [404, 404, 403]
            assert await page.evaluate("fetch('/live?a=').then((r) => r.arrayBuffer()).then((b) => b.byteLength)") == 6
    heard.require_nothing()


async def _click(image: Locator, *points: tuple[float, float]) -> None:
    box = await image.bounding_box()
    assert box is not None
    for x, y in points:
        await image.click(position={"x": x * box["width"], "y": y * box["height"]})
        await asyncio.sleep(0.1)


def _near(found: Any, expected: list[tuple[float, float]]) -> bool:
    assert len(found) == len(expected)
    return all(
        abs(a - b) < 0.01 for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    )


async def _fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        await page.locator(f"[data-field={name}]").fill(value)
