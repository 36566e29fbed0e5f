"""Verdicts come late so often that the promise made for the month will not be kept.

Multiwindow, multi-burn-rate alerts: Google, The Site Reliability Workbook, chapter 5 "Alerting on SLOs", table 5-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from pipeline.alarms.values import UNTOLD, Judged, Severity
from stages.settings import Settings

_CLEAR_AT = 0.9  # of a burn rate: one that lies at the threshold raises once


class BurnWindow(Settings):
    """A pair of windows: the long one shows that it matters, the short one that it still goes on."""

    long_min: int = Field(ge=1, le=43_200, description="Minutes of the long window. Longer notices slower burning.")
    short_min: int = Field(ge=1, le=43_200, description="Minutes of the short one: so soon the alarm is over after.")
    burn_rate: float = Field(
        gt=0,
        le=1000,
        description="Times as fast as allowed that the budget is spent, in both windows. Higher tells of less.",
    )
    severity: Severity = Field(Severity.CRITICAL, description="warning or critical.")

    @model_validator(mode="after")
    def _is_longer(self) -> Self:
        if self.short_min >= self.long_min:
            raise ValueError(f"short_min {self.short_min} must be less than long_min {self.long_min}")
        return self


SRE_WORKBOOK = (  # table 5-8: 2 %, 5 % and 10 % of a month's budget
    BurnWindow(long_min=60, short_min=5, burn_rate=14.4, severity=Severity.CRITICAL),
    BurnWindow(long_min=360, short_min=30, burn_rate=6.0, severity=Severity.CRITICAL),
    BurnWindow(long_min=4320, short_min=360, burn_rate=1.0, severity=Severity.WARNING),
)


class LatencyRule(Settings):
    """A promise about latency: in so many of a camera's minutes, 95 of 100 frames are published within so long."""

    within_ms: float = Field(
        gt=0,
        le=3_600_000,
        description="From capture to publish, 95 of 100 frames: a minute in which they took longer is a bad one. "
        "Set it from what those who act on verdicts need.",
    )
    objective: float = Field(
        0.99,
        gt=0,
        lt=1,
        description="Share of minutes that shall be good, over all cameras of the line; what is left is the budget. "
        "Higher promises more and raises alarms sooner.",
    )
    windows: tuple[BurnWindow, ...] = Field(
        SRE_WORKBOOK,
        min_length=1,
        max_length=8,
        description="When the budget is spent too fast. The default is that of Google's SRE workbook for 30 days.",
    )
    min_minutes: int = Field(
        10,
        ge=1,
        le=10_000,
        description="Minutes measured, of all cameras, before a window is judged. More keeps the first minutes of a "
        "start from raising an alarm.",
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        budget = 1.0 - self.objective
        for window in self.windows:
            if window.burn_rate * budget >= 1.0:
                raise ValueError(
                    f"burn_rate {window.burn_rate:g} can never be passed with objective {self.objective:g}: "
                    f"even if every minute is bad it is {1 / budget:.3g}"
                )
        return self

    def spans_min(self) -> tuple[int, ...]:
        """Every window's length, minutes, each once."""
        return tuple(sorted({span for window in self.windows for span in (window.long_min, window.short_min)}))

    def judge(self, minutes: Mapping[int, Minutes], held: Severity | None) -> Judged:
        """Whether any pair burns, worst first; `minutes` has the counts of each of `spans_min`.

        `held`: how bad the alarm is that holds. It ends only well below where it began, and gets worse no sooner.
        """
        measured = False
        for window in sorted(self.windows, key=lambda one: (one.severity is Severity.WARNING, -one.burn_rate)):
            long, short = minutes[window.long_min], minutes[window.short_min]
            if long.measured < self.min_minutes or not short.measured:
                continue
            measured = True
            threshold = window.burn_rate
            if held is not None and held.covers(window.severity):
                threshold *= _CLEAR_AT
            if self._burn(long) > threshold and self._burn(short) > threshold:
                return Judged(True, self._told(window, long, short), window.severity)
        return Judged(False, "the budget is spent no faster than allowed") if measured else UNTOLD

    def _burn(self, minutes: Minutes) -> float:
        return minutes.bad / minutes.measured / (1.0 - self.objective)

    def _told(self, window: BurnWindow, long: Minutes, short: Minutes) -> str:
        return (
            f"{long.bad} of {long.measured} minutes over {self.within_ms:g} ms in {_span(window.long_min)}: the budget "
            f"burns {self._burn(long):.1f} times as fast as allowed, {self._burn(short):.1f} in the last "
            f"{_span(window.short_min)}"
        )


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minutes of cameras within a window."""

    measured: int
    bad: int


def _span(minutes: int) -> str:
    if minutes % 1440 == 0:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
