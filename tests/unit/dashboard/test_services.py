"""What the pages share: a history that is looked for when somebody asks, and answers that many are given."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Principal, Role
from pipeline.dashboard.inspections.gallery import find
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.inspections.rates import find_rates, reviewed
from pipeline.dashboard.services import Services
from pipeline.dashboard.settings import DashboardSettings
from pipeline.history.database import HistoryUnavailable
from pipeline.history.lines import lines_in
from pipeline.history.reviews import Said, review
from pipeline.history.settings import HistorySettings
from tests.unit.history.parts import history, put, row

T = TypeVar("T")
PAST_MS = 1_700_000_000_000


def services(settings: HistorySettings) -> Services:
    return Services(RaylineConfig(history=settings), DashboardSettings())


async def test_a_history_that_is_made_later_is_found_and_none_is_made_here(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    asked = services(HistorySettings(data_dir=folder))
    with pytest.raises(HistoryUnavailable, match="not made yet"):
        await asked.query(lines_in)
    assert not folder.exists()
    folder.mkdir()
    with history(folder) as made:
        put(made, row(1))
        assert await asked.query(lines_in) == ["l1"]
    await asked.close()


async def test_a_password_that_cannot_be_read_is_a_history_that_is_away(tmp_path: Path) -> None:
    address = SecretStr("postgresql://rayline:hunter2@db.example:5432/history")
    asked = services(HistorySettings(url=address, password_file=tmp_path / "gone"))
    with pytest.raises(HistoryUnavailable, match="No such file"):
        await asked.query(lines_in)
    assert asked.history_address == "rayline:***@db.example:5432/history"


class Counting(Services):
    """Knows how often the history was asked."""

    asked = 0

    async def query(self, work: Callable[[Connection], T]) -> T:
        self.asked += 1
        return await super().query(work)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Counting]:
    with history(tmp_path) as made:
        put(made, row(1, captured_ms=PAST_MS), row(2, line="l2", camera="c", captured_ms=PAST_MS))
        yield Counting(RaylineConfig(history=HistorySettings(data_dir=tmp_path)), DashboardSettings())


def who(*lines: str) -> Principal:
    return Principal(name="anna", role=Role.VIEWER, kind="key", lines=frozenset(lines))


async def test_all_who_look_at_the_same_parts_ask_once_and_nobody_sees_anothers(site: Counting) -> None:
    for _ in range(3):
        assert [part.id for part in (await find(site, who("l1"), GalleryQuery())).parts] == ["a/1/1"]
    assert site.asked == 1
    assert [part.id for part in (await find(site, who("l2"), GalleryQuery())).parts] == ["c/1/2"]
    assert (await find(site, who("l1"), GalleryQuery(verdict="pass"))).parts == ()
    assert site.asked == 3
    await site.close()


async def test_rates_are_asked_once_for_all_and_anew_after_a_review(site: Counting) -> None:
    for _ in range(3):
        assert (await find_rates(site, ["l1"]))["l1"].false_reject.n == 0
    assert site.asked == 1
    await site.change(lambda connection: review(connection, "a/1/1", Said.REJECT, lines=None, by="anna", at_ms=1))
    reviewed(site, "l1")
    assert (await find_rates(site, ["l1"]))["l1"].false_reject.n == 1
    assert (await find_rates(site, ["l1"], GalleryQuery(until="2020-01-01T00:00")))["l1"].false_reject.n == 0
    await site.close()


async def test_answers_that_are_over_are_kept_for_nobody(site: Counting) -> None:
    async def work() -> int:
        return 1

    for number in range(10):
        await site.shared(f"over {number}", 0.0, work)
    await site.shared("fresh", 60.0, work)
    await site.shared("another", 60.0, work)
    assert list(site._shared) == ["fresh", "another"]
    await site.close()
