"""Figures say what they are worth."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.dashboard.line.figures_text import NONE, axis_labels, count, moment, percent

BERLIN = ZoneInfo("Europe/Berlin")


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1e3)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.98765, "98.8 %"),
        (1.0, "100.0 %"),
        (0.99999, "> 99.9 %"),
        (0.0, "0.0 %"),
        (0.00001, "< 0.1 %"),
        (None, NONE),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float | None, told: str) -> None:
    assert percent(share) == told


def test_counts_are_grouped_and_unknown_ones_are_not_zero() -> None:
    assert (count(1234567), count(0), count(None)) == ("1,234,567", "0", NONE)


def test_times_are_the_plants() -> None:
    assert moment(ms(2026, 11, 27, 23, 30), BERLIN) == "28 Nov 00:30"


def test_an_axis_over_midnight_tells_the_days() -> None:
    times = [ms(2026, 11, 27, hour) for hour in (21, 22, 23)]
    assert axis_labels(times, BERLIN) == ["22:00\n27 Nov", "23:00\n27 Nov", "00:00\n28 Nov"]
    assert axis_labels(times[:2], BERLIN) == ["22:00", "23:00"]
