"""Live pictures: which frames become one, and what is on them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.sinks.drawing import draw
from pipeline.sinks.preview_desk import PreviewDesk, Shot
from pipeline.sinks.preview_picture import encode, shrunk
from pipeline.sinks.preview_settings import PreviewSettings
from stages.values import CameraId, Clock, Frame, FrameResult, Picture, PixelFormat, Position, Tracks, Verdict
from tests.fakes import ManualClock
from tests.unit.results.builders import INSPECTION, result

KEY = ("l1", "cam-1")


def frame(number: int, at: float, picture: Picture | None = None) -> Frame:
    picture = picture or Picture(np.zeros((2, 4), np.uint8), PixelFormat.GRAY8, 4, 2)
    return Frame(CameraId("cam-1"), number, at, Clock.ARRIVAL, Position("live", 1, number), picture)


def one_track(box: tuple[float, float, float, float] = (10, 10, 50, 90), track_id: int = 17) -> FrameResult:
    tracks = Tracks(
        np.array([box], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32), np.array([track_id], np.int32)
    )
    return replace(result(), tracks=tracks, size_wh=(100, 100), inspections=())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def desk(clock: ManualClock) -> PreviewDesk:
    return PreviewDesk(5.0, clock)


def test_frames_of_a_camera_nobody_watches_are_not_kept(desk: PreviewDesk) -> None:
    desk.offer("l1", frame(0, 0.0), result())
    assert desk.here() == [KEY]
    assert desk.take(0) == {}


def test_of_thirty_frames_a_second_five_are_shown(desk: PreviewDesk, clock: ManualClock) -> None:
    desk.watch([KEY])
    taken = 0
    for number in range(300):
        desk.offer("l1", frame(number, number / 30), result())
        taken += len(desk.take(0))
        clock.advance(1 / 30)
    assert taken == 50


def test_an_encoder_that_is_behind_is_left_the_newest_frame_only(desk: PreviewDesk, clock: ManualClock) -> None:
    desk.watch([KEY])
    for number in range(10):
        desk.offer("l1", frame(number, 0.0), result())
        clock.advance(0.5)
    ((key, shot),) = desk.take(0).items()
    assert (key, shot.frame.seq) == (KEY, 9)


def test_a_camera_that_gives_no_frames_is_not_asked_about(desk: PreviewDesk, clock: ManualClock) -> None:
    desk.offer("l1", frame(0, 0.0), result())
    clock.advance(3.5)
    assert desk.here() == []


def test_a_verdict_is_shown_for_a_while_on_the_frames_behind_it(desk: PreviewDesk, clock: ManualClock) -> None:
    desk.watch([KEY])
    shown = []
    for number in range(40):
        at = INSPECTION.captured_at + number / 10
        judged = (INSPECTION,) if number == 0 else ()
        desk.offer("l1", frame(number, at), replace(result(), inspections=judged))
        shown += [(shot.frame.seq, len(shot.judged)) for shot in desk.take(0).values()]
        clock.advance(0.1)
    assert [judged for seq, judged in shown if seq <= 20] == [1] * len([seq for seq, _ in shown if seq <= 20])
    assert not any(judged for seq, judged in shown if seq > 20)


def test_whoever_waits_for_frames_is_let_go_when_it_is_closed(desk: PreviewDesk) -> None:
    desk.close()
    assert desk.take(60) == {}


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_pictures_of_every_kind_are_made_small_in_their_own_shape(layout: PixelFormat) -> None:
    width, height = 640, 360
    shape = {PixelFormat.RGB24: (height, width, 3), PixelFormat.GRAY8: (height, width)}.get(
        layout, (height * 3 // 2, width)
    )
    picture = Picture(np.full(shape, 128, np.uint8), layout, width, height)
    small = encode(Shot(frame(0, 0.0, picture), one_track(), ()), PreviewSettings(width=320))
    assert (small.width, small.height) == (320, 180)
    assert shrunk(picture, 1000).shape[:2] == (height, width)


def test_boxes_are_drawn_where_things_are_in_the_smaller_picture() -> None:
    black = Picture(np.zeros((100, 100, 3), np.uint8), PixelFormat.RGB24, 100, 100)
    canvas = draw(cv2.resize(shrunk(black, 1000), (50, 50)), one_track((40, 40, 80, 80)))  # type: ignore[arg-type]
    assert canvas[20:40, 20].any(axis=1).all()
    assert not canvas[44:, :].any()


def test_a_verdict_follows_its_part() -> None:
    black = np.zeros((300, 300, 3), np.uint8)
    here = replace(one_track((30, 60, 50, 90), INSPECTION.track_id), size_wh=(100, 100))
    rejected = replace(INSPECTION, verdict=Verdict.REJECT, xyxy=(0, 0, 1, 1))
    with_it, without = draw(black, here, (rejected,)), draw(black, here, ())
    ys, xs = np.nonzero((with_it != without).any(axis=2))
    assert 80 < xs.min() < 100
    assert 140 < ys.min() < 180
