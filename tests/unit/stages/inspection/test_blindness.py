"""What nobody could see, told as intervals; and clocks that are set, which are no time that passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from stages.values import HealthState, Position, Tracks, Verdict
from tests.unit.stages.inspection.line import (
    HEIGHT,
    WIDTH,
    Line,
    Shown,
    blinded,
    bottles,
    inspector,
    run,
)

PASS, UNSURE = Verdict.PASS, Verdict.INDETERMINATE
SPEED = 125.0  # pixels a second


# blindness


@pytest.mark.parametrize("health", [state for state in HealthState if state is not HealthState.OK])
def test_a_part_on_its_way_while_the_camera_is_blind_is_indeterminate(health: HealthState) -> None:
    frames = blinded(Line(bottles(None, "dent", None, None, None)).frames(10), 2.0, 2.5, health)
    outcome = run(frames)
    assert [i.reasons for i in outcome.inspections[:2]] == [(health.value,)] * 2
    assert outcome.verdicts == [UNSURE, UNSURE, PASS, PASS, PASS]
    assert outcome.uninspected == []  # too short to tell


def test_blindness_is_told_as_one_interval_that_opens_and_closes() -> None:
    frames = list(blinded(Line(bottles(*[None] * 12)).frames(16), 5.0, 9.0, HealthState.BLACK))
    outcome = run(frames)
    opened, closed = outcome.uninspected
    assert (opened.interval_id, opened.since, opened.until, opened.reason) == (
        "cam/run1/uninspected/1005000", 1005.0, None, "black")  # fmt: skip
    assert closed == replace(opened, until=1009.0)
    assert run(frames) == outcome


@pytest.mark.parametrize(
    ("until", "late"), [pytest.param(9.0, 0, id="some are known"), pytest.param(13.0, 2, id="none")]
)
def test_parts_that_passed_while_the_camera_was_blind_never_pass(until: float, late: int) -> None:
    line = Line(bottles(*[None] * 16))
    outcome = run(blinded(line.frames(19), 5.0, until, HealthState.COVERED))
    blind = [i for i in outcome.inspections if 1005 <= i.captured_at <= 1000 + until]
    assert blind
    assert all(i.verdict is UNSURE for i in blind)
    assert sum("first_seen_late" in i.reasons for i in outcome.inspections) == late
    after = [i for i in outcome.inspections if i.captured_at > 1000 + until]
    assert len(after) == len(line.crossed(until, 19))


def test_a_stopped_belt_and_a_blind_camera_make_no_second_parts() -> None:
    """The belt stands while the light is off for eight seconds; the same bottles go on under new ids."""
    line = Line(bottles(None, "dent", None, None), lambda t: SPEED * min(t, 4) + SPEED * max(0, t - 14))
    frames = [
        replace(f, tracks=replace(f.tracks, track_id=np.where(f.tracks.track_id > 0, f.tracks.track_id + 50, -1)))
        if f.at > 1013
        else f
        for f in blinded(line.frames(24), 5.0, 13.0, HealthState.BLACK)
    ]
    outcome = run(frames)
    assert len(outcome.inspections) == 4
    assert outcome.inspections[0].verdict is PASS
    assert all({"black", "gap"} <= set(i.reasons) for i in outcome.inspections[1:])


def test_a_lost_camera_opens_an_interval_at_its_last_frame_and_the_next_one_closes_it() -> None:
    by = inspector()
    frames = list(Line(bottles(None, None)).frames(7))
    before, after = [f for f in frames if f.at < 1002], [f for f in frames if f.at >= 1002.4]
    run(before, by)
    (opened,) = by.camera_state(1002.0, seeing=False, reason="reconnecting").uninspected
    assert (opened.since, opened.until, opened.reason) == (before[-1].at, None, "reconnecting")
    assert by.camera_state(1002.2, seeing=False, reason="reconnecting").uninspected == ()
    outcome = run(after, by)
    assert outcome.uninspected == [replace(opened, until=after[0].at)]
    assert [i.reasons for i in outcome.inspections] == [("reconnecting",), ("reconnecting",)]


def test_before_the_first_frame_an_interval_opens_with_the_notice() -> None:
    by = inspector()
    (opened,) = by.camera_state(1002.0, seeing=False, reason="model_not_ready").uninspected
    assert (opened.since, opened.until) == (1002.0, None)
    assert by.camera_state(1003.0, seeing=True, reason="").uninspected == ()
    first = next(iter(Line(bottles(None)).frames(1)))
    assert run([replace(first, at=1003.5)], by).uninspected == [replace(opened, until=1003.5)]


def test_what_passed_until_the_watchdog_noticed_lies_in_the_interval() -> None:
    """Ten seconds without a picture before anybody says so: no part of that time goes without a word."""
    by, line = inspector(), Line(bottles(*[None] * 20))
    frames = list(line.frames(19))
    told = run([f for f in frames if f.at <= 1004], by)
    (opened,) = by.camera_state(1014.0, seeing=False, reason="reconnecting").uninspected
    told.uninspected += run([f for f in frames if f.at >= 1016], by).uninspected
    assert (opened.since, told.uninspected) == (1004.0, [replace(opened, until=1016.0)])


def test_a_camera_whose_clock_is_behind_ours_is_blind_for_as_long_by_its_own() -> None:
    by, line = inspector(), Line(bottles(*[None] * 8))
    frames = [replace(f, received_at=f.at + 5) for f in line.frames(12)]
    run([f for f in frames if f.at <= 1004], by)
    (opened,) = by.camera_state(1009.0, seeing=False, reason="reconnecting").uninspected
    outcome = run([f for f in frames if f.at >= 1006], by)
    assert (opened.since, outcome.uninspected) == (1004.0, [replace(opened, until=1006.0)])


@pytest.mark.parametrize("since", [None, 1003.0, 1003.9])
def test_a_trouble_that_shows_late_counts_from_when_it_began(since: float | None) -> None:
    by, line = inspector(), Line(bottles(*[None] * 6))
    frames = list(line.frames(6))
    run([f for f in frames if f.at < 1004], by)
    position = Position("live", 1, 99)
    opened = [
        u
        for at in (1004.0, 1007.0)
        for u in by.update(
            Tracks.empty(), (WIDTH, HEIGHT), position, at, HealthState.FROZEN, at, blind_since=since
        ).uninspected
    ]
    assert [(u.since, u.reason) for u in opened] == [(1004.0 if since is None else since, "frozen")]


def test_an_end_while_all_is_seen_is_no_blindness() -> None:
    by, line = inspector(), Line(bottles(None, None))
    run(line.frames(8), by)
    assert by.camera_state(1008.0, seeing=True, reason="end of stream").uninspected == ()
    assert by.end(1008.0).uninspected == ()


def _stuck(frames: Sequence[Shown], since: float, for_s: float) -> list[Shown]:
    """The same picture over and over for a while, as an encoder gives that hangs; the belt goes on."""
    held = [f for f in frames if f.at <= since][-1]
    return [replace(held, at=f.at, repeated=True) if since < f.at <= since + for_s else f for f in frames]


@pytest.mark.parametrize(
    ("for_s", "spacing"), [(1.0, 125.0), (2.0, 250.0), (3.0, 125.0), (2.0, 187.5), (2.0, 125.0), (4.0, 250.0)]
)
def test_while_the_same_picture_comes_over_again_nothing_is_seen(for_s: float, spacing: float) -> None:
    """When it moves on, the next part may stand just where the last one stood: it must not inherit its votes."""
    line = Line(bottles(*[None, None, None, "missing_cap"] * 2, spacing=spacing))
    frames = list(line.frames(20))
    bad_cross_s = [(0.62 * WIDTH + 40 + i * spacing) / SPEED for i in (3, 7)]
    for tenth in range(20, 120, 2):
        since = 1000.0 + tenth / 10
        outcome = run(_stuck(frames, since, for_s))
        passes = [i.captured_at - 1000 for i in outcome.inspections if i.verdict is PASS]
        assert not [at for at in passes if any(abs(at - bad) < 0.3 for bad in bad_cross_s)], since
        assert len(outcome.inspections) + len(outcome.uninspected) > 0


def test_copies_of_a_picture_are_no_second_look_at_a_part_that_stands() -> None:
    """The belt stands with a part in view, and a still scene is encoded as the same picture over again."""
    line = Line(bottles(None), lambda t: SPEED * min(t, 2) + SPEED * max(0.0, t - 8))
    frames = list(line.frames(13))
    copies = [replace(f, repeated=True) if 1003.0 <= f.at <= 1008.0 else f for f in frames]
    (told,), (honest,) = run(copies).inspections, run(frames).inspections
    assert (told.verdict, honest.verdict) == (PASS, PASS)
    assert told.votes["usable"] == honest.votes["usable"] - 51


def test_a_hole_in_the_frames_is_an_interval_and_no_part_passes_it() -> None:
    line = Line(bottles(*[None] * 8))
    frames = [f for f in line.frames(13) if not 1004.0 < f.at < 1006.5]
    outcome = run(frames)
    (hole,) = outcome.uninspected
    assert (hole.since, hole.until, hole.reason) == (1004.0, 1006.5, "no_frames")
    blind = [i for i in outcome.inspections if 1003.95 < i.captured_at < 1006.5]
    assert blind
    assert all(i.verdict is UNSURE for i in blind)


# clocks that are set


def _dated(frames: Sequence[Shown], ahead_s: Callable[[float], float]) -> list[Shown]:
    """Frames as they arrive by our clock, dated by one that is ahead of it."""
    return [replace(f, received_at=f.at, at=f.at + ahead_s(f.at - 1000.0)) for f in frames]


@pytest.mark.parametrize("spacing", [120.0, 240.0, 400.0])
@pytest.mark.parametrize("step_s", [5.0, -5.0, 20.0])
def test_a_clock_that_is_set_makes_no_part_twice_and_loses_none(spacing: float, step_s: float) -> None:
    """The first sender report of a camera seconds off: pictures go on, only their dates jump."""
    line = Line(bottles(*[None] * 18, spacing=spacing))
    until = 18 * spacing / SPEED + 6
    outcome = run(_dated(list(line.frames(until)), lambda t: step_s if t > 9.05 else 0.0))
    assert len(outcome.inspections) == len(line.crossed(0, until))
    # Forward it may also have been a burst behind a stall: then parts may have passed.
    assert [(u.since, u.reason) for u in outcome.uninspected] == ([(1009.0, "no_frames")] if step_s > 0 else [])
    assert len({i.inspection_id for i in outcome.inspections}) == len(outcome.inspections)


@pytest.mark.parametrize("ahead_s", [10.0, -10.0])
def test_a_clock_that_is_set_back_over_a_loss_of_the_camera_keeps_the_time_that_passed(ahead_s: float) -> None:
    """Dated by the camera's clock before, by arrival after: three seconds stay three seconds."""
    by, line = inspector(), Line(bottles(*[None] * 30, spacing=120.0))
    until = 24.0
    frames = _dated(list(line.frames(until)), lambda t: ahead_s if t < 10.05 else 0.0)
    before = [f for f in frames if (f.received_at or 0) <= 1010.0]
    after = [f for f in frames if (f.received_at or 0) >= 1013.0]
    told = run(before, by)
    told.uninspected += by.camera_state(1010.1, seeing=False, reason="reconnecting").uninspected
    rest = run(after, by)
    (opened,), (closed,) = told.uninspected, rest.uninspected
    assert closed.interval_id == opened.interval_id
    assert closed.until is not None
    assert closed.until - closed.since == pytest.approx(3.1, abs=0.2)
    seen = line.crossed(0, 10.0) + line.crossed(13.0, until)
    judged = len(told.inspections) + len(rest.inspections)
    assert len(seen) <= judged <= len(line.crossed(0, until))


