"""Too many of a line's parts are rejected."""

from __future__ import annotations

from pydantic import Field

from pipeline.alarms.values import UNTOLD, Judged, Severity
from stages.settings import Settings


class RejectRateRule(Settings):
    """Rejected parts among all that were judged, within a window that moves on."""

    limit: float = Field(
        gt=0,
        lt=1,
        description="Share of parts rejected above which the alarm is raised: 0.05 is 5 %. Indeterminate parts count "
        "among all parts, not among the rejected. Lower tells sooner, and more often of nothing.",
    )
    window_min: int = Field(
        60,
        ge=1,
        le=10_080,
        description="Minutes looked back. Longer smooths single bad minutes; shorter tells sooner.",
    )
    min_parts: int = Field(
        50,
        ge=1,
        le=1_000_000,
        description="Parts the window must hold before it is judged. More keeps a line that just began from raising an "
        "alarm over its first reject; fewer judge a slow line at all.",
    )
    clear_at: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of `limit` the rate must fall to before the alarm is over. Lower keeps a rate about the "
        "limit from raising it again and again.",
    )
    severity: Severity = Field(Severity.CRITICAL, description="warning or critical.")

    def judge(self, parts: int, rejects: int, holds: bool) -> Judged:
        """Whether it holds, by the parts of the window; `holds`: it did until now."""
        said = f"{_percent(rejects, parts)} of {parts} parts rejected in {self.window_min} min"
        if holds and parts == 0:
            return Judged(False, f"no part in {self.window_min} min", self.severity)
        if parts < self.min_parts:
            return UNTOLD
        limit = self.limit * self.clear_at if holds else self.limit
        return Judged(rejects > limit * parts, f"{said}, limit {self.limit * 100:g} %", self.severity)


def _percent(some: int, of_all: int) -> str:
    return f"{100 * some / of_all:.1f} %" if of_all else "0 %"
