"""A line's control chart in a range of time, out of the counts by the minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, case, func, select

from pipeline.history.buckets import Buckets, bucket_for, buckets
from pipeline.history.frozen import Frozen, find, freeze
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import MINUTE_MS, TimeRange
from pipeline.history.spc import ChartKind, ControlChart, FrozenLimits, Sample, control_chart
from pipeline.history.tables import part_minutes
from stages.errors import RaylineError

_UTC = PlantSettings()


class NothingToFreeze(RaylineError):
    """There are no parts to compute limits of."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The time of a point, and by what its parts were judged. Both are "" before the first part."""

    since_ms: int
    until_ms: int
    recipe: str  # "" where there is none
    model: str  # name:version

    @property
    def judged_by(self) -> tuple[str, str]:
        """What makes a new phase when it changes."""
        return self.recipe, self.model


@dataclass(frozen=True, slots=True)
class LineChart:
    """A control chart, and of which time each of its points is. `frozen`: the limits that hold, and since when."""

    line: str
    span: TimeRange
    pieces: tuple[Piece, ...]
    chart: ControlChart
    frozen: Frozen | None


def line_chart(
    connection: Connection,
    line: str,
    span: TimeRange,
    kind: ChartKind,
    *,
    now_ms: int,
    plant: PlantSettings = _UTC,
    bucket_min: int | None = None,
) -> LineChart:
    """The chart of the line's parts, a point for every `bucket_min` minutes; None suits the range.

    A phase begins where the recipe or the model changes, and the point in which it does is two. Limits that were frozen
    hold for the phases of their own recipe and model; the others have their own. Points are marked by the plant's run
    rules. Raises RangeError.
    """
    so_far = span.up_to(now_ms)
    cuts = buckets(so_far, bucket_min or bucket_for(span), plant)
    made = list(_pieces(_counted(connection, line, so_far, kind, cuts), cuts))
    pieces = [piece for piece, _ in made]
    frozen = find(connection, line, kind)
    phases = _phases(pieces)
    chart = control_chart(
        kind,
        [sample for _, sample in made],
        phases=phases,
        frozen=frozen.limits if frozen else None,
        hold_for=[frozen.hold_for(*pieces[phase.start].judged_by) for phase in phases] if frozen else None,
        rules=plant.run_rules.rules,
    )
    return LineChart(line, so_far, tuple(pieces), chart, frozen)


def freeze_chart(connection: Connection, shown: LineChart, *, by: str, at_ms: int) -> Frozen:
    """The limits of the newest phase of what is shown hold from now on. Raises NothingToFreeze."""
    phase = next((one for one in reversed(shown.chart.phases) if one.center is not None), None)
    if phase is None or phase.center is None:
        raise NothingToFreeze("no parts in this range: there are no limits to freeze")
    if shown.frozen is not None:
        return shown.frozen
    since, until = shown.pieces[phase.start].since_ms, shown.pieces[phase.stop - 1].until_ms
    limits = FrozenLimits(phase.center, phase.sigma_z)
    frozen = Frozen(limits, since, until, by, at_ms, *shown.pieces[phase.start].judged_by)
    freeze(connection, shown.line, shown.chart.kind, frozen)
    return frozen


@dataclass(frozen=True, slots=True)
class _Counted:
    piece: int
    recipe: str
    model: str
    first: int  # minute
    sample: Sample


def _counted(
    connection: Connection, line: str, span: TimeRange, kind: ChartKind, cuts: Buckets
) -> dict[int, list[_Counted]]:
    """What there is of each piece by what judged it, in the order of time."""
    its = part_minutes.c
    unit = ((its.minute - cuts.origin) // cuts.unit_min).label("unit")
    counted = its.defects if kind is ChartKind.U else case((its.verdict == "reject", its.parts), else_=0)
    rows = connection.execute(
        select(unit, its.recipe, its.model, func.min(its.minute), func.sum(counted), func.sum(its.parts))
        .where(its.line == line, its.minute >= span.since_minute, its.minute < span.until_minute, its.counts)
        .group_by(unit, its.recipe, its.model)
    )
    found = sorted(
        (
            _Counted(cuts.of_unit(number), recipe, model, first, Sample(int(count), int(parts)))
            for number, recipe, model, first, count, parts in rows
        ),
        key=lambda one: (one.piece, one.recipe, one.model, one.first),
    )
    whole: dict[int, list[_Counted]] = {}
    for (piece, recipe, model), same in groupby(found, key=lambda one: (one.piece, one.recipe, one.model)):
        its_units = list(same)
        sample = Sample(sum(one.sample.count for one in its_units), sum(one.sample.size for one in its_units))
        whole.setdefault(piece, []).append(_Counted(piece, recipe, model, its_units[0].first, sample))
    return whole


def _pieces(counted: dict[int, list[_Counted]], cuts: Buckets) -> Iterator[tuple[Piece, Sample]]:
    """Points in the order of time. Where nothing was made, a point of nothing, judged as the one before."""
    judged = _first_judged(counted)
    for index, (since_ms, until_ms) in enumerate(cuts.spans_ms()):
        parts = sorted(counted.get(index, ()), key=lambda one: (one.first, (one.recipe, one.model) != judged))
        if not parts:
            yield Piece(since_ms, until_ms, *judged), Sample(0, 0)
        begins = [since_ms, *(max(since_ms, one.first * MINUTE_MS) for one in parts[1:])]
        for part, begin, end in zip(parts, begins, [*begins[1:], until_ms], strict=False):
            judged = part.recipe, part.model
            yield Piece(begin, end, *judged), part.sample


def _first_judged(counted: dict[int, list[_Counted]]) -> tuple[str, str]:
    first = min((one for parts in counted.values() for one in parts), key=lambda one: one.first, default=None)
    return ("", "") if first is None else (first.recipe, first.model)


def _phases(pieces: Sequence[Piece]) -> list[slice]:
    starts = [0, *(at for at in range(1, len(pieces)) if pieces[at].judged_by != pieces[at - 1].judged_by)]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(pieces)], strict=True)]
