"""What cameras left unsaid is kept in order, and only so much of it."""

from __future__ import annotations

import pytest

from pipeline.deployments.untold import MOST_CAMERAS, MOST_CARRIED, Backlog, Untold
from stages.values import CameraId, LineId

CAM, LINE = CameraId("cam-1"), LineId("line-1")


def test_what_is_kept_twice_is_taken_once_in_order() -> None:
    backlog = Backlog()
    backlog.keep(LINE, CAM, Untold([b"1"], [], ("live|1|1", b"old"), {"sink_unavailable": 2}))
    backlog.keep(LINE, CAM, Untold([b"2"], [b"part"], None, {"sink_unavailable": 1}))
    taken = backlog.take(LINE, CAM)
    assert (taken.events, taken.verdicts) == ([b"1", b"2"], [b"part"])
    assert (taken.checkpoint, taken.lost) == (("live|1|1", b"old"), {"sink_unavailable": 3})
    assert not backlog.take(LINE, CAM)


def test_what_could_not_be_stored_goes_in_front_of_what_came_meanwhile() -> None:
    backlog = Backlog()
    backlog.keep(LINE, CAM, Untold([b"1"]))
    taken = backlog.take(LINE, CAM)
    backlog.keep(LINE, CAM, Untold([b"2"]))
    backlog.put_back(LINE, CAM, taken)
    assert backlog.take(LINE, CAM).events == [b"1", b"2"]


def test_nothing_to_say_is_not_kept_and_a_bare_count_waits_for_a_successor_only() -> None:
    backlog = Backlog()
    backlog.keep(LINE, CAM, Untold())
    backlog.keep(LINE, CameraId("cam-2"), Untold(lost={"sink_unavailable": 1}))
    assert backlog.waiting() == []
    assert backlog.take(LINE, CameraId("cam-2")).lost == {"sink_unavailable": 1}


def test_too_many_messages_of_a_camera_go_oldest_first_and_are_told(caplog: pytest.LogCaptureFixture) -> None:
    backlog = Backlog()
    backlog.keep(LINE, CAM, Untold([b"%d" % n for n in range(MOST_CARRIED)]))
    backlog.keep(LINE, CAM, Untold([b"new", b"newest"]))
    assert backlog.take(LINE, CAM).events[-3:] == [b"%d" % (MOST_CARRIED - 1), b"new", b"newest"]
    assert "2 events and verdicts are lost" in caplog.text


def test_of_too_many_cameras_the_first_is_let_go_and_told(caplog: pytest.LogCaptureFixture) -> None:
    backlog = Backlog()
    for n in range(MOST_CAMERAS + 1):
        backlog.keep(LINE, CameraId(f"cam-{n}"), Untold([b"1"]))
    assert len(backlog.waiting()) == MOST_CAMERAS
    assert not backlog.take(LINE, CameraId("cam-0"))
    assert "camera cam-0: 1 events and verdicts are lost" in caplog.text
