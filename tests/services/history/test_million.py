"""A million parts: what a page asks for is answered before somebody notices."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import Connection, func, select

from pipeline.history.charts import line_chart
from pipeline.history.database import Database
from pipeline.history.frozen import find
from pipeline.history.line_figures import figures
from pipeline.history.pareto import pareto
from pipeline.history.plant import PlantSettings, Shift
from pipeline.history.ranges import parse_range
from pipeline.history.spc import ChartKind
from pipeline.history.tables import inspections
from tests.services.history.million import BUSIEST, END_MS, PARTS, fill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MOST_MS = 200
NOW_MS = END_MS - 10 * 60_000
PLANT = PlantSettings(
    time_zone="Europe/Berlin",
    shifts=(Shift(name="day", start="06:00", end="18:00"), Shift(name="night", start="18:00", end="06:00")),
)
RANGES = ("hour", "shift", "day", "week", "last:30d")

Query = Callable[[Connection], object]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("million")
    database = fill(folder / "history.sqlite")
    yield database
    database.close()
    for left in folder.iterdir():  # some gigabytes
        left.unlink()


def line_queries() -> dict[str, Query]:
    """What the line page asks."""
    queries: dict[str, Query] = {}
    for name in RANGES:
        span = parse_range(name, PLANT, NOW_MS)
        queries[f"figures {name}"] = lambda at, span=span: figures(at, BUSIEST, span, now_ms=NOW_MS, plant=PLANT)
        queries[f"pareto {name}"] = lambda at, span=span: pareto(at, BUSIEST, span)
        for kind in ChartKind:
            queries[f"chart {kind} {name}"] = lambda at, span=span, kind=kind: line_chart(
                at, BUSIEST, span, kind, now_ms=NOW_MS, plant=PLANT
            )
    queries["frozen limits"] = lambda at: find(at, BUSIEST, ChartKind.P)
    return queries


def took_ms(database: Database, query: Query) -> float:
    """The middle of five."""
    times = []
    for _ in range(5):
        with database.read() as connection:
            started = time.perf_counter()
            query(connection)
            times.append((time.perf_counter() - started) * 1000)
    return median(times)


def test_every_page_query_is_quick(history: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with history.read() as connection:
        assert connection.execute(select(func.count()).select_from(inspections)).scalar() == PARTS
    times = {name: took_ms(history, query) for name, query in line_queries().items()}
    with capsys.disabled():
        sys.stdout.writelines(f"\n{ms:8.1f} ms  {name}" for name, ms in times.items())
    assert {name: ms for name, ms in times.items() if ms > MOST_MS} == {}


def test_what_is_asked_is_there(history: Database) -> None:
    """Quick answers of nothing would show nothing."""
    month = parse_range("last:30d", PLANT, NOW_MS)
    with history.read() as connection:
        found = figures(connection, BUSIEST, month, now_ms=NOW_MS, plant=PLANT)
        chart = line_chart(connection, BUSIEST, month, ChartKind.LANEY_P, now_ms=NOW_MS, plant=PLANT)
        defects = pareto(connection, BUSIEST, month)
    assert found.counts.parts == pytest.approx(PARTS * 0.6 / 3, rel=0.01)
    assert found.counts.reject_ppm == pytest.approx(20_000, rel=0.05)
    assert found.first_pass is not None
    assert found.uninspected_share == pytest.approx(60 / 4320, rel=0.02)
    assert len(chart.chart.phases) > 3, "recipes change"
    assert sum(one.parts for one in defects) == found.counts.rejects
