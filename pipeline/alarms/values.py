"""The words of alarms: what kind, about what, how bad, and what a rule says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What an alarm is about."""

    REJECT_RATE = "reject_rate"
    RUN_RULE = "run_rule"
    CAMERA_BLIND = "camera_blind"
    LATENCY = "latency"


class Severity(StrEnum):
    """How soon somebody should come."""

    WARNING = "warning"  # in the course of the shift
    CRITICAL = "critical"  # now

    def covers(self, other: Severity) -> bool:
        """True where this is as bad as `other`, or worse."""
        order = list(Severity)
        return order.index(self) >= order.index(other)


class AlarmKey(NamedTuple):
    """At most one alarm of a key holds at a time."""

    kind: Kind
    line: str
    subject: str = ""  # a camera or a chart; "" for the line as a whole


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says of its figures now. `holds` None: they do not tell, and what was stays."""

    holds: bool | None
    detail: str = ""  # a sentence for people
    severity: Severity = Severity.WARNING


UNTOLD = Judged(None)
