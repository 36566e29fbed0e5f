"""Judged parts by the API: found, exported, shown and reviewed, and never one of somebody else's line."""

import asyncio
import csv
import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Role
from pipeline.control.inspections import desk as desks
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.routes import inspections as routes
from pipeline.control.services import Authenticator
from pipeline.history import snapshots
from pipeline.history.database import FILE, Database
from pipeline.history.settings import HistorySettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.snapshots import SnapshotSettings, file_name
from tests.api_client import api_client
from tests.services.api.callers import Always
from tests.unit.history.parts import START_MS, history, put, row

pytestmark = pytest.mark.services

JPEG = b"\xff\xd8 a picture"


class Plant:
    """Six parts on two lines, and the API over them."""

    def __init__(self, redis: RedisSettings, config: RaylineConfig, database: Database, folder: Path) -> None:
        self._redis, self._config, self._folder = redis, config, folder
        self.database = database
        self.pictures = SnapshotSettings(uri=str(folder / "pictures"))
        put(
            database,
            *(row(n, "pass", counts=True) for n in (1, 2)),
            row(3, "reject", labels=["dent"], snapshot=self.picture("a/1/3")),
            row(4, "indeterminate", external_id="s-4"),
            row(5, "reject", line="l2", camera="c", snapshot=self.picture("c/1/5")),
            row(6, "reject", snapshot={"uri": "file:///etc/passwd", "sha256": "0" * 64}),
        )

    def picture(self, inspection_id: str) -> dict[str, str]:
        path = self._folder / "pictures" / "2027-01-15" / file_name(inspection_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
        return {"uri": f"file://{path}", "sha256": hashlib.sha256(JPEG).hexdigest()}

    def asks(self, authenticator: Authenticator | None = None) -> Any:
        desk = HistoryDesk(HistorySettings(data_dir=self._folder), self.pictures)
        return api_client(self._redis, self._config, authenticator=authenticator, history=desk)


@pytest.fixture
def plant(redis: RedisSettings, config: RaylineConfig, tmp_path: Path) -> Iterator[Plant]:
    with history(tmp_path) as database:
        yield Plant(redis, config, database, tmp_path)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["inspection"]["inspection_id"] for one in answer.json()["inspections"]]


async def test_parts_are_found_page_by_page_with_their_message(plant: Plant) -> None:
    async with plant.asks() as asks:
        first = await asks.get("/v1/inspections", params={"limit": 4})
        rest = await asks.get("/v1/inspections", params={"limit": 4, "cursor": first.json()["next"]})
        found = await asks.get("/v1/inspections", params={"verdict": ["reject", "indeterminate"], "line": "l1"})
        by_label = await asks.get("/v1/inspections", params={"label": "dent", "model": "bottles:3"})
        by_time = await asks.get("/v1/inspections", params={"until": "2027-01-15T09:00:02+01:00"})
        by_serial = await asks.get("/v1/inspections", params={"external_id": "s-4"})
    assert ids(first) == ["a/1/6", "c/1/5", "a/1/4", "a/1/3"]
    assert (ids(rest), rest.json()["next"]) == (["a/1/2", "a/1/1"], None)
    assert ids(found) == ["a/1/6", "a/1/4", "a/1/3"]
    assert (ids(by_label), ids(by_time), ids(by_serial)) == (["a/1/3"], ["a/1/1"], ["a/1/4"])
    [one] = by_label.json()["inspections"]
    assert (one["picture"], one["review"]) == ("/v1/pictures/a/1/3", None)
    assert one["inspection"]["captured_at"] == "2027-01-15T08:00:03.000Z"


async def test_csv_and_parquet_hold_what_json_does(plant: Plant) -> None:
    async with plant.asks() as asks:
        whole = ids(await asks.get("/v1/inspections"))
        table = await asks.get("/v1/inspections", params={"format": "csv"})
        columns = await asks.get("/v1/inspections", params={"format": "parquet", "limit": 3})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [one["inspection_id"] for one in csv.DictReader(io.StringIO(table.text, newline=""))] == whole
    assert (columns.headers["x-rayline-limit"], table.headers["x-rayline-limit"]) == ("3", "100000")
    assert pq.read_table(pa.BufferReader(columns.content))["inspection_id"].to_pylist() == whole[:3]


async def test_only_so_many_export_at_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST_EXPORTS", 0)
    async with plant.asks() as asks:
        answer = await asks.get("/v1/inspections", params={"format": "csv"})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert (await asks.get("/v1/inspections")).status_code == 200


