from __future__ import annotations

import numpy as np
import pytest

from pipeline.dashboard.inspections.geometry import SizeWh, Window, Xyxy, window_of
from pipeline.sinks.snapshots import crop

FRAME = (640, 360)
NAN = float("nan")


def test_a_picture_of_the_whole_frame_shows_the_whole_frame() -> None:
    assert window_of(FRAME, (10, 20, 110, 320), FRAME) == Window(0, 0, 640, 360)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.37, 1.5])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param((200.4, 100.2, 260.7, 250.1), id="in the middle"),
        pytest.param((2.0, 3.0, 90.0, 200.0), id="in a corner"),
        pytest.param((600.0, 40.0, 655.0, 380.0), id="over the edge"),
    ],
)
def test_a_crop_is_found_again_whatever_its_margin_was(part: Xyxy, margin: float) -> None:
    cut, origin = crop(np.zeros((360, 640, 3), np.uint8), part, margin)
    window = window_of(FRAME, part, (cut.shape[1], cut.shape[0]))
    assert window is not None
    assert (window.left, window.top) == pytest.approx(origin, abs=1)
    assert (window.width, window.height) == (cut.shape[1], cut.shape[0])


def test_a_smaller_copy_of_the_frame_keeps_its_boxes() -> None:
    window = window_of((1280, 720), (10, 20, 110, 320), (640, 360))
    assert window == Window(0, 0, 1280, 720)


@pytest.mark.parametrize(
    ("frame", "picture"),
    [
        pytest.param(FRAME, (31, 977), id="neither frame nor crop"),
        pytest.param((0, 0), (640, 360), id="a frame without pixels"),
        pytest.param(FRAME, (0, 10), id="a picture without pixels"),
    ],
)
def test_boxes_are_not_drawn_on_a_picture_of_something_else(frame: SizeWh, picture: SizeWh) -> None:
    assert window_of(frame, (10, 20, 110, 320), picture) is None


def test_a_box_becomes_shares_of_the_picture_and_stays_inside() -> None:
    window = Window(100, 50, 200, 100)
    placed = window.place((150, 0, 400, 100))
    assert placed is not None
    assert (placed.left, placed.top, placed.width, placed.height) == pytest.approx((0.25, 0, 0.75, 0.5))


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((0, 0, 50, 50), id="outside"),
        pytest.param((150, 60, 150, 80), id="no width"),
        pytest.param((180, 60, 150, 80), id="turned round"),
        pytest.param((NAN, 60, 180, 80), id="no number"),
        pytest.param((-float("inf"), 60, float("inf"), 80), id="endless"),
    ],
)
def test_what_shows_nothing_is_not_drawn(box: Xyxy) -> None:
    assert Window(100, 50, 200, 100).place(box) is None
