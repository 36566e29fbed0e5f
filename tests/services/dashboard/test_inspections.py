"""The gallery and the parts' pages in a real browser, over a history that its own writer fills."""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import APIResponse, Browser, Locator, Page, expect

from pipeline.config import RaylineConfig, config_of_data
from pipeline.control.access.key_store import KeyStore
from pipeline.control.access.roles import Role
from pipeline.dashboard.settings import DashboardSettings
from pipeline.history.database import Database, open_database
from pipeline.history.migrate import migrate
from pipeline.history.reviews import Said, review, reviews_of
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.browser import Heard, watched_page
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.redis_server import RedisServer
from tests.services.dashboard.judged import Line, bottle
from tests.services.dashboard.visitor import Visitor

pytestmark = pytest.mark.services

WITHIN_MS = 3000


class Plant:
    """A page server, the history behind it, and keys for people."""

    def __init__(self, server: DashboardServer, database: Database, folder: Path) -> None:
        self.server, self.database, self._folder, self._lines = server, database, folder, 0

    def line(self) -> Line:
        """One that no other test knows."""
        self._lines += 1
        return Line(self.database, self._folder, f"line-{self._lines}")


@pytest.fixture(scope="module")
def plant(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    (folder / "history").mkdir()
    config: RaylineConfig = config_of_data(
        {
            "snapshots": {"uri": str(folder / "pictures")},
            "history": {"data_dir": str(folder / "history")},
            "plant": {"time_zone": "Europe/Berlin"},
        }
    )
    database = open_database(f"sqlite+pysqlite:///{folder / 'history' / 'history.sqlite'}")
    migrate(database)
    with dashboard_server(config, server.url, DashboardSettings()) as running:
        yield Plant(running, database, folder / "pictures")
    database.close()


async def enter(page: Page, plant: Plant, redis: RedisSettings, role: Role, *lines: str) -> None:
    """Log in as somebody new of that role, who sees these lines, to the gallery."""
    client = connect(redis)
    key = await KeyStore(client).make(f"{role.value}-of-{'-'.join(lines)}", role, lines, None)
    await client.aclose()
    asked = await get(page, plant, "/login")
    form = re.search(r'name="form" value="(\w+)"', await asked.text())
    assert form is not None
    await page.context.request.post(
        f"{plant.server.url}/login",
        form={"form": form[1], "credential": key.text, "next": "/inspections"},
        headers={"origin": plant.server.url},
        max_redirects=0,
    )
    await page.goto(f"{plant.server.url}/inspections")
    await expect(page.locator("#filter")).to_be_visible()


def card(page: Page, one: str) -> Locator:
    return page.locator(f'[data-part="{one}"]')


async def open_part(page: Page, one: str) -> None:
    """By its card; until its keys are heard."""
    await card(page, one).click()
    await page.wait_for_url(f"**/{one}")
    await heard_by_keys(page)


async def heard_by_keys(page: Page) -> None:
    await expect(page.locator("#review")).to_be_visible()
    await page.wait_for_function("window.did_handshake")


async def get(page: Page, plant: Plant, path: str) -> APIResponse:
    return await page.context.request.get(plant.server.url + path)


async def test_a_rejected_part_comes_with_its_picture_and_moves_nothing_that_is_looked_at(
    plant: Plant, redis: RedisSettings, browser_page: Page
) -> None:
    line = plant.line()
    for _ in range(24):
        line.judge(ago_s=60)
    page = browser_page
    await enter(page, plant, redis, Role.VIEWER, line.name)
    await expect(page.locator(".part-card")).to_have_count(24)

    first = line.judge()
    await expect(card(page, first)).to_be_visible(timeout=WITHIN_MS)
    await expect(page.locator(".part-card").first).to_have_attribute("data-part", first)
    await page.wait_for_function(f"document.querySelector('[data-part=\"{first}\"] img').naturalWidth === 480")

    await page.evaluate("window.scrollTo(0, 900)")
    looked_at = "document.querySelectorAll('.part-card')[12].getBoundingClientRect().top"
    before = await page.evaluate(looked_at)
    second = line.judge("indeterminate")
    await expect(page.locator(".part-new")).to_have_text("1 new: show", timeout=WITHIN_MS)
    assert await page.evaluate(looked_at) == pytest.approx(before, abs=1)
    await page.locator(".part-new").click()
    await expect(card(page, second)).to_be_in_viewport()


async def test_who_overrules_changes_the_rate_of_false_rejects_for_everybody(
    plant: Plant, redis: RedisSettings, browser: Browser, browser_page: Page, heard: Heard
) -> None:
    line, page = plant.line(), browser_page
    one = line.judge()
    await enter(page, plant, redis, Role.OPERATOR, line.name)
    await open_part(page, one)
    false_rejects = "[data-rate=false_reject] .rate-share"
    await expect(page.locator(false_rejects)).to_have_text("–")  # noqa: RUF001 - as people read it
    async with watched_page(browser, heard) as other:
        await enter(other, plant, redis, Role.VIEWER, line.name)
        await page.keyboard.press("o")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Say why.")).to_be_visible()
        await page.get_by_label("Why (required)").fill("a reflection on the neck")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(false_rejects)).to_have_text("100.0 %")
        await expect(page.locator(".rate-of").first).to_have_text("95 %: 20.7 % to 100.0 % · 1 of 1 reviewed rejects")
        await expect(page.locator(".review-said")).to_contain_text("a reflection on the neck")
        await expect(other.locator(false_rejects)).to_have_text("100.0 %", timeout=2 * WITHIN_MS)
        await expect(card(other, one)).to_contain_text(f"operator-of-{line.name} says ✓ Pass")


