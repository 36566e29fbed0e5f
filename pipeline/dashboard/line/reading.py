"""What the line pages show, read once for everybody who looks at the same line and range."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipeline.dashboard.line.condition import CameraOnLine, Condition, LineState, Parts, conditions
from pipeline.dashboard.services import Services
from pipeline.history.charts import LineChart, line_chart
from pipeline.history.database import HistoryUnavailable
from pipeline.history.gallery import PartFilter, PartRow, page
from pipeline.history.line_figures import LineFigures, figures
from pipeline.history.pareto import DefectCount, pareto
from pipeline.history.ranges import TimeRange, parse_range
from pipeline.history.reviews import ReviewRates, rates
from pipeline.history.spc import ChartKind
from pipeline.history.tables import inspections
from pipeline.orchestrate.changeover import Changeover, changeover_of
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_errors import DesiredError
from pipeline.orchestrate.state import SystemReport
from pipeline.sinks.errors import SinkUnavailable
from stages.values import Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOOK_S = 1.0  # a page asks so often ...
FRESH_S = 1.5  # ... and is given what is so old at most: worked out every 2 s, and shown before it is 3 s old
REJECTS = 8  # last rejected parts shown
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Glance:
    """A line and how it does. What could not be read is None, and `problems` say why."""

    line: str
    at: float  # Unix seconds
    conditions: tuple[Condition, ...]  # the worst first
    figures: LineFigures | None
    last_part_at: float | None  # Unix seconds
    target_per_hour: float | None
    recipe: str | None
    changeover: Changeover | None
    problems: tuple[Exception, ...]


@dataclass(frozen=True, slots=True)
class Details:
    """What the line's own page shows beside."""

    defects: Sequence[DefectCount]
    reviews: ReviewRates
    rejects: Sequence[PartRow]


class LineReader:
    """Reads for every page of this process."""

    def __init__(self, services: Services, now: Callable[[], float] = time.time) -> None:
        self._services = services
        self._now = now
        self._changes: dict[str, int] = {}  # by line: how often somebody changed its limits; bounded by the lines

    def span(self, range_text: str) -> TimeRange:
        """The range that is named, as it is now. Raises RangeError."""
        return parse_range(range_text, self._services.plant, self._now_ms())

    async def glance(self, line: str, range_text: str) -> Glance:
        """How the line does."""
        return await self._services.shared(
            f"line glance {range_text} {line}", FRESH_S, lambda: self._glance(line, range_text)
        )

    async def details(self, line: str, range_text: str) -> Details:
        """The rest. Raises HistoryUnavailable."""
        return await self._services.shared(
            f"line details {range_text} {line}", FRESH_S, lambda: self._details(line, range_text)
        )

    async def chart(self, line: str, range_text: str, kind: ChartKind) -> LineChart:
        """Its control chart. Raises HistoryUnavailable."""
        key = f"line chart {kind} {self._changes.get(line, 0)} {range_text} {line}"
        return await self._services.shared(key, FRESH_S, lambda: self._chart(line, range_text, kind))

    def changed(self, line: str) -> None:
        """Its limits were changed just now: whoever asks next gets the chart anew."""
        self._changes[line] = self._changes.get(line, 0) + 1

    async def _glance(self, line: str, range_text: str) -> Glance:
        problems: list[Exception] = []
        desired, report, found, last_ms = None, None, None, None
        try:
            desired, report = await self._services.system()
        except (SinkUnavailable, DesiredError) as exc:
            problems.append(exc)
        counting = None if desired is None else _counting_camera(desired, line)
        try:
            found, last_ms = await self._services.query(
                lambda connection: (
                    self._figures(connection, line, range_text, counting),
                    last_part_ms(connection, line),
                )
            )
        except HistoryUnavailable as exc:
            problems.append(exc)
        last_at = None if last_ms is None else last_ms / 1e3
        target = None if desired is None else _target(desired, line)
        parts = None if found is None else Parts(last_at, target)
        return Glance(
            line=line,
            at=self._now(),
            conditions=self._conditions(desired, report, line, parts),
            figures=found,
            last_part_at=last_at,
            target_per_hour=target,
            recipe=None if desired is None else _recipe(desired, line),
            changeover=None if desired is None else _changeover(desired, report, line),
            problems=tuple(problems),
        )

    def _figures(self, connection: Connection, line: str, range_text: str, counting: str | None) -> LineFigures:
        span = self.span(range_text)
        plant = self._services.plant
        return figures(
            connection, line, span, now_ms=self._now_ms(), plant=plant, camera=counting, bucket_min=_piece_min(span)
        )

    def _conditions(
        self, desired: DesiredState | None, report: SystemReport | None, line: str, parts: Parts | None
    ) -> tuple[Condition, ...]:
        if desired is None:
            return (Condition(LineState.SILENT, "line.because.no_redis"),)
        if line not in desired.config.line_ids():  # what it made once is still looked at
            return (Condition(LineState.SILENT, "line.because.no_line", {"line": line}),)
        return tuple(conditions(_cameras(desired, line), report, parts, self._now()))

    async def _details(self, line: str, range_text: str) -> Details:
        span = self.span(range_text)

        def read(connection: Connection) -> Details:
            wanted = PartFilter(
                lines=[line], verdicts=[Verdict.REJECT.value], since_ms=span.since_ms, until_ms=span.until_ms
            )
            return Details(
                defects=pareto(connection, line, span),
                reviews=rates(connection, line, span.since_ms, span.until_ms),
                rejects=page(connection, wanted, limit=REJECTS).parts,
            )

        return await self._services.query(read)

    async def _chart(self, line: str, range_text: str, kind: ChartKind) -> LineChart:
        span, plant, now_ms = self.span(range_text), self._services.plant, self._now_ms()
        return await self._services.query(
            lambda connection: line_chart(connection, line, span, kind, now_ms=now_ms, plant=plant)
        )

    def _now_ms(self) -> int:
        return round(self._now() * 1e3)


def _piece_min(span: TimeRange) -> int | None:
    """People reckon throughput by the hour. None, for a range of few hours or of many days, leaves it to the range."""
    return 60 if 2 * _HOUR_MS < span.duration_ms <= 72 * _HOUR_MS else None


def last_part_ms(connection: Connection, line: str) -> int | None:
    """When the line's newest part came, at whichever of its stations."""
    its = inspections.c
    newest = select(its.captured_ms).where(its.line == line).order_by(its.captured_ms.desc()).limit(1)
    found: int | None = connection.scalar(newest)
    return found


def _cameras(desired: DesiredState, line: str) -> list[CameraOnLine]:
    return [
        CameraOnLine(name, camera.counts) for name, camera in sorted(desired.cameras.items()) if camera.line == line
    ]


def _counting_camera(desired: DesiredState, line: str) -> str | None:
    return next((camera.name for camera in _cameras(desired, line) if camera.counts), None)


def _target(desired: DesiredState, line: str) -> float | None:
    settings = desired.config.lines.get(line)
    return None if settings is None else settings.target_per_hour


def _recipe(desired: DesiredState, line: str) -> str | None:
    settings = desired.config.lines.get(line)
    if settings is not None:
        return settings.recipe
    return next((camera.recipe_name for camera in desired.cameras.values() if camera.line == line), None)


def _changeover(desired: DesiredState, report: SystemReport | None, line: str) -> Changeover | None:
    """None where the line's recipe was never changed."""
    if line not in desired.base.lines or line not in desired.config.lines:
        return None
    found = changeover_of(desired, report, line)
    return found if found.change_id else None
