"""Times as people read them: how long, and when by the plant's clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.dashboard.texts import t

_UNITS = ((86_400, "time.days"), (3600, "time.hours"), (60, "time.minutes"), (1, "time.seconds"))


def lasted(seconds: float) -> str:
    """Two units at most: "12 s", "3 min 5 s", "2 h 5 min", "4 d 2 h"."""
    left = max(0, int(seconds))
    told: list[tuple[int, str]] = []
    for size, key in _UNITS:
        count, left = divmod(left, size)
        if count or told:
            told.append((count, key))
    shown = [t(key, count=count) for count, key in told[:2] if count]
    return " ".join(shown) or t("time.seconds", count=0)


def ago(seconds: float) -> str:
    """The same of what goes on: from a minute on without seconds, which nobody could read before they are others."""
    whole = max(0, round(seconds))
    return lasted(whole if whole < 60 else whole // 60 * 60)


def moment(at_ms: int, zone: ZoneInfo) -> str:
    """Day and time."""
    return datetime.fromtimestamp(at_ms / 1e3, zone).strftime("%Y-%m-%d %H:%M:%S")
