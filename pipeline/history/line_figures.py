"""The figures of a line in a range of time, out of the counts by the minute."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from pipeline.history.buckets import Buckets, bucket_for, buckets
from pipeline.history.first_pass import FirstPass
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import TimeRange
from pipeline.history.tables import part_minutes
from pipeline.history.uninspected_time import counting_camera, uninspected_ms

_HOUR_MS = 3_600_000
_UTC = PlantSettings()


@dataclass(frozen=True, slots=True)
class Counts:
    """Parts by verdict, those of the station at which the line's parts are counted."""

    passes: int = 0
    rejects: int = 0
    indeterminate: int = 0

    @property
    def parts(self) -> int:
        """All of them."""
        return self.passes + self.rejects + self.indeterminate

    @property
    def yield_share(self) -> float | None:
        """Passes among all parts; what is indeterminate passed not. None where there are no parts.

        Never to be shown without the share of time that was not inspected.
        """
        return self.passes / self.parts if self.parts else None

    @property
    def reject_ppm(self) -> float | None:
        """Rejects among a million parts. None where there are no parts."""
        return 1e6 * self.rejects / self.parts if self.parts else None

    def plus(self, verdict: str, parts: int) -> Counts:
        """The same with so many parts of this verdict more."""
        field = {"pass": "passes", "reject": "rejects"}.get(verdict, "indeterminate")
        return replace(self, **{field: getattr(self, field) + parts})


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a piece of the range brought."""

    since_ms: int
    until_ms: int
    counts: Counts

    @property
    def per_hour(self) -> float:
        """Parts an hour, over all of its time: for the piece that it is now, up to now."""
        return self.counts.parts * _HOUR_MS / (self.until_ms - self.since_ms)


@dataclass(frozen=True, slots=True)
class LineFigures:
    """A line in a range, as far as it has been."""

    line: str
    span: TimeRange
    counts: Counts
    camera: str | None  # at which parts are counted
    uninspected_ms: int  # of that camera
    first_pass: FirstPass | None  # where parts have an external_id
    throughput: tuple[Throughput, ...]

    @property
    def uninspected_share(self) -> float:
        """Of the range's time, as far as it has been."""
        return self.uninspected_ms / self.span.duration_ms

    @property
    def per_hour(self) -> float:
        """Parts an hour over the range, as far as it has been."""
        return self.counts.parts * _HOUR_MS / self.span.duration_ms


def figures(
    connection: Connection,
    line: str,
    span: TimeRange,
    *,
    now_ms: int,
    plant: PlantSettings = _UTC,
    bucket_min: int | None = None,
    camera: str | None = None,
) -> LineFigures:
    """What the line made. `camera` is where its parts are counted; None finds it in what was counted.

    `bucket_min` are the minutes of a piece of `throughput`, None suits the range. Raises RangeError.
    """
    so_far = span.up_to(now_ms)
    pieces = buckets(so_far, bucket_min or bucket_for(span), plant)
    by_piece, first_pass = _counted(connection, line, so_far, pieces)
    camera = camera or counting_camera(connection, line, so_far)
    total = Counts(
        sum(one.passes for one in by_piece),
        sum(one.rejects for one in by_piece),
        sum(one.indeterminate for one in by_piece),
    )
    return LineFigures(
        line=line,
        span=so_far,
        counts=total,
        camera=camera,
        uninspected_ms=uninspected_ms(connection, line, camera, so_far, now_ms),
        first_pass=first_pass,
        throughput=tuple(
            Throughput(since, min(until, so_far.until_ms), counts)
            for (since, until), counts in zip(pieces.spans_ms(), by_piece, strict=True)
        ),
    )


def _counted(
    connection: Connection, line: str, span: TimeRange, pieces: Buckets
) -> tuple[list[Counts], FirstPass | None]:
    its = part_minutes.c
    unit = ((its.minute - pieces.origin) // pieces.unit_min).label("unit")
    rows = connection.execute(
        select(unit, its.verdict, func.sum(its.parts), func.sum(its.firsts))
        .where(its.line == line, its.minute >= span.since_minute, its.minute < span.until_minute, its.counts)
        .group_by(unit, its.verdict)
    )
    found = [Counts() for _ in range(len(pieces))]
    first = Counts()
    for number, verdict, parts, firsts in rows:
        piece = pieces.of_unit(number)
        found[piece] = found[piece].plus(verdict, parts)
        first = first.plus(verdict, firsts)
    return found, FirstPass(first.parts, first.passes) if first.parts else None
