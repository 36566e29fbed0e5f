"""The page in a browser, while the demo runs: what it shows is what was judged, and it lives through its troubles."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest
from playwright.async_api import Browser, Page, expect
from redis import Redis

from tests.browser import Heard, watched_page
from tests.e2e.command import Command, Rayline
from tests.redis_server import free_port

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(300)]

RED_MS = 5_000  # a camera that is lost
SILENT_MS = 3_000  # as long may one that is not lost be
FPS = 5.0
SOON_MS = 15_000  # for what is not timed here: the machine has cameras and a model to run


async def settled(what: str, ask: Callable[[], Awaitable[bool]], within_s: float) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not await ask():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s:.0f} s"
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def published(rayline: Rayline, line: str) -> Counter[str]:
    """Parts by verdict, as Redis has them."""
    with Redis.from_url(rayline.redis_url()) as client:
        entries: Any = client.xrange(f"rayline:{{{line}}}:inspections")
    messages = [json.loads(fields[b"data"]) for _, fields in entries]
    return Counter(one["verdict"] for one in messages if one["kind"] == "inspection")


async def told(url: str, path: str) -> None:
    """Say it to the API."""
    async with httpx.AsyncClient(base_url=url, timeout=15) as client:
        assert (await client.post(path)).status_code == 200


async def figure(page: Page, kind: str) -> str:
    """All of what stands there."""
    return re.sub(r"\s+", " ", await page.locator(f"[data-figure={kind}]").inner_text())


async def test_it_shows_the_line_moving_and_two_people_see_the_same(
    page_url: str, browser: Browser, browser_page: Page, heard: Heard
) -> None:
    await browser_page.goto(f"{page_url}/lines/line-1")
    await expect(browser_page.locator("[data-figure=parts] .figure-value")).not_to_have_text("–", timeout=30_000)  # noqa: RUF001
    before = await figure(browser_page, "parts")
    await settled("another part", lambda: _differs(browser_page, before), 30)
    async with watched_page(browser, heard) as other:
        await other.goto(f"{page_url}/lines/line-1")

        async def same() -> bool:
            return await figure(browser_page, "parts") == await figure(other, "parts")

        await settled("the same on both", same, 20)


async def _differs(page: Page, before: str) -> bool:
    return await figure(page, "parts") != before


async def test_its_counts_are_those_of_what_was_judged(
    rayline: Rayline, url: str, page_url: str, browser_page: Page
) -> None:
    """Those are held against the truth by test_demo.py."""
    await told(url, "/v1/cameras/line-1/pause")
    try:
        await browser_page.goto(f"{page_url}/lines/line-1?range=last:60m")

        async def agrees() -> bool:
            told = [
                int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", await figure(browser_page, "parts"))
            ]
            verdicts = published(rayline, "line-1")
            return told == [verdicts.total(), verdicts["pass"], verdicts["reject"], verdicts["indeterminate"]]

        await settled("the page's counts are those of the stream", agrees, 20)
        await expect(browser_page.locator(".line-state")).to_contain_text("Paused", timeout=SOON_MS)
    finally:
        await told(url, "/v1/cameras/line-1/resume")


async def test_a_rejected_part_comes_into_the_gallery_with_its_picture_and_can_be_overruled(
    rayline: Rayline, page_url: str, browser_page: Page
) -> None:
    await browser_page.goto(f"{page_url}/inspections?line=line-2&verdict=reject")
    newest = browser_page.locator("[data-part]").first
    await expect(newest).to_be_visible(timeout=SOON_MS)
    shown = await newest.get_attribute("data-part")

    with Redis.from_url(rayline.redis_url()) as client:

        async def rejected() -> str | None:
            entries: Any = client.xrevrange("rayline:{line-2}:inspections", count=20)
            for _, fields in entries:
                message = json.loads(fields[b"data"])
                if message.get("verdict") == "reject" and message["snapshot"] is not None:
                    return str(message["inspection_id"])
            return None

        async def another() -> bool:
            return await rejected() not in (None, shown)

        await settled("another reject is published", another, 60)
        part = await rejected()
    card = browser_page.locator(f'[data-part="{part}"]')
    await expect(card).to_be_visible(timeout=3000)
    await settled("its picture", lambda: _is_loaded(card.locator("img")), 10)

    await card.click()
    rate = browser_page.locator("[data-rate=false_reject] .rate-of").first
    await expect(rate).to_contain_text("none reviewed yet", timeout=SOON_MS)
    await browser_page.locator(".review-overrule").click()
    await browser_page.locator("#overrule textarea").first.fill("only dust")
    await browser_page.locator(".review-save").click()
    await expect(rate).to_contain_text("1 of 1", timeout=SOON_MS)
    await browser_page.reload()
    await expect(browser_page.locator("#review")).to_contain_text("only dust", timeout=SOON_MS)


async def _is_loaded(image: Any) -> bool:
    return bool(await image.evaluate("image => image.complete && image.naturalWidth > 0"))


async def test_a_killed_camera_turns_red_within_5_s_and_green_again_by_itself(
    url: str, page_url: str, browser_page: Page
) -> None:
    port = free_port()
    tile = browser_page.locator('[data-camera="killed"]')
    async with AsyncExitStack() as stack:
        camera, address = await stack.enter_async_context(camera_process(port))
        async with httpx.AsyncClient(base_url=url, timeout=15) as client:
            given = {"name": "killed", "url": address, "recipe": "bottles", "fps": FPS}
            assert (await client.post("/v1/cameras", json=given)).status_code == 201
            stack.push_async_callback(removed, url, "killed")
        await browser_page.goto(f"{page_url}/cameras")
        await expect(tile).to_have_class(re.compile("cam-good"), timeout=60_000)
        camera.kill()
        await expect(tile).to_have_class(re.compile("cam-bad"), timeout=RED_MS)
        await stack.enter_async_context(camera_process(port))
        await expect(tile).to_have_class(re.compile("cam-good"), timeout=60_000)


@asynccontextmanager
async def camera_process(port: int) -> AsyncIterator[tuple[Process, str]]:
    """A camera in a process of its own, which can be killed and begun again at the same address."""
    command = ("-m", "pipeline.demo.server", "--cameras=1", f"--fps={FPS}", f"--port={port}")
    camera = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=PIPE, stdout=PIPE)
    try:
        assert camera.stdout is not None
        async with asyncio.timeout(60):
            told = json.loads(await camera.stdout.readline())
        yield camera, told["line-1"]["url"]
    finally:
        if camera.returncode is None:
            camera.kill()
        await camera.wait()


async def removed(url: str, camera: str) -> None:
    """It runs no more."""
    async with httpx.AsyncClient(base_url=url, timeout=15) as client:
        assert (await client.delete(f"/v1/cameras/{camera}")).status_code == 204


async def test_a_camera_that_hangs_turns_red_and_green_again_by_itself(
    demo: Command, page_url: str, browser_page: Page
) -> None:
    await browser_page.goto(f"{page_url}/cameras")
    tile = browser_page.locator('[data-camera="line-1"]')
    await expect(tile).to_have_class(re.compile("cam-good"), timeout=30_000)
    servers = [process for process in demo.started() if "pipeline.demo.server" in " ".join(process.cmdline())]
    assert servers, [process.cmdline() for process in demo.started()]
    for server in servers:
        server.suspend()  # as a camera that hangs: its connections stay, and nothing comes
    try:
        await expect(tile).to_have_class(re.compile("cam-bad"), timeout=SILENT_MS + RED_MS)
    finally:
        for server in servers:
            server.resume()
    await expect(tile).to_have_class(re.compile("cam-good"), timeout=60_000)


async def test_it_lives_through_a_reload_and_a_restart_of_redis(
    demo: Command, page_url: str, browser_page: Page, rayline: Rayline
) -> None:
    await browser_page.goto(f"{page_url}/lines/line-2")
    await expect(browser_page.locator("[data-figure=parts] .figure-value")).not_to_have_text("–", timeout=SOON_MS)  # noqa: RUF001
    (redis,) = [process for process in demo.started() if _is_redis(process)]
    redis.kill()
    await settled("another redis", lambda: _is_answered(rayline), 30)
    await browser_page.reload()
    before = await figure(browser_page, "parts")
    await settled("it moves on", lambda: _differs(browser_page, before), 60)


def _is_redis(process: psutil.Process) -> bool:
    return "redis-server" in process.name()


async def _is_answered(rayline: Rayline) -> bool:
    try:
        with Redis.from_url(rayline.redis_url(), socket_timeout=1) as client:
            return bool(client.ping())
    except Exception:
        return False
