"""Shows and messages put together: each show with its first message, and none with another's."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from bench.latency import figures
from bench.shown import Shows
from bench.sightings import Sighting, first_tellings, sighting


def seen(received_at: float, is_seen: bool = True) -> Sighting:
    return Sighting(received_at, received_at - 0.04, is_seen, 40.0)


def told(shows: list[float], *messages: Sighting) -> list[tuple[float, float]]:
    return [(one.shown_at, one.sighting.received_at) for one in first_tellings(shows, messages)]


def test_a_show_is_told_by_the_first_message_behind_it() -> None:
    assert told([1.0], seen(0.9, False), seen(1.05), seen(1.2)) == [(1.0, 1.05)]


def test_what_was_there_from_the_beginning_tells_nothing() -> None:
    assert told([1.0, 2.0], seen(1.3), seen(1.6, False), seen(2.1)) == [(2.0, 2.1)]


def test_a_show_nobody_told_of_is_left_out() -> None:
    assert told([1.0, 2.0], seen(0.5, False), seen(1.5, False), seen(2.1)) == [(2.0, 2.1)]


def test_a_flicker_is_no_second_show() -> None:
    assert told([1.0], seen(0.5, False), seen(1.1), seen(1.2, False), seen(1.3)) == [(1.0, 1.1)]


def test_an_object_before_any_show_is_nobodys() -> None:
    assert told([1.0], seen(0.4, False), seen(0.5), seen(0.6, False), seen(1.1)) == [(1.0, 1.1)]


def test_a_message_that_comes_behind_the_next_show_still_belongs_to_its_own() -> None:
    late = Sighting(2.3, 1.04, True, 1260.0)
    assert told([1.0, 2.0], seen(0.5, False), late) == [(1.0, 2.3)]


def test_a_message_is_read_as_it_is_published() -> None:
    message = {"captured_at": "1970-01-01T00:00:01.250Z", "objects": [{}], "latency_ms": {"total": 12.5}}
    assert sighting(1.3, message) == Sighting(1.3, 1.25, True, 12.5)


def test_a_frame_seen_late_counts_as_latency_but_not_against_the_clock() -> None:
    late = Sighting(3.24, 3.2, True, 40.0)
    tellings = first_tellings([1.0, 2.0, 3.0], [seen(0.5, False), seen(1.05), seen(1.5, False), late])
    found = figures(tellings, shows=3, fps=5)
    assert (found["shows"], found["missed"], found["seen_a_frame_late"]) == (3, 1, 1)
    assert found["outside_ms"]["max"] == pytest.approx(240)
    assert found["clock_error_ms"]["high"] == pytest.approx(10)


@pytest.mark.parametrize("fps", [2.0, 6.0, 30.0])
def test_both_states_last_long_enough_to_be_told(fps: float) -> None:
    shows = Shows(fps, random.Random(1))
    states = [shows.is_on(number) for number in range(int(60 * fps))]
    runs = [len(list(run)) for _, run in groupby(states)]
    assert not states[0]
    assert min(runs[:-1]) >= max(2, 0.4 * fps)
    assert max(runs) <= max(3, 0.9 * fps + 1)
