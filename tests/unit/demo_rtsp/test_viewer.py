"""What a viewer is sent, and when it is let go."""

import pytest

from pipeline.demo.rtp import EncodedFrame
from pipeline.demo.rtsp_viewer import BACKLOG_LIMIT_BYTES, SLOW_LIMIT_S, Viewer


class RecordedRoad:
    """A road that keeps what it was given and says how much is stuck."""

    def __init__(self) -> None:
        self.sent: list[int | str] = []
        self.stuck_bytes = 0

    def send(self, frame: EncodedFrame) -> None:
        self.sent.append(frame.number)

    def report(self, packet: bytes) -> None:
        self.sent.append(packet.decode())

    def backlog_bytes(self) -> int:
        return self.stuck_bytes

    def close(self) -> None:
        self.sent.append("closed")


class Watching:
    """A viewer at the beginning of a stream with a keyframe every fifth frame."""

    def __init__(self) -> None:
        self.road = RecordedRoad()
        self.let_go = 0
        self.viewer = Viewer(self.road, self._drop)

    def _drop(self) -> None:
        self.let_go += 1

    def frames(self, numbers: range, now: float = 0.0, report: bytes | None = None) -> list[int | str]:
        self.road.sent.clear()
        for number in numbers:
            frame = EncodedFrame(number, 0.0, 0, number % 5 == 0, (b"",))
            self.viewer.take(frame, report, now)
        return list(self.road.sent)


@pytest.fixture
def watching() -> Watching:
    return Watching()


def test_nothing_is_sent_before_play(watching: Watching) -> None:
    assert watching.frames(range(10)) == []


def test_a_newcomer_starts_at_a_keyframe(watching: Watching) -> None:
    watching.viewer.play()
    assert watching.frames(range(3, 8)) == [5, 6, 7]


def test_a_report_goes_before_the_first_frame_and_every_two_seconds(watching: Watching) -> None:
    watching.viewer.play()
    assert watching.frames(range(5, 7), now=10.0, report=b"SR") == ["SR", 5, 6]
    assert watching.frames(range(7, 8), now=11.9, report=b"SR") == [7]
    assert watching.frames(range(8, 9), now=12.1, report=b"SR") == ["SR", 8]


def test_a_slow_viewer_loses_frames_to_the_next_keyframe(watching: Watching) -> None:
    watching.viewer.play()
    watching.frames(range(0, 2))
    watching.road.stuck_bytes = BACKLOG_LIMIT_BYTES + 1
    assert watching.frames(range(2, 4)) == []
    watching.road.stuck_bytes = 0
    assert watching.frames(range(4, 7)) == [5, 6]
    assert watching.viewer.frames_dropped == 2
    assert watching.let_go == 0


def test_a_viewer_stuck_for_long_is_let_go(watching: Watching) -> None:
    watching.viewer.play()
    watching.road.stuck_bytes = BACKLOG_LIMIT_BYTES + 1
    watching.frames(range(0, 1), now=100.0)
    watching.frames(range(1, 2), now=100.0 + SLOW_LIMIT_S)
    assert watching.let_go == 0
    watching.frames(range(2, 3), now=100.1 + SLOW_LIMIT_S)
    assert watching.let_go == 1