async def test_the_next_to_review_is_a_key_away_and_so_is_agreeing(
    plant: Plant, redis: RedisSettings, browser_page: Page
) -> None:
    line, page = plant.line(), browser_page
    oldest, middle, newest_one = (line.judge(ago_s=ago) for ago in (30, 20, 10))
    line.judge("pass", ago_s=25, picture=None)  # not of the sample: nobody is asked
    await enter(page, plant, redis, Role.OPERATOR, line.name)
    await open_part(page, newest_one)
    await page.keyboard.press("j")
    await page.wait_for_url(f"**/{middle}")
    await heard_by_keys(page)
    await page.keyboard.press("a")
    await expect(page.locator(".review-said")).to_contain_text("Reject")
    await page.keyboard.press("j")
    await page.wait_for_url(f"**/{oldest}")
    await heard_by_keys(page)
    await page.keyboard.press("k")  # over the one that is reviewed
    await page.wait_for_url(f"**/{newest_one}")
    await heard_by_keys(page)
    await page.keyboard.press("g")
    await page.keyboard.press("a")  # goes to another page, and says nothing of the part
    await page.wait_for_url("**/alarms")
    with plant.database.read() as connection:
        assert set(reviews_of(connection, [oldest, middle, newest_one])) == {middle}


async def test_a_viewer_cannot_review(plant: Plant, redis: RedisSettings, browser_page: Page) -> None:
    line, page = plant.line(), browser_page
    one = line.judge()
    await enter(page, plant, redis, Role.VIEWER, line.name)
    await page.goto(f"{plant.server.url}/inspections/{one}")
    await expect(page.get_by_text("Reviewing needs the role operator.")).to_be_visible()
    await expect(page.get_by_role("button", name="Agree")).to_have_count(0)
    await heard_by_keys(page)
    await page.keyboard.press("a")
    await expect(page.get_by_text("This needs the role operator.")).to_be_visible()
    await page.keyboard.press("o")
    with plant.database.read() as connection:
        assert not reviews_of(connection, [one])


async def test_a_part_of_another_line_is_not_there(
    plant: Plant, redis: RedisSettings, browser_page: Page, heard: Heard
) -> None:
    mine, other, page = plant.line(), plant.line(), browser_page
    own, foreign = mine.judge(), other.judge()
    await enter(page, plant, redis, Role.ADMIN, mine.name)
    for path in (f"/inspections/{foreign}", f"/pictures/{foreign}", f"/pictures/{foreign}?small=1", "/pictures/none"):
        assert (await get(page, plant, path)).status == 404
    assert (await get(page, plant, f"/pictures/{own}")).headers["content-type"] == "image/jpeg"
    table = await (await get(page, plant, f"/downloads/csv?line={other.name}")).text()
    assert len(table.splitlines()) == 1
    assert other.name not in await (await get(page, plant, "/downloads/csv")).text()
    await page.context.clear_cookies()
    assert (await get(page, plant, f"/pictures/{own}")).status == 401


