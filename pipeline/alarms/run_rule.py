"""A line's control chart says that its process is not what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from pipeline.alarms.values import UNTOLD, Judged, Severity
from stages.settings import Settings

Chart = Literal["p", "laney_p", "u"]


class RunRuleRule(Settings):
    """Run rules on a control chart; a point is judged once its bucket is over."""

    chart: Chart = Field(
        "laney_p",
        description="`p`: rejected parts; `laney_p`: the same for lines that make thousands of parts an hour, where p "
        "raises too many alarms; `u`: defects per part.",
    )
    bucket_min: int = Field(
        15,
        ge=1,
        le=1440,
        description="Minutes of a point. More parts in each notice smaller changes; shorter tells sooner.",
    )
    points: int = Field(
        96,
        ge=8,
        le=1000,
        description="Points looked back, over which the limits are computed where nobody froze them.",
    )
    clear_after: int = Field(
        2,
        ge=1,
        le=100,
        description="Points in a row that break no rule before the alarm is over. More makes one alarm of a process "
        "that wavers.",
    )
    severity: Severity = Field(Severity.WARNING, description="warning or critical.")

    def judge(self, points: Sequence[ChartPoint], holds: bool) -> Judged:
        """Whether it holds, by the points of buckets that are over, oldest first."""
        if not points:
            return Judged(False, "the chart has no point", self.severity) if holds else UNTOLD
        newest = points[-1]
        if newest.broken:
            rules = ", ".join(newest.broken)
            return Judged(True, f"{newest.told} breaks {rules} on the {self.chart} chart", self.severity)
        if holds and any(point.broken for point in points[-self.clear_after :]):
            return UNTOLD
        return Judged(False, f"no rule broken for {min(len(points), self.clear_after)} points", self.severity)


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """A point and the rules it breaks."""

    told: str  # "3.2 % at 14:15", for people
    broken: tuple[str, ...] = ()
