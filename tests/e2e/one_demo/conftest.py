"""A demo without end, and where it says that it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser import browser, browser_page, heard
from tests.e2e.command import Command, Rayline

__all__ = ["browser", "browser_page", "heard"]


@pytest.fixture(scope="package")
def rayline(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Rayline:
    """Of this package."""
    return Rayline(tmp_path_factory.mktemp("one_demo") / "rayline", exports)


@pytest.fixture(scope="package")
def demo(rayline: Rayline) -> Iterator[Command]:
    """It has judged its first part."""
    with rayline.running("demo") as running:
        running.wait_for("a verdict", lambda: "PASS" in running.stdout or "REJECT" in running.stdout, timeout_s=180)
        yield running


@pytest.fixture(scope="package")
def url(demo: Command) -> str:
    """Of the HTTP API."""
    return _told(demo, r"HTTP API: (http://127\.0\.0\.1:\d+)/v1/cameras")


@pytest.fixture(scope="package")
def page_url(demo: Command) -> str:
    """Of the page in a browser."""
    return _told(demo, r"Page: (http://127\.0\.0\.1:\d+)")


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=15) as client:
        yield client


def _told(demo: Command, pattern: str) -> str:
    found = re.search(pattern, demo.stdout)
    assert found is not None, demo.output
    return found[1]
