"""Figures as people read them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

NONE = "\N{EN DASH}"  # a figure that nobody can know; never 0


def percent(share: float | None, digits: int = 1) -> str:
    """`98.7 %`. What is short of all or above nothing is never rounded to 100 or 0."""
    if share is None:
        return NONE
    least = 10.0**-digits
    told = round(100.0 * share, digits)
    if told >= 100.0 and share < 1.0:
        return f"> {100.0 - least:.{digits}f} %"
    if told <= 0.0 and share > 0.0:
        return f"< {least:.{digits}f} %"
    return f"{told:.{digits}f} %"


def count(number: float | None) -> str:
    """`12,345`."""
    return NONE if number is None else f"{number:,.0f}"


def at(ms: int, zone: ZoneInfo) -> datetime:
    """By the plant's clock."""
    return datetime.fromtimestamp(ms / 1e3, zone)


def clock(ms: int, zone: ZoneInfo) -> str:
    """`14:05`."""
    return f"{at(ms, zone):%H:%M}"


def moment(ms: int, zone: ZoneInfo) -> str:
    """`28 Nov 14:05`."""
    when = at(ms, zone)
    return f"{when.day} {when:%b %H:%M}"


def axis_labels(times_ms: list[int], zone: ZoneInfo) -> list[str]:
    """The time of each, and the day too where they are of several: a chart leaves out labels as it needs."""
    times = [at(ms, zone) for ms in times_ms]
    if len({when.date() for when in times}) <= 1:
        return [f"{when:%H:%M}" for when in times]
    return [f"{when:%H:%M}\n{when.day} {when:%b}" for when in times]
