"""A control chart in words: below the picture, for whoever cannot see it and whoever must act on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from pipeline.dashboard.line.control_options import value_words
from pipeline.dashboard.line.figures_text import axis_labels, moment
from pipeline.dashboard.texts import t
from pipeline.history.charts import LineChart, Piece
from pipeline.history.frozen import Frozen
from pipeline.history.run_rules import Violation

MOST = 6  # lines below a chart; the newest ones


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that was broken at one point after the other, from the place `first` to `last`."""

    rule: int
    name: str
    first: int
    last: int


def labels(shown: LineChart, zone: ZoneInfo) -> list[str]:
    """The time of each point."""
    return axis_labels([piece.since_ms for piece in shown.pieces], zone)


def phase_names(shown: LineChart) -> list[str]:
    """What each phase's parts were judged by."""
    return [judged_by(shown.pieces[phase.start]) for phase in shown.chart.phases]


def judged_by(piece: Piece) -> str:
    """Recipe and model; nothing where no part was judged."""
    if not piece.model:
        return ""
    if not piece.recipe:
        return t("line.spc.phase.no_recipe", model=piece.model)
    return t("line.spc.phase", recipe=piece.recipe, model=piece.model)


def frozen_words(shown: LineChart, zone: ZoneInfo) -> str:
    """Who froze which limits, and for what they hold; "" where none are frozen."""
    frozen = shown.frozen
    if frozen is None:
        return ""
    center = value_words(shown.chart.kind, frozen.limits.center)
    told = t("line.spc.frozen", by=frozen.by, at=moment(frozen.at_ms, zone), of=_hold_for(frozen), center=center)
    is_held = all(phase.is_frozen for phase in shown.chart.phases)
    return told if is_held else f"{told} {t('line.spc.frozen.others')}"


def broken_rules(found: Sequence[Violation]) -> list[Broken]:
    """The newest first. A run that grows breaks its rule at each of its points: it is told once."""
    told: list[Broken] = []
    by_rule = sorted(found, key=lambda one: (one.rule.number, one.at))
    for number, its in groupby(by_rule, key=lambda one: one.rule.number):
        for run in _runs(list(its)):
            first = min(run[0].points) if run[0].rule.span > 1 else run[0].at
            told.append(Broken(number, run[0].rule.name, first, run[-1].at))
    return sorted(told, key=lambda one: (-one.last, one.rule))


def violation_lines(shown: LineChart, zone: ZoneInfo) -> list[str]:
    """What is wrong, the newest first; one line that says so where nothing is."""
    found = broken_rules(shown.chart.violations)
    if not found:
        return [t("line.spc.in_control")]
    lines = [_line(shown, one, zone) for one in found[:MOST]]
    if len(found) > MOST:
        lines.append(t("line.spc.more", more=len(found) - MOST))
    return lines


def _hold_for(frozen: Frozen) -> str:
    if frozen.model is None:
        return t("line.spc.frozen.every")
    if not frozen.recipe:
        return t("line.spc.frozen.no_recipe", model=frozen.model)
    return t("line.spc.frozen.recipe", recipe=frozen.recipe, model=frozen.model)


def _line(shown: LineChart, one: Broken, zone: ZoneInfo) -> str:
    at = moment(shown.pieces[one.last].since_ms, zone)
    if one.first == one.last:
        value = value_words(shown.chart.kind, shown.chart.points[one.last].value)
        return t("line.spc.violation", number=one.rule, name=one.name, at=at, value=value)
    since = moment(shown.pieces[one.first].since_ms, zone)
    return t("line.spc.violation.run", number=one.rule, name=one.name, since=since, at=at)


def _runs(found: Sequence[Violation]) -> Iterator[list[Violation]]:
    """Those at one place after the other."""
    run: list[Violation] = []
    for one in found:
        if run and one.at != run[-1].at + 1:
            yield run
            run = []
        run.append(one)
    if run:
        yield run
