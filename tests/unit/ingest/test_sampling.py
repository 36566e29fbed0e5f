"""Target rates, lag and the rhythm of recorded pictures."""

from itertools import pairwise

import pytest

from pipeline.ingest.pacing import LivePacer, Pacer
from pipeline.ingest.sampling import KeyframesOnly, Lag, RateSampler
from pipeline.ingest.turns import Turns
from stages.values import CameraId
from tests.fakes import ManualClock


def taken(sampler: RateSampler, times: list[float]) -> list[int]:
    return [i for i, at in enumerate(times) if sampler.take(at)]


@pytest.mark.parametrize(
    ("source_fps", "target_fps", "expected"),
    [
        pytest.param(30, 10, 100, id="a third"),
        pytest.param(30, 25, 250, id="five of six"),
        pytest.param(30, 30, 300, id="all of an equal rate"),
        pytest.param(25, 30, 250, id="all of a slower one"),
        pytest.param(29.97, 30, 300, id="all of a slightly slower one"),
        pytest.param(30, None, 300, id="no target"),
    ],
)
def test_ten_seconds_give_the_target_rate(source_fps: float, target_fps: float | None, expected: int) -> None:
    times = [round(i / source_fps, 3) for i in range(int(source_fps * 10 + 0.5))]
    assert len(taken(RateSampler(target_fps), times)) == pytest.approx(expected, abs=1)


def test_the_pictures_taken_are_evenly_spaced() -> None:
    assert taken(RateSampler(10), [i / 30 for i in range(30)]) == list(range(0, 30, 3))


@pytest.mark.parametrize("jump", [-1000.0, 1000.0])
def test_a_jump_of_time_neither_floods_nor_starves(jump: float) -> None:
    times = [i / 30 for i in range(300)] + [10 + jump + i / 30 for i in range(300)]
    assert len(taken(RateSampler(10), times)) == pytest.approx(200, abs=2)


def test_lag_is_counted_from_the_promptest_packet() -> None:
    lag = Lag()
    assert lag.behind_s(0.0, 100.0) == 0.0
    assert lag.behind_s(1.0, 100.9) == 0.0
    assert lag.behind_s(2.0, 104.9) == pytest.approx(3.0)


def test_clocks_that_drift_apart_over_a_day_are_no_lag() -> None:
    lag = Lag()
    behind = [lag.behind_s(second, second * 1.00005) for second in range(0, 86400, 10)]
    assert max(behind) < 0.1


def test_far_behind_only_keyframes_are_read_until_caught_up_at_a_keyframe() -> None:
    only = KeyframesOnly(2.0)
    assert not only.skip(0.0, 0.0, keyframe=True)
    assert only.skip(1.0, 4.0, keyframe=False), "three seconds late"
    assert not only.skip(2.0, 5.0, keyframe=True)
    assert only.skip(2.1, 2.2, keyframe=False), "caught up, but what lies between was left out"
    assert not only.skip(3.0, 3.1, keyframe=True)
    assert not only.skip(3.1, 3.2, keyframe=False)


@pytest.mark.parametrize("jump_s", [-4999.0, -4.0, 60.0])
def test_a_jump_of_time_stamps_is_no_lag(jump_s: float) -> None:
    only = KeyframesOnly(2.0)
    assert not only.skip(5000.0, 0.0, keyframe=True)
    assert not only.skip(5000.0 + jump_s, 0.1, keyframe=False)


def test_pictures_wait_for_their_time_and_a_hold_up_is_not_made_up_for_in_a_burst() -> None:
    clock = ManualClock()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(round(seconds, 3))
        clock.advance(seconds)

    pacer = Pacer(wait, clock)
    for media_s in (5.0, 5.1, 5.2):
        pacer.wait_until(media_s)
    clock.advance(30.0)
    for media_s in (5.3, 5.4):
        pacer.wait_until(media_s)
    assert waits == [0.1, 0.1, 0.1]


def given_at(pieces: list[tuple[float, list[float]]]) -> list[float]:
    """When the pictures of pieces that arrive at these times are given, in order."""
    clock = ManualClock()
    pacer, given = LivePacer(clock.advance, clock), []
    for arrives_s, pictures in pieces:
        clock.now = max(clock.now, arrives_s)
        for media_s in pictures:
            pacer.wait_until(media_s)
            given.append(round(clock.now, 3))
    return given


def tenths(first: int, count: int) -> list[float]:
    return [(first + i) / 10 for i in range(count)]


def test_live_pieces_are_spread_over_their_time() -> None:
    assert given_at([(0.0, tenths(0, 20)), (0.1, tenths(20, 10)), (2.0, tenths(30, 10))]) == tenths(0, 40)


def test_a_piece_that_comes_late_is_caught_up_with_gradually() -> None:
    given = given_at([(0.0, tenths(0, 10)), (1.3, tenths(10, 10)), (2.0, tenths(20, 10))])
    steps = [round(b - a, 3) for a, b in pairwise(given[10:])]
    assert given[10] == 1.3
    assert set(steps) == {0.08, 0.1}
    assert given[25:] == tenths(25, 5)


@pytest.mark.parametrize(
    ("arrives_s", "first_media_s", "second_s"),
    [
        pytest.param(2.5, 1.0, 2.6, id="very late"),
        pytest.param(0.9, 9.0, 1.0, id="behind a hole"),
        pytest.param(0.9, -50.0, 1.0, id="behind a jump back"),
    ],
)
def test_the_rhythm_of_live_pieces_starts_anew(arrives_s: float, first_media_s: float, second_s: float) -> None:
    given = given_at([(0.0, tenths(0, 10)), (arrives_s, [first_media_s, first_media_s + 0.1])])
    assert given[10:] == [arrives_s, second_s]


@pytest.mark.parametrize("turn", [0.0, 0.3, 0.75])
def test_a_rhythm_is_drawn_to_its_turn_and_keeps_its_rate(turn: float) -> None:
    sampler, start = RateSampler(5, turn), 1_000.013
    times = [i / 30 for i in range(60 * 30)]
    came = [start + times[i] for i in range(len(times)) if sampler.take(times[i], start + times[i])]
    assert len(came) == pytest.approx(300, abs=2)
    late = [((at * 5 - turn + 0.5) % 1.0 - 0.5) / 5 for at in came[-50:]]
    assert max(map(abs, late)) <= 0.6 / 30 + 1e-9
    assert max(b - a for a, b in pairwise(came)) <= 1.3 / 5


@pytest.mark.parametrize("source_fps", [30.0, 29.97, 25.0])
def test_a_turn_takes_no_picture_from_a_source_that_is_hardly_faster(source_fps: float) -> None:
    sampler = RateSampler(30, 0.5)
    assert all(sampler.take(i / source_fps, 50.0 + i / source_fps) for i in range(1000))


def test_a_shards_cameras_take_their_pictures_one_after_another() -> None:
    turns = Turns("shard-1")
    places = sorted((turns.of(CameraId(f"cam-{n}")) - turns.of(CameraId("cam-0"))) % 1.0 for n in range(4))
    assert places == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_camera_keeps_its_turn_until_it_leaves() -> None:
    turns = Turns("shard-1")
    first, second = turns.of(CameraId("a")), turns.of(CameraId("b"))
    assert turns.of(CameraId("a")) == first
    turns.give_back(CameraId("b"))
    assert turns.of(CameraId("c")) == second
