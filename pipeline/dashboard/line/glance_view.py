"""A line at a glance: its state with the reason, and the figures that belong together."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from nicegui import ui

from pipeline.dashboard.durations import ago
from pipeline.dashboard.line.condition import Condition, LineState
from pipeline.dashboard.line.figure import Figure
from pipeline.dashboard.line.figures_text import NONE, count, moment, percent
from pipeline.dashboard.line.reading import Glance
from pipeline.dashboard.signs import SignBadge
from pipeline.dashboard.texts import t
from pipeline.history.line_figures import LineFigures

_SIGN = {  # which of the signs stands for it
    LineState.SILENT: "unknown",
    LineState.AWAY: "failed",
    LineState.BLIND: "blind",
    LineState.STALLED: "waiting",
}
_WORTH_WARNING = 0.005  # of the time uninspected: less is a camera that reconnected


class StateLine(ui.element):
    """The worst that is so of the line as a sign, why, and what else is."""

    def __init__(self, *, all_of_it: bool) -> None:
        super().__init__("div")
        self._all_of_it = all_of_it
        self.classes("line-state")
        with self:
            self._badge = SignBadge("starting", large=True)
            self._because = ui.label().classes("line-because")
            self._also = ui.label().classes("line-also")

    def show(self, glance: Glance) -> None:
        """What is so now."""
        worst, *others = glance.conditions
        self._badge.show(_SIGN.get(worst.state, worst.state.value), t(f"line.state.{worst.state}"))
        words = because(worst, glance.at)
        if worst.state == LineState.RUNNING and glance.last_part_at is not None:
            words = t("line.last_part", ago=ago(glance.at - glance.last_part_at))
        self._because.set_text(words)
        told = "; ".join(because(other, glance.at) for other in others) if self._all_of_it else ""
        self._also.set_text(f"{t('line.also')}: {told}" if told else "")
        self._also.set_visibility(bool(told))


def span_words(figures: LineFigures, zone: ZoneInfo) -> str:
    """Of which time the figures are."""
    span = figures.span
    since, until = moment(span.since_ms, zone), moment(span.until_ms, zone)
    if not span.name:
        return t("line.span", since=since, until=until)
    return t("line.span.named", name=span.name, since=since, until=until)


def because(condition: Condition, now: float) -> str:
    """Why, and for how long."""
    words = t(condition.because, **condition.values)
    if condition.since is None:
        return words
    return f"{words}, {t('line.since', ago=ago(now - condition.since))}"


class GlanceFigures(ui.element):
    """Throughput, yield with what was not inspected, first-pass yield where known, reject ppm, parts."""

    def __init__(self) -> None:
        super().__init__("div")
        self.classes("figures")
        with self:
            self._yield = Figure("yield", t("line.yield"))
            self._throughput = Figure("throughput", t("line.throughput"))
            self._ppm = Figure("ppm", t("line.ppm"))
            self._parts = Figure("parts", t("line.parts"))
            self._first_pass = Figure("first-pass", t("line.first_pass"))
        self._first_pass.set_visibility(False)

    def show(self, glance: Glance) -> None:
        """The figures as they are now; the last ones stay where the history does not answer."""
        if glance.figures is None:
            return
        self._show(glance.figures, glance.target_per_hour)

    def _show(self, figures: LineFigures, target: float | None) -> None:
        counts = figures.counts
        self._yield.show(
            percent(counts.yield_share),
            t("line.uninspected", share=percent(figures.uninspected_share)),
            warns=figures.uninspected_share >= _WORTH_WARNING,
        )
        self._throughput.show(*_throughput(figures, target))
        self._ppm.show(
            count(counts.reject_ppm), t("line.ppm.detail", rejects=count(counts.rejects), parts=count(counts.parts))
        )
        self._parts.show(
            count(counts.parts),
            t(
                "line.parts.detail",
                passes=count(counts.passes),
                rejects=count(counts.rejects),
                indeterminate=count(counts.indeterminate),
            ),
        )
        self._first_pass.set_visibility(figures.first_pass is not None)
        if figures.first_pass is not None:
            self._first_pass.show(
                percent(figures.first_pass.share), t("line.first_pass.detail", parts=count(figures.first_pass.parts))
            )


def _throughput(figures: LineFigures, target: float | None) -> tuple[str, str]:
    rate = count(figures.per_hour) if figures.counts.parts else NONE
    if target is None:
        return rate, t("line.throughput.no_target")
    share = percent(figures.per_hour / target, 0)
    return rate, t("line.throughput.share", share=share, target=count(target))
