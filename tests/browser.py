"""Debian's Chromium, for tests: what a page writes into its console, and whom else it asks, fails the test."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request, WebSocket, async_playwright

WALL, LAPTOP, PHONE = (1920, 1080), (1280, 720), (390, 844)

_HERE = "127.0.0.1"
_LOCAL = ("data", "blob", "about", "chrome-error")
_ARGUMENTS = [
    "--no-sandbox",  # tests run as root, in containers
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
]


@dataclass
class Heard:
    """What pages said and asked while they were watched."""

    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # patterns: a test that takes the server away adds some

    def watch(self, page: Page) -> None:
        """Hear this page from now on."""
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("request", self._request)
        page.on("websocket", self._websocket)

    def require_nothing(self) -> None:
        """No error that nobody expected, and no request that left the machine."""
        unexpected = [one for one in self.errors if not any(re.search(pattern, one) for pattern in self.expected)]
        assert not unexpected, "the browser's console has errors:\n" + "\n".join(unexpected)
        assert not self.elsewhere, "the page asked elsewhere:\n" + "\n".join(self.elsewhere)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _error(self, error: Error) -> None:
        self.errors.append(str(error))

    def _request(self, request: Request) -> None:
        self._asked(request.url)

    def _websocket(self, socket: WebSocket) -> None:
        self._asked(socket.url)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _LOCAL and parts.hostname != _HERE:
            self.elsewhere.append(url)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's, headless; Playwright's own is never fetched."""
    binary = shutil.which("chromium")
    assert binary is not None, "apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=binary, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def watched_page(browser: Browser, heard: Heard, size: tuple[int, int] = LAPTOP) -> AsyncIterator[Page]:
    """A page of a context of its own, as of another person's browser."""
    width, height = size
    context = await browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
    try:
        page = await context.new_page()
        page.set_default_timeout(30_000)
        heard.watch(page)
        yield page
    finally:
        await context.close()


@pytest.fixture
def heard() -> Heard:
    """What the test's pages said; add to `expected` what they may."""
    return Heard()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """For a test that needs two people's pages: `watched_page(browser, heard)`."""
    async with chromium() as running:
        yield running


@pytest.fixture
async def browser_page(browser: Browser, heard: Heard) -> AsyncIterator[Page]:
    """One page at 1280x720. The test fails on any console error and on any request that leaves this machine."""
    async with watched_page(browser, heard) as page:
        yield page
    heard.require_nothing()
