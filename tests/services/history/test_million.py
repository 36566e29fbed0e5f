"""A million parts: what a page asks for is answered before somebody notices."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from pipeline.history.charts import line_chart
from pipeline.history.choices import choices
from pipeline.history.database import Database
from pipeline.history.frozen import find
from pipeline.history.gallery import PartFilter, page, part
from pipeline.history.line_figures import figures
from pipeline.history.lines import lines_in
from pipeline.history.pareto import pareto
from pipeline.history.plant import PlantSettings, Shift
from pipeline.history.ranges import parse_range
from pipeline.history.reviews import rates
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
        asked: dict[str, Any] = {"line": BUSIEST, "span": span, "now_ms": NOW_MS, "plant": PLANT}
        queries[f"figures {name}"] = partial(figures, **asked)
        queries[f"pareto {name}"] = partial(pareto, line=BUSIEST, span=span)
        for kind in ChartKind:
            queries[f"chart {kind} {name}"] = partial(line_chart, kind=kind, **asked)
    queries["frozen limits"] = partial(find, line=BUSIEST, kind=ChartKind.P)
    return queries


def gallery_queries() -> dict[str, Query]:
    """What the gallery asks: pages, those far back too, and one part."""
    day, month = parse_range("day", PLANT, NOW_MS), parse_range("last:30d", PLANT, NOW_MS)
    first = parse_range("custom:2025-06-18/2025-06-19", PLANT, NOW_MS)
    wanted = {
        "every line": PartFilter(None),
        "a line": PartFilter([BUSIEST]),
        "rejects": PartFilter([BUSIEST], verdicts=["reject", "indeterminate"]),
        "rejects of all lines": PartFilter(None, verdicts=["reject", "indeterminate"]),
        "sampled passes": PartFilter([BUSIEST], verdicts=["pass"], sampled_passes=True),
        "a defect": PartFilter([BUSIEST], labels=["underfill"]),
        "a defect of a day": PartFilter([BUSIEST], labels=["dent"], since_ms=day.since_ms, until_ms=day.until_ms),
        "the first day": PartFilter([BUSIEST], since_ms=first.since_ms, until_ms=first.until_ms),
        "rejects of the first day": PartFilter(
            None, verdicts=["reject"], since_ms=first.since_ms, until_ms=first.until_ms
        ),
        "a model of a month": PartFilter([BUSIEST], model="bottles:1", since_ms=month.since_ms),
        "a model of long ago": PartFilter([BUSIEST], model="bottles:0"),
        "a recipe and a defect": PartFilter([BUSIEST], recipe="recipe-1", labels=["scratch"]),
        "a camera": PartFilter(None, camera="line-3-cam"),
        "reviewed": PartFilter([BUSIEST], reviewed=True),
        "rejects nobody reviewed": PartFilter([BUSIEST], verdicts=["reject"], reviewed=False),
        "a name": PartFilter(None, external_id="P500000"),
        "nothing": PartFilter([BUSIEST], labels=["no such"]),
    }
    queries: dict[str, Query] = {f"page of {name}": partial(page, wanted=its) for name, its in wanted.items()}
    queries["one part"] = lambda at: part(at, "line-1-cam/1/500000", [BUSIEST])
    queries["lines"] = lines_in
    queries["what filters choose from"] = lambda at: choices(at, None, NOW_MS)
    queries["review rates of a month"] = lambda at: rates(at, BUSIEST, month.since_ms, month.until_ms)
    return queries


def took_ms(database: Database, query: Query) -> float:
    """The quickest of five: what others on the machine do meanwhile is not the query's."""
    times = []
    for _ in range(5):
        with database.read() as connection:
            started = time.perf_counter()
            query(connection)
            times.append((time.perf_counter() - started) * 1000)
    return min(times)


def test_every_page_query_is_quick(history: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with history.read() as connection:
        assert connection.execute(select(func.count()).select_from(inspections)).scalar() == PARTS
    times = {name: took_ms(history, query) for name, query in (line_queries() | gallery_queries()).items()}
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