async def test_an_export_that_takes_too_long_has_no_end(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    async with plant.asks() as asks:
        monkeypatch.setattr(routes, "time", SimpleNamespace(monotonic=iter(range(0, 10**6, 5000)).__next__))
        answer = await asks.get("/v1/inspections", params={"format": "csv"})
    assert answer.status_code == 503


async def test_nothing_of_another_line_is_there(plant: Plant) -> None:
    async with plant.asks(Always(Role.ADMIN, ["l1"])) as asks:
        assert "c/1/5" not in ids(await asks.get("/v1/inspections"))
        table = (await asks.get("/v1/inspections", params={"format": "csv"})).text
        assert ("c/1/5" in table, "a/1/6" in table) == (False, True)
        for path in ("/v1/inspections?line=l2", "/v1/inspections/c/1/5", "/v1/pictures/c/1/5"):
            assert (await asks.get(path)).status_code == 404, path
        given = {"inspection_id": "c/1/5", "said": "reject"}
        assert (await asks.post("/v1/reviews", json=given)).status_code == 404
    async with plant.asks(Always(Role.ADMIN, [])) as asks:
        assert ids(await asks.get("/v1/inspections")) == []


async def test_a_verdict_is_overruled_and_all_that_was_said_is_kept(plant: Plant) -> None:
    given = {"inspection_id": "a/1/3", "said": "pass"}
    async with plant.asks(Always(Role.OPERATOR, name="bert")) as asks:
        assert (await asks.post("/v1/reviews", json=given)).status_code == 422  # no reason
        said = await asks.post("/v1/reviews", json=given | {"reason": "a drop"})
        again = await asks.post("/v1/reviews", json=given | {"said": "reject", "labels": ["dent"]})
        one = (await asks.get("/v1/inspections/a/1/3")).json()
        reviewed = await asks.get("/v1/inspections", params={"reviewed": True})
        unknown = await asks.post("/v1/reviews", json=given | {"inspection_id": "a/1/99"})
    assert (said.status_code, said.json()["overrules"], said.json()["by"]) == (201, True, "bert")
    assert (again.json()["overrules"], unknown.status_code) == (False, 404)
    assert [each["said"] for each in one["reviews"]] == ["reject", "pass"]
    assert one["review"] == again.json()
    assert ids(reviewed) == ["a/1/3"]


async def test_a_viewer_looks_and_does_not_judge(plant: Plant) -> None:
    async with plant.asks(Always(Role.VIEWER)) as asks:
        assert (await asks.get("/v1/inspections/a/1/3")).status_code == 200
        given = {"inspection_id": "a/1/3", "said": "reject"}
        assert (await asks.post("/v1/reviews", json=given)).status_code == 403


async def test_a_picture_is_shown_as_it_was_stored_and_nothing_else_is(plant: Plant) -> None:
    async with plant.asks() as asks:
        shown = await asks.get("/v1/pictures/a/1/3")
        none = await asks.get("/v1/pictures/a/1/1")
        elsewhere = await asks.get("/v1/pictures/a/1/6")
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, JPEG, "image/jpeg")
    assert (shown.headers["cache-control"], shown.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "no picture of it was asked for" in none.json()["detail"]
    assert (elsewhere.status_code, b"root:" in elsewhere.content) == (404, False)


async def test_storage_that_hangs_holds_up_nobody_but_who_wants_a_picture(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(snapshots.PartPictures, "read", lambda *_: answers.wait(30))
    monkeypatch.setattr(snapshots, "ANSWERS_WITHIN_S", 0.2)
    try:
        async with plant.asks() as asks:
            shown = await asyncio.gather(*(asks.get("/v1/pictures/a/1/3") for _ in range(desks.THREADS + 1)))
            assert len(ids(await asks.get("/v1/inspections"))) == 6
    finally:
        answers.set()
    assert {(one.status_code, one.headers["retry-after"]) for one in shown} == {(503, "2")}
    assert "within 0.2 s" in shown[0].json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"since": "2027-01-15T08:00:00"}, 422),
        ({"until": "0.5"}, 422),  # no seconds: it is described as a time
        ({"verdict": "good"}, 422),
        ({"limit": 0}, 422),
        ({"limit": 100_001}, 422),
        ({"label": "a\0"}, 422),
        ({"format": "xml"}, 422),
        ({"cursor": "mine"}, 400),
        ({"cursor": "1-\0"}, 400),
        ({"since": "9999-12-31T23:59:59Z"}, 200),
        ({"until": "0001-01-01T00:00:00Z"}, 200),
    ],
)
async def test_what_is_no_question_is_told(plant: Plant, query: dict[str, Any], status: int) -> None:
    async with plant.asks() as asks:
        assert (await asks.get("/v1/inspections", params=query)).status_code == status


async def test_where_no_history_is_kept_it_says_so(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        for path in ("/v1/inspections", "/v1/inspections/a/1/1", "/v1/pictures/a/1/1"):
            answer = await asks.get(path)
            assert (answer.status_code, "`history`" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("query", [{}, {"format": "csv"}, {"format": "parquet"}])
@pytest.mark.parametrize("kind", ["not made yet", "away"])
async def test_a_history_that_does_not_answer_is_not_now_and_tells_no_password(
    redis: RedisSettings,
    config: RaylineConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    query: dict[str, str],
) -> None:
    away = HistorySettings(url=SecretStr("postgresql://rayline:hunter2@127.0.0.1:1/history"))
    desk = HistoryDesk(away if kind == "away" else HistorySettings(data_dir=tmp_path))
    async with api_client(redis, config, history=desk) as asks:
        answer = await asks.get("/v1/inspections", params=query)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert "hunter2" not in answer.text + caplog.text
    assert not (tmp_path / FILE).exists()


async def test_more_than_can_wait_are_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST_WAITING", 0)
    desk = HistoryDesk(HistorySettings(data_dir=tmp_path))
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(60)

    waiting = [asyncio.create_task(desk.call(hold)) for _ in range(desks.THREADS)]
    await asyncio.sleep(0)
    with pytest.raises(Exception, match="too many questions"):
        await desk.call(hold)
    held.set()
    await asyncio.gather(*waiting)
    assert await desk.call(lambda: START_MS) == START_MS
    desk.close()
