"""Figures and charts are the same whichever database keeps the parts."""

from __future__ import annotations

from pipeline.history.charts import freeze_chart, line_chart
from pipeline.history.database import Database
from pipeline.history.frozen import find, let_go
from pipeline.history.line_figures import figures
from pipeline.history.pareto import pareto
from pipeline.history.ranges import TimeRange
from pipeline.history.spc import ChartKind
from tests.unit.history.books import put
from tests.unit.history.messages import AT, interval, part

HOUR_S = 3600
START_MS = int(AT // HOUR_S) * HOUR_S * 1000
SPAN = TimeRange(START_MS, START_MS + HOUR_S * 1000)
NOW_MS = SPAN.until_ms + 1


def test_a_lines_page_is_answered_from_either_database(either: Database) -> None:
    start = START_MS / 1000
    parts = [
        part(
            at=start + number * 18,
            verdict="reject" if number % 10 == 0 else "pass",
            labels=["dent", "no cap"][: number % 20 // 10 + 1] if number % 10 == 0 else (),
            recipe="cola" if number < 100 else "water",
            external_id=f"SN{number % 150}",
        )
        for number in range(200)
    ]
    put(either, *parts, interval("i", start + 360, since=start - 5))
    with either.write() as connection:
        found = figures(connection, "filling", SPAN, now_ms=NOW_MS, bucket_min=15)
        chart = line_chart(connection, "filling", SPAN, ChartKind.U, now_ms=NOW_MS, bucket_min=15)
        frozen = freeze_chart(connection, chart, by="anna", at_ms=NOW_MS)
        held = find(connection, "filling", ChartKind.U)
        judged = line_chart(connection, "filling", SPAN, ChartKind.U, now_ms=NOW_MS, bucket_min=15)
        gone = let_go(connection, "filling", ChartKind.U, by="anna", at_ms=NOW_MS)
        defects = pareto(connection, "filling", SPAN)
    assert (found.counts.parts, found.counts.rejects, found.camera) == (200, 20, "cam-1")
    assert (found.uninspected_ms, found.uninspected_share) == (360_000, 0.1)
    assert found.first_pass is not None
    assert (found.first_pass.parts, found.first_pass.passes) == (150, 135)
    assert [one.counts.parts for one in found.throughput] == [50, 50, 50, 50]
    assert [
        (piece.recipe, point.count, point.size) for piece, point in zip(chart.pieces, chart.chart.points, strict=True)
    ] == [
        ("cola", 7, 50),
        ("cola", 8, 50),
        ("water", 7, 50),
        ("water", 8, 50),
    ]
    assert [(phase.start, phase.stop) for phase in chart.chart.phases] == [(0, 2), (2, 4)]
    assert (held, gone) == (frozen, True)
    assert (frozen.limits.center, frozen.recipe, frozen.model) == (0.15, "water", "bottles:3")
    assert [phase.is_frozen for phase in judged.chart.phases] == [False, True]
    assert [(one.label, one.parts) for one in defects] == [("dent", 20), ("no cap", 10)]
