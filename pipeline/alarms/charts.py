"""A line's control chart as the run rule is asked: its points whose time is over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.alarms.run_rule import ChartPoint, RunRuleRule
from pipeline.history.buckets import buckets
from pipeline.history.charts import line_chart
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import MINUTE_MS, TimeRange
from pipeline.history.spc import ChartKind

if TYPE_CHECKING:
    from sqlalchemy import Connection


def chart_points(
    connection: Connection, line: str, rule: RunRuleRule, plant: PlantSettings, now_ms: int
) -> list[ChartPoint]:
    """Oldest first; those in which no part was made are left out. A bucket that is not over moves no limit either."""
    until_ms = now_ms // MINUTE_MS * MINUTE_MS
    since_ms = until_ms - rule.points * rule.bucket_min * MINUTE_MS
    last_edge = buckets(TimeRange(since_ms, until_ms), rule.bucket_min, plant).edges[-2]
    span = TimeRange(since_ms, last_edge * MINUTE_MS)
    kind = ChartKind(rule.chart)
    found = line_chart(connection, line, span, kind, now_ms=now_ms, plant=plant, bucket_min=rule.bucket_min)
    names = {rule.number: f"rule {rule.number} ({rule.name})" for rule in plant.run_rules.rules}
    return [
        ChartPoint(_told(kind, point.value, piece.since_ms, plant), tuple(names[number] for number in point.rules))
        for piece, point in zip(found.pieces, found.chart.points, strict=True)
        if point.value is not None
    ]


def _told(kind: ChartKind, value: float, since_ms: int, plant: PlantSettings) -> str:
    at = datetime.fromtimestamp(since_ms / 1e3, plant.zone).strftime("%H:%M")
    return f"{value:.3g} defects a part from {at}" if kind is ChartKind.U else f"{100 * value:.3g} % from {at}"
