"""A camera that cannot see is told from one that can, and one odd picture changes nothing."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.health.camera_health import CameraHealth, HealthSettings
from stages.values import HealthState, PictureStats

OK, BLACK, COVERED, FROZEN, BLURRED, STALE = HealthState
FPS = 10


def picture(n: int = 0, mean: float = 120, deviation: float = 40, sharpness: float = 200) -> PictureStats:
    """A picture whose noise tells its number."""
    return PictureStats(mean + n % 7 * 0.01, deviation, sharpness, bytes([100 + n % 5]) * 192)


GOOD = [picture(n) for n in range(100)]
DARK = [picture(n, mean=16, deviation=1, sharpness=0) for n in range(100)]
LID = [picture(n, mean=70, deviation=2, sharpness=1) for n in range(100)]
SOFT = [picture(n, sharpness=30) for n in range(100)]  # 15 % of what is usual
FOG = [picture(n, sharpness=2) for n in range(100)]  # under the floor
SAME = [picture(3)] * 100


def health(**values: Any) -> CameraHealth:
    return CameraHealth(HealthSettings(**values))


def watch(subject: CameraHealth, pictures: Iterable[PictureStats], start: float = 0.0) -> list[HealthState]:
    """States after each picture, ten a second, fresh."""
    return [subject.update(p, start + n / FPS, start + n / FPS + 0.1) for n, p in enumerate(pictures)]


@pytest.mark.parametrize(
    ("pictures", "last"),
    [
        pytest.param(GOOD, OK, id="a good camera"),
        pytest.param(GOOD[:20] + DARK, BLACK, id="the light goes out"),
        pytest.param(GOOD[:20] + LID, COVERED, id="a lid is put on"),
        pytest.param(GOOD[:20] + SAME, FROZEN, id="the picture stands still"),
        pytest.param(GOOD + SOFT, BLURRED, id="far less sharp than it was"),
        pytest.param(GOOD[:20] + FOG, BLURRED, id="under the floor before its usual sharpness is known"),
        pytest.param(GOOD[:20] + SOFT[:30], OK, id="what is usual is not known in the first seconds"),
        pytest.param(GOOD + SOFT[:15], OK, id="soft for a moment only"),
        pytest.param(GOOD[:20] + SAME[:40], OK, id="still for a moment only"),
        pytest.param(GOOD + DARK[:2], OK, id="two odd pictures"),
        pytest.param(GOOD + DARK[:50] + GOOD[:4], BLACK, id="not yet back"),
        pytest.param(GOOD + DARK[:50] + GOOD[:5], OK, id="back"),
        pytest.param(GOOD + SOFT + GOOD, OK, id="sharp again"),
        pytest.param(GOOD + SAME + GOOD, OK, id="moving again"),
        pytest.param(GOOD + DARK[:20] + LID[:20], COVERED, id="from one trouble to another"),
        pytest.param(
            [picture(n, mean=25, deviation=20) for n in range(50)], OK, id="a dark scene with something in it"
        ),
    ],
)
def test_the_state_after(pictures: list[PictureStats], last: HealthState) -> None:
    assert watch(health(), pictures)[-1] is last


def test_before_the_first_picture_it_is_stale_and_never_ok() -> None:
    subject = health()
    assert subject.state is STALE


@pytest.mark.parametrize(("pictures", "state"), [(GOOD, OK), (DARK, BLACK), (LID, COVERED), (FOG, BLURRED)])
def test_the_first_picture_is_believed_at_once(pictures: list[PictureStats], state: HealthState) -> None:
    assert watch(health(), pictures[:1]) == [state]


def test_a_camera_that_starts_in_trouble_is_not_ok_for_a_single_frame() -> None:
    for pictures in (DARK, LID, FOG):
        assert OK not in watch(health(), pictures)


def test_trouble_is_believed_after_the_third_picture_and_its_end_after_the_fifth() -> None:
    subject = health()
    watch(subject, GOOD[:10])
    assert watch(subject, DARK[:4], start=1.0) == [OK, OK, BLACK, BLACK]
    assert watch(subject, GOOD[:6], start=2.0) == [BLACK] * 4 + [OK, OK]


def test_odd_pictures_among_good_ones_change_nothing() -> None:
    mixed = [DARK[n] if n % 3 else GOOD[n] for n in range(60)]
    assert set(watch(health(), GOOD[:10] + mixed)) == {OK}


def test_a_freeze_is_told_by_captured_time_not_by_pictures() -> None:
    slow, fast = health(frozen_after_s=5, bad_frames=1), health(frozen_after_s=5, bad_frames=1)
    assert [slow.update(SAME[0], t, t) for t in (0.0, 2.0, 4.0, 6.0)] == [OK, OK, OK, FROZEN]
    assert [fast.update(SAME[0], n / 100, n / 100) for n in range(400)][-1] is OK


def test_sensor_noise_tells_a_still_scene_from_a_frozen_picture() -> None:
    still = [PictureStats(120 + 0.006 * (n * 7 % 5), 40, 200, bytes([100]) * 192) for n in range(200)]
    assert watch(health(), still)[-1] is OK
    assert watch(health(frozen_mean_difference=0.1), still)[-1] is FROZEN


def test_a_frozen_picture_encoded_anew_is_found_where_that_is_asked_for() -> None:
    encoded = [PictureStats(120 + n % 3 * 0.02, 40, 200, bytes([100 + n // 10 % 2]) * 192) for n in range(100)]
    assert watch(health(), encoded)[-1] is OK
    assert watch(health(frozen_difference=1, frozen_mean_difference=0.1), encoded)[-1] is FROZEN


def test_a_freeze_and_staleness_may_be_turned_off() -> None:
    subject = health(frozen_after_s=None, stale_after_s=None)
    assert [subject.update(SAME[0], n / 1.0, n + 1000.0) for n in range(100)][-1] is OK


def test_blur_never_becomes_the_new_normal() -> None:
    assert watch(health(), GOOD + SOFT * 30)[-1] is BLURRED


def test_after_reset_a_new_focus_is_learned() -> None:
    subject = health()
    watch(subject, GOOD + SOFT)
    subject.reset()
    assert subject.state is STALE
    assert watch(subject, SOFT * 3)[-1] is OK


def test_old_pictures_are_stale_and_fresh_ones_end_it() -> None:
    subject = health(stale_after_s=5.0)
    watch(subject, GOOD[:10])
    late = [subject.update(GOOD[n], 1 + n / FPS, 9 + n / FPS) for n in range(4)]
    assert late == [OK, OK, STALE, STALE]
    assert watch(subject, GOOD[:6], start=20.0) == [STALE] * 4 + [OK, OK]


def test_a_clock_set_back_is_no_freeze_and_no_blur() -> None:
    subject = health(bad_frames=1)
    watch(subject, [*GOOD, *SAME[:40]], start=1000.0)
    assert set(watch(subject, SAME[:40], start=0.0)) == {OK}
    assert watch(subject, SAME, start=4.0)[-1] is FROZEN


@given(
    st.lists(
        st.tuples(st.floats(0, 255), st.floats(0, 128), st.floats(0, 5000), st.binary(min_size=192, max_size=192)),
        min_size=1,
        max_size=30,
    )
)
def test_whatever_is_seen_ok_needs_a_picture_that_shows_something(
    rows: list[tuple[float, float, float, bytes]],
) -> None:
    settings = HealthSettings(bad_frames=1)
    subject = CameraHealth(settings)
    for n, row in enumerate(rows):
        stats = PictureStats(*row)
        state = subject.update(stats, n / FPS, n / FPS)
        if stats.deviation < settings.covered_deviation:
            assert state in (BLACK, COVERED)


@pytest.mark.parametrize(
    ("pictures", "state", "since"),
    [
        pytest.param(GOOD[:20] + SAME[:60], FROZEN, 2.0, id="a freeze, since the picture that stands"),
        pytest.param(GOOD + SOFT[:40], BLURRED, 10.0, id="a blur, since it began"),
        pytest.param(GOOD[:20] + DARK[:10], BLACK, 2.0, id="darkness, since the first dark picture"),
        pytest.param(GOOD, OK, None, id="no trouble"),
    ],
)
def test_it_tells_since_when(pictures: list[PictureStats], state: HealthState, since: float | None) -> None:
    subject = health()
    assert watch(subject, pictures)[-1] is state
    assert subject.since == (since if since is None else pytest.approx(since, abs=0.11))


def test_a_picture_over_again_is_known() -> None:
    subject = health()
    repeated = []
    for n, one in enumerate([picture(1), picture(1), picture(2), picture(2)]):
        subject.update(one, n / FPS, n / FPS)
        repeated.append(subject.repeated)
    assert repeated == [False, True, False, True]
