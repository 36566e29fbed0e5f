"""A live stream's thread: whom it renders for, and what it does when nobody takes its frames."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.live import LiveStream
from pipeline.demo.rtp import EncodedFrame

SMALL = StreamSettings(fps=200, width=64, height=48, keyframe_s=60)
WAIT_S = 60.0


class Receiver:
    """Takes frames; says they were sent on only while `sends` is True."""

    def __init__(self) -> None:
        self.sends = True
        self.frames: list[EncodedFrame] = []
        self._unsent: list[Callable[[], None]] = []
        self._arrived = threading.Condition()

    def __call__(self, frame: EncodedFrame, sent: Callable[[], None]) -> None:
        with self._arrived:
            self.frames.append(frame)
            self._unsent.append(sent)
            if self.sends:
                self.send_all()
            self._arrived.notify_all()

    def send_all(self) -> None:
        while self._unsent:
            self._unsent.pop()()

    def wait_for(self, count: int) -> list[EncodedFrame]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.frames) >= count, WAIT_S), "frames did not come"
            return list(self.frames)


def grey(_number: int) -> npt.NDArray[np.uint8]:
    return np.full((48, 64, 3), 100, np.uint8)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def stream(receiver: Receiver) -> Iterator[LiveStream]:
    stream = LiveStream(SMALL, grey, receiver)
    stream.start()
    yield stream
    stream.stop()


def test_frames_follow_one_another_with_the_clock_of_their_numbers(stream: LiveStream, receiver: Receiver) -> None:
    stream.watch(True)
    frames = receiver.wait_for(10)
    assert [frame.keyframe for frame in frames] == [True] + [False] * (len(frames) - 1)
    for before, after in pairwise(frames):
        periods = after.number - before.number
        assert (after.rtp_time - before.rtp_time) % 2**32 == periods * 90_000 // 200
        assert after.captured_at - before.captured_at == pytest.approx(periods / 200, abs=1e-5)


def test_every_return_of_watchers_begins_with_a_keyframe(stream: LiveStream, receiver: Receiver) -> None:
    stream.watch(True)
    seen = len(receiver.wait_for(3))
    stream.watch(False)
    stream.watch(True)
    stream.want_keyframe()
    assert any(frame.keyframe for frame in receiver.wait_for(seen + 5)[seen:])


def test_frames_nobody_sends_on_are_dropped_and_the_next_is_a_keyframe(receiver: Receiver) -> None:
    rendered = threading.Semaphore(0)
    stream = LiveStream(SMALL, grey, receiver, on_frame=lambda *_: rendered.release())
    receiver.sends = False
    stream.start()
    try:
        stream.watch(True)
        for _ in range(12):
            assert rendered.acquire(timeout=WAIT_S)
        held = receiver.wait_for(8)
        assert len(held) == 8, "no more are held than may wait"
        receiver.sends = True
        receiver.send_all()
        following = receiver.wait_for(9)[8]
    finally:
        stream.stop()
    assert following.keyframe
    assert following.number > held[-1].number + 1


def test_a_renderer_that_fails_is_heard(receiver: Receiver) -> None:
    failed = threading.Event()

    def broken(_number: int) -> npt.NDArray[np.uint8]:
        raise ZeroDivisionError("no picture")

    stream = LiveStream(SMALL, broken, receiver, on_failure=failed.set)
    stream.start()
    stream.watch(True)
    assert failed.wait(WAIT_S)
    stream.stop()
    assert isinstance(stream.error, ZeroDivisionError)
