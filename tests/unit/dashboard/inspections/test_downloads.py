"""Downloads: few at once, each for as long as somebody takes it; what goes wrong is told before a file begins."""

import asyncio
import errno
import importlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from pipeline.control.access.roles import Principal, Role
from pipeline.control.live import endless
from pipeline.dashboard.inspections.downloads import KINDS, Downloads
from pipeline.dashboard.states import NotNow
from pipeline.history.database import HistoryUnavailable, open_database
from pipeline.history.plant import PlantSettings
from pipeline.history.reviews import Said, review
from tests.unit.history.parts import history, put, row

module = importlib.import_module("pipeline.dashboard.inspections.downloads")  # its package has a function of that name

Take = Callable[[MutableMapping[str, Any]], Awaitable[None]]
OPERATOR = Principal(name="anna", role=Role.OPERATOR, kind="key")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "made"))
    with history(tmp_path) as database:
        put(database, row(1, "reject"))
        with database.write() as connection:
            review(connection, "a/1/1", Said.REJECT, lines=None, by="anna", at_ms=1)
        services: Any = SimpleNamespace(
            config=SimpleNamespace(snapshots=None), plant=PlantSettings(), database=lambda: database
        )
        yield Downloads(services)


async def ask(files: Downloads, kind: str, take: Take) -> None:
    scope = {"type": "http", "query_string": b"", "headers": [], "state": {}}
    request = Request(scope)
    request.state.visitor = SimpleNamespace(principal=OPERATOR)
    response = await files.answer(request, kind)
    await response(scope, says_nothing, take)


async def says_nothing() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def nothing(message: MutableMapping[str, Any]) -> None:
    raise AssertionError(f"something was sent: {message}")


async def test_who_stops_reading_is_let_go_and_others_come_in(
    files: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endless, "STALLED_S", 0.3)
    stalled = asyncio.Event()

    async def stops(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            stalled.set()
            await asyncio.Event().wait()

    slow = [asyncio.create_task(ask(files, "csv", stops)) for _ in range(2)]
    await stalled.wait()
    with pytest.raises(NotNow, match="Others are downloading"):
        await ask(files, "parquet", nothing)
    await asyncio.gather(*slow)
    assert files.tables.taken == 0


async def test_a_data_set_has_its_turn_until_it_is_sent_and_gone(files: Downloads, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    async def take(message: MutableMapping[str, Any]) -> None:
        seen.append((message["type"], files.data_sets.taken, len(list((tmp_path / "made").iterdir()))))

    await ask(files, "labelled", take)
    assert seen[:2] == [("http.response.start", 1, 1), ("http.response.body", 1, 1)]
    assert (files.data_sets.taken, list((tmp_path / "made").iterdir())) == (0, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_history_that_is_away_begins_no_file(
    files: Downloads, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = open_database("postgresql+psycopg://rayline@127.0.0.1:1/history")
    monkeypatch.setattr(files._services, "database", lambda: away)
    with pytest.raises(HistoryUnavailable):
        await ask(files, kind, nothing)
    assert (files.tables.taken, files.data_sets.taken) == (0, 0)


async def test_a_full_disk_is_told_in_words(files: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/secret")

    monkeypatch.setattr(module, "write_labelled", full)
    with pytest.raises(NotNow, match="could not be made") as caught:
        await ask(files, "labelled", nothing)
    assert "secret" not in str(caught.value)


async def test_one_that_takes_too_long_has_no_end(files: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    kinds: list[Any] = []

    async def slowly(message: MutableMapping[str, Any]) -> None:
        kinds.append((message["type"], message.get("more_body")))
        now[0] += module.LONGEST_S

    with pytest.raises(NotNow, match="too long"):
        await ask(files, "csv", slowly)
    assert kinds == [("http.response.start", None), ("http.response.body", True)]
