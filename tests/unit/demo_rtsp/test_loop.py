"""A loop: coded once, whole groups, sent again and again by a live stream without a gap in what can be decoded."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.live import LiveStream
from pipeline.demo.loop import Loop
from tests.unit.demo_rtsp.test_live import WAIT_S, Receiver, grey

GROUP = 4
SETTINGS = StreamSettings(fps=200, width=64, height=48, keyframe_s=GROUP / 200)


def pictures(count: int) -> list[npt.NDArray[np.uint8]]:
    return [grey(n) for n in range(count)]


def test_each_group_begins_with_a_keyframe_and_the_first_follows_the_last() -> None:
    loop = Loop(SETTINGS, pictures(2 * GROUP))
    keyframes = [loop.code(n, keyframe=False).keyframe for n in range(4 * GROUP)]
    assert keyframes == [n % GROUP == 0 for n in range(4 * GROUP)]
    assert loop.code(1, keyframe=False) is loop.code(1 + 2 * GROUP, keyframe=True)


@pytest.mark.parametrize("count", [0, GROUP + 1])
def test_half_a_group_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"whole groups of {GROUP}"):
        Loop(SETTINGS, pictures(count))


def test_a_stream_stamps_a_loop_anew_each_time_round() -> None:
    receiver = Receiver()
    stream = LiveStream(SETTINGS, Loop(SETTINGS, pictures(GROUP)), receiver, late_s=float("inf"))
    stream.start()
    try:
        stream.watch(True)
        frames = receiver.wait_for(3 * GROUP)[: 3 * GROUP]
    finally:
        stream.stop()
    sequence = [int.from_bytes(packet[2:4], "big") for frame in frames for packet in frame.packets]
    assert [(n - sequence[0]) % 2**16 for n in sequence] == list(range(len(sequence)))
    assert {(after.rtp_time - before.rtp_time) % 2**32 for before, after in pairwise(frames)} == {90_000 // 200}


def test_behind_a_lost_frame_nothing_is_sent_before_the_next_keyframe() -> None:
    receiver, sent_or_not = Receiver(), threading.Semaphore(0)
    receiver.sends = False
    loop = Loop(SETTINGS, pictures(5 * GROUP))
    stream = LiveStream(SETTINGS, loop, receiver, on_frame=lambda *_: sent_or_not.release(), late_s=float("inf"))
    stream.start()
    try:
        stream.watch(True)
        held = receiver.wait_for(8)
        for _ in range(10):
            assert sent_or_not.acquire(timeout=WAIT_S)
        receiver.sends = True
        receiver.send_all()
        following = receiver.wait_for(9)[8]
    finally:
        stream.stop()
    assert following.keyframe
    assert following.number > held[-1].number + 1


def test_what_is_coded_already_changes_neither_size_nor_rate() -> None:
    stream = LiveStream(SETTINGS, Loop(SETTINGS, pictures(GROUP)), Receiver())
    with pytest.raises(ValueError, match="coded already"):
        stream.change_size(32, 32)
    with pytest.raises(ValueError, match="coded already"):
        stream.change_fps(30)
