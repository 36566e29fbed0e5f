"""What a topic's cameras are, and which of its readers says so."""

from __future__ import annotations

import pytest

from pipeline.ingest.camera_state import CameraState
from pipeline.ingest.kafka.cameras import ELSEWHERE_S, TopicCameras
from stages.values import CameraId
from tests.fakes import ManualClock, grey_picture

A = CameraId("a")


class Reader:
    """One reader's cameras, and what it told."""

    def __init__(self, clock: ManualClock, *, first: bool = True) -> None:
        self.told: list[CameraState] = []
        self.cameras = TopicCameras(lambda _, state, __: self.told.append(state), clock, first=first)
        self.cameras.apply({A: False})

    def state(self) -> CameraState:
        return self.cameras.status(A).state


def test_a_camera_whose_brokers_are_back_runs_with_its_next_picture() -> None:
    reader = Reader(ManualClock(1000.0))
    reader.cameras.number(A, grey_picture())
    reader.cameras.away("no broker answers")
    reader.cameras.back()
    assert reader.state() is CameraState.CONNECTING
    reader.cameras.number(A, grey_picture())
    told = [CameraState.RUNNING, CameraState.RECONNECTING, CameraState.CONNECTING, CameraState.RUNNING]
    assert reader.told == told


def test_of_two_readers_the_one_that_has_the_camera_tells_its_pause() -> None:
    clock = ManualClock(1000.0)
    first, second = Reader(clock), Reader(clock, first=False)
    clock.advance(1.0)
    assert second.cameras.seen_elsewhere(A, 1) is None
    first.cameras.note_place(A, 1, clock())
    for reader in (first, second):
        reader.cameras.apply({A: True})
        assert reader.state() is CameraState.PAUSED
    assert (first.told, second.told) == ([], [CameraState.PAUSED])


def test_a_camera_that_nobody_saw_lately_is_told_by_the_first_reader() -> None:
    clock = ManualClock(1000.0)
    first, second = Reader(clock), Reader(clock, first=False)
    first.cameras.note_place(A, 1, clock() - 1)  # by one of before: it may be gone
    for reader in (first, second):
        reader.cameras.apply({A: True})
    assert (first.told, second.told) == ([CameraState.PAUSED], [])
    first.cameras.note_place(A, 1, clock() + 1)
    clock.advance(ELSEWHERE_S + 2)
    first.cameras.apply({A: False})
    assert first.told == [CameraState.PAUSED, CameraState.CONNECTING]


def test_pictures_a_second_are_counted() -> None:
    clock = ManualClock(1000.0)
    reader = Reader(clock)
    for _ in range(10):
        clock.advance(0.2)
        reader.cameras.number(A, grey_picture())
    assert reader.cameras.status(A).fps_in == pytest.approx(5.0)
    clock.advance(0.5)
    assert reader.cameras.status(A).fps_in == pytest.approx(5.0)
    clock.advance(1.0)
    assert reader.cameras.status(A).fps_in == 0.0
