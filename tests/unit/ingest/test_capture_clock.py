"""When a picture was taken."""

import logging
from itertools import pairwise

import pytest

from pipeline.ingest.capture_clock import CaptureClock, MediaClock
from stages.values import Clock

T0 = 1_700_000_000.0


def test_arrival_dates_pictures_until_the_first_sender_report() -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    assert clock.at(5.0, T0) == (T0, Clock.ARRIVAL)
    clock.reported(camera_wall_s=T0 + 0.09, media_s=5.1, arrived_s=T0 + 0.1)
    assert clock.at(5.1, T0 + 0.1) == (pytest.approx(T0 + 0.09), Clock.RTCP)
    assert clock.at(5.2, T0 + 0.25) == (pytest.approx(T0 + 0.19), Clock.RTCP)


def test_pictures_that_arrive_in_a_burst_keep_the_pace_of_their_time_stamps() -> None:
    """A belt's speed is measured on these times: ten pictures of half a second must not stand a millisecond apart."""
    clock = CaptureClock("cam", max_skew_s=30)
    arrivals = [T0 + 0.5 + n / 1000 if n < 10 else T0 + 0.05 * n for n in range(40)]
    times = [clock.at(n * 0.05, arrived)[0] for n, arrived in enumerate(arrivals)]
    assert all(0.039 < b - a < 0.061 for a, b in pairwise(times))
    assert times[-1] == pytest.approx(arrivals[-1], abs=0.12)


def test_a_first_sender_report_does_not_squeeze_the_pictures_around_it() -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    times, clocks = [], []
    for n in range(40):
        if n == 1:
            clock.reported(T0 - 0.25, 0.0, T0)
        at, whose = clock.at(n / 12, T0 + n / 12)
        times.append(at)
        clocks.append(whose)
    assert all(0.06 < b - a < 0.11 for a, b in pairwise(times))
    assert times[-1] == pytest.approx(T0 - 0.25 + 39 / 12)
    assert (clocks[1], clocks[-1]) == (Clock.ARRIVAL, Clock.RTCP)


def test_a_camera_clock_too_far_off_is_not_used_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    with caplog.at_level(logging.WARNING):
        for i in range(5):
            clock.reported(T0 + 3600 + i, float(i), T0 + i)
            assert clock.at(float(i), T0 + i) == (T0 + i, Clock.ARRIVAL)
    assert len(caplog.records) == 1
    assert "cam" in caplog.text
    assert "3600.0 s" in caplog.text


def test_capture_time_never_goes_back_when_the_camera_clock_lies_behind() -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    times = []
    for i in range(450):
        if i == 30:
            clock.reported(T0 + i / 30 - 2.0, i / 30, T0 + i / 30)
        times.append(clock.at(i / 30, T0 + i / 30)[0])
    assert all(b > a for a, b in pairwise(times))
    assert times[-1] == pytest.approx(T0 + 449 / 30 - 2.0), "moved over within ten seconds"


def test_time_stamps_that_jump_fall_back_to_arrival_until_the_next_report() -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    clock.reported(T0, 0.0, T0)
    assert clock.at(90_000.0, T0 + 1) == (T0 + 1, Clock.ARRIVAL)
    clock.reported(T0 + 2, 90_001.0, T0 + 2)
    assert clock.at(90_001.0, T0 + 2)[1] is Clock.RTCP


def test_pictures_without_a_time_stamp_get_their_arrival() -> None:
    clock = CaptureClock("cam", max_skew_s=30)
    clock.reported(T0, 0.0, T0)
    assert clock.at(None, T0 + 1) == (T0 + 1, Clock.ARRIVAL)


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        pytest.param([7.0, 7.1, 7.3], [0.0, 0.1, 0.3], id="counted from the first"),
        pytest.param([-5.3, -5.2, -5.1], [0.0, 0.1, 0.2], id="negative"),
        pytest.param([None, None, None], [0.0, 0.1, 0.2], id="missing"),
        pytest.param([1.0, 1.0, 1.0], [0.0, 0.1, 0.2], id="repeated"),
        pytest.param([9.0, 0.0, 0.2], [0.0, 0.1, 0.3], id="jumping back"),
        pytest.param([0.0, 95443.0, 95443.1], [0.0, 0.1, 0.2], id="jumping ahead"),
        pytest.param([0.0, 4.0, 4.1], [0.0, 4.0, 4.1], id="a pause in the recording is kept"),
    ],
)
def test_media_time_rises_whatever_the_time_stamps_do(stamps: list[float | None], expected: list[float]) -> None:
    clock = MediaClock(interval_s=0.1)
    assert [clock.at(pts) for pts in stamps] == pytest.approx(expected)


def test_a_loop_goes_on_one_interval_behind_the_last_picture() -> None:
    clock = MediaClock(interval_s=0.1)
    clock.at(0.0)
    assert clock.at(0.1) == pytest.approx(0.1)
    clock.new_loop()
    assert clock.at(0.0) == pytest.approx(0.2)
