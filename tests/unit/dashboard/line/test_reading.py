"""What a page is given of a line: from the history and from what runs, and one where the other does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import RaylineConfig, config_of_data
from pipeline.dashboard.line.condition import LineState
from pipeline.dashboard.line.reading import LineReader
from pipeline.dashboard.services import Services
from pipeline.dashboard.settings import DashboardSettings
from pipeline.dashboard.states import NoHistory
from pipeline.history.charts import freeze_chart
from pipeline.history.database import Database
from pipeline.history.records import record_of
from pipeline.history.spc import ChartKind
from pipeline.history.writer import write
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.state import CameraReport, SystemReport
from pipeline.sinks.errors import SinkUnavailable
from tests.unit.history.messages import part
from tests.unit.history.parts import history

CONFIG = config_of_data(
    {
        "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
        "recipes": {"small": {"model": "bottles"}},
        "lines": {"filling": {"recipe": "small", "target_per_hour": 600}},
        "cameras": {"cam-1": {"url": "rtsp://127.0.0.1:8554/a", "line": "filling"}},
    }
)


class Seen(Services):
    """Services of which only Redis is not there: what runs is what the test says."""

    def __init__(self, config: RaylineConfig, database: Database | None) -> None:
        super().__init__(config, DashboardSettings())
        self._its = database
        self.is_redis_away = False
        self.asked = 0

    def database(self) -> Database:
        if self._its is None:
            raise NoHistory
        return self._its

    async def system(self) -> tuple[DesiredState, SystemReport | None]:
        self.asked += 1
        if self.is_redis_away:
            raise SinkUnavailable("redis does not answer")
        now = time.time()
        told = CameraReport(
            camera="cam-1", line="filling", station="cam-1", state="running", since=now - 9, frames_in=1, frames_out=1
        )
        return DesiredState(self.config, self.config, 1), SystemReport(at=now, started_at=now - 9, cameras=(told,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        now = time.time()
        verdicts = ["pass", "reject", "pass"]
        messages = [
            part(verdict=verdict, labels=["dent"], at=now - 9 * place) for place, verdict in enumerate(verdicts)
        ]
        with opened.write() as connection:
            write(connection, [record_of(message) for message in messages])
        yield opened


async def test_a_line_is_given_with_its_figures_state_and_target(database: Database) -> None:
    found = await LineReader(Seen(CONFIG, database)).glance("filling", "last:60m")
    assert found.figures is not None
    assert (found.figures.counts.passes, found.figures.counts.rejects) == (2, 1)
    assert (found.conditions[0].state, found.target_per_hour, found.recipe) == (LineState.RUNNING, 600, "small")
    assert found.problems == ()


async def test_without_redis_the_figures_are_given_and_why_the_rest_is_not(database: Database) -> None:
    services = Seen(CONFIG, database)
    services.is_redis_away = True
    found = await LineReader(services).glance("filling", "last:60m")
    assert found.figures is not None
    assert found.figures.counts.parts == 3
    assert found.conditions[0].because == "line.because.no_redis"
    assert [type(problem) for problem in found.problems] == [SinkUnavailable]


async def test_without_a_history_the_state_is_given_and_why_the_rest_is_not() -> None:
    found = await LineReader(Seen(CONFIG, None)).glance("filling", "last:60m")
    assert found.figures is None
    assert found.conditions[0].state == LineState.RUNNING
    assert [type(problem) for problem in found.problems] == [NoHistory]


async def test_it_is_read_once_for_all_pages_of_the_line_and_range(database: Database) -> None:
    services = Seen(CONFIG, database)
    reader = LineReader(services)
    for _ in range(5):
        await reader.glance("filling", "last:60m")
    assert services.asked == 1
    await reader.glance("filling", "day")
    assert services.asked == 2


async def test_details_name_the_defects_and_the_last_rejected_parts(database: Database) -> None:
    found = await LineReader(Seen(CONFIG, database)).details("filling", "last:60m")
    assert [(each.label, each.parts) for each in found.defects] == [("dent", 3)]
    assert [each.verdict for each in found.rejects] == ["reject"]
    assert found.reviews.false_reject.share is None


async def test_limits_that_were_frozen_just_now_are_in_the_next_chart(database: Database) -> None:
    services = Seen(CONFIG, database)
    reader = LineReader(services)
    shown = await reader.chart("filling", "last:60m", ChartKind.P)
    await services.change(lambda connection: freeze_chart(connection, shown, by="ada", at_ms=1))
    reader.changed("filling")
    frozen = (await reader.chart("filling", "last:60m", ChartKind.P)).frozen
    assert frozen is not None
    assert frozen.by == "ada"
