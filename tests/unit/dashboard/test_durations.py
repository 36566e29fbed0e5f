"""Times as people read them."""

from __future__ import annotations

import pytest

from pipeline.dashboard.durations import ago, lasted


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (11_100, "3 h 5 min"),
        (7200, "2 h"),
        (187_200, "2 d 4 h"),
        (172_800, "2 d"),
    ],
)
def test_what_goes_on_is_told_in_what_matters(seconds: float, told: str) -> None:
    assert ago(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.9, "0 s"), (185, "3 min 5 s"), (180, "3 min"), (86_400 + 300, "1 d"), (187_265, "2 d 4 h")]
)
def test_what_is_over_is_told_in_two_units_at_most(seconds: float, told: str) -> None:
    assert lasted(seconds) == told