def claiming(width: int, height: int) -> bytes:
    """A JPEG whose head claims that size."""
    data = bytearray(bottle(1, "reject"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


async def test_a_hostile_message_does_no_harm(plant: Plant, redis: RedisSettings, browser_page: Page) -> None:
    line, page = plant.line(), browser_page
    hurt = "<img src=x onerror='window.hurt=1'>"
    words = {"reasons": [hurt], "external_id": hurt, "recipe": "{{7*7}}", "defects": [_defect(hurt)], "station": hurt}
    label = line.judge(id=f"{line.name}/{hurt}/'\"?#%2e%2e/1", **words)
    outside = line.judge(snapshot={"uri": "file:///etc/passwd", "sha256": "0" * 64})
    huge = line.judge(picture=claiming(60_000, 60_000))
    bare = line.judge(id="../../etc/passwd", picture=None, snapshot_error=hurt)
    await enter(page, plant, redis, Role.OPERATOR, line.name)
    await expect(page.locator(".part-card")).to_have_count(4)
    await expect(page.locator(".part-why", has_text=hurt)).to_be_visible()
    for one, why in ((outside, "is not in the folder"), (huge, "pixels")):
        answer = await get(page, plant, f"/pictures/{one}?small=1")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert (await get(page, plant, f"/pictures/{one}")).status == 404
        await page.goto(f"{plant.server.url}/inspections/{one}")
        await expect(page.locator(".figure-none")).to_contain_text(why)
    await page.goto(f"{plant.server.url}/inspections")
    await page.locator(".part-card", has=page.locator(".part-why", has_text=hurt)).click()
    await expect(page.locator("dd", has_text="{{7*7}}")).to_be_visible()
    await page.goto(f"{plant.server.url}/inspections")
    await page.locator(f'[data-part="{bare}"]').click()
    await expect(page.locator(".figure-none")).to_contain_text(hurt)
    assert await page.evaluate("window.hurt") is None
    assert label != bare


def _defect(label: str) -> dict[str, object]:
    return {"label": label, "score": 0.9, "box": [1, 1, 1e9, 1e9], "part_box": [0, 0, 1e-9, 1e9]}


async def test_the_filter_is_in_the_address_and_the_way_back_leads_back(
    plant: Plant, redis: RedisSettings, browser_page: Page
) -> None:
    line, page = plant.line(), browser_page
    for number in range(50):
        line.judge("reject", ago_s=100 - number, external_id=f"SN-{number}")
    line.judge("indeterminate", ago_s=1)
    await enter(page, plant, redis, Role.VIEWER, line.name)
    await expect(page.locator(".part-card")).to_have_count(48)
    await page.get_by_label("Verdict").select_option("reject")
    await page.wait_for_url("**/inspections?verdict=reject")
    await page.get_by_text("Older", exact=True).click()
    await expect(page.locator(".part-card")).to_have_count(2)
    await expect(page.locator(".part-card").last).to_contain_text("SN-0")
    await page.go_back()
    await page.wait_for_url("**/inspections?verdict=reject")
    await expect(page.get_by_label("Verdict")).to_have_value("reject")
    await page.get_by_text("More filters").click()
    await page.get_by_label("Part's own id").fill("SN-7")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/inspections?verdict=reject&external_id=SN-7")
    await expect(page.locator(".part-card")).to_have_count(1)
    await page.goto(f"{plant.server.url}/inspections?before=nonsense&verdict=maybe&range=ever")
    await expect(page.locator(".part-card")).to_have_count(48)


async def test_what_was_reviewed_is_downloaded_as_a_data_set_and_as_a_table(
    plant: Plant, redis: RedisSettings, browser_page: Page
) -> None:
    line, page = plant.line(), browser_page
    bad, good, _ = line.judge(external_id="SN-1"), line.judge(), line.judge()
    with plant.database.write() as connection:
        for one, said in ((bad, Said.REJECT), (good, Said.PASS)):
            review(connection, one, said, lines=None, by="anna", at_ms=1, reason="I looked")
    await enter(page, plant, redis, Role.VIEWER, line.name)
    answer = await get(page, plant, "/downloads/labelled?reviewed=yes")
    with zipfile.ZipFile(io.BytesIO(await answer.body())) as packed:
        names = packed.namelist()
        assert len([name for name in names if name.startswith("images/")]) == 2
        assert sorted(len(packed.read(name)) > 0 for name in names if name.startswith("labels/")) == [False, True]
    rows = list(csv.DictReader(io.StringIO(await (await get(page, plant, "/downloads/csv?reviewed=yes")).text())))
    assert {(row["inspection_id"], row["said"]) for row in rows} == {(bad, "reject"), (good, "pass")}
    parquet = await (await get(page, plant, "/downloads/parquet")).body()
    assert parquet[:4] == parquet[-4:] == b"PAR1"


async def test_while_the_history_is_away_its_files_are_not_now(server: RedisServer) -> None:
    away = {"history": {"url": "postgresql://rayline:hunter2@127.0.0.1:1/history"}}
    for config, words in ((config_of_data(away), "does not answer"), (RaylineConfig(), "No history is kept")):
        with dashboard_server(config, server.url) as running:
            async with Visitor(running) as visitor:
                for path in ("/pictures/a/1/1", "/downloads/csv", "/downloads/labelled"):
                    answer = await visitor.get(path)
                    text = await answer.text()
                    assert (answer.status, answer.headers["retry-after"]) == (503, "10"), path
                    assert (words in text, "hunter2" in text) == (True, False), text
