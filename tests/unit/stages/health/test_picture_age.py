"""A picture's age, by clocks that are off."""

import pytest

from stages.health.picture_age import WINDOW_S, PictureAge
from stages.values import Clock


@pytest.mark.parametrize("off_s", [0.0, -29.0, 29.0])
def test_a_camera_whose_clock_is_off_is_as_fresh_as_another(off_s: float) -> None:
    age = PictureAge()
    ages = [age.of(n + off_s, n + 0.1, Clock.RTCP, n + 0.3) for n in range(100)]
    assert ages == pytest.approx([0.2] * 100)


def test_what_comes_late_by_the_cameras_own_clock_is_old() -> None:
    age = PictureAge()
    age.of(0.0, 0.1, Clock.RTCP, 0.1)
    assert age.of(1.0, 9.1, Clock.RTCP, 9.2) == pytest.approx(8.1)


def test_a_clock_that_runs_off_for_days_makes_no_picture_old() -> None:
    age, day_s = PictureAge(), 86400
    ages = [age.of(n * (1 - 2e-5), float(n), Clock.RTCP, n + 0.2) for n in range(0, 7 * day_s, 50)]
    assert max(ages) < 0.3 + 2 * WINDOW_S * 2e-5


def test_a_picture_dated_by_arrival_ages_from_there() -> None:
    age = PictureAge()
    assert age.of(100.0, 100.0, Clock.ARRIVAL, 106.0) == 6.0


def test_a_clock_that_is_known_anew_is_judged_anew() -> None:
    age = PictureAge()
    age.of(100.0, 100.0, Clock.ARRIVAL, 100.1)
    assert age.of(91.0, 101.0, Clock.RTCP, 101.2) == pytest.approx(0.2)