@pytest.mark.parametrize("spacing", [120.0, 240.0])
@pytest.mark.parametrize("stall_s", [3.0, 6.0, 8.0])
def test_a_burst_behind_a_stall_is_time_that_passed(spacing: float, stall_s: float) -> None:
    """Everything that waited comes at once and only the newest is kept: no clock was set, parts did pass."""
    line = Line(bottles(*[None] * 24, spacing=spacing))
    until = 24 * spacing / SPEED + 6
    frames = [replace(f, received_at=f.at) for f in line.frames(until)]
    stalled = [f for f in frames if 1010.0 < f.at <= 1010.0 + stall_s]
    burst = [replace(f, received_at=1010.0 + stall_s + n * 0.001) for n, f in enumerate(stalled)]
    kept = [replace(burst[0]), *(replace(f, lost=len(burst) - 3) if n == 0 else f for n, f in enumerate(burst[-2:]))]
    shown = [*(f for f in frames if f.at <= 1010.0), *kept, *(f for f in frames if f.at > 1010.0 + stall_s)]
    outcome = run(shown)
    crossed = len(line.crossed(0, until))
    assert [u.reason for u in outcome.uninspected] == ["no_frames"]
    assert crossed - len(line.crossed(10.0, 10.0 + stall_s)) <= len(outcome.inspections) <= crossed
    assert len({i.inspection_id for i in outcome.inspections}) == len(outcome.inspections)


def test_a_camera_that_failed_for_good_stays_blind_behind_its_end() -> None:
    by, line = inspector(), Line(bottles(None, None))
    run(line.frames(8), by)
    (opened,) = by.camera_state(1009.0, seeing=False, reason="failed").uninspected
    assert by.end(1009.0, blind=True).uninspected == ()
    again = inspector(run="run2")
    again.restore(by.checkpoint())
    first = next(iter(Line(bottles(None)).frames(1)))
    assert run([replace(first, at=1050.0)], again).uninspected == [replace(opened, until=1050.0)]


def test_blindness_that_shows_late_does_not_reach_back_into_what_was_told() -> None:
    by, line = inspector(), Line(bottles(None, None))
    frames = list(line.frames(20))
    run([f for f in frames if f.at <= 1010], by)
    by.camera_state(1010.5, seeing=False, reason="reconnecting")
    run([f for f in frames if 1013 <= f.at < 1014], by)
    position = Position("live", 1, 99)
    told = [
        u
        for at in (1014.0, 1017.0)
        for u in by.update(
            Tracks.empty(), (WIDTH, HEIGHT), position, at, HealthState.FROZEN, at, blind_since=1009.0
        ).uninspected
    ]
    assert [u.since for u in told] == [1013.0]
