"""A camera gives no picture, or none that is evidence."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from pipeline.alarms.values import UNTOLD, Judged, Severity
from stages.settings import Settings


class CameraBlindRule(Settings):
    """How long a camera may see nothing: lost, failed, black, covered, frozen, blurred."""

    after_s: float = Field(
        10.0,
        ge=0,
        le=86_400,
        description="Seconds without sight before the alarm is raised. Longer rides out reconnects; shorter tells "
        "sooner. Parts that pass meanwhile are told as uninspected either way.",
    )
    clear_after_s: float = Field(
        5.0,
        ge=0,
        le=86_400,
        description="Seconds of sight before it is over. Longer makes one alarm of a camera that comes and goes.",
    )
    severity: Severity = Field(Severity.CRITICAL, description="warning or critical.")


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a camera now."""

    sees: bool | None  # None: nobody expects it to, for it is paused, has ended or is gone
    why: str = ""  # where it does not


@dataclass(slots=True)
class _Stretch:
    """So long it has seen, or not."""

    sees: bool
    since: float


class CameraWatch:
    """One camera's sight over time: a moment is no alarm, and a glimpse ends none."""

    def __init__(self) -> None:
        self._stretch: _Stretch | None = None

    def judge(self, rule: CameraBlindRule, sight: Sight, now: float, holds: bool) -> Judged:
        """Whether the alarm holds at `now`, Unix seconds."""
        if sight.sees is None:
            self._stretch = None
            return Judged(False, sight.why, rule.severity)
        if self._stretch is None or self._stretch.sees is not sight.sees:
            self._stretch = _Stretch(sight.sees, now)
        lasted_s = now - self._stretch.since
        if lasted_s < (rule.clear_after_s if sight.sees else rule.after_s):
            return UNTOLD
        if sight.sees:
            return Judged(False, "it sees again", rule.severity)
        return Judged(True, f"no sight for {lasted_s:.0f} s: {sight.why}", rule.severity)
