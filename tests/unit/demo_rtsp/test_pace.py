"""When which frame is due."""

import math

import pytest

from pipeline.demo.live import Pace


def test_frame_n_shows_n_periods_after_the_first() -> None:
    assert Pace(1000.0, fps=20, late_s=0.25).captured_at(30) == pytest.approx(1001.5)


@pytest.mark.parametrize(
    ("now", "number"),
    [
        pytest.param(1000.0, 6, id="long before its time"),
        pytest.param(1000.61, 6, id="just due"),
        pytest.param(1000.84, 6, id="late, but to be made up"),
        pytest.param(1000.95, 9, id="too late: the newest due one"),
        pytest.param(1060.05, 600, id="a minute late"),
    ],
)
def test_numbers_are_skipped_only_when_rendering_is_too_late(now: float, number: int) -> None:
    assert Pace(1000.0, fps=10, late_s=0.25).after(5, now) == number


def test_no_number_is_ever_skipped_when_lateness_is_allowed() -> None:
    assert Pace(1000.0, fps=10, late_s=math.inf).after(5, 2000.0) == 6


def test_after_a_rest_the_next_moment_counts() -> None:
    assert Pace(1000.0, fps=10, late_s=0.25).upcoming(1003.05) == 31


def test_another_rate_starts_at_the_frame_shown_last() -> None:
    pace = Pace(1000.0, fps=10, late_s=0.25)
    pace.change_fps(20, previous=50)
    assert pace.captured_at(50) == pytest.approx(1005.0)
    assert pace.captured_at(51) == pytest.approx(1005.05)
