"""docs/images/page-*.png anew: the demo's page in Debian's Chromium, after a while. `make page-pictures`."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, async_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"1920x1080": (1920, 1080), "1280x720": (1280, 720), "390x844": (390, 844)}
PAGES = {
    "lines": "/lines?range=last:60m",
    "line": "/lines/line-1?range=last:60m",
    "cameras": "/cameras",
    "inspections": "/inspections",
    "system": "/system",
    "alarms": "/alarms",
}
IN_THE_DARK = ("line", "1280x720")
_START_S = 240.0
_SETTLED_MS = 5000


def main() -> None:
    """Run the demo, let it judge for a while, and take every page's picture in every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--after", type=float, default=120.0, help="seconds that the line runs before")
    after_s: float = parser.parse_args().after
    with running_demo() as address:
        time.sleep(after_s)
        asyncio.run(take(address))


@contextmanager
def running_demo() -> Iterator[str]:
    """Where the demo's page is."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "demo.log"
        with log.open("wb") as out:
            demo = subprocess.Popen([sys.executable, "-m", "pipeline.cli", "demo"], stdout=out, stderr=out)
        try:
            yield _address(demo, log)
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(60)


def _address(demo: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_S
    while (told := re.search(r"Page: (\S+)", log.read_text(errors="replace"))) is None:
        if demo.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the demo did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.5)
    return told[1]


async def take(address: str) -> None:
    """Every page in every size, and one in the dark."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            for size in SIZES:
                for name in PAGES:
                    await _picture(browser, address, name, size)
                await _part(browser, address, size)
            await _picture(browser, address, *IN_THE_DARK, dark=True)
        finally:
            await browser.close()


async def _picture(browser: Browser, address: str, name: str, size: str, *, dark: bool = False) -> None:
    width, height = SIZES[size]
    page = await browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale="en-GB"
    )
    await page.goto(address + PAGES[name])
    await page.wait_for_timeout(_SETTLED_MS)
    await page.screenshot(path=FOLDER / f"page-{name}-{size}{'-dark' if dark else ''}.png")
    await page.close()


async def _part(browser: Browser, address: str, size: str) -> None:
    """The newest rejected part's own page."""
    width, height = SIZES[size]
    page = await browser.new_page(viewport={"width": width, "height": height}, locale="en-GB")
    await page.goto(f"{address}/inspections?verdict=reject")
    await page.locator("[data-part]").first.click()
    await page.wait_for_timeout(_SETTLED_MS)
    await page.screenshot(path=FOLDER / f"page-part-{size}.png")
    await page.close()


if __name__ == "__main__":
    main()
