"""The script that asks for the pictures a page shows."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route

from pipeline.dashboard.cameras.pictures import MOST_ASKED

pytestmark = pytest.mark.services

CAMERAS = [f"cam-{number}" for number in range(MOST_ASKED + 6)]
NOTHING_NEW = b"\0\0\0\x02[]"


async def test_a_wall_of_more_cameras_than_one_question_may_name_takes_turns(browser_page: Page) -> None:
    script = files("pipeline.dashboard").joinpath("assets/live.js").read_text()
    images = "".join(f'<img data-live="{name}" width="8" height="8">' for name in CAMERAS)
    asked: list[list[str]] = []

    async def answer(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.path == "/live":
            asked.append(list(parse_qs(url.query, keep_blank_values=True)))
            await route.fulfill(body=NOTHING_NEW)
        else:
            await route.fulfill(body=f"<!doctype html>{images}<script>{script}</script>", content_type="text/html")

    await browser_page.route("**/*", answer)
    await browser_page.goto("http://127.0.0.1/")
    async with asyncio.timeout(10):
        while len(asked) < 4:  # noqa: ASYNC110 - the page tells nobody
            await asyncio.sleep(0.05)
    assert all(len(names) <= MOST_ASKED for names in asked)
    assert {name for names in asked[-2:] for name in names} == set(CAMERAS)
